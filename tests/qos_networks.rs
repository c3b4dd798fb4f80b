//! Limits of networks that run and of ports that are plugged in, changed in place, in a real kernel.

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

use ncf::qos::kernel::Kernel;
use ncf::qos::tree::{FIRST, MAJOR, REST};
use ncf::sys::netlink::tc::{Class, Handle};
use serde_json::{Value, json};
use support::host::{Host, Ran};
use support::need;
use support::netns::{in_namespace, ip, link_attribute};
use support::sweep::{self, Fault, Point};

/// A host with a bridge, and a network over that.
struct Lab(Host);

impl Lab {
    fn new(limits: &str) -> Self {
        let lab = Self(Host::new());
        ip("link add br0 up type bridge");
        lab.done(&format!("net define --name lan --bridge br0 {limits}"));
        lab
    }

    fn ncf(&self, arguments: &str) -> Ran {
        let words: Vec<_> = arguments.split_whitespace().collect();
        self.0.ncf(&[&["--applier", "builtin"], &*words].concat())
    }

    #[track_caller]
    fn done(&self, arguments: &str) -> Ran {
        let ran = self.ncf(arguments);
        assert_eq!(ran.status, Some(0), "{arguments}: {ran:?}");
        ran
    }

    #[track_caller]
    fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.done(&format!("--json {arguments}")).stdout).unwrap()
    }

    /// The network's limits: of what runs, and of the definition.
    fn limits(&self) -> [String; 2] {
        ["--live", ""].map(|which| {
            let text = self.done(&format!("net dumpxml lan {which}")).stdout;
            let lines = text.lines().map(str::trim);
            let limits = lines.filter(|it| it.contains("bound ") || it.contains("bandwidth"));
            limits.collect::<Vec<_>>().concat()
        })
    }
}

/// The rates of a device's classes, by number.
fn rates(device: &str) -> Vec<(u16, u64)> {
    let rate = |class: &Class| (class.handle.minor(), class.htb.unwrap().rate);
    let mut rates: Vec<_> = classes(device).iter().map(rate).collect();
    rates.sort_unstable();
    rates
}

fn classes(device: &str) -> Vec<Class> {
    let mut kernel = Kernel::open().unwrap();
    let link = kernel.link(&device.parse().unwrap()).unwrap().unwrap();
    let present = kernel.present(&link).unwrap();
    let handle = present.root.qdisc.map(|it| it.handle);
    let ours = handle == Some(Handle::new(MAJOR, 0));
    if ours {
        present.root.classes
    } else {
        Vec::new()
    }
}

const TEN: &str = "<bandwidth><inbound average=\"1250\"/></bandwidth>";
const TWENTY: &str = "<bandwidth><inbound average=\"2500\"/></bandwidth>";

#[test]
fn a_networks_limits_change_where_it_runs_and_in_its_definition() {
    in_namespace(|| {
        let lab = Lab::new("");
        let shown = lab.json("qos set --network lan --inbound 10mbit");
        assert_eq!(shown["applied"], json!(false), "{shown}");
        assert_eq!(shown["defined"]["inbound"]["average"], 1_250_000);
        assert!(classes("br0").is_empty(), "it does not run");
        lab.done("net start lan");
        assert_eq!(lab.limits(), [TEN, TEN]);
        assert_eq!(rates("br0"), [(FIRST, 1_250_000), (REST, 1_250_000)]);
        let counted = classes("br0")[0].counters.packets;
        ip("address add 192.0.2.1/24 dev br0");

        lab.done("qos set --network lan --inbound 20mbit");
        assert_eq!(lab.limits(), [TWENTY, TWENTY]);
        assert_eq!(rates("br0"), [(FIRST, 2_500_000), (REST, 2_500_000)]);
        assert!(
            classes("br0")[0].counters.packets >= counted,
            "in place: counters go on"
        );

        lab.done("qos set --network lan --inbound 10mbit --transient");
        assert_eq!(lab.limits(), [TEN, TWENTY]);
        let shown = lab.json("qos show --network lan");
        assert_eq!(shown[0]["device"], "br0");
        assert_eq!(
            shown[0]["origin"],
            json!({"kind": "network", "name": "lan"})
        );
        assert_eq!(shown[0]["applied"], true);
        // What is not named stays, on either side what is there.
        lab.done("qos set --network lan --outbound 8mbit");
        let both = |inbound: &str| inbound.replace("</band", "<outbound average=\"1000\"/></band");
        assert_eq!(lab.limits(), [both(TEN), both(TWENTY)]);
        lab.done("qos clear --network lan --outbound");
        assert_eq!(lab.limits(), [TEN, TWENTY]);

        let said = lab.done("qos set --network lan --inbound 30mbit --dry-run");
        assert!(said.stdout.contains("rate 3750000 B/s"), "{said:?}");
        assert_eq!(lab.limits(), [TEN, TWENTY]);
        lab.done("qos clear --network lan");
        assert_eq!(lab.limits(), ["", ""]);
        assert!(classes("br0").is_empty());
        lab.done("net stop lan");
        lab.done("net start lan");
        assert!(classes("br0").is_empty());
    });
}

