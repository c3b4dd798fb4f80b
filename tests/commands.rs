//! The commands as an operator or a program meets them: what they cover, what they print, what they bring back.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};
use support::host::{Host, Ran, isolate, program};

fn host() -> Host {
    Host::with(&[
        ("ifcfg-eth0", "DEVICE=eth0\n"),
        ("ifcfg-eth1", "DEVICE=eth1\n"),
        ("route-eth1", "192.0.2.0/24 via 198.51.100.1\n"),
    ])
}

/// Changes one file, removes one, adds one.
fn edit(host: &Host) {
    host.write("ifcfg-eth0", "DEVICE=eth0\nONBOOT=no\n");
    fs::remove_file(host.config().join("route-eth1")).unwrap();
    host.write("ifcfg-eth2", "DEVICE=eth2\n");
}

/// The names of an object's fields.
fn fields(value: &Value) -> Vec<&str> {
    let mut fields: Vec<_> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    fields
}

#[test]
fn a_missing_configuration_directory_is_missing_again() {
    let host = Host::new();
    fs::remove_dir(host.config()).unwrap();
    let before = host.picture();
    host.done(&["change-begin"]);
    fs::create_dir(host.config()).unwrap();
    edit_new(&host);
    host.done(&["change-rollback"]);
    host.picture().assert_is(&before, "after the rollback");
}

fn edit_new(host: &Host) {
    host.write("ifcfg-new", "DEVICE=new\n");
    fs::create_dir(host.config().join("sub")).unwrap();
    host.write("sub/ifcfg-new", "DEVICE=new\n");
}

#[test]
fn an_empty_configuration_directory_is_empty_again() {
    let host = Host::new();
    let before = host.picture();
    host.done(&["change-begin"]);
    edit_new(&host);
    host.done(&["change-rollback"]);
    host.picture().assert_is(&before, "after the rollback");
    // And comes back when it was removed.
    host.done(&["change-begin"]);
    fs::remove_dir(host.config()).unwrap();
    host.done(&["change-rollback"]);
    host.picture()
        .assert_is(&before, "after the second rollback");
}

#[test]
fn a_configuration_directory_that_is_a_link_stays_one() {
    let host = host();
    fs::create_dir(host.path("data")).unwrap();
    fs::rename(host.config(), host.path("data/ns")).unwrap();
    symlink("/data/ns", host.config()).unwrap();
    let before = host.picture();
    host.done(&["change-begin"]);
    fs::write(host.path("data/ns/ifcfg-eth0"), "DEVICE=other\n").unwrap();
    fs::remove_file(host.config()).unwrap();
    symlink("/elsewhere", host.config()).unwrap();
    host.done(&["change-rollback"]);
    // Of the two directories' times only those that a restore must bring back are compared.
    let differences = before.differences(&host.picture());
    assert!(
        !differences.contains("ifcfg") && !differences.contains("network-scripts"),
        "{differences}"
    );
}

#[test]
fn definitions_in_the_state_directory_are_part_of_a_change() {
    let host = host();
    let (networks, qos) = (host.state().join("networks"), host.state().join("qos"));
    fs::create_dir_all(&networks).unwrap();
    let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(host.state(), only_owner).unwrap();
    fs::write(networks.join("a.xml"), "<network/>\n").unwrap();
    host.done(&["change-begin"]);
    fs::write(networks.join("a.xml"), "<other/>\n").unwrap();
    fs::write(networks.join("b.xml"), "<network/>\n").unwrap();
    fs::create_dir(&qos).unwrap();
    fs::write(qos.join("eth0.json"), "{}\n").unwrap();
    host.done(&["change-rollback"]);
    let a = fs::read_to_string(networks.join("a.xml")).unwrap();
    assert_eq!(a, "<network/>\n");
    assert!(!networks.join("b.xml").exists());
    assert!(!qos.exists());
    assert!(!host.is_open());
}

