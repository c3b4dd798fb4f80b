//! Records of ports on disk.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::record::{Port, PortId};
use crate::error::{Context, Error, Result};
use crate::state::{Lock, StateDir};
use crate::vnet::pool::{Device, Sharing, Usage};

/// A record is far smaller; anything longer is not one.
const MAX_RECORD: u64 = 64 << 10;

/// The file with the number of the next port.
const NEXT: &str = "next";

/// The records of this boot's ports.
#[derive(Debug, Clone)]
pub struct Ports {
    /// `ports` itself.
    above: PathBuf,
    /// That of this boot.
    dir: PathBuf,
    boot: String,
}

/// A record as it was read.
#[derive(Debug)]
pub enum Read {
    /// A port.
    Port(Box<Port>),
    /// A file that should be one, and why it is not.
    Broken(PathBuf, Error),
}

/// Whether a record's name is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is being made or removed.
    Unfinished,
    /// It is plugged.
    Plugged,
}

/// What a record's name says.
type Named = (Stage, PortId, (Device, Sharing));

impl Ports {
    /// Those in `state` of the boot `boot`, as [`crate::sys`] has its name. Nothing is made yet.
    pub fn new(state: &StateDir, boot: &str) -> Self {
        let above = state.ports();
        Self {
            dir: above.join(boot),
            above,
            boot: boot.to_owned(),
        }
    }

    /// The directory for all boots.
    pub(super) fn above(&self) -> &Path {
        &self.above
    }

    /// Makes the directory, and removes those of earlier boots.
    pub fn prepare(&self, _lock: &Lock) -> Result<()> {
        let failed = || format!("cannot make {}", self.dir.display());
        if self.dir.is_dir() {
            return Ok(());
        }
        for dir in [&self.above, &self.dir] {
            match DirBuilder::new().mode(0o700).create(dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error).context(failed);
                }
                _ => {}
            }
        }
        // What is left of an earlier boot takes room and no more: it is not read.
        for entry in fs::read_dir(&self.above).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_boot = name
                .to_str()
                .is_some_and(|name| uuid::Uuid::parse_str(name).is_ok());
            if is_boot && *name != *self.boot {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(())
    }

    /// The number of the next port. Each is given once.
    pub fn next_id(&self, _lock: &Lock) -> Result<PortId> {
        let path = self.dir.join(NEXT);
        let failed = || format!("cannot count ports in {}", path.display());
        let next = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error).context(failed),
        };
        // Whatever the file says, a number that a record has is not given.
        let used = self.names()?.into_iter().map(|(_, id, _)| id.0).max();
        let next = used.map_or(next, |used: u32| next.max(used.saturating_add(1)));
        self.put(NEXT, next.saturating_add(1).to_string().as_bytes())
            .context(failed)?;
        Ok(PortId(next))
    }

    /// Notes that a port is about to be made. Does it again where what is to be made has changed.
    pub fn begin(&self, _lock: &Lock, port: &Port) -> Result<()> {
        let json = serde_json::to_vec(port).map_err(|error| {
            Error::failed(format!("cannot write the record of port {}", port.id)).because(error)
        })?;
        self.put(&name(port, Stage::Unfinished), &json)
            .context(|| format!("cannot write the record of port {}", port.id))
    }

    /// Notes that a port is made.
    pub fn complete(&self, _lock: &Lock, port: &Port) -> Result<()> {
        self.rename(port, Stage::Unfinished, Stage::Plugged)
    }

    /// Notes that a plugged port has changed: its limits. Its device stays.
    pub fn rewrite(&self, _lock: &Lock, port: &Port) -> Result<()> {
        let failed = || format!("cannot write the record of port {}", port.id);
        let json =
            serde_json::to_vec(port).map_err(|error| Error::failed(failed()).because(error))?;
        self.put(&name(port, Stage::Plugged), &json).context(failed)
    }

    /// Notes that a port is about to be removed.
    pub fn withdraw(&self, _lock: &Lock, port: &Port) -> Result<()> {
        self.rename(port, Stage::Plugged, Stage::Unfinished)
    }

    /// Forgets a port that is not, or no longer, made.
    pub fn forget(&self, _lock: &Lock, port: &Port) -> Result<()> {
        let path = self.dir.join(name(port, Stage::Unfinished));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Adds what the ports use.
    pub fn count(&self, usage: &mut Usage) -> Result<()> {
        for (_, _, (device, sharing)) in self.names()? {
            usage.add(device, sharing);
        }
        Ok(())
    }

    /// The plugged ports, by number.
    pub fn list(&self) -> Result<Vec<Read>> {
        self.read(|stage, _| stage == Stage::Plugged)
    }

    /// The ports that a killed process left half-made or half-removed.
    pub fn unfinished(&self) -> Result<Vec<Read>> {
        self.read(|stage, _| stage == Stage::Unfinished)
    }

    /// The plugged port of that name; `None` where there is none.
    pub fn find(&self, id: PortId) -> Result<Option<Port>> {
        let found = self.read(|stage, name| stage == Stage::Plugged && name == id)?;
        match found.into_iter().next() {
            Some(Read::Port(port)) => Ok(Some(*port)),
            Some(Read::Broken(_, error)) => Err(error),
            None => Ok(None),
        }
    }

    /// Every record's stage, port and device, as the names say.
    fn names(&self) -> Result<Vec<Named>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context(|| self.failed_to_read()),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.context(|| self.failed_to_read())?;
            names.extend(entry.file_name().to_str().and_then(parse));
        }
        names.sort_unstable_by_key(|(_, id, _)| *id);
        Ok(names)
    }

    fn failed_to_read(&self) -> String {
        format!("cannot read {}", self.dir.display())
    }

    fn read(&self, wanted: impl Fn(Stage, PortId) -> bool) -> Result<Vec<Read>> {
        let mut found = Vec::new();
        for (stage, id, (device, sharing)) in self.names()? {
            if !wanted(stage, id) {
                continue;
            }
            let path = self
                .dir
                .join(file_name(stage, &id.to_string(), &device, sharing));
            match read_record(&path) {
                // It went between the look at the directory and the look at the file.
                Ok(None) => {}
                Ok(Some(port)) => found.push(Read::Port(Box::new(port))),
                Err(error) => found.push(Read::Broken(path, error)),
            }
        }
        Ok(found)
    }

    fn rename(&self, port: &Port, from: Stage, to: Stage) -> Result<()> {
        let (from, to) = (
            self.dir.join(name(port, from)),
            self.dir.join(name(port, to)),
        );
        fs::rename(&from, &to).context(|| format!("cannot rename {}", from.display()))
    }

    /// Writes a file beside and gives it its name: it is seen whole or not at all.
    fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let beside = self.dir.join(".new");
        fs::write(&beside, content)?;
        fs::rename(&beside, self.dir.join(name))
    }
}

