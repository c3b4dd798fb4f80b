//! Bridges and what is in them.

use std::fmt;

use super::{Bond, Ethernet, Vlan};
use crate::sys::name::InterfaceName;

/// What only a bridge has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bridge {
    /// Whether it keeps a spanning tree; `None` leaves the kernel's default, which is not.
    pub stp: Option<bool>,
    /// How long a port listens before it forwards; `None` leaves the kernel's 15 seconds.
    pub delay: Option<Delay>,
    /// What is in it.
    pub ports: Vec<Port>,
}

/// An interface that is in a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: InterfaceName,
    /// What only its type has.
    pub kind: PortKind,
}

/// The types that can be in a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortKind {
    /// A network card.
    Ethernet(Ethernet),
    /// A VLAN.
    Vlan(Vlan),
    /// A bond, with its own ports.
    Bond(Bond),
}

/// A bridge's forward delay in hundredths of a second, 0 to 30 seconds: `BR_MAX_FORWARD_DELAY` in
/// `net/bridge/br_private.h`. (With a spanning tree the kernel wants at least 2 seconds.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delay(u32);

impl Delay {
    /// Reads seconds such as `15` or `0.01`; the error says what is allowed.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const ALLOWED: &str = "seconds from 0 to 30, with at most two decimals, are allowed";
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(seconds) || !is_digits(fraction) || seconds.is_empty() {
            return Err(ALLOWED);
        }
        let hundredths = match fraction.trim_end_matches('0') {
            "" if !fraction.is_empty() => Some(0),
            tenths if tenths.len() == 1 => tenths.parse::<u32>().ok().map(|tenths| tenths * 10),
            both if both.len() == 2 => both.parse().ok(),
            _ => None,
        };
        let whole = seconds.parse::<u32>().ok().filter(|whole| *whole <= 30);
        whole
            .zip(hundredths)
            .map(|(whole, hundredths)| whole * 100 + hundredths)
            .filter(|total| *total <= 3000)
            .map(Self)
            .ok_or(ALLOWED)
    }

    /// The delay that the kernel reports, in hundredths of a second.
    pub fn from_hundredths(hundredths: u32) -> Self {
        Self(hundredths)
    }
}

/// In seconds, with as many decimals as it takes.
impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        match (hundredths, hundredths % 10) {
            (0, _) => write!(f, "{whole}"),
            (_, 0) => write!(f, "{whole}.{}", hundredths / 10),
            _ => write!(f, "{whole}.{hundredths:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_read_and_written_as_seconds() {
        for (text, shown) in [
            ("0", "0"),
            ("15", "15"),
            ("0.01", "0.01"),
            ("0.50", "0.5"),
            ("2.0", "2"),
            ("30.00", "30"),
            ("1.250", "1.25"),
        ] {
            assert_eq!(Delay::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for bad in [
            "",
            ".5",
            "1.",
            "-1",
            "30.01",
            "31",
            "0.001",
            "1e1",
            "4294967296",
            "x",
        ] {
            assert!(Delay::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
