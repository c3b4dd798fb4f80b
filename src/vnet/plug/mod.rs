//! Plugging guests into networks and unplugging them.
//!
//! All of it happens under the lock of the state directory. A port is noted before the kernel is touched (see
//! [`crate::vnet::ports`]), and [`Plugger::open`] begins by undoing what a killed process left: so after any of ncf's
//! commands that plugs or unplugs, state and kernel agree. [`Plugger::repair`] looks at the finished ports too.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | [`Plugger`]: plug, unplug, repair |
//! | `look` | whether a device can be had |
//! | `place` | where a guest that is not plugged here would be |
//! | `make` | a port made real |
//! | `function` | virtual functions, changed and put back |
//! | `limits` | limits of ports |
//! | `undo` | and made undone |
//! | `delete` | devices deleted without waiting for the kernel to free them |
//! | `refusal` | what cannot be had, and why |
//! | `repair` | state and kernel made to agree |

pub mod delete;
mod function;
pub(super) mod limits;
mod look;
mod make;
mod place;
mod refusal;
mod repair;
mod undo;

use std::path::PathBuf;
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::state::{Lock, StateDir};
use crate::sys::boot;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::netlink::Socket;
use crate::sys::netlink::link::Link;
use crate::sys::netlink::macvtap::Mode;
use crate::sys::sriov::Sysfs;
use crate::vnet::model::{
    Devices, Forward, MacTable, MacvtapMode, Network, PortRequest, PortSettings, VirtualPortKind,
};
use crate::vnet::pool::{self, Choice, Device, Sharing, Skipped, Tried, Usage};
use crate::vnet::ports::{
    Connection, Holders, Hostdev, Index, Macvtap, Owner, Port, PortId, Ports, Read, Reservation,
    Reserved, Tap,
};

pub use delete::Deleting;
pub use place::{Place, Placed};
pub use repair::Repaired;

/// How many queues a port may have: `MAX_TAP_QUEUES` in the kernel's `drivers/net/tap.c` and `tun.c`.
pub const MAX_QUEUES: u16 = 256;

/// The running kernel, as far as ports need it.
pub struct Kernel {
    socket: Socket,
    sysfs: Sysfs,
    deleting: Deleting,
}

impl Kernel {
    /// That of the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        Ok(Self {
            socket: Socket::open()?,
            sysfs: Sysfs::new("/sys"),
            deleting: Deleting::default(),
        })
    }

    /// The devices of a pool, the functions of a card enumerated now.
    ///
    /// For `passthrough` and the other macvtap modes these are the functions' network devices: one that has none,
    /// because another driver has it, is left out.
    pub(super) fn devices(&self, devices: &Devices, as_links: bool) -> Result<Vec<Device>> {
        match devices {
            Devices::Interfaces(names) => Ok(names.iter().cloned().map(Device::Link).collect()),
            Devices::Addresses(addresses) => {
                let addresses = addresses.iter().map(|it| Device::Pci(*it));
                Ok(addresses.collect())
            }
            Devices::VirtualFunctions(physical) => {
                let functions = self.sysfs.virtual_functions(physical)?;
                if !as_links {
                    return Ok(functions.into_iter().map(Device::Pci).collect());
                }
                let mut links = Vec::new();
                for address in functions {
                    let function = self.sysfs.function(address)?;
                    links.extend(function.and_then(|it| it.device).map(Device::Link));
                }
                Ok(links)
            }
        }
    }
}

/// What a port is asked to be.
#[derive(Debug, Clone)]
pub struct Request {
    /// The guest.
    pub owner: Owner,
    /// The guest's address; `None` has one made.
    pub mac: Option<MacAddress>,
    /// Portgroup, limits and the like.
    pub port: PortRequest,
    /// The user who runs the hypervisor, if not root.
    pub user: Option<u32>,
    /// Its group.
    pub group: Option<u32>,
    /// How many queues, 1 to [`MAX_QUEUES`].
    pub queues: u16,
}

/// A port that was made.
#[derive(Debug)]
pub struct Plugged {
    /// The port.
    pub port: Port,
    /// What was passed over on the way.
    pub skipped: Vec<Skipped>,
}

