//! Addresses of PCI devices.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a device is on the PCI buses, printed as in `/sys/bus/pci/devices` and by `lspci -D`: `0000:03:10.1`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct PciAddress {
    /// The segment; most machines have only 0.
    pub domain: u32,
    /// The bus.
    pub bus: u8,
    /// The device on the bus, 0 to 31.
    pub slot: u8,
    /// The function of the device, 0 to 7.
    pub function: u8,
}

/// The most that a slot may be (`PCI_SLOT` in `<linux/pci.h>`).
pub const MAX_SLOT: u8 = 31;

/// The most that a function may be (`PCI_FUNC` in `<linux/pci.h>`).
pub const MAX_FUNCTION: u8 = 7;

/// Why a text is not a PCI address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a PCI address: domain:bus:slot.function in hexadecimal digits is, as 0000:03:10.1"
)]
pub struct BadPciAddress(String);

impl FromStr for PciAddress {
    type Err = BadPciAddress;

    /// `0000:03:10.1`, or `03:10.1` in domain 0.
    fn from_str(text: &str) -> Result<Self, BadPciAddress> {
        parse(text).ok_or_else(|| BadPciAddress(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<PciAddress> {
    let (rest, function) = text.rsplit_once('.')?;
    let (rest, slot) = rest.rsplit_once(':')?;
    let (domain, bus) = rest.split_once(':').unwrap_or(("0", rest));
    let address = PciAddress {
        domain: hexadecimal(domain, 8)?,
        bus: u8::try_from(hexadecimal(bus, 2)?).ok()?,
        slot: u8::try_from(hexadecimal(slot, 2)?).ok()?,
        function: u8::try_from(hexadecimal(function, 1)?).ok()?,
    };
    let fits = address.slot <= MAX_SLOT && address.function <= MAX_FUNCTION;
    fits.then_some(address)
}

fn hexadecimal(text: &str, most: usize) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.is_empty() || text.len() > most || !digits {
        return None;
    }
    u32::from_str_radix(text, 16).ok()
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
        write!(
            f,
            "{:04x}:{:02x}:{:02x}.{:x}",
            self.domain, self.bus, self.slot, self.function
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip_and_bad_ones_are_refused() {
        for good in ["0000:03:10.1", "10000:ff:1f.7"] {
            assert_eq!(good.parse::<PciAddress>().unwrap().to_string(), good);
        }
        assert_eq!(
            "03:10.1".parse::<PciAddress>().unwrap().to_string(),
            "0000:03:10.1"
        );
        for bad in [
            "",
            "10.1",
            "../../x",
            "0000:03:20.1",
            "0000:03:10.8",
            "0000:03:10",
            "0000:003:10.1",
            "0000:03:10.1:2",
            "0:../..:1.1",
            "0000:03:+1.1",
            "100000000:03:10.1",
        ] {
            assert!(bad.parse::<PciAddress>().is_err(), "{bad:?} was accepted");
        }
    }
}
