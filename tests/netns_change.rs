//! Whole changes with the real program and its built-in applier, each in network namespaces of its own: what the
//! kernel has afterwards, and what it was told meanwhile.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use support::netns::{
    Peer, addresses, answers, dump, events, exists, in_namespace, ip, ip_json, link_attribute,
    settle, veth,
};

/// A root directory with network-scripts in it, and the program to work on it.
struct Host {
    root: tempfile::TempDir,
    /// What `SSH_CONNECTION` says, if anything.
    ssh: Option<&'static str>,
}

impl Host {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let host = Self { root, ssh: None };
        fs::create_dir_all(host.path("")).unwrap();
        host
    }

    /// A file in the configuration directory.
    fn path(&self, name: &str) -> PathBuf {
        let scripts = self.root.path().join("etc/sysconfig/network-scripts");
        scripts.join(name)
    }

    fn write(&self, name: &str, lines: &str) {
        let lines: Vec<_> = lines.split_whitespace().collect();
        fs::write(self.path(name), lines.join("\n") + "\n").unwrap();
    }

    /// A file whose lines have blanks in them.
    fn write_lines(&self, name: &str, lines: &[&str]) {
        fs::write(self.path(name), lines.join("\n") + "\n").unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Every file of the configuration with what is in it.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.path("")).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    fn ncf(&self, arguments: &[&str]) -> Output {
        let mut ncf = Command::new(env!("CARGO_BIN_EXE_ncf"));
        ncf.env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("NCF_ROOT", self.root.path())
            .env("NCF_APPLIER", "builtin")
            // One that is no connection, so that none is looked for in the callers' environments.
            .env(
                "SSH_CONNECTION",
                self.ssh.unwrap_or("127.0.0.1 1 127.0.0.1 22"),
            )
            .args(arguments);
        ncf.output().unwrap()
    }

    /// Runs ncf, which must succeed; returns what it prints.
    fn done(&self, arguments: &[&str]) -> String {
        self.ends(0, arguments).0
    }

    /// Runs ncf, which must end with `status`; returns what it prints to standard output and error.
    fn ends(&self, status: i32, arguments: &[&str]) -> (String, String) {
        let output = self.ncf(arguments);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, error) = (text(output.stdout), text(output.stderr));
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {out}{error}"
        );
        (out, error)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// From no configuration to the network that `write` writes the files of.
    fn bring_up(&self, write: impl FnOnce()) {
        self.done(&["change-begin"]);
        write();
        self.done(&["apply"]);
        self.done(&["change-commit"]);
    }
}

/// The names in the lines of progress that begin with `verb`, in order.
fn steps<'a>(report: &'a str, verb: &str) -> Vec<&'a str> {
    let words = report.lines().map(|line| line.split_whitespace());
    words
        .filter_map(|mut words| (words.next() == Some(verb)).then(|| words.next()).flatten())
        .collect()
}

fn reaches(to: &str) -> bool {
    let to: IpAddr = to.parse().unwrap();
    // The far end takes up to a second to see a carrier.
    (0..5).any(|_| {
        answers(to) || {
            thread::sleep(Duration::from_millis(300));
            false
        }
    })
}

/// What a device that was taken down and up could not have kept.
fn identity(device: &str) -> [Value; 4] {
    let link = &ip_json(&format!("-s -s link show dev {device}"))[0];
    let statistics = &link["stats64"];
    [
        link["ifindex"].clone(),
        statistics["tx"]["carrier_changes"].clone(),
        statistics["tx"]["errors"].clone(),
        statistics["rx"]["errors"].clone(),
    ]
}

/// A host with a bridge br0 with the port eth0, and two cards, eth1 and eth2, all cabled to another host.
fn bridged(host: &Host) -> Peer {
    let peer = Peer::new();
    for (at, near) in ["eth0", "eth1", "eth2"].into_iter().enumerate() {
        let far = format!("far{at}");
        veth(near, &far);
        peer.take(&far);
        peer.ip(&format!("address add 192.0.{at}.7/24 dev {far}"));
        peer.ip(&format!("link set {far} up"));
    }
    host.bring_up(|| {
        host.write(
            "ifcfg-br0",
            "DEVICE=br0 TYPE=Bridge DELAY=0 IPADDR=192.0.0.1 PREFIX=24",
        );
        host.write("ifcfg-eth0", "DEVICE=eth0 BRIDGE=br0");
        host.write("ifcfg-eth1", "DEVICE=eth1 IPADDR=192.0.1.1 PREFIX=24");
        host.write("ifcfg-eth2", "DEVICE=eth2 IPADDR=192.0.2.1 PREFIX=24");
    });
    for at in 0..3 {
        assert!(reaches(&format!("192.0.{at}.7")), "eth{at}");
    }
    peer
}

