//! Definitions of networks with the real program: what is taken, kept, printed back and refused. Nothing is started.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::fs;
use std::io::Write as _;
use std::iter;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use support::host::{Host, Ran, names};
use support::need;

/// libvirt's own samples, beside the project.
const SAMPLES: &str = "../shared/data/libvirt/network";

const UUID: &str = "<uuid>00000000-0000-0000-0000-000000000001</uuid>";

/// Runs ncf with this on its standard input.
fn with_input(host: &Host, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = host.command(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses early does not read to the end.
    let _ = child.stdin.take().unwrap().write_all(input);
    Ran::from(child.wait_with_output().unwrap())
}

#[track_caller]
fn define(host: &Host, text: &str) {
    let ran = with_input(host, &["net", "define", "-"], text.as_bytes());
    assert_eq!(ran.status, Some(0), "{text}: {ran:?}");
}

fn dump(host: &Host, name: &str) -> String {
    host.done(&["net", "dumpxml", name]).stdout
}

fn network(name: &str) -> String {
    format!("<network>\n  <name>{name}</name>\n</network>\n")
}

fn pool(name: &str) -> String {
    format!(
        "<network>\n  <name>{name}</name>\n  <uuid>{}</uuid>\n  \
         <forward mode='vepa'><interface dev='eth1'/></forward>\n</network>\n",
        uuid::Uuid::new_v4()
    )
}

#[test]
fn libvirts_samples_come_back_byte_for_byte() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join(SAMPLES);
    if !samples.exists() {
        need::skip(&format!("there are no samples in {}", samples.display()));
        return;
    }
    let mut count = 0;
    for name in names(&samples) {
        let path = samples.join(&name);
        let text = fs::read_to_string(&path).unwrap();
        let host = Host::new();
        host.done(&["net", "define", path.to_str().unwrap()]);
        let network = host.json(&["net", "list", "--all"])[0]["name"].clone();
        let network = network.as_str().unwrap();
        let printed = dump(&host, network);
        // Only what libvirt would generate may have come to it.
        let generated =
            |line: &&str| !line.trim_start().starts_with("<mac ") || text.contains("<mac ");
        let kept: Vec<_> = printed.lines().filter(generated).collect();
        assert_eq!(kept, text.lines().collect::<Vec<_>>(), "{name}");
        define(&host, &printed);
        assert_eq!(dump(&host, network), printed, "{name}");
        count += 1;
    }
    assert!(count > 10, "only {count} samples");
}

#[test]
fn what_ncf_knows_nothing_of_is_kept() {
    let host = Host::new();
    let text = format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n<!-- mine: -->\n<network xmlns:d='http://libvirt.org/schemas/network/dnsmasq/1.0' odd=\"a&amp;b\">\n\
         \t<name>n</name>{UUID}<forward mode='hostdev' managed='yes'><driver model='x'/><pf dev='eth0'/></forward>\r\n\
         \t<metadata><m:x xmlns:m='urn:m'>é<![CDATA[<&>]]></m:x></metadata><dns><txt name='a' value='b'/></dns>\n\
         \t<d:options><d:option value=\"x\"/></d:options><?target data?>\n\n</network>\n\n<!-- end -->\n"
    );
    define(&host, &text);
    assert_eq!(dump(&host, "n"), text);
}

#[test]
fn what_is_missing_is_generated_once() {
    let host = Host::new();
    define(&host, &network("one"));
    let text = dump(&host, "one");
    assert!(text.contains("  <bridge name=\"virbr"), "{text}");
    assert!(text.contains("  <mac address=\"52:54:00:"), "{text}");
    define(&host, &network("one"));
    assert_eq!(dump(&host, "one"), text);
    define(&host, &network("two"));
    let list = host.json(&["net", "list", "--all"]);
    assert_ne!(list[0]["bridge"], list[1]["bridge"]);
    assert_ne!(list[0]["uuid"], list[1]["uuid"]);
}

#[test]
fn name_uuid_and_bridge_belong_to_one_network() {
    let host = Host::new();
    let text = format!("<network><name>one</name>{UUID}<bridge name='b0'/></network>");
    define(&host, &text);
    for (other, words) in [
        (pool("one"), "there is one of that name"),
        (text.replace(">one<", ">two<"), "has its uuid"),
        (
            text.replace(">one<", ">two<").replace(UUID, ""),
            "has the bridge b0",
        ),
    ] {
        with_input(&host, &["net", "define", "-"], other.as_bytes())
            .refused(1, &["cannot define the network", words]);
    }
    let stp = text.replace("'b0'", "'b0' stp='off'");
    define(&host, &stp);
    assert!(dump(&host, "one").contains("stp='off'"));
    assert_eq!(names(&host.state().join("networks")), ["one.xml"]);
}

