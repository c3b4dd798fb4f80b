//! Routes, and which way the kernel would send a packet.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric,
    RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::Socket;
use super::address::family;
use super::link::Link;
use super::refusal::Outcome;
use crate::error::Result;
use crate::sys::name::InterfaceName;

/// The main routing table (`RT_TABLE_MAIN` in `<linux/rtnetlink.h>`).
pub const MAIN_TABLE: u32 = 254;

/// One unicast route through one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The destination; prefix length 0 is the default route.
    pub destination: IpNet,
    /// The next hop; `None` is a directly connected destination.
    pub gateway: Option<IpAddr>,
    /// Priority, a lower one is preferred. Adding an IPv6 route with 0 gives it the kernel's default, 1024.
    pub metric: u32,
    /// The routing table.
    pub table: u32,
    /// The preferred source address.
    pub source: Option<IpAddr>,
    /// MTU along the route in bytes.
    pub mtu: Option<u32>,
    /// The next hop is taken to be on the link even though no address says so.
    pub on_link: bool,
    /// Who made it.
    pub origin: Origin,
}

/// Who made a route (`rtm_protocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// An administrator or a boot script: `boot` and `static`. New routes are `static`.
    Admin,
    /// The kernel, for an address (`kernel`).
    Kernel,
    /// A DHCP client that says so (`dhcp`). dhclient does not: its routes are the administrator's to the kernel.
    Dhcp,
    /// A router's advertisement (`ra`).
    Router,
    /// Somebody else, such as a routing daemon.
    Other,
}

impl Route {
    /// `None` for what ncf never makes: routes that are not unicast, several next hops, cached entries,
    /// types of service, next-hop objects.
    fn from_message(message: &RouteMessage) -> Option<(u32, Self)> {
        let header = &message.header;
        if header.kind != RouteType::Unicast
            || header.tos != 0
            || header.flags.contains(RouteFlags::Cloned)
        {
            return None;
        }
        let unspecified = match header.address_family {
            AddressFamily::Inet => IpAddr::from([0; 4]),
            AddressFamily::Inet6 => IpAddr::from([0_u16; 8]),
            _ => return None,
        };
        let mut link = None;
        let mut destination = unspecified;
        let mut route = Self {
            destination: IpNet::default(),
            gateway: None,
            metric: 0,
            table: u32::from(header.table),
            source: None,
            mtu: None,
            on_link: header.flags.contains(RouteFlags::Onlink),
            origin: match header.protocol {
                RouteProtocol::Boot | RouteProtocol::Static => Origin::Admin,
                RouteProtocol::Kernel => Origin::Kernel,
                RouteProtocol::Dhcp => Origin::Dhcp,
                RouteProtocol::Ra => Origin::Router,
                _ => Origin::Other,
            },
        };
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(address) => destination = ip(address)?,
                RouteAttribute::Oif(index) => link = Some(*index),
                RouteAttribute::MultiPath(_) | RouteAttribute::NhId(_) | RouteAttribute::Via(_) => {
                    return None;
                }
                attribute => route.take(attribute),
            }
        }
        route.destination = IpNet::new(destination, header.destination_prefix_length).ok()?;
        Some((link?, route))
    }

    fn take(&mut self, attribute: &RouteAttribute) {
        match attribute {
            RouteAttribute::Gateway(address) => self.gateway = ip(address),
            RouteAttribute::Priority(metric) => self.metric = *metric,
            RouteAttribute::Table(table) => self.table = *table,
            RouteAttribute::PrefSource(address) => self.source = ip(address),
            RouteAttribute::Metrics(metrics) => {
                self.mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) => Some(*mtu),
                    _ => None,
                });
            }
            _ => {}
        }
    }

    fn to_message(&self, link: &Link) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = family(self.destination.addr());
        message.header.destination_prefix_length = self.destination.prefix_len();
        message.header.table = u8::try_from(self.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
        message.header.kind = RouteType::Unicast;
        if self.on_link {
            message.header.flags = RouteFlags::Onlink;
        }
        let attributes = &mut message.attributes;
        if self.destination.prefix_len() > 0 {
            let network = self.destination.network();
            attributes.push(RouteAttribute::Destination(network.into()));
        }
        attributes.push(RouteAttribute::Oif(link.index));
        attributes.push(RouteAttribute::Table(self.table));
        if self.metric > 0 {
            attributes.push(RouteAttribute::Priority(self.metric));
        }
        let gateway = self.gateway.map(|ip| RouteAttribute::Gateway(ip.into()));
        attributes.extend(gateway);
        let source = self.source.map(|ip| RouteAttribute::PrefSource(ip.into()));
        attributes.extend(source);
        let metrics = |mtu| RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)]);
        attributes.extend(self.mtu.map(metrics));
        message
    }
}

