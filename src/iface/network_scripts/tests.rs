use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::*;
use crate::apply::desired::{Address, Master, Route};

mod kinds;
mod refusals;

/// Files in memory that count how often they are read.
#[derive(Default)]
struct Memory {
    files: BTreeMap<OsString, Vec<u8>>,
    unreadable: Option<&'static str>,
    reads: Cell<usize>,
}

impl Files for Memory {
    fn names(&self) -> Result<Vec<OsString>> {
        Ok(self.files.keys().rev().cloned().collect())
    }

    fn read(&self, name: &OsStr) -> Result<Option<Vec<u8>>> {
        self.reads.set(self.reads.get() + 1);
        if self.unreadable.is_some_and(|bad| name == bad) {
            return Err(Error::failed("Input/output error"));
        }
        Ok(self.files.get(name).cloned())
    }
}

fn memory(files: &[(&str, &str)]) -> Memory {
    Memory {
        files: files
            .iter()
            .map(|(name, text)| (OsString::from(name), text.as_bytes().to_vec()))
            .collect(),
        ..Memory::default()
    }
}

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

fn interface_of(path: &str, files: &Memory) -> Option<String> {
    NetworkScripts
        .interface_of(Path::new(path), files)
        .map(String::from)
}

fn desired(interface: &str, files: &[(&str, &str)]) -> Result<Desired> {
    NetworkScripts.desired(&name(interface), &memory(files))
}

fn address_texts(addresses: &[Address]) -> Vec<String> {
    addresses
        .iter()
        .map(|it| match &it.label {
            Some(label) => format!("{} {label}", it.net),
            None => it.net.to_string(),
        })
        .collect()
}

fn route_texts(routes: &[Route]) -> Vec<String> {
    routes
        .iter()
        .map(|it| {
            let gateway = it
                .gateway
                .map_or_else(|| "-".to_owned(), |it| it.to_string());
            format!("{} {gateway} {}", it.destination, it.metric.unwrap_or(0))
        })
        .collect()
}

/// Checks that the error for `files` names all of `parts`.
fn refused(interface: &str, files: &[(&str, &str)], parts: &[&str]) {
    let error = desired(interface, files).expect_err(&format!("{files:?} was accepted"));
    let said = error.one_line();
    for part in parts {
        assert!(said.contains(part), "{said:?} lacks {part:?}");
    }
    assert_eq!(error.kind(), crate::ErrorKind::Failed);
}

#[test]
fn files_belong_to_the_device_that_they_name() {
    let files = memory(&[
        ("ifcfg-eth0", "DEVICE='eth0'\n"),
        ("ifcfg-office", "# x\nDEVICE=eth1 # uplink\n"),
        ("ifcfg-eth2", "DEVICE=$X\n"),
        ("ifcfg-eth3", "DEVICE=../../x\n"),
        ("ifcfg-Wired_connection_1", "DEVICE=eth4\n"),
        ("ifcfg-Wired_connection_2", ""),
        ("ifcfg-eth0:1", ""),
    ]);
    for (path, interface) in [
        ("ifcfg-eth0", Some("eth0")),
        ("ifcfg-office", Some("eth1")),
        ("ifcfg-eth2", Some("eth2")),
        ("ifcfg-eth3", Some("eth3")),
        ("ifcfg-Wired_connection_1", Some("eth4")),
        ("ifcfg-Wired_connection_2", None),
        ("ifcfg-eth0:1", Some("eth0:1")),
        ("route-eth0", Some("eth0")),
        ("route-office", Some("eth1")),
        ("route6-eth1", Some("eth1")),
        ("rule-Wired_connection_1", Some("eth4")),
        ("keys-eth9", None),
        ("route-eth0.bak", None),
        ("ifcfg-eth0~", None),
        ("ifcfg-eth0.rpmsave", None),
        ("ifcfg-eth0,v", None),
        ("old/ifcfg-eth0", None),
        ("../ifcfg-eth0", None),
        ("ifcfg-", None),
        ("ifup-eth", None),
        ("ifcfg-abcdefghijklmnop", None),
    ] {
        assert_eq!(interface_of(path, &files).as_deref(), interface, "{path}");
    }
    let junk = Path::new(OsStr::from_bytes(b"ifcfg-\xff"));
    assert_eq!(NetworkScripts.interface_of(junk, &files), None);
}

