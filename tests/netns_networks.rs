//! Starting and stopping networks with the real program, each test in a network namespace of its own: what the
//! kernel has afterwards, what passes, and what is left when it is killed in between.

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
use std::process::Command;

use serde_json::{Value, json};
use support::host::{Host, Ran, isolate};
use support::need;
use support::netns::{
    Peer, addresses, answers, dump, exists, in_namespace, ip, ip_json, link_attribute, veth,
};
use support::networks::Nets;
use support::sweep::{self, Fault, Point};

fn sysctl(path: &str) -> String {
    let path = Path::new("/proc/sys/net").join(path);
    fs::read_to_string(path).unwrap().trim().to_owned()
}

const LAB: &str = "<network><name>lab</name><bridge name='lab0' stp='off' delay='4'/><mac address='52:54:00:00:00:07'/>\
    <mtu size='1400'/><ip address='192.0.2.1' prefix='24'/><ip address='198.51.100.1' netmask='255.255.255.128'/>\
    <ip family='ipv6' address='2001:db8::1' prefix='64'/></network>";

#[test]
fn a_bridge_is_made_as_the_definition_has_it_and_removed() {
    in_namespace(|| {
        let net = Nets::new();
        let before = dump();
        net.define(LAB);
        net.done("start lab");
        let link = &ip_json("link show dev lab0")[0];
        assert_eq!(link["address"], "52:54:00:00:00:07");
        assert_eq!(link["mtu"], 1400);
        assert!(link["flags"].to_string().contains("\"UP\""), "{link}");
        let data = &link["linkinfo"]["info_data"];
        assert_eq!(
            (&data["stp_state"], &data["forward_delay"]),
            (&json!(0), &json!(400))
        );
        assert_eq!(
            addresses("lab0"),
            ["192.0.2.1/24", "198.51.100.1/25", "2001:db8::1/64"]
        );
        for (name, value) in [
            ("ipv4/conf/lab0/forwarding", "0"),
            ("ipv6/conf/lab0/accept_ra", "0"),
            ("ipv6/conf/lab0/autoconf", "0"),
            ("ipv6/conf/lab0/disable_ipv6", "0"),
            ("ipv4/ip_forward", "0"),
        ] {
            assert_eq!(sysctl(name), value, "{name}");
        }
        assert_eq!(net.list()[0]["state"], "active");
        net.ncf("start lab")
            .refused(3, &["the network lab runs already"]);
        net.done("stop lab");
        assert_eq!(dump(), before);
        assert_eq!(net.records(), Vec::<String>::new());
        net.ncf("stop lab").refused(3, &["does not run"]);
    });
}

#[test]
fn guests_of_a_routed_network_reach_what_is_beyond_the_host() {
    in_namespace(|| {
        let (net, guest, beyond) = (Nets::new(), Peer::new(), Peer::new());
        veth("up0", "far0");
        veth("vnet0", "eth0");
        guest.take("eth0");
        beyond.take("far0");
        ip("address add 203.0.113.1/24 dev up0");
        ip("link set up0 up");
        for command in [
            "address add 203.0.113.2/24 dev far0",
            "link set far0 up",
            "route add default via 203.0.113.1",
        ] {
            beyond.ip(command);
        }
        net.done("define --name out --mode route --dev up0 --address 192.0.2.1/24");
        net.done("define --name lab --mode isolated --address 198.51.100.1/24");
        net.done("start lab out");
        let bridge = net.list()[1]["bridge"].as_str().unwrap().to_owned();
        ip(&format!("link set {bridge} type bridge stp_state 0"));
        ip(&format!("link set vnet0 up master {bridge}"));
        for command in [
            "address add 192.0.2.2/24 dev eth0",
            "link set eth0 up",
            "route add default via 192.0.2.1",
        ] {
            guest.ip(command);
        }
        assert!(answers("192.0.2.2".parse().unwrap()));
        assert_eq!(sysctl("ipv4/ip_forward"), "1");
        // A ping from over there: 'ip' runs anything in a namespace only by name, so the route says it.
        let lab = net.list()[0]["bridge"].as_str().unwrap().to_owned();
        assert_eq!(sysctl(&format!("ipv4/conf/{lab}/forwarding")), "0");
        assert_eq!(sysctl(&format!("ipv4/conf/{bridge}/forwarding")), "1");
        let route = ip_json(&format!(
            "route get 203.0.113.2 from 192.0.2.2 iif {bridge}"
        ));
        assert_eq!(route[0]["dev"], "up0");
        net.ncf("stop out").refused(3, &["vnet0 is in its bridge"]);
        net.done("stop out --force");
        assert!(exists("vnet0"));
        assert_eq!(sysctl("ipv4/ip_forward"), "0");
    });
}

