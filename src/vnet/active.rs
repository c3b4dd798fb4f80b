//! What runs: a record for each network that was started since this boot.
//!
//! ```text
//! STATE/run/networks/BOOT-ID/NAME.record   the bridge that was made, switches that were set, the definition that it runs by
//! ```
//!
//! The first line is JSON, the rest the definition as it is: in JSON each of its quotes would have to be escaped, and
//! that of a pool can be long.
//!
//! The record is there before the first thing is made and after the last is gone, so that whatever is killed in
//! between can be undone by the next command. It is renamed into place whole and not synced: after a power cut there
//! is another boot, and records of an earlier boot are not even read.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use jiff::Timestamp;
use nix::libc;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::model::Network;
use super::name::NetworkName;
use super::store::{Store, read_stored};
use crate::error::{Context as _, Error, Result};
use crate::state::sync::{sweep, write_whole};
use crate::state::{Lock, StateDir, boot_dir};
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::sysctl::Switch;
use crate::sys::{boot, namespace};
use crate::xml::{MAX_SIZE, Source};

/// The format of a record. A newer one is refused.
const FORMAT: u32 = 1;

/// A record is a definition and a few names.
const SIZE_LIMIT: u64 = 2 * MAX_SIZE as u64;

/// What follows the name of the network in that of its record.
const RECORD: &str = ".record";

/// How far a network has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Something of it may have been made. Left by a killed command, it is undone.
    Starting,
    /// It runs.
    Running,
    /// Something of it may be gone. Left by a killed command, the rest goes too.
    Stopping,
}

/// A bridge that ncf has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnBridge {
    /// Its name.
    pub name: InterfaceName,
    /// The address that it was created with: nobody else's bridge of that name has it.
    pub mac: MacAddress,
    /// The kernel's number for it, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
}

/// A switch of the whole host that a network needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Which.
    pub switch: Switch,
    /// Whether it was off before the first network needed it.
    pub was_off: bool,
}

/// The record of a network that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Active {
    format: u32,
    /// The network namespace that it was started in; see [`namespace::network`].
    namespace: u64,
    /// Its name.
    pub name: NetworkName,
    /// How far it has come.
    pub phase: Phase,
    /// When it was started.
    pub since: Timestamp,
    /// The bridge that was made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<OwnBridge>,
    /// The bridge that the limits of the network were put on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited: Option<InterfaceName>,
    /// Whether its limits were set in its definition too while it ran: then they follow that where a rollback brings
    /// an earlier one back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limits_follow: bool,
    /// What it needs of the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Needs>,
    /// How long `definition` is, in bytes.
    size: usize,
    #[serde(skip)]
    definition: String,
}

impl Active {
    /// A record of a network that is about to be started.
    pub fn starting(definition: &Definition) -> Result<Self> {
        Ok(Self {
            format: FORMAT,
            namespace: namespace::network()?,
            name: definition.network().name.clone(),
            phase: Phase::Starting,
            since: Timestamp::now(),
            bridge: None,
            limited: None,
            limits_follow: false,
            needs: Vec::new(),
            size: definition.text().len(),
            definition: definition.text().to_owned(),
        })
    }

    /// Whether it runs in the network namespace of this thread. From another one nothing of it can be seen.
    pub fn is_here(&self) -> bool {
        namespace::network().is_ok_and(|here| here == self.namespace)
    }

    /// The definition that it runs by.
    pub fn definition(&self) -> Result<Definition> {
        self.clone().into_definition()
    }

    /// The same, where nothing else of the record is needed.
    pub fn into_definition(self) -> Result<Definition> {
        let name = format!("the running network {}", self.name);
        read_stored(&Source::new(name, self.definition), &self.name)
    }

    /// Takes another definition to run by.
    pub fn set_definition(&mut self, definition: &Definition) {
        definition.text().clone_into(&mut self.definition);
        self.size = self.definition.len();
    }
}

/// The records of a host.
#[derive(Debug, Clone, Copy)]
pub struct Running<'a> {
    state: &'a StateDir,
}

impl<'a> Running<'a> {
    /// Those in this state directory. It need not exist.
    pub fn new(state: &'a StateDir) -> Self {
        Self { state }
    }

    /// The record of a network, of this boot; half-made ones too.
    pub fn record(self, name: &NetworkName) -> Result<Option<Active>> {
        let path = self.path(name)?;
        let failed = || format!("cannot read {}", path.display());
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = match OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(&path)
        {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.context(failed)?,
        };
        let size = file.metadata().context(failed)?.len().min(SIZE_LIMIT);
        let mut text = String::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
        file.take(SIZE_LIMIT)
            .read_to_string(&mut text)
            .context(failed)?;
        let damaged = |what: &str| {
            let hint = format!("if nothing of the network {name} is left, remove the file");
            Error::failed(failed()).because(what.to_owned()).hint(hint)
        };
        let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let rest = text.len() - rest.len();
        let mut record: Active =
            serde_json::from_str(head).map_err(|error| damaged(&error.to_string()))?;
        if record.format != FORMAT {
            return Err(damaged(&format!(
                "its format is {}, known is {FORMAT}",
                record.format
            )));
        }
        if record.name != *name {
            return Err(damaged(&format!("it is of the network {}", record.name)));
        }
        text.drain(..rest);
        if record.size != text.len() {
            return Err(damaged(&format!(
                "its definition has {} bytes, and should have {}",
                text.len(),
                record.size
            )));
        }
        record.definition = text;
        Ok(Some(record))
    }

