//! A guest's definition made this host's: each `<interface type='network'>` becomes what that network is here. Everything
//! else stays byte for byte as it was.
//!
//! A device that no two guests may have is reserved for the guest, across reboots, until it is released: libvirt and not ncf
//! plugs it, so there is no port that would say that it is taken. A guest that is resolved again gets the same device.
//! Each reservation is one file, written durably; a process that is killed between two leaves the first, which the next
//! resolve of that guest takes up.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | [`resolve`], [`check`] |
//! | `domain` | what a guest's definition says |
//! | `render` | an interface rewritten |

mod domain;
pub mod render;

use std::collections::BTreeMap;

use uuid::Uuid;

pub use domain::{Domain, Interface};

use crate::error::{Error, Result};
use crate::qos::{self, Qos};
use crate::state::{Lock, StateDir};
use crate::sys::boot;
use crate::sys::name::InterfaceName;
use crate::vnet::active::Running;
use crate::vnet::model::{Forward, Network, PortSettings};
use crate::vnet::name::NetworkName;
use crate::vnet::plug::{Kernel, Place, Placed};
use crate::vnet::pool::{Device, Sharing, Skipped, Usage};
use crate::vnet::ports::{Holders, Owner, Ports, Reservation, Reserved};
use crate::vnet::store::Store;
use crate::xml::{Edit, Source};

/// Which devices are reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserve {
    /// Those that no two guests may have.
    Exclusive,
    /// All, so that shared ones are counted too.
    All,
    /// None: the next guest may get the same.
    Nothing,
}

/// What becomes of an interface on a network that is not defined here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// It is an error.
    Refuse,
    /// It stays as it is: it may be another program's, such as libvirt's own.
    Keep,
}

/// A definition for this host.
#[derive(Debug)]
pub struct Resolved {
    /// The document.
    pub text: String,
    /// What became of each interface, in order.
    pub interfaces: Vec<Answer>,
}

/// One interface's place.
#[derive(Debug)]
pub struct Answer {
    /// The network.
    pub network: NetworkName,
    /// What it is here; `None` where the interface stays as it is.
    pub place: Option<Place>,
    /// What was passed over.
    pub skipped: Vec<Skipped>,
    /// Whether its device is reserved for the guest.
    pub reserved: bool,
}

/// What a host would do with one interface.
#[derive(Debug)]
pub struct Verdict {
    /// The network.
    pub network: NetworkName,
    /// Its place, or why there is none.
    pub place: Result<Placed>,
}

/// Whoever looks for places: what is used, and the kernel.
struct Finder<'a> {
    state: &'a StateDir,
    lock: &'a Lock,
    kernel: Kernel,
    usage: Usage,
    ports: Ports,
    all_reserved: Reserved,
    reserved: Vec<Reservation>,
    /// What this guest's earlier interfaces would be promised, in bytes a second.
    promised: BTreeMap<InterfaceName, u64>,
}

impl<'a> Finder<'a> {
    fn new(state: &'a StateDir, lock: &'a Lock, owner: &Owner) -> Result<Self> {
        let ports = Ports::new(state, &boot::id()?);
        let all_reserved = Reserved::beside(&ports);
        let mut usage = Usage::default();
        ports.index()?.count(&mut usage);
        all_reserved.count(&mut usage, &[])?;
        Ok(Self {
            state,
            lock,
            kernel: Kernel::open()?,
            usage,
            reserved: all_reserved.of(owner)?,
            ports,
            all_reserved,
            promised: BTreeMap::new(),
        })
    }

    /// The definition that a network runs by.
    fn network(&self, name: &NetworkName) -> Result<Network> {
        Running::new(self.state).must_run(name)
    }

    /// The place of an interface, and what its port has. What it takes counts from now on.
    fn place(&mut self, interface: &Interface<'_>) -> Result<(Placed, PortSettings)> {
        let network = self.network(&interface.network)?;
        let settings = PortSettings::of(&network, &interface.request)?;
        vlan_fits(&network, &settings)?;
        let kept = self.kept(interface).and_then(Reservation::kept);
        let holders = Holders {
            ports: &self.ports,
            reserved: &self.all_reserved,
        };
        let placed =
            self.kernel
                .place(&network, &settings, &self.usage, kept.as_ref(), &holders)?;
        self.limits_fit(&network, &settings, &placed.place)?;
        let (device, sharing) = placed.place.device();
        if kept.as_ref() != Some(&device) {
            self.usage.add(device, sharing);
        }
        Ok((placed, settings))
    }

