//! What can be known to fail before anything is touched.

use std::net::IpAddr;

use netlink_packet_route::link::InfoKind;

use super::dhcp;
use super::links::{find, find_device, must_be};
use super::routes;
use crate::apply::desired::{Desired, LinkKind, Master};
use crate::sys::conf::DhcpClient;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::Socket;
use crate::sys::netlink::ipv6;
use crate::sys::netlink::link::Link;
use crate::{Error, Result};

/// What IPv6 asks of an MTU, in bytes (`IPV6_MIN_MTU` in `<linux/ipv6.h>`).
const IPV6_LEAST_MTU: u32 = 1280;

/// Refuses what could not be brought up on this host.
pub(super) fn check(socket: &mut Socket, desired: &Desired, dhcp_client: DhcpClient) -> Result<()> {
    let links = socket.links()?;
    check_links(&links, desired)?;
    check_kinds(socket, &links, desired)?;
    if wants_ipv6(desired) && !ipv6::is_supported() {
        let name = &desired.name;
        return Err(Error::failed(format!(
            "{name} is to have IPv6, but this kernel has no IPv6"
        )));
    }
    dhcp::check(desired, dhcp_client)?;
    match routes::contradiction(&desired.routes) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

pub(super) fn wants_ipv6(desired: &Desired) -> bool {
    desired.addresses.iter().any(|it| it.net.addr().is_ipv6())
        || desired.dhcp6.is_some()
        || desired.ipv6.autoconf == Some(true)
}

/// The part that is a pure function of the links. That an alias's device is missing is no error here: it may be a
/// bridge that comes up before it.
fn check_links(links: &[Link], desired: &Desired) -> Result<()> {
    let link = match &desired.kind {
        LinkKind::Alias => return Ok(()),
        LinkKind::Device => Some(find_device(links, desired)?),
        LinkKind::Bridge(_) | LinkKind::Bond(_) | LinkKind::Vlan(_) => find(links, &desired.name),
    };
    if let (Some(link), Some(kind)) = (link, kind_of(&desired.kind)) {
        must_be(link, &kind.to_string())?;
    }
    if let Some((master, kind)) = master_of(desired)
        && let Some(master) = find(links, master)
    {
        must_be(master, &kind.to_string())?;
    }
    check_mtu(link, desired)
}

/// The kernel's name for what is made.
fn kind_of(kind: &LinkKind) -> Option<InfoKind> {
    match kind {
        LinkKind::Device | LinkKind::Alias => None,
        LinkKind::Bridge(_) => Some(InfoKind::Bridge),
        LinkKind::Bond(_) => Some(InfoKind::Bond),
        LinkKind::Vlan(_) => Some(InfoKind::Vlan),
    }
}

fn master_of(desired: &Desired) -> Option<(&InterfaceName, InfoKind)> {
    desired.master.as_ref().map(|master| match master {
        Master::Bridge(name) => (name, InfoKind::Bridge),
        Master::Bond(name, _) => (name, InfoKind::Bond),
    })
}

/// Refuses what this kernel cannot make.
fn check_kinds(socket: &mut Socket, links: &[Link], desired: &Desired) -> Result<()> {
    let own = kind_of(&desired.kind).map(|kind| (&desired.name, kind));
    for (name, kind) in own.into_iter().chain(master_of(desired)) {
        if find(links, name).is_none() && !socket.knows_kind(kind.clone()) {
            return Err(Error::failed(format!(
                "{name} is to be a {kind}, but this kernel cannot make one"
            )));
        }
    }
    Ok(())
}

fn check_mtu(link: Option<&Link>, desired: &Desired) -> Result<()> {
    let (Some(mtu), name) = (desired.mtu, &desired.name) else {
        return Ok(());
    };
    let least = link.and_then(|it| it.min_mtu).unwrap_or(0);
    let most = link.and_then(|it| it.max_mtu).unwrap_or(u32::MAX);
    if mtu < least || mtu > most {
        return Err(Error::failed(format!(
            "{name} takes an MTU of {least} to {most} bytes, not {mtu}"
        )));
    }
    let address = desired
        .addresses
        .iter()
        .map(|it| it.net.addr())
        .find(IpAddr::is_ipv6);
    match address {
        Some(address) if mtu < IPV6_LEAST_MTU => Err(Error::failed(format!(
            "{name} cannot have {address} with an MTU of {mtu}: IPv6 needs {IPV6_LEAST_MTU} bytes"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::builtin::testing::{address, bridge, desired, link, name};

    #[test]
    fn a_device_must_exist_but_a_bridge_need_not() {
        let eth7 = desired("eth7", LinkKind::Device);
        let error = check_links(&[], &eth7).unwrap_err();
        assert_eq!(error.one_line(), "eth7: no such device");
        let br0 = desired(
            "br0",
            LinkKind::Bridge(crate::apply::desired::Bridge::default()),
        );
        assert!(check_links(&[], &br0).is_ok());
    }

    #[test]
    fn the_mtu_must_be_in_the_devices_range_and_do_for_ipv6() {
        let links = [link(2, "eth0")];
        let mut eth0 = desired("eth0", LinkKind::Device);
        for (mtu, is_right) in [(67, false), (68, true), (9000, true), (9001, false)] {
            eth0.mtu = Some(mtu);
            assert_eq!(check_links(&links, &eth0).is_ok(), is_right, "{mtu}");
        }
        eth0.mtu = Some(1279);
        eth0.addresses = vec![address("2001:db8::1/64")];
        assert!(check_links(&links, &eth0).is_err());
    }

    #[test]
    fn a_port_wants_a_bridge() {
        let mut eth0 = desired("eth0", LinkKind::Device);
        eth0.master = Some(Master::Bridge(name("x0")));
        assert!(check_links(&[link(2, "eth0"), link(3, "x0")], &eth0).is_err());
        assert!(check_links(&[link(2, "eth0"), bridge(3, "x0")], &eth0).is_ok());
        assert!(check_links(&[link(2, "eth0")], &eth0).is_ok());
    }
}
