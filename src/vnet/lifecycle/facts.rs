//! What is looked at before a network is started.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use crate::error::Result;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::Socket;
use crate::sys::netlink::address::LinkAddress;
use crate::sys::netlink::ipv6;
use crate::sys::netlink::link::Link;
use crate::sys::netlink::route::{MAIN_TABLE, Origin, Route};
use crate::sys::pci::PciAddress;
use crate::sys::sriov::Sysfs;
use crate::sys::sysctl::{Parameter, Switch};
use crate::vnet::model::{Devices, Network};

/// Where the kernel lists PCI devices, each by its address.
const PCI_DEVICES: &str = "/sys/bus/pci/devices";

/// The host as far as starting a network depends on it.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// All links.
    pub links: Vec<Link>,
    /// All addresses.
    pub addresses: Vec<LinkAddress>,
    /// The routes of the main table, with the device that they lead through.
    pub routes: Vec<(InterfaceName, Route)>,
    /// All PCI devices.
    pub pci: BTreeSet<PciAddress>,
    /// How many virtual functions the network's card has, or why that is not known; `None` where it has no `<pf>`.
    pub functions: Option<std::result::Result<usize, String>>,
    /// Devices whose routes come from router advertisements that forwarding would switch off.
    pub advertised: Vec<InterfaceName>,
    /// Whether IPv6 packets are forwarded already.
    pub forwards_ipv6: bool,
    /// Whether the kernel speaks IPv6.
    pub has_ipv6: bool,
    /// Where the operator's SSH session comes from.
    pub operator: Option<IpAddr>,
}

impl Facts {
    /// Asks the kernel what matters for a network.
    pub fn gather(
        socket: &mut Socket,
        network: &Network,
        operator: Option<IpAddr>,
    ) -> Result<Self> {
        let links = socket.links()?;
        let addresses = socket.addresses()?;
        let mut routes = Vec::new();
        for link in links
            .iter()
            .filter(|link| link.up && link.master.is_none() && !link.loopback)
        {
            let found = socket.routes(link)?.into_iter();
            let main = found.filter(|route| route.table == MAIN_TABLE);
            routes.extend(main.map(|route| (link.name.clone(), route)));
        }
        let has_ipv6 = ipv6::is_supported();
        let mut facts = Self {
            links,
            addresses,
            routes,
            pci: pci_devices(),
            functions: functions_of(network),
            advertised: Vec::new(),
            forwards_ipv6: has_ipv6 && Switch::Ipv6Forwarding.is_on()?,
            has_ipv6,
            operator,
        };
        facts.advertised = facts.advertised_devices()?;
        Ok(facts)
    }

    /// The link of that name.
    pub fn link(&self, name: &InterfaceName) -> Option<&Link> {
        self.links.iter().find(|link| link.name == *name)
    }

    fn advertised_devices(&self) -> Result<Vec<InterfaceName>> {
        let mut devices = Vec::new();
        for (device, route) in &self.routes {
            let learned = route.destination.addr().is_ipv6() && route.origin == Origin::Other;
            if learned
                && !devices.contains(device)
                && Parameter::AcceptRouterAdvertisements.get(device)? == Some(1)
            {
                devices.push(device.clone());
            }
        }
        Ok(devices)
    }
}

fn functions_of(network: &Network) -> Option<std::result::Result<usize, String>> {
    let Some(Devices::VirtualFunctions(physical)) = network.forward.devices() else {
        return None;
    };
    let functions = Sysfs::new("/sys").virtual_functions(physical);
    let functions = functions.map(|functions| functions.len());
    Some(functions.map_err(|error| error.one_line()))
}

/// None where there is no PCI, as in many a virtual machine.
fn pci_devices() -> BTreeSet<PciAddress> {
    let entries = std::fs::read_dir(Path::new(PCI_DEVICES));
    let names = entries.into_iter().flatten().flatten();
    names
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
