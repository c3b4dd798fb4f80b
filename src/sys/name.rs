//! Names and addresses as the kernel takes them. A bad value cannot get past parsing.

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

/// The longest interface name in bytes: `IFNAMSIZ` in `<linux/if.h>` is 16 with its NUL.
pub const MAX_NAME: usize = 15;

/// A valid name of a network interface, or of an alias of one (`eth0:1`).
///
/// The rules are the kernel's `dev_valid_name()`: 1 to 15 bytes, not `.` or `..`, no `/`, no white
/// space. Beyond them, names that would be dangerous as an argument or a file name are refused: a
/// leading `-`, control characters, bytes outside ASCII. A colon is allowed once, as in
/// an alias label, with something on both sides of it.
///
/// It is kept in place, for pools have a thousand of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfaceName(ArrayString<MAX_NAME>);

impl InterfaceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The device: `eth0` of `eth0:1`, else the name itself.
    #[must_use]
    pub fn device(&self) -> Self {
        let mut device = self.0;
        if let Some(at) = device.find(':') {
            device.truncate(at);
        }
        Self(device)
    }

    /// Whether this is an alias such as `eth0:1`.
    pub fn is_alias(&self) -> bool {
        self.0.contains(':')
    }
}

/// Why a text is not an interface name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not an interface name: {reason}")]
pub struct BadName {
    name: String,
    reason: &'static str,
}

impl FromStr for InterfaceName {
    type Err = BadName;

    fn from_str(name: &str) -> Result<Self, BadName> {
        let bad = |reason| {
            Err(BadName {
                name: name.to_owned(),
                reason,
            })
        };
        let Ok(kept) = ArrayString::from(name) else {
            return bad("it is longer than 15 bytes");
        };
        let (mut slashes, mut colons, mut others) = (0, 0, 0);
        for byte in name.bytes() {
            slashes += u32::from(byte == b'/');
            colons += u32::from(byte == b':');
            others += u32::from(!byte.is_ascii_graphic());
        }
        if name.is_empty() {
            bad("it is empty")
        } else if name == "." || name == ".." || slashes > 0 {
            bad("it is a path")
        } else if name.starts_with('-') {
            bad("it begins with '-'")
        } else if others > 0 {
            bad("only visible ASCII characters are allowed")
        } else if colons > 1 || name.starts_with(':') || name.ends_with(':') {
            bad("a colon is allowed only once, between a device and an alias number")
        } else {
            Ok(Self(kept))
        }
    }
}

impl TryFrom<String> for InterfaceName {
    type Error = BadName;

    fn try_from(name: String) -> Result<Self, BadName> {
        name.parse()
    }
}

impl From<InterfaceName> for String {
    fn from(name: InterfaceName) -> Self {
        name.0.as_str().to_owned()
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A 48-bit Ethernet address, printed in lower case with colons.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

/// Why a text is not a MAC address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a MAC address: six pairs of hexadecimal digits with colons between are")]
pub struct BadMac(String);

impl FromStr for MacAddress {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Self, BadMac> {
        let bad = || BadMac(text.to_owned());
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().ok_or_else(bad)?;
            if part.len() != 2 || !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(bad());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() {
            Err(bad())
        } else {
            Ok(Self(octets))
        }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = BadMac;

    fn try_from(text: String) -> Result<Self, BadMac> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.0.map(|octet| format!("{octet:02x}"));
        f.write_str(&octets.join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_paths_or_options_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a b",
            "a\tb",
            "abcdefghijklmnop",
            "-rf",
            "é",
            "a\0b",
            ":1",
            "eth0:",
            "eth0:1:2",
            "a\nb",
        ] {
            assert!(
                bad.parse::<InterfaceName>().is_err(),
                "{bad:?} was accepted"
            );
        }
    }

    #[test]
    fn an_alias_knows_its_device() {
        let alias: InterfaceName = "eth0:1".parse().unwrap();
        assert!(alias.is_alias());
        assert_eq!(alias.device().as_str(), "eth0");
        assert!(!alias.device().is_alias());
    }

    #[test]
    fn mac_addresses_round_trip_and_bad_ones_are_refused() {
        let mac: MacAddress = "52:54:00:AB:cd:01".parse().unwrap();
        assert_eq!(mac.to_string(), "52:54:00:ab:cd:01");
        for bad in [
            "",
            "52:54:00:ab:cd",
            "52:54:00:ab:cd:01:02",
            "5:54:00:ab:cd:01",
            "+1:54:00:ab:cd:01",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad:?} was accepted");
        }
    }
}
