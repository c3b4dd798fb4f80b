//! What the boot hooks do with an open change, how many boots it survives, and who is told. That the hooks run at
//! all, and when, is shown by real boots: `tests/vm`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::{Value, json};
use support::host::{Host, Ran};

/// As all three hooks run it.
const HOOK: [&str; 2] = ["boot-rollback", "--earlier-boot"];

fn host() -> Host {
    let host = Host::with(&[("ifcfg-eth0", "DEVICE=eth0\n"), ("ifcfg-eth1", "A=1\n")]);
    fs::create_dir(host.path("run")).unwrap();
    host
}

/// A change is open and has changed two files; then the machine was rebooted.
fn rebooted(begin: &[&str]) -> Host {
    let host = host();
    host.done(&[&["change-begin"], begin].concat());
    host.write("ifcfg-eth0", "DEVICE=other\n");
    host.write("ifcfg-new", "DEVICE=new\n");
    host.reboot();
    host
}

fn hook(host: &Host) -> Ran {
    host.done(&HOOK)
}

fn is_changed(host: &Host) -> bool {
    host.read("ifcfg-eth0") == "DEVICE=other\n"
}

/// The line at the login.
fn motd(host: &Host) -> Option<String> {
    fs::read_to_string(host.path("run/motd.d/ncf")).ok()
}

fn damage(host: &Host) {
    let copies = host.transaction().join("files/copies.tar");
    let text = fs::read(&copies).unwrap();
    let at = text.windows(11).position(|part| part == b"DEVICE=eth0");
    let mut text = text;
    text[at.unwrap()] ^= 0x20;
    fs::write(&copies, text).unwrap();
}

#[test]
fn a_change_survives_as_many_boots_as_it_was_given() {
    let host = rebooted(&["--boots", "2"]);
    assert_eq!(host.json(&["status"])["boots_left"], 2);
    assert!(
        hook(&host)
            .stdout
            .contains("survives this boot and 1 more boot")
    );
    // Another hook of the same boot.
    assert!(
        hook(&host)
            .stdout
            .contains("survives this boot and 1 more boot")
    );
    let status = host.json(&["status"]);
    assert_eq!(
        (&status["boots_left"], &status["open"]),
        (&json!(1), &json!(true))
    );
    let said = host.done(&["status"]).stdout;
    assert!(said.contains("survives 1 more boot"), "{said}");
    assert!(!said.contains("no boot unit"), "{said}");
    host.reboot();
    assert!(hook(&host).stdout.contains("The next one undoes it"));
    assert!(
        host.done(&["status"])
            .stdout
            .contains("the next boot undoes it")
    );
    assert_eq!(motd(&host), None);
    assert!(is_changed(&host));
    host.reboot();
    assert!(hook(&host).stdout.contains("is rolled back"));
    assert!(!is_changed(&host) && !host.is_open());
}

#[test]
fn boots_that_are_left_do_not_keep_it_from_being_ended() {
    for (command, changed) in [("change-rollback", false), ("change-commit", true)] {
        let host = rebooted(&["--boots", "3"]);
        hook(&host);
        host.done(&[command]);
        assert_eq!((is_changed(&host), host.is_open()), (changed, false));
        assert!(hook(&host).stdout.contains("nothing to undo"));
    }
}

#[test]
fn a_boot_that_cannot_be_counted_undoes_the_change() {
    let host = rebooted(&["--boots", "9"]);
    fs::write(host.transaction().join("boots"), "{").unwrap();
    let said = host.done(&["status"]);
    assert!(said.stdout.contains("the next boot undoes it"), "{said:?}");
    assert_eq!(host.json(&["status"])["boots_left"], 0);
    let ran = host.ncf(&HOOK);
    assert_eq!(ran.status, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("could not be counted"), "{ran:?}");
    assert!(!is_changed(&host) && !host.is_open());
    let problems = host.json(&["status"])["at_boot"][0]["problems"].clone();
    assert!(
        problems[0]
            .as_str()
            .unwrap()
            .contains("could not be counted")
    );
}

#[test]
fn only_a_change_with_boots_is_in_a_format_that_an_older_ncf_refuses() {
    for (begin, format) in [(&[][..], 1), (&["--boots", "1"], 2)] {
        let host = rebooted(begin);
        let manifest = fs::read(host.transaction().join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["format"], format);
        assert_eq!(manifest.get("boots").is_some(), format == 2);
    }
}

