//! What the kernel should have for one interface, in the kernel's own terms.
//!
//! This is what a configuration backend (see [`crate::apply`]'s callers) produces and the built-in
//! applier consumes. It says nothing of files or keys.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::sys::name::{InterfaceName, MacAddress};

/// The wanted state of one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The device, or the alias label (`eth0:1`) whose addresses these are.
    pub name: InterfaceName,
    /// What kind of link it is.
    pub kind: LinkKind,
    /// The hardware address that the device must already have (`HWADDR`).
    pub hwaddr: Option<MacAddress>,
    /// The address to give it (`MACADDR`).
    pub mac: Option<MacAddress>,
    /// Maximum transmission unit in bytes, 68 to 65535; `None` leaves it as it is.
    pub mtu: Option<u32>,
    /// The bridge that it is a port of.
    pub bridge: Option<InterfaceName>,
    /// Addresses, in the order in which they are to be added: the first of a subnet is the primary.
    /// Those of the device's aliases follow its own, with their labels.
    pub addresses: Vec<Address>,
    /// Routes through it, in the order in which they are to be added.
    pub routes: Vec<Route>,
}

/// What kind of link an interface is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// A device that exists already: a network card, a veth, the loopback.
    Device,
    /// An alias: no link of its own, addresses on the device before the colon.
    Alias,
    /// A bridge, created if it is not there.
    Bridge(Bridge),
}

/// The options and ports of a bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bridge {
    /// Spanning tree; `None` leaves the kernel's default, off.
    pub stp: Option<bool>,
    /// Forward delay in hundredths of a second, 0 to 3000; the kernel's default is 1500.
    pub forward_delay: Option<u32>,
    /// The interfaces whose configuration names this bridge.
    pub ports: Vec<InterfaceName>,
}

/// One address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The address with its prefix length.
    pub net: IpNet,
    /// The label it gets (`IFA_LABEL`, IPv4 only); `None` is the device's own name.
    pub label: Option<InterfaceName>,
    /// The broadcast address where the configuration names one (IPv4 only).
    pub broadcast: Option<std::net::Ipv4Addr>,
    /// The far end of a point-to-point link (`IFA_ADDRESS`), where there is one.
    pub peer: Option<IpAddr>,
}

/// One route through the interface; `ip-route(8)` describes the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The destination; `0.0.0.0/0` or `::/0` is the default route.
    pub destination: IpNet,
    /// The next hop; `None` is a directly connected destination.
    pub gateway: Option<IpAddr>,
    /// Priority; a lower one is preferred. `None` is the kernel's default: 0, for IPv6 1024.
    pub metric: Option<u32>,
    /// The routing table; `None` is the main table, 254.
    pub table: Option<u32>,
    /// The preferred source address.
    pub source: Option<IpAddr>,
    /// MTU along the route in bytes.
    pub mtu: Option<u32>,
    /// The next hop is on this link even though no address says so (`onlink`).
    pub on_link: bool,
}
