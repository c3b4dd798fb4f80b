//! The commands for interfaces as a user types them: what they print, what they write, what they refuse.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use support::host::{Host, names};

const ETH0: &str = "# the uplink\nDEVICE=eth0\nHWADDR=52:54:00:12:34:56\nONBOOT=yes\nUUID=5fb0\nBOOTPROTO=none\n\
                    IPADDR=192.0.2.7\nPREFIX=24\nZONE=public\n";

const BRIDGE: &str = "<interface type='bridge' name='br0'>
  <start mode='onboot'/>
  <protocol family='ipv4'><ip address='192.0.2.7' prefix='24'/></protocol>
  <bridge stp='off' delay='0'>
    <interface type='ethernet' name='eth0'/>
    <interface type='ethernet' name='eth1'/>
  </bridge>
</interface>";

fn xml(host: &Host, text: &str) -> String {
    let path = host.path("define.xml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn host() -> Host {
    Host::with(&[("ifcfg-eth0", ETH0)])
}

#[test]
fn a_bridge_takes_over_a_card_that_is_configured() {
    let host = host();
    let file = xml(&host, BRIDGE);
    let defined = host.done(&["define", &file]);
    assert!(
        defined.stdout.starts_with("Defined interface br0\n"),
        "{defined:?}"
    );
    for part in [
        "added    /etc/sysconfig/network-scripts/ifcfg-br0",
        "modified /etc/sysconfig/network-scripts/ifcfg-eth0",
        "eth0 becomes part of br0",
    ] {
        assert!(defined.stdout.contains(part), "{part}: {}", defined.stdout);
    }
    assert!(
        defined
            .stderr
            .contains("no change is open: nothing brings the old files back")
    );
    assert_eq!(
        host.read("ifcfg-eth0"),
        "# the uplink\nDEVICE=eth0\nHWADDR=52:54:00:12:34:56\nONBOOT=yes\nUUID=5fb0\nZONE=public\nBRIDGE=br0\n"
    );
    assert_eq!(
        host.read("ifcfg-br0"),
        "DEVICE=br0\nONBOOT=yes\nTYPE=Bridge\nBOOTPROTO=none\nIPADDR=192.0.2.7\nNETMASK=255.255.255.0\nSTP=off\nDELAY=0\n"
    );
    assert_eq!(host.done(&["list", "--all"]).stdout, "br0\n");
    host.ncf(&["dumpxml", "eth0"])
        .refused(1, &["eth0 is part of br0 (BRIDGE in"]);
    let before = host.picture();
    let again = host.done(&["define", &file]);
    assert!(again.stdout.contains("nothing was changed"), "{again:?}");
    assert_eq!(again.stderr, "");
    assert_eq!(host.picture(), before);
}

#[test]
fn a_port_that_is_left_out_keeps_its_file() {
    let host = host();
    host.done(&["define", &xml(&host, BRIDGE)]);
    let without = BRIDGE.replace("    <interface type='ethernet' name='eth0'/>\n", "");
    let defined = host.done(&["define", &xml(&host, &without)]);
    assert!(
        defined.stdout.contains("eth0 is no longer part of br0"),
        "{defined:?}"
    );
    assert!(!host.read("ifcfg-eth0").contains("BRIDGE"));
    assert!(host.read("ifcfg-eth0").contains("UUID=5fb0"));
    assert_eq!(host.done(&["list", "--all"]).stdout, "br0\neth0\n");
}

#[test]
fn a_dry_run_shows_the_diff_and_writes_nothing() {
    let host = host();
    let file = xml(&host, BRIDGE);
    let before = host.picture();
    let shown = host.done(&["define", "--dry-run", &file]);
    for line in [
        "--- a/etc/sysconfig/network-scripts/ifcfg-eth0",
        "-IPADDR=192.0.2.7",
        "+BRIDGE=br0",
        "+++ b/etc/sysconfig/network-scripts/ifcfg-br0",
    ] {
        assert!(
            shown.stdout.lines().any(|it| it == line),
            "{line}: {}",
            shown.stdout
        );
    }
    assert_eq!(host.picture(), before);
    let json = host.json(&["define", "--dry-run", &file]);
    assert_eq!(json["files"].as_array().unwrap().len(), 3);
}

#[test]
fn undefine_removes_all_that_belongs_to_it_and_nothing_else() {
    let host = host();
    for name in [
        "ifcfg-eth0:1",
        "route-br0",
        "rule6-br0",
        "keys-eth0",
        "ifcfg-eth1.bak",
        "route-eth10",
    ] {
        host.write(name, "# x\n");
    }
    host.write("ifcfg-eth10", "DEVICE=eth10\n");
    host.write("ifcfg-br0-range0", "IPADDR_START=192.0.2.20\n");
    host.done(&["define", &xml(&host, BRIDGE)]);
    let json = host.json(&["undefine", "br0"]);
    assert_eq!(
        json["interfaces"],
        serde_json::json!(["br0", "eth0", "eth1"])
    );
    assert_eq!(
        names(&host.config()),
        ["ifcfg-eth1.bak", "ifcfg-eth10", "route-eth10"]
    );
    host.ncf(&["undefine", "br0"])
        .refused(1, &["no file in", "configures the interface br0"]);
}

#[test]
fn what_a_vlan_rests_on_is_not_undefined() {
    let host = Host::with(&[
        ("ifcfg-bond0", "DEVICE=bond0\nBONDING_OPTS=mode=4\n"),
        ("ifcfg-eth0", "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\n"),
        ("ifcfg-bond0.5", "DEVICE=bond0.5\nVLAN=yes\n"),
    ]);
    let before = host.picture();
    host.ncf(&["undefine", "bond0"])
        .refused(1, &["bond0.5", "is a VLAN on bond0"]);
    assert_eq!(host.picture(), before);
    host.done(&["undefine", "bond0.5"]);
    host.done(&["undefine", "bond0"]);
    assert!(names(&host.config()).is_empty());
}

#[test]
fn hostile_names_are_refused_before_any_path_is_formed() {
    let host = host();
    let before = host.picture();
    for name in [
        "../x",
        "a/b",
        "a b",
        "",
        ".",
        "..",
        "abcdefghijklmnop",
        "eth0\n",
        "eth\u{e9}",
    ] {
        for command in ["dumpxml", "undefine", "ifup", "ifdown", "edit"] {
            host.ncf(&[command, "--", name])
                .refused(2, &["is not an interface name"]);
        }
        let text = BRIDGE.replace("br0", name);
        let defined = host.ncf(&["define", &xml(&host, &text)]);
        assert_eq!(defined.status, Some(1), "{name:?}: {defined:?}");
        assert!(defined.stderr.contains("interface name="), "{defined:?}");
    }
    fs::remove_file(host.path("define.xml")).unwrap();
    assert_eq!(host.picture(), before);
}

#[test]
fn a_name_that_a_definition_cannot_have_is_shown_and_said_to_be_so() {
    let host = Host::with(&[
        ("ifcfg-lan+", "DEVICE=lan+\n"),
        ("ifcfg-odd", "DEVICE='a$b'\n"),
    ]);
    let plus = host.done(&["dumpxml", "lan+"]);
    assert_eq!(plus.stderr, "");
    host.done(&[
        "define",
        &xml(&host, &plus.stdout.replace("onboot", "none")),
    ]);
    assert_eq!(host.read("ifcfg-lan+"), "DEVICE=lan+\nONBOOT=no\n");
    let odd = host.done(&["dumpxml", "a$b"]);
    assert!(
        odd.stderr
            .contains("a definition cannot have the name a$b: letters, digits"),
        "{odd:?}"
    );
    let refused = host.ncf(&["define", &xml(&host, &odd.stdout)]);
    assert!(
        refused
            .stderr
            .contains("name=\"a$b\" is wrong: letters, digits and any of _ . - : @ + are allowed"),
        "{refused:?}"
    );
    host.done(&["undefine", "a$b"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn an_error_in_the_xml_says_where_and_what_is_allowed() {
    let host = host();
    for (from, to, said) in [
        (
            "delay='0'",
            "delay='31'",
            "define.xml:4:28: bridge delay=\"31\" is wrong: seconds from 0 to 30",
        ),
        (
            "stp='off'",
            "stp='no'",
            "define.xml:4:16: bridge stp=\"no\" is wrong: on and off are allowed",
        ),
        (
            "mode='onboot'",
            "mode='boot'",
            "define.xml:2:16: start mode=\"boot\" is wrong: onboot, none and hotplug are",
        ),
        (
            "prefix='24'",
            "prefix='33'",
            "a prefix length from 0 to 32 is allowed",
        ),
        (
            "<start mode='onboot'/>",
            "",
            "define.xml:1:1: <interface> needs a <start>",
        ),
        ("name='eth1'", "name='eth0'", "eth0 is named twice"),
        (
            "  <protocol",
            "  <mtu size='67'/><protocol",
            "a number of bytes from 68 to 65535 is allowed",
        ),
        (
            "  <bridge",
            "  <tunnel/><bridge",
            "<tunnel> is not allowed in <interface>",
        ),
        (
            "  <start",
            "  <bridge/><start",
            "<start> is allowed only before <bridge>",
        ),
        (
            "<interface type='bridge'",
            "<!DOCTYPE x [<!ENTITY e 'x'>]><interface type='bridge'",
            "a document type is not allowed",
        ),
    ] {
        let path = xml(&host, &BRIDGE.replacen(from, to, 1));
        let refused = host.ncf(&["validate", &path]);
        assert_eq!(refused.status, Some(1), "{to}: {refused:?}");
        assert!(
            refused.stderr.contains(said),
            "{said} in {}",
            refused.stderr
        );
        assert_eq!(host.ncf(&["define", &path]).status, Some(1));
    }
    assert_eq!(names(&host.config()), ["ifcfg-eth0"]);
    let valid = host.done(&["validate", &xml(&host, BRIDGE)]);
    assert!(valid.stdout.ends_with("define.xml: valid\n"), "{valid:?}");
}

#[test]
fn what_is_written_keeps_mode_owner_attributes_and_links() {
    let host = host();
    let path = host.config().join("ifcfg-eth0");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    xattr::set(&path, "user.label", b"x").unwrap();
    let other = host.path("etc/sysconfig/devices-eth0");
    fs::hard_link(&path, &other).unwrap();
    let target = host.path("etc/sysconfig/eth1.conf");
    fs::write(&target, "DEVICE=eth1\n").unwrap();
    symlink("../eth1.conf", host.config().join("ifcfg-eth1")).unwrap();
    host.done(&["define", &xml(&host, BRIDGE)]);
    let meta = fs::metadata(&path).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.nlink()), (0o600, 2));
    assert_eq!(xattr::get(&path, "user.label").unwrap().unwrap(), b"x");
    assert!(fs::read_to_string(&other).unwrap().contains("BRIDGE=br0"));
    assert!(
        fs::symlink_metadata(host.config().join("ifcfg-eth1"))
            .unwrap()
            .is_symlink()
    );
    assert!(
        fs::read_to_string(&target)
            .unwrap()
            .ends_with("BRIDGE=br0\n")
    );
    let new = fs::metadata(host.config().join("ifcfg-br0")).unwrap();
    assert_eq!(new.mode() & 0o7777, 0o644);
}

#[test]
fn a_link_out_of_the_configuration_is_not_written_through() {
    let host = host();
    let target = host.path("var/lib/precious");
    fs::write(&target, "DEVICE=eth1\n").unwrap();
    symlink("/var/lib/precious", host.config().join("ifcfg-eth1")).unwrap();
    let before = host.picture();
    let path = xml(&host, BRIDGE);
    host.ncf(&["define", &path])
        .refused(1, &["ifcfg-eth1", "it is a link to /var/lib/precious"]);
    fs::remove_file(path).unwrap();
    assert_eq!(host.picture(), before);
}

#[test]
fn an_open_change_guards_what_is_defined() {
    let host = host();
    let before = host.picture();
    host.done(&["change-begin"]);
    let defined = host.done(&["define", &xml(&host, BRIDGE)]);
    assert_eq!(defined.stderr, "");
    fs::remove_file(host.path("define.xml")).unwrap();
    assert!(
        host.json(&["undefine", "br0"])["guarded"]
            .as_bool()
            .unwrap()
    );
    host.done(&["change-rollback"]);
    assert_eq!(host.picture(), before);
}

/// An editor that replaces a word.
fn editor(host: &Host, from: &str, to: &str) -> PathBuf {
    host.script(
        "editor",
        &format!("sed -i 's|{from}|{to}|' \"$1\"; cp \"$1\" $here/edited"),
    )
}

#[test]
fn edit_defines_what_comes_out_of_the_editor() {
    let host = host();
    let edit = |from: &str, to: &str| {
        let mut command = host.command(&["edit", "eth0"]);
        command
            .env("VISUAL", editor(&host, from, to))
            .env("EDITOR", "false");
        support::host::Ran::from(command.output().unwrap())
    };
    let done = edit("192.0.2.7", "192.0.2.8");
    assert_eq!(done.status, Some(0), "{done:?}");
    assert_eq!(
        host.read("ifcfg-eth0"),
        ETH0.replace("192.0.2.7", "192.0.2.8")
    );
    assert_eq!(edit("192.0.2.9", "x").stdout, "eth0 is left as it was.\n");
    let before = host.read("ifcfg-eth0");
    let refused = edit("onboot", "boot");
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("eth0:2:16: start mode"),
        "{refused:?}"
    );
    let (_, kept) = refused.stderr.rsplit_once("what you wrote is in ").unwrap();
    let kept = PathBuf::from(kept.trim());
    assert!(fs::read_to_string(&kept).unwrap().contains("mode=\"boot\""));
    fs::remove_file(kept).unwrap();
    assert_eq!(host.read("ifcfg-eth0"), before);
}

#[test]
fn interfaces_are_found_by_file_name_device_and_address() {
    let host = Host::with(&[
        ("ifcfg-eth0", "ONBOOT=no\nBOOTPROTO=dhcp\n"),
        ("ifcfg-Profile", "DEVICE=eth1\nHWADDR=52:54:00:00:00:02\n"),
    ]);
    assert_eq!(host.done(&["list", "--all"]).stdout, "eth0\neth1\n");
    let shown = host.done(&["dumpxml", "--mac", "52:54:00:00:00:02"]).stdout;
    assert!(shown.contains("name=\"eth1\""), "{shown}");
    let text = shown.replace("<start mode=\"onboot\"/>", "<start mode=\"none\"/>");
    host.done(&["define", &xml(&host, &text)]);
    assert_eq!(
        host.read("ifcfg-Profile"),
        "DEVICE=eth1\nHWADDR=52:54:00:00:00:02\nONBOOT=no\n"
    );
    let json = host.json(&["list", "--all"]);
    assert_eq!(json["interfaces"][1]["name"], "eth1");
    assert_eq!(json["interfaces"][1]["type"], "ethernet");
    assert!(json["interfaces"][1]["active"].is_null());
    let other = "<interface type='ethernet' name='Profile'><start mode='none'/></interface>";
    let refused = host.ncf(&["define", &xml(&host, other)]);
    refused.refused(
        1,
        &["ifcfg-Profile would be the file of Profile, but is for eth1"],
    );
}

#[test]
fn the_key_that_the_hosts_scripts_read_is_set_too() {
    let host = Host::new();
    let text = "<interface type='ethernet' name='eth0'><start mode='onboot'/><protocol family='ipv6'><dhcp/></protocol></interface>";
    host.done(&["define", &xml(&host, text)]);
    assert!(!host.read("ifcfg-eth0").contains("DHCPV6C"));
    host.done(&["undefine", "eth0"]);
    host.write("ifup-eth", "if is_true \"${DHCPV6C}\"; then");
    host.done(&["define", &xml(&host, text)]);
    assert!(
        host.read("ifcfg-eth0")
            .ends_with("DHCPV6=yes\nDHCPV6C=yes\n")
    );
}
