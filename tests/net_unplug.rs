//! Unplugging does not wait until the kernel has freed a device: a helper does. What that may hold, what it may do, and that
//! nothing depends on it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use nix::unistd::dup;
use support::host::{isolate, program};
use support::need;
use support::netns::{exists, in_namespace, ip, ip_json};
use support::networks::Nets;

/// The name under which ncf starts itself.
const HELPER: &str = "ncf-delete-port";

fn host() -> Nets {
    let nets = Nets::new();
    ip("link add br0 type bridge");
    ip("link set br0 up");
    nets.network("net", "<forward mode='bridge'/><bridge name='br0'/>");
    nets
}

/// Plugs a guest; returns its device.
fn plug(nets: &Nets) -> String {
    let plugged = nets.json("plug net --owner guest");
    plugged["port"].as_str().unwrap().to_owned()
}

/// `unplug` of the guest's ports under strace(1) with these options, which writes to `log`.
fn unplug_under(options: &[&str], nets: &Nets, log: &Path) -> Command {
    let unplug = nets.command("unplug --owner guest");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(log).args(options);
    strace.arg(unplug.get_program()).args(unplug.get_args());
    isolate(&mut strace);
    strace
}

/// The same, with a fault in the system call that starts the helper.
fn unplug_with(nets: &Nets, fault: &str, log: &Path) -> Command {
    let call = fault.split_once(':').unwrap().0;
    let (trace, inject) = (format!("trace={call}"), format!("inject={fault}"));
    let options = ["-P", "/proc/self/exe", "-e", &trace, "-e", &inject];
    unplug_under(&options, nets, log)
}

