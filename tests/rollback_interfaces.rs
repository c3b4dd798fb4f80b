//! A rollback with interfaces: stand-in `ifup` and `ifdown` say what they were called for, fail, or wait, while the
//! rollback is killed, hung up on, or met by another ncf. Each test is in a network namespace of its own.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use support::host::{Host, Ran};
use support::netns::in_namespace;
use support::picture::Picture;

/// Long enough to tell a hang from a slow machine.
const HANG: Duration = Duration::from_secs(60);

/// A stand-in that only says what it was called for.
const LOG: &str = r#"echo "$what $1" >> "$here/calls""#;

/// Fails for `eth1`.
const FAIL: &str =
    r#"echo "$what $1" >> "$here/calls"; [ "$1" != eth1 ] || { echo "no link on $1"; exit 1; }"#;

/// Waits at `eth1` until it may go on.
const WAIT: &str = r#"echo "$what $1" >> "$here/calls"
if [ "$1" = eth1 ]; then
    : > "$here/waiting"
    while [ ! -e "$here/go" ] && [ -d "$here" ]; do sleep 0.02; done
fi"#;

/// A host with `ifup` and `ifdown` of these bodies, one at a time.
struct Scripted {
    host: Host,
    before: Picture,
}

impl Scripted {
    /// With a change open: a bridge and its port modified, one interface deleted, one added, one untouched.
    fn changed(ifup: &str) -> Self {
        let host = Host::with(&[
            ("ifcfg-eth0", "DEVICE=eth0\n"),
            ("ifcfg-br0", "DEVICE=br0\nTYPE=Bridge\n"),
            ("ifcfg-eth1", "DEVICE=eth1\nBRIDGE=br0\n"),
            ("ifcfg-eth2", "DEVICE=eth2\n"),
        ]);
        fs::create_dir_all(host.path("etc/ncf")).unwrap();
        // Through sh: a script that is being written cannot be executed.
        let up = host.script("up", &format!("what=ifup\n{ifup}"));
        let down = host.script("down", &format!("what=ifdown\n{LOG}"));
        let conf = format!(
            "[apply]\nifup = /bin/sh {}\nifdown = /bin/sh {}\nparallel = 1\n",
            up.display(),
            down.display()
        );
        fs::write(host.path("etc/ncf/ncf.conf"), conf).unwrap();
        let before = Picture::of(&host.config(), Path::new(""), &host.config());
        host.done(&["change-begin"]);
        host.write("ifcfg-br0", "DEVICE=br0\nTYPE=Bridge\nSTP=on\n");
        host.write("ifcfg-eth1", "DEVICE=eth1\nBRIDGE=br0\nMTU=1400\n");
        fs::remove_file(host.config().join("ifcfg-eth2")).unwrap();
        host.write("ifcfg-eth9", "DEVICE=eth9\n");
        Self { host, before }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.host
            .command(&[&["--applier", "system"], arguments].concat())
    }

