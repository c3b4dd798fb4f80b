//! VLANs: by their names (`eth0.42`, `vlan42`) or by keys (`PHYSDEV`, `VID`, `VLAN_ID`).

use super::config::Config;
use super::link::interface;
use crate::apply::desired::Vlan;
use crate::ifcfg::address::number;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::vlan::{self, VlanFlags, VlanProtocol};
use crate::{Error, Result};

/// Whether the file is that of a VLAN: the scripts ask for `VLAN`, NetworkManager for `TYPE`.
pub(super) fn is(config: &Config) -> Result<bool> {
    let kind = config.text("TYPE")?;
    Ok(config.yes("VLAN")? == Some(true)
        || kind.is_some_and(|kind| kind.eq_ignore_ascii_case("Vlan")))
}

/// The VLAN `name`. What its name says and what its keys say must agree.
pub(super) fn of(name: &InterfaceName, config: &Config) -> Result<Vlan> {
    let named = by_name(name);
    let mut id = named.as_ref().map(|(_, id)| *id);
    for key in ["VID", "VLAN_ID"] {
        let by_key = config.parsed(key, |text| {
            let allowed = "a number from 1 to 4094 is allowed";
            number(text).filter(|id| is_id(*id)).ok_or(allowed)
        })?;
        if let (Some(by_key), Some(before)) = (by_key, id)
            && by_key != before
        {
            let allowed = format!("{name} is VLAN {before} by its name or another key");
            return Err(config.wrong(key, &by_key.to_string(), allowed));
        }
        id = by_key.or(id);
    }
    let mut lower = named.and_then(|(lower, _)| lower);
    if let Some(by_key) = config.parsed("PHYSDEV", interface)? {
        if let Some(by_name) = lower.filter(|by_name| *by_name != by_key) {
            let allowed = format!("{name} is over {by_name} by its name");
            return Err(config.wrong("PHYSDEV", by_key.as_str(), allowed));
        }
        lower = Some(by_key);
    }
    let path = &config.path;
    let Some(lower) = lower.filter(|lower| lower != name) else {
        return Err(Error::failed(format!(
            "{path}: PHYSDEV is to name the device that {name} is a VLAN over"
        )));
    };
    let Some(id) = id
        .filter(|id| is_id(*id))
        .and_then(|id| u16::try_from(id).ok())
    else {
        return Err(Error::failed(format!(
            "{path}: {name} has no VLAN number from 1 to 4094, by its name or by VID or VLAN_ID"
        )));
    };
    let (flags, mask) = flags(config)?;
    let protocol = VlanProtocol::Ieee8021Q;
    let tag = vlan::Vlan {
        id,
        protocol,
        flags,
    };
    Ok(Vlan { lower, tag, mask })
}

/// The lower device and the number that the name tells, as in `ifup`: `eth0.42`, or `vlan42`, which tells only
/// the number.
fn by_name(name: &InterfaceName) -> Option<(Option<InterfaceName>, u32)> {
    let id = |digits: &str| number(digits).filter(|_| digits.len() <= 4);
    if let Some((base, digits)) = name.as_str().rsplit_once('.') {
        return Some((Some(base.parse().ok()?), id(digits)?));
    }
    let digits = name.as_str().strip_prefix("vlan")?;
    Some((None, id(digits)?))
}

fn is_id(id: u32) -> bool {
    (1..=4094).contains(&id)
}

/// The flags, and which of them the file names.
fn flags(config: &Config) -> Result<(VlanFlags, VlanFlags)> {
    let mut flags = VlanFlags::empty();
    let mut mask = VlanFlags::empty();
    for (key, flag) in [
        ("REORDER_HDR", VlanFlags::ReorderHdr),
        ("GVRP", VlanFlags::Gvrp),
        ("MVRP", VlanFlags::Mvrp),
    ] {
        if let Some(on) = config.yes(key)? {
            mask |= flag;
            flags.set(flag, on);
        }
    }
    Ok((flags, mask))
}
