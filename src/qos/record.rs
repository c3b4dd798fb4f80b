//! Limits on disk.
//!
//! ```text
//! STATE/qos/device-NAME.json        what a device is to have, at every boot
//! STATE/qos/function-NAME-N.json    the same, for virtual function N of the card NAME
//! STATE/run/qos.json                what was applied since this boot, and from where: it carries the boot's id
//! ```
//!
//! What is in `qos/` is covered by a snapshot: a rollback brings it back. What is in `run/` is only of use while the
//! host runs: it tells a transient limit from a persistent one, and what to take away when a record has gone. It is
//! written whole and renamed into place, but not synced: after a power cut there is another boot.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::device::View;
use super::limit::Bandwidth;
use super::tree::PortFloor;
use crate::error::{Context as _, Error, Result};
use crate::state::sync::{sync_dir, write_durably, write_whole};
use crate::state::{Lock, StateDir};
use crate::sys::name::InterfaceName;

/// The format of both kinds of file. A newer one is refused.
const FORMAT: u32 = 1;

/// The file of what was applied.
const RUN: &str = "qos.json";

/// A record is a few hundred bytes; one of what was applied may have thousands of devices.
const SIZE_LIMIT: u64 = 8 << 20;

/// What is limited.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The device, or the card that the function belongs to.
    pub device: InterfaceName,
    /// The number of the virtual function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<u32>,
}

impl Target {
    /// A device.
    pub fn device(name: InterfaceName) -> Self {
        Self {
            device: name,
            function: None,
        }
    }

    fn file_name(&self) -> String {
        match self.function {
            None => format!("device-{}.json", self.device),
            Some(function) => format!("function-{}-{function}.json", self.device),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.function {
            None => write!(f, "{}", self.device),
            Some(function) => write!(f, "function {function} of {}", self.device),
        }
    }
}

/// How a limit is to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The limits.
    pub bandwidth: Bandwidth,
    /// Whose they are, if not as the kind of device says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
    /// Whether what enters waits rather than being dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shape: bool,
    /// Whether what somebody else has put in the way goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
    /// The ports of a bridge that have a floor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub floors: Vec<PortFloor>,
}

/// Where a limit comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// `qos set`: kept over a boot.
    Persistent,
    /// `qos set --transient`: until the device goes.
    Transient,
    /// The definition of the network with this name.
    Network(String),
    /// The port with this name, by its own definition or its portgroup's.
    Port(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Persistent => f.write_str("persistent"),
            Self::Transient => f.write_str("transient"),
            Self::Network(name) => write!(f, "network {name}"),
            Self::Port(name) => write!(f, "port {name}"),
        }
    }
}

/// A persistent limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    format: u32,
    /// What is limited.
    #[serde(flatten)]
    pub target: Target,
    /// How.
    #[serde(flatten)]
    pub settings: Settings,
}

/// A limit that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    /// What is limited.
    pub target: Target,
    /// The index of its device: another device of the same name has another.
    pub index: u32,
    /// Where the limit comes from.
    pub origin: Origin,
    /// How.
    pub settings: Settings,
}

/// What was applied since this boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    format: u32,
    boot_id: String,
    /// The limits, in the order of their targets.
    pub limits: Vec<Applied>,
}

impl Run {
    /// Reads it. What an earlier boot has left counts for nothing, and neither does what cannot be read: it only
    /// tells where limits came from, and must not keep new ones from being set.
    pub fn read(state: &StateDir) -> Result<Self> {
        let boot_id = crate::sys::boot::id()?;
        let path = run_path(state);
        let read = read_json::<Self>(&path).ok().flatten();
        let current = read.filter(|run| run.format == FORMAT && run.boot_id == boot_id);
        Ok(current.unwrap_or(Self {
            format: FORMAT,
            boot_id,
            limits: Vec::new(),
        }))
    }

