//! What is known of one port.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::qos::Bandwidth;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::netlink::function::Function;
use crate::sys::netlink::macvtap::Mode;
use crate::sys::pci::PciAddress;
use crate::vnet::model::Vlan;
use crate::vnet::name::NetworkName;
use crate::vnet::pool::{Device, Sharing};

/// The name of a port: `ncf` and a number. A port that has a device on the host gives it this name.
///
/// Numbers are not used again before the next boot, so that a script which unplugs a port twice does not hit another guest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortId(pub u32);

/// What aliases of ports' devices begin with.
const ALIAS: &str = "ncf: port of ";

/// Why a text is not the name of a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a port: ncf and a number is, as 'ncf net ports' lists them")]
pub struct BadPortId(String);

impl FromStr for PortId {
    type Err = BadPortId;

    fn from_str(text: &str) -> Result<Self, BadPortId> {
        let number = text.strip_prefix("ncf").and_then(|digits| {
            // One text for each: no sign, no leading zeros.
            let one = digits.bytes().all(|byte| byte.is_ascii_digit());
            let one = one && (digits.len() == 1 || !digits.starts_with('0'));
            digits.parse().ok().filter(|_| one)
        });
        number.map(Self).ok_or_else(|| BadPortId(text.to_owned()))
    }
}

impl TryFrom<String> for PortId {
    type Error = BadPortId;

    fn try_from(text: String) -> Result<Self, BadPortId> {
        text.parse()
    }
}

impl From<PortId> for String {
    fn from(id: PortId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ncf{}", self.0)
    }
}

/// Whose a port or a reservation is: a guest's name, 1 to 255 bytes without control characters, not beginning with `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Owner(String);

/// Why a text is no guest's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a guest's name: {reason}")]
pub struct BadOwner {
    text: String,
    reason: &'static str,
}

/// The longest guest's name, in bytes.
const MAX_OWNER: usize = 255;

impl Owner {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands for it in the names of records, so that one guest's are found without reading all: the beginning of
    /// its SHA-256. Two guests may have the same.
    pub(super) fn mark(&self) -> u32 {
        let digest = Sha256::digest(self.0.as_bytes());
        digest
            .first_chunk()
            .map_or(0, |first| u32::from_be_bytes(*first))
    }
}

impl FromStr for Owner {
    type Err = BadOwner;

    fn from_str(text: &str) -> Result<Self, BadOwner> {
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.len() > MAX_OWNER {
            "it is longer than 255 bytes"
        } else if text.chars().any(char::is_control) {
            "control characters are not allowed"
        } else if text.starts_with('-') {
            "it may not begin with '-'"
        } else {
            return Ok(Self(text.to_owned()));
        };
        let text = text.chars().take(MAX_OWNER).collect();
        Err(BadOwner { text, reason })
    }
}

impl TryFrom<String> for Owner {
    type Error = BadOwner;

    fn try_from(text: String) -> Result<Self, BadOwner> {
        text.parse()
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A guest's place in a network, as long as the host runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name.
    pub id: PortId,
    /// The network.
    pub network: NetworkName,
    /// The guest.
    pub owner: Owner,
    /// The guest's address.
    pub mac: MacAddress,
    /// The portgroup that it was plugged with, if it is not the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portgroup: Option<String>,
    /// Its own limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// When it was plugged.
    pub since: jiff::Timestamp,
    /// What it is on this host.
    pub connection: Connection,
}

/// What a port is on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Connection {
    /// A tap device in a bridge. It has the port's name.
    Tap(Tap),
    /// A macvtap device on a lower device. It has the port's name.
    Macvtap(Macvtap),
    /// A PCI function that the guest drives itself.
    Hostdev(Hostdev),
}

/// A tap device in a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tap {
    /// The bridge.
    pub bridge: InterfaceName,
    /// Whether it reaches only ports that are not isolated.
    pub isolated: bool,
    /// The VLANs that the guest's frames are in, on a bridge that filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<Vlan>,
    /// Whether the bridge does not learn behind it, and has its address entered.
    #[serde(default)]
    pub managed: bool,
    /// The maximum transmission unit of the bridge when it was plugged, in bytes.
    pub mtu: u32,
    /// How many queues the guest may have, 1 to 256.
    pub queues: u16,
}

