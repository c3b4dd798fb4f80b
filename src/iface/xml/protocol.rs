//! Reading `<protocol>`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::Result;
use crate::iface::model::{Addressing, Ip4, Ip6, Ipv4, Ipv6};
use crate::ifcfg::address::Family;
use crate::xml::Element;

const YES_NO: [(&str, bool); 2] = [("yes", true), ("no", false)];

/// What the `<protocol>` elements of an interface say.
pub(super) fn addressing(interface: Element<'_>) -> Result<Addressing> {
    const FAMILIES: [(&str, Family); 2] = [("ipv4", Family::V4), ("ipv6", Family::V6)];
    let mut addressing = Addressing::default();
    for element in interface.children_named("protocol") {
        element.allow_attributes(&["family"])?;
        element.required("family")?;
        match element.one_of("family", &FAMILIES)? {
            Some(Family::V4) if addressing.ipv4.is_none() => {
                addressing.ipv4 = Some(ipv4(element)?);
            }
            Some(Family::V6) if addressing.ipv6.is_none() => {
                addressing.ipv6 = Some(ipv6(element)?);
            }
            _ => return Err(element.error("a second <protocol> of this family: one is allowed")),
        }
        if let Some(dhcp) = element.child("dhcp")? {
            peer_dns(dhcp, &mut addressing)?;
        }
    }
    Ok(addressing)
}

/// `peerdns`, which is one setting for both families.
fn peer_dns(dhcp: Element<'_>, addressing: &mut Addressing) -> Result<()> {
    dhcp.allow_attributes(&["peerdns"])?;
    dhcp.allow_children(&[])?;
    let given = dhcp.one_of("peerdns", &YES_NO)?;
    if let (Some(given), Some(other)) = (given, addressing.peer_dns)
        && given != other
    {
        return Err(dhcp.wrong(
            "peerdns",
            "both protocols share it, and the other says otherwise",
        ));
    }
    addressing.peer_dns = addressing.peer_dns.or(given);
    Ok(())
}

fn ipv4(element: Element<'_>) -> Result<Ipv4> {
    element.allow_children(&["dhcp", "ip", "route"])?;
    let mut ipv4 = Ipv4 {
        dhcp: element.child("dhcp")?.is_some(),
        addresses: Vec::new(),
        gateway: gateway(element, ipv4_address)?,
    };
    for ip in element.children_named("ip") {
        ip_attributes(ip)?;
        let address = Ip4 {
            address: ip.parsed_required("address", ipv4_address)?,
            prefix: ip.parsed("prefix", |text| Family::V4.prefix(text))?,
        };
        if ipv4
            .addresses
            .iter()
            .any(|it| it.address == address.address)
        {
            return Err(ip.wrong("address", "each address is allowed once"));
        }
        ipv4.addresses.push(address);
    }
    if !ipv4.dhcp && ipv4.addresses.is_empty() {
        return Err(element.error("<protocol family=\"ipv4\"> needs a <dhcp> or an <ip>"));
    }
    if let (Some(route), true) = (element.child("route")?, ipv4.addresses.is_empty()) {
        return Err(route.error("<route> is allowed only beside an <ip>"));
    }
    Ok(ipv4)
}

fn ipv6(element: Element<'_>) -> Result<Ipv6> {
    element.allow_children(&["autoconf", "dhcp", "ip", "route"])?;
    if let Some(autoconf) = element.child("autoconf")? {
        autoconf.allow_attributes(&[])?;
        autoconf.allow_children(&[])?;
    }
    let mut ipv6 = Ipv6 {
        autoconf: element.child("autoconf")?.is_some(),
        dhcp: element.child("dhcp")?.is_some(),
        addresses: Vec::new(),
        gateway: gateway(element, ipv6_address)?,
    };
    for ip in element.children_named("ip") {
        ip_attributes(ip)?;
        let address = Ip6 {
            address: ip.parsed_required("address", ipv6_address)?,
            prefix: ip.parsed("prefix", |text| Family::V6.prefix(text))?,
        };
        if ipv6
            .addresses
            .iter()
            .any(|it| it.address == address.address)
        {
            return Err(ip.wrong("address", "each address is allowed once"));
        }
        ipv6.addresses.push(address);
    }
    Ok(ipv6)
}

fn ip_attributes(ip: Element<'_>) -> Result<()> {
    ip.allow_attributes(&["address", "prefix"])?;
    ip.allow_children(&[])
}

fn gateway<T>(
    element: Element<'_>,
    parse: fn(&str) -> Result<T, &'static str>,
) -> Result<Option<T>> {
    let Some(route) = element.child("route")? else {
        return Ok(None);
    };
    route.allow_attributes(&["gateway"])?;
    route.allow_children(&[])?;
    route.parsed_required("gateway", parse).map(Some)
}

pub(super) fn ipv4_address(text: &str) -> Result<Ipv4Addr, &'static str> {
    Ipv4Addr::from_str(text).map_err(|_| "an IPv4 address such as 192.0.2.7 is allowed")
}

fn ipv6_address(text: &str) -> Result<Ipv6Addr, &'static str> {
    Ipv6Addr::from_str(text).map_err(|_| "an IPv6 address such as 2001:db8::7 is allowed")
}