    fn ncf(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    /// The calls since this was last asked, such as "ifup eth1".
    fn calls(&self) -> Vec<String> {
        let path = self.host.path("calls");
        let calls = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        calls.lines().map(str::to_owned).collect()
    }

    /// The calls that `--dry-run` promises.
    fn promised(&self) -> Vec<String> {
        let ran = self.ncf(&["--json", "change-rollback", "--dry-run"]);
        let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
        let actions = plan["actions"].as_array().unwrap().iter();
        let call = |action: &Value| {
            Some(format!(
                "{} {}",
                action["op"].as_str()?,
                action["interface"].as_str()?
            ))
        };
        actions.filter_map(call).collect()
    }

    /// Begins a rollback and waits until its `ifup eth1` waits.
    fn rollback_until_it_waits(&self) -> Child {
        let mut command = self.command(&["change-rollback"]);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("ifup eth1", || self.host.path("waiting").exists());
        child
    }

    fn go_on(&self) {
        fs::write(self.host.path("go"), "").unwrap();
    }

    #[track_caller]
    fn assert_restored(&self) {
        let now = Picture::of(&self.host.config(), Path::new(""), &self.host.config());
        now.assert_is(&self.before, "after the rollback");
        assert!(!self.host.is_open());
    }
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < HANG, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Where a call is among others.
#[track_caller]
fn at(calls: &[String], call: &str) -> usize {
    calls
        .iter()
        .position(|other| other == call)
        .unwrap_or_else(|| panic!("no {call} in {calls:?}"))
}

#[test]
fn exactly_what_changed_is_bounced_in_the_order_that_the_dry_run_promised() {
    in_namespace(|| {
        let scripted = Scripted::changed(LOG);
        let promised = scripted.promised();
        assert_eq!(scripted.calls(), [""; 0], "a dry run calls nothing");
        let ran = scripted.ncf(&["change-rollback"]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        let calls = scripted.calls();
        assert_eq!(calls, promised);
        let mut sorted = calls.clone();
        sorted.sort();
        assert_eq!(
            sorted,
            [
                "ifdown br0",
                "ifdown eth1",
                "ifdown eth9",
                "ifup br0",
                "ifup eth1",
                "ifup eth2"
            ]
        );
        assert!(
            at(&calls, "ifdown br0") < at(&calls, "ifdown eth1"),
            "{calls:?}"
        );
        assert!(
            at(&calls, "ifdown eth9") < at(&calls, "ifup eth2"),
            "{calls:?}"
        );
        scripted.assert_restored();
    });
}

#[test]
fn an_apply_bounces_the_same_interfaces_the_other_way_round() {
    in_namespace(|| {
        let scripted = Scripted::changed(LOG);
        let ran = scripted.ncf(&["apply"]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        let mut calls = scripted.calls();
        calls.sort();
        assert_eq!(
            calls,
            [
                "ifdown br0",
                "ifdown eth1",
                "ifdown eth2",
                "ifup br0",
                "ifup eth1",
                "ifup eth9"
            ]
        );
        assert!(scripted.host.is_open());
    });
}

#[test]
fn an_interface_that_does_not_come_up_is_status_4_with_the_files_restored() {
    in_namespace(|| {
        let scripted = Scripted::changed(FAIL);
        let ran = scripted.ncf(&["--json", "change-rollback"]);
        assert_eq!(ran.status, Some(4), "{ran:?}");
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(report["restored"], true);
        let steps = report["interfaces"].as_array().unwrap();
        let failed: Vec<_> = steps
            .iter()
            .filter(|step| step["ok"] == json!(false))
            .collect();
        assert_eq!(failed.len(), 1, "{report}");
        assert_eq!(
            (&failed[0]["op"], &failed[0]["interface"]),
            (&json!("ifup"), &json!("eth1"))
        );
        assert!(
            failed[0]["error"]
                .as_str()
                .unwrap()
                .contains("no link on eth1"),
            "{report}"
        );
        let calls = scripted.calls();
        at(&calls, "ifup eth2");
        at(&calls, "ifup br0");
        scripted.assert_restored();
    });
}

#[test]
fn a_rollback_killed_during_ifup_is_completed_by_the_next() {
    in_namespace(|| {
        let scripted = Scripted::changed(WAIT);
        let promised = scripted.promised();
        let mut child = scripted.rollback_until_it_waits();
        child.kill().unwrap();
        child.wait().unwrap();
        scripted.go_on();
        let first = scripted.calls();
        assert_eq!(first, promised[..first.len()]);
        assert!(scripted.host.is_open());
        let status = scripted.host.json(&["status"]);
        assert_eq!(status["rollback_unfinished"], true);
        scripted
            .ncf(&["apply"])
            .refused(3, &["rollback", "cut short"]);

        let ran = scripted.ncf(&["change-rollback"]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        // What had begun is done again, and what had ended is not.
        assert_eq!(scripted.calls(), promised[first.len() - 1..]);
        scripted.assert_restored();
    });
}

#[test]
fn a_hang_up_during_a_rollback_does_not_stop_it() {
    in_namespace(|| {
        let scripted = Scripted::changed(WAIT);
        let promised = scripted.promised();
        let mut child = scripted.rollback_until_it_waits();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        for signal in [
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGTSTP,
        ] {
            kill(pid, signal).unwrap();
        }
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(child.try_wait().unwrap(), None, "a signal has ended it");
        scripted.go_on();
        wait_for("the end", || child.try_wait().unwrap().is_some());
        assert_eq!(scripted.calls(), promised);
        scripted.assert_restored();
    });
}

#[test]
fn a_second_ncf_says_who_holds_the_lock() {
    in_namespace(|| {
        let scripted = Scripted::changed(WAIT);
        let mut child = scripted.rollback_until_it_waits();
        let pid = child.id().to_string();
        for command in [
            "change-begin",
            "change-commit",
            "change-rollback",
            "boot-rollback",
            "apply",
        ] {
            let ran = scripted.ncf(&[command]);
            ran.refused(
                3,
                &[
                    "holds the lock",
                    "ncf change-rollback",
                    &pid,
                    "'ncf status' works",
                ],
            );
        }
        assert_eq!(scripted.ncf(&["status"]).status, Some(0));
        scripted.go_on();
        assert!(child.wait().unwrap().success());
        scripted.assert_restored();
    });
}

#[test]
fn a_rollback_at_boot_leaves_interfaces_alone() {
    in_namespace(|| {
        let scripted = Scripted::changed(LOG);
        // The change was begun in this boot: that is somebody's work.
        let ran = scripted.ncf(&["boot-rollback", "--earlier-boot"]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        assert!(ran.stdout.contains("left alone"), "{ran:?}");
        assert!(scripted.host.is_open());
        assert_eq!(scripted.host.read("ifcfg-eth9"), "DEVICE=eth9\n");
        let ran = scripted.ncf(&["boot-rollback"]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        assert_eq!(scripted.calls(), [""; 0]);
        scripted.assert_restored();
    });
}

#[test]
fn what_was_applied_is_undone_though_the_files_were_put_back_by_hand() {
    in_namespace(|| {
        let scripted = Scripted::changed(LOG);
        scripted.ncf(&["apply"]);
        let _ = scripted.calls();
        let host = &scripted.host;
        for (name, content) in [
            ("ifcfg-br0", "DEVICE=br0\nTYPE=Bridge\n"),
            ("ifcfg-eth1", "DEVICE=eth1\nBRIDGE=br0\n"),
            ("ifcfg-eth2", "DEVICE=eth2\n"),
        ] {
            host.write(name, content);
        }
        fs::remove_file(host.config().join("ifcfg-eth9")).unwrap();
        let ran = scripted.ncf(&["change-rollback"]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        let calls = scripted.calls();
        let expected = [
            "ifdown br0",
            "ifdown eth1",
            "ifdown eth2",
            "ifdown eth9",
            "ifup br0",
            "ifup eth1",
            "ifup eth2",
        ];
        let mut sorted = calls.clone();
        sorted.sort();
        assert_eq!(sorted, expected, "{calls:?}");
    });
}

#[test]
fn an_interface_that_did_not_come_up_is_brought_up_by_the_repeated_rollback() {
    in_namespace(|| {
        let scripted = Scripted::changed(FAIL);
        let file = scripted.host.config().join("ifcfg-eth9");
        let immutable = |flag: &str| {
            let done = Command::new("chattr").arg(flag).arg(&file).status();
            done.is_ok_and(|status| status.success())
        };
        assert!(
            immutable("+i"),
            "chattr +i does not work on {}",
            file.display()
        );
        assert_eq!(scripted.ncf(&["change-rollback"]).status, Some(1));
        assert!(immutable("-i"));
        let _ = scripted.calls();
        scripted.host.script("up", &format!("what=ifup\n{LOG}"));
        assert_eq!(scripted.ncf(&["change-rollback"]).status, Some(0));
        let calls = scripted.calls();
        assert!(calls.contains(&"ifup eth1".to_owned()), "{calls:?}");
    });
}