    /// The record of a network that runs; `None` where it does not.
    pub fn active(self, name: &NetworkName) -> Result<Option<Active>> {
        Ok(self.record(name)?.filter(|it| it.phase == Phase::Running))
    }

    /// What a network that must run says of itself.
    ///
    /// Fails where there is none of that name, or where it does not run.
    pub fn must_run(self, name: &NetworkName) -> Result<Network> {
        if let Some(active) = self.active(name)? {
            return active.into_definition().map(Definition::into_network);
        }
        Store::new(self.state).must_have(name)?;
        Err(Error::state(format!("the network {name} is not active"))
            .hint(format!("'ncf net start {name}' starts it")))
    }

    /// The names of all that have a record, sorted.
    pub fn names(self) -> Result<Vec<NetworkName>> {
        let dir = self.dir()?;
        let failed = || format!("cannot list {}", dir.display());
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.context(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.context(failed)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(RECORD));
            names.extend(name.and_then(|name| name.parse::<NetworkName>().ok()));
        }
        names.sort();
        Ok(names)
    }

    /// All records of this boot, half-made ones too. Fails at the first that cannot be read.
    pub fn records(self) -> Result<Vec<Active>> {
        let names = self.names()?;
        let read = names.iter().map(|name| self.record(name));
        read.filter_map(Result::transpose).collect()
    }

    /// Writes a record, in the place of one with the same name.
    pub fn write(self, record: &Active, lock: &Lock) -> Result<()> {
        let failed = || format!("cannot note what becomes of the network {}", record.name);
        let dir = boot_dir::make(&self.above(), &boot::id()?, lock).context(failed)?;
        let head = serde_json::to_string(record)
            .map_err(|error| Error::failed(failed()).because(error))?;
        let text = format!("{head}\n{}", record.definition);
        write_whole(&dir, &file_name(&record.name), text.as_bytes()).context(failed)
    }

    /// Removes the record of a network of which nothing is left.
    pub fn remove(self, name: &NetworkName, _lock: &Lock) -> Result<()> {
        match fs::remove_file(self.path(name)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => {
                removed.context(|| format!("cannot note that the network {name} is stopped"))
            }
        }
    }

    /// Removes what a killed command had begun to write.
    pub(super) fn sweep(self, _lock: &Lock) {
        // Without it nothing is found either, and that is said where it matters.
        if let Ok(dir) = self.dir() {
            sweep(&dir);
        }
    }

    /// Where there is a directory for each boot.
    fn above(self) -> PathBuf {
        self.state.run().join("networks")
    }

    fn dir(self) -> Result<PathBuf> {
        Ok(self.above().join(boot::id()?))
    }

    fn path(self, name: &NetworkName) -> Result<PathBuf> {
        Ok(self.dir()?.join(file_name(name)))
    }
}

fn file_name(network: &NetworkName) -> String {
    format!("{network}{RECORD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Definition {
        let fill = super::super::definition::generate(|_| false).unwrap();
        let source = Source::new("x", "<network><name>one</name></network>");
        Definition::read(&source, &fill).unwrap()
    }

    #[test]
    fn a_record_lasts_until_the_boot_ends() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("ncf"));
        let lock = state.lock("test").unwrap();
        let running = Running::new(&state);
        let definition = definition();
        let mut record = Active::starting(&definition).unwrap();
        running.write(&record, &lock).unwrap();
        assert_eq!(running.active(&record.name).unwrap(), None);
        record.phase = Phase::Running;
        running.write(&record, &lock).unwrap();
        let read = running.active(&record.name).unwrap().unwrap();
        assert_eq!(read, record);
        assert_eq!(read.definition().unwrap(), definition);
        // What another boot has left, whatever a power cut made of it, is not looked at.
        let earlier = running.above().join("6e0e6d8a-6a5c-4b7e-8c6d-111111111111");
        fs::rename(running.dir().unwrap(), &earlier).unwrap();
        fs::write(earlier.join("one.record"), "").unwrap();
        assert_eq!(running.record(&record.name).unwrap(), None);
        assert!(running.records().unwrap().is_empty());
        running.write(&record, &lock).unwrap();
        assert!(!earlier.exists());
    }

    #[test]
    fn a_damaged_record_is_an_error_and_not_a_stopped_network() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("ncf"));
        let lock = state.lock("test").unwrap();
        let running = Running::new(&state);
        let record = Active::starting(&definition()).unwrap();
        running.write(&record, &lock).unwrap();
        let path = running.path(&record.name).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for bad in [
            "",
            "{}",
            &text[..text.len() / 2],
            &text[..text.len() - 1],
            text.lines().next().unwrap(),
            &text.replace("\"format\":1", "\"format\":2"),
            &text.replace("\"one\"", "\"two\""),
        ] {
            fs::write(&path, bad).unwrap();
            assert!(running.record(&record.name).is_err(), "{bad}");
        }
    }
}
