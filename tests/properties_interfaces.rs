//! Interfaces of any kind, written into files and read back; and files with anything in them, defined again as they
//! are printed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::net::{Ipv4Addr, Ipv6Addr};

use ncf::iface::model::*;
use ncf::iface::xml;
use ncf::sys::name::{InterfaceName, MacAddress};
use ncf::xml::Source;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use support::memory::{Memory, sort_ports};

fn interface_name() -> impl Strategy<Value = InterfaceName> {
    "(eth|em|p1p|bond|br)[0-9]{1,2}".prop_map(|name| name.parse().unwrap())
}

fn ethernet() -> impl Strategy<Value = Ethernet> {
    let mac = option::of(any::<[u8; 6]>().prop_map(MacAddress));
    mac.prop_map(|mac| Ethernet { mac })
}

fn ip4() -> impl Strategy<Value = Ip4> {
    (any::<u32>(), option::of(0..=32_u8)).prop_map(|(address, prefix)| Ip4 {
        address: Ipv4Addr::from(address),
        prefix,
    })
}

fn ip6() -> impl Strategy<Value = Ip6> {
    (any::<u128>(), option::of(0..=128_u8)).prop_map(|(address, prefix)| Ip6 {
        address: Ipv6Addr::from(address),
        prefix,
    })
}

fn ipv4() -> impl Strategy<Value = Ipv4> {
    let parts = (any::<bool>(), vec(ip4(), 0..5), option::of(any::<u32>()));
    parts.prop_map(|(dhcp, mut addresses, gateway)| {
        addresses.sort_by_key(|it| it.address);
        addresses.dedup_by_key(|it| it.address);
        let gateway = gateway.filter(|_| !addresses.is_empty());
        Ipv4 {
            dhcp: dhcp || addresses.is_empty(),
            addresses,
            gateway: gateway.map(Ipv4Addr::from),
        }
    })
}

fn ipv6() -> impl Strategy<Value = Ipv6> {
    let parts = (
        any::<bool>(),
        any::<bool>(),
        vec(ip6(), 0..4),
        option::of(any::<u128>()),
    );
    parts.prop_map(|(autoconf, dhcp, mut addresses, gateway)| {
        addresses.sort_by_key(|it| it.address);
        addresses.dedup_by_key(|it| it.address);
        Ipv6 {
            autoconf,
            dhcp,
            addresses,
            gateway: gateway.map(Ipv6Addr::from),
        }
    })
}

fn addressing() -> impl Strategy<Value = Addressing> {
    let parts = (
        option::of(ipv4()),
        option::of(ipv6()),
        option::of(any::<bool>()),
    );
    parts.prop_map(|(ipv4, ipv6, peer_dns)| {
        let mut addressing = Addressing {
            ipv4,
            ipv6,
            peer_dns: None,
        };
        addressing.peer_dns = peer_dns.filter(|_| addressing.has_dhcp());
        addressing
    })
}

fn monitor(mode: Option<Mode>) -> impl Strategy<Value = Option<Monitor>> {
    let carrier = prop_oneof![Just(Carrier::Ioctl), Just(Carrier::Netif)];
    let mii = (
        0..10_000_u32,
        option::of(0..10_000_u32),
        option::of(0..10_000_u32),
        option::of(carrier),
    );
    let mii = mii.prop_map(|(freq, down_delay, up_delay, carrier)| {
        Monitor::Mii(MiiMonitor {
            freq,
            down_delay,
            up_delay,
            carrier,
        })
    });
    let validate = option::of(prop_oneof![
        Just(Validate::None),
        Just(Validate::Active),
        Just(Validate::Backup),
        Just(Validate::All),
    ]);
    let arp = (1..10_000_u32, any::<u32>(), validate);
    let arp = arp.prop_map(|(interval, target, validate)| {
        Monitor::Arp(ArpMonitor {
            interval,
            target: Ipv4Addr::from(target),
            validate,
        })
    });
    let takes_arp = mode.is_none_or(Mode::takes_arp_monitor);
    option::of(if takes_arp {
        prop_oneof![mii, arp].boxed()
    } else {
        mii.boxed()
    })
}

fn bond() -> impl Strategy<Value = Bond> {
    let mode = option::of((0..Mode::WORDS.len()).prop_map(|at| Mode::WORDS[at].1));
    let port = (interface_name(), ethernet());
    let port = port
        .prop_map(|(name, ethernet)| BondPort { name, ethernet })
        .boxed();
    mode.prop_flat_map(move |mode| (Just(mode), monitor(mode), vec(port.clone(), 1..4)))
        .prop_map(|(mode, monitor, ports)| Bond {
            mode,
            monitor,
            ports,
        })
}

fn vlan() -> impl Strategy<Value = Vlan> {
    (1..=4094_u32, interface_name()).prop_map(|(tag, lower)| Vlan {
        tag: VlanId::new(tag).unwrap(),
        lower,
    })
}

fn bridge() -> impl Strategy<Value = Bridge> {
    let delay = option::of((0..=3000_u32).prop_map(Delay::from_hundredths));
    let port = prop_oneof![
        (interface_name(), ethernet()).prop_map(|(name, kind)| Port {
            name,
            kind: PortKind::Ethernet(kind),
        }),
        vlan().prop_map(|vlan| Port {
            name: vlan.usual_name().unwrap(),
            kind: PortKind::Vlan(vlan),
        }),
        (interface_name(), bond()).prop_map(|(name, kind)| Port {
            name,
            kind: PortKind::Bond(kind),
        }),
    ];
    (option::of(any::<bool>()), delay, vec(port, 0..4)).prop_map(|(stp, delay, ports)| Bridge {
        stp,
        delay,
        ports,
    })
}

