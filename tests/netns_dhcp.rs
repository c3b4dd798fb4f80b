//! The built-in applier and the host's DHCP clients, against a real server.

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
use std::thread;
use std::time::Duration;

use ncf::apply::builtin::Builtin;
use ncf::apply::desired::{Bridge, Desired, Dhcp, Ipv6, LinkKind};
use ncf::apply::{Applier, Target};
use ncf::sys::conf::DhcpClient;
use support::host::Host;
use support::need;
use support::netns::{
    Peer, Server, addresses, answers, events, in_namespace, ip, link_attribute, private_files, veth,
};

/// What the clients write to, beside `/etc`.
const WRITTEN: [&str; 5] = [
    "/run",
    "/var/lib/dhcp",
    "/var/lib/dhclient",
    "/var/lib/dhcpcd",
    "/var/lib/misc",
];

const CLIENTS: [&str; 4] = ["dhclient", "dhcpcd", "udhcpc", "udhcpc6"];

/// A host that gives leases on the other end of `eth0`.
struct Network {
    host: Peer,
    servers: Vec<Server>,
}

impl Network {
    fn new() -> Self {
        veth("eth0", "far");
        let host = Peer::new();
        host.take("far");
        host.ip("link set far up");
        host.ip("address add 192.0.2.1/24 dev far");
        host.ip("-6 address add 2001:db8::1/64 dev far nodad");
        let servers = Vec::new();
        Self { host, servers }
    }

