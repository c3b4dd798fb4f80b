//! How an interface gets addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Both protocols.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addressing {
    /// IPv4; `None` for none.
    pub ipv4: Option<Ipv4>,
    /// IPv6; `None` leaves it as the host has it.
    pub ipv6: Option<Ipv6>,
    /// Whether the name servers that DHCP tells are used; `None` leaves the host's default. One for both
    /// protocols, and only where one of them has DHCP.
    pub peer_dns: Option<bool>,
}

impl Addressing {
    /// Whether either protocol has DHCP.
    pub fn has_dhcp(&self) -> bool {
        self.ipv4.as_ref().is_some_and(|it| it.dhcp) || self.ipv6.as_ref().is_some_and(|it| it.dhcp)
    }
}

/// IPv4: DHCP, addresses, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ipv4 {
    /// Whether DHCP is asked.
    pub dhcp: bool,
    /// Fixed addresses, in order.
    pub addresses: Vec<Ip4>,
    /// The default route's next hop; only beside a fixed address.
    pub gateway: Option<Ipv4Addr>,
}

/// An IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip4 {
    /// The address.
    pub address: Ipv4Addr,
    /// The length of its prefix in bits, 0 to 32; `None` leaves it to the address's class.
    pub prefix: Option<u8>,
}

/// IPv6. Without any of these there still is a link-local address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ipv6 {
    /// Whether addresses are made from what routers announce.
    pub autoconf: bool,
    /// Whether DHCP is asked.
    pub dhcp: bool,
    /// Fixed addresses, in order.
    pub addresses: Vec<Ip6>,
    /// The default route's next hop.
    pub gateway: Option<Ipv6Addr>,
}

/// An IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip6 {
    /// The address.
    pub address: Ipv6Addr,
    /// The length of its prefix in bits, 0 to 128; `None` leaves it to the host, which takes 64.
    pub prefix: Option<u8>,
}
