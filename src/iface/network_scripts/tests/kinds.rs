//! Bonds, VLANs, bridges' options, DHCP and what IPv6 does by itself.

use super::*;
use crate::apply::desired::{Bond, Vlan};

fn notes(of: &Desired) -> Vec<&str> {
    let plain = |note: &'_ str| note.starts_with("/etc/sysconfig/network-scripts/ifcfg-");
    assert!(of.notes.iter().all(|note| plain(note)), "{:?}", of.notes);
    let without_path = of
        .notes
        .iter()
        .map(|it| it.rsplit_once("/ifcfg-").unwrap().1);
    without_path.collect()
}

fn bond(files: &[(&str, &str)]) -> (Bond, Desired) {
    let desired = desired("bond0", files).unwrap();
    match &desired.kind {
        LinkKind::Bond(bond) => (bond.clone(), desired),
        other => panic!("{other:?}"),
    }
}

fn vlan(of: &str, text: &str) -> Vlan {
    match desired(of, &[(&format!("ifcfg-{of}"), text)]).unwrap().kind {
        LinkKind::Vlan(vlan) => vlan,
        other => panic!("{other:?}"),
    }
}

fn one(text: &str) -> Desired {
    desired("eth0", &[("ifcfg-eth0", text)]).unwrap()
}

fn shown(settings: &crate::sys::netlink::options::Settings) -> Vec<String> {
    settings
        .iter()
        .map(|it| format!("{}={it}", it.spec.name))
        .collect()
}

#[test]
fn a_bond_has_its_options_and_its_ports_in_the_order_of_their_files() {
    let slave = "MASTER=bond0\nSLAVE=yes\nIPADDR=192.0.2.1\n";
    let files = [
        (
            "ifcfg-bond0",
            "BONDING_OPTS='mode=1 miimon=100 primary=eth2 num_unsol_na=2'",
        ),
        ("ifcfg-eth2", slave),
        ("ifcfg-eth10", slave),
        ("ifcfg-eth3", "MASTER=bond0\n"),
        ("ifcfg-eth4", "MASTER=bond1\nSLAVE=yes\n"),
    ];
    let (bond0, _) = bond(&files);
    let wanted = ["mode=active-backup", "miimon=100", "num_grat_arp=2"];
    assert_eq!(shown(&bond0.settings), wanted);
    assert_eq!(bond0.primary, Some(name("eth2")));
    assert_eq!(bond0.ports, [name("eth10"), name("eth2")]);
    let port = desired("eth2", &files).unwrap();
    assert_eq!(
        port.master,
        Some(Master::Bond(name("bond0"), bond0.settings))
    );
    assert!(port.addresses.is_empty());
    let no_port = desired("eth3", &files).unwrap();
    assert_eq!(no_port.master, None);
    assert_eq!(
        notes(&no_port),
        ["eth3:1: MASTER=\"bond0\": it counts only with SLAVE=yes"]
    );
}

#[test]
fn what_means_nothing_beside_the_rest_is_left_out_and_told() {
    for (options, kept, told) in [
        (
            "mode=1 lacp_rate=fast",
            "mode=active-backup",
            "lacp_rate=fast",
        ),
        (
            "mode=4 primary=eth0 miimon=1",
            "mode=802.3ad miimon=1",
            "primary=eth0",
        ),
        (
            "miimon=100 arp_interval=50",
            "arp_interval=50",
            "miimon=100",
        ),
        (
            "arp_interval=50 miimon=100",
            "miimon=100",
            "arp_interval=50",
        ),
        ("mode=1 updelay=5", "mode=active-backup", "updelay=5"),
        ("mode=4 updelay=5", "mode=802.3ad updelay=5", ""),
        (
            "mode=4 miimon=9 arp_interval=5",
            "mode=802.3ad miimon=9",
            "arp_interval=5",
        ),
        (
            "mode=1 active_slave=eth0",
            "mode=active-backup",
            "active_slave=eth0",
        ),
    ] {
        let text = format!("BONDING_OPTS='{options}'");
        let (bond0, desired) = bond(&[("ifcfg-bond0", &text)]);
        assert_eq!(shown(&bond0.settings).join(" "), kept, "{options}");
        let told_all = notes(&desired).join(" ");
        assert_eq!(
            told_all.is_empty(),
            told.is_empty(),
            "{options}: {told_all}"
        );
        assert!(told_all.contains(told), "{options}: {told_all}");
    }
}

