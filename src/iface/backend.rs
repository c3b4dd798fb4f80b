//! The seam between transactions and a distribution's way of configuring interfaces.
//!
//! The transaction core knows files, and asks a [`Backend`] what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::model::Interface;
use crate::apply::desired::Desired;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::{Error, Result};

/// The files that a snapshot covers. A snapshot keeps its own: what is added to the settings later was
/// not saved, and must not be taken for a file that the change has added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The configuration directory, absolute inside the root.
    pub config_dir: PathBuf,
    /// Beginnings of the names of the files in it that are covered, such as `ifcfg-`.
    pub prefixes: Vec<String>,
    /// Whether its subdirectories are covered too.
    pub subdirectories: bool,
    /// Files and directories elsewhere, absolute inside the root; the last component may be a pattern.
    pub files: Vec<PathBuf>,
}

/// A set of configuration files: those of the host now, or those of a snapshot.
pub trait Files {
    /// The names of the covered files that lie directly in the configuration directory, in any order.
    fn names(&self) -> Result<Vec<OsString>>;

    /// What the file `name` in the configuration directory holds, or a covered file elsewhere by its absolute
    /// path, a symbolic link followed; `None` where there is none.
    fn read(&self, name: &OsStr) -> Result<Option<Vec<u8>>>;

    /// Whether `name` in the configuration directory is a symbolic link, be it to nothing.
    fn is_link(&self, _name: &OsStr) -> bool {
        false
    }

    /// The files that [`Files::names`] tells and whose names are `wanted`, with what [`Files::read`] tells of each, in
    /// any order.
    fn matching(
        &self,
        wanted: &(dyn Fn(&OsStr) -> bool + Sync),
    ) -> Result<Vec<(OsString, Result<Vec<u8>>)>> {
        let names = self.names()?.into_iter().filter(|name| wanted(name));
        let read = names.filter_map(|name| Some((self.read(&name).transpose()?, name)));
        Ok(read.map(|(bytes, name)| (name, bytes)).collect())
    }
}

/// For each interface those that must be up before it: its lower devices, the device of an alias.
pub type Dependencies = BTreeMap<InterfaceName, BTreeSet<InterfaceName>>;

/// A network card that the host has, by its burnt-in address where the driver tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// What the kernel calls it.
    pub name: InterfaceName,
    /// Its address.
    pub mac: MacAddress,
}

/// What files say of an interface.
#[derive(Debug)]
pub struct Described {
    /// The interface.
    pub interface: Interface,
    /// What the files say that is left out, and why.
    pub warnings: Vec<Error>,
}

/// Changes of files in the configuration directory that belong together.
#[derive(Debug, Default)]
pub struct Edits {
    /// The interfaces that they are about: first the one that was asked for, then its ports.
    pub interfaces: Vec<InterfaceName>,
    /// One for each file that changes, in the order in which they are best made.
    pub files: Vec<FileEdit>,
    /// What goes beyond what was asked for, for people.
    pub notes: Vec<String>,
}

/// The change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    /// Its name.
    pub name: OsString,
    /// What is in it; `None` where there is none yet.
    pub before: Option<Vec<u8>>,
    /// What it should hold; `None` where it goes away.
    pub after: Option<Vec<u8>>,
}

/// One way of configuring interfaces by files.
pub trait Backend {
    /// What a snapshot covers.
    fn scope(&self) -> Scope;

    /// Whether the file at `path` (absolute from the root, or relative to the configuration directory) is
    /// about all interfaces.
    fn is_global(&self, path: &Path) -> bool;

    /// Whether the file at `path` (relative to the configuration directory) holds keys or passwords.
    fn is_secret(&self, path: &Path) -> bool;

    /// The interface that the file at `path` (relative to the configuration directory) configures,
    /// as the `files` have it; `None` for backups, files in subdirectories and what no interface uses.
    fn interface_of(&self, path: &Path, files: &dyn Files) -> Option<InterfaceName>;

    /// Those of `names` that the `files` have a configuration for.
    fn configured(
        &self,
        names: &BTreeSet<InterfaceName>,
        files: &dyn Files,
    ) -> BTreeSet<InterfaceName>;

    /// What each of `names` depends on, as the `files` have it. Never fails: a file that cannot be read
    /// or understood has no dependencies, for a rollback must go on.
    fn dependencies(&self, names: &BTreeSet<InterfaceName>, files: &dyn Files) -> Dependencies;

    /// What the kernel should have for `name`, as the `files` have it.
    ///
    /// Fails where nothing configures it, where a value is wrong (naming file, line and value), or
    /// where it asks for what the built-in applier does not know.
    fn desired(&self, name: &InterfaceName, files: &dyn Files) -> Result<Desired>;

    /// The same `files`, each of which that is for one of `cards` by its address alone naming it: then
    /// [`Backend::interface_of`], [`Backend::configured`], [`Backend::dependencies`] and [`Backend::desired`] know it by
    /// the kernel's name.
    fn by_card<'a>(&self, files: &'a dyn Files, cards: &'a [Card]) -> Box<dyn Files + 'a>;

    /// The interfaces that are configured and no part of another, in the order of their names' bytes.
    fn interfaces(&self, files: &dyn Files, cards: &[Card]) -> Result<Vec<InterfaceName>>;

    /// What the files say of the interface `name`. Fails where none configures it, or where it is part of another.
    fn describe(
        &self,
        name: &InterfaceName,
        files: &dyn Files,
        cards: &[Card],
    ) -> Result<Described>;

    /// What the files say of all that [`Backend::interfaces`] lists, in the same order.
    fn describe_all(&self, files: &dyn Files, cards: &[Card]) -> Result<Vec<Described>>;

    /// The changes that make the files say what `wanted` says, and nothing else different.
    ///
    /// Fails where a value that must change is one that only a shell can work out.
    fn define(&self, wanted: &Interface, files: &dyn Files, cards: &[Card]) -> Result<Edits>;

    /// The changes that take the interface `name` out of the files, with its ports and all that belongs to them.
    fn undefine(&self, name: &InterfaceName, files: &dyn Files, cards: &[Card]) -> Result<Edits>;

    /// The interface `name` with all its ports, and theirs, if it is configured and no part of another.
    fn with_ports(
        &self,
        name: &InterfaceName,
        files: &dyn Files,
        cards: &[Card],
    ) -> Result<BTreeSet<InterfaceName>>;

    /// As [`Backend::with_ports`], with what must be there before these can come up, at any depth: the lower devices of
    /// VLANs and the devices of aliases, with the ports of those. What `is_there` or is not configured is left out,
    /// and what is below it is not looked for.
    fn with_lower(
        &self,
        name: &InterfaceName,
        files: &dyn Files,
        cards: &[Card],
        is_there: &dyn Fn(&InterfaceName) -> bool,
    ) -> Result<BTreeSet<InterfaceName>>;
}