#[test]
fn the_file_about_all_interfaces_and_included_ones_are_covered() {
    let host = host();
    for (name, content) in [("etc/sysconfig/network", "A=1\n"), ("etc/hosts", "hosts\n")] {
        fs::write(host.path(name), content).unwrap();
    }
    fs::create_dir_all(host.path("etc/sysctl.d")).unwrap();
    fs::create_dir_all(host.path("etc/ncf")).unwrap();
    fs::write(host.path("etc/sysctl.d/10-net.conf"), "one\n").unwrap();
    fs::write(host.path("etc/sysctl.d/10-kernel.conf"), "kernel\n").unwrap();
    let conf = "[snapshot]\ninclude = /etc/hosts\ninclude = /etc/sysctl.d/*-net.conf\n";
    fs::write(host.path("etc/ncf/ncf.conf"), conf).unwrap();
    host.done(&["change-begin"]);
    for name in [
        "sysconfig/network",
        "hosts",
        "sysctl.d/10-net.conf",
        "sysctl.d/10-kernel.conf",
    ] {
        fs::write(host.path("etc").join(name), "changed\n").unwrap();
    }
    fs::write(host.path("etc/sysctl.d/20-net.conf"), "new\n").unwrap();
    let shown = host.json(&["status"]);
    let paths: Vec<_> = shown["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["path"])
        .collect();
    assert_eq!(
        json!(paths),
        json!([
            "/etc/hosts",
            "/etc/sysconfig/network",
            "/etc/sysctl.d/10-net.conf",
            "/etc/sysctl.d/20-net.conf"
        ])
    );
    host.done(&["change-rollback"]);
    let read = |name: &str| fs::read_to_string(host.path("etc").join(name)).unwrap();
    assert_eq!(
        [read("sysconfig/network"), read("hosts")],
        ["A=1\n", "hosts\n"]
    );
    assert_eq!(
        [
            read("sysctl.d/10-net.conf"),
            read("sysctl.d/10-kernel.conf")
        ],
        ["one\n", "changed\n"]
    );
    assert!(!host.path("etc/sysctl.d/20-net.conf").exists());
}

#[test]
fn more_files_than_may_be_open_at_once_are_restored() {
    let host = host();
    fs::create_dir_all(host.path("etc/net.d")).unwrap();
    fs::create_dir_all(host.path("etc/ncf")).unwrap();
    fs::write(
        host.path("etc/ncf/ncf.conf"),
        "[snapshot]\ninclude = /etc/net.d/*\n",
    )
    .unwrap();
    let files: Vec<_> = (0..300)
        .map(|number| host.path(&format!("etc/net.d/{number}")))
        .collect();
    let write = |text: &str| files.iter().for_each(|file| fs::write(file, text).unwrap());
    write("before");
    host.done(&["change-begin"]);
    write("after!");
    let mut command = Command::new("sh");
    isolate(&mut command);
    let script = r#"ulimit -n 64 && exec "$0" --root "$1" change-rollback"#;
    command.args(["-c", script]).arg(program()).arg(host.root());
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(
        files
            .iter()
            .all(|file| fs::read_to_string(file).unwrap() == "before")
    );
}

#[test]
fn the_environment_says_what_the_options_say() {
    let host = host();
    let (state, conf) = (host.path("state"), host.path("my.conf"));
    fs::write(&conf, "[snapshot]\ninclude = /etc/hosts\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program());
        isolate(&mut command);
        command
            .env("NCF_ROOT", host.root())
            .env("NCF_STATE_DIR", &state);
        command.env("NCF_CONFIG", &conf).env("NCF_APPLIER", "none");
        Ran::from(command.args(arguments).output().unwrap())
    };
    assert_eq!(run(&["change-begin"]).status, Some(0));
    assert!(state.join("transaction").exists() && !host.state().exists());
    fs::write(host.path("etc/hosts"), "new\n").unwrap();
    assert!(run(&["status"]).stdout.contains("/etc/hosts"));
    // An option is more than the environment.
    let ran = run(&["--state-dir", host.state().to_str().unwrap(), "status"]);
    assert!(ran.stdout.contains("No change is open"), "{ran:?}");
    assert_eq!(run(&["change-rollback"]).status, Some(0));
    assert!(!host.path("etc/hosts").exists());
}

#[test]
fn status_has_its_documented_fields() {
    let host = host();
    let closed = host.json(&["status"]);
    assert_eq!(
        (&closed["open"], &closed["id"], &closed["changes"]),
        (&json!(false), &json!(null), &json!([]))
    );
    let begun = host.json(&["change-begin", "--reason", "new \u{1b}[31muplink"]);
    edit(&host);
    let status = host.json(&["status"]);
    assert_eq!(fields(&closed), fields(&status));
    assert_eq!(status["open"], true);
    assert_eq!(status["id"], begun["id"]);
    assert_eq!(status["began"], begun["began"]);
    assert_eq!(status["reason"], "new \u{1b}[31muplink");
    assert_eq!(status["by"]["uid"], nix::unistd::getuid().as_raw());
    for field in ["user", "ssh_client"] {
        assert!(status["by"].get(field).is_some(), "{status}");
    }
    assert_eq!(
        status["changes"],
        json!([
            {"path": "ifcfg-eth0", "change": "modified", "interface": "eth0"},
            {"path": "ifcfg-eth2", "change": "added", "interface": "eth2"},
            {"path": "route-eth1", "change": "removed", "interface": "eth1"},
        ])
    );
    assert_eq!(status["interfaces"]["up"], json!(["eth0", "eth1"]));
    let down = status["interfaces"]["down"].as_array().unwrap();
    assert_eq!(down.len(), 3, "{status}");
    let text = host.done(&["status"]).stdout;
    assert!(
        !text.contains('\u{1b}'),
        "a reason spoke to the terminal: {text}"
    );
}

#[test]
fn a_dry_run_lists_its_actions_in_order_and_does_nothing() {
    let host = host();
    host.done(&["change-begin"]);
    edit(&host);
    let after = host.picture();
    let plan = host.json(&["--applier", "builtin", "change-rollback", "--dry-run"]);
    let actions = plan["actions"].as_array().unwrap();
    let ops: Vec<_> = actions
        .iter()
        .map(|action| action["op"].as_str().unwrap())
        .collect();
    assert_eq!(
        ops,
        [
            "ifdown", "ifdown", "ifdown", "restore", "restore", "remove", "ifup", "ifup"
        ]
    );
    assert_eq!(actions[3], json!({"op": "restore", "path": "ifcfg-eth0"}));
    assert_eq!(actions[5], json!({"op": "remove", "path": "ifcfg-eth2"}));
    assert_eq!(actions[6], json!({"op": "ifup", "interface": "eth0"}));
    // Left alone, they are listed all the same: it is what a rollback by hand would have to do.
    let none = host.json(&["change-rollback", "--dry-run"]);
    assert_eq!(
        (&plan["applier"], &none["applier"]),
        (&json!("builtin"), &json!("none"))
    );
    assert_eq!(none["actions"], plan["actions"]);
    host.picture().assert_is(&after, "after a dry run");
    assert!(host.is_open() && !host.transaction().join("journal").exists());
}

#[test]
fn every_command_prints_json_on_demand() {
    let host = host();
    assert_eq!(host.json(&["history", "list"]), json!({"archived": []}));
    let begun = host.json(&["change-begin"]);
    assert_eq!(
        fields(&begun),
        ["began", "boots", "config_dir", "files", "id"]
    );
    assert_eq!(begun["files"], 3);
    edit(&host);
    let diff = host.json(&["diff"]);
    assert_eq!(diff["files"].as_array().unwrap().len(), 3);
    assert_eq!(diff["files"][0]["added"], 1);
    assert!(
        diff["files"][0]["diff"]
            .as_str()
            .unwrap()
            .contains("+ONBOOT=no\n")
    );
    assert!(
        host.json(&["diff", "--stat"])["files"][0]
            .get("diff")
            .is_none()
    );
    assert!(host.json(&["apply"])["interfaces"].is_array());
    assert!(host.json(&["apply", "--dry-run"])["actions"].is_array());
    let rolled_back = host.json(&["change-rollback"]);
    assert_eq!(rolled_back["restored"], true);
    assert_eq!(rolled_back["id"], begun["id"]);
    assert_eq!(rolled_back["errors"], json!([]));
    host.json(&["change-begin"]);
    assert_eq!(host.json(&["change-commit"]), json!({"committed": true}));
    host.json(&["change-begin"]);
    assert_eq!(host.json(&["boot-rollback"])["archive"], Value::Null);
}

#[test]
fn history_shows_what_was_discarded_and_brings_it_back() {
    let host = host();
    let before = host.picture();
    let id = host.json(&["change-begin", "--reason", "first"])["id"].clone();
    edit(&host);
    host.done(&["change-rollback"]);
    let list = host.json(&["history", "list"]);
    let archived = &list["archived"][0];
    assert_eq!(
        (&archived["id"], &archived["reason"], &archived["files"]),
        (&id, &json!("first"), &json!(3))
    );
    let id = id.as_str().unwrap();
    for which in [id, &id[..4], "last"] {
        assert_eq!(
            host.json(&["history", "show", which])["changes"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
    }
    let diff = host.done(&["history", "diff", "last"]).stdout;
    assert!(
        diff.contains("+ONBOOT=no") && diff.contains("-192.0.2.0/24 via"),
        "{diff}"
    );
    host.ncf(&["history", "show", "zzz"])
        .refused(1, &["no archived change", "zzz"]);

    let restored = host.json(&["history", "restore", "last"]);
    assert_eq!(restored["files"], 3);
    assert!(host.is_open(), "a restore is guarded by a change");
    assert_eq!(host.read("ifcfg-eth0"), "DEVICE=eth0\nONBOOT=no\n");
    assert_eq!(host.read("ifcfg-eth2"), "DEVICE=eth2\n");
    assert!(!host.config().join("route-eth1").exists());
    host.done(&["change-rollback"]);
    host.picture()
        .assert_is(&before, "after the restore was rolled back");
}

#[test]
fn no_more_than_the_configured_number_of_changes_is_kept() {
    let host = host();
    fs::create_dir_all(host.path("etc/ncf")).unwrap();
    fs::write(host.path("etc/ncf/ncf.conf"), "[history]\nkeep = 2\n").unwrap();
    for number in 0..4 {
        host.done(&["change-begin", "--reason", &number.to_string()]);
        host.write("ifcfg-eth0", &format!("{number}\n"));
        host.done(&["change-rollback"]);
    }
    assert_eq!(
        host.json(&["history", "list"])["archived"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}
