//! What is refused, and with which words.

use super::*;

#[test]
fn wrong_values_are_refused_with_their_place() {
    for (text, parts) in [
        (
            "\nMTU=4294967296",
            ["ifcfg-eth0:2", "MTU=\"4294967296\"", "68 to 65535"],
        ),
        ("MTU=67", ["ifcfg-eth0:1", "MTU=\"67\"", "68"]),
        ("MTU=' 1500'", ["ifcfg-eth0:1", "MTU", "68"]),
        (
            "IPADDR=192.0.2.256",
            ["ifcfg-eth0:1", "192.0.2.256", "IPv4"],
        ),
        (
            "IPADDR=192.0.2.1\nPREFIX=33",
            ["ifcfg-eth0:2", "PREFIX=\"33\"", "0 to 32"],
        ),
        (
            "IPADDR=1.1.1.1\nNETMASK=255.0.255.0",
            ["eth0:2", "255.0.255.0", "ones"],
        ),
        ("IPADDR=1.1.1.1\r", ["eth0:1", "\"1.1.1.1\\r\"", "IPv4"]),
        ("GATEWAY=x", ["ifcfg-eth0:1", "GATEWAY=\"x\"", "IPv4"]),
        (
            "IPV6ADDR=fd00::1/129",
            ["ifcfg-eth0:1", "fd00::1/129", "128"],
        ),
        (
            "IPV6_DEFAULTGW=1.1.1.1",
            ["ifcfg-eth0:1", "1.1.1.1", "IPv6"],
        ),
        ("HWADDR=52:54", ["ifcfg-eth0:1", "52:54", "hexadecimal"]),
        ("METRIC=-1", ["ifcfg-eth0:1", "METRIC=\"-1\"", "4294967295"]),
        (
            "TYPE=Bridge\nSTP=maybe",
            ["ifcfg-eth0:2", "STP=\"maybe\"", "yes and no"],
        ),
        (
            "TYPE=Bridge\nDELAY=31",
            ["ifcfg-eth0:2", "DELAY=\"31\"", "0 to 30"],
        ),
        ("BRIDGE=a/b", ["ifcfg-eth0:1", "a/b", "path"]),
    ] {
        refused("eth0", &[("ifcfg-eth0", text)], &parts);
    }
}

#[test]
fn wrong_bonds_vlans_and_clients_are_refused_with_their_place() {
    for (text, parts) in [
        (
            "BONDING_OPTS='mode=1 nosuch=5'",
            ["ifcfg-eth0:1", "nosuch=5", "miimon, updelay"],
        ),
        (
            "BONDING_OPTS=mode=7",
            ["ifcfg-eth0:1", "mode=7", "active-backup"],
        ),
        ("BONDING_OPTS=miimon", ["ifcfg-eth0:1", "miimon", "words"]),
        (
            "MASTER=5fb06bd0-0bb0-7ffb-45f1-d6edd65f3e03\nSLAVE=yes",
            ["ifcfg-eth0:1", "5fb06bd0", "NetworkManager"],
        ),
        ("VLAN=yes", ["ifcfg-eth0", "PHYSDEV", "VLAN over"]),
        (
            "VLAN=yes\nPHYSDEV=eth1\nVID=4095",
            ["ifcfg-eth0:3", "VID=\"4095\"", "1 to 4094"],
        ),
        (
            "VLAN=yes\nPHYSDEV=eth1",
            ["ifcfg-eth0", "VLAN number", "1 to 4094"],
        ),
        (
            "DHCP_HOSTNAME=-r\nBOOTPROTO=dhcp",
            ["ifcfg-eth0:1", "-r", "letters"],
        ),
        ("IPV6_MTU=1279", ["ifcfg-eth0:1", "IPV6_MTU", "1280"]),
    ] {
        refused("eth0", &[("ifcfg-eth0", text)], &parts);
    }
}

