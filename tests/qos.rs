//! Limits in a real kernel: what is there after each command, compared with what libvirt's `tc` commands would have
//! made, and what stays, goes and comes back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::process::Command;

use ncf::qos::kernel::Kernel;
use ncf::qos::network::{self, Port};
use ncf::qos::record::Target;
use ncf::qos::steps::Present;
use ncf::qos::tree::{FIRST, MAJOR, REST};
use ncf::qos::{Bandwidth, Qos};
use ncf::sys::netlink::tc::{Class, HtbClass};
use serde_json::Value;
use support::host::{Host, Ran};
use support::netns::{events, exists, in_namespace, ip, veth};

/// A host whose devices are those of the test's namespace.
fn host() -> Host {
    Host::new()
}

fn running(host: &Host, arguments: &[&str]) -> Ran {
    host.ncf(&[&["--applier", "builtin"], arguments].concat())
}

#[track_caller]
fn done(host: &Host, arguments: &str) -> Ran {
    let words: Vec<_> = arguments.split_whitespace().collect();
    let ran = running(host, &words);
    assert_eq!(ran.status, Some(0), "{arguments}: {ran:?}");
    ran
}

#[track_caller]
fn refused(host: &Host, arguments: &str, status: i32, words: &[&str]) {
    let typed: Vec<_> = arguments.split_whitespace().collect();
    running(host, &typed).refused(status, words);
}

#[track_caller]
fn shown(host: &Host, device: &str) -> Value {
    let ran = done(host, &format!("--json qos show {device}"));
    serde_json::from_str::<Value>(&ran.stdout).unwrap()[0].clone()
}