fn assert_unplugged(nets: &Nets, port: &str, output: &Output, when: &str) {
    assert_eq!(output.status.code(), Some(0), "{when}: {output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, format!("Unplugged {port} of guest from net.\n"));
    assert!(!exists(port), "{when}");
    assert!(nets.ports().is_empty(), "{when}");
    let repaired = nets.done("repair");
    assert_eq!(repaired.stdout, "Networks, ports and kernel agree.\n");
}

/// The directory in `/proc` of the helper that is to delete this port's device in this namespace.
fn helper_for(port: &str) -> Option<PathBuf> {
    let here = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let mut processes = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    processes.find(|path| {
        let line = fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split_terminator('\0').collect();
        words.first() == Some(&HELPER)
            && words.last() == Some(&port)
            && fs::read_link(path.join("ns/net")).is_ok_and(|it| it == here)
    })
}

#[test]
fn the_helper_holds_nothing_that_anybody_waits_for() {
    if !need::met(true, &["strace", "ip"]) {
        return;
    }
    in_namespace(|| {
        let nets = host();
        let port = plug(&nets);
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut unplug = unplug_with(&nets, "execve:delay_exit=1500000", log.path());
        unplug.stdout(Stdio::piped()).stderr(Stdio::piped());
        // Such as a script's lock, which is handed on to everything that the script runs.
        let inherited = dup(File::open("/dev/zero").unwrap()).unwrap();
        let running = unplug.spawn().unwrap();
        drop(inherited);
        let helper = loop {
            match helper_for(&port) {
                Some(path) => break path,
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        let files: Vec<_> = fs::read_dir(helper.join("fd"))
            .unwrap()
            .map(|file| fs::read_link(file.unwrap().path()).unwrap())
            .collect();
        assert_eq!(files, [Path::new("/dev/null"); 3]);
        assert_eq!(fs::read_link(helper.join("cwd")).unwrap(), Path::new("/"));
        assert_eq!(fs::read(helper.join("environ")).unwrap(), b"");
        let output = running.wait_with_output().unwrap();
        assert_unplugged(&nets, &port, &output, "delayed");
    });
}

#[test]
fn what_the_helper_does_not_do_ncf_does() {
    if !need::met(true, &["strace", "ip"]) {
        return;
    }
    in_namespace(|| {
        let nets = host();
        for (fault, happened) in [
            ("execve:error=ENOENT", "(INJECTED)"),
            ("execve:signal=SIGKILL", "killed by SIGKILL"),
            // Until ncf gives it up.
            ("execve:signal=SIGSTOP", "stopped by SIGSTOP"),
        ] {
            let port = plug(&nets);
            let log = tempfile::NamedTempFile::new().unwrap();
            let output = unplug_with(&nets, fault, log.path()).output().unwrap();
            let log = fs::read_to_string(log.path()).unwrap();
            assert!(log.contains(HELPER) && log.contains(happened), "{log}");
            assert_unplugged(&nets, &port, &output, fault);
        }
    });
}

#[test]
fn a_helper_is_not_needed() {
    if !need::met(true, &["strace", "ip"]) {
        return;
    }
    in_namespace(|| {
        let nets = host();
        let port = plug(&nets);
        let log = tempfile::NamedTempFile::new().unwrap();
        // Neither threads nor processes.
        let options = ["-e", "inject=?clone,?clone3,?fork,?vfork:error=EAGAIN"];
        let mut unplug = unplug_under(&options, &nets, log.path());
        let output = unplug.output().unwrap();
        let log = fs::read_to_string(log.path()).unwrap();
        assert!(log.contains("(INJECTED)"), "{log}");
        assert_unplugged(&nets, &port, &output, "no processes");
    });
}

fn helper(arguments: &[&str]) -> Output {
    let mut helper = Command::new(program());
    helper.arg0(HELPER).args(arguments);
    isolate(&mut helper);
    helper.output().unwrap()
}

#[test]
fn the_helper_deletes_devices_of_ports_and_no_others() {
    if !need::met(true, &["ip"]) {
        return;
    }
    in_namespace(|| {
        let nets = host();
        let port = plug(&nets);
        let index =
            |name: &str| ip_json(&format!("link show dev {name}"))[0]["ifindex"].to_string();
        // Each has something of a port's device and not all.
        ip("tuntap add dev ncf70 mode tap");
        ip("link add ncf71 type bridge");
        ip("tuntap add dev tap0 mode tap");
        for name in ["ncf71", "tap0"] {
            let mut command = Command::new("ip");
            command.args(["link", "set", name, "alias", "ncf: port of guest in net"]);
            assert!(command.status().unwrap().success());
        }
        let [br0, ncf70, ncf71, tap0, own] = ["br0", "ncf70", "ncf71", "tap0", &port].map(index);
        for (arguments, status, said) in [
            (&[] as &[&str], 2, "takes the number and the name"),
            (&[&own], 2, "takes"),
            (&["x", &port], 2, "takes"),
            (&["-1", &port], 2, "takes"),
            (&["0", &port], 2, "takes"),
            (&["4294967296", &port], 2, "takes"),
            (&[&own, &port, "more"], 2, "takes"),
            (&[&own, "../x"], 2, "takes"),
            (&[&br0, "br0"], 2, "takes"),
            (&[&tap0, "tap0"], 2, "takes"),
            (&[&br0, &port], 1, "is not the device of"),
            (&[&own, "ncf70"], 1, "is not the device of"),
            (&[&ncf70, "ncf70"], 1, "is not the device of"),
            (&[&ncf71, "ncf71"], 1, "is not the device of"),
        ] {
            let output = helper(arguments);
            assert_eq!(output.status.code(), Some(status), "{arguments:?}");
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(words.contains(said), "{arguments:?}: {words}");
        }
        for name in ["br0", "ncf70", "ncf71", "tap0", &port] {
            assert!(exists(name), "{name}");
        }
        // What is gone already is what was wanted.
        assert_eq!(helper(&["99999", "ncf99"]).status.code(), Some(0));
        assert_eq!(helper(&[&own, &port]).status.code(), Some(0));
        assert!(!exists(&port));
        nets.done("repair");
        assert!(nets.ports().is_empty());
    });
}

#[test]
fn nothing_of_many_ports_is_left_by_name() {
    if !need::met(true, &["ip"]) {
        return;
    }
    in_namespace(|| {
        let nets = host();
        let ports: Vec<_> = (0..8).map(|_| plug(&nets)).collect();
        nets.done("unplug --owner guest");
        for port in &ports {
            assert!(!exists(port));
            // Free at once, in whatever way it is used.
            ip(&format!("link add {port} type bridge"));
            ip(&format!("link delete {port}"));
        }
        assert!(nets.ports().is_empty());
    });
}
