//! What netlink tells of links, addresses and routes, in a network namespace of the test's own.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use ncf::sys::netlink::Socket;
use ncf::sys::netlink::link::Link;
use ncf::sys::netlink::route::Origin;
use ncf::sys::netlink::speed;
use support::netns::{in_namespace, ip, veth};

fn link(name: &str) -> Link {
    let mut socket = Socket::open().unwrap();
    socket.link(&name.parse().unwrap()).unwrap().unwrap()
}

#[test]
fn a_links_kind_master_options_and_speed_are_told() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        ip("link add br0 type bridge forward_delay 400 stp_state 1 priority 4096");
        ip("link set eth0 master br0 up");
        let (br0, eth0) = (link("br0"), link("eth0"));
        let options = br0.bridge.as_ref().unwrap();
        assert!(options.stp);
        assert_eq!(options.forward_delay, 400);
        assert_eq!(options.settings.text("priority").as_deref(), Some("4096"));
        assert_eq!(options.settings.number("ageing_time"), Some(30_000));
        assert_eq!(eth0.kind.as_deref(), Some("veth"));
        assert_eq!(eth0.master, Some(br0.index));
        assert!(eth0.bond.is_none() && eth0.vlan.is_none());
        // A new network namespace alone still sees the sysfs of the old one.
        let shown = std::fs::read_to_string("/sys/class/net/eth0/address").unwrap_or_default();
        let is_ours = eth0.mac.unwrap().to_string() == shown.trim();
        assert_eq!(speed::of(&eth0).megabits.is_some(), is_ours);
    });
}

#[test]
fn where_addresses_and_routes_come_from_is_told() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        ip("link set eth0 up");
        ip("address add 192.0.2.9/24 dev eth0 valid_lft 500 preferred_lft 400");
        ip("address add 192.0.2.10/32 dev eth0 scope host");
        ip("-6 address add 2001:db8::1/64 dev eth0 nodad");
        ip("route add default via 192.0.2.1 proto dhcp");
        ip("route add 198.51.100.0/24 via 192.0.2.1");
        ip("route add 203.0.113.0/24 via 192.0.2.1 table 7");
        ip("-6 route add default via 2001:db8::2 proto ra");
        let mut socket = Socket::open().unwrap();
        let eth0 = link("eth0");
        let text = |it: &ncf::sys::netlink::address::LinkAddress| {
            let scope = format!("{:?}", it.scope);
            (
                it.address.net.to_string(),
                it.permanent,
                it.temporary,
                scope,
            )
        };
        let all = socket.addresses().unwrap();
        let of_eth0 = all.iter().filter(|it| it.index == eth0.index);
        let told: Vec<_> = of_eth0.map(text).collect();
        let is = |net: &str, permanent, scope: &str| {
            told.contains(&(net.to_owned(), permanent, false, scope.to_owned()))
        };
        assert!(is("192.0.2.9/24", false, "Universe"), "{told:?}");
        assert!(is("192.0.2.10/32", true, "Host"), "{told:?}");
        assert!(is("2001:db8::1/64", true, "Universe"), "{told:?}");
        let routes = socket.main_routes().unwrap();
        let origin = |text: &str| {
            let found = routes.iter().find(|(_, route)| route.to_string() == text);
            found.map(|(index, route)| (*index == eth0.index, route.origin))
        };
        let of_eth0 = |origin| Some((true, origin));
        assert_eq!(origin("default via 192.0.2.1"), of_eth0(Origin::Dhcp));
        assert_eq!(
            origin("198.51.100.0/24 via 192.0.2.1"),
            of_eth0(Origin::Admin)
        );
        assert_eq!(
            origin("default via 2001:db8::2 metric 1024"),
            of_eth0(Origin::Router)
        );
        assert!(!routes.iter().any(|(_, route)| route.table == 7));
    });
}
