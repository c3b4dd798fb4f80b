//! `BONDING_OPTS`: options of the bonding driver with blanks between.

use crate::iface::model::{ArpMonitor, Bond, Carrier, MiiMonitor, Mode, Monitor, Validate};
use crate::ifcfg::address::number;
use crate::sys::name::InterfaceName;

/// Options, in order, as they are written.
#[derive(Debug, Clone, Default)]
pub(super) struct Options(Vec<(String, String)>);

impl Options {
    /// Reads the key's value. A word without `=` is kept as it is.
    pub(super) fn parse(text: &str) -> Self {
        let words = text.split_whitespace();
        Self(
            words
                .map(|word| match word.split_once('=') {
                    Some((name, value)) => (name.to_owned(), format!("={value}")),
                    None => (word.to_owned(), String::new()),
                })
                .collect(),
        )
    }

    /// The options that netcf writes for a bond.
    pub(super) fn of(bond: &Bond) -> Self {
        let mut options = Self::default();
        options.set_mode(bond);
        options.set("primary", bond.primary());
        options.set_monitor(bond);
        options
    }

    /// The key's value.
    pub(super) fn text(&self) -> String {
        let words = self.0.iter().map(|(name, value)| format!("{name}{value}"));
        words.collect::<Vec<_>>().join(" ")
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.strip_prefix('='))
    }

    /// Gives an option its value where it stands, at the end if it is not there; `None` takes it out.
    fn set(&mut self, name: &str, value: Option<impl ToString>) {
        let Some(value) = value else {
            self.0.retain(|(known, _)| known != name);
            return;
        };
        let value = format!("={}", value.to_string());
        match self.0.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, there)) => *there = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(super) fn mode(&self) -> Option<Mode> {
        self.get("mode")
            .and_then(|text| numbered(text, &Mode::WORDS))
    }

    pub(super) fn primary(&self) -> Option<InterfaceName> {
        self.get("primary").and_then(|text| text.parse().ok())
    }

    /// How links are watched. Where both ways are set, MII counts, as long as it is not 0.
    pub(super) fn monitor(&self) -> Option<Monitor> {
        let milliseconds = |name| self.get(name).and_then(number);
        let milliseconds = |name| milliseconds(name).filter(|time| *time <= 0x7fff_ffff);
        let mii = milliseconds("miimon");
        let arp = milliseconds("arp_interval").filter(|interval| *interval > 0);
        let target = self.get("arp_ip_target").unwrap_or_default();
        let target = target.split(',').next().unwrap_or_default().parse().ok();
        let takes_arp = self.mode().is_none_or(Mode::takes_arp_monitor);
        match (mii, arp.zip(target).filter(|_| takes_arp)) {
            (None | Some(0), Some((interval, target))) => {
                let validate = self.get("arp_validate");
                Some(Monitor::Arp(ArpMonitor {
                    interval,
                    target,
                    validate: validate.and_then(|text| numbered(text, &Validate::WORDS)),
                }))
            }
            (Some(freq), _) => {
                let carrier = self.get("use_carrier");
                Some(Monitor::Mii(MiiMonitor {
                    freq,
                    down_delay: milliseconds("downdelay"),
                    up_delay: milliseconds("updelay"),
                    carrier: carrier.and_then(|text| numbered(text, &Carrier::WORDS)),
                }))
            }
            (None, None) => None,
        }
    }

    /// Makes the options say what `bond` says, and leaves those alone that it does not know or that agree.
    /// The primary port stays as it is where `same_ports` says that the ports and their order are the same.
    pub(super) fn update(&mut self, bond: &Bond, same_ports: bool) {
        let same_mode = self.mode() == bond.mode;
        if !same_mode {
            self.set_mode(bond);
        }
        if !(same_mode && same_ports) && self.primary().as_ref() != bond.primary() {
            self.set("primary", bond.primary());
        }
        if self.monitor() != bond.monitor {
            self.set_monitor(bond);
        }
    }

    fn set_mode(&mut self, bond: &Bond) {
        self.set("mode", bond.mode);
    }

    fn set_monitor(&mut self, bond: &Bond) {
        let mii = match &bond.monitor {
            Some(Monitor::Mii(mii)) => Some(mii),
            _ => None,
        };
        let arp = match &bond.monitor {
            Some(Monitor::Arp(arp)) => Some(arp),
            _ => None,
        };
        let digit = |at: Option<usize>| at.map(|at| at.to_string());
        self.set("miimon", mii.map(|mii| mii.freq));
        self.set("downdelay", mii.and_then(|mii| mii.down_delay));
        self.set("updelay", mii.and_then(|mii| mii.up_delay));
        let carrier = mii.and_then(|mii| mii.carrier);
        let carrier = carrier.and_then(|it| Carrier::WORDS.iter().position(|word| word.1 == it));
        self.set("use_carrier", digit(carrier));
        self.set("arp_interval", arp.map(|arp| arp.interval));
        self.set("arp_ip_target", arp.map(|arp| arp.target));
        self.set("arp_validate", arp.and_then(|arp| arp.validate));
    }
}

/// A value that is a word or the word's number.
fn numbered<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    let by_word = words.iter().find(|(word, _)| *word == text);
    let by_number = || {
        let at = usize::try_from(number(text)?).ok()?;
        words.get(at)
    };
    by_word.or_else(by_number).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_not_known_stay_where_they_are() {
        let mut options = Options::parse("xmit_hash_policy=1 mode=1 primary=eth0 miimon=100 debug");
        assert_eq!(options.mode(), Some(Mode::ActiveBackup));
        let mut bond = Bond {
            mode: options.mode(),
            monitor: options.monitor(),
            ports: Vec::new(),
        };
        options.update(&bond, true);
        assert_eq!(
            options.text(),
            "xmit_hash_policy=1 mode=1 primary=eth0 miimon=100 debug"
        );
        bond.mode = Some(Mode::BalanceXor);
        bond.monitor = Some(Monitor::Mii(MiiMonitor {
            freq: 50,
            down_delay: None,
            up_delay: Some(200),
            carrier: Some(Carrier::Netif),
        }));
        options.update(&bond, true);
        assert_eq!(
            options.text(),
            "xmit_hash_policy=1 mode=balance-xor miimon=50 debug updelay=200 use_carrier=1"
        );
    }

    #[test]
    fn arp_counts_where_mii_is_off() {
        let options = Options::parse("miimon=0 arp_interval=200 arp_ip_target=192.0.2.1,192.0.2.2");
        assert!(matches!(options.monitor(), Some(Monitor::Arp(_))));
        let options = Options::parse("mode=4 arp_interval=200 arp_ip_target=192.0.2.1");
        assert_eq!(options.monitor(), None, "802.3ad takes no ARP monitor");
    }
}
