//! The built-in applier against a real kernel, each test in a network namespace of its own.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::collections::BTreeSet;

use ncf::apply::builtin::Builtin;
use ncf::apply::bystanders::Bystanders;
use ncf::apply::desired::{Address, Bridge, Desired, LinkKind, Master, Route};
use ncf::apply::{Applier, Target};
use ncf::sys::name::InterfaceName;
use ncf::sys::netlink::Socket;
use serde_json::json;
use support::netns::{
    Peer, addresses, answers, dump, exists, in_namespace, ip, ip_json, link_attribute, settle, veth,
};

fn name(name: &str) -> InterfaceName {
    name.parse().unwrap()
}

fn device(of: &str) -> Desired {
    Desired::new(name(of), LinkKind::Device)
}

fn bridge(of: &str, ports: &[&str]) -> Desired {
    Desired {
        kind: LinkKind::Bridge(Bridge {
            stp: Some(false),
            forward_delay: Some(0),
            ports: ports.iter().map(|it| name(it)).collect(),
            ..Bridge::default()
        }),
        ..device(of)
    }
}

fn port(of: &str, bridge: &str) -> Desired {
    Desired {
        master: Some(Master::Bridge(name(bridge))),
        ..device(of)
    }
}

fn address(net: &str) -> Address {
    Address {
        net: net.parse().unwrap(),
        label: None,
        broadcast: None,
        peer: None,
    }
}

fn labelled(net: &str, label: &str) -> Address {
    Address {
        label: Some(name(label)),
        ..address(net)
    }
}

fn route(destination: &str, gateway: Option<&str>) -> Route {
    Route {
        destination: destination.parse().unwrap(),
        gateway: gateway.map(|it| it.parse().unwrap()),
        metric: None,
        table: None,
        source: None,
        mtu: None,
        on_link: false,
    }
}

fn target(desired: &Desired) -> Target {
    Target {
        name: desired.name.clone(),
        desired: Some(desired.clone()),
    }
}

fn up(desired: &Desired) {
    Builtin::default().check(&target(desired)).unwrap();
    if let Err(error) = Builtin::default().up(&target(desired)) {
        panic!("{}", error.one_line());
    }
}

fn up_fails(desired: &Desired) -> String {
    Builtin::default()
        .up(&target(desired))
        .unwrap_err()
        .one_line()
}

fn down(desired: &Desired) {
    if let Err(error) = Builtin::default().down(&target(desired)) {
        panic!("{}", error.one_line());
    }
}

fn down_blindly(of: &str) {
    let target = Target {
        name: name(of),
        desired: None,
    };
    if let Err(error) = Builtin::default().down(&target) {
        panic!("{}", error.one_line());
    }
}

/// A second `up` may not change a thing.
fn up_changes_nothing(desired: &Desired) {
    settle();
    let before = dump();
    assert!(before.contains("carrier_changes"));
    let events = support::netns::events(|| up(desired));
    assert_eq!(events, [""; 0]);
    assert_eq!(before, dump());
}

fn routes(arguments: &str) -> Vec<String> {
    ip(&format!("route show {arguments}"))
        .lines()
        .map(|line| line.trim().to_owned())
        .collect()
}

/// A card with everything.
fn rich() -> Desired {
    let mut eth0 = device("eth0");
    eth0.mtu = Some(1400);
    eth0.mac = Some("02:00:00:aa:bb:cc".parse().unwrap());
    eth0.addresses = vec![
        address("192.0.2.10/24"),
        address("192.0.2.9/24"),
        address("198.51.100.1/25"),
        address("2001:db8::10/64"),
        labelled("192.0.2.11/24", "eth0:1"),
        Address {
            peer: Some("203.0.113.2".parse().unwrap()),
            ..address("203.0.113.1/32")
        },
    ];
    let mut in_table = route("10.7.0.0/16", Some("198.51.100.2"));
    (in_table.table, in_table.metric) = (Some(1000), Some(77));
    let mut on_link = route("10.8.0.0/16", Some("172.31.0.1"));
    (on_link.on_link, on_link.mtu) = (true, Some(1300));
    let mut from = route("2001:db8:9::/48", Some("2001:db8::2"));
    from.source = Some("2001:db8::10".parse().unwrap());
    eth0.routes = vec![
        route("0.0.0.0/0", Some("192.0.2.1")),
        route("::/0", Some("2001:db8::1")),
        route("10.9.0.0/16", None),
        in_table,
        on_link,
        from,
    ];
    eth0
}