#[test]
fn a_bond_is_known_by_its_type_its_options_or_its_name() {
    for (of, text) in [("x0", "TYPE=Bond"), ("x0", "BONDING_OPTS="), ("bond7", "")] {
        let kind = desired(of, &[(&format!("ifcfg-{of}"), text)]).unwrap().kind;
        assert!(matches!(kind, LinkKind::Bond(_)), "{of} {text}");
    }
    assert_eq!(one("").kind, LinkKind::Device);
}

#[test]
fn a_vlan_is_named_in_either_way() {
    for (of, text, lower, id) in [
        ("eth0.42", "VLAN=yes", "eth0", 42),
        ("eth0.0042", "VLAN=yes\nPHYSDEV=eth0", "eth0", 42),
        ("vlan42", "VLAN=yes\nPHYSDEV=eth1", "eth1", 42),
        ("bond0.4094", "TYPE=Vlan\nVLAN_ID=4094", "bond0", 4094),
        ("storage", "TYPE=VLAN\nPHYSDEV=eth1\nVID=7", "eth1", 7),
    ] {
        let vlan = vlan(of, text);
        assert_eq!((vlan.lower.as_str(), vlan.tag.id), (lower, id), "{of}");
        assert!(vlan.mask.is_empty());
    }
    let vlan = vlan("eth0.5", "VLAN=yes\nREORDER_HDR=no\nGVRP=yes");
    assert_eq!(format!("{:?}", vlan.tag.flags), "VlanFlags(Gvrp)");
    assert_eq!(format!("{:?}", vlan.mask), "VlanFlags(ReorderHdr | Gvrp)");
    for (of, text) in [
        ("eth0.0", "VLAN=yes"),
        ("eth0.4095", "VLAN=yes"),
        ("eth0.5", "VLAN=yes\nVID=6"),
        ("eth0.5", "VLAN=yes\nPHYSDEV=eth1"),
        ("vlan5", "VLAN=yes\nPHYSDEV=vlan5"),
    ] {
        assert!(
            desired(of, &[(&format!("ifcfg-{of}"), text)]).is_err(),
            "{of} {text}"
        );
    }
}

#[test]
fn a_bridge_has_further_options_and_unknown_ones_are_told() {
    let text = "TYPE=Bridge\nPRIO=4096\nAGEING=20\n\
                BRIDGING_OPTS='multicast_snooping=0 forward_delay=400 flush=1'";
    let desired = desired("br0", &[("ifcfg-br0", text)]).unwrap();
    let LinkKind::Bridge(bridge) = &desired.kind else {
        panic!("{:?}", desired.kind)
    };
    let wanted = ["priority=4096", "ageing_time=2000", "multicast_snooping=0"];
    assert_eq!(shown(&bridge.settings), wanted);
    assert_eq!(bridge.forward_delay, Some(400));
    assert_eq!(
        notes(&desired),
        ["br0:4: BRIDGING_OPTS=\"flush=1\": not applied"]
    );
}

#[test]
fn dhcp_takes_the_place_of_static_ipv4() {
    let eth0 = one(
        "BOOTPROTO=dhcp\nIPADDR=192.0.2.1\nIPV6ADDR=2001:db8::1\nDHCP_HOSTNAME=a.b\n\
                    PERSISTENT_DHCLIENT=1\nDHCPRELEASE=yes\nDEFROUTE=no\nMETRIC=7\nDHCPV6C=yes",
    );
    let dhcp = eth0.dhcp4.as_ref().unwrap();
    assert_eq!(dhcp.hostname.as_deref(), Some("a.b"));
    assert!(dhcp.persistent && dhcp.release && !dhcp.default_route);
    assert_eq!(dhcp.metric, Some(7));
    assert!(eth0.dhcp6.as_ref().unwrap().default_route);
    assert_eq!(address_texts(&eth0.addresses), ["2001:db8::1/64"]);
    assert_eq!(notes(&eth0).len(), 1);
    assert!(one("BOOTPROTO=dhcp\nBRIDGE=br0").dhcp4.is_none());
    assert!(one("DHCPV6C=yes\nIPV6INIT=no").dhcp6.is_none());
    // As netcf writes it; the scripts' own key goes before it.
    assert!(one("DHCPV6=yes").dhcp6.is_some());
    assert!(one("DHCPV6C=no\nDHCPV6=yes").dhcp6.is_none());
}

