//! Addresses of PCI devices.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::attribute;
use crate::error::Result;
use crate::xml::{Element, Tree};

/// Where a PCI device is: printed as the kernel does, `0000:03:00.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PciAddress {
    /// The domain, 0 to 0xffff. (The kernel knows 32 bits; libvirt's documents have 16.)
    pub domain: u16,
    /// The bus, 0 to 0xff.
    pub bus: u8,
    /// The slot, 0 to 0x1f.
    pub slot: u8,
    /// The function, 0 to 7.
    pub function: u8,
}

/// Why a text is not the address of a PCI device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a PCI address: domain:bus:slot.function in hexadecimal is, as in 0000:03:00.1"
)]
pub struct BadPciAddress(String);

impl PciAddress {
    /// From the attributes of an `<address>`, in libvirt's hexadecimal notation; each that is missing is 0.
    pub fn from_xml(element: Element<'_>) -> Result<Self> {
        let part = |name, high| attribute::any_base(element, name, high).map(|it| it.unwrap_or(0));
        let byte = |name, high| part(name, high).map(|it| u8::try_from(it).unwrap_or(u8::MAX));
        let domain = part("domain", 0xffff)?;
        let address = Self {
            domain: u16::try_from(domain).unwrap_or(u16::MAX),
            bus: byte("bus", 0xff)?,
            slot: byte("slot", 0x1f)?,
            function: byte("function", 7)?,
        };
        if address.domain == 0 && address.bus == 0 && address.slot == 0 {
            // The host bridge: what is meant is that nothing was given.
            return Err(element.error(
                "<address> needs domain, bus, slot and function: this is the host bridge's",
            ));
        }
        Ok(address)
    }

    /// As an `<address type='pci'>`.
    pub fn to_xml(self) -> Tree {
        Tree::new("address")
            .with("type", "pci")
            .with("domain", format!("0x{:04x}", self.domain))
            .with("bus", format!("0x{:02x}", self.bus))
            .with("slot", format!("0x{:02x}", self.slot))
            .with("function", format!("0x{:x}", self.function))
    }
}

impl FromStr for PciAddress {
    type Err = BadPciAddress;

    /// `0000:03:00.1`, or `03:00.1` in domain 0.
    fn from_str(text: &str) -> Result<Self, BadPciAddress> {
        let bad = || BadPciAddress(text.to_owned());
        let hex = |part: &str, digits: usize, high: u16| {
            let good = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            let value = good.then(|| u16::from_str_radix(part, 16).ok()).flatten();
            value.filter(|it| *it <= high).ok_or_else(bad)
        };
        let byte = |part, digits, high| {
            hex(part, digits, high).map(|it| u8::try_from(it).unwrap_or(u8::MAX))
        };
        let (rest, function) = text.rsplit_once('.').ok_or_else(bad)?;
        let (rest, slot) = rest.rsplit_once(':').ok_or_else(bad)?;
        let (domain, bus) = rest.split_once(':').unwrap_or(("0000", rest));
        Ok(Self {
            domain: hex(domain, 4, u16::MAX)?,
            bus: byte(bus, 2, 0xff)?,
            slot: byte(slot, 2, 0x1f)?,
            function: byte(function, 1, 7)?,
        })
    }
}

impl TryFrom<String> for PciAddress {
    type Error = BadPciAddress;

    fn try_from(text: String) -> Result<Self, BadPciAddress> {
        text.parse()
    }
}

impl From<PciAddress> for String {
    fn from(address: PciAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            bus,
            slot,
            function,
        } = self;
        write!(f, "{domain:04x}:{bus:02x}:{slot:02x}.{function:x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip_and_bad_ones_are_refused() {
        for good in ["0000:03:00.1", "ffff:ff:1f.7"] {
            let address: PciAddress = good.parse().unwrap();
            assert_eq!(address.to_string(), good);
        }
        assert_eq!(
            "03:00.1".parse::<PciAddress>().unwrap().to_string(),
            "0000:03:00.1"
        );
        for bad in [
            "",
            "03:00",
            "0000:03:20.0",
            "0000:03:00.8",
            "10000:03:00.0",
            "../../x",
            "0000:3:00.1",
            "+000:03:00.1",
        ] {
            assert!(bad.parse::<PciAddress>().is_err(), "{bad:?} was accepted");
        }
    }
}
