//! Whether a device can be had: what uses it that is not ncf.

use std::fs;
use std::path::Path;

use nix::errno::Errno;

use super::Kernel;
use crate::error::Result;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::link::Link;
use crate::sys::pci::PciAddress;
use crate::sys::sriov::PciFunction;
use crate::vnet::pool::{Device, Sharing, Tried, Usage};

/// Drivers that only hand a device on, to a guest or to a program.
const PASSING_ON: [&str; 4] = ["vfio-pci", "pci-stub", "pciback", "uio_pci_generic"];

impl Kernel {
    /// A network device, if a port may use it.
    ///
    /// One that a port has to itself must not carry the host's own traffic: it would be gone, and perhaps the operator
    /// with it.
    pub(super) fn look_at_link(
        &mut self,
        name: &InterfaceName,
        sharing: Sharing,
        usage: &Usage,
    ) -> Result<Tried<Link>> {
        let Some(link) = self.socket.link(name)? else {
            return Ok(Tried::Unfit("it is absent".to_owned()));
        };
        if link.loopback {
            return Ok(Tried::Unfit("it is the loopback".to_owned()));
        }
        if let Some(why) = self.port_of_another(&link)? {
            return Ok(Tried::Unfit(why));
        }
        if sharing == Sharing::Exclusive {
            if let Some(why) = self.used_by_host(&link)? {
                return Ok(Tried::Unfit(why));
            }
            let function = self.sysfs.function_of(name)?.map(|it| it.address);
            if let Some(address) = function.filter(|it| usage.ports(&Device::Pci(*it)) > 0) {
                let why = format!("it is {address}, which a port or a reservation has");
                return Ok(Tried::Unfit(why));
            }
        }
        Ok(Tried::Good(link))
    }

    /// A PCI function, if it can be given to a guest.
    pub(super) fn look_at_function(
        &mut self,
        address: PciAddress,
        managed: bool,
        usage: &Usage,
    ) -> Result<Tried<PciFunction>> {
        let Some(function) = self.sysfs.function(address)? else {
            return Ok(Tried::Unfit("it is absent".to_owned()));
        };
        if let Some(why) = self.passed_on(&function, managed) {
            return Ok(Tried::Unfit(why));
        }
        if let Some(name) = &function.device
            && let Some(link) = self.socket.link(name)?
        {
            let used = match self.port_of_another(&link)? {
                None => self.used_by_host(&link)?,
                used => used,
            };
            if let Some(why) = used {
                return Ok(Tried::Unfit(format!("its device {name}: {why}")));
            }
            if usage.ports(&Device::Link(name.clone())) > 0 {
                let why = format!("it is {name}, which a port or a reservation has");
                return Ok(Tried::Unfit(why));
            }
        }
        Ok(Tried::Good(function))
    }

    fn port_of_another(&mut self, link: &Link) -> Result<Option<String>> {
        let Some(master) = link.master else {
            return Ok(None);
        };
        let master = self.socket.link_at(master)?;
        Ok(Some(match master {
            Some(master) => format!("it is a port of {}", master.name),
            None => "it is a port of another device".to_owned(),
        }))
    }

    /// Addresses that somebody gave it, or devices on top of it. A link-local IPv6 address is nobody's doing.
    fn used_by_host(&mut self, link: &Link) -> Result<Option<String>> {
        let addresses = self.socket.addresses_of(link)?;
        let given = addresses.iter().find(|it| match it.address.net.addr() {
            std::net::IpAddr::V4(_) => true,
            std::net::IpAddr::V6(ip) => !ip.is_unicast_link_local(),
        });
        if let Some(given) = given {
            return Ok(Some(format!("it has the address {}", given.address.net)));
        }
        let upper = self.sysfs.upper_of(&link.name, link.index);
        Ok(upper.map(|upper| format!("{upper} is on top of it")))
    }

    /// Whether a guest or a program has the function already.
    fn passed_on(&self, function: &PciFunction, managed: bool) -> Option<String> {
        let driver = function.driver.as_deref()?;
        if !PASSING_ON.contains(&driver) {
            return None;
        }
        if managed {
            // Nobody bound it for us: the hypervisor will, when it starts the guest.
            return Some(format!("its driver is {driver}: another guest has it"));
        }
        // The operator bound it beforehand. A group that is open is in use.
        let group = self.sysfs.iommu_group(function.address)?;
        let node = Path::new("/dev/vfio").join(group);
        let opened = fs::OpenOptions::new().read(true).write(true).open(node);
        let busy = opened.is_err_and(|error| error.raw_os_error() == Some(Errno::EBUSY as i32));
        busy.then(|| "another guest has its IOMMU group open".to_owned())
    }
}