#[test]
fn a_rollback_brings_the_network_back_and_leaves_others_alone() {
    in_namespace(|| {
        let host = Host::new();
        let _peer = bridged(&host);
        let files = host.files();
        settle();
        let before = identity("eth1");
        let told = events(|| {
            host.done(&["change-begin", "--reason", "it goes wrong"]);
            host.write(
                "ifcfg-br0",
                "DEVICE=br0 TYPE=Bridge DELAY=0 IPADDR=192.0.9.1 PREFIX=24",
            );
            host.write("ifcfg-eth0", "DEVICE=eth0 BRIDGE=br1");
            host.write("ifcfg-br1", "DEVICE=br1 TYPE=Bridge DELAY=0");
            host.remove("ifcfg-eth2");
            host.done(&["apply"]);
            assert_eq!(link_attribute("eth0", "master"), "br1");
            assert!(!answers("192.0.0.7".parse().unwrap()));
            assert!(!answers("192.0.2.7".parse().unwrap()));
            host.done(&["change-rollback"]);
        });
        assert!(reaches("192.0.0.7") && reaches("192.0.2.7"));
        assert_eq!(host.files(), files);
        assert!(!exists("br1"));
        assert_eq!(addresses("br0"), ["192.0.0.1/24"]);
        assert_eq!(link_attribute("eth0", "master"), "br0");
        assert_eq!(identity("eth1"), before);
        assert!(told.iter().any(|event| event.contains("br0")), "{told:?}");
        assert!(!told.iter().any(|event| event.contains("eth1")), "{told:?}");
        assert_eq!(host.json(&["status"])["open"], false);
    });
}

#[test]
fn guests_are_back_in_a_bridge_that_was_bounced() {
    in_namespace(|| {
        let host = Host::new();
        let _peer = bridged(&host);
        ip("tuntap add dev vnet0 mode tap");
        veth("vnet1", "guest1");
        for port in ["vnet0", "vnet1"] {
            ip(&format!("link set {port} master br0 up"));
        }
        let before = link_attribute("br0", "ifindex");
        let guest = identity("vnet1");
        host.done(&["change-begin"]);
        host.write(
            "ifcfg-br0",
            "DEVICE=br0 TYPE=Bridge DELAY=0 IPADDR=192.0.0.2 PREFIX=24",
        );
        host.done(&["apply"]);
        let report = host.json(&["change-rollback"]);
        assert_eq!(report["put_back"], serde_json::json!(["vnet0", "vnet1"]));
        assert_ne!(
            link_attribute("br0", "ifindex"),
            before,
            "it was not bounced"
        );
        for port in ["vnet0", "vnet1", "eth0"] {
            assert_eq!(link_attribute(port, "master"), "br0", "{port}");
        }
        assert_eq!(identity("vnet1"), guest);
        assert!(reaches("192.0.0.7"));
    });
}

#[test]
fn the_operators_path_comes_up_first_and_goes_down_last() {
    in_namespace(|| {
        let mut host = Host::new();
        for (near, far) in [("eth0", "far0"), ("eth1", "far1"), ("eth9", "far9")] {
            veth(near, far);
            ip(&format!("link set {far} up"));
        }
        host.bring_up(|| {
            host.write("ifcfg-eth0", "DEVICE=eth0 IPADDR=192.0.0.1 PREFIX=24");
            host.write("ifcfg-eth1", "DEVICE=eth1 IPADDR=192.0.1.1 PREFIX=24");
            host.write(
                "ifcfg-br9",
                "DEVICE=br9 TYPE=Bridge DELAY=0 IPADDR=192.0.9.1 PREFIX=24",
            );
            host.write("ifcfg-eth9", "DEVICE=eth9 BRIDGE=br9");
        });
        host.ssh = Some("192.0.9.7 50022 192.0.9.1 22");
        host.done(&["change-begin"]);
        for name in ["ifcfg-eth0", "ifcfg-eth1", "ifcfg-eth9"] {
            let text = fs::read_to_string(host.path(name)).unwrap();
            fs::write(host.path(name), text + "MTU=1400\n").unwrap();
        }
        let br9 = fs::read_to_string(host.path("ifcfg-br9")).unwrap();
        fs::write(
            host.path("ifcfg-br9"),
            br9.replace("192.0.9.1", "192.0.8.1"),
        )
        .unwrap();
        let status = host.json(&["status"]);
        assert_eq!(status["operator_interface"], "br9");
        assert_eq!(status["touches_operator"], true);
        assert_eq!(status["by"]["ssh_client"], "192.0.9.7");
        let order = ["eth9", "br9", "eth0", "eth1"];
        let reverse = ["eth1", "eth0", "br9", "eth9"];
        assert_eq!(status["interfaces"]["up"], serde_json::json!(order));
        assert_eq!(status["interfaces"]["down"], serde_json::json!(reverse));
        let warning = "Your connection runs over br9";
        assert!(host.done(&["apply", "--dry-run"]).contains(warning));
        assert!(host.done(&["apply"]).contains(warning));
        // From here on no route leads to the operator; the change remembers the way.
        let report = host.done(&["change-rollback"]);
        assert_eq!(steps(&report, "ifdown"), reverse, "{report}");
        assert_eq!(steps(&report, "ifup"), order, "{report}");
        assert_eq!(addresses("br9"), ["192.0.9.1/24"]);
    });
}