/// As `ip-route(8)` writes it: "default via 192.0.2.1 metric 5 table 7".
impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.destination.prefix_len() == 0 {
            f.write_str("default")?;
        } else {
            write!(f, "{}", self.destination)?;
        }
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(source) = self.source {
            write!(f, " src {source}")?;
        }
        if self.metric > 0 {
            write!(f, " metric {}", self.metric)?;
        }
        if self.table != MAIN_TABLE {
            write!(f, " table {}", self.table)?;
        }
        Ok(())
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some(IpAddr::V4(*ip)),
        RouteAddress::Inet6(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}

impl Socket {
    /// The unicast routes through `link`, of all tables, in the kernel's order: IPv4, then IPv6.
    pub fn routes(&mut self, link: &Link) -> Result<Vec<Route>> {
        // A filter where the kernel knows it (Linux 4.20); an older one sends all.
        let by_link = RouteAttribute::Oif(link.index);
        let routes = self.list_routes(&[by_link]).map_err(|refusal| {
            refusal.during(format!("cannot list the routes through {}", link.name))
        })?;
        let through = routes.into_iter().filter(|(index, _)| *index == link.index);
        Ok(through.map(|(_, route)| route).collect())
    }

    /// The unicast routes of the main table, each with the index of the link that it goes through, in the kernel's
    /// order: IPv4, then IPv6.
    pub fn main_routes(&mut self) -> Result<Vec<(u32, Route)>> {
        let in_table = RouteAttribute::Table(MAIN_TABLE);
        let mut routes = self
            .list_routes(&[in_table])
            .map_err(|refusal| refusal.during("cannot list the routes"))?;
        routes.retain(|(_, route)| route.table == MAIN_TABLE);
        Ok(routes)
    }

    fn list_routes(&mut self, filter: &[RouteAttribute]) -> Outcome<Vec<(u32, Route)>> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut request = RouteMessage::default();
            request.header.address_family = family;
            request.attributes.extend_from_slice(filter);
            let answers = self.dump(&RouteNetlinkMessage::GetRoute(request))?;
            routes.extend(answers.iter().filter_map(|answer| match answer {
                RouteNetlinkMessage::NewRoute(message)
                    if message.header.address_family == family =>
                {
                    Route::from_message(message)
                }
                _ => None,
            }));
        }
        Ok(routes)
    }

    /// Adds a route of origin `static`, in the place of one with the same destination, metric and table
    /// if there is such a one, as `ip route replace` does.
    pub fn replace_route(&mut self, link: &Link, route: &Route) -> Result<()> {
        let mut message = route.to_message(link);
        message.header.protocol = RouteProtocol::Static;
        if route.gateway.is_none() && route.destination.addr().is_ipv4() {
            message.header.scope = RouteScope::Link;
        }
        self.change(
            RouteNetlinkMessage::NewRoute(message),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
        .map_err(|refusal| {
            refusal.during(format!(
                "cannot add the route {route} through {}",
                link.name
            ))
        })
    }

    /// Deletes a route, whoever made it. One that is gone already is no error.
    pub fn delete_route(&mut self, link: &Link, route: &Route) -> Result<()> {
        let mut message = route.to_message(link);
        message.header.flags = RouteFlags::empty();
        // "Any" to the kernel, which then goes by the attributes.
        message.header.scope = RouteScope::NoWhere;
        message
            .attributes
            .retain(|it| !matches!(it, RouteAttribute::Metrics(_)));
        match self.change(RouteNetlinkMessage::DelRoute(message), 0) {
            Err(refusal) if !refusal.is_any(&[Errno::ESRCH, Errno::ENODEV]) => {
                let doing = format!("cannot delete the route {route} through {}", link.name);
                Err(refusal.during(doing))
            }
            _ => Ok(()),
        }
    }

    /// The interface by which a packet to `ip` would leave now; `None` where there is no way to it.
    ///
    /// For an address of this host itself that is the loopback.
    pub fn route_to(&mut self, ip: IpAddr) -> Result<Option<InterfaceName>> {
        let mut request = RouteMessage::default();
        request.header.address_family = family(ip);
        request.header.destination_prefix_length = if ip.is_ipv4() { 32 } else { 128 };
        request
            .attributes
            .push(RouteAttribute::Destination(ip.into()));
        let answer = match self.get(RouteNetlinkMessage::GetRoute(request)) {
            Ok(answer) => answer,
            Err(refusal) if refusal.is_any(&[Errno::ENETUNREACH, Errno::EHOSTUNREACH]) => None,
            Err(refusal) => return Err(refusal.during(format!("cannot look up the way to {ip}"))),
        };
        let Some(RouteNetlinkMessage::NewRoute(message)) = answer else {
            return Ok(None);
        };
        let index = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                RouteAttribute::Oif(index) => Some(*index),
                _ => None,
            });
        let links = self.links()?;
        let link = links.into_iter().find(|link| Some(link.index) == index);
        Ok(link.map(|link| link.name))
    }
}