#[test]
fn a_ports_limits_change_and_its_floor_is_checked_against_the_network() {
    in_namespace(|| {
        let lab = Lab::new("--inbound 1000,1500");
        lab.done("net start lan");
        lab.done("net plug lan --owner web --inbound 900,,,800");
        lab.done("net plug lan --owner db");
        lab.done("qos set --port ncf1 --inbound ,,,700");
        let floors = [(FIRST, 1_000_000), (REST, 1514), (3, 800_000), (4, 700_000)];
        assert_eq!(rates("br0"), floors);
        assert!(rates("ncf1").is_empty(), "a floor is on the bridge alone");
        let too_much =
            "the floors (12.008 Mbit/s) are 8 kbit/s more than the network's peak (12 Mbit/s)";
        lab.ncf("qos set --port ncf1 --inbound ,,,701")
            .refused(1, &["the port ncf1", too_much]);
        assert_eq!(rates("br0"), floors);

        lab.ncf("qos set --network lan --inbound 1000,1400")
            .refused(
                1,
                &["800 kbit/s more than the network's peak (11.2 Mbit/s)"],
            );
        lab.ncf("qos clear --network lan")
            .refused(1, &["a floor needs a network with an inbound average"]);
        assert_eq!(rates("br0"), floors, "nothing is half done");
        lab.done("qos set --network lan --inbound 2000");
        assert_eq!(
            rates("br0"),
            [
                (FIRST, 2_000_000),
                (REST, 500_000),
                (3, 800_000),
                (4, 700_000)
            ]
        );

        lab.done("qos set --port ncf0 --inbound 1200,,,1000 --outbound 300");
        assert_eq!(rates("br0")[2], (3, 1_000_000));
        assert_eq!(rates("ncf0"), [(FIRST, 1_200_000)]);
        let shown = lab.json("qos show --port ncf0");
        assert_eq!(shown[1]["origin"], json!({"kind": "port", "name": "ncf0"}));
        assert_eq!(shown[1]["directions"].as_array().unwrap().len(), 2);
        assert_eq!(shown[0]["device"], "br0", "which keeps its floor");
        lab.ncf("qos set --port ncf0 --outbound ,,,100")
            .refused(1, &["no outbound floor"]);
        let port = &lab.json("net ports")["ports"][0];
        let limits = "inbound average 9.6 Mbit/s, floor 8 Mbit/s; outbound average 2.4 Mbit/s";
        assert_eq!(port["limits"], limits);
        assert!(lab.done("net ports").stdout.contains(limits));

        let watched = lab.json("qos watch --port ncf0 --count 1 --interval 1ms");
        let targets = watched.as_array().unwrap().iter().map(|it| &it["target"]);
        assert_eq!(targets.collect::<Vec<_>>(), ["br0", "ncf0", "ncf0"]);

        lab.done("qos clear --port ncf0");
        assert!(rates("ncf0").is_empty());
        assert_eq!(
            rates("br0"),
            [(FIRST, 2_000_000), (REST, 1_300_000), (4, 700_000)]
        );
        lab.done("net unplug ncf1");
        lab.done("net unplug ncf0");
        assert_eq!(rates("br0"), [(FIRST, 2_000_000), (REST, 2_000_000)]);
    });
}

