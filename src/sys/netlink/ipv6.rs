//! Whether IPv6 is there, which netlink does not tell.
//!
//! `/proc/sys/net` shows the network namespace of the thread that reads it.

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

/// Allows IPv6 on a device where `disable_ipv6` forbids it, as `ifup` does for `IPV6INIT=yes`: the kernel
/// refuses addresses otherwise. Writes nothing where it is allowed already.
pub fn enable(device: &InterfaceName) -> Result<()> {
    let path = switch(device);
    match fs::read_to_string(&path) {
        Ok(text) if text.trim() == "0" => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => fs::write(&path, "0").context(|| format!("cannot enable IPv6 on {device}")),
    }
}

fn switch(device: &InterfaceName) -> PathBuf {
    Path::new(SWITCHES)
        .join(device.as_str())
        .join("disable_ipv6")
}
