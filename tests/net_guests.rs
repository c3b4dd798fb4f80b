//! Real guests, plugged by ncf: QEMU with a small kernel, two guests with a card in each kind of network.

#![allow(
    missing_docs,
    clippy::panic,
    clippy::format_push_string,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use support::need;
use support::netns::{answers, in_namespace, ip, private_devices, veth};
use support::networks::Nets;

/// How long a guest may take to come up, emulated, with others on the machine.
const BOOT: Duration = Duration::from_secs(240);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many answers in a row must fail to come before a way counts as closed.
const SILENT: usize = 4;

/// A running guest; killed when it goes.
struct Guest {
    name: &'static str,
    qemu: Child,
    console: Receiver<String>,
}

impl Guest {
    /// Starts one with the cards that `plugged` describes: QEMU's arguments as ncf printed them.
    fn start(image: &str, name: &'static str, plugged: &[String], words: &str) -> Self {
        let qemu = format!(
            "exec qemu-system-x86_64 -accel tcg -machine q35 -cpu max -m 192 -nodefaults -no-user-config -display none \
             -serial stdio -no-reboot -global virtio-net-pci.romfile= -kernel {image}/vmlinuz -initrd {image}/initramfs \
             -append 'console=ttyS0 quiet mitigations=off {words}' {}",
            plugged.join(" ")
        );
        let mut qemu = Command::new("sh")
            .args(["-c", &qemu])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(qemu.stdout.take().unwrap());
        let (tell, console) = channel();
        thread::spawn(move || {
            for line in output.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            name,
            qemu,
            console,
        }
    }

    /// Waits for a line on the console.
    #[track_caller]
    fn says(&self, wanted: &str, patience: Duration) {
        let until = Instant::now() + patience;
        let mut said = Vec::new();
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match self.console.recv_timeout(left) {
                Ok(line) if line == wanted => return,
                Ok(line) => said.push(line),
                Err(_) => break,
            }
        }
        panic!("{}: no {wanted:?} in {said:#?}", self.name);
    }

    /// Whether the guest gets no answer from there, several times in a row.
    #[track_caller]
    fn does_not_reach(&self, address: &str) {
        let mut lost = 0;
        while lost < SILENT {
            let line = self.console.recv_timeout(PATIENCE).unwrap();
            assert_ne!(line, format!("ping {address} ok"), "{}", self.name);
            lost += usize::from(line == format!("ping {address} lost"));
        }
    }

    #[track_caller]
    fn reaches(&self, address: &str) {
        self.says(&format!("ping {address} ok"), PATIENCE);
    }

    /// Forgets what the console said so far.
    fn forget(&self) {
        while self.console.try_recv().is_ok() {}
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// The directory with kernel and initramfs.
fn image() -> String {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/guest/image");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A wire of the host with a network on it: the mode, the third part of the addresses.
const WIRES: [(&str, u8); 4] = [
    ("bridge", 1),
    ("private", 2),
    ("vepa", 3),
    ("passthrough", 4),
];

fn host() -> Nets {
    let nets = Nets::new();
    ip("link add br0 type bridge");
    ip("link set br0 up");
    ip("address add 10.9.0.1/24 dev br0");
    nets.network(
        "test-bridge",
        "<forward mode='bridge'/><bridge name='br0'/>",
    );
    for (mode, net) in WIRES {
        let (near, far) = (format!("eth{net}"), format!("far{net}"));
        veth(&near, &far);
        ip(&format!("link set {near} up"));
        ip(&format!("link set {far} up"));
        let far = if mode == "vepa" {
            // The switch at the far end.
            ip("link add switch type bridge");
            ip("link set switch up");
            ip(&format!("link set {far} master switch"));
            "switch".to_owned()
        } else {
            far
        };
        ip(&format!("address add 10.9.{net}.1/24 dev {far}"));
        let name = if mode == "private" {
            "test-direct"
        } else {
            mode
        };
        nets.pool(name, mode, &[&near]);
    }
    nets
}

#[test]
fn guests_reach_what_their_networks_let_them() {
    if !need::met(true, &["qemu-system-x86_64", "cpio", "ip", "ping"]) {
        return;
    }
    // Out here: in there, nothing leads to Debian's packages.
    let image = image();
    in_namespace(move || {
        private_devices();
        let nets = host();
        let start = |name: &'static str, last: u8, other: u8| {
            let mut plugged = Vec::new();
            let mut words = String::new();
            for (number, network) in [
                "test-bridge",
                "bridge",
                "test-direct",
                "vepa",
                "passthrough",
            ]
            .into_iter()
            .enumerate()
            {
                if network == "passthrough" && name == "two" {
                    nets.ncf("plug passthrough --owner two")
                        .refused(3, &["no device of the network passthrough is free"]);
                    continue;
                }
                let mac = format!("52:54:00:09:{number:02x}:{last:02x}");
                let plug = format!(
                    "plug {network} --owner {name} --mac {mac} --format qemu --fd {}",
                    number + 3
                );
                plugged.push(nets.done(&plug).stdout.trim().to_owned());
                words += &format!("ncf.net={mac}=10.9.{number}.{last}/24 ");
                words += &format!("ncf.ping=10.9.{number}.1 ncf.ping=10.9.{number}.{other} ");
            }
            Guest::start(&image, name, &plugged, &words)
        };
        let one = start("one", 11, 12);
        let two = start("two", 12, 11);
        one.says("guest is up", BOOT);
        two.says("guest is up", BOOT);
        // On the host's bridge: the other guest and the host, from both sides.
        one.reaches("10.9.0.12");
        one.reaches("10.9.0.1");
        assert!(answers("10.9.0.12".parse().unwrap()));
        // Macvtap in bridge mode: the other guest, and what is beyond the wire.
        one.reaches("10.9.1.12");
        two.reaches("10.9.1.1");
        // Private: only what is beyond the wire.
        one.reaches("10.9.2.1");
        two.reaches("10.9.2.1");
        one.forget();
        one.does_not_reach("10.9.2.12");
        // VEPA: the other guest only once the switch sends back where it came from.
        one.reaches("10.9.3.1");
        one.does_not_reach("10.9.3.12");
        ip("link set far3 type bridge_slave hairpin on");
        one.reaches("10.9.3.12");
        // Passthrough: the device is the guest's.
        one.reaches("10.9.4.1");
        drop((one, two));
        nets.done("unplug --owner one");
        nets.done("unplug --owner two");
        assert!(nets.ports().is_empty());
    });
}
