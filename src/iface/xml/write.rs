//! Writing an `<interface>`.

use std::fmt::Display;

use crate::iface::model::live::{Live, LiveKind};
use crate::iface::model::{
    Addressing, Bond, Bridge, Ethernet, Interface, Ipv4, Ipv6, Kind, Monitor, Port, PortKind, Vlan,
};
use crate::sys::name::InterfaceName;
use crate::xml::Tree;

/// The `<interface>` that says what `interface` is. [`super::read`] makes an equal one of it.
pub fn write(interface: &Interface) -> Tree {
    let mut tree = named(interface.kind.word(), &interface.name)
        .and(Tree::new("start").with("mode", interface.start));
    if let Kind::Ethernet(ethernet) = &interface.kind {
        push_mac(&mut tree, ethernet);
    }
    if let Some(mtu) = interface.mtu {
        tree.push(Tree::new("mtu").with("size", mtu));
    }
    let tree = tree.and_all(addressing(&interface.addressing));
    match &interface.kind {
        Kind::Ethernet(_) => tree,
        Kind::Bridge(bridge) => {
            let ports = bridge.ports.iter().map(port);
            tree.and(bridge_options(bridge).and_all(ports))
        }
        Kind::Bond(bond) => tree.and(self::bond(bond)),
        Kind::Vlan(vlan) => tree.and(self::vlan(vlan)),
    }
}

fn named(kind: &str, name: &InterfaceName) -> Tree {
    Tree::new("interface").with("type", kind).with("name", name)
}

fn push_mac(tree: &mut Tree, ethernet: &Ethernet) {
    if let Some(mac) = ethernet.mac {
        tree.push(Tree::new("mac").with("address", mac));
    }
}

fn bare_ethernet(name: &InterfaceName, ethernet: &Ethernet) -> Tree {
    let mut tree = named("ethernet", name);
    push_mac(&mut tree, ethernet);
    tree
}

fn bridge_options(bridge: &Bridge) -> Tree {
    let stp = bridge.stp.map(|stp| if stp { "on" } else { "off" });
    Tree::new("bridge")
        .with_some("stp", stp)
        .with_some("delay", bridge.delay)
}

fn port(port: &Port) -> Tree {
    match &port.kind {
        PortKind::Ethernet(ethernet) => bare_ethernet(&port.name, ethernet),
        PortKind::Vlan(it) => named("vlan", &port.name).and(vlan(it)),
        PortKind::Bond(it) => named("bond", &port.name).and(bond(it)),
    }
}

fn vlan(vlan: &Vlan) -> Tree {
    Tree::new("vlan")
        .with("tag", vlan.tag)
        .and(Tree::new("interface").with("name", &vlan.lower))
}

fn bond(bond: &Bond) -> Tree {
    let ports = bond.ports.iter();
    bond_options(bond).and_all(ports.map(|port| bare_ethernet(&port.name, &port.ethernet)))
}

fn bond_options(bond: &Bond) -> Tree {
    let tree = Tree::new("bond").with_some("mode", bond.mode);
    match &bond.monitor {
        None => tree,
        Some(Monitor::Mii(mii)) => tree.and(
            Tree::new("miimon")
                .with("freq", mii.freq)
                .with_some("downdelay", mii.down_delay)
                .with_some("updelay", mii.up_delay)
                .with_some("carrier", mii.carrier),
        ),
        Some(Monitor::Arp(arp)) => tree.and(
            Tree::new("arpmon")
                .with("interval", arp.interval)
                .with("target", arp.target)
                .with_some("validate", arp.validate),
        ),
    }
}

fn addressing(addressing: &Addressing) -> Vec<Tree> {
    // It is one setting; it is said once, where the first client is.
    let on_ipv4 = addressing.ipv4.as_ref().is_some_and(|ipv4| ipv4.dhcp);
    let dns = addressing
        .peer_dns
        .map(|dns| if dns { "yes" } else { "no" });
    let ipv4 = addressing.ipv4.iter().map(|it| ipv4(it, dns));
    let ipv6 = addressing.ipv6.iter();
    let ipv6 = ipv6.map(|it| ipv6_protocol(it, dns.filter(|_| !on_ipv4)));
    ipv4.chain(ipv6).collect()
}

fn ipv4(ipv4: &Ipv4, dns: Option<&str>) -> Tree {
    let mut tree = Tree::new("protocol").with("family", "ipv4");
    if ipv4.dhcp {
        tree.push(Tree::new("dhcp").with_some("peerdns", dns));
    }
    for ip in &ipv4.addresses {
        tree.push(address(ip.address, ip.prefix));
    }
    tree.and_all(ipv4.gateway.map(route))
}

fn ipv6_protocol(ipv6: &Ipv6, dns: Option<&str>) -> Tree {
    let mut tree = Tree::new("protocol").with("family", "ipv6");
    if ipv6.autoconf {
        tree.push(Tree::new("autoconf"));
    }
    if ipv6.dhcp {
        tree.push(Tree::new("dhcp").with_some("peerdns", dns));
    }
    for ip in &ipv6.addresses {
        tree.push(address(ip.address, ip.prefix));
    }
    tree.and_all(ipv6.gateway.map(route))
}

fn address(address: impl Display, prefix: Option<u8>) -> Tree {
    Tree::new("ip")
        .with("address", address)
        .with_some("prefix", prefix)
}

fn route(gateway: impl Display) -> Tree {
    Tree::new("route").with("gateway", gateway)
}

/// What the kernel has, as netcf prints a running interface: no `<start>`, since that is configuration.
pub fn live(live: &Live) -> Tree {
    let mut tree = Tree::new("interface")
        .with("name", &live.name)
        .with("type", live_type(&live.kind));
    if let Some(link) = &live.link {
        tree.push(
            Tree::new("link")
                .with("state", &link.state)
                .with("speed", link.speed),
        );
    }
    if let LiveKind::Ethernet(Some(mac)) = live.kind {
        tree.push(Tree::new("mac").with("address", mac));
    }
    if let Some(mtu) = live.mtu {
        tree.push(Tree::new("mtu").with("size", mtu));
    }
    for (family, is_ipv4) in [("ipv4", true), ("ipv6", false)] {
        let of_family = |net: &&ipnet::IpNet| net.addr().is_ipv4() == is_ipv4;
        let addresses = live.addresses.iter().filter(of_family);
        let addresses = addresses.map(|net| address(net.addr(), Some(net.prefix_len())));
        let addresses: Vec<_> = addresses.collect();
        if !addresses.is_empty() {
            tree.push(
                Tree::new("protocol")
                    .with("family", family)
                    .and_all(addresses),
            );
        }
    }
    match &live.kind {
        LiveKind::Ethernet(_) => tree,
        LiveKind::Bridge(bridge, ports) => {
            tree.and(bridge_options(bridge).and_all(ports.iter().map(self::live)))
        }
        LiveKind::Bond(bond, ports) => {
            tree.and(bond_options(bond).and_all(ports.iter().map(self::live)))
        }
        LiveKind::Vlan(tag, lower) => {
            tree.and(Tree::new("vlan").with("tag", tag).and(self::live(lower)))
        }
    }
}

fn live_type(kind: &LiveKind) -> &'static str {
    match kind {
        LiveKind::Ethernet(_) => "ethernet",
        LiveKind::Bridge(..) => "bridge",
        LiveKind::Bond(..) => "bond",
        LiveKind::Vlan(..) => "vlan",
    }
}