#[test]
fn a_card_gets_addresses_routes_mtu_and_mac_and_keeps_them() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        let eth0 = rich();
        up(&eth0);
        assert_eq!(link_attribute("eth0", "mtu"), json!(1400));
        assert_eq!(
            link_attribute("eth0", "address"),
            json!("02:00:00:aa:bb:cc")
        );
        assert_eq!(
            addresses("eth0"),
            [
                "192.0.2.10/24",
                "198.51.100.1/25",
                "203.0.113.1/32",
                "192.0.2.9/24",
                "192.0.2.11/24",
                "2001:db8::10/64"
            ]
        );
        let shown = ip("-4 address show dev eth0");
        assert!(
            shown.contains("192.0.2.10/24 brd 192.0.2.255 scope global eth0"),
            "{shown}"
        );
        assert!(shown.contains("secondary eth0:1"), "{shown}");
        assert!(shown.contains("203.0.113.1 peer 203.0.113.2/32"), "{shown}");
        assert_eq!(
            routes("default"),
            ["default via 192.0.2.1 dev eth0 proto static"]
        );
        assert_eq!(
            routes("table 1000"),
            ["10.7.0.0/16 via 198.51.100.2 dev eth0 proto static metric 77"]
        );
        assert_eq!(
            routes("10.8.0.0/16"),
            ["10.8.0.0/16 via 172.31.0.1 dev eth0 proto static onlink mtu 1300"]
        );
        let shown = ip("-6 route show 2001:db8:9::/48");
        assert!(shown.contains("src 2001:db8::10"), "{shown}");
        up_changes_nothing(&eth0);

        // The way to the operator, as the kernel sees it.
        let mut socket = Socket::open().unwrap();
        let way = |socket: &mut Socket, ip: &str| socket.route_to(ip.parse().unwrap()).unwrap();
        assert_eq!(way(&mut socket, "8.8.8.8"), Some(name("eth0")));
        assert_eq!(way(&mut socket, "2001:db8:ffff::1"), Some(name("eth0")));
        assert_eq!(way(&mut socket, "192.0.2.10"), Some(name("lo")));
        ip("route del default");
        assert_eq!(way(&mut socket, "8.8.8.8"), None);
    });
}

