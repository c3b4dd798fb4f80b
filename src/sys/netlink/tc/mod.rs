//! Traffic control: qdiscs, classes, filters and their counters.
//!
//! What an attribute is made of is in `wire`, the names of things and the unit of time in `handle`, what changes
//! something in `change`. The messages
//! are our own ([`super::raw`]) and not the library's: it leaves out of a list what it cannot decode, and a
//! filter of somebody else must be seen even if nothing is known of it but its kind.

mod change;
mod handle;
mod wire;

use nix::errno::Errno;

use super::Socket;
use super::link::Link;
use super::raw::{Attributes, Raw, find, text, u32_at};
use super::refusal::Refusal;
use crate::error::Result;

pub use handle::{Handle, bytes, ticks};

const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETQDISC: u16 = 38;
const RTM_NEWTCLASS: u16 = 40;
const RTM_DELTCLASS: u16 = 41;
const RTM_GETTCLASS: u16 = 42;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;
const RTM_NEWACTION: u16 = 48;
const RTM_DELACTION: u16 = 49;

/// `ETH_P_ALL` of `<linux/if_ether.h>`.
pub const ALL_PROTOCOLS: u16 = 3;

/// Bytes of `struct tcmsg`.
const TCMSG: usize = 20;

/// What a qdisc, a class or an action has counted. A packet that was cut into several on its way counts as several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Bytes that went through, with the Ethernet header.
    pub bytes: u64,
    /// Packets that went through.
    pub packets: u64,
    /// Packets that were dropped.
    pub drops: u64,
    /// How often a packet had to wait, or was over a policer's limit.
    pub overlimits: u64,
    /// Bytes that wait.
    pub backlog: u32,
    /// Packets that wait.
    pub queued: u32,
}

/// A qdisc as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qdisc {
    /// The index of its device.
    pub link: u32,
    /// Its name; [`Handle::NONE`] for one that the kernel made by itself.
    pub handle: Handle,
    /// What it hangs on: [`Handle::ROOT`], [`Handle::INGRESS`] or a class.
    pub parent: Handle,
    /// `htb`, `fq_codel`, `ingress`, …
    pub kind: String,
    /// The default class, of HTB.
    pub default: Option<u16>,
    /// What it has counted.
    pub counters: Counters,
}

/// What an HTB class may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HtbClass {
    /// What it may send by itself, in bytes a second.
    pub rate: u64,
    /// What it may send with what others leave or what it has saved, in bytes a second.
    pub ceil: u64,
    /// How much it may save at `rate`, in bytes.
    pub burst: u64,
    /// How much may go at the speed of the device, in bytes.
    pub cburst: u64,
    /// How much it sends before it is another's turn, in bytes.
    pub quantum: u32,
}

/// A class as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub handle: Handle,
    /// The class above, or [`Handle::ROOT`] at the top.
    pub parent: Handle,
    /// What it may do, of HTB.
    pub htb: Option<HtbClass>,
    /// The qdisc in it; [`Handle::NONE`] for the kernel's default.
    pub leaf: Handle,
    /// What it has counted.
    pub counters: Counters,
}

/// Bytes that a packet must have at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Which bits count.
    pub mask: u32,
    /// What they must be.
    pub value: u32,
    /// Where, counted in bytes from the network header; a multiple of four.
    pub offset: i32,
}

/// A policer: what is beyond its limit is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Police {
    /// The kernel's number for it; 0 lets it choose.
    pub index: u32,
    /// Bytes a second.
    pub rate: u64,
    /// How much may go above that after a rest, in bytes.
    pub burst: u64,
    /// What may go while the burst lasts, in bytes a second.
    pub peak: Option<u64>,
    /// The largest packet that passes, in bytes, and with a peak how much may go at the speed of the device.
    pub mtu: u32,
    /// Bytes that each packet counts for more than it has: at ingress its Ethernet header is already off.
    pub overhead: u16,
}

/// What is done with a packet that a filter matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is dropped if it is beyond a limit.
    Police(Police),
    /// It is sent out of the device with this index.
    Redirect(u32),
    /// Something of this kind, which ncf does not make.
    Other(String),
}

