//! Addresses: `IPADDR`, `PREFIX`, `NETMASK`, `BROADCAST` with and without number, and IPv6.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::config::Config;
use crate::Result;
use crate::apply::desired::Address;
use crate::ifcfg::address::{Family, class_prefix, netmask};
use crate::sys::name::InterfaceName;

/// The highest number of an `IPADDRn`, as in `expand_config` of `network-functions`.
pub(super) const LAST: u32 = 255;

/// What `ipv6_add_addr_on_device` of `network-functions-ipv6` gives an address without prefix length.
const IPV6_PREFIX: u8 = 64;

/// The addresses of `config`, IPv4 first, in the order in which they are added.
///
/// Those of an alias get its `label`, and take from its `parent` what they leave open, as in
/// `ifup-aliases`.
pub(super) fn of(
    config: &Config,
    label: Option<&InterfaceName>,
    parent: Option<&Config>,
) -> Result<Vec<Address>> {
    let mut addresses = Vec::new();
    for number in std::iter::once(None).chain((0..=LAST).map(Some)) {
        match ipv4(config, number, parent)? {
            Some(mut address) => {
                address.label = label.cloned();
                add(&mut addresses, address);
            }
            None if number >= Some(2) => break,
            None => {}
        }
    }
    if config.yes("IPV6INIT")? != Some(false) {
        for key in ["IPV6ADDR", "IPV6ADDR_SECONDARIES"] {
            let texts = config.text(key)?.unwrap_or_default();
            for text in texts.split_whitespace() {
                let net = ipv6(text).map_err(|allowed| config.wrong(key, text, allowed))?;
                add(&mut addresses, plain(net));
            }
        }
    }
    Ok(addresses)
}

/// Adds `address`, unless it is there already.
pub(super) fn add(addresses: &mut Vec<Address>, address: Address) {
    if !addresses.iter().any(|there| there.net == address.net) {
        addresses.push(address);
    }
}

fn plain(net: IpNet) -> Address {
    Address {
        net,
        label: None,
        broadcast: None,
        peer: None,
    }
}

/// The address `IPADDRn`; without number, `IPADDR`.
fn ipv4(config: &Config, number: Option<u32>, parent: Option<&Config>) -> Result<Option<Address>> {
    let key = |key: &str| number.map_or_else(|| key.to_owned(), |number| format!("{key}{number}"));
    let Some(address) = config.parsed(&key("IPADDR"), ipv4_address)? else {
        return Ok(None);
    };
    let mut prefix = prefix(config, &key("PREFIX"), &key("NETMASK"))?;
    if let (None, Some(parent)) = (prefix, parent) {
        prefix = self::prefix(parent, "PREFIX", "NETMASK")?;
    }
    let prefix = prefix.unwrap_or_else(|| class_prefix(address));
    let net = IpNet::new(IpAddr::V4(address), prefix)
        .map_err(|error| config.wrong(&key("IPADDR"), &address.to_string(), error))?;
    Ok(Some(Address {
        broadcast: config.parsed(&key("BROADCAST"), ipv4_address)?,
        ..plain(net)
    }))
}

/// One address of a range of aliases, with what `config` says of all of them.
pub(super) fn of_alias(
    address: Ipv4Addr,
    config: &Config,
    label: &InterfaceName,
    parent: &Config,
) -> Result<Address> {
    let prefix = match prefix(config, "PREFIX", "NETMASK")? {
        Some(prefix) => Some(prefix),
        None => prefix(parent, "PREFIX", "NETMASK")?,
    };
    let prefix = prefix.unwrap_or_else(|| class_prefix(address));
    let net = IpNet::new(IpAddr::V4(address), prefix)
        .map_err(|error| config.wrong("IPADDR_START", &address.to_string(), error))?;
    Ok(Address {
        label: Some(label.clone()),
        broadcast: config.parsed("BROADCAST", ipv4_address)?,
        ..plain(net)
    })
}

fn ipv4_address(text: &str) -> Result<Ipv4Addr, &'static str> {
    text.parse().map_err(|_| "an IPv4 address is allowed")
}

/// The prefix length by either key; both are checked, and `PREFIX` wins, as in `expand_config`.
fn prefix(config: &Config, prefix_key: &str, netmask_key: &str) -> Result<Option<u8>> {
    let mask = config.parsed(netmask_key, netmask)?;
    let prefix = config.parsed(prefix_key, |text| Family::V4.prefix(text))?;
    Ok(prefix.or(mask))
}

/// An IPv6 address with or without prefix length.
fn ipv6(text: &str) -> Result<IpNet, String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Family::V6.prefix(prefix)?),
        None => (text, IPV6_PREFIX),
    };
    IpNet::new(Family::V6.address(address)?, prefix).map_err(|error| error.to_string())
}
