//! What a file's keys say in the terms of [`crate::iface::model`].
//!
//! A description must not fail because of one wrong value: the rest of the file is as good as before, and a
//! redefinition leaves what it cannot read as it stands. So each value that is not understood is left out, and noted.
//! The built-in applier, which would act on it, refuses it instead: see [`Config::parsed`].

use std::cell::RefCell;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::addresses::LAST;
use super::super::config::Config;
use crate::Error;
use crate::iface::model::{
    Addressing, Delay, Ip4, Ip6, Ipv4, Ipv6, Mtu, StartMode, Vlan, VlanId, interface_name,
};
use crate::ifcfg::Content;
use crate::ifcfg::address::{Family, netmask, number};
use crate::sys::name::{InterfaceName, MacAddress};

/// A file's values, and what was wrong with some.
pub(super) struct Reading<'a> {
    config: &'a Config,
    warnings: RefCell<Vec<Error>>,
}

impl<'a> Reading<'a> {
    pub(super) fn of(config: &'a Config) -> Self {
        Self {
            config,
            warnings: RefCell::default(),
        }
    }

    /// What was left out so far, and why.
    pub(super) fn into_warnings(self) -> Vec<Error> {
        self.warnings.into_inner()
    }

    fn warn(&self, warning: Error) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings
            .iter()
            .any(|it| it.to_string() == warning.to_string())
        {
            warnings.push(warning);
        }
    }

    /// The value of `key`, if it is set, not empty, and known without executing anything.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let value = self.config.file.get(key)?;
        if let Some(text) = value.text() {
            return (!text.is_empty()).then(|| text.to_owned());
        }
        let what = match &value.content {
            Content::Dynamic(_) => "only a shell can work this value out",
            Content::Static(_) => "only UTF-8 is understood here",
        };
        let place = self.config.place(key);
        self.warn(Error::failed(format!(
            "{place}: {key}: {what}; it is left out"
        )));
        None
    }

    /// The value of `key`, converted; the error of `parse` says what is allowed.
    fn parsed<T, E: Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(key)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(allowed) => {
                self.warn(self.config.wrong(key, &text, allowed));
                None
            }
        }
    }

    /// The value of `key` as yes or no, in the forms that `is_true` and `is_false` of `functions` know.
    pub(super) fn yes(&self, key: &str) -> Option<bool> {
        self.text(key)?;
        match self.config.yes(key) {
            Ok(value) => value,
            Err(wrong) => {
                self.warn(wrong);
                None
            }
        }
    }

    /// When it comes up. Without `ONBOOT` the init script does bring it up.
    pub(super) fn start(&self) -> StartMode {
        match (self.yes("ONBOOT"), self.yes("HOTPLUG")) {
            (Some(false), Some(true)) => StartMode::HotPlug,
            (Some(false), _) => StartMode::None,
            _ => StartMode::OnBoot,
        }
    }

    pub(super) fn mtu(&self) -> Option<Mtu> {
        self.parsed("MTU", |text| Mtu::new(number(text).unwrap_or(0)))
    }

    pub(super) fn mac(&self) -> Option<MacAddress> {
        self.parsed("HWADDR", super::super::link::mac)
    }

    pub(super) fn stp(&self) -> Option<bool> {
        self.yes("STP")
    }

    pub(super) fn delay(&self) -> Option<Delay> {
        self.parsed("DELAY", Delay::parse)
    }

    /// The VLAN that the device `name` is by this file, as `ifup` has it: by the name where that says so,
    /// else by `PHYSDEV` and `VID` or, as NetworkManager writes it, `VLAN_ID`.
    pub(super) fn vlan(&self, name: &InterfaceName) -> Option<Vlan> {
        if self.yes("VLAN") != Some(true) && self.text("TYPE").as_deref() != Some("Vlan") {
            return None;
        }
        let tag = |text: &str| VlanId::new(number(text).unwrap_or(0));
        let found = match VlanName::of(name) {
            VlanName::Dotted(lower, id) => interface_name(lower).ok().zip(tag(id).ok()),
            VlanName::Numbered(id) => self.physdev().zip(tag(id).ok()),
            VlanName::Other => {
                let id = self
                    .parsed("VID", tag)
                    .or_else(|| self.parsed("VLAN_ID", tag));
                self.physdev().zip(id)
            }
        };
        let found = found.filter(|(lower, _)| lower != name);
        if found.is_none() {
            self.warn(Error::failed(format!(
                "{}: {name} is a VLAN, but on which device with which number is not said",
                self.config.path
            )));
        }
        found.map(|(lower, tag)| Vlan { tag, lower })
    }

    fn physdev(&self) -> Option<InterfaceName> {
        self.parsed("PHYSDEV", interface_name)
    }

    pub(super) fn addressing(&self) -> Addressing {
        let mut addressing = Addressing {
            ipv4: self.ipv4(),
            ipv6: self.ipv6(),
            peer_dns: None,
        };
        if addressing.has_dhcp() {
            addressing.peer_dns = self.yes("PEERDNS");
        }
        addressing
    }

    /// Whether `BOOTPROTO` asks for DHCP, or for BOOTP, which the scripts treat alike.
    pub(super) fn dhcp4(&self) -> bool {
        let protocol = self.text("BOOTPROTO");
        protocol.is_some_and(|it| ["dhcp", "bootp"].contains(&it.to_ascii_lowercase().as_str()))
    }

    fn ipv4(&self) -> Option<Ipv4> {
        let mut addresses: Vec<Ip4> = Vec::new();
        for (_, address) in self.slots() {
            let known = |it: &Ip4, new: &Ip4| it.address == new.address;
            addresses.extend(address.filter(|new| !addresses.iter().any(|it| known(it, new))));
        }
        let dhcp = self.dhcp4();
        let gateway = if addresses.is_empty() {
            None
        } else {
            self.gateway4()
        };
        (dhcp || !addresses.is_empty()).then_some(Ipv4 {
            dhcp,
            addresses,
            gateway,
        })
    }

    /// The IPv4 addresses with the ends of their keys (none, `0`, `1`, …), as far as the scripts read them;
    /// `None` for one that is not understood.
    pub(super) fn slots(&self) -> Vec<(String, Option<Ip4>)> {
        let mut slots = Vec::new();
        for at in std::iter::once(None).chain((0..=LAST).map(Some)) {
            let end = at.map_or_else(String::new, |at| at.to_string());
            let key = format!("IPADDR{end}");
            let is_set = self
                .config
                .file
                .get(&key)
                .is_some_and(|value| value.bytes().is_none_or(|bytes| !bytes.is_empty()));
            if is_set {
                let address = self.parsed(&key, ipv4_address);
                let prefix = self.prefix(&end);
                slots.push((end, address.map(|address| Ip4 { address, prefix })));
            } else if at >= Some(2) {
                break;
            }
        }
        slots
    }

    /// A prefix length by either key; `PREFIX` wins.
    fn prefix(&self, end: &str) -> Option<u8> {
        let prefix = self.parsed(&format!("PREFIX{end}"), |text| Family::V4.prefix(text));
        prefix.or_else(|| self.parsed(&format!("NETMASK{end}"), netmask))
    }

    pub(super) fn gateway4(&self) -> Option<Ipv4Addr> {
        self.parsed("GATEWAY", ipv4_address)
            .or_else(|| self.parsed("GATEWAY0", ipv4_address))
    }

    fn ipv6(&self) -> Option<Ipv6> {
        let ipv6 = Ipv6 {
            autoconf: self.autoconf(),
            dhcp: self.dhcp6(),
            addresses: self.addresses6(),
            gateway: self.gateway6(),
        };
        let asked =
            || self.yes("IPV6_AUTOCONF") == Some(true) || ipv6.dhcp || !ipv6.addresses.is_empty();
        match self.yes("IPV6INIT") {
            Some(init) => init.then_some(ipv6),
            None => asked().then_some(ipv6),
        }
    }

    /// Autoconfiguration is the scripts' default, except on a router.
    pub(super) fn autoconf(&self) -> bool {
        let router = || self.yes("IPV6FORWARDING") == Some(true);
        self.yes("IPV6_AUTOCONF").unwrap_or_else(|| !router())
    }

    /// `DHCPV6C` is what the scripts read, `DHCPV6` what netcf writes.
    pub(super) fn dhcp6(&self) -> bool {
        let found = self.yes("DHCPV6C").or_else(|| self.yes("DHCPV6"));
        found.unwrap_or(false)
    }

    pub(super) fn addresses6(&self) -> Vec<Ip6> {
        let mut addresses: Vec<Ip6> = Vec::new();
        for key in ["IPV6ADDR", "IPV6ADDR_SECONDARIES"] {
            for text in self.text(key).unwrap_or_default().split_whitespace() {
                match ipv6_address(text) {
                    Ok(new) if addresses.iter().any(|it| it.address == new.address) => {}
                    Ok(new) => addresses.push(new),
                    Err(allowed) => self.warn(self.config.wrong(key, text, allowed)),
                }
            }
        }
        addresses
    }

    pub(super) fn gateway6(&self) -> Option<Ipv6Addr> {
        self.parsed("IPV6_DEFAULTGW", |text| {
            // A link-local next hop may name its device.
            let address = text.split('%').next().unwrap_or_default();
            match Family::V6.address(address)? {
                IpAddr::V6(address) => Ok(address),
                IpAddr::V4(_) => Err("an IPv6 address is allowed".to_owned()),
            }
        })
    }
}