    /// Fails where the network cannot promise the guest its floor.
    fn limits_fit(
        &mut self,
        network: &Network,
        settings: &PortSettings,
        place: &Place,
    ) -> Result<()> {
        let inbound = settings.bandwidth.and_then(|limits| limits.inbound);
        let Some(floor) = inbound.and_then(|limit| limit.floor()) else {
            return Ok(());
        };
        let name = &network.name;
        let Place::Bridge(bridge) = place else {
            return Err(Error::failed(format!(
                "a floor of {floor} cannot be kept: the network {name} has no bridge"
            )));
        };
        let mut qos = Qos::open(self.state, self.lock, true)?;
        let left = qos::network::left(&mut qos, bridge)?;
        let promised = self.promised.entry(bridge.clone()).or_default();
        let left = left.map_or(0, |left| left.saturating_sub(*promised));
        if floor.bytes() > left {
            return Err(Error::failed(format!(
                "the network {name} cannot promise a floor of {floor}: it has {left} bytes a second left to promise"
            )));
        }
        *promised += floor.bytes();
        Ok(())
    }

    fn kept(&self, interface: &Interface<'_>) -> Option<&Reservation> {
        self.reserved
            .iter()
            .find(|it| it.network == interface.network && it.interface == interface.number)
    }

    fn is_known(&self, name: &NetworkName) -> Result<bool> {
        Ok(Store::new(self.state).definition(name)?.is_some()
            || Running::new(self.state).active(name)?.is_some())
    }
}

/// Fails where the interface is to be in a VLAN that nobody could put it into.
fn vlan_fits(network: &Network, settings: &PortSettings) -> Result<()> {
    match &network.forward {
        Forward::Macvtap(macvtap)
            if settings.vlan.is_some() && !macvtap.takes_vlans(settings.virtual_port.is_some()) =>
        {
            Err(Error::failed(format!(
                "it is to be in a VLAN, and a port of the network {} cannot be: it is a macvtap network of mode {}",
                network.name,
                macvtap.mode.as_str()
            )))
        }
        _ => Ok(()),
    }
}

/// Makes a guest's definition this host's.
///
/// Fails, with reserved what was before, at the first interface that has no place here; the error says where
/// in the document.
pub fn resolve(
    state: &StateDir,
    lock: &Lock,
    source: &Source,
    reserve: Reserve,
    unknown: Unknown,
) -> Result<Resolved> {
    let mut made = Vec::new();
    let resolved = resolve_noting(state, lock, source, reserve, unknown, &mut made);
    let ports = Ports::new(state, &boot::id()?);
    resolved.map_err(|error| {
        let reserved = Reserved::beside(&ports);
        let undone = made.iter().map(|made| made.undo(&reserved, lock));
        match undone.collect::<Vec<_>>().into_iter().find_map(Result::err) {
            None => error,
            Some(left) => error.hint(format!("a device stays reserved: {}", left.one_line())),
        }
    })
}

fn resolve_noting(
    state: &StateDir,
    lock: &Lock,
    source: &Source,
    reserve: Reserve,
    unknown: Unknown,
    made: &mut Vec<Made>,
) -> Result<Resolved> {
    let document = source.parse()?;
    let domain = Domain::from_document(&document)?;
    let mut finder = Finder::new(state, lock, &domain.owner)?;
    let ports = Ports::new(state, &boot::id()?);
    let reserved = Reserved::beside(&ports);
    let mut edit = Edit::new(source);
    let mut answers = Vec::new();
    for interface in &domain.interfaces {
        let network = &interface.network;
        if unknown == Unknown::Keep && !finder.is_known(network)? {
            answers.push(Answer {
                network: network.clone(),
                place: None,
                skipped: Vec::new(),
                reserved: false,
            });
            continue;
        }
        let (placed, settings) = finder
            .place(interface)
            .map_err(|error| at(interface, &error))?;
        render::interface(&mut edit, interface, &placed.place, &settings)?;
        let (device, sharing) = placed.place.device();
        let is_device = !matches!(placed.place, Place::Bridge(_));
        let wanted = match reserve {
            Reserve::Nothing => false,
            Reserve::Exclusive => sharing == Sharing::Exclusive,
            Reserve::All => is_device,
        };
        let kept = finder.kept(interface).cloned();
        if wanted {
            let new = reservation(&domain, interface, &device, sharing);
            renew(&reserved, lock, kept.as_ref(), new, made)?;
        }
        answers.push(Answer {
            network: network.clone(),
            place: Some(placed.place),
            skipped: placed.skipped,
            reserved: wanted || kept.is_some_and(|it| it.kept() == Some(device)),
        });
    }
    Ok(Resolved {
        text: edit.finish(),
        interfaces: answers,
    })
}

