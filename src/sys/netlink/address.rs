//! Addresses of links.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::Socket;
use super::link::Link;
use crate::error::Result;

/// "For ever" as a lifetime (`INFINITY_LIFE_TIME` in `net/ipv4/devinet.c`).
const FOR_EVER: u32 = u32::MAX;

/// One address as it is given to a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The address with its prefix length. With a peer, the prefix is the peer's.
    pub net: IpNet,
    /// The far end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// The label (IPv4): the device's name, or an alias's. The kernel takes the device's name for `None`.
    pub label: Option<String>,
    /// The broadcast address (IPv4).
    pub broadcast: Option<Ipv4Addr>,
    /// Preferred and valid lifetime in seconds; `None` is for ever, as a configured address is.
    pub lifetime: Option<(u32, u32)>,
}

/// One address as a link has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the kernel's independent flags"
)]
pub struct LinkAddress {
    /// The index of the link.
    pub index: u32,
    /// What it would take to add it again.
    pub address: Address,
    /// Not the first of its subnet (IPv4; `IFA_F_SECONDARY`).
    pub secondary: bool,
    /// Configured, and not learned with a lifetime (`IFA_F_PERMANENT`).
    pub permanent: bool,
    /// Duplicate address detection is still under way (IPv6).
    pub tentative: bool,
    /// Another host has it (IPv6): it is not used.
    pub duplicate: bool,
    /// One that the kernel made up for privacy and gives up again (IPv6; `IFA_F_TEMPORARY`).
    pub temporary: bool,
    /// How far it is valid: `Universe`, `Link`, `Host`, ...
    pub scope: AddressScope,
    /// Marked as somebody's own (`IFA_PROTO`, Linux 5.18): the kernel's, a daemon's. `ip` marks none.
    pub claimed: bool,
}

impl LinkAddress {
    fn from_message(message: &AddressMessage) -> Option<Self> {
        let mut local = None;
        let mut far = None;
        let mut claimed = false;
        let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
        let mut address = Address {
            net: IpNet::default(),
            peer: None,
            label: None,
            broadcast: None,
            lifetime: None,
        };
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Local(ip) => local = Some(*ip),
                AddressAttribute::Address(ip) => far = Some(*ip),
                AddressAttribute::Label(label) => address.label = Some(label.clone()),
                AddressAttribute::Broadcast(ip) => address.broadcast = Some(*ip),
                AddressAttribute::Flags(bits) => flags = *bits,
                AddressAttribute::Protocol(owner) => claimed = u8::from(*owner) != 0,
                AddressAttribute::CacheInfo(info) if info.ifa_valid != FOR_EVER => {
                    address.lifetime = Some((info.ifa_preferred, info.ifa_valid));
                }
                _ => {}
            }
        }
        let ip = local.or(far)?;
        address.net = IpNet::new(ip, message.header.prefix_len).ok()?;
        address.peer = far.filter(|far| *far != ip);
        Some(Self {
            index: message.header.index,
            secondary: address.net.addr().is_ipv4() && flags.contains(AddressFlags::Secondary),
            permanent: flags.contains(AddressFlags::Permanent),
            tentative: flags.contains(AddressFlags::Tentative),
            duplicate: flags.contains(AddressFlags::Dadfailed),
            // One bit with two names: it is "secondary" for IPv4.
            temporary: address.net.addr().is_ipv6() && flags.contains(AddressFlags::Secondary),
            scope: message.header.scope,
            claimed,
            address,
        })
    }
}

/// The message that adds or deletes `address`.
fn message(link: &Link, address: &Address) -> AddressMessage {
    let ip = address.net.addr();
    let mut message = AddressMessage::default();
    message.header.family = family(ip);
    message.header.prefix_len = address.net.prefix_len();
    message.header.index = link.index;
    message.header.scope = scope(ip);
    message.attributes = vec![
        AddressAttribute::Local(ip),
        AddressAttribute::Address(address.peer.unwrap_or(ip)),
    ];
    if ip.is_ipv4() {
        let label = address.label.clone();
        message
            .attributes
            .extend(label.map(AddressAttribute::Label));
        message
            .attributes
            .extend(address.broadcast.map(AddressAttribute::Broadcast));
    }
    if let Some((preferred, valid)) = address.lifetime {
        let mut info = CacheInfo::default();
        info.ifa_preferred = preferred;
        info.ifa_valid = valid;
        message.attributes.push(AddressAttribute::CacheInfo(info));
    }
    message
}

/// The scope that `ip(8)` gives an address: a loopback address is valid on this host only. For IPv6 the kernel
/// works it out itself.
fn scope(ip: IpAddr) -> AddressScope {
    if matches!(ip, IpAddr::V4(ip) if ip.is_loopback()) {
        AddressScope::Host
    } else {
        AddressScope::Universe
    }
}

pub(super) fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    }
}

impl Socket {
    /// All addresses of all links: IPv4, then IPv6, of one link and family in the kernel's order.
    pub fn addresses(&mut self) -> Result<Vec<LinkAddress>> {
        let mut addresses = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut request = AddressMessage::default();
            request.header.family = family;
            let answers = self
                .dump(&RouteNetlinkMessage::GetAddress(request))
                .map_err(|refusal| refusal.during("cannot list the addresses"))?;
            addresses.extend(answers.iter().filter_map(|answer| match answer {
                // A kernel without IPv6 answers the second question with IPv4 again.
                RouteNetlinkMessage::NewAddress(message) if message.header.family == family => {
                    LinkAddress::from_message(message)
                }
                _ => None,
            }));
        }
        Ok(addresses)
    }

    /// Adds an address. One that is there already is an error (`EEXIST`), for it may differ in the rest.
    pub fn add_address(&mut self, link: &Link, address: &Address) -> Result<()> {
        self.change(
            RouteNetlinkMessage::NewAddress(message(link, address)),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .map_err(|refusal| refusal.during(format!("cannot add {} to {}", address.net, link.name)))
    }

    /// Makes an address that is there already, learned with a lifetime, a permanent one, without a gap.
    pub fn keep_address(&mut self, link: &Link, address: &Address) -> Result<()> {
        self.change(
            RouteNetlinkMessage::NewAddress(message(link, address)),
            NLM_F_REPLACE,
        )
        .map_err(|refusal| {
            refusal.during(format!(
                "cannot make {} permanent on {}",
                address.net, link.name
            ))
        })
    }

    /// Deletes an address. One that is gone already is no error.
    ///
    /// Where it is the first of its IPv4 subnet, the kernel deletes the others of that subnet too unless
    /// `promote_secondaries` is set; see `ip-sysctl`.
    pub fn delete_address(&mut self, link: &Link, address: &Address) -> Result<()> {
        match self.change(RouteNetlinkMessage::DelAddress(message(link, address)), 0) {
            Err(refusal) if !refusal.is_any(&[Errno::EADDRNOTAVAIL, Errno::ENODEV]) => {
                let doing = format!("cannot delete {} from {}", address.net, link.name);
                Err(refusal.during(doing))
            }
            _ => Ok(()),
        }
    }
}