#[test]
fn the_last_network_switches_forwarding_off_and_only_if_it_was() {
    in_namespace(|| {
        let net = Nets::new();
        net.done("define --name a --mode route --address 192.0.2.1/24 --address 2001:db8::1/64");
        net.done("define --name b --mode open --address 198.51.100.1/24");
        net.done("start a b");
        net.done("stop a");
        assert_eq!(
            (
                sysctl("ipv4/ip_forward"),
                sysctl("ipv6/conf/all/forwarding")
            ),
            ("1".into(), "0".into())
        );
        net.done("stop b");
        assert_eq!(sysctl("ipv4/ip_forward"), "0");
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        net.done("start b");
        net.done("stop b");
        assert_eq!(sysctl("ipv4/ip_forward"), "1");
    });
}

#[test]
fn static_routes_lead_through_the_bridge() {
    in_namespace(|| {
        let net = Nets::new();
        net.define(&LAB.replace(
            "</network>",
            "<route address='203.0.113.0' prefix='24' gateway='192.0.2.9' metric='5'/>\
             <route family='ipv6' address='2001:db8:5::' prefix='48' gateway='2001:db8::9'/></network>",
        ));
        net.done("start lab");
        let routes = ip("route show dev lab0 metric 5");
        assert!(routes.contains("203.0.113.0/24 via 192.0.2.9"), "{routes}");
        let routes = ip("-6 route show dev lab0");
        assert!(
            routes.contains("2001:db8:5::/48 via 2001:db8::9"),
            "{routes}"
        );
    });
}

#[test]
fn what_would_draw_traffic_away_is_refused() {
    in_namespace(|| {
        let net = Nets::new();
        veth("up0", "far0");
        ip("link set far0 up");
        ip("link set up0 up");
        ip("address add 192.0.2.200/28 dev up0");
        ip("route add 198.51.100.0/26 via 192.0.2.201");
        let before = dump();
        net.define(LAB);
        net.ncf("start lab").refused(
            1,
            &["cannot start the network lab: 192.0.2.0/24 overlaps with 192.0.2.200/28 of up0"],
        );
        net.done("define --name b --address 198.51.100.1/24");
        net.ncf("start b")
            .refused(1, &["overlaps with the route 198.51.100.0/26 through up0"]);
        net.done("define --name c --address 203.0.113.1/24");
        let mut start = net.command_of(&["start", "c"]);
        start.env("SSH_CONNECTION", "203.0.113.77 1 203.0.113.1 22");
        Ran::from(start.output().unwrap()).refused(1, &["your own address, 203.0.113.77"]);
        assert_eq!(dump(), before);
        assert_eq!(net.records(), Vec::<String>::new());
    });
}

#[test]
fn a_bridge_that_ncf_has_not_made_is_neither_taken_nor_removed() {
    in_namespace(|| {
        let net = Nets::new();
        ip("link add lab0 type bridge");
        net.define(LAB);
        net.ncf("start lab").refused(
            1,
            &["there is a bridge lab0 already, which ncf has not made"],
        );
        assert!(exists("lab0"));
        ip("link delete lab0");
        net.done("start lab");
        // Somebody puts another in its place, with the same address even.
        ip("link delete lab0");
        ip("link add lab0 address 52:54:00:00:00:07 type bridge");
        assert_eq!(net.list()[0]["state"], "broken");
        let ran = net.ncf("stop lab");
        assert_eq!(ran.status, Some(3), "{ran:?}");
        assert!(exists("lab0"));
        assert_eq!(net.records(), Vec::<String>::new());
    });
}

#[test]
fn from_another_namespace_a_network_is_left_alone() {
    in_namespace(|| {
        let net = Nets::new();
        net.define(LAB);
        net.done("start lab");
        let elsewhere = |arguments: &[&str]| {
            let inner = net.command_of(arguments);
            let mut command = Command::new("unshare");
            command
                .arg("--net")
                .arg(inner.get_program())
                .args(inner.get_args());
            isolate(&mut command);
            Ran::from(command.output().unwrap())
        };
        elsewhere(&["stop", "lab", "--force"]).refused(3, &["another network namespace"]);
        assert_eq!(elsewhere(&["autostart", "lab"]).status, Some(0));
        assert!(elsewhere(&["list"]).stdout.contains("active"));
        assert_eq!(net.list()[0]["state"], "active");
        net.done("stop lab");
    });
}

