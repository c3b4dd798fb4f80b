//! A guest's definition on several hosts: what its networks are there, what is reserved, what is refused.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::host::Ran;
use support::netns::{in_namespace, ip, private_devices, veth};
use support::networks::Nets;

/// A guest as libvirt prints it, with what must not be lost: comments, odd white space, another namespace.
const GUEST: &str = "<domain type='kvm' id='3' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web</name>
  <uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>\t
  <!-- <interface type='network'><source network='pool'/></interface> -->
  <devices>
    <interface   type='network'>
      <mac address='52:54:00:aa:bb:01'/>
      <source network='pool'/>
      <model type='virtio'/>
    </interface>
    <interface type=\"network\" ><source network=\"lan\" portgroup='fast' /><mac address='52:54:00:aa:bb:02'/></interface>
    <interface type='bridge'>
      <source bridge='other'/>
    </interface>
  </devices>
  <qemu:commandline>\r
    <qemu:arg value='-x &lt; &#10;'/>
  </qemu:commandline>
</domain>
";

/// Runs `ncf net` with the definition on standard input.
fn with_input(nets: &Nets, arguments: &str, input: &str) -> Ran {
    feed(nets.command(arguments), input)
}

fn feed(mut command: Command, input: &str) -> Ran {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that is refused early does not read all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ran::from(child.wait_with_output().unwrap())
}

fn host(devices: &[&str], bridge: &str) -> Nets {
    let nets = Nets::new();
    for device in devices {
        if !support::netns::exists(device) {
            veth(device, &format!("{device}f"));
        }
    }
    if !support::netns::exists(bridge) {
        ip(&format!("link add {bridge} type bridge"));
    }
    nets.pool("pool", "passthrough", devices);
    nets.network(
        "lan",
        &format!(
            "<forward mode='bridge'/><bridge name='{bridge}'/><portgroup name='fast'>\
             <bandwidth><inbound average='1000'/></bandwidth></portgroup><port isolated='yes'/>"
        ),
    );
    nets
}

/// What the document should be with these devices.
fn resolved(lower: &str, bridge: &str) -> String {
    let first = format!("<source dev=\"{lower}\" mode=\"passthrough\"/>");
    let second = format!(
        "<source bridge=\"{bridge}\"/><bandwidth><inbound average=\"1000\"/></bandwidth><port isolated=\"yes\"/>"
    );
    let text = GUEST.replacen(
        "<interface   type='network'>",
        "<interface   type='direct'>",
        1,
    );
    let text = text.replacen(
        "<interface type=\"network\" >",
        "<interface type='bridge' >",
        1,
    );
    let comment = text.find("-->").unwrap();
    let (head, tail) = text.split_at(comment);
    let tail = tail.replacen("<source network='pool'/>", &first, 1);
    let tail = tail.replacen("<source network=\"lan\" portgroup='fast' />", &second, 1);
    format!("{head}{tail}")
}

#[test]
fn one_definition_gets_each_hosts_devices_and_nothing_else_changes() {
    in_namespace(|| {
        let one = host(&["eth1", "eth2"], "br0");
        let two = host(&["p1p1", "p1p2"], "virbr5");
        let none = Nets::new();
        let ran = with_input(&one, "resolve", GUEST);
        assert_eq!(ran.stdout, resolved("eth1", "br0"), "{ran:?}");
        let ran = with_input(&two, "resolve -", GUEST);
        assert_eq!(ran.stdout, resolved("p1p1", "virbr5"), "{ran:?}");

        // A guest that is resolved again has the same device; another one has the next; then there is none.
        let again = with_input(&one, "resolve", GUEST);
        assert_eq!(again.stdout, resolved("eth1", "br0"));
        let other = GUEST.replace("<name>web", "<name>db");
        let ran = with_input(&one, "resolve", &other);
        assert!(ran.stdout.contains("dev=\"eth2\""), "{ran:?}");
        let third = GUEST.replace("<name>web", "<name>mail");
        for command in ["resolve", "check"] {
            let ran = with_input(&one, command, &third);
            assert_ne!(ran.status, Some(0), "{ran:?}");
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(
                said.contains("no device of the network pool is free"),
                "{said}"
            );
        }
        one.done("release --owner db");
        let ran = with_input(&one, "check", &third);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        let ran = with_input(&one, "resolve", &third);
        assert!(ran.stdout.contains("dev=\"eth2\""), "{ran:?}");

        // A host without the networks says so, and where in the definition.
        let ran = with_input(&none, "check", GUEST);
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(
            ran.stdout.contains("no  pool: there is no network pool"),
            "{ran:?}"
        );
        assert!(
            ran.stdout.contains("The guest web would not fit"),
            "{ran:?}"
        );
        let ran = with_input(&none, "resolve", GUEST);
        assert_eq!(ran.status, Some(1));
        assert_eq!(ran.stdout, "");
        let place = "standard input:6:5: there is no network pool";
        assert!(ran.stderr.contains(place), "{ran:?}");
        let kept = with_input(&none, "resolve --keep-unknown", GUEST);
        assert_eq!(kept.stdout, GUEST);
    });
}

