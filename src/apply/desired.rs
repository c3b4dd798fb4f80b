//! What the kernel should have for one interface, in the kernel's own terms.
//!
//! This is what a configuration backend (see [`crate::apply`]'s callers) produces and the built-in
//! applier consumes. It says nothing of files or keys.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::netlink::options::Settings;
use crate::sys::netlink::vlan::{self, VlanFlags};

pub use crate::sys::netlink::rule::Rule;

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
    /// What it is a port of.
    pub master: Option<Master>,
    /// Addresses, in the order in which they are to be added: the first of a subnet is the primary.
    /// Those of the device's aliases follow its own, with their labels.
    pub addresses: Vec<Address>,
    /// Routes through it, in the order in which they are to be added.
    pub routes: Vec<Route>,
    /// Routing rules that come and go with it, in the order in which they are to be added.
    pub rules: Vec<Rule>,
    /// How it gets IPv4 addresses from a server, if it does.
    pub dhcp4: Option<Dhcp>,
    /// The same for IPv6.
    pub dhcp6: Option<Dhcp>,
    /// What IPv6 is to do by itself.
    pub ipv6: Ipv6,
    /// What the configuration asks for and the built-in applier leaves alone or to others, in words for the
    /// operator, each naming file and line.
    pub notes: Vec<String>,
}

impl Desired {
    /// A link of this name and kind, with nothing else asked of it.
    pub fn new(name: InterfaceName, kind: LinkKind) -> Self {
        Self {
            name,
            kind,
            hwaddr: None,
            mac: None,
            mtu: None,
            master: None,
            addresses: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            dhcp4: None,
            dhcp6: None,
            ipv6: Ipv6::default(),
            notes: Vec::new(),
        }
    }
}

/// What a link is a port of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Master {
    /// A bridge.
    Bridge(InterfaceName),
    /// A bond, and the settings that it is made with where it is not there yet.
    Bond(InterfaceName, Settings),
}

impl Master {
    /// Its name.
    pub fn name(&self) -> &InterfaceName {
        match self {
            Self::Bridge(name) | Self::Bond(name, _) => name,
        }
    }
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
    /// A bond, created if it is not there.
    Bond(Bond),
    /// A VLAN, created if it is not there.
    Vlan(Vlan),
}

/// The options and ports of a bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bridge {
    /// Spanning tree; `None` leaves the kernel's default, off.
    pub stp: Option<bool>,
    /// Forward delay in hundredths of a second, 0 to 3000; the kernel's default is 1500.
    pub forward_delay: Option<u32>,
    /// Other options, by their names in sysfs.
    pub settings: Settings,
    /// The interfaces whose configuration names this bridge.
    pub ports: Vec<InterfaceName>,
}

/// The options and ports of a bond.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bond {
    /// Its options, but for those that name ports. What is not set is left as it is.
    pub settings: Settings,
    /// The port that is preferred, in the modes that use one at a time.
    pub primary: Option<InterfaceName>,
    /// The interfaces whose configuration names this bond, in the order in which they become ports: the first
    /// gives the bond its MAC address.
    pub ports: Vec<InterfaceName>,
}

/// A VLAN over a lower device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    /// The lower device.
    pub lower: InterfaceName,
    /// Its number, 1 to 4094, its protocol, and the flags to have.
    pub tag: vlan::Vlan,
    /// Which of the flags are asked for; the others are left as they are.
    pub mask: VlanFlags,
}

/// How a client gets addresses from a DHCP server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dhcp {
    /// The host name to send.
    pub hostname: Option<String>,
    /// Whether the client goes on trying where it got no lease in time.
    pub persistent: bool,
    /// Whether the lease is given back when the interface goes down.
    pub release: bool,
    /// Whether the client is to ask for a default route.
    pub default_route: bool,
    /// The metric of the routes that it sets, if its script has a way to be told.
    pub metric: Option<u32>,
}

/// The kernel's IPv6 switches of one device (`/proc/sys/net/ipv6/conf`). What is `None` is left as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ipv6 {
    /// Take addresses, routes and other settings from routers' advertisements.
    pub autoconf: Option<bool>,
    /// Forward packets that come in by the device.
    pub forwarding: Option<bool>,
    /// Make up temporary addresses and prefer them (RFC 8981).
    pub privacy: Option<bool>,
    /// MTU for IPv6 alone, 1280 to 65535 bytes.
    pub mtu: Option<u32>,
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