#[test]
fn what_is_not_done_yet_is_said_and_nothing_is_done() {
    in_namespace(|| {
        let net = Nets::new();
        net.define(
            "<network><name>n</name><forward mode='nat'/><ip address='192.0.2.1'/></network>",
        );
        net.define(
            "<network><name>d</name><dns><host ip='192.0.2.1'><hostname>a</hostname></host></dns>\
             <ip address='192.0.2.1'><dhcp><range start='192.0.2.2' end='192.0.2.9'/></dhcp></ip></network>",
        );
        let before = dump();
        net.ncf("start n").refused(
            1,
            &["cannot start the network n: ncf does not do the mode nat yet"],
        );
        net.ncf("start d").refused(
            1,
            &["cannot start the network d: ncf does not do DHCP and DNS yet"],
        );
        assert_eq!(dump(), before);
        let ran = net.done("start d --without-services");
        assert!(
            ran.stderr.contains("it runs without DHCP and DNS"),
            "{ran:?}"
        );
    });
}

#[test]
fn devices_are_looked_for() {
    in_namespace(|| {
        let net = Nets::new();
        veth("eth1", "far1");
        ip("link add br0 type bridge");
        net.done("define --pool some --mode private --dev eth1 --dev eth2");
        net.done("define --pool none --mode vepa --dev eth8 --dev eth9");
        net.done("define --name pf --mode passthrough --pf eth9");
        net.done("define --name pci --pci ffff:ff:1f.7");
        net.done("define --name host --bridge br0");
        net.done("define --name odd --bridge eth1");
        net.done("define --name gone --bridge br7");
        let before = dump();
        let ran = net.done("start some");
        assert!(ran.stderr.contains("eth2 is not there"), "{ran:?}");
        let ran = net.done("start host");
        assert!(ran.stderr.contains("the bridge br0 is down"), "{ran:?}");
        for (name, words) in [
            ("none", "none of its devices is there: eth8, eth9"),
            ("pf", "its device is not there: eth9"),
            ("pci", "its device is not there: ffff:ff:1f.7"),
            ("odd", "eth1 is not a bridge"),
            ("gone", "there is no bridge br7"),
            ("missing", "there is no network missing"),
        ] {
            net.ncf(&format!("start {name}")).refused(1, &[words]);
        }
        net.done("stop some");
        net.done("stop host");
        assert_eq!(dump(), before);
    });
}

#[test]
fn networks_are_started_at_boot_each_by_itself() {
    in_namespace(|| {
        let net = Nets::new();
        net.define(LAB);
        net.done("autostart lab");
        net.done("define --name gone --bridge br7 --autostart");
        net.done("define --name not --address 203.0.113.1/24");
        let ran = net.ncf("start --autostart");
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("there is no bridge br7"), "{ran:?}");
        let states: Vec<_> = net
            .list()
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["state"].clone())
            .collect();
        assert_eq!(states, ["inactive", "active", "inactive"]);
        net.done("autostart gone --disable");
        net.done("start --autostart");
    });
}

#[test]
fn several_are_stopped_each_by_itself() {
    in_namespace(|| {
        let net = Nets::new();
        for (name, number) in [("a", 1), ("b", 2), ("c", 3)] {
            net.done(&format!(
                "define --name {name} --address 203.0.{number}.1/24"
            ));
        }
        net.done("start a c");
        let ran = net.ncf("--json stop a b c");
        assert_eq!(ran.status, Some(1), "{ran:?}");
        let stopped: Value = serde_json::from_str(&ran.stdout).unwrap();
        let stopped: Vec<_> = stopped
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["stopped"].clone())
            .collect();
        assert_eq!(stopped, [true, false, true]);
        assert!(ran.stderr.contains("the network b does not run"), "{ran:?}");
        net.done("start a b");
        assert_eq!(
            net.done("stop a b").stdout,
            "The network a is stopped.\nThe network b is stopped.\n"
        );
    });
}

