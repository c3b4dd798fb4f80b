//! Traffic control: qdiscs, classes, filters and their counters.
//!
//! What an attribute is made of is in `wire`, the names of things and the unit of time in `handle`. The messages
//! are our own ([`super::raw`]) and not the library's: it leaves out of a list what it cannot decode, and a
//! filter of somebody else must be seen even if nothing is known of it but its kind.

mod handle;
mod wire;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use nix::errno::Errno;

use super::Socket;
use super::link::Link;
use super::raw::{Attributes, Raw, find, text, u32_at};
use super::refusal::Refusal;
use crate::error::{Context as _, Result};

use handle::gone_is_done;
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

/// The number of the policer that is made to see whether one can be; `nc` in ASCII and one.
const PROBE: u32 = 0x6e63_0001;

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

/// What hangs in a class and shares it out among streams.
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
}

impl Leaf {
    /// Its kind, as the kernel names it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::FqCodel { .. } => "fq_codel",
            Self::Sfq { .. } => "sfq",
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
        match self.get(request.message(RTM_GETQDISC, &Attributes::default())) {
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

/// Changing.
impl Socket {
    /// Puts HTB at the root of a device, in the place of what is there, and sends what no filter places to the class
    /// `handle:default`.
    pub fn add_htb(&mut self, link: &Link, handle: Handle, default: u16) -> Result<()> {
        let attributes = of_kind("htb").with_nest(wire::TCA_OPTIONS, &wire::htb(default));
        let request = Header::new(link.index, handle, Handle::ROOT);
        self.change(
            request.message(RTM_NEWQDISC, &attributes),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
        .map_err(|refusal| {
            refusal.during(format!(
                "cannot make the qdisc htb {handle} of {}",
                link.name
            ))
        })
    }

    /// Gives a class the qdisc that shares it out.
    pub fn add_leaf(
        &mut self,
        link: &Link,
        class: Handle,
        handle: Handle,
        leaf: Leaf,
    ) -> Result<()> {
        let attributes = of_kind(leaf.kind());
        let attributes = match leaf {
            Leaf::FqCodel { target, interval } => {
                attributes.with_nest(wire::TCA_OPTIONS, &wire::fq_codel(target, interval))
            }
            Leaf::Sfq { perturb } => attributes.with(wire::TCA_OPTIONS, &wire::sfq(perturb)),
        };
        let request = Header::new(link.index, handle, class);
        self.change(
            request.message(RTM_NEWQDISC, &attributes),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
        .map_err(|refusal| {
            let kind = leaf.kind();
            refusal.during(format!(
                "cannot make the qdisc {kind} in class {class} of {}",
                link.name
            ))
        })
    }

    /// Gives a device an ingress qdisc, where filters for what it receives hang.
    pub fn add_ingress(&mut self, link: &Link) -> Result<()> {
        let request = Header::new(link.index, Handle::INGRESS_FILTERS, Handle::INGRESS);
        self.change(
            request.message(RTM_NEWQDISC, &of_kind("ingress")),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .map_err(|refusal| {
            refusal.during(format!("cannot make the ingress qdisc of {}", link.name))
        })
    }

    /// Deletes the qdisc that hangs on `parent` with all that is in it, after which the kernel puts its default
    /// there. One that is gone already is no error.
    pub fn delete_qdisc(&mut self, link: &Link, parent: Handle) -> Result<()> {
        let request = Header::new(link.index, Handle::NONE, parent);
        let done = self.change(request.message(RTM_DELQDISC, &Attributes::default()), 0);
        gone_is_done(done.map_err(|refusal| {
            let what = if parent == Handle::INGRESS {
                "ingress"
            } else {
                "root"
            };
            refusal.during(format!("cannot delete the {what} qdisc of {}", link.name))
        }))
    }

    /// Makes a class, or changes the one that is there: its counters and what waits in it stay.
    pub fn put_class(
        &mut self,
        link: &Link,
        handle: Handle,
        parent: Handle,
        class: &HtbClass,
    ) -> Result<()> {
        let failed = || format!("cannot set the class {handle} of {}", link.name);
        let options = wire::htb_class(class).context(failed)?;
        let attributes = of_kind("htb").with_nest(wire::TCA_OPTIONS, &options);
        let request = Header::new(link.index, handle, parent);
        self.change(request.message(RTM_NEWTCLASS, &attributes), NLM_F_CREATE)
            .map_err(|refusal| refusal.during(failed()))
    }

    /// Deletes a class that nothing is classified to. One that is gone already is no error.
    pub fn delete_class(&mut self, link: &Link, handle: Handle) -> Result<()> {
        let request = Header::new(link.index, handle, Handle::NONE);
        let done = self.change(request.message(RTM_DELTCLASS, &Attributes::default()), 0);
        gone_is_done(done.map_err(|refusal| {
            refusal.during(format!("cannot delete the class {handle} of {}", link.name))
        }))
    }

    /// Adds a filter of this priority for every protocol.
    pub fn add_filter(
        &mut self,
        link: &Link,
        parent: Handle,
        priority: u16,
        filter: &U32,
    ) -> Result<()> {
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.put_filter(
            link,
            Header::filter(link.index, parent, priority, 0),
            filter,
            flags,
        )
    }

    /// Gives a filter that is there another action, with no packet in between that has neither.
    pub fn change_filter(&mut self, link: &Link, old: &Filter, new: &U32) -> Result<()> {
        let header = Header::filter(link.index, old.parent, old.priority, old.handle);
        self.put_filter(link, header, new, 0)
    }

    fn put_filter(&mut self, link: &Link, header: Header, filter: &U32, flags: u16) -> Result<()> {
        let failed = || format!("cannot set a filter of {}", link.name);
        let options = wire::u32(filter).context(failed)?;
        let attributes = of_kind("u32").with_nest(wire::TCA_OPTIONS, &options);
        self.change(header.message(RTM_NEWTFILTER, &attributes), flags)
            .map_err(|refusal| refusal.during(failed()))
    }

    /// Deletes a filter. One that is gone already is no error.
    pub fn delete_filter(&mut self, link: &Link, filter: &Filter) -> Result<()> {
        let header = Header {
            info: u32::from(filter.priority) << 16 | u32::from(filter.protocol.to_be()),
            ..Header::filter(link.index, filter.parent, filter.priority, filter.handle)
        };
        let message = header.message(RTM_DELTFILTER, &of_kind(&filter.kind));
        let done = self.change(message, 0);
        gone_is_done(
            done.map_err(|refusal| {
                refusal.during(format!("cannot delete a filter of {}", link.name))
            }),
        )
    }

    /// Changes the policer with the index that it has, whichever filters use it. Its counters stay.
    pub fn change_police(&mut self, link: &Link, police: &Police) -> Result<()> {
        let failed = || format!("cannot change the policer of {}", link.name);
        let action = wire::action(&Action::Police(*police)).context(failed)?;
        self.change(
            about_action(RTM_NEWACTION, &action),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
        .map_err(|refusal| refusal.during(failed()))
    }

    /// Whether this kernel has policers. One that no filter uses is made and deleted.
    pub fn has_police(&mut self) -> Result<bool> {
        let police = Police {
            index: PROBE,
            rate: 1_000_000,
            burst: 65_536,
            peak: None,
            mtu: 65_536,
            overhead: 0,
        };
        let action = wire::action(&Action::Police(police))?;
        let made = self.change(about_action(RTM_NEWACTION, &action), NLM_F_CREATE);
        match made {
            Ok(()) => {
                let action = wire::police_number(PROBE);
                self.change(about_action(RTM_DELACTION, &action), 0)
                    .map_err(|refusal| refusal.during("cannot delete a policer"))?;
                Ok(true)
            }
            Err(refusal) if refusal.is_any(&[Errno::EEXIST]) => Ok(true),
            Err(refusal) if refusal.is_any(&[Errno::ENOENT, Errno::EOPNOTSUPP]) => Ok(false),
            Err(refusal) => Err(refusal.during("cannot see whether the kernel has policers")),
        }
    }
}

/// `struct tcamsg`, a family and padding, and one action.
fn about_action(kind: u16, action: &Attributes) -> Raw {
    let mut payload = vec![0; 4];
    payload.extend(Attributes::default().with_nest(wire::TCA_ACT_TAB, action).0);
    Raw { kind, payload }
}

/// Whether the kernel refused because it does not know the kind of qdisc, filter or action.
pub fn is_unknown_kind(error: &crate::Error) -> bool {
    Refusal::of(error).is_some_and(|refusal| refusal.is_any(&[Errno::ENOENT, Errno::EOPNOTSUPP]))
}
