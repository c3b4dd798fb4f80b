//! Every command that changes something, with every system call that changes something killed, or failing
//! because the disk is full or broken. Whatever happens, an operator who runs it again, or the next boot, ends
//! with the tree exactly as it was before the change or exactly as the change left it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use support::host::{Host, Ran, names};
use support::picture::Picture;
use support::sweep::{self, Fault, Verdict, require};

/// The tree when the change began, and as it was edited.
struct Sides {
    before: Picture,
    after: Picture,
}

#[test]
fn begin() {
    sweep_over(&["change-begin"], edit_nothing, recover_begin);
}

#[test]
fn commit() {
    sweep_over(&["change-commit"], begin_and_edit, recover_commit);
}

#[test]
fn rollback() {
    sweep_over(
        &["change-rollback"],
        begin_and_edit,
        |host, sides, ran, fault| recover_rollback("change-rollback", host, sides, ran, fault),
    );
}

#[test]
fn boot_rollback() {
    sweep_over(
        &["boot-rollback"],
        begin_and_edit,
        |host, sides, ran, fault| recover_rollback("boot-rollback", host, sides, ran, fault),
    );
}

#[test]
fn a_boot_that_is_survived() {
    sweep_over(
        &["boot-rollback", "--earlier-boot"],
        begin_for_one_boot_and_edit,
        recover_boot,
    );
}

#[test]
fn rollback_from_netcf() {
    const COMMAND: [&str; 2] = ["change-rollback", "--adopt-netcf"];
    sweep_over(
        &COMMAND,
        begin_with_netcf_and_edit,
        |host, sides, ran, _| {
            let restored = |when: &str| {
                let differences = sides.before.differences(&files(host));
                require(
                    differences.is_empty(),
                    &format!("{when}; wanted and found:\n{differences}"),
                )
            };
            if matches!(ran.status, Some(0 | 4)) {
                restored("restored, it says")?;
            }
            let next = host.ncf(&COMMAND);
            require(
                matches!(next.status, Some(0 | 3)),
                &format!("then: {next:?}"),
            )?;
            restored("after recovery")?;
            let lasting = names(&host.path("var/lib/netcf"));
            require(lasting.is_empty(), &format!("left of netcf: {lasting:?}"))?;
            closed(host)
        },
    );
}

/// Tries `command` with each fault at each point until one run gets through.
fn sweep_over(
    command: &[&str],
    prepare: fn(&Host) -> Sides,
    recover: impl Fn(&Host, &Sides, &Ran, Fault) -> Verdict,
) {
    sweep::over(command, prepare, recover);
}

/// Runs ncf once more; what it should come to is success.
fn again(host: &Host, arguments: &[&str]) -> Verdict {
    let ran = host.ncf(arguments);
    require(
        ran.status == Some(0),
        &format!("then {arguments:?}: {ran:?}"),
    )
}

fn same(host: &Host, wanted: &Picture, when: &str) -> Verdict {
    let differences = wanted.differences(&host.picture());
    require(
        differences.is_empty(),
        &format!("{when}; wanted and found:\n{differences}"),
    )
}

fn edit_nothing(host: &Host) -> Sides {
    fixture(host);
    let before = host.picture();
    Sides {
        after: before.clone(),
        before,
    }
}

fn begin_and_edit(host: &Host) -> Sides {
    fixture(host);
    let before = host.picture();
    host.done(&["change-begin"]);
    edit(host);
    Sides {
        before,
        after: host.picture(),
    }
}

fn begin_for_one_boot_and_edit(host: &Host) -> Sides {
    fixture(host);
    let before = host.picture();
    host.done(&["change-begin", "--boots", "1"]);
    edit(host);
    host.reboot();
    Sides {
        before,
        after: host.picture(),
    }
}

/// A boot counts once, however often its hook is stopped and run again; where it cannot be counted, the change is
/// undone rather than left for good.
fn recover_boot(host: &Host, sides: &Sides, ran: &Ran, fault: Fault) -> Verdict {
    const HOOK: [&str; 2] = ["boot-rollback", "--earlier-boot"];
    truthful_or_survived(host, ran, fault)?;
    if host.is_open() {
        let was_undone = ran.status == Some(1);
        again(host, &HOOK)?;
        if host.is_open() {
            require(!was_undone || fault != Fault::Kill, "undone by halves")?;
            same(host, &sides.after, "survived, and changed")?;
            again(host, &HOOK)?;
            require(host.is_open(), "one boot has counted twice")?;
            host.reboot();
            again(host, &HOOK)?;
        }
    }
    require(!host.is_open(), "one boot, and the change survived two")?;
    same(host, &sides.before, "after the last boot")?;
    again(host, &["history", "ack"])?;
    closed(host)
}

