//! Names of networks. They become names of files, so a bad one cannot get past parsing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name in bytes. A file name has 255, and the state directory puts a suffix to it.
pub const MAX_NAME: usize = 200;

/// The name of a network: 1 to 200 bytes of UTF-8, without `/` and control characters, not beginning with
/// `.` or `-`, without white space at its ends.
///
/// libvirt takes any text without `/` and newlines. What is refused beyond that would be hidden, an option, or
/// not to be seen when printed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetworkName(String);

/// Why a text is not the name of a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a network's name: {reason}")]
pub struct BadNetworkName {
    name: String,
    reason: &'static str,
}

impl BadNetworkName {
    /// What is wrong, without the name.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl NetworkName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NetworkName {
    type Err = BadNetworkName;

    fn from_str(name: &str) -> Result<Self, BadNetworkName> {
        let reason = if name.is_empty() {
            "it is empty"
        } else if name.len() > MAX_NAME {
            "it is longer than 200 bytes"
        } else if name.contains('/') {
            "'/' is not allowed in it"
        } else if name.starts_with('.') {
            "it may not begin with '.'"
        } else if name.starts_with('-') {
            "it may not begin with '-'"
        } else if name.trim() != name {
            "white space at its beginning or end is not allowed"
        } else if name.chars().any(unseen) {
            "characters that cannot be seen are not allowed"
        } else {
            return Ok(Self(name.to_owned()));
        };
        let name = name.chars().take(MAX_NAME).collect();
        Err(BadNetworkName { name, reason })
    }
}

/// Control characters, and those that change how the text around them is shown.
fn unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

impl TryFrom<String> for NetworkName {
    type Error = BadNetworkName;

    fn try_from(name: String) -> Result<Self, BadNetworkName> {
        name.parse()
    }
}

impl From<NetworkName> for String {
    fn from(name: NetworkName) -> Self {
        name.0
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_lead_elsewhere_or_not_be_seen_are_refused() {
        let long = "a".repeat(MAX_NAME + 1);
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            ".hidden",
            "-all",
            " a",
            "a ",
            "a\nb",
            "a\0b",
            "a\u{202e}b",
            &long,
        ] {
            assert!(bad.parse::<NetworkName>().is_err(), "{bad:?} was accepted");
        }
        for good in [
            "default",
            "8021Qbh-net",
            "a b",
            "é",
            "a..b",
            &"a".repeat(MAX_NAME),
        ] {
            assert!(good.parse::<NetworkName>().is_ok(), "{good:?} was refused");
        }
    }
}
