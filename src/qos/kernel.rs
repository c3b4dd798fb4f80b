//! What the kernel has of a device, and taking steps.

use std::collections::BTreeMap;

use super::steps::{At, Present, Queue, Step, is_ours};
use super::tree::{FIRST, LEAF, MAJOR, PRIORITY, mac_filter};
use crate::error::{Error, Result};
use crate::sys::name::InterfaceName;
use crate::sys::netlink::Socket;
use crate::sys::netlink::link::Link;
use crate::sys::netlink::tc::{Action, Handle, HtbClass, Key, Leaf, Qdisc, U32, is_unknown_kind};

/// Packets that may wait where the kernel has no fair queue: as many as in most devices. The kernel would take the
/// device's `txqueuelen` when it makes the class, which is 32 for an ifb, and where it is 0 nothing would pass.
const QUEUE: u32 = 1000;

/// Seconds after which `sfq` hashes anew: libvirt's.
const PERTURB: u32 = 10;

/// Microseconds of delay that `fq_codel` takes for fine, and for how long it may be more: the kernel's own.
const TARGET: u64 = 5000;
const INTERVAL: u64 = 100_000;

/// The fair queue that the kernel was found to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fair {
    FqCodel,
    Sfq,
    None,
}

/// A connection to the kernel, with what was learnt of it.
pub struct Kernel {
    socket: Socket,
    links: Option<BTreeMap<InterfaceName, Link>>,
    qdiscs: Option<BTreeMap<u32, Vec<Qdisc>>>,
    fair: Fair,
    police: Option<bool>,
}

impl Kernel {
    /// Connects in the network namespace of the calling thread.
    pub fn open() -> Result<Self> {
        Ok(Self {
            socket: Socket::open()?,
            links: None,
            qdiscs: None,
            fair: Fair::FqCodel,
            police: None,
        })
    }

    /// Reads all devices and qdiscs at once, for whoever is going to ask for many.
    pub fn read_all(&mut self) -> Result<()> {
        let links = self.socket.links()?;
        let mut qdiscs: BTreeMap<u32, Vec<Qdisc>> = BTreeMap::new();
        for qdisc in self.socket.qdiscs()? {
            qdiscs.entry(qdisc.link).or_default().push(qdisc);
        }
        let named = links.into_iter().map(|link| (link.name.clone(), link));
        self.links = Some(named.collect());
        self.qdiscs = Some(qdiscs);
        Ok(())
    }

    /// The connection itself.
    pub fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// All devices.
    pub fn links(&mut self) -> Result<Vec<Link>> {
        match &self.links {
            Some(links) => Ok(links.values().cloned().collect()),
            None => self.socket.links(),
        }
    }

    /// The device of that name.
    pub fn link(&mut self, name: &InterfaceName) -> Result<Option<Link>> {
        match &self.links {
            Some(links) => Ok(links.get(name).cloned()),
            None => self.socket.link(name),
        }
    }

    /// Whether there are policers.
    pub fn has_police(&mut self) -> Result<bool> {
        if let Some(known) = self.police {
            return Ok(known);
        }
        let known = self.socket.has_police()?;
        self.police = Some(known);
        Ok(known)
    }

    /// What the kernel has of a device.
    pub fn present(&mut self, link: &Link) -> Result<Present> {
        let known = self.qdiscs.as_mut().map(|all| all.remove(&link.index));
        let (root, ingress) = match known {
            Some(qdiscs) => {
                let on = |parent| {
                    let mut qdiscs = qdiscs.iter().flatten();
                    qdiscs.find(|qdisc| qdisc.parent == parent).cloned()
                };
                (on(Handle::ROOT), on(Handle::INGRESS))
            }
            None => (
                self.socket.qdisc(link, Handle::ROOT)?,
                self.socket.qdisc(link, Handle::INGRESS)?,
            ),
        };
        let root = self.queue(link, root)?;
        let filters = match &ingress {
            Some(_) => self.socket.filters(link, Handle::INGRESS_FILTERS)?,
            None => Vec::new(),
        };
        let ifb = match self.link(&ifb_name(link)?)?.filter(is_our_ifb) {
            Some(ifb) => {
                let root = self.socket.qdisc(&ifb, Handle::ROOT)?;
                let queue = self.queue(&ifb, root)?;
                Some((ifb, queue))
            }
            None => None,
        };
        Ok(Present {
            link: link.clone(),
            root,
            ingress: Queue {
                qdisc: ingress,
                classes: Vec::new(),
                filters,
            },
            ifb,
        })
    }

    fn queue(&mut self, link: &Link, qdisc: Option<Qdisc>) -> Result<Queue> {
        let mut queue = Queue {
            qdisc,
            ..Queue::default()
        };
        if let Some(root) = queue.qdisc.as_ref().filter(|root| is_ours(root)) {
            // Those of the fair queues inside, one for each busy stream, are listed too.
            queue.classes = self.socket.classes(link)?;
            queue.classes.retain(|class| class.handle.major() == MAJOR);
            let handle = root.handle;
            // A tree has the class for the rest; only there are filters.
            if queue.classes.len() > 1 {
                queue.filters = self.socket.filters(link, handle)?;
            }
        }
        Ok(queue)
    }