    /// What was applied to a target.
    pub fn find(&self, target: &Target) -> Option<&Applied> {
        self.limits.iter().find(|limit| limit.target == *target)
    }

    /// Notes what was applied, in the place of what was noted for its target.
    pub fn put(&mut self, applied: Applied) {
        self.remove(&applied.target);
        let at = self.limits.partition_point(|it| it.target < applied.target);
        self.limits.insert(at, applied);
    }

    /// Forgets what was applied to a target.
    pub fn remove(&mut self, target: &Target) {
        self.limits.retain(|limit| limit.target != *target);
    }

    /// Writes it.
    pub fn write(&self, state: &StateDir, _lock: &Lock) -> Result<()> {
        let path = run_path(state);
        let failed = || format!("cannot write {}", path.display());
        let dir = path.parent().unwrap_or(state.path());
        make_dir(dir).context(failed)?;
        write_whole(dir, RUN, to_json(self)?.as_bytes()).context(failed)
    }
}

fn run_path(state: &StateDir) -> PathBuf {
    state.run().join(RUN)
}

/// All persistent limits, in the order of their targets. Needs no lock.
pub fn records(state: &StateDir) -> Result<Vec<Record>> {
    let dir = state.qos();
    let failed = || format!("cannot list {}", dir.display());
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Error::failed(failed())
                .because(error)
                .hint("run ncf as root, for example with sudo"));
        }
        entries => entries.context(failed)?,
    };
    let mut records = Vec::new();
    for entry in entries {
        let name = entry.context(failed)?.file_name();
        let name = name.to_string_lossy();
        // Half-written ones begin with a dot.
        if name.starts_with('.') || !name.ends_with(".json") {
            continue;
        }
        if let Some(record) = read_record(&dir.join(&*name), &name)? {
            records.push(record);
        }
    }
    records.sort_by(|one, other| one.target.cmp(&other.target));
    Ok(records)
}

/// The persistent limit of a target.
pub fn record(state: &StateDir, target: &Target) -> Result<Option<Record>> {
    let name = target.file_name();
    read_record(&state.qos().join(&name), &name)
}

fn read_record(path: &Path, name: &str) -> Result<Option<Record>> {
    let Some(record) = read_json::<Record>(path)? else {
        return Ok(None);
    };
    let wrong = |why: String| Err(Error::failed(format!("{}: {why}", path.display())));
    if record.format != FORMAT {
        return wrong(format!(
            "its format is {}, this ncf knows {FORMAT}: was it written by a newer one?",
            record.format
        ));
    }
    if record.target.file_name() != name {
        return wrong(format!(
            "it is about {}, by its name it is not",
            record.target
        ));
    }
    Ok(Some(record))
}

/// Keeps a limit over a boot.
pub fn keep(state: &StateDir, _lock: &Lock, target: &Target, settings: &Settings) -> Result<()> {
    let dir = state.qos();
    let failed = || format!("cannot record the limit of {target} in {}", dir.display());
    make_dir(&dir).context(failed)?;
    let record = Record {
        format: FORMAT,
        target: target.clone(),
        settings: settings.clone(),
    };
    write_durably(&dir, &target.file_name(), to_json(&record)?.as_bytes()).context(failed)
}

/// Keeps a limit no longer.
pub fn forget(state: &StateDir, _lock: &Lock, target: &Target) -> Result<()> {
    let dir = state.qos();
    let failed = || format!("cannot remove the limit of {target} from {}", dir.display());
    match fs::remove_file(dir.join(target.file_name())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.and_then(|()| sync_dir(&dir)).context(failed),
    }
}

fn to_json(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from);
    text.map(|text| text + "\n").context(|| "cannot write JSON")
}

fn make_dir(dir: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done.and_then(|()| dir.parent().map_or(Ok(()), sync_dir)),
    }
}