#[test]
fn a_number_of_boots_that_is_none_is_a_usage_error() {
    for boots in ["101", "-1", "1.5", "many", "", "4294967297"] {
        let host = host();
        let ran = host.ncf(&["change-begin", "--boots", boots]);
        assert_eq!(ran.status, Some(2), "{boots}: {ran:?}");
        assert!(ran.stderr.contains("--boots"), "{ran:?}");
        assert!(!host.is_open());
    }
    let begun = host().json(&["change-begin", "--boots", "100"]);
    assert_eq!(begun["boots"], 100);
}

#[test]
fn what_a_boot_undid_is_told_until_it_is_acknowledged() {
    let host = rebooted(&[]);
    let id = host.json(&["status"])["id"].clone();
    hook(&host);
    let id = id.as_str().unwrap();
    // And in every boot from then on.
    hook(&host);
    let told = host.json(&["status"])["at_boot"].clone();
    assert_eq!(told.as_array().unwrap().len(), 1);
    let told = &told[0];
    assert_eq!(
        (&told["id"], &told["outcome"]),
        (&json!(id), &json!("rolled_back"))
    );
    assert_eq!(told["files"], json!(["ifcfg-eth0", "ifcfg-new"]));
    assert_eq!(told["problems"], json!([]));
    let archive = told["archive"].as_str().unwrap();
    assert!(host.state().join("archive").join(archive).is_dir());
    assert!(told["time"].is_string());
    let said = host.done(&["status"]).stdout;
    for word in [
        id,
        "rolled back when the machine booted",
        "ifcfg-eth0, ifcfg-new",
        archive,
    ] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    let line = motd(&host).unwrap();
    assert!(line.contains(id) && line.lines().count() == 1, "{line:?}");
    assert_eq!(host.json(&["history", "ack"]), json!({"acknowledged": 1}));
    assert_eq!(host.json(&["status"])["at_boot"], json!([]));
    assert_eq!(motd(&host), None);
    assert_eq!(host.json(&["history", "ack"]), json!({"acknowledged": 0}));
    assert_eq!(host.json(&["history", "show", "last"])["at_boot"], true);
}

#[test]
fn the_next_begin_acknowledges_it() {
    for begin in [&["change-begin"][..], &["history", "restore", "last"]] {
        let host = rebooted(&[]);
        hook(&host);
        host.done(begin);
        assert_eq!(host.json(&["status"])["at_boot"], json!([]));
        assert_eq!(motd(&host), None);
    }
}

#[test]
fn a_rollback_by_hand_is_told_to_nobody() {
    let host = rebooted(&[]);
    host.done(&["change-rollback"]);
    assert_eq!(host.json(&["status"])["at_boot"], json!([]));
    assert_eq!(motd(&host), None);
    assert_eq!(host.json(&["history", "show", "last"])["at_boot"], false);
}