#[test]
fn a_direct_hit_reads_one_file_of_ten_thousand() {
    let mut files = memory(&[("ifcfg-eth0", "DEVICE=eth0\n")]);
    for at in 0..10_000 {
        let file = OsString::from(format!("ifcfg-v{at}"));
        files.files.insert(file, format!("DEVICE=v{at}\n").into());
    }
    assert_eq!(interface_of("route-v77", &files).as_deref(), Some("v77"));
    assert_eq!(files.reads.get(), 1);
    let names = (0..10_000).map(|at| name(&format!("v{at}"))).collect();
    files.reads.set(0);
    NetworkScripts.dependencies(&names, &files);
    assert_eq!(files.reads.get(), 10_000);
}

#[test]
fn dependencies_are_lower_devices_among_the_names() {
    let files = memory(&[
        ("ifcfg-br0", "TYPE=Bridge\n"),
        ("ifcfg-eth0", "BRIDGE=br0\n"),
        ("ifcfg-slave", "DEVICE=eth1\nMASTER=bond0\nSLAVE=yes\n"),
        ("ifcfg-bond0", "DEVICE=bond0\n"),
        ("ifcfg-bond0.5", "VLAN=yes\nBRIDGE=br0\n"),
        ("ifcfg-vlan7", "VLAN=yes\nPHYSDEV=eth0\nVID=7\n"),
        ("ifcfg-eth0:1", ""),
        ("ifcfg-eth2", "BRIDGE=br9\n"),
    ]);
    let names = "br0 eth0 eth1 bond0 bond0.5 vlan7 eth0:1 eth2 gone"
        .split(' ')
        .map(name)
        .collect();
    let found = NetworkScripts.dependencies(&names, &files);
    let mut edges: Vec<_> = found
        .iter()
        .flat_map(|(upper, lowers)| lowers.iter().map(move |lower| format!("{upper}>{lower}")))
        .collect();
    edges.sort();
    assert_eq!(
        edges,
        [
            "bond0.5>bond0",
            "bond0>eth1",
            "br0>bond0.5",
            "br0>eth0",
            "eth0:1>eth0",
            "vlan7>eth0"
        ]
    );
}

#[test]
fn a_device_has_its_addresses_and_routes() {
    let desired = desired(
        "eth0",
        &[
            (
                "ifcfg-eth0",
                "DEVICE=eth0\nONBOOT=yes\nBOOTPROTO=none\nHWADDR=52:54:00:00:00:01\n\
                 MACADDR=52:54:00:00:00:02\nMTU=9000\nMETRIC=7\nIPADDR=192.0.2.1\nNETMASK=255.255.255.128\n\
                 IPADDR1=10.0.0.1\nPREFIX1=30\nBROADCAST1=10.0.0.3\nIPADDR2=172.16.0.1\nIPADDR4=1.1.1.1\n\
                 GATEWAY=192.0.2.126\nIPV6ADDR=2001:db8::1\nIPV6ADDR_SECONDARIES=\"2001:db8::2/128 fd00::1/8\"\n\
                 IPV6_DEFAULTGW=fe80::1%eth0\n",
            ),
            ("route-eth0", "198.51.100.0/24 via 192.0.2.2 dev eth0 metric 3\n"),
            ("route6-eth0", "fd01::/16 via fe80::2\n"),
        ],
    )
    .unwrap();
    assert_eq!(desired.kind, LinkKind::Device);
    assert_eq!(desired.mtu, Some(9000));
    assert_eq!(desired.hwaddr.unwrap().to_string(), "52:54:00:00:00:01");
    assert_eq!(desired.mac.unwrap().to_string(), "52:54:00:00:00:02");
    assert_eq!(
        address_texts(&desired.addresses),
        [
            "192.0.2.1/25",
            "10.0.0.1/30",
            "172.16.0.1/16",
            "2001:db8::1/64",
            "2001:db8::2/128",
            "fd00::1/8"
        ]
    );
    assert_eq!(
        desired.addresses[1].broadcast,
        Some("10.0.0.3".parse().unwrap())
    );
    assert_eq!(
        route_texts(&desired.routes),
        [
            "0.0.0.0/0 192.0.2.126 7",
            "::/0 fe80::1 0",
            "198.51.100.0/24 192.0.2.2 3",
            "fd01::/16 fe80::2 0"
        ]
    );
}

