//! What the kernel has now, in netcf's terms.

use ipnet::IpNet;

use super::{Bond, Bridge, VlanId};
use crate::sys::name::{InterfaceName, MacAddress};

/// A link as `dumpxml --live` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Its name.
    pub name: InterfaceName,
    /// Its state and speed; netcf leaves them out for a bridge.
    pub link: Option<LinkState>,
    /// Maximum transmission unit in bytes.
    pub mtu: Option<u32>,
    /// All its addresses, in the kernel's order.
    pub addresses: Vec<IpNet>,
    /// What only its type has.
    pub kind: LiveKind,
}

/// The state of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkState {
    /// RFC 2863's operational state in lower case: `up`, `lowerlayerdown`, …
    pub state: String,
    /// In megabits a second; 0 where it is not up or nobody knows.
    pub speed: u32,
}

/// The types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveKind {
    /// A network card, or a kind of link that netcf does not know.
    Ethernet(Option<MacAddress>),
    /// A bridge; the ports of its options are empty, those here count.
    Bridge(Bridge, Vec<Live>),
    /// A bond; likewise.
    Bond(Bond, Vec<Live>),
    /// A VLAN and its lower device.
    Vlan(VlanId, Box<Live>),
}