#[test]
fn what_belongs_to_a_network_or_a_port_is_changed_by_its_name_alone() {
    in_namespace(|| {
        let lab = Lab::new("--inbound 1000");
        lab.done("net start lan");
        lab.done("net plug lan --owner web");
        for (arguments, status, words) in [
            ("qos set br0 --inbound 5", 1, "give --network lan"),
            ("qos clear br0", 1, "give --network lan"),
            ("qos set ncf0 --inbound 5", 1, "give --port ncf0"),
            ("qos clear ncf0", 1, "give --port ncf0"),
            ("qos set --network other --inbound 5", 1, "no network other"),
            ("qos set --port ncf7 --inbound 5", 3, "no port ncf7"),
            ("qos show --port ncf7", 3, "no port ncf7"),
            ("qos show --network other", 1, "no network other"),
            ("qos watch --port ncf7", 3, "no port ncf7"),
            ("qos watch --network other", 1, "no network other"),
            ("qos watch gone", 1, "no device gone"),
            ("qos set --port ../x --inbound 5", 2, "is not a port"),
            ("qos set --network ../x --inbound 5", 2, "--network"),
            ("qos set --inbound 5", 2, "required"),
            ("qos set br0 --network lan --inbound 5", 2, "cannot be used"),
            ("qos set --network lan --vf 1 --inbound 5", 2, "--vf"),
            ("qos set --network lan --shape --inbound 5", 2, "--shape"),
            ("qos set --network lan --inbound 5,,,2", 1, "has no floor"),
            (
                "qos set --network lan --inbound 1001kbit",
                1,
                "nearest are 125 and 126 kB/s",
            ),
        ] {
            let ran = lab.ncf(arguments);
            assert_eq!(ran.status, Some(status), "{arguments}: {ran:?}");
            assert!(ran.stderr.contains(words), "{arguments}: {ran:?}");
        }
        assert_eq!(rates("br0"), [(FIRST, 1_000_000), (REST, 1_000_000)]);
        lab.done("net unplug ncf0");
        lab.done("net stop lan");
        lab.ncf("qos set --network lan --inbound 5 --transient")
            .refused(3, &["the network lan is not active"]);
        lab.done("net define --name pool --mode private --dev br0");
        lab.ncf("qos set --network pool --inbound 5")
            .refused(1, &["has no bridge", "--port"]);
    });
}

#[test]
fn a_rollback_brings_a_networks_limits_back() {
    in_namespace(|| {
        let lab = Lab::new("--inbound 10mbit");
        lab.done("net start lan");
        lab.done("change-begin");
        lab.done("qos set --network lan --inbound 20mbit");
        let status = lab.json("status");
        assert_eq!(status["changes"].as_array().unwrap().len(), 1, "{status}");
        lab.done("change-rollback");
        assert_eq!(lab.limits(), [TEN, TEN]);
        assert_eq!(rates("br0"), [(FIRST, 1_250_000), (REST, 1_250_000)]);
        // One that is transient is no part of it.
        lab.done("change-begin");
        lab.done("qos set --network lan --inbound 20mbit --transient");
        lab.done("change-rollback");
        assert_eq!(lab.limits(), [TWENTY, TEN]);
        // What is committed stays.
        lab.done("change-begin");
        lab.done("qos set --network lan --inbound 20mbit");
        lab.done("change-commit");
        assert_eq!(lab.limits(), [TWENTY, TWENTY]);
    });
}

