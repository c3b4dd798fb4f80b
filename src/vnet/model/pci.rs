//! Addresses of PCI devices as libvirt writes them.

use super::attribute;
use crate::error::Result;
use crate::sys::pci::{MAX_FUNCTION, MAX_SLOT, PciAddress};
use crate::xml::{Element, Tree};

/// From the attributes of an `<address>`, in libvirt's hexadecimal notation; each that is missing is 0. Of the domain
/// libvirt's documents have 16 bits.
pub fn from_xml(element: Element<'_>) -> Result<PciAddress> {
    let part = |name, high| attribute::any_base(element, name, high).map(|it| it.unwrap_or(0));
    let byte = |name, high: u8| {
        let value = part(name, high.into());
        value.map(|it| u8::try_from(it).unwrap_or(u8::MAX))
    };
    let address = PciAddress {
        domain: part("domain", 0xffff)?,
        bus: byte("bus", u8::MAX)?,
        slot: byte("slot", MAX_SLOT)?,
        function: byte("function", MAX_FUNCTION)?,
    };
    if address.domain == 0 && address.bus == 0 && address.slot == 0 {
        // The host bridge: what is meant is that nothing was given.
        return Err(element
            .error("<address> needs domain, bus, slot and function: this is the host bridge's"));
    }
    Ok(address)
}

/// As an `<address type='pci'>`.
pub fn to_xml(address: PciAddress) -> Tree {
    Tree::new("address")
        .with("type", "pci")
        .with("domain", format!("0x{:04x}", address.domain))
        .with("bus", format!("0x{:02x}", address.bus))
        .with("slot", format!("0x{:02x}", address.slot))
        .with("function", format!("0x{:x}", address.function))
}