#[test]
fn a_rollback_says_what_runs_by_an_older_definition() {
    in_namespace(|| {
        let host = Host::new();
        let ncf = |arguments: &[&str]| {
            let mut command = host.command(&["--applier", "builtin"]);
            command.args(arguments);
            Ran::from(command.output().unwrap())
        };
        let done = |arguments: &[&str]| {
            let ran = ncf(arguments);
            assert_eq!(ran.status, Some(0), "{arguments:?}: {ran:?}");
            ran
        };
        done(&[
            "net",
            "define",
            "--name",
            "lab",
            "--address",
            "192.0.2.1/24",
        ]);
        done(&["change-begin"]);
        let part = "<portgroup name='new'/>";
        done(&["net", "update", "lab", "add", "portgroup", part]);
        done(&[
            "net",
            "define",
            "--name",
            "new",
            "--address",
            "198.51.100.1/24",
        ]);
        done(&["net", "start", "lab", "new"]);
        let ran = done(&["change-rollback"]);
        for words in [
            "the network lab runs on by another definition than the one that is there now",
            "'ncf net stop lab' and 'ncf net start lab' take it over",
            "the network new runs on, and is not defined any more",
        ] {
            assert!(ran.stderr.contains(words), "{words}: {ran:?}");
        }
        let listed = done(&["net", "list"]).stdout;
        assert!(listed.contains("active, changed"), "{listed}");
        assert!(listed.contains("active, not defined"), "{listed}");
        done(&["net", "stop", "lab", "new"]);
        done(&["net", "start", "lab"]);
        assert!(!done(&["net", "list"]).stdout.contains("changed"));
    });
}