/// A success leaves the change open and counted, or closed.
fn truthful_or_survived(host: &Host, ran: &Ran, fault: Fault) -> Verdict {
    if ran.status == Some(0) && host.is_open() {
        let status = host.json(&["status"]);
        let left = status.get("boots_left").unwrap();
        return require(left == 0, "a success, and the boot is not counted");
    }
    let closed = ran.status == Some(4);
    require(
        fault == Fault::Kill || closed != host.is_open(),
        "it says that it has closed the change, and has not, or the other way round",
    )
}

/// The configuration's files, without the time of their directory, of which netcf keeps nothing.
fn files(host: &Host) -> Picture {
    Picture::of(&host.config(), Path::new(""), Path::new("/nowhere"))
}

/// A change of netcf's: a copy of each file, and `date` when that was done.
fn begin_with_netcf_and_edit(host: &Host) -> Sides {
    let snapshot = host.path("var/lib/netcf/network-snapshot");
    fs::create_dir_all(&snapshot).unwrap();
    for name in ["ifcfg-changed", "ifcfg-removed", "route-same"] {
        host.write(name, name);
        let (from, to) = (host.config().join(name), snapshot.join(name));
        let copied = Command::new("cp").arg("-p").args([from, to]).status();
        assert!(copied.unwrap().success());
    }
    fs::write(snapshot.join("date"), "today\n").unwrap();
    let before = files(host);
    host.write("ifcfg-changed", "other");
    host.write("ifcfg-added", "new");
    fs::remove_file(host.config().join("ifcfg-removed")).unwrap();
    Sides {
        after: files(host),
        before,
    }
}

/// A begin leaves the tree alone and a change that is open and whole, or none and nothing else.
fn recover_begin(host: &Host, sides: &Sides, ran: &Ran, fault: Fault) -> Verdict {
    same(host, &sides.before, "begin has changed the tree")?;
    let succeeded = ran.status == Some(0);
    require(
        host.is_open() || !succeeded,
        "a success, and no change is open",
    )?;
    if fault != Fault::Kill {
        require(
            host.is_open() == succeeded,
            "a failure, and a change is open",
        )?;
        let half_made = host
            .state_names()
            .iter()
            .any(|name| name.starts_with(".begin-"));
        require(!half_made, "a failed begin has left something behind")?;
    }
    if !host.is_open() {
        again(host, &["change-begin"])?;
    }
    edit(host);
    again(host, &["change-rollback"])?;
    closed(host)?;
    same(host, &sides.before, "the change was not whole")
}

/// A commit leaves the tree alone; the change is still open, and whole, or it is closed.
fn recover_commit(host: &Host, sides: &Sides, ran: &Ran, fault: Fault) -> Verdict {
    same(host, &sides.after, "commit has changed the tree")?;
    truthful(host, ran, fault)?;
    if host.is_open() {
        require(ran.status != Some(0), "a success, and the change is open")?;
        again(host, &["change-rollback"])?;
        same(host, &sides.before, "the open change was not whole")?;
    } else {
        let next = host.ncf(&["change-commit"]);
        require(
            next.status == Some(3),
            &format!("the next commit: {next:?}"),
        )?;
        same(host, &sides.after, "the next one has changed the tree")?;
    }
    closed(host)
}

/// A rollback that is run again ends as if it had never been stopped.
fn recover_rollback(command: &str, host: &Host, sides: &Sides, ran: &Ran, fault: Fault) -> Verdict {
    truthful(host, ran, fault)?;
    if matches!(ran.status, Some(0 | 4)) {
        require(!host.is_open(), "restored, it says, and the change is open")?;
        same(host, &sides.before, "restored, it says")?;
    }
    if host.is_open() {
        again(host, &[command])?;
    }
    same(host, &sides.before, "after recovery")?;
    again(host, &["change-begin"])?;
    again(host, &["change-commit"])?;
    closed(host)
}

/// Whoever is told that it failed has the change still, and whoever is not has not.
fn truthful(host: &Host, ran: &Ran, fault: Fault) -> Verdict {
    let closed = matches!(ran.status, Some(0 | 4));
    require(
        fault == Fault::Kill || closed != host.is_open(),
        "it says that it has closed the change, and has not, or the other way round",
    )
}

/// Nothing is open, and nothing lies about.
fn closed(host: &Host) -> Verdict {
    let known = ["archive", "lock"];
    let names = host.state_names();
    let left: Vec<_> = names
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    require(
        left.is_empty(),
        &format!("left in the state directory: {left:?}"),
    )
}