/// Plugs and unplugs, with the lock held.
pub struct Plugger<'a> {
    state: &'a StateDir,
    lock: &'a Lock,
    ports: Ports,
    reserved: Reserved,
    kernel: Kernel,
    /// What the names of records say; `None` once they have changed.
    index: Option<Rc<Index>>,
    repaired: Vec<Repaired>,
}

impl<'a> Plugger<'a> {
    /// Begins, and undoes what a killed process left half-made or half-removed.
    pub fn open(state: &'a StateDir, lock: &'a Lock, deleting: Deleting) -> Result<Self> {
        let ports = Ports::new(state, &boot::id()?);
        ports.prepare(lock)?;
        let mut plugger = Self {
            state,
            lock,
            reserved: Reserved::beside(&ports),
            ports,
            kernel: Kernel {
                deleting,
                ..Kernel::open()?
            },
            index: None,
            repaired: Vec::new(),
        };
        plugger.undo_unfinished()?;
        Ok(plugger)
    }

    /// What was repaired so far, and what could not be.
    pub fn repaired(&mut self) -> Vec<Repaired> {
        std::mem::take(&mut self.repaired)
    }

    /// Plugs a guest into a network. On failure nothing of it is left.
    pub fn plug(&mut self, network: &Network, request: &Request) -> Result<Plugged> {
        let settings = PortSettings::of(network, &request.port)?;
        refusal::refuse(network, &settings)?;
        if !(1..=MAX_QUEUES).contains(&request.queues) {
            let message = format!(
                "a port has 1 to {MAX_QUEUES} queues, not {}",
                request.queues
            );
            return Err(Error::usage(message));
        }
        let making = Making {
            network,
            request,
            settings,
            id: self.free_id()?,
            mac: request.mac.unwrap_or_else(random_mac),
        };
        match &network.forward {
            Forward::Virtual(bridge) => self.plug_bridge(&making, &bridge.name),
            Forward::HostBridge(name) => self.plug_bridge(&making, name),
            Forward::Macvtap(macvtap) => self.plug_macvtap(&making, macvtap),
            Forward::Hostdev {
                managed,
                driver,
                devices,
            } => {
                let driver = driver.map(place::driver);
                self.plug_hostdev(&making, *managed, driver.as_deref(), devices)
            }
        }
    }

    /// The next port's name. One that a device has already, of another state directory's say, is passed over.
    fn free_id(&mut self) -> Result<PortId> {
        loop {
            let index = self.index()?;
            let id = self.ports.next_id(self.lock, &index)?;
            let name = make::device_name(&id.to_string())?;
            if id == PortId(u32::MAX) || self.kernel.socket.link(&name)?.is_none() {
                return Ok(id);
            }
        }
    }

    /// Unplugs the port of that name.
    pub fn unplug(&mut self, id: PortId) -> Result<Port> {
        let index = self.index()?;
        let port = self.ports.must_have(&index, id)?;
        self.unplug_port(&port)?;
        Ok(port)
    }

    /// Unplugs all ports of a guest. On failure the others are unplugged all the same.
    pub fn unplug_all(&mut self, owner: &Owner) -> Result<(Vec<Port>, Vec<Error>)> {
        let mut done = Vec::new();
        let mut failed = Vec::new();
        let index = self.index()?;
        for read in self.ports.of(&index, owner) {
            match read {
                Read::Port(port) => match self.unplug_port(&port) {
                    Ok(()) => done.push(*port),
                    Err(error) => failed.push(error),
                },
                Read::Broken(_, error) => failed.push(error),
            }
        }
        Ok((done, failed))
    }

    /// What the names of records say: nobody else changes them as long as the lock is held.
    fn index(&mut self) -> Result<Rc<Index>> {
        if let Some(index) = &self.index {
            return Ok(Rc::clone(index));
        }
        let index = Rc::new(self.ports.index()?);
        self.index = Some(Rc::clone(&index));
        Ok(index)
    }

    fn unplug_port(&mut self, port: &Port) -> Result<()> {
        self.index = None;
        self.ports.withdraw(self.lock, port)?;
        self.undo(port)
    }