#[test]
fn what_runs_is_changed_without_a_gap() {
    in_namespace(|| {
        let net = Nets::new();
        net.define(LAB);
        net.done("start lab");
        let index = link_attribute("lab0", "ifindex");
        let update = |arguments: &[&str]| {
            let arguments = [&["update", "lab"], arguments].concat();
            Ran::from(net.command_of(&arguments).output().unwrap())
        };
        let ran = update(&["modify", "bridge", "<bridge stp='on' delay='3'/>", "--live"]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        let data = &ip_json("link show dev lab0")[0]["linkinfo"]["info_data"];
        assert_eq!(
            (&data["stp_state"], &data["forward_delay"]),
            (&json!(1), &json!(300))
        );
        assert_eq!(link_attribute("lab0", "ifindex"), index);
        assert!(net.done("dumpxml lab --live").stdout.contains("delay='3'"));
        assert!(net.done("dumpxml lab").stdout.contains("delay='4'"));
        update(&["modify", "bridge", "<bridge name='lab1'/>"])
            .refused(3, &["only in its definition"]);
        assert!(exists("lab0") && !exists("lab1"));
        let info: Value = serde_json::from_str(&net.done("info lab --json").stdout).unwrap();
        assert_eq!(info["changed"], json!(true));
        net.done("undefine lab");
        assert_eq!(net.list()[0]["persistent"], json!(false));
        net.done("stop lab");
        assert_eq!(net.list(), json!([]));
    });
}

#[test]
fn the_limits_of_a_network_are_on_its_bridge_while_it_runs() {
    in_namespace(|| {
        let net = Nets::new();
        ip("link add br0 up type bridge");
        net.done("define --name own --address 192.0.2.1/24 --inbound 1000 --outbound 2000");
        net.done("define --name one --bridge br0 --inbound 1000,2000,512");
        net.done("define --name two --bridge br0 --inbound 3000");
        let qdiscs = |device: &str| {
            let shown = Command::new("tc")
                .args(["qdisc", "show", "dev", device])
                .output()
                .unwrap();
            String::from_utf8(shown.stdout).unwrap()
        };
        let before = (dump(), qdiscs("br0"));
        net.done("start own one");
        let own = net.list()[1]["bridge"].as_str().unwrap().to_owned();
        assert!(qdiscs(&own).contains("htb"), "{}", qdiscs(&own));
        assert!(qdiscs("br0").contains("htb"), "{}", qdiscs("br0"));
        let limited = qdiscs("br0");
        net.ncf("start two")
            .refused(1, &["br0 has limits already (network one)"]);
        assert_eq!(qdiscs("br0"), limited);
        net.done("stop own");
        net.done("stop one");
        assert_eq!((dump(), qdiscs("br0")), before);
        net.done("start two");
        let text = "<network><name>f</name><bandwidth><inbound average='1' floor='1'/></bandwidth></network>";
        let file = net.state().join("floor");
        fs::write(&file, text).unwrap();
        let ran = net.ncf(&format!("define {}", file.display()));
        assert!(
            ran.stderr.contains("1:24: a network has no floor"),
            "{ran:?}"
        );
    });
}

/// The calls beside those of the disk: netlink, and through it the kernel's network.
fn points(net: &Nets, arguments: &[&str]) -> Vec<Point> {
    let mut points = Vec::new();
    for (call, changes) in sweep::calls_of(&net.command_of(arguments)) {
        for (number, changes) in (1..).zip(changes) {
            if changes {
                points.push((call.clone(), number));
            }
        }
    }
    let sends = sweep::count(&net_command_again(net, arguments), "sendto");
    points.extend((1..=sends).map(|number| ("sendto".to_owned(), number)));
    let faults = [Fault::Kill, Fault::Full];
    let all = points.into_iter().flat_map(|(call, number)| {
        let call = call.clone();
        faults.map(|fault| Point {
            call: call.clone(),
            number,
            fault,
        })
    });
    all.collect()
}

fn net_command_again(net: &Nets, arguments: &[&str]) -> Command {
    // What the first run has done is undone, so that the second does the same.
    let undo = if arguments[0] == "start" {
        "stop"
    } else {
        "start"
    };
    let _ = net.ncf(&format!("{undo} out"));
    net.command_of(arguments)
}

#[test]
fn killed_at_any_moment_a_start_leaves_nothing_or_all() {
    if !need::met(true, &["strace"]) {
        return;
    }
    in_namespace(|| sweep_over("start"));
}

#[test]
fn killed_at_any_moment_a_stop_leaves_nothing_or_all() {
    if !need::met(true, &["strace"]) {
        return;
    }
    in_namespace(|| sweep_over("stop"));
}

fn sweep_over(what: &'static str) {
    let net = Nets::new();
    net.define(
        "<network><name>out</name><forward mode='route'/><bridge name='out0'/>\
         <bandwidth><inbound average='1000'/></bandwidth><ip address='192.0.2.1' prefix='24'/></network>",
    );
    let stopped = dump();
    if what == "stop" {
        net.done("start out");
    }
    let points = points(&net, &[what, "out"]);
    assert!(points.len() > 20, "only {} points", points.len());
    for point in points {
        // The next command that changes something repairs; then it is one or the other.
        if net.list()[0]["state"] == "active" {
            net.done("stop out");
        }
        if what == "stop" {
            net.done("start out");
        }
        let (ran, fired) = sweep::run(&net.command_of(&[what, "out"]), &point);
        ran.assert_orderly(&format!("{point:?}"));
        if fired && ran.status == Some(0) {
            assert_eq!(
                net.list()[0]["state"],
                if what == "start" {
                    "active"
                } else {
                    "inactive"
                }
            );
        }
        net.ncf("autostart out --disable");
        match net.list()[0]["state"].as_str() {
            Some("active") => {
                assert!(exists("out0"), "{point:?}: {ran:?}");
                assert_eq!(sysctl("ipv4/ip_forward"), "1", "{point:?}: {ran:?}");
            }
            Some("inactive") => {
                assert_eq!(dump(), stopped, "{point:?}: {ran:?}");
                assert_eq!(sysctl("ipv4/ip_forward"), "0", "{point:?}: {ran:?}");
                assert_eq!(net.records(), Vec::<String>::new(), "{point:?}");
            }
            other => panic!("{point:?}: {other:?}: {ran:?}"),
        }
    }
}

#[test]
fn of_many_starts_at_once_one_does_it() {
    in_namespace(|| {
        let net = Nets::new();
        net.define(LAB);
        let children: Vec<_> = (0..8)
            .map(|_| {
                let mut command = net.command_of(&["start", "lab"]);
                command
                    .stdout(std::process::Stdio::null())
                    .stderr(std::process::Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        let ended: Vec<_> = children
            .into_iter()
            .map(|it| Ran::from(it.wait_with_output().unwrap()))
            .collect();
        let done = ended.iter().filter(|ran| ran.status == Some(0)).count();
        assert_eq!(done, 1, "{ended:?}");
        // The others found it running, or the lock held.
        assert!(
            ended.iter().all(|ran| matches!(ran.status, Some(0 | 3))),
            "{ended:?}"
        );
        net.done("stop lab");
        assert!(!exists("lab0"));
    });
}