fn read_record(path: &Path) -> Result<Option<Port>> {
    let failed = || format!("cannot read the record {}", path.display());
    let content = match super::reserved::read_limited(path, MAX_RECORD) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(failed),
    };
    let port: Port =
        serde_json::from_slice(&content).map_err(|error| Error::failed(failed()).because(error))?;
    let named = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(parse);
    let device = port.device();
    match named {
        Some((_, id, named)) if id == port.id && named == device => Ok(Some(port)),
        _ => Err(Error::failed(failed()).because("its content is not what its name says")),
    }
}

fn name(port: &Port, stage: Stage) -> String {
    let (device, sharing) = port.device();
    file_name(stage, &port.id.to_string(), &device, sharing)
}

fn file_name(stage: Stage, id: &str, device: &Device, sharing: Sharing) -> String {
    let hidden = match stage {
        Stage::Unfinished => ".",
        Stage::Plugged => "",
    };
    format!("{hidden}{}", named(id, device, sharing))
}

/// `ID@DEVICE`, or `ID=DEVICE` for one that has the device to itself.
pub(super) fn named(id: &str, device: &Device, sharing: Sharing) -> String {
    let mark = match sharing {
        Sharing::Shared => '@',
        Sharing::Exclusive => '=',
    };
    format!("{id}{mark}{device}")
}

/// What [`named`] put together.
pub(super) fn parts(name: &str) -> Option<(&str, Device, Sharing)> {
    let at = name.find(['@', '='])?;
    let (id, rest) = name.split_at(at);
    let sharing = if rest.starts_with('@') {
        Sharing::Shared
    } else {
        Sharing::Exclusive
    };
    let device = rest.get(1..)?;
    let pci = device.parse().map(Device::Pci);
    let device = pci.or_else(|_| device.parse().map(Device::Link)).ok()?;
    Some((id, device, sharing))
}