/// A reservation that was made, and the one that it took the place of.
struct Made {
    new: Reservation,
    before: Option<Reservation>,
}

impl Made {
    /// The earlier one first: for a moment the guest has both, and never none.
    fn undo(&self, reserved: &Reserved, lock: &Lock) -> Result<()> {
        if let Some(before) = &self.before {
            reserved.add(lock, before)?;
        }
        reserved.remove(lock, &self.new)
    }
}

/// Reserves a device, in the place of one that the guest had and can no longer use.
fn renew(
    reserved: &Reserved,
    lock: &Lock,
    kept: Option<&Reservation>,
    new: Reservation,
    made: &mut Vec<Made>,
) -> Result<()> {
    if kept.is_some_and(|kept| kept.device == new.device && kept.exclusive == new.exclusive) {
        return Ok(());
    }
    reserved.add(lock, &new)?;
    made.push(Made {
        new,
        before: kept.cloned(),
    });
    match kept {
        Some(kept) => reserved.remove(lock, kept),
        None => Ok(()),
    }
}

fn reservation(
    domain: &Domain<'_>,
    interface: &Interface<'_>,
    device: &Device,
    sharing: Sharing,
) -> Reservation {
    Reservation {
        id: Uuid::new_v4(),
        network: interface.network.clone(),
        owner: domain.owner.clone(),
        uuid: domain.uuid,
        interface: interface.number,
        device: device.to_string(),
        exclusive: sharing == Sharing::Exclusive,
        since: jiff::Timestamp::now(),
    }
}

/// The error with its place in the document, of the same kind and with the same hints.
fn at(interface: &Interface<'_>, error: &Error) -> Error {
    let placed = interface.element.error(error.one_line());
    let mut full = Error::new(error.kind(), placed.to_string());
    if let Some(lines) = placed.excerpt_lines() {
        full = full.excerpt(lines);
    }
    error.hints().iter().fold(full, Error::hint)
}

/// Says of each interface of a guest whether this host has a place for it. Nothing is changed.
pub fn check(state: &StateDir, lock: &Lock, source: &Source) -> Result<(Owner, Vec<Verdict>)> {
    let document = source.parse()?;
    let domain = Domain::from_document(&document)?;
    let mut finder = Finder::new(state, lock, &domain.owner)?;
    let verdicts = domain.interfaces.iter().map(|interface| Verdict {
        network: interface.network.clone(),
        place: finder.place(interface).map(|(placed, _)| placed),
    });
    let verdicts = verdicts.collect();
    Ok((domain.owner, verdicts))
}

/// Gives back what is reserved for a guest, by its name or its uuid.
///
/// Goes on where one fails; the first error is returned in the end.
pub fn release(state: &StateDir, lock: &Lock, guest: &str) -> Result<Vec<Reservation>> {
    let reserved = Reserved::beside(&Ports::new(state, &boot::id()?));
    let uuid = Uuid::parse_str(guest).ok();
    let mut released = Vec::new();
    let mut failed = None;
    for reservation in reserved.list()? {
        let by_uuid = uuid.is_some() && reservation.uuid == uuid;
        if reservation.owner.as_str() != guest && !by_uuid {
            continue;
        }
        match reserved.remove(lock, &reservation) {
            Ok(()) => released.push(reservation),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(released), Err)
}
