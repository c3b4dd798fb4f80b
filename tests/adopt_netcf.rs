//! Rolling back from a change that netcf left open.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::fs;

use support::host::Host;

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

/// netcf's open change: a copy of the three files, and `date` where it had finished.
fn netcf_snapshot(host: &Host, finished: bool) {
    let dir = host.path("var/lib/netcf/network-snapshot");
    fs::create_dir_all(&dir).unwrap();
    for name in ["ifcfg-eth0", "route-eth1"] {
        fs::copy(host.config().join(name), dir.join(name)).unwrap();
    }
    if finished {
        fs::copy(host.config().join("ifcfg-eth1"), dir.join("ifcfg-eth1")).unwrap();
        fs::write(dir.join("date"), "now\n").unwrap();
    }
}

#[test]
fn a_rollback_from_netcf_removes_what_netcf_had_not() {
    let host = host();
    host.write("route6-eth1", "2001:db8::/32 via fe80::1\n");
    netcf_snapshot(&host, true);
    edit(&host);
    let ran = host.done(&["change-rollback", "--adopt-netcf"]);
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
    assert_eq!(host.read("ifcfg-eth0"), "DEVICE=eth0\n");
    assert_eq!(host.read("route-eth1"), "192.0.2.0/24 via 198.51.100.1\n");
    assert!(!host.config().join("ifcfg-eth2").exists());
    assert!(
        host.config().join("route6-eth1").exists(),
        "netcf knows nothing of these"
    );
    assert!(!host.path("var/lib/netcf/network-snapshot").exists());
    assert!(!host.is_open());
    host.ncf(&["change-rollback", "--adopt-netcf"])
        .refused(3, &["netcf has no change open"]);
}

#[test]
fn a_snapshot_that_netcf_had_not_finished_removes_nothing() {
    let host = host();
    netcf_snapshot(&host, false);
    edit(&host);
    let ran = host.done(&["change-rollback", "--adopt-netcf"]);
    assert!(
        ran.stderr.contains("netcf had not finished its snapshot"),
        "{ran:?}"
    );
    assert_eq!(host.read("ifcfg-eth0"), "DEVICE=eth0\n");
    assert_eq!(host.read("route-eth1"), "192.0.2.0/24 via 198.51.100.1\n");
    assert!(host.config().join("ifcfg-eth1").exists() && host.config().join("ifcfg-eth2").exists());
}