#[test]
fn what_the_applier_cannot_do_is_refused_before_anything_is_touched() {
    in_namespace(|| {
        let host = Host::new();
        veth("eth0", "far0");
        veth("eth1", "far1");
        host.write("ifcfg-eth0", "DEVICE=eth0 TYPE=Team");
        host.write("ifcfg-eth1", "DEVICE=eth1 IPADDR=192.0.1.1 PREFIX=24");
        host.done(&["change-begin"]);
        host.write("ifcfg-eth0", "DEVICE=eth0 IPADDR=192.0.0.1 PREFIX=24");
        host.write("ifcfg-eth1", "DEVICE=eth1 IPADDR=192.0.1.2 PREFIX=24");
        host.done(&["apply"]);
        settle();
        let (network, files) = (dump(), host.files());
        let (_, error) = host.ends(1, &["change-rollback"]);
        assert!(error.contains("TYPE=\"Team\""), "{error}");
        assert!(error.contains("--applier none"), "{error}");
        assert_eq!(dump(), network);
        assert_eq!(host.files(), files);
        assert_eq!(host.json(&["status"])["open"], true);
        // The way out that it names.
        let report = host.done(&["change-rollback", "--applier", "none"]);
        assert!(report.contains("ifup     eth0, eth1"), "{report}");
        assert_eq!(dump(), network);
        assert_ne!(host.files(), files);
        assert_eq!(host.json(&["status"])["open"], false);
    });
}

#[test]
fn an_interface_that_does_not_come_up_is_status_4_with_the_files_restored() {
    in_namespace(|| {
        let host = Host::new();
        veth("eth0", "far0");
        veth("eth1", "far1");
        host.write("ifcfg-eth0", "DEVICE=eth0 IPADDR=192.0.0.1 PREFIX=24");
        // No address of eth0 makes this a neighbour, so the kernel refuses the route.
        host.write_lines("route-eth0", &["10.0.0.0/8 via 172.16.0.1"]);
        host.write("ifcfg-eth1", "DEVICE=eth1 IPADDR=192.0.1.1 PREFIX=24");
        let files = host.files();
        host.done(&["change-begin"]);
        host.remove("route-eth0");
        host.write("ifcfg-eth1", "DEVICE=eth1 IPADDR=192.0.1.2 PREFIX=24");
        host.done(&["apply"]);
        assert_eq!(addresses("eth0"), ["192.0.0.1/24"]);
        let (report, _) = host.ends(4, &["change-rollback"]);
        assert!(report.contains("eth0            FAILED"), "{report}");
        assert_eq!(host.files(), files);
        assert_eq!(host.json(&["status"])["open"], false);
        assert_eq!(addresses("eth0"), ["192.0.0.1/24"]);
        assert_eq!(addresses("eth1"), ["192.0.1.1/24"]);
    });
}

