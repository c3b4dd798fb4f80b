//! Links, directories and settings that make a rollback reach for the wrong file, or for none.

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

use support::host::Host;

fn host() -> Host {
    let host = Host::with(&[("ifcfg-eth0", "DEVICE=eth0\n")]);
    fs::create_dir_all(host.path("etc/ncf")).unwrap();
    fs::create_dir_all(host.path("srv")).unwrap();
    host
}

fn include(host: &Host, lines: &str) {
    fs::write(host.path("etc/ncf/ncf.conf"), lines).unwrap();
}

#[test]
fn a_link_that_leads_elsewhere_by_way_of_another_is_seen() {
    let host = host();
    for (dir, device) in [("a", "eth1"), ("b", "eth7")] {
        fs::create_dir_all(host.path("srv").join(dir)).unwrap();
        fs::write(
            host.path("srv").join(dir).join("ifcfg"),
            format!("DEVICE={device}\n"),
        )
        .unwrap();
    }
    symlink("a", host.path("srv/current")).unwrap();
    symlink("/srv/current/ifcfg", host.config().join("ifcfg-eth1")).unwrap();
    host.done(&["change-begin"]);
    fs::remove_file(host.path("srv/current")).unwrap();
    symlink("b", host.path("srv/current")).unwrap();
    let status = host.json(&["status"]);
    assert_eq!(status["changes"][0]["path"], "ifcfg-eth1", "{status}");
    // The link itself is as it was: what is between is not the snapshot's to mend, so this is no success.
    host.ncf(&["change-rollback"]);
    assert!(host.is_open());
}

#[test]
fn a_file_is_not_written_through_a_directory_that_became_a_link() {
    let host = host();
    fs::create_dir_all(host.path("etc/foo")).unwrap();
    fs::create_dir_all(host.path("srv/other")).unwrap();
    fs::write(host.path("etc/foo/a.conf"), "before").unwrap();
    fs::write(host.path("srv/other/a.conf"), "precious").unwrap();
    include(&host, "[snapshot]\ninclude = /etc/foo/a.conf\n");
    host.done(&["change-begin"]);
    host.write("ifcfg-eth0", "DEVICE=other0\n");
    fs::remove_dir_all(host.path("etc/foo")).unwrap();
    symlink("../srv/other", host.path("etc/foo")).unwrap();
    let ran = host.ncf(&["change-rollback"]);
    assert_ne!(ran.status, Some(0), "{}", ran.stdout);
    assert_eq!(
        fs::read_to_string(host.path("srv/other/a.conf")).unwrap(),
        "precious"
    );
    assert_eq!(
        host.read("ifcfg-eth0"),
        "DEVICE=eth0\n",
        "the rest is restored"
    );
}

#[test]
fn a_file_that_was_linked_in_from_elsewhere_is_left_alone_there() {
    let host = host();
    let golden = host.path("srv/golden");
    fs::copy(host.config().join("ifcfg-eth0"), &golden).unwrap();
    fs::set_permissions(&golden, fs::Permissions::from_mode(0o600)).unwrap();
    host.done(&["change-begin"]);
    fs::remove_file(host.config().join("ifcfg-eth0")).unwrap();
    fs::hard_link(&golden, host.config().join("ifcfg-eth0")).unwrap();
    host.done(&["change-rollback"]);
    assert_eq!(fs::metadata(&golden).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&golden).unwrap().nlink(), 1);
}

#[test]
fn an_included_place_that_is_no_directory_any_more_keeps_nothing_from_being_restored() {
    let host = host();
    fs::create_dir_all(host.path("etc/foo.d")).unwrap();
    include(&host, "[snapshot]\ninclude = /etc/foo.d/*.conf\n");
    host.done(&["change-begin"]);
    host.write("ifcfg-eth0", "DEVICE=other0\n");
    fs::remove_dir_all(host.path("etc/foo.d")).unwrap();
    fs::write(host.path("etc/foo.d"), "").unwrap();
    host.done(&["boot-rollback"]);
    assert_eq!(host.read("ifcfg-eth0"), "DEVICE=eth0\n");
}

#[test]
fn what_the_settings_include_later_is_not_taken_for_added() {
    let host = host();
    fs::write(host.path("etc/resolv.conf"), "nameserver 192.0.2.53\n").unwrap();
    host.done(&["change-begin"]);
    include(&host, "[snapshot]\ninclude = /etc/resolv.conf\n");
    host.write("ifcfg-eth0", "DEVICE=other0\n");
    host.done(&["change-rollback"]);
    assert!(host.path("etc/resolv.conf").exists());
}

#[test]
fn history_puts_back_only_what_the_open_change_could_undo() {
    let host = host();
    fs::write(host.path("etc/foo.conf"), "before").unwrap();
    include(&host, "[snapshot]\ninclude = /etc/foo.conf\n");
    host.done(&["change-begin"]);
    fs::write(host.path("etc/foo.conf"), "after").unwrap();
    host.done(&["change-rollback"]);
    include(&host, "");
    host.ncf(&["history", "restore", "last"])
        .refused(1, &["/etc/foo.conf", "does not cover"]);
    assert_eq!(
        fs::read_to_string(host.path("etc/foo.conf")).unwrap(),
        "before"
    );
}

#[test]
fn wrong_settings_and_a_missing_ifup_keep_no_boot_from_restoring() {
    for conf in [
        "[apply\nx",
        "[apply]\nifup = /nonexistent/ifup\napplier = system\n",
    ] {
        let host = host();
        host.done(&["change-begin"]);
        host.write("ifcfg-eth0", "DEVICE=other0\n");
        include(&host, conf);
        host.done(&["--applier", "system", "status"]);
        host.done(&["--applier", "system", "boot-rollback"]);
        assert_eq!(host.read("ifcfg-eth0"), "DEVICE=eth0\n", "{conf}");
    }
}