#[test]
fn ipv6_does_by_itself_what_the_file_says_and_a_router_listens_to_no_other() {
    let ipv6 = |text| one(text).ipv6;
    assert_eq!(ipv6("IPV6_AUTOCONF=yes").autoconf, Some(true));
    assert_eq!(ipv6("IPV6_AUTOCONF=no").autoconf, Some(false));
    let router = ipv6("IPV6FORWARDING=yes");
    assert_eq!(
        (router.forwarding, router.autoconf),
        (Some(true), Some(false))
    );
    assert_eq!(
        ipv6("IPV6_PRIVACY=rfc3041\nIPV6_MTU=1400").privacy,
        Some(true)
    );
    assert_eq!(ipv6("IPV6INIT=no\nIPV6_AUTOCONF=yes"), ipv6(""));
}

#[test]
fn what_is_for_all_interfaces_counts_where_their_own_files_have_nothing() {
    let global = (
        GLOBAL,
        "GATEWAY=192.0.2.1\nIPV6_AUTOCONF=no\nMTU=1400\nDEVICE=eth9\n",
    );
    let own = "IPADDR=192.0.2.7\nPREFIX=24\n";
    let eth0 = desired("eth0", &[global, ("ifcfg-eth0", own)]).unwrap();
    assert_eq!(eth0.routes.len(), 1);
    assert_eq!((eth0.mtu, eth0.ipv6.autoconf), (None, Some(false)));
    let own = "IPADDR=198.51.100.7\nPREFIX=24\nIPV6_AUTOCONF=yes";
    let eth0 = desired("eth0", &[global, ("ifcfg-eth0", own)]).unwrap();
    assert!(eth0.routes.is_empty(), "the gateway is another interface's");
    assert_eq!(eth0.ipv6.autoconf, Some(true));
    let bad = (GLOBAL, "HOSTNAME=x\nGATEWAY=none\n");
    let error = desired("eth0", &[bad, ("ifcfg-eth0", own)]).unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("/etc/sysconfig/network:2: GATEWAY=\"none\""),
        "{said}"
    );
}

#[test]
fn rules_and_left_alone_keys_are_taken_in() {
    let files = [
        (
            "ifcfg-lan",
            "DEVICE=eth0\nETHTOOL_OPTS='speed 100'\nPEERDNS=no\nBOOTPROTO=dhcp",
        ),
        ("rule-eth0", "from 192.0.2.0/24 table 5\n"),
        ("rule6-lan", "from 2001:db8::/32 table 6\n"),
    ];
    let eth0 = desired("eth0", &files).unwrap();
    let rules: Vec<String> = eth0.rules.iter().map(ToString::to_string).collect();
    assert_eq!(
        rules,
        ["from 192.0.2.0/24 table 5", "from 2001:db8::/32 table 6"]
    );
    let told = notes(&eth0);
    assert_eq!(told[0], "lan:2: ETHTOOL_OPTS=\"speed 100\": not applied");
    assert!(told[1].starts_with("lan:3: PEERDNS=\"no\": not applied: the DHCP client"));
}

/// What `of` needs by `files`, where `there` is there already.
fn needed(of: &str, files: &[(&str, &str)], there: &[&str]) -> Vec<String> {
    let is_there = |it: &InterfaceName| there.contains(&it.as_str());
    let needed = NetworkScripts.with_lower(&name(of), &memory(files), &[], &is_there);
    needed.unwrap().into_iter().map(String::from).collect()
}

#[test]
fn what_is_below_comes_up_too_at_any_depth_unless_it_is_there() {
    let files = [
        ("ifcfg-br5", "TYPE=Bridge\n"),
        ("ifcfg-bond0.5", "VLAN=yes\nBRIDGE=br5\n"),
        ("ifcfg-uplink", "DEVICE=bond0\nBRIDGE=br0\n"),
        ("ifcfg-eth0", "MASTER=bond0\nSLAVE=yes\n"),
        ("ifcfg-storage", "TYPE=Vlan\nPHYSDEV=br5\nVLAN_ID=7\n"),
        ("ifcfg-storage:1", "ONPARENT=no\n"),
        ("ifcfg-br0", "TYPE=Bridge\n"),
        ("ifcfg-eth9", "\n"),
    ];
    let all = ["bond0", "bond0.5", "br5", "eth0"];
    assert_eq!(needed("br5", &files, &[]), all);
    assert_eq!(needed("br5", &files, &["bond0"]), ["bond0.5", "br5"]);
    let deep = ["bond0", "bond0.5", "br5", "eth0", "storage", "storage:1"];
    assert_eq!(needed("storage:1", &files, &[]), deep);
    let cut = ["storage", "storage:1"];
    assert_eq!(needed("storage:1", &files, &["br5"]), cut);
    // A card needs no file.
    let card = [("ifcfg-eth0.3", "VLAN=yes\n")];
    assert_eq!(needed("eth0.3", &card, &[]), ["eth0.3"]);
    let circle = [
        ("ifcfg-a", "VLAN=yes\nPHYSDEV=b\nVID=1\n"),
        ("ifcfg-b", "VLAN=yes\nPHYSDEV=a\nVID=2\n"),
    ];
    assert_eq!(needed("a", &circle, &[]), ["a", "b"]);
}

