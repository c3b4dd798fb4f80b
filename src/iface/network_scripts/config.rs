//! An interface's `ifcfg` file: finding it and reading its keys.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;

use super::naming::{FileName, file_name};
use super::ranges;
use super::refuse;
use super::scan;
use super::{CONFIG_DIR, GLOBAL};
use crate::error::Context;
use crate::iface::backend::Files;
use crate::iface::order;
use crate::ifcfg::{Content, File, Place, Value};
use crate::sys::name::InterfaceName;
use crate::{Error, Result};

/// A file `ifcfg-*`.
#[derive(Debug, Clone)]
pub(super) struct Config {
    /// Its path, for errors.
    pub(super) path: String,
    /// What follows `ifcfg-` in its name.
    pub(super) part: OsString,
    /// What it holds.
    pub(super) file: File,
    /// Other files with the same `DEVICE`, which do not count, if it was looked for by that.
    pub(super) overrules: Vec<String>,
    /// What `/etc/sysconfig/network` holds, which the scripts read before it.
    global: Option<File>,
}

/// Keys that interfaces take from `/etc/sysconfig/network` where their own file has none.
const GLOBAL_KEYS: [&str; 7] = [
    "GATEWAY",
    "GATEWAYDEV",
    "IPV6INIT",
    "IPV6FORWARDING",
    "IPV6_AUTOCONF",
    "IPV6_DEFAULTGW",
    "IPV6_DEFAULTDEV",
];

/// Reads a file; the error names it.
pub(super) fn read(name: &OsStr, files: &dyn Files) -> Result<Option<Vec<u8>>> {
    files
        .read(name)
        .context(|| format!("cannot read {}", path_of(name)))
}

/// The path of the configuration file `name`, for errors.
pub(super) fn path_of(name: &OsStr) -> String {
    format!("{CONFIG_DIR}/{}", name.display())
}

/// The names of the `ifcfg` files that are no backups, in the order of their bytes.
pub(super) fn ifcfg_names(files: &dyn Files) -> Result<Vec<OsString>> {
    let mut names = files
        .names()
        .context(|| format!("cannot list {CONFIG_DIR}"))?;
    names.retain(|name| is_ifcfg(name));
    names.sort();
    Ok(names)
}

/// Whether the file `name` is an `ifcfg` file that is no backup.
pub(super) fn is_ifcfg(name: &OsStr) -> bool {
    FileName::of(name).is_some_and(|name| name.prefix == "ifcfg-")
}

/// All `ifcfg` files that are no backups, in the order of their names.
pub(super) fn all(files: &dyn Files) -> Result<Vec<Config>> {
    let mut configs = Vec::new();
    for name in ifcfg_names(files)? {
        configs.extend(Config::read(&name, files)?);
    }
    Ok(configs)
}

/// For each of `devices` the file that configures it, by the file's `DEVICE`; the last file wins, as in
/// [`Config::by_device`]. Files that cannot be read are left out.
pub(super) fn by_devices(
    devices: &BTreeSet<InterfaceName>,
    files: &dyn Files,
) -> BTreeMap<InterfaceName, Config> {
    let wanted: BTreeSet<_> = devices.iter().map(|it| it.as_str().as_bytes()).collect();
    let mut found = BTreeMap::new();
    for name in ifcfg_names(files).unwrap_or_default() {
        if let Ok(Some(bytes)) = read(&name, files)
            && scan::may_be_for(&bytes, &wanted)
            && let Some(config) = Config::of(&name, &bytes)
            && let Some(device) = config.device()
            && devices.contains(&device)
        {
            found.insert(device, config);
        }
    }
    found
}

/// Those of `names` that a file configures. One that cannot be read does so by its name. All files are read only where a name is not that of its file.
pub(super) fn configured(
    names: &BTreeSet<InterfaceName>,
    files: &dyn Files,
) -> BTreeSet<InterfaceName> {
    let is_direct = |name: &InterfaceName| !matches!(Config::direct(name, files), Ok(None));
    let (mut found, others): (BTreeSet<_>, BTreeSet<_>) =
        names.iter().cloned().partition(|name| is_direct(name));
    if !others.is_empty() {
        let devices = by_devices(&others, files);
        found.extend(others.into_iter().filter(|name| devices.contains_key(name)));
    }
    found
}