/// Reads a file of ours; `None` where there is none. A link is not followed: ncf makes none here.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let failed = || format!("cannot read {}", path.display());
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    let file = match file {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.context(failed)?,
    };
    if !file.metadata().context(failed)?.is_file() {
        return Err(Error::failed(format!(
            "{}: it is not a file",
            path.display()
        )));
    }
    let mut text = String::new();
    let read = file.take(SIZE_LIMIT + 1).read_to_string(&mut text);
    if read.context(failed)? as u64 > SIZE_LIMIT {
        return Err(Error::failed(failed()).because("it is larger than 8 MiB"));
    }
    serde_json::from_str(&text).map(Some).map_err(|why| {
        let (line, column) = (why.line(), why.column());
        Error::failed(format!("{}:{line}:{column}: {why}", path.display())).hint(
            "ncf writes this file; if it was changed by hand, remove it and set the limit again",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, function: Option<u32>) -> Target {
        Target {
            device: name.parse().unwrap(),
            function,
        }
    }

    fn settings() -> Settings {
        Settings {
            bandwidth: Bandwidth {
                inbound: Some("10mbit".parse().unwrap()),
                outbound: None,
            },
            ..Settings::default()
        }
    }

    fn state() -> (tempfile::TempDir, StateDir, Lock) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("ncf"));
        let lock = state.lock("test").unwrap();
        (dir, state, lock)
    }

    #[test]
    fn a_record_comes_back_and_goes() {
        let (_dir, state, lock) = state();
        let targets = [
            target("eth0", None),
            target("eth0", Some(3)),
            target("eth0-3", None),
        ];
        for target in &targets {
            keep(&state, &lock, target, &settings()).unwrap();
        }
        let read = records(&state).unwrap();
        assert_eq!(
            read.iter().map(|it| it.target.clone()).collect::<Vec<_>>(),
            targets
        );
        assert!(read.iter().all(|it| it.settings == settings()));
        let text = fs::read_to_string(state.qos().join("device-eth0.json")).unwrap();
        assert!(text.contains("\"average\": 1250000"), "{text}");
        for target in &targets {
            forget(&state, &lock, target).unwrap();
            forget(&state, &lock, target).unwrap();
        }
        assert_eq!(records(&state).unwrap(), []);
    }

    #[test]
    fn a_record_that_is_wrong_is_refused_with_its_place() {
        let (_dir, state, lock) = state();
        let target = target("eth0", None);
        keep(&state, &lock, &target, &settings()).unwrap();
        let path = state.qos().join("device-eth0.json");
        let good = fs::read_to_string(&path).unwrap();
        for (from, to, word) in [
            ("\"format\": 1", "\"format\": 2", "newer"),
            ("eth0", "eth1", "by its name"),
            ("eth0", "../../x", "is a path"),
            ("1250000", "0", "zero"),
            ("1250000", "99999999999999999999", "device-eth0.json:"),
            ("}", "", "EOF"),
            ("\"device\"", "\"devise\"", "device-eth0.json:"),
        ] {
            fs::write(&path, good.replace(from, to)).unwrap();
            let why = record(&state, &target).unwrap_err().one_line();
            assert!(why.contains(word), "{from} {to}: {why}");
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(record(&state, &target).is_err());
    }

    #[test]
    fn what_an_earlier_boot_has_left_counts_for_nothing() {
        let (_dir, state, lock) = state();
        let mut run = Run::read(&state).unwrap();
        run.put(Applied {
            target: target("eth0", None),
            index: 2,
            origin: Origin::Transient,
            settings: settings(),
        });
        run.write(&state, &lock).unwrap();
        assert_eq!(Run::read(&state).unwrap(), run);
        let other = Run {
            boot_id: "another".to_owned(),
            ..run
        };
        other.write(&state, &lock).unwrap();
        assert_eq!(Run::read(&state).unwrap().limits, []);
        fs::write(run_path(&state), "{").unwrap();
        assert_eq!(Run::read(&state).unwrap().limits, []);
    }
}