#[test]
fn hostile_input_is_refused_and_nothing_is_written() {
    let host = Host::new();
    let deep = format!("<network><name>a</name>{}", "<x>".repeat(100_000));
    let many = format!(
        "<network><name>a</name>{}</network>",
        "<x/>".repeat(200_000)
    );
    let bomb = "<!DOCTYPE network [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><network><name>&b;</name></network>";
    let file = "<!DOCTYPE network [<!ENTITY a SYSTEM \"/etc/passwd\">]><network><name>&a;</name></network>";
    let long = network(&"a".repeat(201));
    for text in [
        "",
        "<",
        "<network>",
        "not xml",
        &deep,
        &many,
        bomb,
        file,
        &long,
        "<network><name>../../etc/cron.d/x</name></network>",
        "<network><name>a/b</name></network>",
        "<network><name>.</name></network>",
        "<network><name>-rf</name></network>",
        "<network><name>a\u{202e}b</name></network>",
        "<network><name></name></network>",
        "<network/>",
        "<network xmlns='urn:other'><name>a</name></network>",
        "<network><name>a</name><bridge name='../x'/></network>",
        "<network><name>a</name><mtu size='4294967297'/></network>",
        "<network><name>a</name><vlan><tag id='4294967297'/></vlan></network>",
    ] {
        let ran = with_input(&host, &["net", "define", "-"], text.as_bytes());
        let head: String = text.chars().take(80).collect();
        assert_eq!(ran.status, Some(1), "{head}: {ran:?}");
        assert!(
            ran.stderr.starts_with("ncf: standard input"),
            "{head}: {ran:?}"
        );
    }
    let bytes = with_input(&host, &["net", "define", "-"], b"<network>\xff</network>");
    assert!(bytes.stderr.contains("1:10: only UTF-8"), "{bytes:?}");
    assert_eq!(names(&host.state().join("networks")), Vec::<String>::new());
    for name in ["../x", "a/b", ".", "", "a\nb"] {
        for command in ["undefine", "dumpxml", "start", "info"] {
            let ran = host.ncf(&["net", command, name]);
            assert_eq!(ran.status, Some(2), "{command} {name:?}: {ran:?}");
        }
    }
}