fn interface() -> impl Strategy<Value = Interface> {
    let kind = prop_oneof![
        ethernet().prop_map(Kind::Ethernet),
        bridge().prop_map(Kind::Bridge),
        bond().prop_map(Kind::Bond),
        vlan().prop_map(Kind::Vlan),
    ];
    let start = (0..3_usize).prop_map(|at| StartMode::WORDS[at].1);
    let mtu = option::of((68..=65535_u32).prop_map(|bytes| Mtu::new(bytes).unwrap()));
    (interface_name(), start, mtu, addressing(), kind)
        .prop_map(|(name, start, mtu, addressing, kind)| Interface {
            name: match &kind {
                Kind::Vlan(vlan) => vlan.usual_name().unwrap(),
                _ => name,
            },
            start,
            mtu,
            addressing,
            kind,
        })
        .prop_filter("each name once", |interface| {
            xml::read(&Source::new("x", xml::write(interface).to_string())).is_ok()
        })
}

fn in_order(interface: &Interface) -> Interface {
    let mut interface = interface.clone();
    sort_ports(&mut interface);
    interface
}

/// Lines of files: known keys with good and bad values in all kinds of writing, unknown ones, comments, code.
fn file() -> impl Strategy<Value = String> {
    let line = "(ONBOOT|HOTPLUG|STP|VLAN|SLAVE|PEERDNS|IPV6INIT|IPV6_AUTOCONF|DHCPV6C?)=(yes|no|on|True|\"off\"|'y'|maybe|)|\
        (DEVICE|BRIDGE|MASTER|PHYSDEV)=(eth[01]|bond0|br0|eth0.5|vlan7|\"br0\"|lo|eth0:1|a/b)|\
        TYPE=(Bridge|Ethernet|Vlan|Bond|bridge)|\
        (MTU|VID|VLAN_ID|DELAY)=(1500|'9000'|0|7|5000|15|0.5|x|\\$X)|\
        (IPADDR|GATEWAY)[012]?=(192.0.2.1|\"192.0.2.2\"|10.0.0.256|\\$\\(id\\))|\
        PREFIX[012]?=(24|32|'8'|33)|NETMASK[012]?=(255.255.255.0|255.0.255.0)|\
        IPV6ADDR(_SECONDARIES)?=(2001:db8::1/64|\"2001:db8::1 2001:db8::2/128\"|fe80::1|x)|\
        IPV6_DEFAULTGW=(fe80::1%eth0|2001:db8::fe|x)|\
        BOOTPROTO=(none|static|dhcp|DHCP|bootp|'dhcp'|x)|\
        BONDING_OPTS=(''|\"mode=1 miimon=100\"|'mode=active-backup primary=eth1'|mode=4|'arp_interval=9 arp_ip_target=192.0.2.1,192.0.2.2 x')|\
        HWADDR=(52:54:00:00:00:01|52:54:00:AB:CD:EF|x)|\
        UUID=\"5f\"|ZONE=a b|# a comment|  export A=1 B=2|unset MTU|if true; then A=1; fi||DNS1=192.0.2.9 ; MTU=1400";
    vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn what_is_written_as_xml_is_read_back(interface in interface()) {
        let text = xml::write(&interface).to_string();
        let read = xml::read(&Source::new("x", text)).unwrap();
        prop_assert_eq!(read, interface);
    }

    #[test]
    fn what_is_defined_is_what_the_files_say(interface in interface()) {
        let mut files = Memory::default();
        files.define(&interface).unwrap();
        let described = files.describe(interface.name.as_str()).unwrap();
        prop_assert_eq!(described.warnings.len(), 0);
        prop_assert_eq!(&described.interface, &in_order(&interface));
        prop_assert!(files.define(&interface).unwrap().files.is_empty());
    }

    #[test]
    fn a_second_definition_of_the_name_counts_whole(first in interface(), second in interface()) {
        let mut second = second;
        if !matches!(first.kind, Kind::Vlan(_)) && !matches!(second.kind, Kind::Vlan(_)) {
            second.name = first.name.clone();
        }
        prop_assume!(xml::read(&Source::new("x", xml::write(&second).to_string())).is_ok());
        let mut files = Memory::default();
        files.define(&first).unwrap();
        let Ok(_) = files.define(&second) else {
            // The name is that of a port of the first.
            return Ok(());
        };
        prop_assert!(files.define(&second).unwrap().files.is_empty());
    }

    #[test]
    fn defining_what_is_printed_changes_no_byte(
        eth0 in file(), eth1 in file(), bond0 in file(), br0 in file(), other in file()
    ) {
        let mut files = Memory::with(&[
            ("ifcfg-eth0", &eth0),
            ("ifcfg-eth1", &eth1),
            ("ifcfg-bond0", &bond0),
            ("ifcfg-br0", &br0),
            ("ifcfg-Some name", &other),
            ("route-eth0", "192.0.2.0/24 via 192.0.2.1\n"),
        ]);
        let before = files.clone();
        let changed = files.redefine_all().unwrap();
        prop_assert_eq!(changed, Vec::<std::ffi::OsString>::new());
        prop_assert_eq!(files, before);
    }

    #[test]
    fn undefining_leaves_nothing_of_it(interface in interface()) {
        use ncf::iface::backend::Backend as _;
        let mut files = Memory::default();
        files.define(&interface).unwrap();
        let all = files.0.len();
        files.0.insert(format!("route-{}", interface.name).into(), b"x".to_vec());
        let edits = ncf::iface::network_scripts::NetworkScripts
            .undefine(&interface.name, &files, &[]);
        let edits = edits.unwrap();
        prop_assert_eq!(edits.files.len(), all + 1);
        files.apply(&edits);
        prop_assert!(files.0.is_empty());
    }
}
