//! Bridges: `STP`, `DELAY`, `PRIO`, `AGEING`, `BRIDGING_OPTS`.

use super::config::{self, Config};
use super::link::pairs;
use super::notes::Notes;
use crate::Result;
use crate::apply::desired::Bridge;
use crate::iface::backend::Files;
use crate::iface::order;
use crate::ifcfg::address::number;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::bridge;

/// The bridge `name`.
pub(super) fn of(
    name: &InterfaceName,
    config: &Config,
    files: &dyn Files,
    notes: &mut Notes,
) -> Result<Bridge> {
    let mut bridge = Bridge {
        stp: config.yes("STP")?,
        forward_delay: config.parsed("DELAY", delay)?,
        ports: ports(name, files)?,
        ..Bridge::default()
    };
    for (key, option) in [("PRIO", "priority"), ("AGEING", "ageing_time")] {
        let setting = config.parsed(key, |text| {
            let hundredths = if key == "AGEING" { "00" } else { "" };
            let spec = bridge::option(option).ok_or("the kernel has no such option")?;
            spec.parse(&format!("{text}{hundredths}"))
        })?;
        if let Some(setting) = setting {
            bridge.settings.set(setting);
        }
    }
    options(config, &mut bridge, notes)?;
    Ok(bridge)
}

/// `BRIDGING_OPTS`, whose names are those of `/sys/class/net/br0/bridge`. One that the kernel does not have
/// costs the scripts an error message, and no more.
fn options(config: &Config, bridge: &mut Bridge, notes: &mut Notes) -> Result<()> {
    const KEY: &str = "BRIDGING_OPTS";
    for (name, value) in pairs(config, KEY)? {
        let word = format!("{name}={value}");
        let wrong = |allowed: &str| config.wrong(KEY, &word, allowed);
        match name.as_str() {
            "stp_state" => bridge.stp = Some(value != "0"),
            "forward_delay" => {
                let hundredths = number(&value).filter(|delay| *delay <= 3000);
                let allowed = "hundredths of a second from 0 to 3000 are allowed";
                bridge.forward_delay = Some(hundredths.ok_or_else(|| wrong(allowed))?);
            }
            _ => match bridge::option(&name) {
                Some(option) => {
                    let setting = option.parse(&value).map_err(|allowed| wrong(&allowed))?;
                    bridge.settings.set(setting);
                }
                None => notes.add_value(config, KEY, &word, "not applied"),
            },
        }
    }
    Ok(())
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