#[test]
fn an_error_says_file_line_and_column() {
    let host = Host::new();
    let path = host.path("net.xml");
    fs::write(&path, "<network>\n  <name>a</name>\n  <forward mode='bridge'>\n    <interface/>\n  </forward>\n</network>\n").unwrap();
    let place = format!(
        "{}:4:5: <interface> needs the attribute dev",
        path.display()
    );
    let ran = host.ncf(&["net", "define", path.to_str().unwrap()]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains(&place), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("    <interface/>\n      ^"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_few_words_do_for_xml() {
    let host = Host::new();
    for (words, expected) in [
        (
            "--pool fast --mode private --dev eth1 --dev eth2",
            "<forward mode=\"private\">\n    <interface dev=\"eth1\"/>\n    <interface dev=\"eth2\"/>\n  </forward>",
        ),
        (
            "--name lan --bridge br0 --vlan 5",
            "<forward mode=\"bridge\"/>\n  <bridge name=\"br0\"/>\n  <vlan>\n    <tag id=\"5\"/>",
        ),
        (
            "--name vf --mode hostdev --pf eth0",
            "<forward mode=\"hostdev\" managed=\"yes\">\n    <pf dev=\"eth0\"/>",
        ),
        (
            "--name pci --pci 0000:03:00.1",
            "<address type=\"pci\" domain=\"0x0000\" bus=\"0x03\" slot=\"0x00\" function=\"0x1\"/>",
        ),
        (
            "--name lab --address 192.0.2.1/24 --address 2001:db8::1/64",
            "<ip family=\"ipv6\" address=\"2001:db8::1\" prefix=\"64\"/>",
        ),
        (
            "--name out --mode route --dev eth9 --address 198.51.100.1/24 --mtu 1400",
            "<forward mode=\"route\" dev=\"eth9\"/>",
        ),
    ] {
        let words: Vec<_> = words.split(' ').collect();
        let ran = host.done(&[&["net", "define", "--dry-run"], words.as_slice()].concat());
        assert!(ran.stdout.contains(expected), "{words:?}: {}", ran.stdout);
        host.done(&[&["net", "define"], words.as_slice()].concat());
        assert!(dump(&host, words[1]).contains(expected));
    }
    for (words, status, said) in [
        ("--name x", 2, "what the network is over is not said"),
        ("--name x --dev eth1", 2, "which mode"),
        (
            "--name x --mode vepa --bridge b0",
            1,
            "a network of mode vepa has no bridge",
        ),
        ("--name x --mode wrong", 1, "is wrong"),
    ] {
        let words: Vec<_> = words.split(' ').collect();
        let ran = host.ncf(&[&["net", "define"], words.as_slice()].concat());
        assert_eq!(ran.status, Some(status), "{ran:?}");
        assert!(ran.stderr.contains(said), "{words:?}: {}", ran.stderr);
    }
    assert_eq!(
        host.ncf(&["net", "define", "f", "--name", "x"]).status,
        Some(2)
    );
    assert_eq!(
        host.ncf(&["net", "define", "--name", "x", "--address", "192.0.2.1"])
            .status,
        Some(2)
    );
}

#[test]
fn a_rollback_brings_definitions_back() {
    let host = Host::new();
    define(&host, &pool("stays"));
    define(&host, &pool("goes"));
    host.done(&["net", "autostart", "goes"]);
    let before = (dump(&host, "stays"), dump(&host, "goes"));
    host.done(&["change-begin"]);
    host.done(&["net", "undefine", "goes"]);
    host.done(&[
        "net",
        "update",
        "stays",
        "add-last",
        "interface",
        "<interface dev='eth2'/>",
    ]);
    define(&host, &pool("new"));
    host.done(&["change-rollback"]);
    assert_eq!((dump(&host, "stays"), dump(&host, "goes")), before);
    assert_eq!(
        names(&host.state().join("networks")),
        ["goes.autostart", "goes.xml", "stays.xml"]
    );
}

#[test]
fn parts_are_updated_in_place() {
    let host = Host::new();
    let text = pool("n").replace("  <forward", "  <!-- kept -->\n  <forward");
    define(&host, &text);
    let part = host.path("part.xml");
    fs::write(&part, "<portgroup name='p' default='yes'/>").unwrap();
    host.done(&[
        "net",
        "update",
        "n",
        "add-last",
        "interface",
        "<interface dev='eth2'/>",
        "--config",
    ]);
    host.done(&[
        "net",
        "update",
        "n",
        "add",
        "portgroup",
        part.to_str().unwrap(),
    ]);
    host.done(&[
        "net",
        "update",
        "n",
        "delete",
        "forward-interface",
        "<interface dev='eth1'/>",
        "--current",
    ]);
    let expected = text.replace("eth1", "eth2").replace(
        "</forward>",
        "</forward>\n  <portgroup name='p' default='yes'/>",
    );
    assert_eq!(dump(&host, "n"), expected);
    let update = |arguments: &[&str]| host.ncf(&[&["net", "update", "n"], arguments].concat());
    update(&["delete", "interface", "<interface dev='eth7'/>"])
        .refused(1, &["has no interface eth7"]);
    update(&["delete", "interface", "<interface dev='eth2'/>", "--live"])
        .refused(3, &["does not run"]);
    assert_eq!(
        update(&["delete", "interface", "<a/>", "--live", "--current"]).status,
        Some(2)
    );
    assert_eq!(dump(&host, "n"), expected);
}

#[test]
fn an_editor_changes_what_it_may() {
    let host = Host::new();
    define(&host, &pool("n"));
    let before = dump(&host, "n");
    let edit = |script: &str| {
        let editor = host.script("editor", script);
        let mut command = host.command(&["net", "edit", "n"]);
        command.env("VISUAL", format!("{} --option", editor.display()));
        Ran::from(command.output().unwrap())
    };
    assert!(edit(": nothing").stdout.contains("is as it was"));
    edit("sed -i 's/<name>n/<name>m/' \"$2\"")
        .refused(1, &["name and uuid of a network cannot be edited"]);
    assert!(
        edit("sed -i '/<uuid>/d' \"$2\"")
            .stdout
            .contains("is as it was")
    );
    assert_eq!(edit("echo '<' > \"$2\"").status, Some(1));
    edit("exit 7").refused(1, &["cannot run the editor"]);
    assert_eq!(dump(&host, "n"), before);
    assert!(
        edit("sed -i 's/eth1/eth5/' \"$2\"")
            .stdout
            .contains("is changed")
    );
    assert_eq!(dump(&host, "n"), before.replace("eth1", "eth5"));
}

#[test]
fn lists_are_json_too() {
    let host = Host::new();
    assert_eq!(host.json(&["net", "list", "--all"]), json!([]));
    define(&host, &pool("b"));
    host.done(&[
        "net",
        "define",
        "--name",
        "a",
        "--bridge",
        "br0",
        "--autostart",
    ]);
    assert_eq!(host.json(&["net", "list"]), json!([]));
    let list = host.json(&["net", "list", "--all"]);
    let expected = json!({
        "name": "a", "uuid": list[0]["uuid"], "state": "inactive", "persistent": true, "autostart": true,
        "mode": "bridge", "bridge": "br0", "changed": false, "devices": [], "pf": null, "error": null,
    });
    assert_eq!(list[0], expected);
    assert_eq!(list[1]["devices"], json!(["eth1"]));
    assert_eq!(list[1]["autostart"], json!(false));
    let info = host.json(&["net", "info", "a"]);
    assert_eq!(info["since"], Value::Null);
    host.done(&["net", "autostart", "a", "--disable"]);
    assert_eq!(host.json(&["net", "info", "a"])["autostart"], json!(false));
    assert!(
        host.done(&["net", "list"])
            .stdout
            .contains("No network runs; 2 are defined")
    );
    host.ncf(&["net", "info", "c"])
        .refused(1, &["there is no network c"]);
    host.ncf(&["net", "autostart", "c"])
        .refused(1, &["there is no network c"]);
    host.ncf(&["net", "undefine", "c"])
        .refused(1, &["there is no network c"]);
}

#[test]
fn a_damaged_definition_hides_no_other() {
    let host = Host::new();
    define(&host, &pool("good"));
    fs::write(host.state().join("networks/bad.xml"), "<network>").unwrap();
    let list = host.json(&["net", "list", "--all"]);
    assert_eq!(list[0]["name"], json!("bad"));
    assert!(
        list[0]["error"].as_str().unwrap().contains("bad.xml:1:10"),
        "{list}"
    );
    assert_eq!(list[1]["error"], Value::Null);
    host.done(&["net", "undefine", "bad"]);
    assert_eq!(
        host.json(&["net", "list", "--all"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_definition_is_validated_without_being_defined() {
    let host = Host::new();
    let valid = with_input(
        &host,
        &["--json", "net", "validate", "-"],
        pool("n").as_bytes(),
    );
    assert_eq!(valid.status, Some(0), "{valid:?}");
    let shown: Value = serde_json::from_str(&valid.stdout).unwrap();
    assert_eq!(shown["mode"], json!("vepa"));
    let wrong = pool("n").replace("vepa", "vape");
    with_input(&host, &["net", "validate", "-"], wrong.as_bytes());
    assert_eq!(host.json(&["net", "list", "--all"]), json!([]));
}

#[test]
fn nothing_is_started_for_another_root() {
    let host = Host::new();
    define(&host, &pool("n"));
    for command in ["start", "stop"] {
        host.ncf(&["net", command, "n"])
            .refused(1, &["networks run on this system"]);
    }
}

#[test]
fn of_many_at_once_each_is_whole() {
    let host = Host::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let host = &host;
            scope.spawn(move || {
                let text = network(&format!("n{number}"));
                let define = || with_input(host, &["net", "define", "-"], text.as_bytes());
                // The lock is not waited for.
                let defined = iter::repeat_with(define).find(|it| it.status != Some(3));
                assert_eq!(defined.as_ref().unwrap().status, Some(0), "{defined:?}");
            });
        }
        for _ in 0..20 {
            let list = host.json(&["net", "list", "--all"]);
            for network in list.as_array().unwrap() {
                assert_eq!(network["error"], Value::Null, "{list}");
            }
        }
    });
    let list = host.json(&["net", "list", "--all"]);
    let mut bridges: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["bridge"].to_string())
        .collect();
    bridges.sort();
    bridges.dedup();
    assert_eq!(bridges.len(), 8, "{list}");
}
