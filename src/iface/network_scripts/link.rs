//! The link itself: its kind, a bridge's options and ports, hardware addresses, MTU.

use super::config::{self, Config};
use crate::Result;
use crate::apply::desired::{Bridge, LinkKind};
use crate::iface::backend::Files;
use crate::iface::order;
use crate::ifcfg::address::number;
use crate::sys::name::{InterfaceName, MacAddress};

/// What kind of link the device `name` is.
pub(super) fn kind(name: &InterfaceName, config: &Config, files: &dyn Files) -> Result<LinkKind> {
    if config.text("TYPE")?.as_deref() != Some("Bridge") {
        return Ok(LinkKind::Device);
    }
    Ok(LinkKind::Bridge(Bridge {
        stp: config.yes("STP")?,
        forward_delay: config.parsed("DELAY", delay)?,
        ports: ports(name, files)?,
    }))
}

/// The interfaces whose files name the bridge, in natural order. Reads all files.
fn ports(bridge: &InterfaceName, files: &dyn Files) -> Result<Vec<InterfaceName>> {
    let mut ports = Vec::new();
    for config in config::all(files)? {
        if config.text("BRIDGE")?.as_deref() == Some(bridge.as_str()) {
            ports.extend(config.interface().filter(|port| port != bridge));
        }
    }
    ports.sort_by(order::natural);
    ports.dedup();
    Ok(ports)
}

/// A forward delay in seconds, as hundredths.
fn delay(text: &str) -> Result<u32, String> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let fraction = match fraction.len() {
        1 => number(fraction).map(|tenths| tenths * 10),
        2 => number(fraction),
        _ => None,
    };
    number(seconds)
        .and_then(|seconds| seconds.checked_mul(100))
        .zip(fraction)
        .map(|(seconds, fraction)| seconds.saturating_add(fraction))
        .filter(|delay| *delay <= 3000)
        .ok_or_else(|| "seconds from 0 to 30, with at most two decimals, are allowed".to_owned())
}

/// An MTU in bytes.
pub(super) fn mtu(text: &str) -> Result<u32, String> {
    number(text)
        .filter(|mtu| (68..=65535).contains(mtu))
        .ok_or_else(|| "a number of bytes from 68 to 65535 is allowed".to_owned())
}

/// A hardware address.
pub(super) fn mac(text: &str) -> Result<MacAddress, String> {
    text.parse()
        .map_err(|_| "six pairs of hexadecimal digits with colons between are allowed".to_owned())
}

/// The name of an interface.
pub(super) fn interface(text: &str) -> Result<InterfaceName, String> {
    text.parse().map_err(|bad| format!("{bad}"))
}