/// The names of the fixture that are no plain text.
fn strange(host: &Host) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    host.config()
        .join(std::ffi::OsStr::from_bytes(b"ifcfg-\xff\n"))
}

fn label(path: &Path, name: &str, value: &str) {
    xattr::set(path, name, value.as_bytes()).unwrap();
}

/// One file of every kind that there is to lose.
fn fixture(host: &Host) {
    let config = host.config();
    let outside = host.path("srv/net");
    fs::create_dir_all(&outside).unwrap();
    fs::create_dir(config.join("sub")).unwrap();
    for name in [
        "ifcfg-changed",
        "ifcfg-removed",
        "ifcfg-mode",
        "ifcfg-label",
        "route-pair",
        "ifcfg-file",
        "ifcfg-directory",
        "ifcfg-untouched",
        "rule-time",
        "sub/ifcfg-deep",
        "ifup-local",
    ] {
        host.write(name, &format!("DEVICE={name}\n"));
    }
    fs::write(strange(host), "DEVICE=eth9\n").unwrap();
    fs::write(host.path("etc/sysconfig/network"), "NETWORKING=yes\n").unwrap();
    fs::write(outside.join("target"), "DEVICE=eth4\n").unwrap();
    fs::write(outside.join("twin"), "KEY=1\n").unwrap();
    fs::hard_link(outside.join("twin"), config.join("keys-twin")).unwrap();
    fs::hard_link(config.join("route-pair"), config.join("route-pair2")).unwrap();
    symlink("ifcfg-changed", config.join("ifcfg-inside")).unwrap();
    symlink("../../../srv/net/target", config.join("ifcfg-outside")).unwrap();
    symlink("../../../srv/net/later", config.join("ifcfg-dangling")).unwrap();
    label(&config.join("ifcfg-label"), "user.note", "one");
    label(
        &config.join("ifcfg-label"),
        "security.selinux",
        "system_u:object_r:net_conf_t:s0",
    );
    label(&config.join("ifcfg-inside"), "trusted.note", "a link's own");
    label(&config.join("sub"), "user.note", "one");
}

/// What happens to them during the change.
fn edit(host: &Host) {
    let config = host.config();
    let outside = host.path("srv/net");
    host.write("ifcfg-changed", "DEVICE=other\nONBOOT=no\n");
    fs::remove_file(config.join("ifcfg-removed")).unwrap();
    host.write("ifcfg-added", "DEVICE=new\n");
    fs::create_dir(config.join("new")).unwrap();
    host.write("new/ifcfg-new", "DEVICE=new\n");
    fs::set_permissions(
        config.join("ifcfg-mode"),
        fs::Permissions::from_mode(0o4600),
    )
    .unwrap();
    chown(config.join("ifcfg-mode"), Some(1), Some(1)).unwrap();
    label(
        &config.join("ifcfg-label"),
        "security.selinux",
        "system_u:object_r:unlabeled_t:s0",
    );
    label(&config.join("ifcfg-label"), "user.more", "two");
    xattr::remove(config.join("ifcfg-label"), "user.note").unwrap();
    fs::remove_file(config.join("route-pair2")).unwrap();
    host.write("route-pair2", "default via 192.0.2.1\n");
    host.write("keys-twin", "KEY=2\n");
    fs::remove_file(config.join("ifcfg-inside")).unwrap();
    symlink("ifcfg-mode", config.join("ifcfg-inside")).unwrap();
    fs::write(outside.join("target"), "DEVICE=eth5\n").unwrap();
    fs::write(outside.join("later"), "DEVICE=eth6\n").unwrap();
    let time = fs::File::options()
        .write(true)
        .open(config.join("rule-time"))
        .unwrap();
    time.set_modified(std::time::UNIX_EPOCH).unwrap();
    fs::set_permissions(config.join("sub"), fs::Permissions::from_mode(0o700)).unwrap();
    xattr::remove(config.join("sub"), "user.note").unwrap();
    host.write("sub/ifcfg-deep", "DEVICE=deeper\n");
    fs::write(strange(host), "DEVICE=eth8\n").unwrap();
    fs::write(host.path("etc/sysconfig/network"), "NETWORKING=no\n").unwrap();
    for name in ["ifcfg-directory", "ifcfg-file"] {
        fs::remove_file(config.join(name)).unwrap();
    }
    fs::create_dir(config.join("ifcfg-directory")).unwrap();
    symlink("ifcfg-mode", config.join("ifcfg-file")).unwrap();
    nix::unistd::mkfifo(&config.join("ifcfg-fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::hard_link(config.join("ifcfg-untouched"), config.join("ifcfg-twin")).unwrap();
}