/// What the name of a VLAN says, by the patterns of `ifup`.
pub(super) enum VlanName<'a> {
    /// `eth0.42`
    Dotted(&'a str, &'a str),
    /// `vlan42`
    Numbered(&'a str),
    /// Anything else.
    Other,
}

impl<'a> VlanName<'a> {
    pub(super) fn of(name: &'a InterfaceName) -> Self {
        let is_id = |id: &str| (1..=4).contains(&id.len()) && number(id).is_some();
        let name = name.as_str();
        match (name.strip_prefix("vlan"), name.rsplit_once('.')) {
            (Some(id), _) if is_id(id) => Self::Numbered(id),
            (_, Some((lower, id))) if is_id(id) && !lower.is_empty() => Self::Dotted(lower, id),
            _ => Self::Other,
        }
    }
}

fn ipv4_address(text: &str) -> Result<Ipv4Addr, &'static str> {
    text.parse().map_err(|_| "an IPv4 address is allowed")
}

fn ipv6_address(text: &str) -> Result<Ip6, String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(Family::V6.prefix(prefix)?)),
        None => (text, None),
    };
    match Family::V6.address(address)? {
        IpAddr::V6(address) => Ok(Ip6 { address, prefix }),
        IpAddr::V4(_) => Err("an IPv6 address is allowed".to_owned()),
    }
}
