//! What netcf's `<interface>` says, as values: one file for each type of interface, one for what they share.
//!
//! The names are those of netcf's schema (`interface.rng`), whose ranges are narrowed to what the kernel takes.
//! Values are checked where they come in, in XML or from a file; here they only hold. Nothing in this module knows
//! how a distribution writes them down.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | [`Interface`]: what every type has |
//! | `ethernet`, `bridge`, `bond`, `vlan` | what one type has |
//! | `protocol` | addresses, DHCP, gateways |
//! | `live` | what only the kernel knows |

mod bond;
mod bridge;
mod ethernet;
pub mod live;
mod protocol;
mod vlan;

use std::fmt;

pub use bond::{ArpMonitor, Bond, BondPort, Carrier, MiiMonitor, Mode, Monitor, Validate};
pub use bridge::{Bridge, Delay, Port, PortKind};
pub use ethernet::Ethernet;
pub use protocol::{Addressing, Ip4, Ip6, Ipv4, Ipv6};
pub use vlan::{Vlan, VlanId};

use crate::sys::name::{BadName, InterfaceName};

/// One interface that is no part of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: InterfaceName,
    /// When it comes up.
    pub start: StartMode,
    /// `None` leaves the kernel's.
    pub mtu: Option<Mtu>,
    /// How it gets addresses.
    pub addressing: Addressing,
    /// What only its type has.
    pub kind: Kind,
}

/// The types of interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A network card or what looks like one.
    Ethernet(Ethernet),
    /// A bridge.
    Bridge(Bridge),
    /// Several links as one.
    Bond(Bond),
    /// A VLAN on another interface.
    Vlan(Vlan),
}

impl Kind {
    /// The word that the schema has for the type.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ethernet(_) => "ethernet",
            Self::Bridge(_) => "bridge",
            Self::Bond(_) => "bond",
            Self::Vlan(_) => "vlan",
        }
    }
}

/// When an interface comes up: `<start mode=…>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartMode {
    /// At boot.
    OnBoot,
    /// When somebody brings it up.
    None,
    /// When its device appears.
    HotPlug,
}

impl StartMode {
    /// All, with the schema's words.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("onboot", Self::OnBoot),
        ("none", Self::None),
        ("hotplug", Self::HotPlug),
    ];
}

impl fmt::Display for StartMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(&Self::WORDS, self))
    }
}

/// The word of a value in a table of all of them.
fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    let found = words.iter().find(|(_, known)| known == value);
    found.map_or("", |(word, _)| *word)
}

/// A maximum transmission unit in bytes, 68 (RFC 791's minimum) to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mtu(u32);

impl Mtu {
    /// Fails for a number out of range; the error says what is allowed.
    pub fn new(bytes: u32) -> Result<Self, &'static str> {
        if (68..=65535).contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err("a number of bytes from 68 to 65535 is allowed")
        }
    }

    /// The number of bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A name that a definition may have: letters, digits, `_ . - : @ +`, at most 15 bytes. These are the schema's
/// (`device-name`), without its `/`, which no device can have, and with the two others that are seen in names of
/// devices and mean nothing to a shell: a name becomes a file's, and scripts handle that.
pub fn interface_name(text: &str) -> Result<InterfaceName, String> {
    let name: InterfaceName = text.parse().map_err(|bad: BadName| bad.to_string())?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:@+".contains(&byte);
    if name.as_str().bytes().all(known) {
        Ok(name)
    } else {
        Err("letters, digits and any of _ . - : @ + are allowed".to_owned())
    }
}

impl Kind {
    /// The names of what is directly in it.
    pub fn ports(&self) -> Vec<&InterfaceName> {
        match self {
            Self::Bridge(bridge) => bridge.ports.iter().map(|port| &port.name).collect(),
            Self::Bond(bond) => bond.ports.iter().map(|port| &port.name).collect(),
            Self::Ethernet(_) | Self::Vlan(_) => Vec::new(),
        }
    }
}