#[test]
fn what_is_below_comes_up_first() {
    let files = memory(&[
        ("ifcfg-br5", "TYPE=Bridge\n"),
        ("ifcfg-bond0.5", "VLAN=yes\nBRIDGE=br5\n"),
        ("ifcfg-bond0", "\n"),
        ("ifcfg-eth0", "MASTER=bond0\nSLAVE=yes\n"),
    ]);
    let names = NetworkScripts.with_lower(&name("br5"), &files, &[], &|_| false);
    let names = names.unwrap();
    let order =
        crate::iface::order::up_order(&names, &NetworkScripts.dependencies(&names, &files), &[]);
    let order: Vec<_> = order.iter().map(InterfaceName::as_str).collect();
    assert_eq!(order, ["eth0", "bond0", "bond0.5", "br5"]);
}

#[test]
fn of_several_files_for_a_device_the_last_counts_everywhere() {
    let files = [
        ("ifcfg-b", "DEVICE=eth0\nMTU=1400\n"),
        ("ifcfg-c", "DEVICE=eth0\nMTU=1300\n"),
        ("ifcfg-a", "DEVICE=eth0\nMTU=1500\n"),
    ];
    let found = desired("eth0", &files).unwrap();
    assert_eq!(found.mtu, Some(1300));
    let counts = "/etc/sysconfig/network-scripts/ifcfg-c is for the same DEVICE, and counts";
    let said = ["a", "b"]
        .map(|it| format!("/etc/sysconfig/network-scripts/ifcfg-{it}: not applied: {counts}"));
    assert_eq!(found.notes, said);
    let shown = NetworkScripts.describe(&name("eth0"), &memory(&files), &[]);
    let shown = shown.unwrap();
    assert_eq!(
        shown.interface.mtu.map(|mtu| mtu.to_string()),
        Some("1300".into())
    );
    assert_eq!(shown.warnings.len(), 2);
    // But one that has the name comes before all.
    let mut files = files.to_vec();
    files.push(("ifcfg-eth0", "MTU=1200\n"));
    assert_eq!(desired("eth0", &files).unwrap().mtu, Some(1200));
}

#[test]
fn a_range_of_aliases_comes_with_its_device() {
    let files = [
        ("ifcfg-eth0", "IPADDR=192.0.2.1\nPREFIX=24\n"),
        ("ifcfg-eth0:1", "IPADDR=192.0.2.2\n"),
        (
            "ifcfg-eth0-range0",
            "DEVICE=eth0\nIPADDR_START=192.0.2.254\nIPADDR_END=192.0.2.255\nCLONENUM_START=9\n",
        ),
        (
            "ifcfg-eth0-range1",
            "IPADDR_START=10.0.0.7\nIPADDR_END=10.0.0.7\nNETMASK=255.255.255.0\nNO_ALIASROUTING=yes\n",
        ),
        (
            "ifcfg-eth0-range2",
            "IPADDR_START=10.0.0.8\nIPADDR_END=10.0.0.8\nONPARENT=no\n",
        ),
        ("ifcfg-eth01-range0", "x x\n"),
    ];
    let found = desired("eth0", &files).unwrap();
    let all: Vec<_> = found
        .addresses
        .iter()
        .map(|it| {
            format!(
                "{} {}",
                it.net,
                it.label.as_ref().map_or("", InterfaceName::as_str)
            )
        })
        .collect();
    let expected = [
        "192.0.2.1/24 ",
        "192.0.2.2/24 eth0:1",
        "192.0.2.254/24 eth0:9",
        "192.0.2.255/24 eth0:10",
        "10.0.0.7/24 eth0:0",
    ];
    assert_eq!(all, expected);
    let memory = memory(&files);
    for range in ["ifcfg-eth0-range0", "ifcfg-eth0-range1"] {
        assert_eq!(interface_of(range, &memory).as_deref(), Some("eth0"));
    }
    let listed = NetworkScripts.interfaces(&memory, &[]).unwrap();
    assert!(
        !listed.iter().any(|it| it.as_str().contains("eth0-range")),
        "{listed:?}"
    );
}
