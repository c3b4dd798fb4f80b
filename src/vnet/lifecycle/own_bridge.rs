//! Making and removing a bridge of ncf's own.
//!
//! A bridge is ncf's if it has the name, the hardware address and, once that is known, the number in the record. The
//! address is given in the request that creates it, so there is no moment in which it is not marked. An alternative
//! name or an alias as the mark was rejected: both can be set only after the bridge is there.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::sys::netlink::address::Address;
use crate::sys::netlink::ipv6;
use crate::sys::netlink::link::Link;
use crate::sys::netlink::new_bridge::NewBridge;
use crate::sys::netlink::route::{MAIN_TABLE, Origin, Route};
use crate::sys::netlink::{Refusal, Socket};
use crate::sys::sysctl::Parameter;
use crate::vnet::active::OwnBridge;
use crate::vnet::model::{BridgeAddress, Isolation, MacTable, Network, StaticRoute, VirtualBridge};

/// Creates the bridge, set down. Fails, with nothing made, where there is a link of that name.
pub(super) fn create(socket: &mut Socket, network: &Network, bridge: &VirtualBridge) -> Result<()> {
    let new = |vlan_filtering| NewBridge {
        mac: bridge.mac,
        mtu: bridge.mtu,
        stp: bridge.stp,
        forward_delay: bridge.delay * 100,
        vlan_filtering,
    };
    let uses_vlans = network.uses_vlans();
    // Only where it filters does the kernel take ports out of promiscuous mode that it need not learn from.
    let filters = uses_vlans || network.mac_table == MacTable::Managed;
    match socket.create_bridge_with(&bridge.name, &new(filters)) {
        Err(error) if filters && is_unsupported(&error) => {
            if uses_vlans {
                return Err(error.hint(
                    "the network has VLANs, and it may be that the kernel's bridges do not filter by VLAN (CONFIG_BRIDGE_VLAN_FILTERING)",
                ));
            }
            socket.create_bridge_with(&bridge.name, &new(false))
        }
        created => created,
    }
}

fn is_unsupported(error: &Error) -> bool {
    Refusal::of(error).is_some_and(|refusal| refusal.is_any(&[Errno::EOPNOTSUPP]))
}

/// Gives the bridge that was created all that belongs to it, and sets it up. Returns it as the kernel has it.
pub(super) fn set_up(socket: &mut Socket, bridge: &VirtualBridge) -> Result<Link> {
    let link = socket.link(&bridge.name)?;
    let link =
        link.ok_or_else(|| Error::failed(format!("the bridge {} is gone again", bridge.name)))?;
    protect(bridge)?;
    for address in &bridge.addresses {
        socket.add_address(&link, &kernel_address(*address))?;
    }
    socket.set_link_up(&link, true)?;
    for route in &bridge.routes {
        socket.replace_route(&link, &kernel_route(*route))?;
    }
    Ok(link)
}

/// Guests must not give the host addresses or routes, nor get out of an isolated network through it.
fn protect(bridge: &VirtualBridge) -> Result<()> {
    let name = &bridge.name;
    if ipv6::is_supported() {
        Parameter::AcceptRouterAdvertisements.set(name, 0)?;
        Parameter::Autoconfiguration.set(name, 0)?;
        Parameter::Ipv6Disabled.set(name, i32::from(!bridge.has_ipv6()))?;
    }
    isolate(bridge)
}

/// What comes from an isolated bridge is not forwarded, whatever the host does otherwise.
pub(super) fn isolate(bridge: &VirtualBridge) -> Result<()> {
    match bridge.isolation {
        Isolation::Isolated => Parameter::Ipv4Forwarding.set(&bridge.name, 0),
        _ => Ok(()),
    }
}

/// Whether the link is the bridge that was made.
pub(super) fn is_ours(link: &Link, own: &OwnBridge) -> bool {
    link.name == own.name
        && link.is_bridge()
        && link.mac == Some(own.mac)
        && own.index.is_none_or(|index| index == link.index)
}

/// An option that can be changed while the bridge is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The spanning tree.
    Stp(bool),
    /// The forward delay in seconds.
    Delay(u32),
}

/// How the one becomes the other; `None` where that takes another bridge.
pub(super) fn changes(old: &VirtualBridge, new: &VirtualBridge) -> Option<Vec<Change>> {
    let same = VirtualBridge {
        stp: old.stp,
        delay: old.delay,
        ..new.clone()
    };
    if same != *old {
        return None;
    }
    let mut changes = Vec::new();
    if old.delay != new.delay {
        changes.push(Change::Delay(new.delay));
    }
    if old.stp != new.stp {
        changes.push(Change::Stp(new.stp));
    }
    Some(changes)
}

/// Makes the changes to the bridge that was made.
pub(super) fn change(socket: &mut Socket, own: &OwnBridge, changes: &[Change]) -> Result<()> {
    let link = socket.link(&own.name)?.filter(|link| is_ours(link, own));
    let link = link.ok_or_else(|| Error::failed(format!("the bridge {} is gone", own.name)))?;
    for change in changes {
        match change {
            Change::Stp(on) => socket.set_stp(&link, *on)?,
            Change::Delay(seconds) => socket.set_forward_delay(&link, *seconds * 100)?,
        }
    }
    Ok(())
}

/// Removes the bridge if it is the one that was made. Says whether it was.
pub(super) fn remove(socket: &mut Socket, own: &OwnBridge) -> Result<bool> {
    match socket.link(&own.name)? {
        Some(link) if is_ours(&link, own) => {
            // Down first: the kernel then says to listeners what happens in the usual order.
            socket.set_link_up(&link, false)?;
            socket.delete_link(&link)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn kernel_address(address: BridgeAddress) -> Address {
    Address {
        net: address.net,
        peer: None,
        label: None,
        broadcast: broadcast(address.net),
        lifetime: None,
    }
}

/// The last address of an IPv4 subnet that has room for one.
fn broadcast(net: IpNet) -> Option<Ipv4Addr> {
    match net.broadcast() {
        IpAddr::V4(ip) if net.prefix_len() < 31 => Some(ip),
        _ => None,
    }
}

fn kernel_route(route: StaticRoute) -> Route {
    Route {
        destination: route.destination,
        gateway: Some(route.gateway),
        metric: route.metric,
        table: MAIN_TABLE,
        source: None,
        mtu: None,
        on_link: false,
        origin: Origin::Admin,
    }
}
