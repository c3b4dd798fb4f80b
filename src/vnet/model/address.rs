//! Addresses of a virtual bridge, and static routes through it.

use std::net::IpAddr;

use ipnet::IpNet;

use super::attribute::{number, own, yes_no};
use crate::error::Result;
use crate::xml::Element;

/// An address of the host on a virtual bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BridgeAddress {
    /// The address with its prefix length.
    pub net: IpNet,
}

impl BridgeAddress {
    /// The addresses of all `<ip>` of a `<network>`.
    pub(super) fn all_from_xml(network: Element<'_>) -> Result<Vec<Self>> {
        let mut addresses: Vec<Self> = Vec::new();
        for element in network.children_named("ip") {
            let net = subnet(element, "<ip>")?;
            yes_no(element, "localPtr")?;
            if !is_host(net.addr()) {
                return Err(element.wrong("address", "the address of a host is allowed"));
            }
            if addresses.iter().any(|known| known.net.addr() == net.addr()) {
                return Err(element.error(format!("the address {} is there twice", net.addr())));
            }
            addresses.push(Self { net });
        }
        Ok(addresses)
    }
}

/// A route through a virtual bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StaticRoute {
    /// The destination.
    pub destination: IpNet,
    /// The next hop, in a subnet of the bridge.
    pub gateway: IpAddr,
    /// The metric; 0 is the kernel's default. libvirt's default is 1.
    pub metric: u32,
}

impl StaticRoute {
    /// All `<route>` of a `<network>`.
    pub(super) fn all_from_xml(network: Element<'_>) -> Result<Vec<Self>> {
        network
            .children_named("route")
            .map(Self::from_xml)
            .collect()
    }

    fn from_xml(element: Element<'_>) -> Result<Self> {
        let net = subnet(element, "<route>")?;
        element.required("gateway")?;
        let allowed = "the address of the next hop";
        let gateway: Option<IpAddr> = own(element, "gateway", allowed)?;
        let gateway =
            gateway.ok_or_else(|| element.error("<route> needs the attribute gateway"))?;
        if gateway.is_ipv4() != net.addr().is_ipv4() {
            return Err(element.wrong(
                "gateway",
                "an address of the same family as the destination's is allowed",
            ));
        }
        if net.addr() != net.network() {
            return Err(element.wrong(
                "address",
                format!("the address of the network is allowed: {}", net.network()),
            ));
        }
        if element
            .attribute("metric")
            .is_some_and(|it| it.trim() == "0")
        {
            return Err(element.wrong("metric", "a number from 1 is allowed"));
        }
        Ok(Self {
            destination: net,
            gateway,
            metric: number(element, "metric", 1, u32::MAX)?.unwrap_or(1),
        })
    }

    /// Fails where the next hop cannot be reached through the bridge.
    pub(super) fn check(self, element: Element<'_>, addresses: &[BridgeAddress]) -> Result<()> {
        if addresses.iter().any(|it| it.net.contains(&self.gateway)) {
            return Ok(());
        }
        Err(element.wrong(
            "gateway",
            "an address in a subnet of this network's bridge is allowed",
        ))
    }
}

/// `address` with `netmask`, `prefix` or, in IPv4, the class that it had; `family` must fit.
fn subnet(element: Element<'_>, what: &str) -> Result<IpNet> {
    let family = element.one_of("family", &[("ipv4", true), ("ipv6", false)])?;
    element.required("address")?;
    let is_v4 = family.unwrap_or(true);
    let allowed = if is_v4 {
        "an IPv4 address, or with family='ipv6' an IPv6 address,"
    } else {
        "an IPv6 address"
    };
    let address: Option<IpAddr> = own(element, "address", allowed)?;
    let address =
        address.ok_or_else(|| element.error(format!("{what} needs the attribute address")))?;
    if address.is_ipv4() != is_v4 {
        return Err(element.wrong("address", format!("{allowed} is allowed")));
    }
    let netmask = element.attribute("netmask");
    if let (Some(_), Some(_)) = (netmask, element.attribute("prefix")) {
        return Err(element.error("netmask and prefix exclude each other"));
    }
    let length = match netmask {
        Some(_) => mask_length(element, is_v4)?,
        None => match number(element, "prefix", 0, if is_v4 { 32 } else { 128 })? {
            Some(length) => u8::try_from(length).unwrap_or(u8::MAX),
            None => default_length(address),
        },
    };
    IpNet::new(address, length).map_err(|error| element.error(error))
}

fn mask_length(element: Element<'_>, is_v4: bool) -> Result<u8> {
    if !is_v4 {
        return Err(element.wrong("netmask", "a prefix='…' is allowed for IPv6, no netmask"));
    }
    let mask: Option<IpAddr> = own(element, "netmask", "a netmask such as 255.255.255.0")?;
    mask.and_then(|mask| ipnet::ip_mask_to_prefix(mask).ok())
        .ok_or_else(|| {
            element.wrong(
                "netmask",
                "ones, then zeros are allowed, as in 255.255.255.0",
            )
        })
}

/// What libvirt takes where neither is given: the class of an IPv4 address (`virSocketAddrGetIPPrefix()` in its
/// `virsocketaddr.c`), 64 bits in IPv6.
fn default_length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(ip) if ip.is_unspecified() => 0,
        IpAddr::V4(ip) => match ip.octets() {
            [0..=127, ..] => 8,
            [128..=191, ..] => 16,
            [192..=223, ..] => 24,
            _ => 32,
        },
        IpAddr::V6(ip) if ip.is_unspecified() => 0,
        IpAddr::V6(_) => 64,
    }
}

fn is_host(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(ip) if ip.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast)
}
