//! The seam between transactions and a distribution's way of configuring interfaces.
//!
//! The transaction core knows files, and asks a [`Backend`] what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::apply::desired::Desired;
use crate::sys::name::InterfaceName;

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
}

/// For each interface those that must be up before it: its lower devices, the device of an alias.
pub type Dependencies = BTreeMap<InterfaceName, BTreeSet<InterfaceName>>;

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
}
