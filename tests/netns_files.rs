//! The built-in applier by network-scripts' own files, with the real program: rules, bridge options, the notes
//! on what is left alone, and what this kernel cannot do.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use serde_json::{Value, json};
use support::host::Host;
use support::netns::{dump, in_namespace, ip, link_attribute, settle, veth};

/// Opens a change, writes the files and applies them.
fn apply(host: &Host, files: &[(&str, &str)]) -> Value {
    let ran = host.ncf(&["change-begin"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    for (name, content) in files {
        host.write(name, content);
    }
    let ran = host.ncf(&["--applier", "builtin", "--json", "apply"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn roll_back(host: &Host) {
    let ran = host.ncf(&["--applier", "builtin", "change-rollback"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn rules_come_and_go_with_their_interface_and_others_stay() {
    in_namespace(|| {
        veth("eth0", "far0");
        ip("link set far0 up");
        ip("rule add from 198.51.100.0/24 table 9 priority 50");
        settle();
        let before = (ip("rule show"), ip("-6 rule show"));
        let host = Host::new();
        let rules = "# by source\nfrom 192.0.2.0/24 table 7 priority 100\n\
                     not to 10.0.0.0/8 fwmark 0x10/0xff iif eth0 lookup 8\n\
                     ipproto tcp dport 22 sport 1024-65534 pref 101 prohibit\n\
                     from 192.0.2.0/24 table main suppress_prefixlength 0 pref 99\n";
        apply(
            &host,
            &[
                (
                    "ifcfg-eth0",
                    "DEVICE=eth0\nIPADDR=192.0.2.1\nPREFIX=24\nIPV6ADDR=2001:db8::1\n",
                ),
                ("rule-eth0", rules),
                (
                    "rule6-eth0",
                    "from 2001:db8::/64 tos 0x10 table 1000 priority 7\n",
                ),
                ("route-eth0", "default via 192.0.2.254 table 7\n"),
            ],
        );
        let shown = ip("rule show");
        let lines: Vec<String> = shown
            .lines()
            .map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for wanted in [
            "99: from 192.0.2.0/24 lookup main suppress_prefixlength 0 proto static",
            "100: from 192.0.2.0/24 lookup 7 proto static",
            "101: from all ipproto tcp sport 1024-65534 dport 22 prohibit proto static",
            "49: not from all to 10.0.0.0/8 fwmark 0x10/0xff iif eth0 lookup 8 proto static",
        ] {
            assert!(lines.contains(&wanted.to_owned()), "{wanted}: {lines:#?}");
        }
        assert!(ip("-6 rule show").contains("from 2001:db8::/64 tos 0x10 lookup 1000"));
        roll_back(&host);
        assert_eq!((ip("rule show"), ip("-6 rule show")), before);
    });
}

#[test]
fn a_bridges_further_options_are_set_and_what_is_left_alone_is_told() {
    in_namespace(|| {
        veth("eth0", "far0");
        let host = Host::new();
        let text = "DEVICE=br0\nTYPE=Bridge\nPRIO=4096\nAGEING=20\nETHTOOL_OPTS='-K br0 gro off'\n\
                    BRIDGING_OPTS='multicast_snooping=0 hello_time=300 group_fwd_mask=0x8 flush=1'\n";
        let report = apply(&host, &[("ifcfg-br0", text)]);
        let notes = report["interfaces"][0]["notes"].as_array().unwrap();
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(
            notes[0]
                .as_str()
                .unwrap()
                .ends_with("ifcfg-br0:5: ETHTOOL_OPTS=\"-K br0 gro off\": not applied")
        );
        assert!(
            notes[1]
                .as_str()
                .unwrap()
                .contains("BRIDGING_OPTS=\"flush=1\"")
        );
        let data = link_attribute("br0", "linkinfo")["info_data"].clone();
        let is =
            ["priority", "ageing_time", "mcast_snooping", "hello_time"].map(|it| data[it].clone());
        assert_eq!(is, [4096, 2000, 0, 300].map(|it| json!(it)));
        assert_eq!(data["group_fwd_mask"], json!("0x8"));
        roll_back(&host);
    });
}

#[test]
fn what_this_kernel_cannot_make_is_refused_before_anything_is_touched() {
    in_namespace(|| {
        veth("eth0", "far0");
        let mut socket = ncf::sys::netlink::Socket::open().unwrap();
        let has_bonds = socket.knows_kind(netlink_packet_route::link::InfoKind::Bond);
        assert!(socket.knows_kind(netlink_packet_route::link::InfoKind::Bridge));
        let odd = netlink_packet_route::link::InfoKind::Other("nosuch".to_owned());
        assert!(!socket.knows_kind(odd));
        settle();
        let before = dump();
        let host = Host::new();
        host.ncf(&["change-begin"]);
        host.write("ifcfg-bond0", "DEVICE=bond0\nBONDING_OPTS=mode=1\n");
        host.write("ifcfg-eth0", "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\n");
        let ran = host.ncf(&["--applier", "builtin", "apply"]);
        if has_bonds {
            assert_eq!(ran.status, Some(0), "{}", ran.stderr);
            assert_eq!(link_attribute("eth0", "master"), json!("bond0"));
        } else {
            assert_eq!(ran.status, Some(1), "{}", ran.stderr);
            let said = "bond0 is to be a bond, but this kernel cannot make one";
            assert!(ran.stderr.contains(said), "{}", ran.stderr);
            assert_eq!(dump(), before);
        }
    });
}

#[test]
fn a_range_of_aliases_comes_and_goes_with_its_device() {
    in_namespace(|| {
        veth("eth0", "far0");
        ip("link set far0 up");
        let host = Host::with(&[
            ("ifcfg-eth0", "DEVICE=eth0\nIPADDR=192.0.2.1\nPREFIX=24\n"),
            (
                "ifcfg-eth0-range0",
                "IPADDR_START=192.0.2.10\nIPADDR_END=192.0.2.11\nCLONENUM_START=5\n",
            ),
        ]);
        let labels = || {
            let shown = ip("-o -4 address show dev eth0");
            let words = |line: &str| {
                line.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let lines = shown.lines().map(words);
            let label = |line: &Vec<String>| {
                line.iter()
                    .rev()
                    .find(|word| word.starts_with("eth0"))
                    .unwrap()
                    .clone()
            };
            lines
                .map(|line| format!("{} {}", line[3], label(&line).trim_end_matches('\\')))
                .collect::<Vec<_>>()
        };
        host.done(&["--applier", "builtin", "ifup", "eth0"]);
        let all = [
            "192.0.2.1/24 eth0",
            "192.0.2.10/24 eth0:5",
            "192.0.2.11/24 eth0:6",
        ];
        assert_eq!(labels(), all);
        // A changed range is its device's business.
        host.done(&["change-begin"]);
        host.write(
            "ifcfg-eth0-range0",
            "IPADDR_START=192.0.2.10\nIPADDR_END=192.0.2.10\n",
        );
        let status = host.json(&["status"]);
        assert_eq!(status["changes"][0]["interface"], "eth0", "{status}");
        host.done(&["--applier", "builtin", "apply"]);
        assert_eq!(labels(), ["192.0.2.1/24 eth0", "192.0.2.10/24 eth0:0"]);
        roll_back(&host);
        assert_eq!(labels(), all);
        host.done(&["--applier", "builtin", "ifdown", "eth0"]);
        assert_eq!(labels(), [""; 0]);
    });
}