    /// Takes steps, in order. Where one fails, what those before it have made anew is taken away again; what they
    /// have changed stays changed, and the caller applies what was there before.
    pub fn take(&mut self, present: &Present, steps: &[Step]) -> Result<()> {
        let mut ifb = present.ifb.as_ref().map(|(link, _)| link.clone());
        for (done, step) in steps.iter().enumerate() {
            if let Err(error) = self.step(&present.link, &mut ifb, step) {
                let made = steps
                    .iter()
                    .take(done)
                    .rev()
                    .filter(|step| step.makes_new());
                for made in made {
                    // The error that counts is the first one.
                    let _ = self.unmake(&present.link, ifb.as_ref(), made);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn unmake(&mut self, link: &Link, ifb: Option<&Link>, step: &Step) -> Result<()> {
        match (step, ifb) {
            (Step::AddHtb(At::Device, _), _) => self.socket.delete_qdisc(link, Handle::ROOT),
            (Step::AddIngress, _) => self.socket.delete_qdisc(link, Handle::INGRESS),
            (Step::AddIfb, Some(ifb)) => self.socket.delete_link(ifb),
            _ => Ok(()),
        }
    }

    fn step(&mut self, link: &Link, ifb: &mut Option<Link>, step: &Step) -> Result<()> {
        let none = || Error::failed(format!("{} has no ifb", link.name));
        let on = |at: &At, ifb: &Option<Link>| match at {
            At::Device => Ok(link.clone()),
            At::Ifb => ifb.clone().ok_or_else(none),
        };
        let root = Handle::new(MAJOR, 0);
        let class = |minor: u16| match minor {
            0 => root,
            _ => Handle::new(MAJOR, minor),
        };
        let redirect = |ifb: &Option<Link>| {
            let ifb = ifb.as_ref().ok_or_else(none)?;
            Ok::<_, Error>(everything(Action::Redirect(ifb.index)))
        };
        let socket = &mut self.socket;
        match step {
            Step::AddHtb(at, default) => socket.add_htb(&on(at, ifb)?, root, *default),
            Step::PutClass(at, minor, parent, htb) => {
                socket.put_class(&on(at, ifb)?, class(*minor), class(*parent), htb)
            }
            Step::AddLeaf(at, minor, htb) => self.add_leaf(&on(at, ifb)?, *minor, htb),
            Step::DeleteClass(at, minor) => socket.delete_class(&on(at, ifb)?, class(*minor)),
            Step::AddMacFilter(mac, minor) => {
                socket.add_filter(link, root, PRIORITY, &mac_filter(*mac, *minor))
            }
            Step::DeleteFilter(filter) => socket.delete_filter(link, filter),
            Step::DeleteRoot => socket.delete_qdisc(link, Handle::ROOT),
            Step::AddIfb => {
                let name = ifb_name(link)?;
                let alias = format!("ncf: what enters {}", link.name);
                socket.create_ifb(&name, &alias, QUEUE)?;
                *ifb = socket.link(&name)?;
                Ok(())
            }
            Step::DeleteIfb => socket.delete_link(&on(&At::Ifb, ifb)?),
            Step::AddIngress => socket.add_ingress(link),
            Step::DeleteIngress => socket.delete_qdisc(link, Handle::INGRESS),
            Step::AddPolice(police) => {
                add_ingress_filter(socket, link, &everything(Action::Police(*police)))
            }
            Step::AddRedirect => add_ingress_filter(socket, link, &redirect(ifb)?),
            Step::FilterToPolice(filter, police) => {
                socket.change_filter(link, filter, &everything(Action::Police(*police)))
            }
            Step::FilterToRedirect(filter) => socket.change_filter(link, filter, &redirect(ifb)?),
            Step::ChangePolice(police) => socket.change_police(link, police),
        }
    }

    /// A queue in a class: the fairest that the kernel has.
    fn add_leaf(&mut self, link: &Link, minor: u16, htb: &HtbClass) -> Result<()> {
        loop {
            let (leaf, next) = match self.fair {
                Fair::FqCodel => (fq_codel(htb), Fair::Sfq),
                Fair::Sfq => (Leaf::Sfq { perturb: PERTURB }, Fair::None),
                Fair::None => (Leaf::Pfifo { limit: QUEUE }, Fair::None),
            };
            let (class, handle) = (Handle::new(MAJOR, minor), Handle::new(LEAF | minor, 0));
            match self.socket.add_leaf(link, class, handle, leaf) {
                Err(error) if is_unknown_kind(&error) && self.fair != Fair::None => {
                    self.fair = next;
                }
                done => return done,
            }
        }
    }
}

/// What `fq_codel` takes for a fine delay: not less than one and a half packets take, for at a low rate each of them
/// would be late.
fn fq_codel(htb: &HtbClass) -> Leaf {
    let packet = u64::from(htb.quantum.min(1514)) * 1_500_000 / htb.rate.max(1);
    let target = packet.max(TARGET);
    let number = |microseconds: u64| u32::try_from(microseconds).unwrap_or(u32::MAX);
    Leaf::FqCodel {
        target: number(target),
        interval: number(target - TARGET + INTERVAL),
    }
}

/// A filter that every packet matches.
fn everything(action: Action) -> U32 {
    U32 {
        keys: vec![Key {
            mask: 0,
            value: 0,
            offset: 0,
        }],
        class: Some(Handle::new(0, FIRST)),
        action: Some(action),
    }
}

fn add_ingress_filter(socket: &mut Socket, link: &Link, filter: &U32) -> Result<()> {
    socket.add_filter(link, Handle::INGRESS_FILTERS, PRIORITY, filter)
}

/// The name of the ifb for what enters a device: `ncfi` and the device's index, which stays when it is renamed.
pub fn ifb_name(link: &Link) -> Result<InterfaceName> {
    let name = format!("ncfi{}", link.index);
    name.parse()
        .map_err(|why| Error::failed(format!("no ifb for {}", link.name)).because(why))
}

/// Whether a device is an ifb that ncf has made.
pub fn is_our_ifb(link: &Link) -> bool {
    link.kind.as_deref() == Some("ifb") && link.name.as_str().starts_with("ncfi")
}
