//! From what was typed to the host that it means.

use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use super::{Applier as Choice, Globals, SettingsFile};
use crate::apply::Applier;
use crate::apply::builtin::Builtin;
use crate::apply::missing::Missing;
use crate::apply::none::NoApplier;
use crate::apply::system::System;
use crate::change::host::Host;
use crate::error::{Context, Error, Result};
use crate::iface::backend::Backend as _;
use crate::iface::network_scripts::NetworkScripts;
use crate::state::StateDir;
use crate::sys::conf::{self, ApplierChoice, Conf};
use crate::sys::root::Root;
use crate::sys::session::Who;

const STATE_DIR: &str = "/var/lib/ncf";

/// What a command works with.
pub(super) struct Session {
    pub(super) host: Host,
    /// What is wrong with the settings, where the command goes on without them.
    pub(super) warning: Option<Error>,
}

/// What a command does where the settings are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadSettings {
    /// It fails: what it begins should be as the operator meant it.
    Refuse,
    /// It goes on with the defaults: a slip in a settings file must not keep a host from coming back.
    Ignore,
}

impl Session {
    /// Opens the root and reads the settings. Nothing is locked, made or changed yet.
    pub(super) fn open(globals: &Globals, bad: BadSettings) -> Result<Self> {
        let root = Root::open(&globals.root)?;
        let (conf, warning) = match settings(globals, &root) {
            Ok(conf) => (conf, None),
            Err(error) if bad == BadSettings::Ignore => (Conf::default(), Some(error)),
            Err(error) => return Err(error),
        };
        let applier = applier(globals, &root, &conf);
        let state = StateDir::new(state_dir(globals, &root)?);
        let backend = NetworkScripts;
        let mut scope = backend.scope();
        scope
            .files
            .extend(conf.include.iter().map(|include| include.path().to_owned()));
        // A state directory outside the root is no part of the system whose changes are undone.
        let covered = state.covered();
        let covered = covered.iter().filter_map(|dir| root.inside(dir));
        scope.files.extend(covered);
        // Looked up only by what asks: it reads of each process above this one.
        let who = LazyLock::new(Who::present as fn() -> Who);
        let keep = conf.history.keep;
        let host = Host {
            root,
            state,
            backend: Box::new(backend),
            scope,
            applier,
            keep,
            who,
        };
        Ok(Self { host, warning })
    }
}

fn settings(globals: &Globals, root: &Root) -> Result<Conf> {
    let Some(SettingsFile::File(path)) = &globals.config else {
        return conf::load(&root.host_path(Path::new(conf::DEFAULT_PATH)));
    };
    if !path.exists() {
        let message = format!("the configuration file {} does not exist", path.display());
        return Err(Error::usage(message).hint("--config or NCF_CONFIG names it"));
    }
    conf::load(path)
}

fn applier(globals: &Globals, root: &Root, conf: &Conf) -> Box<dyn Applier> {
    let choice = match globals.applier {
        Some(Choice::Auto) => ApplierChoice::Auto,
        Some(Choice::System) => ApplierChoice::System,
        Some(Choice::Builtin) => ApplierChoice::Builtin,
        Some(Choice::None) => ApplierChoice::None,
        // The interfaces of the running system are not those of a tree somewhere in it.
        None if !root.is_host() => ApplierChoice::None,
        None => conf.apply.applier,
    };
    let path = std::env::var("PATH").unwrap_or_default();
    let builtin = Builtin {
        dhcp_client: conf.apply.dhcp_client,
    };
    match choice {
        ApplierChoice::System => match System::configured(&conf.apply, &path) {
            Ok(system) => Box::new(system),
            Err(error) => Box::new(Missing::new("system", error)),
        },
        ApplierChoice::Auto => match System::configured(&conf.apply, &path) {
            Ok(system) => Box::new(system),
            Err(_) => Box::new(builtin),
        },
        ApplierChoice::Builtin => Box::new(builtin),
        ApplierChoice::None => Box::new(NoApplier),
    }
}

/// Where state is kept: as typed, or in the root, its links followed as far as there is something.
fn state_dir(globals: &Globals, root: &Root) -> Result<PathBuf> {
    if let Some(path) = &globals.state_dir {
        return typed_state_dir(path)
            .context(|| format!("cannot use the state directory {}", path.display()));
    }
    let inside = Path::new(STATE_DIR);
    let resolved = root
        .resolve(inside)
        .or_else(|_| root.resolve_parent(inside));
    Ok(root.host_path(&resolved.unwrap_or_else(|_| inside.to_owned())))
}

/// The path as typed, made absolute and without `..`: a snapshot has the paths of what is in it.
fn typed_state_dir(path: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    if !path.components().any(|it| it == Component::ParentDir) {
        return Ok(path);
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok(parent.canonicalize()?.join(name)),
        _ => path.canonicalize(),
    }
}