#[test]
fn aliases_routes_and_ipv6_come_back() {
    in_namespace(|| {
        let host = Host::new();
        veth("eth0", "far0");
        ip("link set far0 up");
        host.bring_up(|| {
            host.write(
                "ifcfg-eth0",
                "DEVICE=eth0 IPADDR=192.0.0.1 PREFIX=24 GATEWAY=192.0.0.254
                 IPV6INIT=yes IPV6ADDR=2001:db8::1/64 IPV6_DEFAULTGW=2001:db8::fe",
            );
            host.write("ifcfg-eth0:1", "DEVICE=eth0:1 IPADDR=192.0.5.1 PREFIX=24");
            host.write_lines("route-eth0", &["10.1.0.0/16 via 192.0.0.9 metric 5"]);
            host.write_lines("route6-eth0", &["2001:db8:1::/48 via 2001:db8::9"]);
        });
        settle();
        let before = dump_of_eth0();
        for part in [
            "eth0:1",
            "10.1.0.0/16",
            "2001:db8:1::/48",
            "192.0.0.254",
            "2001:db8::fe",
        ] {
            assert!(before.contains(part), "{part}: {before}");
        }
        host.done(&["change-begin"]);
        host.write(
            "ifcfg-eth0",
            "DEVICE=eth0 IPADDR=192.0.7.1 PREFIX=24 IPV6ADDR=2001:db8:7::1/64",
        );
        host.remove("ifcfg-eth0:1");
        host.remove("route-eth0");
        host.write_lines("route6-eth0", &["2001:db8:2::/48 via 2001:db8:7::9"]);
        host.write("ifcfg-eth0:2", "DEVICE=eth0:2 IPADDR=192.0.6.1 PREFIX=24");
        host.done(&["apply"]);
        settle();
        assert_eq!(
            addresses("eth0"),
            ["192.0.7.1/24", "192.0.6.1/24", "2001:db8:7::1/64"]
        );
        let files: Vec<_> = host.json(&["status"])["changes"]
            .as_array()
            .unwrap()
            .clone();
        let owners: Vec<_> = files.iter().map(|file| &file["interface"]).collect();
        assert_eq!(owners, ["eth0", "eth0:1", "eth0:2", "eth0", "eth0"]);
        host.done(&["change-rollback"]);
        settle();
        assert_eq!(dump_of_eth0(), before);
    });
}

/// What can be configured of eth0: addresses and routes, without what counts or ages.
fn dump_of_eth0() -> String {
    let addresses = ip("-o address show dev eth0 scope global");
    let routes = ip("-4 route show dev eth0") + &ip("-6 route show dev eth0");
    addresses + &routes
}

#[test]
fn an_mtu_and_a_hardware_address_that_no_file_had_named_come_back() {
    in_namespace(|| {
        let host = Host::new();
        veth("eth0", "far0");
        host.bring_up(|| host.write("ifcfg-eth0", "DEVICE=eth0 IPADDR=192.0.2.1 PREFIX=24"));
        let attributes = || ["mtu", "address"].map(|key| link_attribute("eth0", key));
        let before = attributes();
        host.done(&["change-begin"]);
        let changed = "DEVICE=eth0 IPADDR=192.0.2.1 PREFIX=24 MTU=1280 MACADDR=52:54:00:00:00:99";
        host.write("ifcfg-eth0", changed);
        host.done(&["apply"]);
        assert_ne!(attributes(), before);
        host.done(&["change-rollback"]);
        assert_eq!(attributes(), before);
    });
}

#[test]
fn a_card_whose_file_has_its_address_and_no_name_comes_back() {
    in_namespace(|| {
        let peer = Peer::new();
        veth("eth0", "far0");
        peer.take("far0");
        peer.ip("address add 192.0.2.7/24 dev far0");
        peer.ip("link set far0 up");
        let mac = link_attribute("eth0", "address");
        let mac = mac.as_str().unwrap();
        let host = Host::new();
        let write = |address: &str| {
            host.write(
                "ifcfg-Wired_connection_1",
                &format!("HWADDR={mac} BOOTPROTO=none IPADDR={address} PREFIX=24"),
            );
        };
        host.bring_up(|| {
            write("192.0.2.1");
            host.write("route-Wired_connection_1", "");
        });
        assert!(reaches("192.0.2.7"));

        host.done(&["change-begin"]);
        write("198.51.100.1");
        host.done(&["apply"]);
        assert!(!answers("192.0.2.7".parse().unwrap()), "it is cut off");
        let report = host.done(&["change-rollback"]);
        assert_eq!(steps(&report, "ifup"), ["eth0"], "{report}");
        assert!(reaches("192.0.2.7"));
        assert_eq!(addresses("eth0")[0], "192.0.2.1/24");

        // And where the change removes the file.
        host.done(&["change-begin"]);
        host.remove("ifcfg-Wired_connection_1");
        host.done(&["apply"]);
        assert!(!answers("192.0.2.7".parse().unwrap()));
        host.done(&["change-rollback"]);
        assert!(reaches("192.0.2.7"));
    });
}
