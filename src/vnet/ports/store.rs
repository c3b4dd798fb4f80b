//! Records of ports on disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::record::{Owner, Port, PortId};
use crate::error::{Context, Error, Result};
use crate::state::{Lock, StateDir, boot_dir};
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
#[derive(Debug, Clone)]
struct Named {
    stage: Stage,
    id: PortId,
    mark: u32,
    device: Device,
    sharing: Sharing,
}

/// What the names of all records say, in no order: enough to give devices away, without reading one.
#[derive(Debug, Clone)]
pub struct Index(Vec<Named>);

impl Index {
    /// Adds what the ports use.
    pub fn count(&self, usage: &mut Usage) {
        usage.reserve(self.0.len());
        for named in &self.0 {
            usage.add(named.device.clone(), named.sharing);
        }
    }

    /// Whether any port is half-made or half-removed.
    pub fn has_unfinished(&self) -> bool {
        self.0.iter().any(|it| it.stage == Stage::Unfinished)
    }
}

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
    pub fn prepare(&self, lock: &Lock) -> Result<()> {
        boot_dir::make(&self.above, &self.boot, lock)
            .map(drop)
            .context(|| format!("cannot make {}", self.dir.display()))
    }

    /// The number of the next port. Each is given once. `index` is that of now.
    pub fn next_id(&self, _lock: &Lock, index: &Index) -> Result<PortId> {
        let path = self.dir.join(NEXT);
        let failed = || format!("cannot count ports in {}", path.display());
        let next = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error).context(failed),
        };
        // Whatever the file says, a number that a record has is not given.
        let used = index.0.iter().map(|named| named.id.0).max();
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

    /// The plugged ports, by number.
    pub fn list(&self) -> Result<Vec<Read>> {
        Ok(self.read(&self.index()?, |it| it.stage == Stage::Plugged))
    }

    /// The plugged ports of a guest, by number.
    pub fn of(&self, index: &Index, owner: &Owner) -> Vec<Read> {
        let mark = owner.mark();
        let mut found = self.read(index, |it| it.stage == Stage::Plugged && it.mark == mark);
        found.retain(|read| !matches!(read, Read::Port(port) if port.owner != *owner));
        found
    }

    /// The ports that use a device, half-made ones too.
    pub fn on(&self, index: &Index, device: &Device) -> Vec<Read> {
        self.read(index, |it| it.device == *device)
    }

    /// The ports that a killed process left half-made or half-removed.
    pub fn unfinished(&self, index: &Index) -> Vec<Read> {
        self.read(index, |it| it.stage == Stage::Unfinished)
    }

    /// The plugged port of that name; `None` where there is none.
    pub fn find(&self, index: &Index, id: PortId) -> Result<Option<Port>> {
        let found = self.read(index, |it| it.stage == Stage::Plugged && it.id == id);
        match found.into_iter().next() {
            Some(Read::Port(port)) => Ok(Some(*port)),
            Some(Read::Broken(_, error)) => Err(error),
            None => Ok(None),
        }
    }

    /// The plugged port of that name. Fails where there is none.
    pub fn must_have(&self, index: &Index, id: PortId) -> Result<Port> {
        self.find(index, id)?.ok_or_else(|| {
            Error::state(format!("there is no port {id}")).hint("'ncf net ports' lists them")
        })
    }

    /// What the names of all records say now.
    pub fn index(&self) -> Result<Index> {
        // Not with `std::fs::read_dir()`: it allocates two strings for each of perhaps a thousand names.
        let mut entries = match Dir::open(&self.dir, OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(entries) => entries,
            Err(Errno::ENOENT) => return Ok(Index(Vec::new())),
            Err(errno) => return Err(io::Error::from(errno)).context(|| self.failed_to_read()),
        };
        let mut names = Vec::new();
        for entry in entries.iter() {
            let entry = entry
                .map_err(io::Error::from)
                .context(|| self.failed_to_read())?;
            names.extend(entry.file_name().to_str().ok().and_then(Named::parse));
        }
        Ok(Index(names))
    }

    fn failed_to_read(&self) -> String {
        format!("cannot read {}", self.dir.display())
    }

    fn read(&self, index: &Index, wanted: impl Fn(&Named) -> bool) -> Vec<Read> {
        let mut names: Vec<_> = index.0.iter().filter(|named| wanted(named)).collect();
        names.sort_unstable_by_key(|named| named.id);
        let mut found = Vec::new();
        for named in names {
            let path = self.dir.join(named.file_name());
            match read_record(&path) {
                // It went between the look at the directory and the look at the file.
                Ok(None) => {}
                Ok(Some(port)) => found.push(Read::Port(Box::new(port))),
                Err(error) => found.push(Read::Broken(path, error)),
            }
        }
        found
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
        .and_then(Named::parse);
    match named {
        Some(it) if it.is_of(&port) => Ok(Some(port)),
        _ => Err(Error::failed(failed()).because("its content is not what its name says")),
    }
}

fn name(port: &Port, stage: Stage) -> String {
    let (device, sharing) = port.device();
    let named = Named {
        stage,
        id: port.id,
        mark: port.owner.mark(),
        device,
        sharing,
    };
    named.file_name()
}

impl Named {
    fn file_name(&self) -> String {
        let hidden = match self.stage {
            Stage::Unfinished => ".",
            Stage::Plugged => "",
        };
        let name = named(&self.id.to_string(), self.mark, &self.device, self.sharing);
        format!("{hidden}{name}")
    }

