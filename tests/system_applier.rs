//! The `system` applier with stand-in `ifup` and `ifdown` scripts: environment, limits, failures, order.
//!
//! What the real scripts do to real interfaces is tested elsewhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ncf::apply::schedule::{Step, Verb, run};
use ncf::apply::system::System;
use ncf::apply::{Applier, Target};
use ncf::sys::conf::ApplyConf;
use ncf::sys::process::SEARCH_PATH;

/// Long enough to tell a hang from a slow machine.
const HANG: Duration = Duration::from_secs(120);

/// A directory with an `ifup` of this body and an `ifdown` that does nothing.
struct Host {
    directory: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// One host at a time: a script that is being written by one test is, for a moment, also open in a child
/// that another test starts, and cannot be executed then (`ETXTBSY`).
static ALONE: Mutex<()> = Mutex::new(());

impl Host {
    fn new(ifup: &str) -> Self {
        let host = Self {
            directory: tempfile::tempdir().unwrap(),
            _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
        };
        host.script("ifup", ifup);
        host.script("ifdown", "exit 0");
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a script that finds its own directory in `$here`.
    fn script(&self, name: &str, body: &str) {
        let path = self.path(name);
        let here = self.directory.path().display();
        fs::write(&path, format!("#!/bin/sh\nhere={here}\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn applier(&self, seconds: u64, parallel: usize) -> System {
        let conf = ApplyConf {
            timeout: Duration::from_secs(seconds),
            parallel,
            ..ApplyConf::default()
        };
        System::configured(&conf, self.directory.path().to_str().unwrap()).unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

fn target(name: &str) -> Target {
    Target {
        name: name.parse().unwrap(),
        desired: None,
    }
}

fn step(name: &str, after: &[usize]) -> Step {
    Step {
        target: target(name),
        after: after.to_vec(),
    }
}

/// Whether a process is there and no zombie: `/proc/PID/stat` has its state after the name.
fn runs(pid: &str) -> bool {
    fs::read_to_string(Path::new("/proc").join(pid).join("stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

/// Waits for `done`, and fails if that takes so long that it will not come.
fn wait_for(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < HANG, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_name_is_the_argument_and_the_environment_is_clean() {
    let host = Host::new(r#"env > "$here/env"; echo "$@" > "$here/args"; cat > "$here/stdin""#);
    host.applier(60, 1).up(&target("eth0:1")).unwrap();
    assert_eq!(host.read("args"), "eth0:1\n");
    assert_eq!(host.read("stdin"), "");
    let env = host.read("env");
    // The shell itself adds these.
    let added = ["PWD=", "OLDPWD=", "SHLVL=", "_="];
    let mut ours: Vec<&str> = env
        .lines()
        .filter(|line| !added.iter().any(|name| line.starts_with(name)))
        .collect();
    ours.sort_unstable();
    assert_eq!(ours, ["HOME=/", "LC_ALL=C", &format!("PATH={SEARCH_PATH}")]);
}

#[test]
fn configured_arguments_precede_the_name() {
    let host = Host::new("exit 1");
    host.script("bring", r#"echo "$@" > "$here/args""#);
    let words = |text: &str| Some(text.split(' ').map(str::to_owned).collect());
    let conf = ApplyConf {
        ifup: words("bring --force up"),
        ifdown: words(&format!("{} down", host.path("bring").display())),
        ..ApplyConf::default()
    };
    let applier = System::configured(&conf, host.directory.path().to_str().unwrap()).unwrap();
    applier.up(&target("br0")).unwrap();
    assert_eq!(host.read("args"), "--force up br0\n");
    applier.down(&target("br0")).unwrap();
    assert_eq!(host.read("args"), "down br0\n");
}

#[test]
fn both_commands_must_be_there() {
    let host = Host::new("exit 0");
    fs::remove_file(host.path("ifdown")).unwrap();
    // A host with network-scripts installed has one of its own.
    let installed = SEARCH_PATH
        .split(':')
        .any(|directory| Path::new(directory).join("ifdown").exists());
    let path = host.directory.path().to_str().unwrap();
    assert_eq!(System::find(path).is_some(), installed);
    fs::write(host.path("ifdown"), "not executable").unwrap();
    assert_eq!(System::find(path).is_some(), installed);
    let conf = ApplyConf {
        ifdown: Some(vec![host.path("ifdown").display().to_string()]),
        ..ApplyConf::default()
    };
    let error = System::configured(&conf, path).unwrap_err();
    assert!(error.to_string().starts_with("ifdown: "), "{error}");
}

#[test]
fn a_daemon_that_keeps_the_output_open_does_not_hang() {
    let host = Host::new(
        r#"setsid sh -c 'echo $$ > "$0/pid"; echo from the daemon; exec sleep 600' "$here" &
        while ! [ -s "$here/pid" ]; do sleep 0.02; done; exit 0"#,
    );
    let begun = Instant::now();
    host.applier(300, 1).up(&target("eth0")).unwrap();
    assert!(begun.elapsed() < HANG);
    let pid = host.read("pid");
    let pid = pid.trim();
    assert!(runs(pid), "the daemon was ended with its ifup");
    std::process::Command::new("kill")
        .arg(pid)
        .status()
        .unwrap();
}

#[test]
fn the_time_limit_ends_the_whole_group_even_if_it_ignores_sigterm() {
    let host = Host::new(
        r#"trap '' TERM
        echo waiting for the link
        sh -c 'trap "" TERM; echo $$ > "$0/pid"; while :; do sleep 1; done' "$here" &
        wait; while :; do sleep 1; done"#,
    );
    let error = host.applier(1, 1).up(&target("eth0")).unwrap_err();
    assert_eq!(
        error.one_line(),
        "ifup eth0 was ended after its time limit of 1 s: waiting for the link"
    );
    let pid = host.read("pid");
    wait_for("the end of the helper", || !runs(pid.trim()));
}

#[test]
fn a_failure_shows_status_and_output() {
    let host = Host::new(
        r#"echo "Determining IP information for $1..."; printf '\033[60G[\033[0;31mFAILED\033[0m]\n' >&2; exit 7"#,
    );
    host.script("ifdown", "kill -SEGV $$");
    let applier = host.applier(60, 1);
    assert_eq!(
        applier.up(&target("eth0")).unwrap_err().one_line(),
        "ifup eth0 exited with status 7: Determining IP information for eth0...; [FAILED]"
    );
    assert_eq!(
        applier.down(&target("eth0")).unwrap_err().one_line(),
        "ifdown eth0 was killed by SIGSEGV: it wrote nothing"
    );
}

#[test]
fn scripts_run_in_order_and_at_once() {
    // eth0 and eth1 wait for each other, so they must run at once; br0 needs both to have ended.
    let host = Host::new(
        r#"meet() { : > "$here/began-$1"; while ! [ -e "$here/began-$2" ]; do sleep 0.02; done; }
        case $1 in
            eth0) meet eth0 eth1; : > "$here/eth0.up" ;;
            eth1) meet eth1 eth0; : > "$here/eth1.up"; exit 1 ;;
            br0) [ -e "$here/eth0.up" ] && [ -e "$here/eth1.up" ] ;;
        esac"#,
    );
    let steps = [step("br0", &[1, 2]), step("eth0", &[]), step("eth1", &[])];
    let mut done = Vec::new();
    let reports = run(&host.applier(60, 2), Verb::Up, &steps, 0, &mut |report| {
        done.push(report.name.to_string());
    });
    let failed: Vec<bool> = reports.iter().map(|r| r.result.is_err()).collect();
    assert_eq!(failed, [false, false, true]);
    assert_eq!(done.last().map(String::as_str), Some("br0"));
}