#[test]
fn default_routes_follow_the_switches() {
    let routes = |more: &str| {
        let text = format!(
            "IPADDR=192.0.2.1\nPREFIX=24\nGATEWAY=192.0.2.2\nIPV6ADDR=fd00::1\nIPV6_DEFAULTGW=fd00::2\n{more}"
        );
        let desired = desired("eth0", &[("ifcfg-eth0", &text)]).unwrap();
        route_texts(&desired.routes).join(", ")
    };
    let both = "0.0.0.0/0 192.0.2.2 0, ::/0 fd00::2 0";
    assert_eq!(routes(""), both);
    assert_eq!(routes("DEFROUTE=no"), "::/0 fd00::2 0");
    assert_eq!(routes("GATEWAYDEV=eth1"), "::/0 fd00::2 0");
    assert_eq!(routes("GATEWAYDEV=eth0"), both);
    assert_eq!(routes("GATEWAY=10.0.0.1"), "::/0 fd00::2 0");
    assert_eq!(routes("IPV6INIT=no"), "0.0.0.0/0 192.0.2.2 0");
    assert_eq!(
        routes("IPV6_DEFAULTGW=fe80::1%eth9"),
        "0.0.0.0/0 192.0.2.2 0"
    );
    assert_eq!(
        routes("GATEWAY=\nGATEWAY0=192.0.2.9"),
        "0.0.0.0/0 192.0.2.9 0, ::/0 fd00::2 0"
    );
}

#[test]
fn aliases_come_with_their_device() {
    let files = [
        (
            "ifcfg-office",
            "DEVICE=eth0\nIPADDR=192.0.2.1\nPREFIX=25\nGATEWAY=192.0.2.126\n",
        ),
        ("ifcfg-eth0:10", "DEVICE=eth0:10\nIPADDR=192.0.2.10\n"),
        ("ifcfg-eth0:2", "IPADDR=192.0.2.2\nNETMASK=255.255.255.0\n"),
        ("ifcfg-eth0:3", "IPADDR=192.0.2.3\nONPARENT=no\n"),
        ("ifcfg-eth0:4.bak", "IPADDR=192.0.2.4\n"),
        ("route-eth0:2", "10.0.0.0/8 via 192.0.2.9\n"),
        ("route-office", "ADDRESS0=172.16.0.0\nGATEWAY0=192.0.2.8\n"),
    ];
    let parent = desired("eth0", &files).unwrap();
    assert_eq!(
        address_texts(&parent.addresses),
        [
            "192.0.2.1/25",
            "192.0.2.2/24 eth0:2",
            "192.0.2.10/25 eth0:10"
        ]
    );
    assert_eq!(
        route_texts(&parent.routes),
        [
            "0.0.0.0/0 192.0.2.126 0",
            "172.16.0.0/16 192.0.2.8 0",
            "10.0.0.0/8 192.0.2.9 0"
        ]
    );
    let alone = desired("eth0:3", &files).unwrap();
    assert_eq!(alone.kind, LinkKind::Alias);
    assert_eq!(address_texts(&alone.addresses), ["192.0.2.3/25 eth0:3"]);
    refused(
        "eth0",
        &[("ifcfg-eth0", ""), ("ifcfg-eth0:1", "DEVICE=eth1:1")],
        &["ifcfg-eth0:1:1", "DEVICE=\"eth1:1\"", "alias of eth0"],
    );
}

#[test]
fn a_bridge_has_its_ports_and_a_port_no_addresses() {
    let files = [
        (
            "ifcfg-br0",
            "TYPE=Bridge\nSTP=on\nDELAY=2.5\nIPADDR=192.0.2.1\nPREFIX=24\n",
        ),
        ("ifcfg-eth10", "BRIDGE=br0\n"),
        (
            "ifcfg-p",
            "DEVICE=\"eth2\"\nBRIDGE='br0'\nBOOTPROTO=dhcp\nIPADDR=192.0.2.9\nMTU=1400\n",
        ),
        ("ifcfg-eth3", "BRIDGE=br1\n"),
        ("ifcfg-eth4.old", "BRIDGE=br0\n"),
    ];
    let bridge = desired("br0", &files).unwrap();
    let LinkKind::Bridge(options) = bridge.kind else {
        panic!("{:?} is no bridge", bridge.kind);
    };
    assert_eq!(options.stp, Some(true));
    assert_eq!(options.forward_delay, Some(250));
    assert_eq!(options.ports, [name("eth2"), name("eth10")]);
    let port = desired("eth2", &files).unwrap();
    assert_eq!(port.master, Some(Master::Bridge(name("br0"))));
    assert_eq!(port.mtu, Some(1400));
    assert!(port.addresses.is_empty());
}