fn parse(name: &str) -> Option<Named> {
    let (stage, name) = match name.strip_prefix('.') {
        Some(name) => (Stage::Unfinished, name),
        None => (Stage::Plugged, name),
    };
    let (id, device, sharing) = parts(name)?;
    Some((stage, id.parse().ok()?, (device, sharing)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vnet::ports::{Connection, Macvtap};

    const BOOT: &str = "6e0e6d8a-6a5c-4b7e-8c6d-111111111111";

    fn port(id: u32, lower: &str) -> Port {
        Port {
            id: PortId(id),
            network: "net".parse().unwrap(),
            owner: "guest".parse().unwrap(),
            mac: "52:54:00:00:00:01".parse().unwrap(),
            portgroup: None,
            bandwidth: None,
            since: jiff::Timestamp::UNIX_EPOCH,
            connection: Connection::Macvtap(Macvtap {
                lower: lower.parse().unwrap(),
                mode: crate::sys::netlink::macvtap::Mode::Passthrough,
                exclusive: true,
                queues: 1,
                node: None,
                made_node: false,
                function: None,
            }),
        }
    }

    fn setup() -> (tempfile::TempDir, Lock, Ports) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("ncf"));
        let lock = state.lock("test").unwrap();
        let ports = Ports::new(&state, BOOT);
        ports.prepare(&lock).unwrap();
        (dir, lock, ports)
    }

    fn ids(read: &[Read]) -> Vec<u32> {
        let port = |read: &Read| match read {
            Read::Port(port) => port.id.0,
            Read::Broken(path, error) => panic!("{}: {error}", path.display()),
        };
        read.iter().map(port).collect()
    }

    #[test]
    fn a_port_is_unfinished_until_it_is_complete_and_again_when_it_goes() {
        let (_dir, lock, ports) = setup();
        let port = port(3, "eth1");
        ports.begin(&lock, &port).unwrap();
        assert_eq!(ids(&ports.unfinished().unwrap()), [3]);
        let mut usage = Usage::default();
        ports.count(&mut usage).unwrap();
        assert_eq!(usage.ports(&port.device().0), 1);
        ports.complete(&lock, &port).unwrap();
        assert_eq!(ports.find(PortId(3)).unwrap(), Some(port.clone()));
        ports.withdraw(&lock, &port).unwrap();
        assert_eq!(ports.find(PortId(3)).unwrap(), None);
        ports.forget(&lock, &port).unwrap();
        assert!(ports.unfinished().unwrap().is_empty());
    }

    #[test]
    fn numbers_are_given_once() {
        let (_dir, lock, ports) = setup();
        assert_eq!(ports.next_id(&lock).unwrap(), PortId(0));
        assert_eq!(ports.next_id(&lock).unwrap(), PortId(1));
        ports.begin(&lock, &port(9, "eth1")).unwrap();
        fs::write(ports.dir.join(NEXT), "nonsense").unwrap();
        assert_eq!(ports.next_id(&lock).unwrap(), PortId(10));
    }

    #[test]
    fn ports_of_an_earlier_boot_are_dropped_and_reservations_stay() {
        let (dir, lock, ports) = setup();
        ports.begin(&lock, &port(0, "eth1")).unwrap();
        fs::create_dir(ports.above.join("reserved")).unwrap();
        let state = StateDir::new(dir.path().join("ncf"));
        let later = Ports::new(&state, &BOOT.replace('1', "2"));
        later.prepare(&lock).unwrap();
        assert!(later.unfinished().unwrap().is_empty());
        assert!(!ports.dir.exists());
        assert!(ports.above.join("reserved").exists());
    }

    #[test]
    fn a_record_that_is_none_is_reported_and_still_counts() {
        let (_dir, _lock, ports) = setup();
        for (name, content) in [
            ("ncf1=eth1", ""),
            ("ncf2=eth2", "{\"id\": \"ncf2\"}"),
            ("ncf3=eth3", "[[[["),
        ] {
            fs::write(ports.dir.join(name), content).unwrap();
        }
        let read = ports.list().unwrap();
        assert!(read.iter().all(|read| matches!(read, Read::Broken(..))));
        assert_eq!(read.len(), 3);
        let mut usage = Usage::default();
        ports.count(&mut usage).unwrap();
        assert_eq!(usage.ports(&Device::Link("eth2".parse().unwrap())), 1);
        // One under another's name.
        let json = serde_json::to_vec(&port(5, "eth5")).unwrap();
        fs::write(ports.dir.join("ncf4=eth5"), json).unwrap();
        assert!(ports.find(PortId(4)).is_err());
    }
}
