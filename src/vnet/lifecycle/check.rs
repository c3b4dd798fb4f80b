//! Whether a network can be started here. Pure: facts in, a refusal or warnings out.

use std::net::IpAddr;

use ipnet::IpNet;

use super::facts::Facts;
use crate::error::{Error, Result};
use crate::sys::name::InterfaceName;
use crate::sys::netlink::link::Link;
use crate::vnet::model::{Devices, Forward, Isolation, Network, VirtualBridge};

/// Whether a network whose DHCP or DNS ncf cannot do is started all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingServices {
    /// No: its guests would wait for addresses that never come.
    Refuse,
    /// Yes, without them.
    DoWithout,
}

/// Fails where the network cannot be started; else says what is not as it might be.
pub fn check(network: &Network, facts: &Facts, services: MissingServices) -> Result<Vec<String>> {
    match &network.forward {
        Forward::Virtual(bridge) => own_bridge(network, bridge, facts, services),
        Forward::HostBridge(name) => host_bridge(network, name, facts),
        Forward::Macvtap(macvtap) => devices(network, &macvtap.devices, facts),
        Forward::Hostdev { devices: pool, .. } => devices(network, pool, facts),
    }
}

fn host_bridge(network: &Network, name: &InterfaceName, facts: &Facts) -> Result<Vec<String>> {
    match facts.link(name) {
        Some(link) if !link.is_bridge() => Err(refusal(network, format!("{name} is not a bridge"))),
        Some(link) if !link.up => Ok(vec![format!("the bridge {name} is down")]),
        Some(_) => Ok(Vec::new()),
        None => Err(refusal(network, format!("there is no bridge {name}"))),
    }
}

fn devices(network: &Network, pool: &Devices, facts: &Facts) -> Result<Vec<String>> {
    let (all, absent): (usize, Vec<String>) = match pool {
        Devices::Interfaces(names) => {
            let absent = names.iter().filter(|name| facts.link(name).is_none());
            (names.len(), absent.map(ToString::to_string).collect())
        }
        Devices::VirtualFunctions(physical) => {
            return functions(network, physical, facts).map(|()| Vec::new());
        }
        Devices::Addresses(addresses) => {
            let absent = addresses.iter().filter(|it| !facts.pci.contains(it));
            (addresses.len(), absent.map(ToString::to_string).collect())
        }
    };
    if all == 0 {
        return Ok(vec!["its pool has no device yet".to_owned()]);
    }
    if absent.len() == all {
        let what = if all == 1 {
            "its device"
        } else {
            "none of its devices"
        };
        let verb = if all == 1 { "is not there" } else { "is there" };
        return Err(refusal(
            network,
            format!("{what} {verb}: {}", absent.join(", ")),
        ));
    }
    Ok(absent
        .into_iter()
        .map(|name| format!("{name} is not there"))
        .collect())
}

fn functions(network: &Network, physical: &InterfaceName, facts: &Facts) -> Result<()> {
    if facts.link(physical).is_none() {
        return Err(refusal(
            network,
            format!("its device is not there: {physical}"),
        ));
    }
    match &facts.functions {
        Some(Ok(0)) | None => {
            let what = format!("{physical} has no virtual functions");
            Err(refusal(network, what).hint(format!(
                "a number of them is switched on with 'echo 4 > /sys/class/net/{physical}/device/sriov_numvfs'"
            )))
        }
        Some(Ok(_)) => Ok(()),
        Some(Err(why)) => Err(refusal(network, why.clone())),
    }
}

fn own_bridge(
    network: &Network,
    bridge: &VirtualBridge,
    facts: &Facts,
    services: MissingServices,
) -> Result<Vec<String>> {
    if bridge.isolation == Isolation::Nat {
        let error = refusal(network, "ncf does not do the mode nat yet".to_owned());
        return Err(error.hint(
            "the modes route, open and isolated, and those over the host's devices, are there",
        ));
    }
    let mut warnings = Vec::new();
    if !bridge.services.is_empty() {
        let names = bridge.services.names().join(" and ");
        if services == MissingServices::Refuse {
            let error = refusal(network, format!("ncf does not do {names} yet"));
            return Err(error.hint("with --without-services it is started all the same"));
        }
        warnings.push(format!("it runs without {names}"));
    }
    if let Some(link) = facts.link(&bridge.name) {
        let what = format!(
            "there is a {} {} already, which ncf has not made",
            kind(link),
            bridge.name
        );
        return Err(refusal(network, what).hint("give the network's <bridge> another name"));
    }
    if let Some(dev) = &bridge.dev
        && facts.link(dev).is_none()
    {
        warnings.push(format!("{dev}, which it forwards to, is not there"));
    }
    for address in &bridge.addresses {
        subnet_is_free(network, address.net.trunc(), facts)?;
    }
    for route in &bridge.routes {
        subnet_is_free(network, route.destination, facts)?;
    }
    ipv6(network, bridge, facts)?;
    Ok(warnings)
}

fn ipv6(network: &Network, bridge: &VirtualBridge, facts: &Facts) -> Result<()> {
    if !bridge.has_ipv6() {
        return Ok(());
    }
    if !facts.has_ipv6 {
        return Err(refusal(
            network,
            "it has an IPv6 address, and the kernel has no IPv6".to_owned(),
        ));
    }
    match facts.advertised.first() {
        Some(device) if bridge.forwards() && !facts.forwards_ipv6 => {
            let what = format!(
                "to forward IPv6 would make the host drop the routes that it learns on {device} from router advertisements"
            );
            Err(refusal(network, what).hint(format!(
                "'sysctl net.ipv6.conf.{device}.accept_ra=2' keeps them; then start it again"
            )))
        }
        _ => Ok(()),
    }
}

/// Traffic to what is reached otherwise now must not be drawn into the bridge.
fn subnet_is_free(network: &Network, net: IpNet, facts: &Facts) -> Result<()> {
    let taken = |whose: String| {
        let error = refusal(network, format!("{net} overlaps with {whose}"));
        Err(error.hint("choose other addresses for the network"))
    };
    if let Some(operator) = facts.operator.filter(|ip| net.contains(ip)) {
        return taken(format!(
            "your own address, {operator}: you would be cut off"
        ));
    }
    let device = |index| facts.links.iter().find(|link| link.index == index);
    for address in &facts.addresses {
        let other = address.address.net;
        if overlap(net, other) && !is_link_local(other.addr()) {
            let name = device(address.index).map(|link| link.name.to_string());
            return taken(format!("{other} of {}", name.unwrap_or_default()));
        }
    }
    for (name, route) in &facts.routes {
        let other = route.destination;
        if other.prefix_len() > 0 && overlap(net, other) && !is_link_local(other.addr()) {
            return taken(format!("the route {other} through {name}"));
        }
    }
    Ok(())
}

fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_multicast(),
    }
}

fn kind(link: &Link) -> String {
    match link.kind.as_deref() {
        Some("bridge") => "bridge".to_owned(),
        Some(kind) => format!("{kind} device"),
        None => "device".to_owned(),
    }
}

fn refusal(network: &Network, why: String) -> Error {
    Error::failed(format!("cannot start the network {}", network.name)).because(why)
}
