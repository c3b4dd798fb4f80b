//! Addresses that others give: DHCP, and what IPv6 does by itself.

use super::config::Config;
use super::notes::Notes;
use crate::Result;
use crate::apply::desired::{Dhcp, Ipv6};
use crate::ifcfg::address::number;
use crate::sys::name::InterfaceName;

/// Whether IPv4 comes by DHCP. To the scripts BOOTP is the same: the client speaks both.
pub(super) fn is_dhcp(config: &Config) -> Result<bool> {
    let protocol = config.text("BOOTPROTO")?;
    Ok(protocol.is_some_and(|it| ["dhcp", "bootp"].contains(&it.as_str())))
}

/// How IPv4 comes by DHCP, if it does.
pub(super) fn dhcp4(
    name: &InterfaceName,
    config: &Config,
    notes: &mut Notes,
) -> Result<Option<Dhcp>> {
    if !is_dhcp(config)? {
        return Ok(None);
    }
    for key in ["IPADDR", "IPADDR0", "GATEWAY"] {
        if config.file.get(key).is_some() {
            notes.add(config, key, "not applied: the server gives what it gives");
        }
    }
    let by_device = config.text("GATEWAYDEV")?;
    let is_other = by_device.is_some_and(|by| by != name.as_str());
    let mut dhcp = dhcp(config)?;
    dhcp.default_route = config.yes("DEFROUTE")? != Some(false) && !is_other;
    dhcp.metric = config.parsed("METRIC", |text| {
        number(text).ok_or("a number from 0 to 4294967295 is allowed")
    })?;
    Ok(Some(dhcp))
}

/// How IPv6 comes by DHCP, if it does.
pub(super) fn dhcp6(config: &Config) -> Result<Option<Dhcp>> {
    if config.yes("IPV6INIT")? == Some(false) {
        return Ok(None);
    }
    // The scripts' own key, and the one that netcf writes.
    let is_asked = config.yes("DHCPV6C")?.or(config.yes("DHCPV6")?);
    (is_asked == Some(true)).then(|| dhcp(config)).transpose()
}

fn dhcp(config: &Config) -> Result<Dhcp> {
    let persistent = config.text("PERSISTENT_DHCLIENT")?.unwrap_or_default();
    Ok(Dhcp {
        hostname: config.parsed("DHCP_HOSTNAME", hostname)?,
        persistent: persistent.starts_with(['y', 'Y', '1']),
        release: config.yes("DHCPRELEASE")? == Some(true),
        default_route: true,
        metric: None,
    })
}

/// A host name as DNS has it, so that it can be nothing else to a client that takes it as an argument.
fn hostname(text: &str) -> Result<String, &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = text.len() <= 253 && text.bytes().all(is_plain) && !text.starts_with(['-', '.']);
    is_name
        .then(|| text.to_owned())
        .ok_or("at most 253 letters, digits, '-', '.' and '_' are allowed")
}

/// What the kernel does by itself. What the file does not name stays as it is, but a router does not
/// listen to other routers unless it is told to.
pub(super) fn ipv6(config: &Config) -> Result<Ipv6> {
    if config.yes("IPV6INIT")? == Some(false) {
        return Ok(Ipv6::default());
    }
    let forwarding = config.yes("IPV6FORWARDING")?;
    let autoconf = config.yes("IPV6_AUTOCONF")?;
    let privacy = config.text("IPV6_PRIVACY")?;
    Ok(Ipv6 {
        autoconf: autoconf.or((forwarding == Some(true)).then_some(false)),
        forwarding,
        privacy: (privacy.as_deref() == Some("rfc3041")).then_some(true),
        mtu: config.parsed("IPV6_MTU", |text| {
            number(text)
                .filter(|mtu| (1280..=65535).contains(mtu))
                .ok_or("a number of bytes from 1280 to 65535 is allowed")
        })?,
    })
}
