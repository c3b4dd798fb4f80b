//! What a configuration asks for and the built-in applier does not do, though it does the rest.

use super::config::Config;
use crate::Result;

/// Sentences for the operator, each with file, line, key and value.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<String>);

/// Keys that are left alone, and why.
const LEFT_ALONE: [(&str, &str); 6] = [
    ("ETHTOOL_OPTS", "not applied"),
    ("VLAN_FLAGS", "not applied"),
    ("DHCPV6C_OPTIONS", "not applied"),
    ("DHCLIENTARGS", "not applied"),
    ("IPV6TO4INIT", "not applied"),
    (
        "PEERDNS",
        "not applied: the DHCP client's own settings decide about /etc/resolv.conf",
    ),
];

impl Notes {
    /// Notes what `key` asks for.
    pub(super) fn add(&mut self, config: &Config, key: &str, why: &str) {
        if let Ok(Some(value)) = config.text(key) {
            self.add_value(config, key, &value, why);
        }
    }

    /// Notes one of the words that `key` has.
    pub(super) fn add_value(&mut self, config: &Config, key: &str, value: &str, why: &str) {
        let place = config.place(key);
        self.0.push(format!("{place}: {key}={value:?}: {why}"));
    }

    /// Notes the other files for the same interface.
    pub(super) fn overruled(&mut self, config: &Config) {
        let path = &config.path;
        let others = config.overrules.iter();
        let said = others.map(|other| {
            format!("{other}: not applied: {path} is for the same DEVICE, and counts")
        });
        self.0.extend(said);
    }

    /// Notes the keys that are left alone by rule.
    pub(super) fn left_alone(&mut self, config: &Config) -> Result<()> {
        for (key, why) in LEFT_ALONE {
            let is_no = key == "IPV6TO4INIT" && config.yes(key)? != Some(true);
            if !is_no {
                self.add(config, key, why);
            }
        }
        Ok(())
    }

    pub(super) fn into_list(self) -> Vec<String> {
        self.0
    }
}
