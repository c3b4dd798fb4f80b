//! Where a guest would be, for those who connect it themselves: libvirt, once it has this host's devices.

use super::refusal::exhausted;
use super::{Kernel, sharing};
use crate::error::{Error, Result};
use crate::sys::name::InterfaceName;
use crate::sys::netlink::link::Link;
use crate::sys::netlink::macvtap::Mode;
use crate::sys::pci::PciAddress;
use crate::vnet::model::{Forward, HostdevDriver, MacvtapMode, Network, PortSettings};
use crate::vnet::pool::{self, Device, Sharing, Skipped, Tried, Usage};
use crate::vnet::ports::Holders;

/// What a network is for one guest on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A bridge.
    Bridge(InterfaceName),
    /// A lower device for a macvtap.
    Macvtap {
        /// Which.
        lower: InterfaceName,
        /// How guests on it reach each other.
        mode: Mode,
        /// Whether no other may use it.
        exclusive: bool,
    },
    /// A PCI function.
    Hostdev {
        /// Which.
        address: PciAddress,
        /// Whether libvirt binds and unbinds its driver.
        managed: bool,
        /// What hands it on.
        driver: Option<String>,
    },
}

/// A place, and what was passed over for it.
#[derive(Debug)]
pub struct Placed {
    /// The place.
    pub place: Place,
    /// What was passed over.
    pub skipped: Vec<Skipped>,
}

impl Place {
    /// The device, and whether alone.
    pub fn device(&self) -> (Device, Sharing) {
        match self {
            Self::Bridge(name) => (Device::Link(name.clone()), Sharing::Shared),
            Self::Macvtap {
                lower, exclusive, ..
            } => {
                let sharing = if *exclusive {
                    Sharing::Exclusive
                } else {
                    Sharing::Shared
                };
                (Device::Link(lower.clone()), sharing)
            }
            Self::Hostdev { address, .. } => (Device::Pci(*address), Sharing::Exclusive),
        }
    }
}

impl Kernel {
    /// Finds a guest's place in a network. `kept` is the device that it has reserved already: it gets that again, as long
    /// as it is there, for it may be using it now.
    pub fn place(
        &mut self,
        network: &Network,
        settings: &PortSettings,
        usage: &Usage,
        kept: Option<&Device>,
        holders: &Holders<'_>,
    ) -> Result<Placed> {
        let sharing = sharing(network, settings);
        let choice = match &network.forward {
            Forward::Virtual(bridge) => return self.bridge(network, &bridge.name),
            Forward::HostBridge(name) => return self.bridge(network, name),
            Forward::Macvtap(macvtap) => {
                let devices = self.devices(&macvtap.devices, true)?;
                let place = |lower: &InterfaceName| Place::Macvtap {
                    lower: lower.clone(),
                    mode: mode(macvtap.mode),
                    exclusive: sharing == Sharing::Exclusive,
                };
                if let Some(Device::Link(lower)) = kept.filter(|it| devices.contains(it))
                    && self.socket.link(lower)?.is_some()
                {
                    return Ok(place(lower).alone());
                }
                pool::choose(&devices, sharing, usage, &[], |device| match device {
                    Device::Link(lower) => Ok(match self.look_at_link(lower, sharing, usage)? {
                        Tried::Good(_) => Tried::Good(place(lower)),
                        Tried::Unfit(why) => Tried::Unfit(why),
                    }),
                    Device::Pci(_) => Ok(Tried::Unfit("it is no network device".to_owned())),
                })?
            }
            Forward::Hostdev {
                managed,
                driver: name,
                devices,
            } => {
                let devices = self.devices(devices, false)?;
                let place = |address: PciAddress| Place::Hostdev {
                    address,
                    managed: *managed,
                    driver: name.map(driver),
                };
                if let Some(Device::Pci(address)) = kept.filter(|it| devices.contains(it))
                    && self.sysfs.function(*address)?.is_some()
                {
                    return Ok(place(*address).alone());
                }
                pool::choose(&devices, sharing, usage, &[], |device| match device {
                    Device::Pci(address) => {
                        Ok(match self.look_at_function(*address, *managed, usage)? {
                            Tried::Good(_) => Tried::Good(place(*address)),
                            Tried::Unfit(why) => Tried::Unfit(why),
                        })
                    }
                    Device::Link(_) => Ok(Tried::Unfit("it is no PCI device".to_owned())),
                })?
            }
        };
        match choice.found {
            Some(ref place) => Ok(Placed {
                place: place.clone(),
                skipped: choice.skipped,
            }),
            None => Err(exhausted(network, &choice, holders)),
        }
    }

    fn bridge(&mut self, network: &Network, name: &InterfaceName) -> Result<Placed> {
        match self.socket.link(name)?.filter(Link::is_bridge) {
            Some(_) => Ok(Place::Bridge(name.clone()).alone()),
            None => Err(Error::failed(format!(
                "the bridge {name} of the network {} is absent",
                network.name
            ))),
        }
    }
}

impl Place {
    fn alone(self) -> Placed {
        Placed {
            place: self,
            skipped: Vec::new(),
        }
    }
}

pub(super) fn mode(mode: MacvtapMode) -> Mode {
    match mode {
        MacvtapMode::Bridge => Mode::Bridge,
        MacvtapMode::Private => Mode::Private,
        MacvtapMode::Vepa => Mode::Vepa,
        MacvtapMode::Passthrough => Mode::Passthrough,
    }
}

pub(super) fn driver(driver: HostdevDriver) -> String {
    match driver {
        HostdevDriver::Vfio => "vfio".to_owned(),
        HostdevDriver::Kvm => "kvm".to_owned(),
    }
}
