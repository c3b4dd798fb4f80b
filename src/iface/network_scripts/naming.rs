//! Which file names count, and which interface a file belongs to.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path};

use super::config::Config;
use crate::iface::backend::Files;
use crate::sys::name::InterfaceName;

/// Beginnings of the names of configuration files.
pub(super) const PREFIXES: &[&str] = &["ifcfg-", "route-", "route6-", "rule-", "rule6-", "keys-"];

/// Ends of the names of files that configure nothing: what `is_ignored_file` in `network-functions` has,
/// and what vi and RCS leave.
const BACKUPS: [&str; 9] = [
    "~", ".bak", ".old", ".orig", ".rpmnew", ".rpmorig", ".rpmsave", ".swp", ",v",
];

/// What the name of a file in the configuration directory says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileName<'a> {
    /// One of [`PREFIXES`].
    pub(super) prefix: &'static str,
    /// What follows: most often, but not always, the interface.
    pub(super) part: &'a OsStr,
}

impl<'a> FileName<'a> {
    /// The parts of `name`; `None` for backups and files that are no configuration.
    pub(super) fn of(name: &'a OsStr) -> Option<Self> {
        let bytes = name.as_bytes();
        if BACKUPS.iter().any(|end| bytes.ends_with(end.as_bytes())) {
            return None;
        }
        PREFIXES.iter().find_map(|prefix| {
            let part = bytes.strip_prefix(prefix.as_bytes())?;
            (!part.is_empty()).then(|| Self {
                prefix,
                part: OsStr::from_bytes(part),
            })
        })
    }

    /// The part as an interface, if one can have that name.
    pub(super) fn interface(self) -> Option<InterfaceName> {
        self.part.to_str().and_then(|part| part.parse().ok())
    }
}

/// The name of a file of the kind `prefix`.
pub(super) fn file_name(prefix: &str, part: impl AsRef<OsStr>) -> OsString {
    OsString::from_vec([prefix.as_bytes(), part.as_ref().as_bytes()].concat())
}

/// The interface that the file at `path` configures.
///
/// Reads one file where its name leads to the answer, and all only where a `route-*` or its like has no `ifcfg-*`
/// of the same name.
pub(super) fn interface_of(path: &Path, files: &dyn Files) -> Option<InterfaceName> {
    let mut components = path.components();
    let (Some(Component::Normal(name)), None) = (components.next(), components.next()) else {
        return None;
    };
    let name = FileName::of(name)?;
    let ifcfg = file_name("ifcfg-", name.part);
    // A file that cannot be read still is an interface's: its name says which.
    let config = Config::read(&ifcfg, files).unwrap_or_default();
    if name.prefix == "ifcfg-" {
        return config
            .and_then(|config| config.interface())
            .or_else(|| name.interface());
    }
    match config {
        Some(config) => config.interface(),
        None => name
            .interface()
            .filter(|name| matches!(Config::by_device(name, files), Ok(Some(_)))),
    }
}