#[test]
fn a_bridge_that_is_made_anew_gets_limits_and_floors_of_its_network_again() {
    in_namespace(|| {
        let lab = Lab::new("--inbound 1000");
        lab.done("net start lan");
        lab.done("net plug lan --owner web --inbound ,,,300");
        let before = rates("br0");
        let index = link_attribute("br0", "ifindex");
        ip("link del br0");
        ip("link add br0 up type bridge");
        assert_ne!(link_attribute("br0", "ifindex"), index);
        assert!(rates("br0").is_empty());
        let said = lab.done("qos apply br0");
        assert!(said.stdout.contains("network lan: applied"), "{said:?}");
        assert_eq!(rates("br0"), before);
        let said = lab.done("qos apply");
        assert!(said.stdout.contains("has what is recorded"), "{said:?}");
        // As a command that was killed before it came to the kernel would have left it.
        lab.done("qos set --port ncf0 --inbound 200,,,100");
        let ports = lab.0.state().join("ports");
        let files = fs::read_dir(ports).unwrap().flatten().map(|it| it.path());
        let files = files
            .filter(|it| it.is_dir())
            .flat_map(|boot| fs::read_dir(boot).unwrap());
        let record = files
            .map(|file| file.unwrap().path())
            .find(|it| {
                it.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with("ncf0")
            })
            .unwrap();
        let text = fs::read_to_string(&record).unwrap();
        fs::write(&record, text.replace("200000", "400000")).unwrap();
        lab.done("qos apply ncf0");
        assert_eq!(rates("ncf0"), [(FIRST, 400_000)]);
    });
}

#[test]
fn what_cannot_be_written_leaves_the_limits_as_they_were() {
    in_namespace(|| {
        let lab = Lab::new("--inbound 10mbit");
        lab.done("net start lan");
        // A directory in the place of the file that becomes the new definition.
        let file = lab.0.state().join("networks/.lan.xml.new");
        fs::create_dir(file).unwrap();
        lab.ncf("qos set --network lan --inbound 20mbit")
            .refused(1, &["cannot write the definition of lan"]);
        assert_eq!(rates("br0"), [(FIRST, 1_250_000), (REST, 1_250_000)]);
        assert_eq!(lab.limits(), [TEN, TEN]);
    });
}

/// The calls of a command that change the kernel or the disk.
const CALLS: &str = "sendto,?openat,?write,?rename,?fsync,?ftruncate,?mkdir,?unlink";

/// Every fault at every such call of a command; what `state` tells afterwards is as before, or as it should be.
fn sweep(lab: &Lab, reset: &str, set: &str, state: impl Fn() -> Value) {
    let words: Vec<_> = set.split_whitespace().collect();
    let command = || {
        lab.0
            .command(&[&["--applier", "builtin"], &*words].concat())
    };
    let calls = sweep::calls_of_these(&command(), CALLS);
    let after = state();
    lab.done(reset);
    let before = state();
    assert_ne!(before, after);
    let mut points = 0;
    for (call, changing) in calls {
        for number in (1..)
            .zip(&changing)
            .filter(|(_, it)| **it)
            .map(|(it, _)| it)
        {
            // What the kernel refuses is tested elsewhere.
            let faults: &[Fault] = match call.as_str() {
                "sendto" => &[Fault::Kill],
                _ => &[Fault::Kill, Fault::Full],
            };
            for &fault in faults {
                let call = call.clone();
                let point = Point {
                    call,
                    number,
                    fault,
                };
                let (ran, _) = sweep::run(&command(), &point);
                ran.assert_orderly(&format!("{point:?}"));
                lab.done("qos apply");
                let now = state();
                assert!(now == before || now == after, "{point:?}: {ran:?}: {now}");
                lab.done(reset);
                assert_eq!(state(), before, "{point:?}");
                points += 1;
            }
        }
    }
    assert!(points > 20, "only {points} points");
}

#[test]
fn whatever_is_killed_kernel_record_and_definition_agree() {
    if !need::met(true, &["strace", "ip"]) {
        return;
    }
    in_namespace(|| {
        let lab = Lab::new("--inbound 10mbit");
        lab.done("net start lan");
        lab.done("qos set --network lan --inbound 10mbit");
        sweep(
            &lab,
            "qos set --network lan --inbound 10mbit",
            "qos set --network lan --inbound 20mbit",
            || json!([lab.limits(), rates("br0")]),
        );
        lab.done("net plug lan --owner web --inbound 500,,,300");
        sweep(
            &lab,
            "qos set --port ncf0 --inbound 500,,,300",
            "qos set --port ncf0 --inbound 800,,,600",
            || {
                let ports = lab.json("net ports");
                json!([ports["ports"][0]["limits"], rates("br0"), rates("ncf0")])
            },
        );
    });
}
