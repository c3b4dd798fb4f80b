//! Streams between namespaces, and what arrives of them.
//!
//! `iperf3` sends; what counts is what IP has received between two looks, as far apart as a test says.
//! `iperf3`'s own figures are of what the program got, without headers, and at one megabit a second the message that
//! ends a test waits in the very queue that is tested.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, poll};

use super::netns::Peer;

/// What an IPv6 and a UDP header take of a packet, and a little more.
const HEADERS: u32 = 60;

/// Bytes of an Ethernet header.
const ETHERNET: u64 = 14;

/// How a stream is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// As fast as it goes.
    Tcp,
    /// At so many bits a second, however much of it arrives.
    Udp(u64),
}

impl Stream {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp(_) => "UDP",
        }
    }
}

/// One end of a stream: a device with an address, in the test's own namespace or in another.
#[derive(Clone, Copy)]
pub struct End<'a> {
    pub peer: Option<&'a Peer>,
    pub address: &'a str,
    /// Of all devices on the way.
    pub mtu: u32,
}

impl End<'_> {
    /// A program that runs at this end.
    pub fn command(&self, program: &str) -> Command {
        match self.peer {
            Some(peer) => peer.command(program),
            None => Command::new(program),
        }
    }

    /// Bytes on the wire of all that IP has received here. A device counts what enters it before that is limited.
    pub fn received(&self) -> u64 {
        let files = ["/proc/net/snmp", "/proc/net/netstat", "/proc/net/snmp6"];
        let output = self.command("cat").args(files).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let packets = column(&text, "Ip:", "InReceives") + line(&text, "Ip6InReceives");
        let octets = column(&text, "IpExt:", "InOctets") + line(&text, "Ip6InOctets");
        octets + packets * ETHERNET
    }

    /// Bytes a second that are received during so long.
    pub fn rate(&self, time: Duration) -> f64 {
        let (one, began) = (self.received(), Instant::now());
        thread::sleep(time);
        let (next, took) = (self.received(), began.elapsed());
        #[allow(clippy::cast_precision_loss, reason = "a test moves few bytes")]
        let bytes = (next - one) as f64;
        bytes / took.as_secs_f64()
    }
}

/// The number below `name` in the table of two lines that begins with `table`.
fn column(text: &str, table: &str, name: &str) -> u64 {
    let mut lines = text
        .lines()
        .filter(|line| line.split(' ').next() == Some(table));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.split(' ').position(|it| it == name).unwrap();
    values.split(' ').nth(at).unwrap().parse().unwrap()
}

/// The number behind `name`; 0 where there is no IPv6.
fn line(text: &str, name: &str) -> u64 {
    let found = text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.next().unwrap().parse().unwrap())
    });
    found.unwrap_or(0)
}

/// Programs that run until this value goes away.
pub struct Running(pub Vec<Child>);

impl Running {
    fn into_inner(mut self) -> Vec<Child> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a stream and waits until it flows.
pub fn start(from: &End<'_>, to: &End<'_>, stream: Stream, port: u16) -> Running {
    let port = port.to_string();
    let quiet = |command: &mut Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null()).spawn().unwrap()
    };
    let mut server = to.command("iperf3");
    server.args(["-s", "-p", &port, "-B", to.address]);
    let mut running = Running(vec![quiet(&mut server)]);
    for _ in 0..50 {
        let mut client = from.command("iperf3");
        client.args(["-c", to.address, "-p", &port, "-t", "120"]);
        if let Stream::Udp(bits) = stream {
            let (bits, length) = (bits.to_string(), (to.mtu - HEADERS).to_string());
            client.args(["-u", "-b", &bits, "-l", &length]);
        }
        let before = to.received();
        let client = Running(vec![quiet(&mut client)]);
        for wait in [300, 700] {
            thread::sleep(Duration::from_millis(wait));
            // The handshake alone is some hundred bytes.
            if to.received() > before + 5000 {
                running.0.extend(client.into_inner());
                return running;
            }
        }
    }
    panic!("iperf3 does not send to {} port {port}", to.address);
}

/// Carries frames between the files of two macvtaps: what a guest's virtual card does.
pub struct Cable {
    stop: Arc<AtomicBool>,
}

impl Cable {
    pub fn between(one: &str, other: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let open = |path: &str| {
            let open = || {
                let mut options = OpenOptions::new();
                options
                    .read(true)
                    .write(true)
                    .custom_flags(libc::O_NONBLOCK);
                options.open(path)
            };
            let mut opened = open();
            for _ in 0..50 {
                if opened.is_ok() {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
                opened = open();
            }
            opened.unwrap_or_else(|why| panic!("{path}: {why}"))
        };
        let (one, other) = (open(one), open(other));
        for (from, to) in [
            (one.try_clone().unwrap(), other.try_clone().unwrap()),
            (other, one),
        ] {
            let stop = Arc::clone(&stop);
            thread::spawn(move || carry(from, to, &stop));
        }
        Self { stop }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A queue that is full makes the sender wait, as it does a guest's card, and then the queue before it loses frames.
///
/// The waiting must be in `poll`: a write that blocks on a macvtap whose queue is full is never woken
/// (`sock_wait_for_wmem()` clears the flag without which `tap_sock_write_space()` does not wake it).
fn carry(mut from: File, mut to: File, stop: &AtomicBool) {
    let mut frame = vec![0; 70_000];
    while !stop.load(Ordering::Relaxed) {
        let length = match from.read(&mut frame) {
            Err(why) if why.kind() == ErrorKind::WouldBlock => {
                wait_for(&from, PollFlags::POLLIN);
                continue;
            }
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        while let Err(why) = to.write(&frame[..length])
            && why.kind() == ErrorKind::WouldBlock
            && !stop.load(Ordering::Relaxed)
        {
            wait_for(&to, PollFlags::POLLOUT);
        }
    }
}

/// Waits, but not for so long that the end goes unnoticed.
fn wait_for(file: &File, events: PollFlags) {
    let mut wanted = [PollFd::new(file.as_fd(), events)];
    let _ = poll(&mut wanted, 100u16);
}
