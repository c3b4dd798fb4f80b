//! Kernel parameters of the network, below `/proc/sys/net`.
//!
//! `/proc/sys/net` shows the network namespace of the thread that reads it. Source: `ip-sysctl` in the kernel's
//! documentation.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Result};
use crate::sys::name::InterfaceName;

const NET: &str = "/proc/sys/net";

/// A switch of the whole host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// `net.ipv4.ip_forward`. Writing it sets the `forwarding` of all devices too.
    Ipv4Forwarding,
    /// `net.ipv6.conf.all.forwarding`, the same. With it on, router advertisements are accepted only where
    /// `accept_ra` is 2.
    Ipv6Forwarding,
}

impl Switch {
    /// Its name as `sysctl(8)` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipv4Forwarding => "net.ipv4.ip_forward",
            Self::Ipv6Forwarding => "net.ipv6.conf.all.forwarding",
        }
    }

    fn path(self) -> PathBuf {
        let path = match self {
            Self::Ipv4Forwarding => "ipv4/ip_forward",
            Self::Ipv6Forwarding => "ipv6/conf/all/forwarding",
        };
        Path::new(NET).join(path)
    }

    /// Whether it is on.
    pub fn is_on(self) -> Result<bool> {
        let path = self.path();
        let text =
            fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
        Ok(text.trim() != "0")
    }

    /// Switches it.
    pub fn set(self, on: bool) -> Result<()> {
        let value = if on { "1" } else { "0" };
        fs::write(self.path(), value).context(|| format!("cannot set {} to {value}", self.name()))
    }
}

/// A parameter of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// Whether IPv4 packets that come in by it are forwarded: 0 or 1.
    Ipv4Forwarding,
    /// Whether it has no IPv6: 0 or 1.
    Ipv6Disabled,
    /// Whether router advertisements are accepted: 0 no, 1 unless the host forwards, 2 always.
    AcceptRouterAdvertisements,
    /// Whether addresses are made from them: 0 or 1.
    Autoconfiguration,
}

impl Parameter {
    fn path(self, device: &InterfaceName) -> PathBuf {
        let (family, name) = match self {
            Self::Ipv4Forwarding => ("ipv4", "forwarding"),
            Self::Ipv6Disabled => ("ipv6", "disable_ipv6"),
            Self::AcceptRouterAdvertisements => ("ipv6", "accept_ra"),
            Self::Autoconfiguration => ("ipv6", "autoconf"),
        };
        Path::new(NET)
            .join(family)
            .join("conf")
            .join(device.as_str())
            .join(name)
    }

    /// Its value; `None` where the device or the protocol is not there.
    pub fn get(self, device: &InterfaceName) -> Result<Option<i32>> {
        let path = self.path(device);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().parse().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Sets it.
    pub fn set(self, device: &InterfaceName, value: i32) -> Result<()> {
        let path = self.path(device);
        fs::write(&path, value.to_string())
            .context(|| format!("cannot write {value} to {}", path.display()))
    }
}