/// A macvtap device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Macvtap {
    /// The lower device.
    pub lower: InterfaceName,
    /// How it reaches others on the same lower device.
    pub mode: Mode,
    /// Whether no other port may use the lower device.
    pub exclusive: bool,
    /// How many queues the guest may have, 1 to 256.
    pub queues: u16,
    /// The character device that a hypervisor opens; `None` until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<PathBuf>,
    /// Whether ncf made that character device, because nothing else did.
    #[serde(default)]
    pub made_node: bool,
    /// What was changed in the virtual function that the lower device is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionChange>,
}

/// A PCI function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hostdev {
    /// Where it is.
    pub address: PciAddress,
    /// Whether the hypervisor is to bind and unbind the driver itself.
    pub managed: bool,
    /// The driver that gives it to the guest, if the definition names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// What was changed in it; `None` for a function that is no virtual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionChange>,
}

/// What a virtual function was before a port changed it, to be put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionChange {
    /// The physical function's network device.
    pub physical: InterfaceName,
    /// The number of the virtual function.
    pub number: u32,
    /// As it was.
    pub before: Function,
    /// As the port wants it.
    pub wanted: Function,
}

impl Port {
    /// The device that it uses, and whether alone.
    pub fn device(&self) -> (Device, Sharing) {
        match &self.connection {
            Connection::Tap(tap) => (Device::Link(tap.bridge.clone()), Sharing::Shared),
            Connection::Macvtap(macvtap) if macvtap.exclusive => {
                (Device::Link(macvtap.lower.clone()), Sharing::Exclusive)
            }
            Connection::Macvtap(macvtap) => (Device::Link(macvtap.lower.clone()), Sharing::Shared),
            Connection::Hostdev(hostdev) => (Device::Pci(hostdev.address), Sharing::Exclusive),
        }
    }

    /// Whether a device with this alias is marked as a port's.
    pub fn is_alias(text: &str) -> bool {
        text.starts_with(ALIAS)
    }

    /// What its device is marked with, so that ncf knows it again: see `IFLA_IFALIAS`.
    pub fn alias(&self) -> String {
        const LONGEST: usize = 255;
        let text = format!("{ALIAS}{} in {}", self.owner, self.network);
        let ends = text.char_indices().map(|(at, it)| at + it.len_utf8());
        let cut = ends.take_while(|end| *end <= LONGEST).last();
        text.get(..cut.unwrap_or_default())
            .unwrap_or_default()
            .to_owned()
    }
}

/// A device that is kept for a guest that a hypervisor plugs itself, across reboots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Its own name.
    pub id: Uuid,
    /// The network.
    pub network: NetworkName,
    /// The guest.
    pub owner: Owner,
    /// The guest's identity, where its definition has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// Which of the guest's interfaces on this network, from 0.
    pub interface: usize,
    /// The device: a network device's name or a PCI address.
    pub device: String,
    /// Whether no other may use it.
    pub exclusive: bool,
    /// Since when.
    pub since: jiff::Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ports_are_one_text_each() {
        assert_eq!("ncf7".parse::<PortId>().unwrap().to_string(), "ncf7");
        for bad in [
            "",
            "ncf",
            "ncf07",
            "ncf+7",
            "ncf-1",
            "7",
            "ncf99999999999",
            "ncf1/../x",
        ] {
            assert!(bad.parse::<PortId>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn names_of_guests_may_be_odd_but_not_dangerous() {
        for good in ["guest", "a b/c", "é", "."] {
            assert!(good.parse::<Owner>().is_ok(), "{good:?} was refused");
        }
        for bad in ["", "-x", "a\nb", &"a".repeat(256)] {
            assert!(bad.parse::<Owner>().is_err(), "{bad:?} was accepted");
        }
    }
}
