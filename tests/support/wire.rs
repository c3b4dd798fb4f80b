//! The guest's end of a port: frames in and out of a tap or macvtap device.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::netns::link_attribute;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// How long a frame may take where one is expected, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait where none is.
const SILENCE: Duration = Duration::from_millis(500);

/// Bytes of virtio's header before a macvtap's frames (`struct virtio_net_hdr`).
const HEADER: usize = 10;

/// A guest's network card, as far as frames go.
pub enum Wire {
    Tap(SyncDevice),
    Macvtap(File),
}

impl Wire {
    /// Attaches to a tap device that is there.
    pub fn tap(name: &str) -> Self {
        let device = DeviceBuilder::new()
            .name(name)
            .layer(Layer::L2)
            .inherit_enable_state()
            .build_sync()
            .unwrap();
        device.set_nonblocking(true).unwrap();
        is_up(name);
        Self::Tap(device)
    }

    /// Opens a macvtap's character device.
    pub fn macvtap(name: &str, node: impl AsRef<Path>) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(node)
            .unwrap();
        is_up(name);
        Self::Macvtap(file)
    }

    pub fn send(&mut self, frame: &[u8]) {
        match self {
            Self::Tap(device) => drop(device.send(frame).unwrap()),
            Self::Macvtap(file) => {
                let framed = [&[0; HEADER], frame].concat();
                file.write_all(&framed).unwrap();
            }
        }
    }

    fn next(&mut self, wait: Duration) -> Option<Vec<u8>> {
        let fd = match &*self {
            Self::Tap(device) => device.as_fd(),
            Self::Macvtap(file) => file.as_fd(),
        };
        let millis = u16::try_from(wait.as_millis()).unwrap();
        let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(millis)).unwrap() == 0 {
            return None;
        }
        let mut bytes = vec![0; 2048];
        match self {
            Self::Tap(device) => {
                let length = device.recv(&mut bytes).ok()?;
                bytes.truncate(length);
            }
            Self::Macvtap(file) => {
                let length = file.read(&mut bytes).ok()?;
                bytes.truncate(length);
                bytes.drain(..HEADER);
            }
        }
        Some(bytes)
    }

    /// Whether a frame that `is` it arrives; others are passed over.
    pub fn hears(&mut self, is: impl Fn(&[u8]) -> bool) -> bool {
        self.waits(PATIENCE, is)
    }

    /// Whether none arrives for a while.
    pub fn is_deaf_to(&mut self, is: impl Fn(&[u8]) -> bool) -> bool {
        !self.waits(SILENCE, is)
    }

    fn waits(&mut self, wait: Duration, is: impl Fn(&[u8]) -> bool) -> bool {
        let until = Instant::now() + wait;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if self.next(left).is_some_and(|frame| is(&frame)) {
                return true;
            }
        }
        false
    }
}

/// Waits until the kernel has taken notice that somebody is at the far end.
fn is_up(name: &str) {
    let until = Instant::now() + PATIENCE;
    while link_attribute(name, "operstate") != "UP" {
        assert!(Instant::now() < until, "{name} does not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A broadcast from `sender` with `text` in it, of an `EtherType` for local experiments.
pub fn broadcast(sender: [u8; 6], text: &str) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(sender);
    frame.extend([0x88, 0xb5]);
    frame.extend(text.bytes());
    frame.resize(60, 0);
    frame
}

/// Whether a frame has that text in it.
pub fn with(text: &str) -> impl Fn(&[u8]) -> bool {
    move |frame| {
        let mut words = frame.windows(text.len());
        words.any(|it| it == text.as_bytes())
    }
}

/// Asks who has an address.
pub fn arp_request(sender: [u8; 6], from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(sender);
    frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(sender);
    frame.extend(from.octets());
    frame.extend([0; 6]);
    frame.extend(to.octets());
    frame.resize(60, 0);
    frame
}

/// Whether a frame says who has it.
pub fn arp_reply(from: Ipv4Addr) -> impl Fn(&[u8]) -> bool {
    move |frame| {
        frame.get(12..14) == Some(&[0x08, 0x06])
            && frame.get(20..22) == Some(&[0, 2])
            && frame.get(28..32) == Some(&from.octets())
    }
}

/// The bytes of a MAC address.
pub fn octets(mac: &str) -> [u8; 6] {
    let parts: Vec<_> = mac
        .split(':')
        .map(|part| u8::from_str_radix(part, 16).unwrap())
        .collect();
    parts.try_into().unwrap()
}
