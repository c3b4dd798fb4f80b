//! What goes wrong is said in one clear sentence, with the right exit status, and leaves nothing behind.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use support::host::{Host, Ran, isolate, names, program, scratch};
use support::need;
use support::sweep::{self, Fault, Point};

/// The user that owns nothing.
const NOBODY: u32 = 65534;

/// A host with two interfaces.
fn host() -> Host {
    Host::with(&[
        ("ifcfg-eth0", "DEVICE=eth0\n"),
        ("ifcfg-eth1", "DEVICE=eth1\n"),
    ])
}

/// One with a change open in which `ifcfg-eth0` was edited.
fn changed() -> Host {
    let host = host();
    host.done(&["change-begin"]);
    host.write("ifcfg-eth0", "DEVICE=other\n");
    host
}

/// Begins on a host where that is refused, which leaves nothing behind.
#[track_caller]
fn refuse_begin(host: &Host, status: i32, words: &[&str]) {
    let before = host.picture();
    host.ncf(&["change-begin"]).refused(status, words);
    assert!(!host.is_open());
    host.picture().assert_is(&before, "after a refused begin");
    assert!(names(&host.state()).iter().all(|name| name == "lock"));
}

/// Runs ncf as an ordinary user, from a place where that user may read it.
fn as_nobody(host: &Host, arguments: &[&str]) -> Ran {
    let bin = scratch();
    fs::set_permissions(bin.path(), Permissions::from_mode(0o755)).unwrap();
    let copy = bin.path().join("ncf");
    // By another process: a copy that this one had open for writing, and with it for a moment any child that
    // another test starts, could not be executed then.
    let copied = Command::new("cp")
        .arg(program())
        .arg(&copy)
        .status()
        .unwrap();
    assert!(copied.success());
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command
        .arg(&copy)
        .arg("--root")
        .arg(host.root())
        .args(arguments);
    isolate(&mut command);
    Ran::from(command.output().unwrap())
}

#[test]
fn an_ordinary_user_is_told_to_be_root() {
    if !need::met(true, &["setpriv"]) {
        return;
    }
    let host = host();
    fs::set_permissions(host.root(), Permissions::from_mode(0o755)).unwrap();
    let ran = as_nobody(&host, &["change-begin"]);
    ran.refused(
        1,
        &[
            "state directory",
            "Permission denied",
            "hint: run ncf as root",
        ],
    );
    assert!(!host.state().exists());
    // Nor may one look at the state of root.
    host.done(&["change-begin"]);
    for command in [
        "status",
        "diff",
        "change-commit",
        "change-rollback",
        "boot-rollback",
    ] {
        let ran = as_nobody(&host, &[command]);
        assert_eq!(ran.status, Some(1), "{command}: {ran:?}");
        assert!(
            ran.stderr.contains("as root") || ran.stderr.contains("its owner"),
            "{ran:?}"
        );
    }
    assert!(host.is_open());
}