#[test]
fn what_is_not_wanted_goes_and_the_first_address_of_a_subnet_is_its_primary() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        ip("link set eth0 up");
        ip("address add 192.0.2.9/24 dev eth0");
        ip("address add 192.0.2.10/24 dev eth0");
        ip("address add 10.1.1.1/8 dev eth0");
        ip("address add 172.16.0.9/24 dev eth0 valid_lft 500 preferred_lft 400");
        ip("-6 address add 2001:db8:1::1/64 dev eth0");
        ip("route add default via 192.0.2.254");
        ip("route add 10.200.0.0/16 via 192.0.2.253 proto dhcp");
        ip("route add 10.201.0.0/16 dev eth0");
        let mut eth0 = device("eth0");
        eth0.addresses = vec![address("192.0.2.10/24"), address("2001:db8::10/64")];
        eth0.routes = vec![route("0.0.0.0/0", Some("192.0.2.1"))];
        up(&eth0);
        // The lease stays: whoever has it will take it away.
        assert_eq!(
            addresses("eth0"),
            ["172.16.0.9/24", "192.0.2.10/24", "2001:db8::10/64"]
        );
        let shown = ip("address show dev eth0 secondary");
        assert!(!shown.contains("192.0.2.10"), "{shown}");
        assert_eq!(
            routes("default"),
            ["default via 192.0.2.1 dev eth0 proto static"]
        );
        assert!(routes("10.201.0.0/16").is_empty());
        assert_eq!(routes("10.200.0.0/16").len(), 1);
        // Leased addresses that are configured now become permanent, in place.
        ip("-6 address add 2001:db8::77/64 dev eth0 valid_lft 500 preferred_lft 400");
        eth0.addresses.push(address("172.16.0.9/24"));
        eth0.addresses.push(address("2001:db8::77/64"));
        up(&eth0);
        let shown = ip("address show dev eth0 permanent");
        assert!(shown.contains("172.16.0.9/24"), "{shown}");
        assert!(shown.contains("2001:db8::77/64"), "{shown}");
        up_changes_nothing(&eth0);
    });
}

#[test]
fn the_order_of_addresses_is_right_where_the_kernel_promotes_secondaries_too() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        let mut eth0 = device("eth0");
        for promote in ["0", "1"] {
            std::fs::write("/proc/sys/net/ipv4/conf/all/promote_secondaries", promote).unwrap();
            for order in [[1, 2, 3], [3, 1, 2], [2, 3, 4], [4, 2, 1], [1, 2, 3]] {
                let wanted = order.map(|host| format!("192.0.2.{host}/24"));
                eth0.addresses = wanted.iter().map(|it| address(it)).collect();
                up(&eth0);
                let mut is = addresses("eth0");
                assert_eq!(is[0], wanted[0]);
                let mut wanted = wanted.to_vec();
                is.sort();
                wanted.sort();
                assert_eq!(is, wanted);
            }
            down(&eth0);
            assert!(addresses("eth0").is_empty());
        }
    });
}

#[test]
fn a_bridge_is_made_with_its_ports_and_a_missing_one_is_told_at_the_end() {
    in_namespace(|| {
        veth("eth0", "far0");
        veth("eth1", "far1");
        ip("link set far0 up");
        ip("link set far1 up");
        let mut br0 = bridge("br0", &["eth0", "eth1"]);
        br0.mtu = Some(1450);
        br0.addresses = vec![address("192.0.2.10/24"), address("2001:db8::10/64")];
        br0.routes = vec![route("0.0.0.0/0", Some("192.0.2.1"))];
        up(&br0);
        for port in ["eth0", "eth1"] {
            assert_eq!(link_attribute(port, "master"), json!("br0"));
            assert_eq!(link_attribute(port, "operstate"), json!("UP"));
        }
        assert_eq!(link_attribute("br0", "mtu"), json!(1450));
        let data = &link_attribute("br0", "linkinfo")["info_data"];
        assert_eq!(
            (&data["forward_delay"], &data["stp_state"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(
            routes("default"),
            ["default via 192.0.2.1 dev br0 proto static"]
        );
        up_changes_nothing(&br0);
        up_changes_nothing(&port("eth0", "br0"));

        let more = bridge("br1", &["eth7", "eth1"]);
        assert_eq!(up_fails(&more), "br1: its port eth7 does not exist");
        assert_eq!(link_attribute("eth1", "master"), json!("br1"));
        assert_eq!(link_attribute("br1", "operstate"), json!("UP"));
    });
}

#[test]
fn spanning_tree_and_delay_are_set_and_a_delay_too_short_for_it_is_two_seconds() {
    in_namespace(|| {
        let delay = || link_attribute("br0", "linkinfo")["info_data"]["forward_delay"].clone();
        for (stp, wanted, is) in [
            (true, 0, 200),
            (true, 400, 400),
            (false, 0, 0),
            (false, 1500, 1500),
        ] {
            let mut br0 = bridge("br0", &[]);
            br0.kind = LinkKind::Bridge(Bridge {
                stp: Some(stp),
                forward_delay: Some(wanted),
                ..Bridge::default()
            });
            up(&br0);
            assert_eq!(delay(), json!(is));
            up_changes_nothing(&br0);
        }
    });
}

#[test]
fn a_port_goes_into_its_bridge_and_from_there_into_another_and_out_again() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        ip("address add 192.0.2.10/24 dev eth0");
        up(&port("eth0", "br0"));
        assert_eq!(link_attribute("eth0", "master"), json!("br0"));
        assert!(addresses("eth0").is_empty(), "a port keeps no address");
        up(&port("eth0", "br1"));
        assert_eq!(link_attribute("eth0", "master"), json!("br1"));
        up(&device("eth0"));
        assert_eq!(link_attribute("eth0", "master"), json!(null));
        assert!(exists("br0"), "a bridge left is not deleted");
    });
}