    fn parse(name: &str) -> Option<Self> {
        let (stage, name) = match name.strip_prefix('.') {
            Some(name) => (Stage::Unfinished, name),
            None => (Stage::Plugged, name),
        };
        let parts = parts(name)?;
        Some(Self {
            stage,
            id: parts.id.parse().ok()?,
            mark: parts.mark,
            device: parts.device,
            sharing: parts.sharing,
        })
    }

    fn is_of(&self, port: &Port) -> bool {
        let (device, sharing) = port.device();
        self.id == port.id
            && self.mark == port.owner.mark()
            && self.device == device
            && self.sharing == sharing
    }
}

/// `ID+GUEST@DEVICE`, or `ID+GUEST=DEVICE` for one that has the device to itself; `GUEST` is [`Owner::mark`].
pub(super) fn named(id: &str, mark: u32, device: &Device, sharing: Sharing) -> String {
    let sign = match sharing {
        Sharing::Shared => '@',
        Sharing::Exclusive => '=',
    };
    format!("{id}+{mark:08x}{sign}{device}")
}

/// What [`named`] put together.
pub(super) struct Parts<'a> {
    pub(super) id: &'a str,
    pub(super) mark: u32,
    pub(super) device: Device,
    pub(super) sharing: Sharing,
}

/// The parts of a record's name; `None` where it is none.
pub(super) fn parts(name: &str) -> Option<Parts<'_>> {
    let sign = name.bytes().position(|byte| matches!(byte, b'@' | b'='));
    let (before, device) = name.split_at_checked(sign?)?;
    let sharing = if device.starts_with('@') {
        Sharing::Shared
    } else {
        Sharing::Exclusive
    };
    let (id, mark) = before.split_once('+')?;
    let mark = u32::from_str_radix(mark, 16).ok()?;
    Some(Parts {
        id,
        mark,
        device: Device::parse(device.get(1..)?)?,
        sharing,
    })
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
        assert_eq!(ids(&ports.unfinished(&ports.index().unwrap())), [3]);
        let mut usage = Usage::default();
        ports.index().unwrap().count(&mut usage);
        assert_eq!(usage.ports(&port.device().0), 1);
        ports.complete(&lock, &port).unwrap();
        assert_eq!(
            ports.find(&ports.index().unwrap(), PortId(3)).unwrap(),
            Some(port.clone())
        );
        ports.withdraw(&lock, &port).unwrap();
        assert_eq!(
            ports.find(&ports.index().unwrap(), PortId(3)).unwrap(),
            None
        );
        ports.forget(&lock, &port).unwrap();
        assert!(!ports.index().unwrap().has_unfinished());
    }

    fn next_id(ports: &Ports, lock: &Lock) -> PortId {
        ports.next_id(lock, &ports.index().unwrap()).unwrap()
    }

    #[test]
    fn one_guests_ports_are_found_by_their_names() {
        let (_dir, lock, ports) = setup();
        for id in 0..3 {
            let mut port = port(id, &format!("eth{id}"));
            if id == 1 {
                port.owner = "other".parse().unwrap();
            }
            ports.begin(&lock, &port).unwrap();
            ports.complete(&lock, &port).unwrap();
        }
        // One that cannot be read, of somebody else: it is not looked at.
        fs::write(ports.dir.join("ncf7+00000000=eth7"), "").unwrap();
        let index = ports.index().unwrap();
        assert_eq!(ids(&ports.of(&index, &"guest".parse().unwrap())), [0, 2]);
        assert_eq!(ids(&ports.of(&index, &"other".parse().unwrap())), [1]);
        assert!(ports.of(&index, &"nobody".parse().unwrap()).is_empty());
    }

    #[test]
    fn numbers_are_given_once() {
        let (_dir, lock, ports) = setup();
        assert_eq!(next_id(&ports, &lock), PortId(0));
        assert_eq!(next_id(&ports, &lock), PortId(1));
        ports.begin(&lock, &port(9, "eth1")).unwrap();
        fs::write(ports.dir.join(NEXT), "nonsense").unwrap();
        assert_eq!(next_id(&ports, &lock), PortId(10));
    }

    #[test]
    fn ports_of_an_earlier_boot_are_dropped_and_reservations_stay() {
        let (dir, lock, ports) = setup();
        ports.begin(&lock, &port(0, "eth1")).unwrap();
        fs::create_dir(ports.above.join("reserved")).unwrap();
        let state = StateDir::new(dir.path().join("ncf"));
        let later = Ports::new(&state, &BOOT.replace('1', "2"));
        later.prepare(&lock).unwrap();
        assert!(!later.index().unwrap().has_unfinished());
        assert!(!ports.dir.exists());
        assert!(ports.above.join("reserved").exists());
    }

    #[test]
    fn a_record_that_is_none_is_reported_and_still_counts() {
        let (_dir, _lock, ports) = setup();
        for (name, content) in [
            ("ncf1+00000001=eth1", ""),
            ("ncf2+00000001=eth2", "{\"id\": \"ncf2\"}"),
            ("ncf3+00000001=eth3", "[[[["),
        ] {
            fs::write(ports.dir.join(name), content).unwrap();
        }
        let read = ports.list().unwrap();
        assert!(read.iter().all(|read| matches!(read, Read::Broken(..))));
        assert_eq!(read.len(), 3);
        let mut usage = Usage::default();
        ports.index().unwrap().count(&mut usage);
        assert_eq!(usage.ports(&Device::Link("eth2".parse().unwrap())), 1);
        // One under another's name.
        let json = serde_json::to_vec(&port(5, "eth5")).unwrap();
        fs::write(ports.dir.join("ncf4+84983c60=eth5"), json).unwrap();
        assert!(ports.find(&ports.index().unwrap(), PortId(4)).is_err());
    }
}
