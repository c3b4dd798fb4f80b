//! Definitions on disk.
//!
//! ```text
//! STATE/networks/NAME.xml         the definition, see vnet::definition
//! STATE/networks/NAME.autostart   empty: the network is started at boot
//! ```
//!
//! All of it is covered by a snapshot: a rollback brings it back. Writers hold the state lock; each file comes into
//! being whole, by a rename, so readers need none.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use nix::libc;
use uuid::Uuid;

use super::definition::Definition;
use super::model::Fill;
use super::name::NetworkName;
use crate::error::{Context as _, Error, Result};
use crate::state::sync::{sync_dir, write_durably};
use crate::state::{Lock, StateDir};
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::parallel;
use crate::xml::Source;

/// What follows the name of a definition's file.
const DEFINITION: &str = ".xml";

/// What follows the name of an autostart flag's file.
const AUTOSTART: &str = ".autostart";

/// The definitions of a host.
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    state: &'a StateDir,
}

impl<'a> Store<'a> {
    /// Those in this state directory. It need not exist.
    pub fn new(state: &'a StateDir) -> Self {
        Self { state }
    }

    /// The names of all defined networks, sorted.
    pub fn names(self) -> Result<Vec<NetworkName>> {
        self.names_with(DEFINITION)
    }

    /// The names of the networks that are started at boot, sorted.
    pub fn autostarted(self) -> Result<Vec<NetworkName>> {
        self.names_with(AUTOSTART)
    }

    fn names_with(self, suffix: &str) -> Result<Vec<NetworkName>> {
        let dir = self.state.networks();
        let failed = || format!("cannot list {}", dir.display());
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let hint = "run ncf as root, for example with sudo";
                return Err(Error::failed(failed()).because(error).hint(hint));
            }
            entries => entries.context(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.context(failed)?.file_name();
            // What is called otherwise was not written by ncf.
            let name = name.to_str().and_then(|name| name.strip_suffix(suffix));
            names.extend(name.and_then(|name| name.parse::<NetworkName>().ok()));
        }
        names.sort();
        Ok(names)
    }

    /// The definition of a network; `None` where there is none.
    ///
    /// Fails where it cannot be read, is damaged, or is another network's.
    pub fn definition(self, name: &NetworkName) -> Result<Option<Definition>> {
        let path = self.path(name, DEFINITION);
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(&path);
        let file = match file {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.context(|| format!("cannot read {}", path.display()))?,
        };
        let source = Source::read(path.display().to_string(), file.take(u64::MAX))?;
        read_stored(&source, name).map(Some)
    }

    /// The definition of a network that must be there.
    pub fn must_have(self, name: &NetworkName) -> Result<Definition> {
        self.definition(name)?.ok_or_else(|| unknown(name))
    }

    /// All definitions, each with what went wrong where it cannot be read.
    pub fn all(self) -> Result<Vec<(NetworkName, Result<Definition>)>> {
        let names = self.names()?;
        let read = parallel::map(&names, |name| self.definition(name).transpose());
        let read = names.into_iter().zip(read);
        let read = read.filter_map(|(name, definition)| Some((name, definition?)));
        Ok(read.collect())
    }

    /// Writes a definition, in the place of one with the same name.
    pub fn save(self, definition: &Definition, _lock: &Lock) -> Result<()> {
        let name = &definition.network().name;
        let dir = self.made()?;
        write_durably(
            &dir,
            &format!("{name}{DEFINITION}"),
            definition.text().as_bytes(),
        )
        .context(|| format!("cannot write the definition of {name} in {}", dir.display()))
    }

    /// Removes a definition and its flag. The flag goes first: one without a definition means nothing.
    pub fn remove(self, name: &NetworkName, lock: &Lock) -> Result<()> {
        self.set_autostart(name, false, lock)?;
        self.remove_file(name, DEFINITION)
    }

    /// Whether a network is started at boot.
    pub fn is_autostarted(self, name: &NetworkName) -> bool {
        self.path(name, AUTOSTART).exists()
    }

    /// Says whether a network is started at boot.
    pub fn set_autostart(self, name: &NetworkName, on: bool, _lock: &Lock) -> Result<()> {
        if !on {
            return self.remove_file(name, AUTOSTART);
        }
        let dir = self.made()?;
        write_durably(&dir, &format!("{name}{AUTOSTART}"), b"")
            .context(|| format!("cannot write the autostart flag of {name}"))
    }

    /// Removes what a killed command had begun to write.
    pub(super) fn sweep(self, _lock: &Lock) {
        crate::state::sync::sweep(&self.state.networks());
    }

    fn remove_file(self, name: &NetworkName, suffix: &str) -> Result<()> {
        let path = self.path(name, suffix);
        let failed = || format!("cannot remove {}", path.display());
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => {
                removed.context(failed)?;
                sync_dir(&self.state.networks()).context(failed)
            }
        }
    }

    fn path(self, name: &NetworkName, suffix: &str) -> PathBuf {
        self.state.networks().join(format!("{name}{suffix}"))
    }

    fn made(self) -> Result<PathBuf> {
        let dir = self.state.networks();
        let failed = || format!("cannot make {}", dir.display());
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                made.context(failed)?;
                sync_dir(self.state.path()).context(failed)?;
            }
        }
        Ok(dir)
    }
}