    /// Removes what there is of a port whose record says that it is being made or removed, and the record.
    fn undo(&mut self, port: &Port) -> Result<()> {
        self.index = None;
        let unlimited = limits::take_away(self.state, self.lock, port);
        self.kernel.undo(port).and(unlimited)?;
        self.ports.forget(self.lock, port)
    }

    fn plug_bridge(&mut self, making: &Making<'_>, bridge: &InterfaceName) -> Result<Plugged> {
        let network = &making.network.name;
        let link = self.kernel.socket.link(bridge)?;
        let link = link.filter(Link::is_bridge).ok_or_else(|| {
            Error::failed(format!(
                "cannot plug {} into {network}: there is no bridge {bridge}",
                making.request.owner
            ))
        })?;
        let port = making.port(Connection::Tap(Tap {
            bridge: bridge.clone(),
            isolated: making.settings.isolated,
            vlan: making.settings.vlan.clone(),
            managed: making.network.mac_table == MacTable::Managed,
            queues: making.request.queues,
            mtu: link.mtu,
        }));
        let port = self.make(port, making.request)?;
        Ok(Plugged {
            port,
            skipped: Vec::new(),
        })
    }

    fn plug_macvtap(
        &mut self,
        making: &Making<'_>,
        macvtap: &crate::vnet::model::Macvtap,
    ) -> Result<Plugged> {
        let sharing = sharing(making.network, &making.settings);
        let devices = self.kernel.devices(&macvtap.devices, true)?;
        let mode = place::mode(macvtap.mode);
        let (usage, kept) = self.usage(making)?;
        let choice = pool::choose(&devices, sharing, &usage, &kept, |device| {
            let Device::Link(lower) = device else {
                return Ok(Tried::Unfit("it is no network device".to_owned()));
            };
            if let Tried::Unfit(why) = self.kernel.look_at_link(lower, sharing, &usage)? {
                return Ok(Tried::Unfit(why));
            }
            let function = if mode == Mode::Passthrough {
                self.kernel.function_of_link(lower, making)?
            } else {
                making.no_vlan("a macvtap device")?;
                None
            };
            let port = making.port(Connection::Macvtap(Macvtap {
                lower: lower.clone(),
                mode,
                exclusive: sharing == Sharing::Exclusive,
                queues: making.request.queues,
                node: None,
                made_node: false,
                function,
            }));
            match self.make(port, making.request) {
                Ok(port) => Ok(Tried::Good(port)),
                // Whatever has it, the kernel knows.
                Err(error) if is_in_use(&error) => {
                    Ok(Tried::Unfit(format!("it is in use: {}", error.one_line())))
                }
                Err(error) => Err(error),
            }
        })?;
        self.finish(making, choice)
    }

    fn plug_hostdev(
        &mut self,
        making: &Making<'_>,
        managed: bool,
        driver: Option<&str>,
        devices: &Devices,
    ) -> Result<Plugged> {
        let devices = self.kernel.devices(devices, false)?;
        let (usage, kept) = self.usage(making)?;
        let choice = pool::choose(&devices, Sharing::Exclusive, &usage, &kept, |device| {
            let Device::Pci(address) = device else {
                return Ok(Tried::Unfit("it is no PCI device".to_owned()));
            };
            let function = match self.kernel.look_at_function(*address, managed, &usage)? {
                Tried::Good(function) => function,
                Tried::Unfit(why) => return Ok(Tried::Unfit(why)),
            };
            let function = self.kernel.function_change(&function, making)?;
            let port = making.port(Connection::Hostdev(Hostdev {
                address: *address,
                managed,
                driver: driver.map(str::to_owned),
                function,
            }));
            self.make(port, making.request).map(Tried::Good)
        })?;
        self.finish(making, choice)
    }