#[test]
fn the_address_moves_from_a_card_to_a_bridge_over_it() {
    in_namespace(|| {
        veth("eth0", "far");
        let host = Peer::new();
        host.take("far");
        host.ip("link set far up");
        host.ip("address add 192.0.2.1/24 dev far");
        host.ip("-6 address add 2001:db8::1/64 dev far nodad");
        let mut eth0 = device("eth0");
        eth0.addresses = vec![address("192.0.2.10/24"), address("2001:db8::10/64")];
        eth0.routes = vec![route("0.0.0.0/0", Some("192.0.2.1"))];
        up(&eth0);
        settle();
        for peer in ["192.0.2.1", "2001:db8::1"] {
            assert!(answers(peer.parse().unwrap()), "{peer}");
        }
        let mut br0 = bridge("br0", &["eth0"]);
        br0.addresses.clone_from(&eth0.addresses);
        br0.routes.clone_from(&eth0.routes);
        // The worst order, without a down in between.
        up(&br0);
        up(&port("eth0", "br0"));
        settle();
        assert!(addresses("eth0").is_empty());
        assert_eq!(
            routes("default"),
            ["default via 192.0.2.1 dev br0 proto static"]
        );
        for peer in ["192.0.2.1", "2001:db8::1"] {
            assert!(answers(peer.parse().unwrap()), "{peer}");
        }
        // And back.
        down(&br0);
        assert!(!exists("br0"));
        up(&eth0);
        settle();
        for peer in ["192.0.2.1", "2001:db8::1"] {
            assert!(answers(peer.parse().unwrap()), "{peer}");
        }
    });
}

#[test]
fn an_alias_comes_and_goes_without_its_device() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        let mut eth0 = device("eth0");
        eth0.addresses = vec![address("192.0.2.10/24")];
        up(&eth0);
        let mut alias = device("eth0:1");
        alias.kind = LinkKind::Alias;
        alias.addresses = vec![address("192.0.2.11/24"), address("198.51.100.1/24")];
        up(&alias);
        assert_eq!(
            addresses("eth0"),
            ["192.0.2.10/24", "198.51.100.1/24", "192.0.2.11/24"]
        );
        assert_eq!(ip("-o address show label eth0:1").lines().count(), 2);
        up_changes_nothing(&alias);
        // What its configuration no longer has, goes; and all of it, even if the configuration is lost.
        alias.addresses.pop();
        up(&alias);
        assert_eq!(addresses("eth0"), ["192.0.2.10/24", "192.0.2.11/24"]);
        down(&alias);
        assert_eq!(addresses("eth0"), ["192.0.2.10/24"]);
        up(&alias);
        down_blindly("eth0:1");
        assert_eq!(addresses("eth0"), ["192.0.2.10/24"]);
        assert_eq!(link_attribute("eth0", "operstate"), json!("UP"));

        alias.name = name("eth9:1");
        assert_eq!(up_fails(&alias), "eth9: no such device");
        down(&alias);
    });
}

