//! Files in all the forms that the documentation of network-scripts shows: each is read, printed as XML and defined
//! again as it was printed, which must change no byte.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use ncf::iface::model::Kind;
use support::memory::Memory;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ifcfg");

fn fixture(name: &str) -> Memory {
    let mut memory = Memory::default();
    for entry in fs::read_dir(Path::new(FIXTURES).join(name)).unwrap() {
        let entry = entry.unwrap();
        let content = fs::read(entry.path()).unwrap();
        memory.0.insert(entry.file_name(), content);
    }
    memory
}

fn all() -> Vec<String> {
    let entries = fs::read_dir(FIXTURES).unwrap().map(Result::unwrap);
    let directories = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = directories
        .map(|it| it.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 12, "{names:?}");
    names
}

#[test]
fn what_is_printed_and_defined_again_changes_no_byte() {
    for name in all() {
        let mut memory = fixture(&name);
        let before = memory.clone();
        let changed = memory.redefine_all().unwrap();
        assert_eq!(changed, Vec::<OsString>::new(), "{name}");
        assert_eq!(memory, before, "{name}");
    }
}

#[test]
fn every_interface_is_listed() {
    for (fixture_name, interfaces) in [
        ("alias", vec!["eth0", "eth0:1"]),
        ("bond-backup", vec!["bond0"]),
        ("hwaddr-only", vec![]),
        ("nested", vec!["bond0", "br0", "br7"]),
        (
            "other-kinds",
            vec!["gre1", "ipsec0", "lo", "ppp0", "team0", "wlan0"],
        ),
        ("vlan", vec!["eth1", "eth1.192", "storage", "vlan7"]),
    ] {
        assert_eq!(
            fixture(fixture_name).interfaces(),
            interfaces,
            "{fixture_name}"
        );
    }
}

#[test]
fn what_was_written_is_understood() {
    let bond = fixture("bond-backup").dump("bond0");
    for part in [
        "mode=\"active-backup\"",
        "<arpmon interval=\"1000\" target=\"192.0.2.1\"/>",
        "name=\"eth1\"/>\n    <interface type=\"ethernet\" name=\"eth0\"/>\n    <interface type=\"ethernet\" name=\"eth10\"/>",
    ] {
        assert!(bond.contains(part), "{part} in {bond}");
    }
    let ipv6 = fixture("ipv6").dump("eth0");
    assert!(
        ipv6.contains("<ip address=\"2001:db8:0:2::8\" prefix=\"64\"/>"),
        "{ipv6}"
    );
    assert!(ipv6.contains("<route gateway=\"fe80::1\"/>"), "{ipv6}");
    assert!(
        fixture("ipv6")
            .dump("eth1")
            .contains("<autoconf/>\n    <dhcp/>")
    );
    for (name, lower, tag) in [
        ("eth1.192", "eth1", 192),
        ("vlan7", "eth1", 7),
        ("storage", "eth1", 300),
    ] {
        match fixture("vlan").describe(name).unwrap().interface.kind {
            Kind::Vlan(vlan) => {
                assert_eq!((vlan.lower.as_str(), vlan.tag.number()), (lower, tag));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let multi = fixture("multi-address").dump("eth1");
    assert!(
        multi.contains("<ip address=\"198.51.100.10\" prefix=\"25\"/>"),
        "{multi}"
    );
    let bridge = fixture("bridge").dump("br0");
    assert!(
        bridge.contains("<bridge stp=\"on\" delay=\"0\">"),
        "{bridge}"
    );
    let over_bond = fixture("nested").dump("br7");
    assert!(
        over_bond.contains("<vlan tag=\"7\">\n        <interface name=\"bond0\"/>"),
        "{over_bond}"
    );
}

#[test]
fn what_is_left_out_is_said() {
    let described = fixture("shell").describe("eth0").unwrap();
    let warnings: Vec<_> = described.warnings.iter().map(ToString::to_string).collect();
    let dir = "/etc/sysconfig/network-scripts";
    assert_eq!(
        warnings,
        [
            format!(
                "{dir}/ifcfg-eth0:2: shell code is not executed here; it may change what is shown"
            ),
            format!(
                "{dir}/ifcfg-eth0:5: IPADDR: only a shell can work this value out; it is left out"
            ),
        ]
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn a_change_changes_its_own_lines() {
    for (fixture_name, interface, from, to, file, before, after) in [
        (
            "anaconda",
            "eno1",
            "192.0.2.10",
            "192.0.2.11",
            "ifcfg-eno1",
            "\"192.0.2.10\"",
            "\"192.0.2.11\"",
        ),
        (
            "anaconda",
            "eno1",
            "\"onboot\"",
            "\"none\"",
            "ifcfg-eno1",
            "ONBOOT=\"yes\"",
            "ONBOOT=\"no\"",
        ),
        (
            "anaconda",
            "eno1",
            "prefix=\"24\"",
            "prefix=\"25\"",
            "ifcfg-eno1",
            "PREFIX=\"24\"",
            "PREFIX=\"25\"",
        ),
        (
            "multi-address",
            "eth1",
            "prefix=\"25\"",
            "prefix=\"26\"",
            "ifcfg-eth1",
            "255.255.255.128",
            "255.255.255.192",
        ),
        (
            "multi-address",
            "eth1",
            "192.0.2.1\"",
            "192.0.2.2\"",
            "ifcfg-eth1",
            "GATEWAY0=192.0.2.1",
            "GATEWAY0=192.0.2.2",
        ),
        (
            "bridge",
            "br0",
            "stp=\"on\"",
            "stp=\"off\"",
            "ifcfg-br0",
            "STP=yes",
            "STP=no",
        ),
        (
            "bridge",
            "br0",
            "delay=\"0\"",
            "delay=\"2.5\"",
            "ifcfg-br0",
            "DELAY=0",
            "DELAY=2.5",
        ),
        (
            "bond",
            "bond0",
            "freq=\"100\"",
            "freq=\"50\"",
            "ifcfg-bond0",
            "miimon=100",
            "miimon=50",
        ),
        (
            "ipv6",
            "eth0",
            "2001:db8:0:2::8",
            "2001:db8:0:3::8",
            "ifcfg-eth0",
            "0:2::8/64\"",
            "0:3::8/64\"",
        ),
        (
            "dhcp",
            "em1",
            "peerdns=\"yes\"",
            "peerdns=\"no\"",
            "ifcfg-em1",
            "PEERDNS=yes",
            "PEERDNS=no",
        ),
    ] {
        let mut memory = fixture(fixture_name);
        let mut expected = memory.clone();
        let text = memory.text(file).replace(before, after);
        assert_ne!(text, memory.text(file), "{before}");
        expected
            .0
            .insert(OsStr::new(file).to_owned(), text.into_bytes());
        let printed = memory.dump(interface);
        let wanted = printed.replace(from, to);
        assert_ne!(printed, wanted, "{from} in {printed}");
        memory.define_xml(&wanted).unwrap();
        assert_eq!(memory.text(file), expected.text(file));
        assert_eq!(memory, expected, "{fixture_name}: {from} to {to}");
    }
}

#[test]
fn a_value_that_only_a_shell_knows_is_not_changed() {
    let mut memory = fixture("shell");
    let before = memory.clone();
    let wanted = memory.dump("eth0").replace("9000", "1500");
    let error = memory.define_xml(&wanted).unwrap_err().to_string();
    assert!(
        error.contains("ifcfg-eth0:2: there is shell code"),
        "{error}"
    );
    assert_eq!(memory, before);
}