#[test]
fn what_is_not_known_is_refused_with_a_way_out() {
    for text in [
        "BOOTPROTO=autoip",
        "TYPE=Team",
        "IPADDR_START=192.0.2.1",
        "SCOPE=link",
        "ESSID=home",
        "MY_INNER_IPADDR=1.1.1.1",
        "IPADDR=$(hostname -i)",
        "BRIDGE=$B",
        "if true; then\nMTU=1500\nfi",
        ". /etc/site",
    ] {
        let error = desired("eth0", &[("ifcfg-eth0", text)]).expect_err(text);
        let said = error.to_string();
        assert!(said.contains("/ifcfg-eth0:1: "), "{said}");
        assert!(said.contains("built-in applier does not support"), "{said}");
        assert!(
            error
                .hints()
                .iter()
                .any(|it| it.contains("--applier system"))
        );
        assert!(error.hints().iter().any(|it| it.contains("--applier none")));
    }
    let files = [("ifcfg-eth0", ""), ("keys-eth0", "# c\nKEY=x\n")];
    refused("eth0", &files, &["keys-eth0:2", "does not support"]);
    let range = |text| [("ifcfg-eth0", ""), ("ifcfg-eth0-range0", text)];
    let odd = range("IPADDR_START=192.0.2.1\nIPADDR_END=192.0.2.2\nARP=no\n");
    refused("eth0", &odd, &["range0:3", "ARP"]);
    let through_another = [("ifcfg-eth0", ""), ("route-eth0", "10.0.0.0/8 dev eth1")];
    refused("eth0", &through_another, &["route-eth0:1", "eth1"]);
}

#[test]
fn what_is_switched_off_or_empty_is_not_refused() {
    let text = "BOOTPROTO=static\nTYPE=Ethernet\nMASTER=\nSLAVE=no\nVLAN=no\nIPV6INIT=no\nIPV6_AUTOCONF=yes\n\
                DHCPV6C=yes\nUUID=5fb06bd0-0bb0-7ffb-45f1-d6edd65f3e03\nDNS1=192.0.2.53\nNAME=\"System $x\"\n";
    let desired = desired("eth0", &[("ifcfg-eth0", text)]).unwrap();
    assert!(desired.addresses.is_empty());
}

#[test]
fn missing_and_unreadable_files_are_errors() {
    refused(
        "eth0",
        &[("ifcfg-eth0", "DEVICE=eth1")],
        &["eth0", "no file"],
    );
    let mut files = memory(&[("ifcfg-eth0", ""), ("route-eth0", "")]);
    files.unreadable = Some("route-eth0");
    let error = NetworkScripts.desired(&name("eth0"), &files).unwrap_err();
    let said = error.one_line();
    assert!(
        said.contains("/etc/sysconfig/network-scripts/route-eth0"),
        "{said}"
    );
    assert!(said.contains("Input/output error"), "{said}");
    files.unreadable = Some("ifcfg-eth0");
    assert_eq!(interface_of("ifcfg-eth0", &files).as_deref(), Some("eth0"));
    assert!(
        NetworkScripts
            .dependencies(&BTreeSet::from([name("eth0")]), &files)
            .is_empty()
    );
}

#[test]
fn wrong_ranges_are_refused_with_their_place() {
    let wrong = |text: &str, said: &str| {
        let files = [("ifcfg-eth0", ""), ("ifcfg-eth0-range0", text)];
        let error = desired("eth0", &files).unwrap_err().one_line();
        assert!(
            error.contains("ifcfg-eth0-range0") && error.contains(said),
            "{error}"
        );
    };
    wrong("", "IPADDR_START");
    wrong("IPADDR_START=192.0.2.1\n", "IPADDR_END");
    let start = "IPADDR_START=192.0.2.9\nIPADDR_END=";
    for end in ["192.0.3.10", "192.0.2.8", "10.0.0.9"] {
        wrong(
            &format!("{start}{end}\n"),
            "an address from 192.0.2.9 to 192.0.2.255 is allowed",
        );
    }
    wrong(&format!("{start}x\n"), ":2: IPADDR_END");
    wrong(
        &format!("{start}192.0.2.10\nCLONENUM_START=x\n"),
        ":3: CLONENUM_START",
    );
    wrong(
        &format!("{start}192.0.2.10\nCLONENUM_START=42949672950\n"),
        "CLONENUM_START",
    );
}