#[test]
fn what_is_reserved_is_not_plugged_by_another() {
    in_namespace(|| {
        let nets = host(&["eth1", "eth2"], "br0");
        with_input(&nets, "resolve --no-reserve", GUEST);
        let listed = nets.json("ports");
        assert_eq!(listed["reservations"].as_array().unwrap().len(), 0);
        with_input(&nets, "resolve", GUEST);
        let listed = nets.json("ports pool");
        assert_eq!(listed["reservations"][0]["device"], "eth1");
        assert_eq!(listed["reservations"][0]["owner"], "web");
        nets.ncf("stop pool")
            .refused(3, &["web (eth1 is reserved)"]);
        nets.done("release --owner 4dea22b3-1d52-d8f3-2516-782e98ab3fa0");
        assert_eq!(
            nets.done("release --owner web").stdout,
            "Nothing is reserved for that guest.\n"
        );
        nets.done("stop pool");
        let ran = with_input(&nets, "resolve", GUEST);
        ran.refused_at(3, "the network pool is not active");
        let ran = with_input(&nets, "check", GUEST);
        assert!(
            ran.stdout
                .contains("no  pool: the network pool is not active"),
            "{ran:?}"
        );
        assert!(ran.stdout.contains("ok  lan: br0"), "{ran:?}");
    });
}

trait RefusedAt {
    fn refused_at(&self, status: i32, words: &str);
}

impl RefusedAt for Ran {
    /// As `refused`, with the line of the document under it.
    #[track_caller]
    fn refused_at(&self, status: i32, words: &str) {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert!(self.stderr.contains(words), "{self:?}");
    }
}

#[test]
fn on_failure_nothing_new_is_reserved() {
    in_namespace(|| {
        let nets = host(&["eth1"], "br0");
        nets.done("stop lan");
        nets.done("undefine lan");
        let ran = with_input(&nets, "resolve", GUEST);
        ran.refused_at(1, "standard input:11:5: there is no network lan");
        let listed = nets.json("ports");
        assert_eq!(listed["reservations"].as_array().unwrap().len(), 0);
    });
}

#[test]
fn on_failure_an_earlier_reservation_is_as_it_was() {
    in_namespace(|| {
        let nets = host(&["eth1", "eth2"], "br0");
        let alone = GUEST.replace("network=\"lan\"", "network=\"pool\"");
        with_input(&nets, "resolve", GUEST);
        let before = nets.json("ports");
        assert_eq!(before["reservations"][0]["device"], "eth1");
        // Its device is gone, so that it gets another; then its second interface finds none.
        ip("link delete eth1");
        let ran = with_input(&nets, "resolve", &alone.replace("portgroup='fast'", ""));
        ran.refused_at(3, "eth2: it is reserved for web");
        assert_eq!(nets.json("ports"), before);
        with_input(&nets, "resolve", GUEST);
        let after = nets.json("ports");
        assert_eq!(after["reservations"][0]["device"], "eth2");
    });
}

#[test]
fn a_vlan_that_the_network_cannot_give_is_refused() {
    in_namespace(|| {
        let nets = host(&["eth1"], "br0");
        nets.pool("shared", "bridge", &["eth1"]);
        let guest = "<domain><name>web</name><devices>\n<interface type='network'><source network='shared'/>\
                     <vlan><tag id='5'/></vlan></interface></devices></domain>";
        with_input(&nets, "resolve", guest).refused_at(
            1,
            "standard input:2:1: it is to be in a VLAN, and a port of the network shared cannot be",
        );
    });
}