#[test]
fn down_removes_what_it_configured_and_down_blindly_everything() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        let mut eth0 = device("eth0");
        eth0.addresses = vec![address("192.0.2.10/24"), address("2001:db8::10/64")];
        eth0.routes = vec![route("0.0.0.0/0", Some("192.0.2.1"))];
        up(&eth0);
        // A secondary under an address that goes: the kernel would take it along.
        ip("address add 192.0.2.77/24 dev eth0");
        down(&eth0);
        assert_eq!(addresses("eth0"), ["192.0.2.77/24"]);
        assert_eq!(link_attribute("eth0", "operstate"), json!("DOWN"));
        assert!(routes("default").is_empty());
        down(&eth0);

        up(&port("eth0", "br0"));
        ip("address add 192.0.2.77/24 dev eth0");
        down_blindly("eth0");
        assert!(addresses("eth0").is_empty());
        assert_eq!(link_attribute("eth0", "master"), json!(null));
        down_blindly("br0");
        down_blindly("br0");
        assert!(!exists("br0"));
    });
}

#[test]
fn the_loopback_is_never_taken_down() {
    in_namespace(|| {
        let mut lo = device("lo");
        lo.addresses = vec![address("127.0.0.1/8"), address("192.0.2.53/32")];
        up(&lo);
        assert_eq!(addresses("lo"), ["127.0.0.1/8", "192.0.2.53/32", "::1/128"]);
        up_changes_nothing(&lo);
        down(&lo);
        assert_eq!(addresses("lo"), ["127.0.0.1/8", "::1/128"]);
        ip("address add 192.0.2.54/32 dev lo");
        down_blindly("lo");
        assert_eq!(addresses("lo"), ["127.0.0.1/8", "::1/128"]);
        assert!(answers("127.0.0.1".parse().unwrap()));
        // And one that was never up gets its own address back.
        ip("link set lo down");
        ip("address flush dev lo");
        up(&lo);
        assert!(answers("127.0.0.1".parse().unwrap()));
    });
}

#[test]
fn the_wrong_card_a_missing_one_and_a_wrong_mtu_are_refused_untouched() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set eth0 address 02:00:00:00:00:01");
        ip("link set far address 02:00:00:00:00:02");
        let before = dump();
        let mut eth0 = device("eth0");
        eth0.hwaddr = Some("02:00:00:00:00:02".parse().unwrap());
        let error = Builtin::default().check(&target(&eth0)).unwrap_err();
        assert_eq!(
            error.one_line(),
            "eth0 has MAC address 02:00:00:00:00:01, but HWADDR says 02:00:00:00:00:02"
        );
        assert!(error.hints()[0].contains("far"));
        assert_eq!(up_fails(&eth0), error.one_line());

        eth0.hwaddr = Some("02:00:00:00:00:01".parse().unwrap());
        eth0.mtu = Some(67);
        assert!(Builtin::default().check(&target(&eth0)).is_err());
        assert!(Builtin::default().check(&target(&device("eth7"))).is_err());
        assert_eq!(up_fails(&device("eth7")), "eth7: no such device");
        down(&device("eth7"));
        assert_eq!(before, dump());

        // With HWADDR and MACADDR both, a second up finds the address that the first one set.
        eth0.mtu = None;
        eth0.mac = Some("02:00:00:00:00:09".parse().unwrap());
        up(&eth0);
        up(&eth0);
    });
}