/// The `ifcfg` files whose names begin with `beginning`, in the order of their names.
pub(super) fn beside(beginning: &str, files: &dyn Files) -> Result<Vec<Config>> {
    let mut names = ifcfg_names(files)?;
    names.retain(|name| name.as_bytes().starts_with(beginning.as_bytes()));
    let mut configs = Vec::new();
    for name in names {
        configs.extend(Config::read(&name, files)?);
    }
    Ok(configs)
}

/// The files `ifcfg-NAME:*`, in natural order.
pub(super) fn aliases(name: &InterfaceName, files: &dyn Files) -> Result<Vec<Config>> {
    let mut configs = beside(&format!("ifcfg-{name}:"), files)?;
    configs.sort_by(|a, b| match (a.interface(), b.interface()) {
        (Some(a), Some(b)) => order::natural(&a, &b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    });
    Ok(configs)
}

impl Config {
    /// Reads the `ifcfg` file `name`.
    pub(super) fn read(name: &OsStr, files: &dyn Files) -> Result<Option<Self>> {
        if FileName::of(name).is_none() {
            return Ok(None);
        }
        Ok(read(name, files)?.and_then(|bytes| Self::of(name, &bytes)))
    }

    /// The `ifcfg` file `name`, which holds `bytes`.
    pub(super) fn of(name: &OsStr, bytes: &[u8]) -> Option<Self> {
        FileName::of(name).map(|known| Self::of_part(name, known.part, bytes))
    }

    /// The `ifcfg` file `name`, whose part is `part`.
    pub(super) fn of_part(name: &OsStr, part: &OsStr, bytes: &[u8]) -> Self {
        Self {
            path: path_of(name),
            part: part.to_owned(),
            file: File::parse(bytes),
            overrules: Vec::new(),
            global: None,
        }
    }

    /// The file that configures `name`: `ifcfg-NAME`, unless its `DEVICE` is another; else one whose `DEVICE` is
    /// `NAME`.
    pub(super) fn find(name: &InterfaceName, files: &dyn Files) -> Result<Option<Self>> {
        let found = match Self::direct(name, files)? {
            Some(config) => Some(config),
            None => Self::by_device(name, files)?,
        };
        found.map(|config| config.with_global(files)).transpose()
    }

    /// The same with what all interfaces share.
    pub(super) fn with_global(self, files: &dyn Files) -> Result<Self> {
        let global = files.read(OsStr::new(GLOBAL));
        let global = global.context(|| format!("cannot read {GLOBAL}"))?;
        Ok(Self {
            global: global.map(|bytes| File::parse(&bytes)),
            ..self
        })
    }

    /// The value of `key` and the path of the file that it is in: this one, else the one for all interfaces.
    fn value(&self, key: &str) -> Option<(&str, Value)> {
        if let Some(value) = self.file.get(key) {
            return Some((&self.path, value));
        }
        let global = self.global.as_ref()?;
        let value = global.get(key).filter(|_| GLOBAL_KEYS.contains(&key))?;
        Some((GLOBAL, value))
    }

    /// The file `ifcfg-NAME`, if it is for `name`.
    pub(super) fn direct(name: &InterfaceName, files: &dyn Files) -> Result<Option<Self>> {
        let config = Self::read(&file_name("ifcfg-", name.as_str()), files)?;
        Ok(config.filter(|config| config.interface().as_ref() == Some(name)))
    }

    /// The last file whose `DEVICE` is `name`: of the list of all of them, which `get_config_by_device` in
    /// `network-functions` makes, `source_config` takes what follows the last `/`. Reads all.
    pub(super) fn by_device(name: &InterfaceName, files: &dyn Files) -> Result<Option<Self>> {
        let mut found: Option<Self> = None;
        for file in ifcfg_names(files)? {
            let config = Self::read(&file, files)?;
            if let Some(mut config) = config.filter(|it| it.device().as_ref() == Some(name)) {
                if let Some(before) = found.take() {
                    config.overrules = before.overrules;
                    config.overrules.push(before.path);
                }
                found = Some(config);
            }
        }
        Ok(found)
    }

    /// What the names of files beside this one end with: the device, then the configuration's own name, as
    /// `ifup-post` calls `ifup-routes`.
    pub(super) fn parts(&self, name: &InterfaceName) -> Vec<OsString> {
        let mut parts = vec![name.as_str().into()];
        if self.part != *name.as_str() {
            parts.push(self.part.clone());
        }
        parts
    }

    /// `DEVICE`, if it is an interface name.
    fn device(&self) -> Option<InterfaceName> {
        self.name_at("DEVICE")
    }

    /// The interface that the file configures: `DEVICE`, else what its own name says. A range of aliases is its
    /// device's: it comes up with that.
    pub(super) fn interface(&self) -> Option<InterfaceName> {
        let part = self.part.to_str();
        let is_range = self.file.get("IPADDR_START").is_some();
        part.filter(|_| is_range)
            .and_then(ranges::device_of)
            .or_else(|| self.device())
            .or_else(|| part?.parse().ok())
    }

    /// The value of `key`, if it is an interface name; no error where it is not.
    pub(super) fn name_at(&self, key: &str) -> Option<InterfaceName> {
        self.file.get(key)?.text()?.parse().ok()
    }

    /// The label of an alias that comes up with `parent`; `None` if it does not (`ONPARENT=no`).
    pub(super) fn on_parent(&self, parent: &InterfaceName) -> Result<Option<InterfaceName>> {
        if self.yes("ONPARENT")? == Some(false) {
            return Ok(None);
        }
        let named = self.parsed("DEVICE", |text| {
            let name: InterfaceName = text.parse().map_err(|bad| format!("{bad}"))?;
            if name.is_alias() && name.device() == *parent {
                Ok(name)
            } else {
                Err(format!(
                    "an alias of {parent}, as this file's name says, is allowed"
                ))
            }
        })?;
        match named.or_else(|| self.interface()) {
            Some(name) => Ok(Some(name)),
            None => Err(Error::failed(format!(
                "{}: its name is not that of an alias, and DEVICE is not set",
                self.path
            ))),
        }
    }

    /// The value of `key` as text; `None` if it is not set or empty, which is the same to the
    /// scripts. Fails if it is not known without executing something, or not UTF-8.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>> {
        let Some((_, value)) = self.value(key) else {
            return Ok(None);
        };
        match (&value.content, value.text()) {
            (_, Some(text)) => Ok((!text.is_empty()).then(|| text.to_owned())),
            (Content::Dynamic(raw), None) => {
                let raw = String::from_utf8_lossy(raw);
                let what = "values that only a shell can work out";
                Err(refuse::unsupported(self.place(key), key, &raw, what))
            }
            (Content::Static(bytes), None) => Err(self.wrong(
                key,
                &String::from_utf8_lossy(bytes),
                "only UTF-8 is allowed",
            )),
        }
    }

    /// The value of `key` as `parse` has it, whose error says what is allowed.
    pub(super) fn parsed<T, E: Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<Option<T>> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        parse(&text)
            .map(Some)
            .map_err(|allowed| self.wrong(key, &text, allowed))
    }

    /// The value of `key` as yes or no, in the forms of `is_true` and `is_false` in `functions`.
    pub(super) fn yes(&self, key: &str) -> Result<Option<bool>> {
        self.parsed(key, |text| match text.to_ascii_lowercase().as_str() {
            "yes" | "y" | "true" | "t" | "on" | "1" => Ok(true),
            "no" | "n" | "false" | "f" | "off" | "0" => Ok(false),
            _ => Err("yes and no are allowed"),
        })
    }

    /// The error for a wrong value of `key`.
    pub(super) fn wrong(&self, key: &str, value: &str, allowed: impl Display) -> Error {
        self.place(key).wrong(key, value, allowed)
    }

    /// Where `key` is assigned last.
    pub(super) fn place(&self, key: &str) -> Place<'_> {
        match self.value(key) {
            Some((file, value)) => Place {
                file,
                line: Some(value.line),
            },
            None => Place {
                file: &self.path,
                line: None,
            },
        }
    }
}
