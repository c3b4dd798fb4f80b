//! Interfaces that are defined, brought up, shown as they run and taken down, in network namespaces.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::fs;

use support::host::Host;
use support::netns::{addresses, exists, in_namespace, ip, link_attribute, veth};

fn define(host: &Host, text: &str) {
    let path = host.path("x.xml");
    fs::write(&path, text).unwrap();
    host.done(&["--applier", "builtin", "define", path.to_str().unwrap()]);
}

const BRIDGE: &str = "<interface type='bridge' name='br0'><start mode='onboot'/><protocol family='ipv4'>\
    <ip address='192.0.2.7' prefix='24'/></protocol><bridge stp='off' delay='0'>\
    <interface type='ethernet' name='eth0'/></bridge></interface>";

#[test]
fn a_bridge_comes_up_with_its_port_is_shown_and_goes_down() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        let host = Host::new();
        let builtin =
            |arguments: &[&str]| host.done(&[&["--applier", "builtin"], arguments].concat());
        define(&host, BRIDGE);
        assert_eq!(builtin(&["list"]).stdout, "");
        assert_eq!(builtin(&["list", "--inactive"]).stdout, "br0\n");
        let up = builtin(&["ifup", "br0"]);
        assert!(
            up.stdout
                .ends_with("Interface br0 successfully brought up\n"),
            "{up:?}"
        );
        assert_eq!(link_attribute("eth0", "master"), "br0");
        assert!(addresses("br0").contains(&"192.0.2.7/24".to_owned()));
        assert_eq!(builtin(&["list"]).stdout, "br0\n");
        let mac = link_attribute("br0", "address");
        let mac = mac.as_str().unwrap();
        assert_eq!(
            builtin(&["list", "--macs"]).stdout,
            format!("br0      {mac}\n")
        );
        let by_mac = builtin(&["dumpxml", "--mac", mac]).stdout;
        assert!(by_mac.contains("name=\"br0\""), "{by_mac}");
        let live = builtin(&["dumpxml", "--live", "br0"]).stdout;
        for part in [
            "<interface name=\"br0\" type=\"bridge\">\n  <mtu size=\"1500\"/>\n  <protocol family=\"ipv4\">",
            "<ip address=\"192.0.2.7\" prefix=\"24\"/>",
            "<bridge stp=\"off\" delay=\"0\">\n    <interface name=\"eth0\" type=\"ethernet\">\n      <link state=\"up\" speed=\"",
            "<mac address=\"",
        ] {
            assert!(live.contains(part), "{part} in {live}");
        }
        builtin(&["ifdown", "br0"]);
        assert!(!exists("br0"));
        let gone = host.ncf(&["--applier", "builtin", "dumpxml", "--live", "br0"]);
        gone.refused(1, &["the kernel has no br0 now"]);
    });
}

#[test]
fn an_interface_without_carrier_is_said_to_have_failed() {
    in_namespace(|| {
        veth("eth0", "far");
        let host = Host::with(&[("ifcfg-eth0", "DEVICE=eth0\nIPADDR=192.0.2.7\nPREFIX=24\n")]);
        let failed = host.ncf(&["--applier", "builtin", "ifup", "eth0"]);
        assert_eq!(failed.status, Some(1), "{failed:?}");
        let all = format!("{}{}", failed.stdout, failed.stderr);
        assert!(all.contains("carrier"), "{all}");
    });
}

#[test]
fn a_file_without_device_is_found_by_the_cards_address() {
    in_namespace(|| {
        veth("eth0", "far");
        let mac = link_attribute("eth0", "address");
        let text = format!(
            "HWADDR={}\nONBOOT=yes\n",
            mac.as_str().unwrap().to_uppercase()
        );
        let host = Host::with(&[("ifcfg-Wired_connection_1", &text)]);
        let shown = host
            .done(&["--applier", "builtin", "dumpxml", "eth0"])
            .stdout;
        assert!(shown.contains("name=\"eth0\""), "{shown}");
        define(&host, &shown.replace("onboot", "none"));
        assert_eq!(
            host.read("ifcfg-Wired_connection_1"),
            text.replace("ONBOOT=yes", "ONBOOT=no")
        );
        // And so it comes up.
        ip("link set far up");
        host.write(
            "ifcfg-Wired_connection_1",
            &format!("{text}IPADDR=192.0.2.7\nPREFIX=24\n"),
        );
        host.done(&["--applier", "builtin", "ifup", "eth0"]);
        assert!(addresses("eth0").contains(&"192.0.2.7/24".to_owned()));
        host.done(&["--applier", "builtin", "ifdown", "eth0"]);
        assert!(!addresses("eth0").contains(&"192.0.2.7/24".to_owned()));
    });
}

#[test]
fn what_an_interface_needs_comes_up_with_it_and_stays_when_it_goes() {
    in_namespace(|| {
        veth("eth0", "far");
        ip("link set far up");
        let host = Host::with(&[
            ("ifcfg-eth0", "DEVICE=eth0\nBRIDGE=br0\n"),
            (
                "ifcfg-br0",
                "DEVICE=br0\nTYPE=Bridge\nDELAY=0\nIPADDR=192.0.2.1\nPREFIX=24\n",
            ),
            (
                "ifcfg-br0:1",
                "DEVICE=br0:1\nONPARENT=no\nIPADDR=192.0.2.9\nPREFIX=24\n",
            ),
        ]);
        let builtin =
            |arguments: &[&str]| host.done(&[&["--applier", "builtin"], arguments].concat());
        builtin(&["ifup", "br0:1"]);
        assert_eq!(link_attribute("eth0", "master"), "br0");
        let both = ["192.0.2.1/24", "192.0.2.9/24"].map(str::to_owned);
        assert_eq!(addresses("br0")[..2], both);
        // Now that it is there, it is left alone.
        ip("address delete 192.0.2.1/24 dev br0");
        builtin(&["ifup", "br0:1"]);
        assert!(!addresses("br0").contains(&both[0]));
        builtin(&["ifdown", "br0:1"]);
        assert!(exists("br0") && !addresses("br0").contains(&both[1]));
    });
}