#[test]
fn a_boot_that_could_not_undo_it_is_told_until_the_change_is_ended() {
    for (command, word) in [
        ("change-commit", "--force"),
        ("change-rollback", "--applier=none"),
    ] {
        let host = rebooted(&[]);
        let copies = host.transaction().join("files/copies.tar");
        let whole = fs::read(&copies).unwrap();
        damage(&host);
        let ran = host.ncf(&HOOK);
        ran.refused(1, &["damaged", "ifcfg-eth0"]);
        let told = host.json(&["status"])["at_boot"][0].clone();
        assert_eq!(
            (&told["outcome"], &told["archive"]),
            (&json!("failed"), &Value::Null)
        );
        assert!(told["problems"][0].as_str().unwrap().contains("ifcfg-eth0"));
        let said = host.done(&["status"]).stdout;
        for word in ["rebooted since", "could not undo", "the copy of ifcfg-eth0"] {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
        assert!(motd(&host).unwrap().contains("could NOT be rolled back"));
        fs::write(&copies, whole).unwrap();
        host.done(&[command, word]);
        assert_eq!(host.json(&["status"])["at_boot"], json!([]));
        assert_eq!(motd(&host), None);
    }
}

#[test]
fn a_failure_that_was_acknowledged_is_told_again_by_the_next_boot() {
    let host = rebooted(&[]);
    damage(&host);
    host.ncf(&HOOK);
    host.done(&["history", "ack"]);
    assert_eq!((motd(&host), host.is_open()), (None, true));
    let said = host.done(&["status"]).stdout;
    assert!(said.contains("no boot unit has undone"), "{said}");
    host.ncf(&HOOK);
    assert!(motd(&host).is_some());
    assert_eq!(host.json(&["status"])["at_boot"][0]["outcome"], "failed");
}

#[test]
fn a_manifest_that_cannot_be_read_is_told_with_what_the_boot_said() {
    let host = rebooted(&[]);
    fs::write(host.transaction().join("manifest.json"), "{}").unwrap();
    host.ncf(&HOOK).refused(1, &["manifest.json"]);
    let ran = host.ncf(&["status"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stdout.contains("could not undo"), "{ran:?}");
    assert!(ran.stderr.contains("manifest.json"), "{ran:?}");
    assert!(motd(&host).is_some());
}

#[test]
fn a_state_directory_that_is_not_to_be_trusted_is_told() {
    let host = rebooted(&[]);
    fs::set_permissions(host.state(), Permissions::from_mode(0o777)).unwrap();
    host.ncf(&HOOK)
        .refused(1, &["others than its owner may write"]);
    assert!(motd(&host).unwrap().contains("could NOT be rolled back"));
    assert!(is_changed(&host));
}

#[test]
fn a_note_that_is_no_good_hides_nothing_and_goes_with_the_next_acknowledgement() {
    let host = rebooted(&[]);
    hook(&host);
    let archive = host.json(&["status"])["at_boot"][0]["archive"].clone();
    let archive = host.state().join("archive").join(archive.as_str().unwrap());
    fs::write(archive.join("at-boot.json"), "{\"format\": 1").unwrap();
    let ran = host.done(&["status"]);
    assert!(ran.stderr.contains("at-boot.json is damaged"), "{ran:?}");
    host.done(&["history", "ack"]);
    assert_eq!(host.done(&["status"]).stderr, "");
}

#[test]
fn the_line_goes_where_the_hook_says_or_where_there_is_a_place() {
    // As the hook in the initramfs has it: its own /run is the one that the system goes on with.
    let host = rebooted(&[]);
    let outside = tempfile::tempdir().unwrap();
    let dir = outside.path().join("motd.d");
    host.done(&[&HOOK[..], &["--motd-dir", dir.to_str().unwrap()]].concat());
    assert!(dir.join("ncf").exists());
    assert_eq!(motd(&host), None);
    let mode = dir.join("ncf").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);

    // No /run, but the other place.
    let host = rebooted(&[]);
    fs::remove_dir(host.path("run")).unwrap();
    fs::create_dir_all(host.path("etc/motd.d")).unwrap();
    hook(&host);
    assert!(host.path("etc/motd.d/ncf").exists());
    host.done(&["history", "ack"]);
    assert!(!host.path("etc/motd.d/ncf").exists());

    // Neither: nothing to say it in, and no reason to fail.
    let host = rebooted(&[]);
    fs::remove_dir(host.path("run")).unwrap();
    assert_eq!(hook(&host).stderr, "");
    assert!(!is_changed(&host));
}

#[test]
fn a_place_for_the_line_that_is_no_good_does_not_matter() {
    let host = rebooted(&[]);
    fs::write(host.path("run/motd.d"), "a file").unwrap();
    let ran = hook(&host);
    assert!(ran.stderr.contains("motd.d"), "{ran:?}");
    assert!(!is_changed(&host));
    assert_eq!(
        host.json(&["status"])["at_boot"][0]["outcome"],
        "rolled_back"
    );

    // A link where the line is to be is replaced and not followed.
    let host = rebooted(&[]);
    fs::create_dir(host.path("run/motd.d")).unwrap();
    fs::set_permissions(host.path("run/motd.d"), Permissions::from_mode(0o755)).unwrap();
    fs::write(host.path("precious"), "precious").unwrap();
    for name in ["ncf", ".ncf.new"] {
        symlink("../../precious", host.path("run/motd.d").join(name)).unwrap();
    }
    hook(&host);
    assert_eq!(
        fs::read_to_string(host.path("precious")).unwrap(),
        "precious"
    );
    assert!(motd(&host).unwrap().starts_with("ncf: change"));
}

#[test]
fn what_a_boot_discarded_is_kept_though_its_clock_was_not_set() {
    let host = rebooted(&[]);
    fs::create_dir_all(host.path("etc/ncf")).unwrap();
    fs::write(host.path("etc/ncf/ncf.conf"), "[history]\nkeep = 1\n").unwrap();
    // Rolled back when the clock was right; by its name it is the newest.
    hook(&host);
    let archive = host.state().join("archive");
    let name = fs::read_dir(&archive)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    fs::rename(
        archive.join(name),
        archive.join("29990101T000000Z-0123abcd"),
    )
    .unwrap();
    host.done(&["change-begin"]);
    host.write("ifcfg-eth0", "DEVICE=later\n");
    host.reboot();
    hook(&host);
    let left: Vec<_> = fs::read_dir(&archive)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 1);
    assert_ne!(left[0], "29990101T000000Z-0123abcd");
}