    /// Starts dnsmasq with these arguments besides.
    fn serve(&mut self, arguments: &[&str]) {
        let mut all = vec![
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--port=0",
            "--user=root",
            "--interface=far",
            "--bind-dynamic",
            "--dhcp-authoritative",
            "--no-ping",
            "--dhcp-leasefile=/run/dnsmasq.leases",
            "--pid-file=/run/dnsmasq.pid",
        ];
        all.extend(arguments);
        self.servers.push(self.host.start("dnsmasq", &all));
        for _ in 0..1000 {
            if Path::new("/run/dnsmasq.pid").exists() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("dnsmasq does not start");
    }

    fn serve_ipv4(&mut self) {
        self.serve(&["--dhcp-range=192.0.2.100,192.0.2.150,255.255.255.0,1h"]);
    }
}

/// Runs `test` where `client` is the only one, in namespaces of its own.
fn with_only(client: &'static str, test: impl FnOnce() + Send + 'static) {
    if need::met(true, &["dnsmasq", client]) {
        in_namespace(move || {
            let others = CLIENTS.into_iter().filter(|it| *it != client);
            private_files(&WRITTEN, &others.collect::<Vec<_>>());
            test();
        });
    }
}

fn eth0() -> Desired {
    Desired::new("eth0".parse().unwrap(), LinkKind::Device)
}

fn dhcp() -> Dhcp {
    Dhcp {
        default_route: true,
        ..Dhcp::default()
    }
}

fn leased() -> Desired {
    Desired {
        dhcp4: Some(dhcp()),
        ..eth0()
    }
}

fn target(desired: &Desired) -> Target {
    Target {
        name: desired.name.clone(),
        desired: Some(desired.clone()),
    }
}

fn up(desired: &Desired) {
    Builtin::default().check(&target(desired)).unwrap();
    if let Err(error) = Builtin::default().up(&target(desired)) {
        panic!("{}", error.one_line());
    }
}

fn down(desired: &Desired) {
    if let Err(error) = Builtin::default().down(&target(desired)) {
        panic!("{}", error.one_line());
    }
}

/// The processes of that name that run in this network namespace, the oldest first.
fn running(program: &str) -> Vec<u32> {
    let ours = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut found: Vec<u32> = processes
        .filter(|process| {
            let comm = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            let namespace = fs::read_link(process.path().join("ns/net"));
            comm.trim() == program && namespace.is_ok_and(|it| it == ours)
        })
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .collect();
    found.sort_unstable();
    found
}

/// Waits until no process of that name runs in this network namespace: dhcpcd's helpers end after it.
fn none_runs(program: &str) {
    for _ in 0..500 {
        if running(program).is_empty() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{program} still runs");
}

fn has_lease() -> bool {
    let all = addresses("eth0");
    all.iter()
        .any(|it| it.starts_with("192.0.2.1") && it.ends_with("/24"))
}

/// Up, up again, and down.
fn one_client(client: &'static str) {
    with_only(client, move || {
        let mut network = Network::new();
        network.serve_ipv4();
        let eth0 = leased();
        up(&eth0);
        assert!(has_lease(), "{:?}", addresses("eth0"));
        assert!(ip("route show default").contains("via 192.0.2.1"));
        assert!(answers("192.0.2.1".parse().unwrap()));
        let clients = running(client);
        assert_eq!(
            events(|| up(&eth0)),
            [""; 0],
            "what is right is not touched"
        );
        // Helpers of dhcpcd come and go.
        assert_eq!(running(client)[0], clients[0]);
        down(&eth0);
        none_runs(client);
        assert!(addresses("eth0").is_empty());
        assert_eq!(link_attribute("eth0", "operstate"), "DOWN");
        down(&eth0);
        // From a lease to a static address without a down in between, and back.
        up(&eth0);
        let mut fixed = self::eth0();
        fixed.addresses = vec![ncf::apply::desired::Address {
            net: "192.0.2.7/24".parse().unwrap(),
            label: None,
            broadcast: None,
            peer: None,
        }];
        up(&fixed);
        assert_eq!(addresses("eth0"), ["192.0.2.7/24"]);
        none_runs(client);
        assert!(ip("route show default").is_empty());
        up(&eth0);
        assert_eq!(addresses("eth0").len(), 1, "{:?}", addresses("eth0"));
        assert!(has_lease());
        // And where the configuration is lost.
        let blind = Target {
            name: eth0.name.clone(),
            desired: None,
        };
        Builtin::default().down(&blind).unwrap();
        none_runs(client);
        assert!(addresses("eth0").is_empty());
    });
}

#[test]
fn dhclient_gets_a_lease_and_is_ended() {
    one_client("dhclient");
}

#[test]
fn dhcpcd_gets_a_lease_and_is_ended() {
    one_client("dhcpcd");
}

#[test]
fn udhcpc_gets_a_lease_and_is_ended() {
    one_client("udhcpc");
}

#[test]
fn a_lease_is_given_back_and_a_default_route_left_out_where_that_is_asked_for() {
    with_only("dhclient", || {
        let mut network = Network::new();
        network.serve_ipv4();
        let mut eth0 = leased();
        eth0.dhcp4 = Some(Dhcp {
            release: true,
            hostname: Some("told".to_owned()),
            ..Dhcp::default()
        });
        up(&eth0);
        assert!(has_lease());
        assert!(ip("route show default").is_empty());
        let leases = || fs::read_to_string("/run/dnsmasq.leases").unwrap();
        assert!(leases().contains(" told "), "{}", leases());
        down(&eth0);
        for _ in 0..500 {
            if leases().is_empty() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the server still has the lease: {}", leases());
    });
}

#[test]
fn a_client_that_network_scripts_have_started_is_taken_over() {
    with_only("dhclient", || {
        let mut network = Network::new();
        network.serve_ipv4();
        ip("link set eth0 up");
        let started = std::process::Command::new("dhclient")
            .args(["-1", "-q", "-pf", "/var/run/dhclient-eth0.pid", "eth0"])
            .status();
        assert!(started.unwrap().success());
        let clients = running("dhclient");
        assert_eq!(clients.len(), 1);
        let eth0 = leased();
        assert_eq!(events(|| up(&eth0)), [""; 0]);
        assert_eq!(running("dhclient"), clients);
        down(&eth0);
        none_runs("dhclient");
    });
}

#[test]
fn no_server_is_an_error_and_the_rest_is_done() {
    with_only("dhclient", || {
        let _network = Network::new();
        fs::create_dir_all("/etc/dhcp").unwrap();
        fs::write("/etc/dhcp/dhclient-eth0.conf", "timeout 2;\n").unwrap();
        let mut eth0 = leased();
        eth0.addresses = vec![ncf::apply::desired::Address {
            net: "2001:db8::7/64".parse().unwrap(),
            label: None,
            broadcast: None,
            peer: None,
        }];
        let error = Builtin::default()
            .up(&target(&eth0))
            .unwrap_err()
            .one_line();
        assert!(
            error.contains("eth0: no IPv4 address by DHCP: dhclient exited"),
            "{error}"
        );
        assert_eq!(addresses("eth0"), ["2001:db8::7/64"]);
        none_runs("dhclient");
    });
}

#[test]
fn no_carrier_is_an_error_and_a_persistent_client_waits_for_one() {
    with_only("dhclient", || {
        let mut network = Network::new();
        network.serve_ipv4();
        network.host.ip("link set far down");
        let mut eth0 = leased();
        let error = Builtin::default()
            .up(&target(&eth0))
            .unwrap_err()
            .one_line();
        assert_eq!(error, "eth0: no IPv4 address by DHCP: it has no carrier");
        assert!(running("dhclient").is_empty());
        eth0.dhcp4.as_mut().unwrap().persistent = true;
        let again = Builtin::default()
            .up(&target(&eth0))
            .unwrap_err()
            .one_line();
        assert_eq!(again, error);
        network.host.ip("link set far up");
        for _ in 0..3000 {
            if has_lease() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert!(has_lease());
        down(&eth0);
        none_runs("dhclient");
    });
}

/// With all clients there, by the program and its settings.
#[test]
fn the_client_that_the_settings_name_is_used() {
    if need::met(true, &["dnsmasq", "dhclient", "udhcpc"]) {
        in_namespace(|| {
            private_files(&WRITTEN, &[]);
            let mut network = Network::new();
            network.serve_ipv4();
            let host = Host::with(&[("ifcfg-eth0", "DEVICE=eth0\nBOOTPROTO=dhcp\n")]);
            for client in ["udhcpc", "dhclient"] {
                let settings = format!("[apply]\napplier = builtin\ndhcp-client = {client}\n");
                fs::write(host.path("ncf.conf"), settings).unwrap();
                let settings = host.path("ncf.conf");
                let settings = settings.to_str().unwrap();
                let ncf =
                    |verb| host.done(&["--config", settings, "--applier", "builtin", verb, "eth0"]);
                ncf("ifup");
                assert!(has_lease() && !running(client).is_empty(), "{client}");
                ncf("ifdown");
                none_runs(client);
            }
        });
    }
}

#[test]
fn without_a_client_nothing_is_touched() {
    if need::met(true, &["dnsmasq"]) {
        in_namespace(|| {
            private_files(&WRITTEN, &CLIENTS);
            veth("eth0", "far");
            let error = Builtin::default().check(&target(&leased())).unwrap_err();
            let said = "eth0 is to get IPv4 addresses by DHCP, but this host has no client for it";
            assert_eq!(error.to_string(), said);
            assert_eq!(error.hints(), ["install one of dhclient, dhcpcd, udhcpc"]);
            let dhcpcd = Builtin {
                dhcp_client: DhcpClient::Dhcpcd,
            };
            let error = dhcpcd.check(&target(&leased())).unwrap_err();
            let hint = "install dhcpcd, which dhcp-client in ncf.conf asks for";
            assert_eq!(error.hints(), [hint]);
            let mut odd = leased();
            odd.name = "a\"b".parse().unwrap();
            ip("link add a\"b type veth");
            assert!(Builtin::default().check(&target(&odd)).is_err());
        });
    }
}

/// Whether `eth0` has an address of that prefix, and what kind of lifetime.
fn has_ipv6(length: &str) -> bool {
    let all = addresses("eth0");
    all.iter()
        .any(|it| it.starts_with("2001:db8:") && it.ends_with(length))
}

fn one_client_of_ipv6(client: &'static str) {
    with_only(client, move || {
        let mut network = Network::new();
        network.serve(&[
            "--enable-ra",
            "--dhcp-range=2001:db8::100,2001:db8::1ff,64,1h",
        ]);
        let mut eth0 = eth0();
        eth0.dhcp6 = Some(dhcp());
        up(&eth0);
        let all = addresses("eth0");
        assert!(
            all.iter().any(|it| it.starts_with("2001:db8::1")),
            "{all:?}"
        );
        let clients = running(client);
        up(&eth0);
        assert_eq!(running(client)[0], clients[0]);
        down(&eth0);
        none_runs(client);
        assert!(addresses("eth0").is_empty());
    });
}

#[test]
fn dhclient_gets_ipv6_too() {
    one_client_of_ipv6("dhclient");
}

#[test]
fn dhcpcd_gets_ipv6_too() {
    one_client_of_ipv6("dhcpcd");
}

#[test]
fn routers_are_listened_to_only_where_that_is_asked_for() {
    with_only("dhclient", || {
        let mut network = Network::new();
        network.serve(&["--enable-ra", "--dhcp-range=2001:db8::,ra-only,64,1h"]);
        let switch = |name: &str| {
            let path = format!("/proc/sys/net/ipv6/conf/eth0/{name}");
            fs::read_to_string(path).unwrap().trim().to_owned()
        };
        let mut eth0 = eth0();
        eth0.ipv6 = Ipv6 {
            autoconf: Some(true),
            privacy: Some(true),
            ..Ipv6::default()
        };
        fs::write("/proc/sys/net/ipv6/conf/eth0/accept_ra", "0").unwrap();
        up(&eth0);
        for _ in 0..1000 {
            if has_ipv6("/64") && ip("-6 route show default").contains("proto ra") {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert!(has_ipv6("/64"), "{:?}", addresses("eth0"));
        assert!(ip("-6 route show default").contains("proto ra"));
        assert_eq!(
            (switch("accept_ra"), switch("use_tempaddr")),
            ("1".to_owned(), "2".to_owned())
        );
        down(&eth0);
        assert_eq!(
            switch("use_tempaddr"),
            "0",
            "as for a device nobody has configured"
        );

        eth0.ipv6 = Ipv6 {
            autoconf: Some(false),
            forwarding: Some(true),
            mtu: Some(1400),
            ..Ipv6::default()
        };
        up(&eth0);
        assert_eq!(
            (switch("accept_ra"), switch("autoconf")),
            ("0".to_owned(), "0".to_owned())
        );
        assert_eq!(
            (switch("forwarding"), switch("mtu")),
            ("1".to_owned(), "1400".to_owned())
        );
        // A router that listens to others must be told so twice.
        eth0.ipv6.autoconf = Some(true);
        up(&eth0);
        assert_eq!(switch("accept_ra"), "2");
        down(&eth0);
        assert_eq!(
            (switch("accept_ra"), switch("forwarding")),
            ("1".to_owned(), "0".to_owned())
        );
    });
}

#[test]
fn a_change_to_dhcp_goes_there_and_back() {
    with_only("udhcpc", || {
        let mut network = Network::new();
        network.serve_ipv4();
        let fixed = "DEVICE=eth0\nIPADDR=192.0.2.7\nPREFIX=24\nGATEWAY=192.0.2.1\n";
        let host = Host::with(&[("ifcfg-eth0", fixed)]);
        let ncf = |arguments: &[&str]| {
            let ran = host.ncf(&[&["--applier", "builtin"], arguments].concat());
            assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
            ran.stdout
        };
        ncf(&["change-begin"]);
        host.write("ifcfg-eth0", "DEVICE=eth0\nBOOTPROTO=dhcp\nPEERDNS=no\n");
        let report = ncf(&["apply"]);
        assert!(
            report.contains("ifcfg-eth0:3: PEERDNS=\"no\": not applied"),
            "{report}"
        );
        assert!(has_lease());
        ncf(&["change-rollback"]);
        none_runs("udhcpc");
        assert_eq!(addresses("eth0"), ["192.0.2.7/24"]);
        assert_eq!(
            ip("route show default").trim(),
            "default via 192.0.2.1 dev eth0 proto static"
        );
    });
}

#[test]
fn a_bridge_gets_a_lease_through_its_port() {
    with_only("dhclient", || {
        let mut network = Network::new();
        network.serve_ipv4();
        let bridge = Bridge {
            forward_delay: Some(0),
            ports: vec!["eth0".parse().unwrap()],
            ..Bridge::default()
        };
        let mut br0 = Desired::new("br0".parse().unwrap(), LinkKind::Bridge(bridge));
        br0.dhcp4 = Some(dhcp());
        up(&br0);
        assert_eq!(addresses("br0").len(), 1);
        assert!(ip("route show default").contains("via 192.0.2.1 dev br0"));
        assert_eq!(events(|| up(&br0)), [""; 0]);
        down(&br0);
        none_runs("dhclient");
    });
}
