//! Ports of guests in a real kernel: what plug makes, what it passes over, what unplug leaves.

#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};
use support::host::Ran;
use support::netns::{exists, in_namespace, ip, ip_json, link_attribute, private_devices, veth};
use support::networks::Nets;
use support::wire::{Wire, arp_reply, arp_request, broadcast, octets, with};

/// With a `/dev` of its own.
fn macvtap_test(test: impl FnOnce() + Send + 'static) {
    in_namespace(move || {
        private_devices();
        test();
    });
}

fn bridge(name: &str) {
    ip(&format!("link add {name} type bridge"));
    ip(&format!("link set {name} up"));
}

/// A pair of devices that are up.
fn wire(one: &str, other: &str) {
    veth(one, other);
    ip(&format!("link set {one} up"));
    ip(&format!("link set {other} up"));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn a_guest_on_a_bridge_has_a_tap_of_its_own() {
    in_namespace(|| {
        let nets = Nets::new();
        bridge("br0");
        ip("link set br0 mtu 1400");
        ip("address add 192.0.2.1/24 dev br0");
        nets.network(
            "test-bridge",
            "<forward mode='bridge'/><bridge name='br0'/>",
        );
        let plugged = nets.json(
            "plug test-bridge --owner guest --mac 52:54:00:00:00:0a --user 54321 --group 54322",
        );
        let name = text(&plugged["port"]);
        assert_eq!(plugged["type"], "tap");
        assert_eq!(plugged["bridge"], "br0");
        let shown = &ip_json(&format!("link show dev {name}"))[0];
        assert_eq!(shown["master"], "br0");
        assert_eq!(shown["address"], "fe:54:00:00:00:0a");
        assert_eq!(shown["mtu"], 1400);
        assert_eq!(shown["ifalias"], "ncf: port of guest in test-bridge");
        let data = &shown["linkinfo"]["info_data"];
        assert_eq!(data["type"], "tap");
        assert_eq!(data["persist"], true);
        assert_eq!(data["vnet_hdr"], true);
        assert_eq!(data["user"].to_string().trim_matches('"'), "54321");
        assert_eq!(data["group"].to_string().trim_matches('"'), "54322");

        // The guest asks for the bridge's address, and is answered.
        let mut guest = Wire::tap(name);
        let mac = octets("52:54:00:00:00:0a");
        let (own, bridge) = ("192.0.2.9".parse().unwrap(), "192.0.2.1".parse().unwrap());
        guest.send(&arp_request(mac, own, bridge));
        assert!(guest.hears(arp_reply(bridge)));
        drop(guest);

        nets.done(&format!("unplug {name}"));
        assert!(!exists(name));
        assert!(nets.ports().is_empty());
        nets.ncf(&format!("unplug {name}"))
            .refused(3, &["there is no port", name]);
        assert_eq!(
            nets.done("ports test-bridge").stdout,
            "There are no ports.\n"
        );
        nets.ncf("ports other")
            .refused(1, &["there is no network other"]);
    });
}

#[test]
fn a_name_that_another_device_has_is_passed_over() {
    in_namespace(|| {
        let (one, two) = (Nets::new(), Nets::new());
        bridge("br0");
        for nets in [&one, &two] {
            nets.network("net", "<forward mode='bridge'/><bridge name='br0'/>");
        }
        ip("link add ncf1 type bridge");
        let port = |nets: &Nets| text(&nets.json("plug net --owner guest")["port"]).to_owned();
        assert_eq!(
            [port(&one), port(&two), port(&one)],
            ["ncf0", "ncf2", "ncf3"]
        );
        // Whose is whose: one does not take the other's away.
        two.done("unplug --owner guest");
        assert!(exists("ncf0") && exists("ncf1") && !exists("ncf2"));
    });
}

#[test]
fn several_queues_are_for_guests_that_ask_for_them() {
    in_namespace(|| {
        let nets = Nets::new();
        bridge("br0");
        nets.network("net", "<forward mode='bridge'/><bridge name='br0'/>");
        let ran = nets.done("plug net --owner guest --queues 4 --vhost --format qemu");
        assert!(ran.stdout.contains("queues=4,vhost=on"), "{ran:?}");
        assert!(ran.stdout.contains("mq=on,vectors=10"), "{ran:?}");
        let shown = &ip_json("link show type tun")[0];
        assert_eq!(shown["linkinfo"]["info_data"]["multi_queue"], true);
    });
}

#[test]
fn isolated_ports_reach_the_host_and_not_each_other() {
    in_namespace(|| {
        let nets = Nets::new();
        bridge("br0");
        ip("address add 192.0.2.1/24 dev br0");
        nets.network(
            "net",
            "<forward mode='bridge'/><bridge name='br0'/><port isolated='yes'/>",
        );
        let plug = |owner: &str| {
            let port = nets.json(&format!("plug net --owner {owner}"));
            let wire = Wire::tap(text(&port["port"]));
            (wire, octets(text(&port["mac"])))
        };
        let (mut one, mac) = plug("one");
        let (mut two, _) = plug("two");
        one.send(&broadcast(mac, "from one"));
        assert!(two.is_deaf_to(with("from one")));
        let (own, host) = ("192.0.2.9".parse().unwrap(), "192.0.2.1".parse().unwrap());
        one.send(&arp_request(mac, own, host));
        assert!(one.hears(arp_reply(host)));

        // Where they are not isolated they do.
        nets.network("open", "<forward mode='bridge'/><bridge name='br0'/>");
        let port = nets.json("plug open --owner three");
        let mut three = Wire::tap(text(&port["port"]));
        one.send(&broadcast(mac, "again"));
        assert!(three.hears(with("again")));
    });
}

/// In the `/dev` of all: nodes are the kernel's. Namespaces number their links themselves, so one test at a time, with
/// numbers that other programs' tests hardly have.
#[test]
fn the_kernels_own_node_is_taken_and_left() {
    in_namespace(|| {
        let used = 200 + 7 * (std::process::id() % 100);
        let lines = (0..used).map(|number| format!("link add number{number} type ifb\n"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines.collect::<Vec<_>>().concat()).unwrap();
        ip(&format!("-batch {}", file.path().display()));
        let nets = Nets::new();
        wire("eth1", "far1");
        nets.pool("net", "bridge", &["eth1"]);
        let (mut one, mac, port) = guest(&nets, "net", "one");
        let (mut two, _, _) = guest(&nets, "net", "two");
        one.send(&broadcast(mac, "hello"));
        assert!(two.hears(with("hello")));
        drop((one, two));
        let node = Path::new(text(&port["node"])).to_owned();
        nets.done("unplug --owner one");
        assert!(!node.exists(), "it went with its device");
    });
}

/// Plugs a guest and opens its macvtap.
fn guest(nets: &Nets, network: &str, owner: &str) -> (Wire, [u8; 6], Value) {
    let port = nets.json(&format!("plug {network} --owner {owner}"));
    let wire = Wire::macvtap(text(&port["port"]), text(&port["node"]));
    let mac = octets(text(&port["mac"]));
    (wire, mac, port)
}

#[test]
fn macvtap_modes_are_what_the_kernel_says_they_are() {
    macvtap_test(|| {
        let nets = Nets::new();
        wire("eth1", "far1");
        for (mode, reaches) in [("bridge", true), ("private", false), ("vepa", false)] {
            nets.pool(mode, mode, &["eth1"]);
            let (mut one, mac, port) = guest(&nets, mode, "one");
            let (mut two, _, _) = guest(&nets, mode, "two");
            assert_eq!(port["lower"], "eth1");
            let name = text(&port["port"]);
            let shown = &ip_json(&format!("link show dev {name}"))[0];
            assert_eq!(shown["linkinfo"]["info_data"]["mode"], mode);
            assert_eq!(octets(text(&shown["address"])), mac);
            one.send(&broadcast(mac, mode));
            if reaches {
                assert!(two.hears(with(mode)), "{mode}");
            } else {
                assert!(two.is_deaf_to(with(mode)), "{mode}");
            }
            drop((one, two));
            nets.done("unplug --owner one");
            nets.done("unplug --owner two");
        }
    });
}

#[test]
fn vepa_goes_through_a_switch_that_sends_back() {
    macvtap_test(|| {
        let nets = Nets::new();
        wire("eth1", "far1");
        bridge("switch");
        ip("link set far1 master switch");
        nets.pool("net", "vepa", &["eth1"]);
        let (mut one, mac, _) = guest(&nets, "net", "one");
        let (mut two, _, _) = guest(&nets, "net", "two");
        one.send(&broadcast(mac, "straight"));
        assert!(two.is_deaf_to(with("straight")));
        ip("link set far1 type bridge_slave hairpin on");
        one.send(&broadcast(mac, "reflected"));
        assert!(two.hears(with("reflected")));
    });
}

#[test]
fn passthrough_takes_the_device_and_gives_it_back() {
    macvtap_test(|| {
        let nets = Nets::new();
        wire("eth1", "far1");
        let before = text(&link_attribute("eth1", "address")).to_owned();
        nets.pool("net", "passthrough", &["eth1"]);
        let port = nets.json("plug net --owner guest --mac 52:54:00:00:00:0b");
        assert_eq!(link_attribute("eth1", "address"), "52:54:00:00:00:0b");
        nets.ncf("plug net --owner other").refused(
            3,
            &[
                "no device of the network net is free",
                "eth1: guest has it (port ncf0)",
            ],
        );
        nets.done(&format!("unplug {}", text(&port["port"])));
        assert_eq!(link_attribute("eth1", "address"), before.as_str());
        nets.done("plug net --owner other");
    });
}

#[test]
fn shared_ports_spread_over_the_pool() {
    macvtap_test(|| {
        let nets = Nets::new();
        for number in 1..=3 {
            wire(&format!("eth{number}"), &format!("far{number}"));
        }
        nets.pool("net", "bridge", &["eth1", "eth2", "eth3"]);
        let lower = |owner: &str| {
            let port = nets.json(&format!("plug net --owner {owner}"));
            text(&port["lower"]).to_owned()
        };
        let got: Vec<_> = ["a", "b", "c", "d"].map(lower).into();
        assert_eq!(got, ["eth1", "eth2", "eth3", "eth1"]);
        nets.done("unplug --owner b");
        assert_eq!(lower("e"), "eth2");
    });
}

#[test]
fn what_is_absent_or_used_by_the_host_is_passed_over_and_said() {
    macvtap_test(|| {
        let nets = Nets::new();
        for number in 2..=6 {
            wire(&format!("eth{number}"), &format!("far{number}"));
        }
        bridge("br0");
        ip("link set eth2 master br0");
        ip("address add 192.0.2.7/24 dev eth3");
        ip("link add link eth4 name other type macvlan mode bridge");
        ip("link set eth5 down");
        nets.pool(
            "net",
            "passthrough",
            &["eth1", "eth2", "eth3", "eth4", "eth5", "eth6"],
        );
        let port = nets.json("plug net --owner guest");
        assert_eq!(port["lower"], "eth5", "one that is down is brought up");
        let flags = link_attribute("eth5", "flags").to_string();
        assert!(flags.contains("\"UP\""), "{flags}");
        let skipped = port["skipped"].as_array().unwrap();
        let of = |index: usize| {
            let skipped = &skipped[index];
            format!("{}: {}", text(&skipped["device"]), text(&skipped["reason"]))
        };
        assert_eq!(of(0), "eth1: it is absent");
        assert_eq!(of(1), "eth2: it is a port of br0");
        assert_eq!(of(2), "eth3: it has the address 192.0.2.7/24");
        assert_eq!(of(3), "eth4: other is on top of it");
        assert_eq!(skipped.len(), 4);
        nets.done("plug net --owner second");
        let full = nets.ncf("plug net --owner third");
        full.refused(
            3,
            &[
                "eth1: it is absent",
                "br0",
                "192.0.2.7/24",
                "eth6: second has it (port ncf1)",
            ],
        );
        // For people, a line for each on standard error.
        nets.done("unplug --owner second");
        let ran = nets.done("plug net --owner second");
        assert!(
            ran.stderr.contains("warning: eth3 was passed over"),
            "{ran:?}"
        );
    });
}

#[test]
fn a_port_that_cannot_be_had_leaves_nothing() {
    in_namespace(|| {
        let nets = Nets::new();
        bridge("br0");
        wire("eth1", "far1");
        nets.network(
            "vlan",
            "<forward mode='bridge'/><bridge name='br0'/><vlan><tag id='5'/></vlan>",
        );
        nets.ncf("plug vlan --owner guest")
            .refused(1, &["the bridge br0 does not filter by VLAN"]);
        bridge("br9");
        nets.network("gone", "<forward mode='bridge'/><bridge name='br9'/>");
        ip("link delete br9");
        nets.ncf("plug gone --owner guest")
            .refused(1, &["there is no bridge br9"]);
        nets.network(
            "direct",
            "<forward mode='passthrough'><interface dev='eth1'/></forward><vlan><tag id='5'/></vlan>",
        );
        nets.ncf("plug direct --owner guest")
            .refused(1, &["eth1 is no virtual function", "VLAN"]);
        nets.ncf("plug nowhere --owner guest")
            .refused(1, &["there is no network nowhere"]);
        nets.ncf("plug direct --owner guest --portgroup none")
            .refused(1, &["none"]);
        for bad in [
            "--mac 01:00:00:00:00:01",
            "--mac x",
            "--queues 0",
            "--queues 257",
            "--user nobody-there",
        ] {
            let ran = nets.ncf(&format!("plug vlan --owner guest {bad}"));
            assert_eq!(ran.status, Some(2), "{bad}: {ran:?}");
        }
        assert!(nets.ports().is_empty());
        assert!(ip_json("link show type tun").as_array().unwrap().is_empty());
        assert!(
            ip_json("link show type macvtap")
                .as_array()
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            nets.done("repair").stdout,
            "Networks, ports and kernel agree.\n"
        );
    });
}

#[test]
fn repair_puts_ports_back_and_forgets_those_that_are_gone() {
    macvtap_test(|| {
        let nets = Nets::new();
        bridge("br0");
        wire("eth1", "far1");
        nets.network(
            "net",
            "<forward mode='bridge'/><bridge name='br0'/><port isolated='yes'/>",
        );
        nets.pool("direct", "passthrough", &["eth1"]);
        let tap = nets.json("plug net --owner one");
        let gone = nets.json("plug net --owner two");
        let macvtap = nets.json("plug direct --owner three");
        let (tap, gone, macvtap) = (
            text(&tap["port"]),
            text(&gone["port"]),
            text(&macvtap["port"]),
        );
        ip("link delete br0");
        bridge("br0");
        ip(&format!("link delete {gone}"));
        ip(&format!("link delete {macvtap}"));
        let ran = nets.done("repair");
        assert!(
            ran.stdout.contains("it was not in br0: put back"),
            "{ran:?}"
        );
        assert_eq!(link_attribute(tap, "master"), "br0");
        let port = &ip_json(&format!("link show dev {tap}"))[0]["linkinfo"]["info_slave_data"];
        assert_eq!(port["isolated"], true);
        assert_eq!(nets.ports(), [tap]);
        // A device that somebody else has given that name is left alone.
        let next = nets.json("plug direct --owner three");
        let next = text(&next["port"]);
        ip(&format!("link delete {next}"));
        ip(&format!("link add {next} type bridge"));
        nets.done("repair");
        assert!(exists(next));
        assert_eq!(nets.ports(), [tap]);
    });
}

#[test]
fn limits_come_and_go_with_the_port() {
    macvtap_test(|| {
        let nets = Nets::new();
        bridge("br0");
        wire("eth1", "far1");
        nets.network(
            "net",
            "<forward mode='bridge'/><bridge name='br0'/><bandwidth><inbound average='2000'/></bandwidth>\
             <portgroup name='slow'><bandwidth><inbound average='500' floor='300'/></bandwidth></portgroup>",
        );
        nets.pool("direct", "bridge", &["eth1"]);
        let qdiscs = |device: &str| {
            let shown = Command::new("tc")
                .args(["qdisc", "show", "dev", device])
                .output()
                .unwrap();
            String::from_utf8(shown.stdout).unwrap()
        };
        let before = qdiscs("br0");
        let port = nets.json("plug net --owner one --portgroup slow");
        let name = text(&port["port"]);
        assert!(text(&port["limits"]).contains("floor"), "{port}");
        assert!(qdiscs(name).contains("htb"), "{}", qdiscs(name));
        // More floors than the network has are refused, and leave nothing.
        nets.ncf("plug net --owner two --inbound 1900,,,1800")
            .refused(1, &["floor"]);
        let guest = |floor: u32| {
            format!(
                "<domain><name>web</name><devices><interface type='network'><source network='net'/><bandwidth>\
                 <inbound average='1900' floor='{floor}'/></bandwidth></interface></devices></domain>"
            )
        };
        let file = nets.state().with_extension("domain");
        for (floor, status) in [(1800, 1), (1700, 0)] {
            std::fs::write(&file, guest(floor)).unwrap();
            let ran = nets.ncf(&format!("check {}", file.display()));
            assert_eq!(ran.status, Some(status), "{ran:?}");
        }
        assert_eq!(nets.ports(), [name]);
        nets.done("plug direct --owner three --inbound 1000 --outbound 1000");
        nets.done("unplug --owner three");
        nets.done(&format!("unplug {name}"));
        assert_eq!(qdiscs("br0"), before);
        nets.done("plug net --owner two --inbound 1900,,,1800");
        nets.done("unplug --owner two");
        let links = ip_json("link show");
        let left: Vec<_> = links
            .as_array()
            .unwrap()
            .iter()
            .map(|it| text(&it["ifname"]))
            .collect();
        assert!(!left.iter().any(|it| it.starts_with("ncf")), "{left:?}");
    });
}

#[test]
fn a_network_is_not_stopped_while_guests_are_in_it() {
    macvtap_test(|| {
        let nets = Nets::new();
        bridge("br0");
        wire("eth1", "far1");
        nets.pool("direct", "private", &["eth1"]);
        nets.network("own", "<bridge name='virbr7'/>");
        nets.done("plug direct --owner web");
        nets.done("plug own --owner db");
        nets.ncf("stop direct")
            .refused(3, &["in use by web (port ncf0)"]);
        nets.ncf("stop own")
            .refused(3, &["in use by db (port ncf1)"]);
        nets.done("stop own --force");
        assert!(!exists("virbr7"));
        // Its port is put back when there is a bridge again.
        nets.done("start own");
        nets.done("repair");
        assert_eq!(link_attribute("ncf1", "master"), "virbr7");
        nets.done("unplug --owner db");
        nets.done("stop own");
    });
}

#[test]
fn a_device_that_a_guest_has_stays_in_the_running_network() {
    macvtap_test(|| {
        let nets = Nets::new();
        wire("eth1", "far1");
        wire("eth2", "far2");
        nets.pool("net", "private", &["eth1", "eth2"]);
        nets.done("plug net --owner web");
        nets.done("plug net --owner db");
        nets.done("plug net --owner mail");
        let live = nets.done("dumpxml net --live").stdout;
        assert!(live.starts_with("<network connections=\"3\">"), "{live}");
        assert!(live.contains("<interface dev='eth1' connections='2'/>"));
        assert!(!nets.done("dumpxml net").stdout.contains("connections"));
        let delete = |flag: &str| {
            let part = "<interface dev='eth1'/>";
            let words = ["update", "net", "delete", "interface", part, flag];
            Ran::from(nets.command_of(&words).output().unwrap())
        };
        delete("--live").refused(
            3,
            &[
                "eth1 cannot be taken out of the running network net",
                "web (port ncf0), mail (port ncf2)",
            ],
        );
        assert_eq!(nets.done("dumpxml net --live").stdout, live);
        assert_eq!(delete("--config").status, Some(0));
        assert_eq!(nets.list()[0]["changed"], true);
        let listed = nets.done("list").stdout;
        assert!(listed.contains("active, changed"), "{listed}");
        nets.done("unplug --owner web");
        nets.done("unplug --owner mail");
        assert_eq!(delete("--live").status, Some(0));
        assert_eq!(nets.list()[0]["changed"], false);
    });
}

#[test]
fn where_ncf_keeps_the_table_of_addresses_the_bridge_learns_none() {
    in_namespace(|| {
        let nets = Nets::new();
        nets.network(
            "net",
            "<bridge name='own0' stp='off' macTableManager='libvirt'/>",
        );
        let plug = |owner: &str| {
            let port = nets.json(&format!("plug net --owner {owner}"));
            let wire = Wire::tap(text(&port["port"]));
            (wire, octets(text(&port["mac"])), port)
        };
        let (mut one, mac, port) = plug("one");
        let (mut two, other, _) = plug("two");
        let (mut three, _, _) = plug("three");
        let name = text(&port["port"]);
        let shown = &ip_json(&format!("link show dev {name}"))[0]["linkinfo"]["info_slave_data"];
        assert_eq!(
            (&shown["learning"], &shown["flood"]),
            (&json!(false), &json!(false))
        );
        let entry = |port: &str, mac: &str| {
            let entries = Command::new("bridge")
                .args(["fdb", "show", "dev", port])
                .output();
            let entries = String::from_utf8(entries.unwrap().stdout).unwrap();
            entries
                .lines()
                .any(|line| line.starts_with(mac) && line.contains("static"))
        };
        assert!(entry(name, text(&port["mac"])));
        // One reaches two by its address, and three does not hear it.
        let mut frame = broadcast(mac, "to two");
        frame[..6].copy_from_slice(&other);
        one.send(&frame);
        assert!(two.hears(with("to two")));
        assert!(three.is_deaf_to(with("to two")));
        // What one sends under another's address is not learned.
        let stranger = octets("52:54:00:99:99:99");
        one.send(&broadcast(stranger, "who am I"));
        assert!(two.hears(with("who am I")));
        frame[..6].copy_from_slice(&stranger);
        two.send(&frame);
        assert!(one.is_deaf_to(with("to two")));
        // Put back into the bridge it has all that again.
        ip(&format!("link set {name} nomaster"));
        nets.done("repair");
        assert!(entry(name, text(&port["mac"])));
        // While it runs that stays as it is.
        let words = [
            "update",
            "net",
            "modify",
            "bridge",
            "<bridge name='own0' stp='off'/>",
        ];
        Ran::from(nets.command_of(&words).output().unwrap())
            .refused(3, &["only in its definition"]);
        drop((one, two, three));
        for owner in ["one", "two", "three"] {
            nets.done(&format!("unplug --owner {owner}"));
        }
        nets.done("stop net");
    });
}

#[test]
fn ports_of_an_earlier_boot_are_dropped() {
    in_namespace(|| {
        let nets = Nets::new();
        bridge("br0");
        nets.network("net", "<forward mode='bridge'/><bridge name='br0'/>");
        nets.done("plug net --owner guest");
        let ports = nets.state().join("ports");
        let boot = std::fs::read_dir(&ports)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let earlier = ports.join("11111111-2222-3333-4444-555555555555");
        std::fs::rename(&boot, &earlier).unwrap();
        assert!(nets.ports().is_empty());
        nets.done("repair");
        assert!(!Path::new(&earlier).exists());
    });
}

#[test]
fn of_many_at_once_none_gets_anothers_device() {
    macvtap_test(|| {
        let nets = Nets::new();
        let devices: Vec<_> = (0..16).map(|number| format!("eth{number}")).collect();
        for (number, device) in devices.iter().enumerate() {
            wire(device, &format!("far{number}"));
        }
        let devices: Vec<_> = devices.iter().map(String::as_str).collect();
        nets.pool("net", "passthrough", &devices);
        for round in 0..3 {
            let running: Vec<_> = (0..64)
                .map(|number| {
                    let arguments = format!("--json plug net --owner guest{round}-{number}");
                    let mut command = nets.command(&arguments);
                    command
                        .stdout(std::process::Stdio::piped())
                        .stderr(std::process::Stdio::piped());
                    command.spawn().unwrap()
                })
                .collect();
            let outputs = running
                .into_iter()
                .map(|child| child.wait_with_output().unwrap());
            let mut lowers = Vec::new();
            let mut refused = 0;
            for output in outputs {
                match output.status.code() {
                    Some(0) => {
                        let port: Value = serde_json::from_slice(&output.stdout).unwrap();
                        lowers.push(text(&port["lower"]).to_owned());
                    }
                    Some(3) => {
                        let said = String::from_utf8_lossy(&output.stderr);
                        assert!(said.contains("11 more are in use"), "{said}");
                        refused += 1;
                    }
                    other => panic!("{other:?}: {output:?}"),
                }
            }
            lowers.sort();
            lowers.dedup();
            assert_eq!((lowers.len(), refused), (16, 48));
            let removed: Vec<_> = nets
                .ports()
                .iter()
                .map(|port| nets.command(&format!("-q unplug {port}")).spawn().unwrap())
                .collect();
            for mut child in removed {
                assert!(child.wait().unwrap().success());
            }
            assert!(nets.ports().is_empty());
            assert!(
                ip_json("link show type macvtap")
                    .as_array()
                    .unwrap()
                    .is_empty()
            );
        }
    });
}

#[test]
fn plugging_and_unplugging_at_once_leaks_nothing() {
    macvtap_test(|| {
        let nets = Nets::new();
        let devices: Vec<_> = (0..16).map(|number| format!("eth{number}")).collect();
        for (number, device) in devices.iter().enumerate() {
            wire(device, &format!("far{number}"));
        }
        let devices: Vec<_> = devices.iter().map(String::as_str).collect();
        nets.pool("net", "passthrough", &devices);
        // Each plugs and unplugs its own guest; the commands are built here, for threads share the namespace only if
        // they are started in it.
        thread::scope(|scope| {
            for number in 0..64 {
                let mut plug = nets.command(&format!("-q plug net --owner g{number}"));
                let mut unplug = nets.command(&format!("-q unplug --owner g{number}"));
                scope.spawn(move || {
                    let plugged = plug.output().unwrap();
                    assert!(matches!(plugged.status.code(), Some(0 | 3)), "{plugged:?}");
                    let unplugged = unplug.output().unwrap();
                    assert_eq!(unplugged.status.code(), Some(0), "{unplugged:?}");
                });
            }
        });
        assert!(nets.ports().is_empty());
        assert!(
            ip_json("link show type macvtap")
                .as_array()
                .unwrap()
                .is_empty()
        );
        let full: Vec<_> = (0..16)
            .map(|n| nets.json(&format!("plug net --owner n{n}")))
            .collect();
        assert_eq!(full[15]["lower"], "eth15");
    });
}

#[test]
fn hostile_names_go_nowhere() {
    in_namespace(|| {
        let nets = Nets::new();
        for (network, owner) in [("../x", "guest"), ("net", "-x"), ("/etc/passwd", "guest")] {
            let mut command = nets.command("plug");
            command.arg(network).arg("--owner").arg(owner);
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{output:?}");
        }
        let mut odd: Command = nets.command("unplug");
        odd.arg("ncf0/../../x");
        assert_eq!(odd.output().unwrap().status.code(), Some(2));
    });
}
