//! Ranges of aliases: `ifcfg-eth0-range0`, as `ifup-aliases` has them.
//!
//! Every address from `IPADDR_START` to `IPADDR_END` is an alias's, numbered from `CLONENUM_START` on. Where the scripts
//! log that a range is wrong and go on without its addresses, this refuses.

use std::net::Ipv4Addr;

use super::addresses;
use super::config::{self, Config};
use super::refuse;
use crate::Result;
use crate::apply::desired::Address;
use crate::iface::backend::Files;
use crate::ifcfg::address::number;
use crate::sys::name::InterfaceName;

/// Between the device's name and the range's own, in the name of its file.
const INFIX: &str = "-range";

/// The device whose range of aliases the file `ifcfg-PART` is, by its name.
pub(super) fn device_of(part: &str) -> Option<InterfaceName> {
    part.split_once(INFIX)?.0.parse().ok()
}

/// The addresses of all ranges of `name`, whose own file is `parent`; those that do not come up with it
/// (`ONPARENT=no`) are left out.
pub(super) fn of(name: &InterfaceName, parent: &Config, files: &dyn Files) -> Result<Vec<Address>> {
    let mut addresses = Vec::new();
    for range in config::beside(&format!("ifcfg-{name}{INFIX}"), files)? {
        refuse::check_range(&range)?;
        if range.yes("ONPARENT")? != Some(false) {
            add_all(&mut addresses, name, &range, parent)?;
        }
    }
    Ok(addresses)
}

fn add_all(
    addresses: &mut Vec<Address>,
    name: &InterfaceName,
    range: &Config,
    parent: &Config,
) -> Result<()> {
    let Some(start) = range.parsed("IPADDR_START", address)? else {
        return Err(range.wrong("IPADDR_START", "", "an IPv4 address is allowed"));
    };
    let Some(end) = range.parsed("IPADDR_END", address)? else {
        return Err(range.wrong("IPADDR_END", "", "an IPv4 address is allowed"));
    };
    // The scripts count in the last octet alone.
    let highest = Ipv4Addr::from_bits(start.to_bits() | 0xff);
    if !(start..=highest).contains(&end) {
        let allowed = format!("an address from {start} to {highest} is allowed");
        return Err(range.wrong("IPADDR_END", &end.to_string(), allowed));
    }
    let clone = range.parsed("CLONENUM_START", |text| {
        number(text).ok_or("a number is allowed")
    })?;
    let hosts = start.to_bits()..=end.to_bits();
    for (alias, host) in (u64::from(clone.unwrap_or(0))..).zip(hosts) {
        let label = format!("{name}:{alias}")
            .parse()
            .map_err(|bad| range.wrong("CLONENUM_START", &alias.to_string(), format!("{bad}")))?;
        let host = Ipv4Addr::from_bits(host);
        addresses::add(addresses, addresses::of_alias(host, range, &label, parent)?);
    }
    Ok(())
}

fn address(text: &str) -> std::result::Result<Ipv4Addr, &'static str> {
    text.parse().map_err(|_| "an IPv4 address is allowed")
}