    /// Notes the port, makes it real and says that it is. On failure nothing of it is left.
    fn make(&mut self, mut port: Port, request: &Request) -> Result<Port> {
        self.index = None;
        self.ports.begin(self.lock, &port)?;
        let made = self
            .kernel
            .make(&mut port, request, |port| self.ports.begin(self.lock, port));
        let made = made
            .and_then(|()| limits::put(self.state, self.lock, &port))
            .and_then(|()| self.ports.complete(self.lock, &port));
        let failed = match made {
            Ok(()) => return Ok(port),
            Err(error) => error,
        };
        match self.undo(&port) {
            Ok(()) => Err(failed),
            Err(left) => Err(failed.hint(format!(
                "what was made of it could not be undone ({}): 'ncf net repair' tries again",
                left.one_line()
            ))),
        }
    }

    /// What others use, and the devices that are kept for this guest in this network: it gets these first.
    fn usage(&mut self, making: &Making<'_>) -> Result<(Usage, Vec<Device>)> {
        let mut kept = self.reserved.of(&making.request.owner)?;
        kept.retain(|reservation| reservation.network == making.network.name);
        let mut usage = Usage::default();
        self.index()?.count(&mut usage);
        self.reserved.count(&mut usage, &kept)?;
        let first = kept.iter().filter_map(Reservation::kept).collect();
        Ok((usage, first))
    }

    fn finish(&self, making: &Making<'_>, choice: Choice<Port>) -> Result<Plugged> {
        match choice.found {
            Some(port) => Ok(Plugged {
                port,
                skipped: choice.skipped,
            }),
            None => Err(refusal::exhausted(
                making.network,
                &choice,
                &Holders {
                    ports: &self.ports,
                    reserved: &self.reserved,
                },
            )),
        }
    }
}

/// The device of a port that has one on the host.
pub fn device_of(port: &Port) -> Result<InterfaceName> {
    make::device_name(&port.id.to_string())
}

/// Whether the ports of a network have their devices to themselves.
pub fn sharing(network: &Network, settings: &PortSettings) -> Sharing {
    let mode = match &network.forward {
        Forward::Hostdev { .. } => return Sharing::Exclusive,
        Forward::Macvtap(macvtap) => macvtap.mode,
        Forward::Virtual(_) | Forward::HostBridge(_) => return Sharing::Shared,
    };
    let kind = settings.virtual_port.as_ref().and_then(|port| port.kind);
    match mode {
        MacvtapMode::Passthrough => Sharing::Exclusive,
        MacvtapMode::Private if kind == Some(VirtualPortKind::Qbh) => Sharing::Exclusive,
        _ => Sharing::Shared,
    }
}

/// A port that is being made.
struct Making<'a> {
    network: &'a Network,
    request: &'a Request,
    settings: PortSettings,
    id: PortId,
    mac: MacAddress,
}

impl Making<'_> {
    fn port(&self, connection: Connection) -> Port {
        Port {
            id: self.id,
            network: self.network.name.clone(),
            owner: self.request.owner.clone(),
            mac: self.mac,
            portgroup: self.settings.portgroup.clone(),
            bandwidth: self.settings.bandwidth,
            since: jiff::Timestamp::now(),
            connection,
        }
    }

    /// Fails where the port is to be in a VLAN and what it is to be cannot be.
    fn no_vlan(&self, what: &str) -> Result<()> {
        match &self.settings.vlan {
            Some(_) => Err(Error::failed(format!(
                "cannot plug {} into {}: {what} cannot be put into a VLAN; a port of a bridge that filters by VLAN \
                 and a virtual function can",
                self.request.owner, self.network.name
            ))),
            None => Ok(()),
        }
    }
}

fn is_in_use(error: &Error) -> bool {
    use crate::sys::netlink::Refusal;
    use nix::errno::Errno;
    Refusal::of(error).is_some_and(|refusal| refusal.is_any(&[Errno::EBUSY, Errno::EINVAL]))
}

/// A MAC address of the range that QEMU and libvirt give guests.
fn random_mac() -> MacAddress {
    let [a, b, c, ..] = *uuid::Uuid::new_v4().as_bytes();
    MacAddress([0x52, 0x54, 0x00, a, b, c])
}

/// The character device of a macvtap device.
pub(super) fn node_of(index: u32) -> PathBuf {
    PathBuf::from(format!("/dev/tap{index}"))
}