#[test]
fn a_route_that_cannot_be_had_does_not_keep_the_others_out() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        let mut eth0 = device("eth0");
        eth0.addresses = vec![address("192.0.2.10/24")];
        eth0.routes = vec![
            route("10.0.0.0/8", Some("203.0.113.1")),
            route("0.0.0.0/0", Some("192.0.2.1")),
        ];
        let error = up_fails(&eth0);
        assert_eq!(
            error,
            "cannot add the route 10.0.0.0/8 via 203.0.113.1 through eth0: \
             Network is unreachable (Nexthop has invalid gateway)"
        );
        assert_eq!(
            routes("default"),
            ["default via 192.0.2.1 dev eth0 proto static"]
        );
        eth0.routes.push(route("10.1.0.0/16", Some("203.0.113.1")));
        let error = up_fails(&eth0);
        assert!(
            error.starts_with("eth0: cannot add the route 10.0.0.0/8"),
            "{error}"
        );
        assert!(
            error.contains("; cannot add the route 10.1.0.0/16"),
            "{error}"
        );
    });
}

#[test]
fn ipv6_is_enabled_where_it_was_switched_off() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        std::fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1").unwrap();
        let mut eth0 = device("eth0");
        eth0.addresses = vec![address("2001:db8::10/64")];
        up(&eth0);
        assert_eq!(addresses("eth0"), ["2001:db8::10/64"]);
    });
}

#[test]
fn guests_taps_go_back_into_a_bridge_that_was_bounced() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("tuntap add vnet0 mode tap");
        veth("vnet1", "guest1");
        veth("vnet2", "guest2");
        let br0 = bridge("br0", &["eth0"]);
        up(&br0);
        for guest in ["vnet0", "vnet1", "vnet2"] {
            ip(&format!("link set {guest} up master br0"));
        }
        let bystanders = Bystanders::capture().unwrap();
        down(&br0);
        assert_eq!(link_attribute("vnet0", "master"), json!(null));
        ip("link del vnet2");
        up(&br0);
        let bounced = BTreeSet::from([name("br0")]);
        let keep_out = |port: &InterfaceName| port.as_str() == "vnet1";
        let report = bystanders.put_back(&bounced, &keep_out);
        assert!(report.errors.is_empty());
        let ports: Vec<_> = report.put_back.iter().map(|it| it.port.as_str()).collect();
        assert_eq!(ports, ["vnet0"]);
        assert_eq!(link_attribute("vnet0", "master"), json!("br0"));
        assert_eq!(link_attribute("vnet1", "master"), json!(null));
        assert_eq!(
            bystanders.suffered(&bounced).unwrap(),
            [name("guest2"), name("vnet2")]
        );
    });
}

#[test]
fn links_are_read_as_they_are() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link add br0 type bridge");
        ip("link set eth0 master br0 up mtu 1400");
        ip("link add link far name mv0 type macvlan");
        let links = Socket::open().unwrap().links().unwrap();
        let find = |name: &str| links.iter().find(|it| it.name.as_str() == name).unwrap();
        assert_eq!(links.len(), ip_json("link show").as_array().unwrap().len());
        let (lo, eth0, br0) = (find("lo"), find("eth0"), find("br0"));
        assert!(lo.loopback && lo.up && lo.kind.is_none());
        assert_eq!(eth0.kind.as_deref(), Some("veth"));
        assert_eq!((eth0.master, eth0.lower), (Some(br0.index), None));
        assert!(eth0.up && !eth0.carrier && eth0.mtu == 1400);
        assert_eq!(find("mv0").lower, Some(find("far").index));
        assert_eq!(br0.bridge.as_ref().unwrap().forward_delay, 1500);
        assert_eq!(Socket::open().unwrap().link(&name("eth9")).unwrap(), None);
    });
}

#[test]
fn long_lists_are_read_whole() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        let mut eth0 = device("eth0");
        let third = |n: u16| n / 200;
        eth0.addresses = (0..1000)
            .map(|n| address(&format!("10.{}.{}.1/24", third(n), n % 200)))
            .collect();
        up(&eth0);
        assert_eq!(addresses("eth0").len(), 1000);
        up_changes_nothing(&eth0);
        down(&eth0);
        assert!(addresses("eth0").is_empty());
    });
}
