//! The kernel's IPv6 switches of a device, which netlink does not set.
//!
//! `/proc/sys/net` shows the network namespace of the thread that reads it. `ip-sysctl.rst` of the kernel's
//! documentation describes the switches.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::sys::name::InterfaceName;

/// Where the kernel keeps its IPv6 switches.
const SWITCHES: &str = "/proc/sys/net/ipv6/conf";

/// Whether this kernel speaks IPv6 at all; not so with `ipv6.disable=1` on its command line.
pub fn is_supported() -> bool {
    Path::new(SWITCHES).exists()
}

/// The value of the switch of that name (`accept_ra`) of a device; `None` where there is none.
pub fn value(device: &InterfaceName, switch: &str) -> Option<u32> {
    number(&path(device.as_str(), switch))
}

/// The value that the switch of that name has in a device that is made now.
pub fn default_value(switch: &str) -> Option<u32> {
    number(&path("default", switch))
}

/// Sets the switch of that name of a device. Writes nothing where it has the value already, or where the kernel
/// has no such switch.
pub fn set(device: &InterfaceName, switch: &str, value: u32) -> Result<()> {
    let path = path(device.as_str(), switch);
    let written = match number(&path) {
        Some(now) if now == value => return Ok(()),
        _ => fs::write(&path, value.to_string()),
    };
    match written {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        written => written.context(|| format!("cannot set {switch} of {device} to {value}")),
    }
}

/// Allows IPv6 on a device where `disable_ipv6` forbids it, as `ifup` does for `IPV6INIT=yes`: the kernel
/// refuses addresses otherwise.
pub fn enable(device: &InterfaceName) -> Result<()> {
    set(device, "disable_ipv6", 0)
}

fn path(device: &str, switch: &str) -> PathBuf {
    Path::new(SWITCHES).join(device).join(switch)
}

fn number(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