#[test]
fn a_file_that_its_user_may_not_read_is_named() {
    if !need::met(true, &["setpriv"]) {
        return;
    }
    let host = host();
    for dir in [
        "",
        "var",
        "var/lib",
        "etc",
        "etc/sysconfig",
        "etc/sysconfig/network-scripts",
    ] {
        chown(host.path(dir), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    fs::set_permissions(
        host.config().join("ifcfg-eth1"),
        Permissions::from_mode(0o600),
    )
    .unwrap();
    let ran = as_nobody(&host, &["change-begin"]);
    ran.refused(
        1,
        &[
            "/etc/sysconfig/network-scripts/ifcfg-eth1",
            "Permission denied",
        ],
    );
    assert_eq!(host.state_names(), ["lock"]);
}

#[test]
fn a_file_on_a_bad_sector_is_named() {
    if !need::met(true, &["strace"]) {
        return;
    }
    let host = host();
    // The state directory is there already in the run that counts.
    host.done(&["change-begin"]);
    host.done(&["change-commit"]);
    let number = sweep::number_of(&host.command(&["change-begin"]), "openat", "\"ifcfg-eth1\"");
    host.done(&["change-commit"]);
    let point = Point {
        call: "openat".to_owned(),
        number,
        fault: Fault::Broken,
    };
    let (ran, fired) = sweep::run(&host.command(&["change-begin"]), &point);
    assert!(fired);
    ran.refused(
        1,
        &[
            "cannot copy",
            "network-scripts/ifcfg-eth1",
            "Input/output error",
        ],
    );
    assert!(!host.is_open());
    assert_eq!(host.state_names(), ["lock"]);
}

/// Runs `script` with a state directory of 64 KiB of its own, which ends with what is in it then.
fn on_small_disk(host: &Host, script: &str) -> Ran {
    fs::create_dir_all(host.state()).unwrap();
    let mut command = Command::new("unshare");
    let (state, root) = (host.state(), host.root());
    command.args(["-m", "sh", "-c"]).arg(format!(
        "mount -t tmpfs -o size=64k,mode=0700 tmpfs '{}' || exit 99\nncf() {{ '{}' --root '{}' \"$@\"; }}\n{script}",
        state.display(),
        program().display(),
        root.display(),
    ));
    isolate(&mut command);
    Ran::from(command.output().unwrap())
}

#[test]
fn a_begin_on_a_full_disk_leaves_nothing_there() {
    if !need::met(true, &["unshare"]) {
        return;
    }
    let host = host();
    host.write("route-large", &"x".repeat(200_000));
    let ran = on_small_disk(
        &host,
        &format!(
            "ncf change-begin; status=$?; ls -A '{}'; exit $status",
            host.state().display()
        ),
    );
    ran.refused(1, &["No space left on device"]);
    assert_eq!(ran.stdout, "lock\n");
}

#[test]
fn a_rollback_on_a_full_disk_restores_all_the_same() {
    if !need::met(true, &["unshare"]) {
        return;
    }
    let host = host();
    let before = host.picture();
    let script = format!(
        "ncf -q change-begin || exit 98\necho DEVICE=other > '{}/ifcfg-eth0'\n\
         dd if=/dev/zero of='{}/filler' bs=4k 2>/dev/null\nncf change-rollback; status=$?\n\
         ncf status; exit $status",
        host.config().display(),
        host.state().display(),
    );
    let ran = on_small_disk(&host, &script);
    assert_eq!(ran.status, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("not kept in the archive"), "{ran:?}");
    assert!(ran.stdout.contains("No change is open"), "{ran:?}");
    host.picture().assert_is(&before, "after the rollback");
}

#[test]
fn a_second_begin_says_who_has_the_first() {
    let host = host();
    host.done(&["change-begin", "--reason", "new uplink"]);
    let ran = host.ncf(&["change-begin"]);
    ran.refused(
        3,
        &["a change is open already", "since", "by", "change-rollback"],
    );
    assert!(host.is_open());
}

#[test]
fn without_an_open_change_there_is_nothing_to_end() {
    let host = host();
    let commands: [&[&str]; 5] = [
        &["change-commit"],
        &["change-rollback"],
        &["change-rollback", "--dry-run"],
        &["diff"],
        &["apply"],
    ];
    for command in commands {
        host.ncf(command)
            .refused(3, &["no change is open", "change-begin"]);
    }
    let ran = host.done(&["boot-rollback"]);
    assert!(ran.stdout.contains("nothing to undo"), "{ran:?}");
    assert!(host.done(&["status"]).stdout.contains("No change is open"));
}

#[test]
fn an_open_change_of_netcf_is_to_be_settled_first() {
    let host = host();
    fs::create_dir_all(host.path("var/lib/netcf/network-snapshot")).unwrap();
    refuse_begin(&host, 3, &["netcf has a change open", "--adopt-netcf"]);
    assert!(
        host.done(&["status"])
            .stdout
            .contains("netcf has a change open")
    );
    let shown = host.json(&["status"]);
    let path = shown["netcf_snapshot"].as_str().unwrap();
    assert!(path.ends_with("/var/lib/netcf/network-snapshot"), "{path}");
}

#[test]
fn what_a_snapshot_cannot_hold_is_named() {
    let host = host();
    let fifo = host.config().join("ifcfg-fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refuse_begin(&host, 1, &["network-scripts/ifcfg-fifo", "neither a file"]);
}

#[test]
fn a_state_directory_that_others_may_write_to_is_refused() {
    let host = changed();
    fs::set_permissions(host.state(), Permissions::from_mode(0o777)).unwrap();
    let after = host.picture();
    for command in ["change-rollback", "boot-rollback", "change-commit"] {
        host.ncf(&[command])
            .refused(1, &["others than its owner may write", "chmod 0700"]);
    }
    host.picture().assert_is(&after, "after refusals");
    assert!(host.is_open());
}

#[test]
fn a_newer_format_is_refused_and_not_guessed() {
    let host = changed();
    let after = host.picture();
    let manifest = host.transaction().join("manifest.json");
    let json = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        json.replacen("\"format\": 1", "\"format\": 3, \"new\": 1", 1),
    )
    .unwrap();
    for command in ["status", "diff", "change-rollback", "boot-rollback"] {
        host.ncf(&[command])
            .refused(1, &["manifest.json", "format 3", "newer"]);
    }
    host.picture().assert_is(&after, "after refusals");
    assert!(host.is_open());
}

#[test]
fn a_damaged_copy_restores_nothing_and_is_named() {
    let host = changed();
    host.write("ifcfg-eth1", "DEVICE=other1\n");
    let after = host.picture();
    let copies = host.transaction().join("files/copies.tar");
    let whole = fs::read(&copies).unwrap();
    let damage = |content: &[u8]| {
        let mut bytes = whole.clone();
        let at = bytes
            .windows(content.len())
            .position(|part| part == content)
            .unwrap();
        bytes[at] ^= 0x20;
        fs::write(&copies, bytes).unwrap();
    };
    damage(b"DEVICE=eth0");
    let commands: [&[&str]; 3] = [
        &["change-rollback"],
        &["change-rollback", "--dry-run"],
        &["boot-rollback"],
    ];
    for command in commands {
        host.ncf(command).refused(
            1,
            &["damaged", "the copy of ifcfg-eth0", "nothing was restored"],
        );
    }
    // A byte that belongs to no file, an end that is missing, and no copies at all.
    damage(b"ustar");
    host.ncf(&["change-rollback"]).refused(1, &["damaged"]);
    fs::write(&copies, &whole[..whole.len() / 2]).unwrap();
    host.ncf(&["change-rollback"]).refused(1, &["damaged"]);
    fs::remove_file(&copies).unwrap();
    host.ncf(&["change-rollback"])
        .refused(1, &["damaged", "No such file"]);
    host.picture().assert_is(&after, "after refusals");
    assert!(host.is_open());
    // Only keeping it is left, and that works.
    host.done(&["change-commit"]);
    assert!(!host.is_open());
}

#[test]
fn something_else_in_place_of_the_transaction_is_named() {
    let host = host();
    host.done(&["change-begin"]);
    host.done(&["change-commit"]);
    fs::write(host.transaction(), "").unwrap();
    for command in [
        "change-begin",
        "change-commit",
        "change-rollback",
        "boot-rollback",
        "status",
    ] {
        host.ncf(&[command])
            .refused(1, &["var/lib/ncf/transaction", "is not a directory"]);
    }
}

#[test]
fn a_mistyped_command_line_or_setting_is_a_matter_of_usage() {
    let host = host();
    assert_eq!(host.ncf(&["change-beginn"]).status, Some(2));
    assert_eq!(host.ncf(&["--applier", "magic", "status"]).status, Some(2));
    assert_eq!(host.ncf(&["history", "show"]).status, Some(2));
    let ran = host.ncf(&["--config", "/nowhere/ncf.conf", "change-begin"]);
    ran.refused(2, &["/nowhere/ncf.conf", "does not exist"]);
    let conf = host.path("ncf.conf");
    fs::write(&conf, "[snapshot]\ninclud = /etc/hosts\n").unwrap();
    let ran = host.ncf(&["--config", conf.to_str().unwrap(), "change-begin"]);
    ran.refused(2, &["ncf.conf:2", "unknown key", "allowed: include"]);
    assert!(!host.state().exists());
}

#[test]
fn wrong_settings_keep_no_rollback_from_running() {
    let host = host();
    let before = host.picture();
    host.done(&["change-begin"]);
    host.write("ifcfg-eth0", "DEVICE=other\n");
    let ran = host.ncf(&["--config", "/nowhere/ncf.conf", "change-rollback"]);
    assert!(matches!(ran.status, Some(0 | 4)), "{ran:?}");
    assert!(ran.stderr.contains("settings are ignored"), "{ran:?}");
    host.picture().assert_is(&before, "after the rollback");
}

#[test]
fn a_root_that_is_not_there_is_named() {
    let ran = Command::new(program())
        .args(["--root", "/nowhere", "status"])
        .output()
        .unwrap();
    Ran::from(ran).refused(1, &["/nowhere", "No such file"]);
    assert!(!Path::new("/nowhere").exists());
}
