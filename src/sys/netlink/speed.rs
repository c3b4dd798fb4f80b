//! A link's speed and duplex, which `rtnetlink(7)` does not tell.
//!
//! They are read from `/sys/class/net`. The ethtool ioctl was rejected, for it takes unsafe code.
//! In a user namespace, or where a container has not mounted its own sysfs, what is there may be another
//! namespace's devices: so what is read counts only if index, lower device and hardware address there are
//! the link's too.

use std::fs;
use std::path::{Path, PathBuf};

use super::link::Link;
use crate::sys::name::MacAddress;

/// Where the kernel shows devices.
const DEVICES: &str = "/sys/class/net";

/// How fast a link is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Speed {
    /// Megabits a second.
    pub megabits: Option<u32>,
    /// Whether it sends and receives at once; `None` where the driver does not know.
    pub full_duplex: Option<bool>,
}

/// The speed of `link`; nothing where it has none (it is down, or a driver that has no such thing) or where
/// what sysfs shows is another namespace's.
pub fn of(link: &Link) -> Speed {
    let device = Path::new(DEVICES).join(link.name.as_str());
    if !is_shown(&device, link) {
        return Speed::default();
    }
    Speed {
        megabits: text(&device, "speed")
            .and_then(|text| text.parse::<i64>().ok())
            // -1 is "unknown" (SPEED_UNKNOWN in <linux/ethtool.h>); 2^32-1 on some older kernels.
            .and_then(|speed| u32::try_from(speed).ok())
            .filter(|speed| *speed != 0 && *speed != u32::MAX),
        full_duplex: match text(&device, "duplex").as_deref() {
            Some("full") => Some(true),
            Some("half") => Some(false),
            _ => None,
        },
    }
}

fn is_shown(device: &Path, link: &Link) -> bool {
    let index = text(device, "ifindex").and_then(|text| text.parse().ok());
    let mac = text(device, "address").and_then(|text| text.parse::<MacAddress>().ok());
    index == Some(link.index) && mac == link.mac
}

fn text(device: &Path, attribute: &str) -> Option<String> {
    let path: PathBuf = device.join(attribute);
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}