/// Reads what ncf has written: nothing may be missing in it, and it must be the network of that name.
pub(super) fn read_stored(source: &Source, name: &NetworkName) -> Result<Definition> {
    let definition = Definition::read(source, &nothing()?)?;
    let has = &definition.network().name;
    let damaged = |what: String| {
        let error = Error::failed(format!("{}: {what}", source.name()));
        error.hint(format!(
            "write it anew with 'ncf net define FILE', or remove it with 'ncf net undefine {name}'"
        ))
    };
    if has != name {
        return Err(damaged(format!(
            "it should be the network {name}, and is {has}"
        )));
    }
    if definition.text() != source.text() {
        return Err(damaged(
            "uuid, bridge or MAC address are missing in it".to_owned(),
        ));
    }
    Ok(definition)
}

/// Nothing is generated for what is read back; what would be is then found to be missing.
fn nothing() -> Result<Fill> {
    let bridge: InterfaceName = "none"
        .parse()
        .map_err(|error| Error::failed("cannot name a bridge").because(error))?;
    Ok(Fill {
        uuid: Uuid::nil(),
        bridge,
        mac: MacAddress([0; 6]),
    })
}

/// The error for a network that is not there.
pub fn unknown(name: &NetworkName) -> Error {
    Error::failed(format!("there is no network {name}"))
        .hint("'ncf net list --all' shows those that there are")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("ncf"));
        (dir, state)
    }

    fn definition(name: &str) -> Definition {
        let text = format!("<network><name>{name}</name></network>");
        let fill = super::super::definition::generate(|_| false).unwrap();
        Definition::read(&Source::new("x", text), &fill).unwrap()
    }

    #[test]
    fn what_is_saved_is_read_back_until_it_is_removed() {
        let (_dir, state) = state();
        let store = Store::new(&state);
        assert!(store.names().unwrap().is_empty());
        let lock = state.lock("test").unwrap();
        let one = definition("one");
        let name = &one.network().name;
        store.save(&one, &lock).unwrap();
        store.save(&definition("a b"), &lock).unwrap();
        store.set_autostart(name, true, &lock).unwrap();
        let names = store.names().unwrap();
        assert_eq!(
            names.iter().map(NetworkName::as_str).collect::<Vec<_>>(),
            ["a b", "one"]
        );
        assert_eq!(store.definition(name).unwrap().unwrap(), one);
        assert_eq!(store.autostarted().unwrap(), std::slice::from_ref(name));
        store.remove(name, &lock).unwrap();
        assert_eq!(store.definition(name).unwrap(), None);
        assert!(!store.is_autostarted(name));
    }

    #[test]
    fn a_file_that_is_not_what_it_should_be_is_an_error_of_its_own() {
        let (_dir, state) = state();
        let store = Store::new(&state);
        let lock = state.lock("test").unwrap();
        store.save(&definition("one"), &lock).unwrap();
        let dir = state.networks();
        fs::copy(dir.join("one.xml"), dir.join("other.xml")).unwrap();
        fs::write(dir.join("bare.xml"), "<network><name>bare</name></network>").unwrap();
        std::os::unix::fs::symlink("one.xml", dir.join("link.xml")).unwrap();
        fs::write(dir.join("..xml"), "").unwrap();
        let all = store.all().unwrap();
        let words = |name: &str| {
            let found = all
                .iter()
                .find(|(known, _)| known.as_str() == name)
                .unwrap();
            found
                .1
                .as_ref()
                .map_or_else(Error::one_line, |_| String::new())
        };
        assert_eq!(words("one"), "");
        assert!(
            words("other").contains("it should be the network other"),
            "{}",
            words("other")
        );
        assert!(words("bare").contains("missing"), "{}", words("bare"));
        assert!(words("link").contains("cannot read"), "{}", words("link"));
        assert_eq!(all.len(), 4);
    }
}