#[test]
fn a_plug_gets_the_device_that_is_reserved_for_the_guest() {
    in_namespace(|| {
        let nets = host(&["eth1", "eth2", "eth3"], "br0");
        private_devices();
        nets.done("plug pool --owner other");
        with_input(&nets, "resolve", GUEST);
        nets.done("unplug --owner other");
        let lower = |owner: &str| {
            let port = nets.json(&format!("plug pool --owner {owner}"));
            port["lower"].as_str().unwrap().to_owned()
        };
        assert_eq!(lower("web"), "eth2");
        // Its second interface has none reserved, and nobody else gets the first.
        assert_eq!([lower("web"), lower("other")], ["eth1", "eth3"]);
        nets.done("unplug --owner web");
        nets.done("unplug --owner other");
        assert_eq!([lower("other"), lower("other")], ["eth1", "eth3"]);
        nets.ncf("plug pool --owner other").refused(
            3,
            &[
                "eth1: other has it (port ncf4)",
                "eth2: it is reserved for web",
            ],
        );
    });
}

#[test]
fn two_interfaces_of_one_guest_get_two_devices() {
    in_namespace(|| {
        let nets = host(&["eth1", "eth2"], "br0");
        let interface = "<interface type='network'><source network='pool'/></interface>";
        let guest =
            format!("<domain><name>web</name><devices>{interface}{interface}</devices></domain>");
        for _ in 0..2 {
            let ran = with_input(&nets, "resolve", &guest);
            let dev = |name: &str| ran.stdout.find(&format!("dev=\"{name}\"")).unwrap();
            assert!(dev("eth1") < dev("eth2"), "{ran:?}");
        }
        let three = guest.replace("</devices>", &format!("{interface}</devices>"));
        let ran = with_input(&nets, "resolve", &three);
        assert_eq!(ran.status, Some(3), "{ran:?}");
        let listed = nets.json("ports");
        assert_eq!(listed["reservations"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn shared_devices_are_counted_where_that_is_asked_for() {
    in_namespace(|| {
        let nets = Nets::new();
        veth("eth1", "far1");
        veth("eth2", "far2");
        nets.pool("pool", "bridge", &["eth1", "eth2"]);
        let guest = |name: &str| {
            format!(
                "<domain><name>{name}</name><devices><interface type='network'>\
                 <source network='pool'/></interface></devices></domain>"
            )
        };
        let got = |name: &str, options: &str| {
            let ran = with_input(&nets, &format!("--json resolve {options}"), &guest(name));
            let json: Value = serde_json::from_str(&ran.stdout).unwrap();
            json["interfaces"][0]["lower"].as_str().unwrap().to_owned()
        };
        assert_eq!([got("a", ""), got("b", "")], ["eth1", "eth1"]);
        assert_eq!(
            [
                got("a", "--reserve"),
                got("b", "--reserve"),
                got("c", "--reserve")
            ],
            ["eth1", "eth2", "eth1"]
        );
    });
}

#[test]
fn virtual_ports_are_merged_and_vlans_handed_on() {
    in_namespace(|| {
        let nets = Nets::new();
        veth("eth1", "far1");
        veth("eth2", "far2");
        nets.network(
            "fex",
            "<forward mode='private'><interface dev='eth1'/><interface dev='eth2'/></forward>\
             <virtualport type='802.1Qbh'><parameters profileid='gold'/></virtualport>\
             <vlan><tag id='42'/></vlan>",
        );
        let guest = "<domain><name>web</name><devices>\n  <interface type='network'>\n    \
                     <source network='fex'/>\n    <virtualport/>\n  </interface>\n</devices></domain>";
        let ran = with_input(&nets, "resolve", guest);
        let expected = "<interface type='direct'>\n    <source dev=\"eth1\" mode=\"private\"/>\n    \
                        <vlan>\n      <tag id=\"42\"/>\n    </vlan>\n    \
                        <virtualport type=\"802.1Qbh\">\n      <parameters profileid=\"gold\"/>\n    \
                        </virtualport>\n  </interface>";
        assert!(ran.stdout.contains(expected), "{}", ran.stdout);
        // Private with 802.1Qbh has the device to itself.
        let other = guest.replace(">web<", ">db<");
        assert!(with_input(&nets, "resolve", &other).stdout.contains("eth2"));
        let clash = guest.replace("<virtualport/>", "<virtualport type='802.1Qbg'/>");
        let ran = with_input(&nets, "resolve", &clash);
        assert_eq!(ran.status, Some(1), "{ran:?}");
        // To plug it there would be nobody to tell the switch.
        nets.ncf("plug fex --owner x")
            .refused(1, &["802.1Qbh", "net resolve"]);
    });
}

#[test]
fn a_hostile_definition_is_refused_with_its_place() {
    in_namespace(|| {
        let nets = host(&["eth1"], "br0");
        let bomb = "<!DOCTYPE d [<!ENTITY a 'aaaa'>]><domain><name>&a;</name></domain>";
        let deep = format!("{}{}", "<domain>".repeat(5000), "</domain>".repeat(5000));
        let long = format!("<domain><name>{}</name></domain>", "x".repeat(300));
        let interface = |inside: &str| {
            format!(
                "<domain><name>x</name><devices><interface type='network'>{inside}</interface></devices></domain>"
            )
        };
        for (text, word) in [
            ("", "no element"),
            (bomb, "document type"),
            (&deep, "too deep"),
            (&long, "longer than 255"),
            ("<domain><name>-x</name></domain>", "may not begin"),
            ("<domain/>", "needs a <name>"),
            ("<network/>", "a <domain> is needed"),
            (&interface(""), "needs a <source>"),
            (&interface("<source/>"), "network"),
            (
                &interface("<source network='../../etc/passwd'/>"),
                "a network's name is allowed",
            ),
            (
                &interface("<source network='lan' portgroup='&#10;'/>"),
                "portgroup",
            ),
            (
                &interface("<source network='lan'/><vlan><tag id='4294967296'/></vlan>"),
                "4095",
            ),
            (
                &interface(
                    "<source network='lan'/><bandwidth><inbound average='99999999999'/></bandwidth>",
                ),
                "allowed",
            ),
        ] {
            for command in ["resolve", "check"] {
                let ran = with_input(&nets, command, text);
                assert_ne!(ran.status, Some(0), "{text}: {ran:?}");
                ran.assert_orderly(text);
                let said = format!("{}{}", ran.stdout, ran.stderr);
                assert!(said.contains(word), "{text}: {said}");
            }
        }
    });
}

#[test]
fn libvirts_hook_resolves_what_arrives_and_releases_what_leaves() {
    in_namespace(|| {
        let nets = host(&["eth1"], "br0");
        let script = include_str!("../libvirt/hook-qemu");
        let program = support::host::program().display().to_string();
        let with_state = format!("{program} --state-dir {}", nets.state().display());
        let dir = tempfile::tempdir().unwrap();
        let hook = dir.path().join("qemu");
        std::fs::write(&hook, script.replace("/usr/sbin/ncf", &with_state)).unwrap();
        let run = |operation: &str, sub: &str, input: &str| {
            let mut command = Command::new("sh");
            command.arg(&hook).args(["web", operation, sub, "-"]);
            support::host::isolate(&mut command);
            feed(command, input)
        };
        let ran = run("migrate", "begin", GUEST);
        assert_eq!(ran.stdout, resolved("eth1", "br0"), "{ran:?}");
        let quiet = run("started", "begin", GUEST);
        assert_eq!((quiet.status, quiet.stdout.as_str()), (Some(0), ""));
        // Another guest finds nothing left, and is kept from coming.
        let other = run("migrate", "begin", &GUEST.replace("<name>web", "<name>db"));
        assert_ne!(other.status, Some(0));
        assert_eq!(other.stdout, "");
        let gone = run("release", "end", GUEST);
        assert_eq!((gone.status, gone.stdout.as_str()), (Some(0), ""));
        let listed = nets.json("ports");
        assert_eq!(listed["reservations"].as_array().unwrap().len(), 0);
        // A network that is libvirt's own stays libvirt's.
        let own = GUEST
            .replace("'pool'", "'default'")
            .replace("\"lan\"", "\"default\"");
        assert_eq!(run("migrate", "begin", &own).stdout, own);
    });
}
