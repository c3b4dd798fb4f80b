//! Values for the tests of the pure plans.

use netlink_packet_route::link::State;

use crate::apply::desired::{Address, Desired, LinkKind};
use crate::sys::name::InterfaceName;
use crate::sys::netlink::bridge::BridgeOptions;
use crate::sys::netlink::link::Link;

pub(crate) fn name(name: &str) -> InterfaceName {
    name.parse().unwrap()
}

/// A link that is up and is in no bridge.
pub(crate) fn link(index: u32, link_name: &str) -> Link {
    Link {
        index,
        name: name(link_name),
        kind: None,
        master: None,
        lower: None,
        mac: Some("02:00:00:00:00:01".parse().unwrap()),
        permanent_mac: None,
        mtu: 1500,
        min_mtu: Some(68),
        max_mtu: Some(9000),
        up: true,
        carrier: true,
        operational: State::Up,
        loopback: link_name == "lo",
        bridge: None,
        bond: None,
        vlan: None,
    }
}

pub(crate) fn bridge(index: u32, name: &str) -> Link {
    Link {
        kind: Some("bridge".into()),
        bridge: Some(BridgeOptions {
            stp: false,
            forward_delay: 1500,
            ..BridgeOptions::default()
        }),
        ..link(index, name)
    }
}

pub(crate) fn port(index: u32, name: &str, master: u32) -> Link {
    Link {
        master: Some(master),
        ..link(index, name)
    }
}

pub(crate) fn desired(of: &str, kind: LinkKind) -> Desired {
    Desired::new(name(of), kind)
}

pub(crate) fn address(net: &str) -> Address {
    Address {
        net: net.parse().unwrap(),
        label: None,
        broadcast: None,
        peer: None,
    }
}