/// A u32 filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct U32 {
    /// All must match; without any, every packet does.
    pub keys: Vec<Key>,
    /// The class that the packet goes to.
    pub class: Option<Handle>,
    /// What is done with it.
    pub action: Option<Action>,
}

/// A filter as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The qdisc that it belongs to.
    pub parent: Handle,
    /// Lower ones are asked first.
    pub priority: u16,
    /// The Ethernet type that it is for, [`ALL_PROTOCOLS`] for every one.
    pub protocol: u16,
    /// The kernel's number for it among those of its priority.
    pub handle: u32,
    /// `u32`, `bpf`, …
    pub kind: String,
    /// What it matches and does, of u32.
    pub u32: Option<U32>,
    /// What its action has counted.
    pub counters: Counters,
}

/// `struct tcmsg`, in the order of the kernel's.
#[derive(Debug, Clone, Copy)]
struct Header {
    link: u32,
    handle: u32,
    parent: u32,
    info: u32,
}

impl Header {
    fn new(link: u32, handle: Handle, parent: Handle) -> Self {
        Self {
            link,
            handle: handle.0,
            parent: parent.0,
            info: 0,
        }
    }

    /// Of the filters of a priority, for every protocol.
    fn filter(link: u32, parent: Handle, priority: u16, handle: u32) -> Self {
        Self {
            link,
            handle,
            parent: parent.0,
            info: u32::from(priority) << 16 | u32::from(ALL_PROTOCOLS.to_be()),
        }
    }

    fn message(self, kind: u16, attributes: &Attributes) -> Raw {
        let mut payload = vec![0; 4];
        for number in [self.link, self.handle, self.parent, self.info] {
            payload.extend(number.to_ne_bytes());
        }
        payload.extend(&attributes.0);
        Raw { kind, payload }
    }

    /// The header of a message and its attributes.
    fn read(message: &Raw) -> Option<(Self, &[u8])> {
        let payload = message.payload.as_slice();
        let number = |index: usize| u32_at(payload, 4 * index);
        let header = Self {
            link: number(1)?,
            handle: number(2)?,
            parent: number(3)?,
            info: number(4)?,
        };
        Some((header, payload.get(TCMSG..)?))
    }
}

/// The kind and the options of a message.
fn kind_and_options(attributes: &[u8]) -> (String, &[u8]) {
    let kind = find(attributes, wire::TCA_KIND)
        .map(text)
        .unwrap_or_default();
    let options = find(attributes, wire::TCA_OPTIONS).unwrap_or_default();
    (kind, options)
}

fn of_kind(kind: &str) -> Attributes {
    Attributes::default().with_text(wire::TCA_KIND, kind)
}

impl Qdisc {
    fn read(message: &Raw) -> Option<Self> {
        let (header, attributes) =
            Header::read(message).filter(|_| message.kind == RTM_NEWQDISC)?;
        let (kind, options) = kind_and_options(attributes);
        let default = (kind == "htb").then(|| wire::read_htb(options)).flatten();
        Some(Self {
            link: header.link,
            handle: Handle(header.handle),
            parent: Handle(header.parent),
            kind,
            default,
            counters: wire::counters(attributes),
        })
    }
}

impl Class {
    fn read(message: &Raw) -> Option<Self> {
        let (header, attributes) =
            Header::read(message).filter(|_| message.kind == RTM_NEWTCLASS)?;
        let (kind, options) = kind_and_options(attributes);
        let htb = (kind == "htb").then(|| wire::read_htb_class(options));
        Some(Self {
            handle: Handle(header.handle),
            parent: Handle(header.parent),
            htb: htb.flatten(),
            leaf: Handle(header.info),
            counters: wire::counters(attributes),
        })
    }
}

