//! A plug or unplug that is killed, or fails, at every system call that changes something: what the next command finds is a
//! port that is there as a whole, or none at all.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use serde_json::Value;
use support::need;
use support::netns::{in_namespace, ip, ip_json, private_devices, veth};
use support::networks::Nets;
use support::sweep::{Fault, Point, calls_of_these, run};

/// Beside files and locks: netlink and what makes tap devices.
const CALLS: &str = "?open,openat,write,pwrite64,ftruncate,?mkdir,mkdirat,?rename,renameat,renameat2,?unlink,unlinkat,\
    fsync,fdatasync,?mknod,mknodat,ioctl,sendto,sendmsg,?chown,fchownat,flock";

/// All that a port may leave: devices, records, the lower device's address.
#[derive(Debug, PartialEq)]
struct Seen {
    devices: Vec<String>,
    ports: Vec<String>,
    unfinished: Vec<String>,
    lower: String,
}

fn seen(nets: &Nets) -> Seen {
    let links = ip_json("link show");
    let links = links.as_array().unwrap();
    let name = |link: &Value| link["ifname"].as_str().unwrap().to_owned();
    let lower = links.iter().find(|link| name(link) == "eth1").unwrap();
    let boots = std::fs::read_dir(nets.state().join("ports"))
        .into_iter()
        .flatten();
    let files = boots.flat_map(|boot| std::fs::read_dir(boot.unwrap().path()).unwrap());
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    Seen {
        devices: links
            .iter()
            .map(name)
            .filter(|it| it.starts_with("ncf"))
            .collect(),
        ports: nets.ports(),
        unfinished: files.filter(|it| it.starts_with(".ncf")).collect(),
        lower: lower["address"].as_str().unwrap().to_owned(),
    }
}

/// Every fault at every call of `command`; `prepare` makes what it begins with, `check` looks at what came of it.
fn sweep(nets: &Nets, arguments: &str, prepare: impl Fn(), check: impl Fn(&Seen, &str)) {
    prepare();
    let command = nets.command(arguments);
    let calls = calls_of_these(&command, CALLS);
    let mut points = 0;
    for (call, changing) in calls {
        for (index, changes) in changing.iter().enumerate() {
            // An ioctl or a message to the kernel that fails is its refusal: tested by what it refuses.
            let faults: &[Fault] = if ["ioctl", "sendto", "sendmsg"].contains(&call.as_str()) {
                &[Fault::Kill, Fault::Broken]
            } else {
                &[Fault::Kill, Fault::Full]
            };
            for fault in faults.iter().filter(|_| *changes) {
                prepare();
                let point = Point {
                    call: call.clone(),
                    number: index + 1,
                    fault: *fault,
                };
                let (ran, _) = run(&nets.command(arguments), &point);
                ran.assert_orderly(&format!("{point:?}"));
                let when = format!("{arguments}: {point:?}: {ran:?}");
                let after = nets.ncf("repair");
                assert_eq!(after.status, Some(0), "{when}: {after:?}");
                check(&seen(nets), &when);
                points += 1;
            }
        }
    }
    assert!(points > 20, "only {points} points");
}

/// The state before, and that with one port; and in between nothing.
fn one_or_none(before: &Seen, lower_changes: bool) -> impl Fn(&Seen, &str) {
    let lower = before.lower.clone();
    move |seen, when| {
        assert!(seen.unfinished.is_empty(), "{when}: {seen:?}");
        assert_eq!(seen.devices, seen.ports, "{when}");
        assert!(seen.ports.len() <= 1, "{when}: {seen:?}");
        if lower_changes {
            assert_eq!(
                seen.lower == lower,
                seen.ports.is_empty(),
                "{when}: {seen:?}"
            );
        }
    }
}

fn host() -> Nets {
    let nets = Nets::new();
    ip("link add br0 type bridge");
    ip("link set br0 up");
    veth("eth1", "far1");
    ip("link set eth1 up");
    nets.network(
        "bridged",
        "<forward mode='bridge'/><bridge name='br0'/><port isolated='yes'/>",
    );
    nets.pool("direct", "passthrough", &["eth1"]);
    nets
}

fn sweep_both(network: &'static str, lower_changes: bool, more: &'static str) {
    if !need::met(true, &["strace", "ip"]) {
        return;
    }
    in_namespace(move || {
        private_devices();
        let nets = host();
        // So that numbers and directories are there, as in all but the first plug of a boot.
        nets.done(&format!("plug {network} --owner first"));
        nets.done("unplug --owner first");
        let before = seen(&nets);
        let none = || drop(nets.done("-q unplug --owner guest"));
        let plug = format!("-q plug {network} --owner guest --mac 52:54:00:00:00:0c {more}");
        sweep(&nets, &plug, none, one_or_none(&before, lower_changes));
        let one = || {
            none();
            nets.done(&plug);
        };
        sweep(
            &nets,
            "-q unplug --owner guest",
            one,
            one_or_none(&before, lower_changes),
        );
        none();
        assert_eq!(seen(&nets), before);
    });
}

#[test]
fn a_tap_is_there_or_not() {
    sweep_both("bridged", false, "--inbound 1000");
}

#[test]
fn a_device_taken_over_is_taken_or_given_back() {
    sweep_both("direct", true, "");
}
