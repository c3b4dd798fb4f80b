//! The link itself: its kind, what it is a port of, hardware addresses, MTU.

use super::config::Config;
use super::notes::Notes;
use super::{bond, bridge, vlan};
use crate::Result;
use crate::apply::desired::{LinkKind, Master};
use crate::iface::backend::Files;
use crate::ifcfg::address::number;
use crate::sys::name::{InterfaceName, MacAddress};

/// What kind of link the device `name` is, and what of it is not applied.
pub(super) fn kind(
    name: &InterfaceName,
    config: &Config,
    files: &dyn Files,
    notes: &mut Notes,
) -> Result<LinkKind> {
    if config.text("TYPE")?.as_deref() == Some("Bridge") {
        bridge::of(name, config, files, notes).map(LinkKind::Bridge)
    } else if vlan::is(config)? {
        vlan::of(name, config).map(LinkKind::Vlan)
    } else if bond::is(name, config)? {
        bond::of(name, config, files, notes).map(LinkKind::Bond)
    } else {
        Ok(LinkKind::Device)
    }
}

/// What it is a port of: of a bond before a bridge, as in `ifup-eth`.
pub(super) fn master(
    config: &Config,
    files: &dyn Files,
    notes: &mut Notes,
) -> Result<Option<Master>> {
    if let Some(bond) = config.parsed("MASTER", bond::name)? {
        if config.yes("SLAVE")? == Some(true) {
            let settings = bond::settings_of(&bond, files)?;
            return Ok(Some(Master::Bond(bond, settings)));
        }
        notes.add(config, "MASTER", "it counts only with SLAVE=yes");
    }
    let bridge = config.parsed("BRIDGE", interface)?;
    Ok(bridge.map(Master::Bridge))
}

/// Words such as `miimon=100 mode=1`, each with what is on either side of its first and its last `=`, as in
/// `ifup-eth`.
pub(super) fn pairs(config: &Config, key: &str) -> Result<Vec<(String, String)>> {
    let text = config.text(key)?.unwrap_or_default();
    let pair = |word: &str| {
        let (name, value) = word.split_once('=')?;
        let value = value.rsplit('=').next()?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.split_whitespace()
        .map(|word| {
            let allowed = "words such as miimon=100 with blanks between are allowed";
            pair(word).ok_or_else(|| config.wrong(key, word, allowed))
        })
        .collect()
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