impl Filter {
    /// `None` also for what is listed for a priority as a whole and for a hash table.
    fn read(message: &Raw) -> Option<Self> {
        let (header, attributes) =
            Header::read(message).filter(|_| message.kind == RTM_NEWTFILTER)?;
        let (kind, options) = kind_and_options(attributes);
        let read = (kind == "u32").then(|| wire::read_u32(options)).flatten();
        if header.handle == 0 || (kind == "u32" && read.is_none()) {
            return None;
        }
        let (u32, counters) = read.map_or((None, Counters::default()), |(it, counters)| {
            (Some(it), counters)
        });
        Some(Self {
            parent: Handle(header.parent),
            priority: u16::try_from(header.info >> 16).unwrap_or_default(),
            protocol: u16::from_be(u16::try_from(header.info & 0xffff).unwrap_or_default()),
            handle: header.handle,
            kind,
            u32,
            counters,
        })
    }
}

/// What hangs in a class: most share it out among streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// `fq_codel`, with its target and interval in microseconds.
    FqCodel {
        /// The delay that is fine.
        target: u32,
        /// How long it may be more than that.
        interval: u32,
    },
    /// `sfq`, with the seconds after which it hashes anew.
    Sfq {
        /// Seconds.
        perturb: u32,
    },
    /// `pfifo`: packets in the order in which they come, at most so many.
    Pfifo {
        /// Packets.
        limit: u32,
    },
}

impl Leaf {
    /// Its kind, as the kernel names it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::FqCodel { .. } => "fq_codel",
            Self::Sfq { .. } => "sfq",
            Self::Pfifo { .. } => "pfifo",
        }
    }
}

/// Reading.
impl Socket {
    /// All qdiscs of all devices, defaults included.
    pub fn qdiscs(&mut self) -> Result<Vec<Qdisc>> {
        let request = Header::new(0, Handle::NONE, Handle::NONE);
        let answers = self
            .dump(&request.message(RTM_GETQDISC, &Attributes::default()))
            .map_err(|refusal| refusal.during("cannot list the qdiscs"))?;
        Ok(answers.iter().filter_map(Qdisc::read).collect())
    }

    /// The qdisc of a device that hangs on `parent`; `None` where there is none, or only what a device has that
    /// was never up.
    pub fn qdisc(&mut self, link: &Link, parent: Handle) -> Result<Option<Qdisc>> {
        let request = Header::new(link.index, Handle::NONE, parent);
        match self.get_echoed(request.message(RTM_GETQDISC, &Attributes::default())) {
            Ok(answer) => Ok(answer
                .as_ref()
                .and_then(Qdisc::read)
                .filter(|qdisc| qdisc.parent == parent)),
            // EINVAL: the one that is there is not to be shown (qdisc_get_notify() in net/sched/sch_api.c).
            Err(refusal) if refusal.is_any(&[Errno::ENOENT, Errno::EINVAL]) => Ok(None),
            Err(refusal) => {
                Err(refusal.during(format!("cannot look up the qdisc of {}", link.name)))
            }
        }
    }

    /// The classes of a device.
    pub fn classes(&mut self, link: &Link) -> Result<Vec<Class>> {
        let request = Header::new(link.index, Handle::NONE, Handle::NONE);
        let answers = self
            .dump(&request.message(RTM_GETTCLASS, &Attributes::default()))
            .map_err(|refusal| {
                refusal.during(format!("cannot list the classes of {}", link.name))
            })?;
        Ok(answers.iter().filter_map(Class::read).collect())
    }

    /// The filters of a device that belong to the qdisc `parent`.
    pub fn filters(&mut self, link: &Link, parent: Handle) -> Result<Vec<Filter>> {
        let request = Header::new(link.index, Handle::NONE, parent);
        let answers = self
            .dump(&request.message(RTM_GETTFILTER, &Attributes::default()))
            .map_err(|refusal| {
                refusal.during(format!("cannot list the filters of {}", link.name))
            })?;
        Ok(answers.iter().filter_map(Filter::read).collect())
    }
}

/// Whether the kernel refused because it does not know the kind of qdisc, filter or action.
pub fn is_unknown_kind(error: &crate::Error) -> bool {
    Refusal::of(error).is_some_and(|refusal| refusal.is_any(&[Errno::ENOENT, Errno::EOPNOTSUPP]))
}