/// Runs `tc`; fails unless it succeeds.
#[track_caller]
fn tc(arguments: &str) -> String {
    let words = arguments.split_whitespace();
    let output = Command::new("tc").args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tc {arguments}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn present(device: &str) -> Present {
    let mut kernel = Kernel::open().unwrap();
    let link = kernel.link(&device.parse().unwrap()).unwrap().unwrap();
    kernel.present(&link).unwrap()
}

fn class(classes: &[Class], minor: u16) -> HtbClass {
    let found = classes.iter().find(|class| class.handle.minor() == minor);
    found
        .unwrap_or_else(|| panic!("no class {minor}: {classes:?}"))
        .htb
        .unwrap()
}

/// The classes of a device, whoever made them.
fn classes(device: &str) -> Vec<Class> {
    let mut kernel = Kernel::open().unwrap();
    let link = kernel.link(&device.parse().unwrap()).unwrap().unwrap();
    kernel.socket().classes(&link).unwrap()
}

#[track_caller]
fn assert_same(ours: HtbClass, theirs: HtbClass) {
    assert_eq!((ours.rate, ours.ceil), (theirs.rate, theirs.ceil));
    // tc counts a burst in whole microseconds.
    let microsecond = ours.rate / 1_000_000 + 2;
    assert!(
        ours.burst.abs_diff(theirs.burst) <= microsecond,
        "{ours:?}, {theirs:?}"
    );
}

/// What libvirt runs for `<inbound average= peak= burst=/>` on a tap: `virNetDevBandwidthSet()` in
/// `src/util/virnetdevbandwidth.c`, without the fair queue and the mark filter that this kernel does not know.
fn libvirt(device: &str, average: u64, peak: Option<u64>, burst: Option<u64>) {
    let quantum = (average * 1024 / 8 / 1500).max(1);
    let peak = peak.map_or_else(String::new, |peak| format!("ceil {peak}kbps"));
    let burst = burst.map_or_else(String::new, |burst| format!("burst {burst}kb"));
    tc(&format!(
        "qdisc add dev {device} root handle 1: htb default 1"
    ));
    tc(&format!(
        "class add dev {device} parent 1: classid 1:1 htb rate {average}kbps {peak} {burst} quantum {quantum}"
    ));
}

#[test]
fn the_kernel_has_what_libvirts_commands_would_have_made() {
    in_namespace(|| {
        veth("v0", "v1");
        let host = host();
        for (average, peak, burst) in [
            (1000, Some(5000), Some(1024)),
            (128, Some(256), Some(256)),
            (125_000, Some(250_000), Some(8192)),
            (5_000_000, Some(10_000_000), Some(1 << 20)),
            (1, Some(2), Some(200)),
            (1000, None, Some(64)),
        ] {
            let text = [
                Some(average.to_string()),
                Some(peak.map_or_else(String::new, |it: u64| it.to_string())),
                burst.map(|it: u64| it.to_string()),
            ];
            let text: Vec<_> = text.into_iter().flatten().collect();
            done(&host, &format!("qos set v0 --inbound {}", text.join(",")));
            libvirt("v1", average, peak, burst);
            let (ours, theirs) = (class(&classes("v0"), 1), class(&classes("v1"), 1));
            assert_same(ours, theirs);
            tc("qdisc del dev v1 root");
        }
        // The same from XML.
        let file = host.path("b.xml");
        let text = "<bandwidth>\n<inbound average='1000' peak='5000' burst='1024'/>\n</bandwidth>";
        fs::write(&file, text).unwrap();
        done(&host, &format!("qos set v0 --xml {}", file.display()));
        libvirt("v1", 1000, Some(5000), Some(1024));
        assert_same(class(&classes("v0"), 1), class(&classes("v1"), 1));
    });
}

#[test]
fn a_network_has_the_tree_that_libvirt_makes() {
    in_namespace(|| {
        for bridge in ["br0", "br1"] {
            ip(&format!("link add {bridge} type bridge"));
        }
        let host = host();
        done(&host, "qos set br0 --inbound 10000,20000,512");
        tc("qdisc add dev br1 root handle 1: htb default 2");
        tc(
            "class add dev br1 parent 1: classid 1:1 htb rate 10000kbps ceil 20000kbps quantum 853333",
        );
        tc(
            "class add dev br1 parent 1:1 classid 1:2 htb rate 10000kbps ceil 20000kbps burst 512kb",
        );
        let (ours, theirs) = (classes("br0"), classes("br1"));
        assert_same(class(&ours, REST), class(&theirs, REST));
        let (ours, theirs) = (class(&ours, FIRST), class(&theirs, FIRST));
        assert_eq!((ours.rate, ours.ceil), (theirs.rate, theirs.ceil));
    });
}

#[test]
fn what_tc_shows_is_what_was_asked_for() {
    in_namespace(|| {
        veth("v0", "v1");
        let host = host();
        done(
            &host,
            "qos set v0 --inbound 10mbit,20mbit,512KiB --outbound 4294967295",
        );
        let text = tc("class show dev v0");
        assert!(
            text.contains("rate 10Mbit ceil 20Mbit burst 512Kb"),
            "{text}"
        );
        let (ifb, queue) = present("v0").ifb.unwrap();
        assert_eq!(class(&queue.classes, 1).rate, 4_294_967_295_000);
        let text = tc(&format!("class show dev {}", ifb.name));
        assert!(text.contains("rate 34359Gbit"), "{text}");
        let text = tc("filter show dev v0 parent ffff:");
        assert!(
            text.contains(&format!("Egress Redirect to device {}", ifb.name)),
            "{text}"
        );
        assert!(ip("link show").contains("ncf: what enters v0"));
    });
}

#[test]
fn a_second_limit_changes_values_and_touches_nothing_else() {
    in_namespace(|| {
        veth("v0", "v1");
        let host = host();
        done(&host, "qos set v0 --inbound 10mbit --outbound 5mbit");
        let before = (present("v0"), tc("qdisc show"));
        let changed = events(|| {
            done(&host, "qos set v0 --inbound 20mbit,30mbit,64");
            done(&host, "qos set v0 --outbound 7mbit");
            done(&host, "qos apply");
        });
        assert_eq!(changed, [] as [String; 0], "a device was touched");
        let after = present("v0");
        assert_eq!(tc("qdisc show"), before.1);
        assert_eq!(after.ingress.filters, before.0.ingress.filters);
        assert_eq!(class(&after.root.classes, 1).rate, 2_500_000);
        assert_eq!(class(&after.ifb.unwrap().1.classes, 1).rate, 875_000);
        let shown = shown(&host, "v0");
        assert_eq!(shown["applied"], true);
        assert_eq!(shown["limits"]["inbound"]["peak"], 3_750_000);
        assert_eq!(shown["view"], "guest");
        let sides = &shown["directions"];
        assert_eq!(
            (&sides[0]["side"], &sides[0]["how"]),
            (&"egress".into(), &"htb".into())
        );
        assert_eq!(
            (&sides[1]["side"], &sides[1]["how"]),
            (&"ingress".into(), &"ifb".into())
        );
    });
}

#[test]
fn what_ncf_did_not_make_is_refused_and_the_default_comes_back() {
    in_namespace(|| {
        veth("v0", "v1");
        for device in ["v0", "v1"] {
            ip(&format!("link set {device} up"));
        }
        let host = host();
        let fresh = tc("qdisc show");
        tc("qdisc add dev v0 root tbf rate 1mbit burst 10k latency 50ms");
        refused(
            &host,
            "qos set v0 --inbound 10mbit",
            1,
            &["v0", "tbf", "did not make"],
        );
        assert!(!host.state().join("qos/device-v0.json").exists());
        assert!(tc("qdisc show dev v0").contains("tbf"));
        done(&host, "qos set v0 --inbound 10mbit --replace");
        done(&host, "qos clear v0");
        assert_eq!(tc("qdisc show"), fresh);
        tc("qdisc add dev v0 ingress");
        tc("filter add dev v0 parent ffff: protocol ip prio 1 u32 match u32 0 0 flowid :1");
        refused(
            &host,
            "qos set v0 --outbound 10mbit",
            1,
            &["v0", "ingress", "did not make"],
        );
        done(&host, "qos set v0 --outbound 10mbit --replace");
        assert_eq!(present("v0").ingress.filters.len(), 1);
        done(&host, "qos clear v0 --outbound");
        assert_eq!(tc("qdisc show"), fresh);
        // An empty ingress qdisc is in nobody's way.
        tc("qdisc add dev v0 ingress");
        done(&host, "qos set v0 --outbound 10mbit");
        // Somebody adds a filter of their own: it stays when ncf's goes.
        tc("filter add dev v0 parent ffff: protocol ip prio 1 u32 match u32 0 0 flowid :1");
        done(&host, "qos clear v0");
        let left = present("v0");
        assert_eq!((left.ingress.filters.len(), left.ifb), (1, None));
        assert_eq!(left.ingress.filters[0].priority, 1);
    });
}

#[test]
fn each_kind_of_device_is_limited_on_its_own_side() {
    in_namespace(|| {
        veth("v0", "v1");
        ip("link set v0 up");
        ip("tuntap add t0 mode tap");
        ip("link add mt0 link v0 type macvtap mode bridge");
        ip("link add mv0 link v0 type macvlan mode bridge");
        ip("link add br0 type bridge");
        ip("link add vx0 type vxlan id 7 dstport 4789 remote 192.0.2.1");
        let host = host();
        for (device, kind, view, side) in [
            ("v0", "veth", "guest", "egress"),
            ("t0", "tap", "guest", "egress"),
            ("br0", "bridge", "guest", "egress"),
            ("mt0", "macvtap", "host", "ingress"),
            ("mv0", "macvlan", "host", "ingress"),
            ("vx0", "vxlan", "host", "ingress"),
        ] {
            done(&host, &format!("qos set {device} --inbound 10mbit"));
            let now = shown(&host, device);
            assert_eq!(now["kind"], kind);
            assert_eq!(now["view"], view, "{device}");
            assert_eq!(now["directions"][0]["side"], side, "{device}");
            assert_eq!(now["directions"].as_array().unwrap().len(), 1, "{device}");
            let (other, opposite) = match view {
                "guest" => ("host", "ingress"),
                _ => ("guest", "egress"),
            };
            done(
                &host,
                &format!("qos set {device} --inbound 10mbit --view {other}"),
            );
            let now = shown(&host, device);
            assert_eq!(now["directions"][0]["side"], opposite, "{device}");
            assert_eq!(now["directions"].as_array().unwrap().len(), 1, "{device}");
            done(&host, &format!("qos clear {device}"));
            assert!(!present(device).has_ours(), "{device}");
        }
        assert!(!ip("link show").contains("ncfi"));
    });
}

#[test]
fn what_a_device_cannot_do_is_refused_by_name() {
    in_namespace(|| {
        veth("v0", "v1");
        let host = host();
        for (arguments, status, words) in [
            (
                "qos set v0 --inbound ,,,1000",
                1,
                &["v0 cannot keep a floor"][..],
            ),
            (
                "qos set v0 --inbound 1000 --vf 2 --transient",
                1,
                &["function 2 of v0", "inbound"],
            ),
            (
                "qos set v0 --outbound 100mbit --vf 2",
                1,
                &["v0 has no virtual function 2"],
            ),
            (
                "qos set gone --inbound 1000 --transient",
                1,
                &["no device gone"],
            ),
            ("qos set v0:1 --inbound 1000", 2, &["v0:1", "not a device"]),
            (
                "qos set v0 --inbound 1,2,4294967295",
                1,
                &["v0", "at most 268 KiB"],
            ),
            ("qos show gone", 1, &["gone"]),
            ("qos measure gone --duration 1ms", 1, &["no device gone"]),
        ] {
            refused(&host, arguments, status, words);
        }
        for arguments in [
            "qos set v0 --inbound 0",
            "qos set v0 --inbound -5",
            "qos set v0 --inbound 2000,1000",
            "qos set v0 --inbound ten",
            "qos set v0 --inbound 10mbps",
            "qos set v0 --inbound 4294967296",
            "qos set ../x --inbound 10",
            "qos set v0",
            "qos measure v0 --duration 0s",
            "qos watch --interval -1s",
        ] {
            let words: Vec<_> = arguments.split_whitespace().collect();
            let ran = running(&host, &words);
            assert_eq!(ran.status, Some(2), "{arguments}: {ran:?}");
        }
        assert!(!present("v0").has_ours());
        assert_eq!(
            support::host::names(&host.state().join("qos")),
            [] as [String; 0]
        );
    });
}

#[test]
fn a_record_is_applied_when_its_device_appears_and_taken_away_with_it() {
    in_namespace(|| {
        let host = host();
        let said = done(&host, "qos set v0 --inbound 10mbit").stdout;
        assert!(said.contains("when it appears"), "{said}");
        veth("v0", "v1");
        done(&host, "qos apply v0");
        assert_eq!(class(&classes("v0"), 1).rate, 1_250_000);
        // Transient ones hold as long as the device is there, and win meanwhile.
        done(&host, "qos set v0 --inbound 20mbit --transient");
        done(&host, "qos apply");
        assert_eq!(class(&classes("v0"), 1).rate, 2_500_000);
        assert_eq!(shown(&host, "v0")["origin"]["kind"], "transient");
        ip("link del v0");
        veth("v0", "v1");
        done(&host, "qos apply");
        assert_eq!(class(&classes("v0"), 1).rate, 1_250_000);
        assert_eq!(shown(&host, "v0")["origin"]["kind"], "persistent");
        // Somebody takes it out of the kernel, or the record away.
        tc("qdisc del dev v0 root");
        assert_eq!(shown(&host, "v0")["applied"], false);
        done(&host, "qos apply --all");
        assert_eq!(shown(&host, "v0")["applied"], true);
        fs::remove_file(host.state().join("qos/device-v0.json")).unwrap();
        done(&host, "qos apply");
        assert!(!present("v0").has_ours());
    });
}

#[test]
fn one_that_fails_keeps_none_of_the_others() {
    in_namespace(|| {
        let host = host();
        for device in ["a0", "b0", "c0"] {
            done(&host, &format!("qos set {device} --inbound 10mbit"));
            ip(&format!("link add {device} type bridge"));
        }
        tc("qdisc add dev b0 root tbf rate 1mbit burst 10k latency 50ms");
        let ran = running(&host, &["qos", "apply"]);
        assert_eq!(ran.status, Some(4), "{ran:?}");
        assert!(ran.stderr.contains("b0"), "{ran:?}");
        for device in ["a0", "c0"] {
            assert_eq!(class(&classes(device), FIRST).rate, 1_250_000);
        }
    });
}

#[test]
fn what_is_limited_without_a_record_is_shown_too() {
    in_namespace(|| {
        for device in ["v0", "w0"] {
            veth(device, &device.replace('0', "1"));
        }
        let host = host();
        done(&host, "qos set v0 --outbound 10mbit");
        done(&host, "qos set w0 --inbound 10mbit");
        for lost in ["qos/device-v0.json", "qos/device-w0.json", "run/qos.json"] {
            fs::remove_file(host.state().join(lost)).unwrap();
        }
        let said = done(&host, "qos show").stdout;
        for device in ["v0", "w0"] {
            assert!(
                said.contains(&format!("{device} (veth): not recorded")),
                "{said}"
            );
            done(&host, &format!("qos clear {device}"));
        }
        assert!(done(&host, "qos show").stdout.contains("no limits"));
    });
}

#[test]
fn a_device_without_a_queue_of_its_own_has_one_in_its_limit() {
    in_namespace(|| {
        ip("tuntap add t0 mode tap");
        ip("link set t0 up txqueuelen 0");
        let host = host();
        done(&host, "qos set t0 --inbound 10mbit");
        let said = tc("qdisc show dev t0");
        // Of pfifo or fq_codel; sfq has 127p.
        assert!(!said.contains("limit 0p"), "{said}");
        assert!(said.contains("parent 6e63:1 limit"), "{said}");
        let leaf = &shown(&host, "t0")["directions"][0]["classes"][0]["leaf"];
        assert_ne!(*leaf, "default");
    });
}

#[test]
fn another_root_is_left_alone() {
    in_namespace(|| {
        veth("v0", "v1");
        let host = host();
        host.done(&["qos", "set", "v0", "--inbound", "10mbit"]);
        assert!(!present("v0").has_ours());
        let shown = host.json(&["qos", "show"]);
        assert_eq!(shown[0]["limits"]["inbound"]["average"], 1_250_000);
        host.ncf(&["qos", "apply"]).refused(3, &["another system"]);
        host.done(&["qos", "clear", "v0"]);
        assert_eq!(host.json(&["qos", "show"]), Value::Array(Vec::new()));
    });
}

#[test]
fn a_rollback_brings_records_and_the_kernel_back() {
    in_namespace(|| {
        veth("v0", "v1");
        veth("w0", "w1");
        veth("x0", "x1");
        let host = host();
        done(
            &host,
            "qos set v0 --inbound 10mbit,20mbit,512 --outbound 5mbit",
        );
        done(&host, "qos set x0 --inbound 3mbit");
        done(&host, "change-begin");
        done(&host, "qos set v0 --inbound 50mbit");
        done(&host, "qos set w0 --inbound 7mbit");
        done(&host, "qos clear x0");
        let status: Value = serde_json::from_str(&done(&host, "--json status").stdout).unwrap();
        assert_eq!(status["changes"].as_array().unwrap().len(), 3, "{status}");
        done(&host, "change-rollback");
        let v0 = class(&classes("v0"), 1);
        assert_eq!((v0.rate, v0.ceil), (1_250_000, 2_500_000));
        assert!(
            !present("w0").has_ours(),
            "what the change had added is gone"
        );
        assert_eq!(class(&classes("x0"), 1).rate, 375_000);
        for device in ["v0", "x0"] {
            assert_eq!(shown(&host, device)["applied"], true, "{device}");
        }
        // What is committed stays.
        done(&host, "change-begin");
        done(&host, "qos set v0 --inbound 60mbit");
        done(&host, "change-commit");
        assert_eq!(class(&classes("v0"), 1).rate, 7_500_000);
    });
}

#[test]
fn a_bridge_that_a_rollback_makes_anew_gets_its_limit_back() {
    in_namespace(|| {
        let host = host();
        host.write("ifcfg-br0", "DEVICE=br0\nTYPE=Bridge\nONBOOT=yes\n");
        ip("link add br0 type bridge");
        ip("link set br0 up");
        done(&host, "qos set br0 --inbound 10mbit");
        done(&host, "change-begin");
        host.write(
            "ifcfg-br0",
            "DEVICE=br0\nTYPE=Bridge\nONBOOT=yes\nMTU=1400\n",
        );
        ip("link del br0");
        done(&host, "change-rollback");
        assert!(exists("br0"));
        assert_eq!(class(&classes("br0"), FIRST).rate, 1_250_000);
    });
}

/// Applies what a network and its ports ask for.
fn with_qos<T>(host: &Host, act: impl FnOnce(&mut Qos<'_>) -> T) -> T {
    let state = ncf::state::StateDir::new(host.state());
    let lock = state.lock("test").unwrap();
    let mut qos = Qos::open(&state, &lock, true).unwrap();
    let done = act(&mut qos);
    qos.close().unwrap();
    done
}

fn inbound(text: &str) -> Bandwidth {
    Bandwidth {
        inbound: Some(text.parse().unwrap()),
        outbound: None,
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story")]
fn ports_with_floors_come_and_go_on_a_networks_bridge() {
    in_namespace(|| {
        ip("link add br0 type bridge");
        let host = host();
        let bridge = "br0".parse().unwrap();
        let devices = ["p0", "p1", "p2"].map(|name| {
            veth(name, &format!("{name}g"));
            name.parse().unwrap()
        });
        let port = |number: u8, text: &str| Port {
            name: ["one", "two", "three"][usize::from(number)],
            device: &devices[usize::from(number)],
            mac: ncf::sys::name::MacAddress([0x52, 0x54, 0, 0, 0, number]),
            bandwidth: inbound(text),
        };
        with_qos(&host, |qos| {
            network::start(qos, "lab", &bridge, &inbound("1000,1500,64")).unwrap();
            network::plug(qos, Some(&bridge), &port(0, "500,,,200")).unwrap();
            network::plug(qos, Some(&bridge), &port(1, ",,,700")).unwrap();
        });
        let now = present("br0");
        assert_eq!(now.root.ports().len(), 2);
        let rates = [FIRST, REST, 3, 4].map(|minor| class(&now.root.classes, minor).rate / 1000);
        assert_eq!(rates, [1000, 100, 200, 700]);
        assert_eq!(class(&classes("p0"), 1).rate, 500_000);
        assert!(!present("p1").has_ours());
        let shown_bridge = shown(&host, "br0");
        assert_eq!(shown_bridge["origin"]["name"], "lab");
        assert_eq!(
            shown_bridge["directions"][0]["classes"][2]["mac"],
            "52:54:00:00:00:00"
        );
        assert_eq!(shown(&host, "p0")["origin"]["kind"], "port");
        // More than there is, refused with by how much; nothing has changed.
        let why = with_qos(&host, |qos| {
            assert_eq!(network::left(qos, &bridge).unwrap(), Some(600_000));
            network::plug(qos, Some(&bridge), &port(2, "900,,,601")).unwrap_err()
        });
        let why = why.one_line();
        assert!(
            why.contains("8 kbit/s more than the network's peak (12 Mbit/s)"),
            "{why}"
        );
        assert!(!present("p2").has_ours());
        assert_eq!(present("br0").root.classes, now.root.classes);
        // Without a bridge there is no floor.
        let why = with_qos(&host, |qos| {
            network::plug(qos, None, &port(2, "900,,,100")).unwrap_err()
        });
        assert!(
            why.one_line().contains("the network has no bridge"),
            "{}",
            why.one_line()
        );
        // A port takes its class with it; the others keep theirs.
        with_qos(&host, |qos| {
            network::unplug(qos, Some(&bridge), &port(0, "500,,,200")).unwrap();
        });
        let now = present("br0");
        assert_eq!(now.root.ports().into_values().collect::<Vec<_>>(), [4]);
        assert_eq!(class(&now.root.classes, REST).rate, 300_000);
        assert!(!present("p0").has_ours());
        // The kernel loses it all, and apply brings it back: nothing of it is in qos/.
        tc("qdisc del dev br0 root");
        done(&host, "qos apply");
        assert_eq!(present("br0").root.ports().len(), 1);
        assert_eq!(
            support::host::names(&host.state().join("qos")),
            [] as [String; 0]
        );
        with_qos(&host, |qos| network::stop(qos, &bridge).unwrap());
        assert!(!present("br0").has_ours());
        with_qos(&host, |qos| network::stop(qos, &bridge).unwrap());
    });
}

#[test]
fn a_change_that_the_kernel_refuses_leaves_all_as_it_was() {
    in_namespace(|| {
        veth("v0", "v1");
        let host = host();
        done(&host, "qos set v0 --inbound 10mbit");
        // The name of the ifb is taken by something that is no ifb.
        let index = present("v0").link.index;
        ip(&format!("link add ncfi{index} type bridge"));
        let ran = running(
            &host,
            &[
                "qos",
                "set",
                "v0",
                "--inbound",
                "20mbit",
                "--outbound",
                "5mbit",
            ],
        );
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert_eq!(class(&classes("v0"), 1).rate, 1_250_000);
        let record = fs::read_to_string(host.state().join("qos/device-v0.json")).unwrap();
        assert!(
            record.contains("1250000") && !record.contains("outbound"),
            "{record}"
        );
        assert!(present("v0").ingress.qdisc.is_none());
    });
}

#[test]
fn check_tells_what_the_kernel_has() {
    in_namespace(|| {
        let host = host();
        let ran = done(&host, "--json qos check");
        let features: Value = serde_json::from_str(&ran.stdout).unwrap();
        let feature = |name: &str| {
            let mut all = features.as_array().unwrap().iter();
            let found = all.find(|it| it["feature"] == name);
            found.unwrap_or_else(|| panic!("no {name}"))["present"]
                .as_bool()
                .unwrap()
        };
        for name in ["htb", "ifb", "ingress", "u32", "mirred"] {
            assert!(feature(name), "{name}");
        }
        // tc tells the same of the one that kernels may lack.
        ip("link add b0 type bridge");
        let words = ["qdisc", "add", "dev", "b0", "root", "fq_codel"];
        let known = Command::new("tc").args(words).status().unwrap().success();
        assert_eq!(feature("fq_codel"), known);
    });
}

#[test]
fn watch_and_measure_report_and_draw() {
    in_namespace(|| {
        veth("v0", "v1");
        let host = host();
        done(&host, "qos set v0 --inbound 10mbit");
        let ran = done(&host, "--json qos watch --count 2 --interval 20ms");
        let lines: Vec<Value> = ran
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2, "{ran:?}");
        assert_eq!(lines[0][0]["target"], "v0");
        let file = host.path("plot.svg");
        let command = format!(
            "--json qos measure v0 --duration 1s --interval 50ms --svg {}",
            file.display()
        );
        let ran = done(&host, &command);
        let measured: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(measured["directions"][0]["limit"]["average"], 1_250_000);
        let points = measured["directions"][0]["points"].as_array().unwrap();
        assert!(!points.is_empty());
        let drawn = fs::read_to_string(file).unwrap();
        assert!(drawn.contains("average 10.0 Mbit/s"), "{drawn}");
    });
}

#[test]
fn two_at_once_wait_for_each_other() {
    in_namespace(|| {
        let host = host();
        for number in 0..8 {
            ip(&format!("link add b{number} type bridge"));
        }
        let running: Vec<_> = (0..8)
            .map(|number| {
                let device = format!("b{number}");
                let arguments = [
                    "--applier",
                    "builtin",
                    "qos",
                    "set",
                    &device,
                    "--inbound",
                    "1mbit",
                ];
                host.command(&arguments).spawn().unwrap()
            })
            .collect();
        for mut child in running {
            assert!(child.wait().unwrap().success());
        }
        let target = Target::device("b7".parse().unwrap());
        let state = ncf::state::StateDir::new(host.state());
        let run = ncf::qos::record::Run::read(&state).unwrap();
        assert_eq!(run.limits.len(), 8);
        assert!(run.find(&target).is_some());
        assert_eq!(MAJOR, 0x6e63);
    });
}
