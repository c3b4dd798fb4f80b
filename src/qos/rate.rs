//! Rates and sizes, with the units that libvirt, `tc(8)` and people use.
//!
//! A bare number means what it means in libvirt's `<bandwidth>`: kilobytes (1000 bytes) a second for a rate, KiB
//! (1024 bytes) for a size. Inside, both are whole bytes, so that `100kbit` (12.5 kB/s) is not rounded.
//!
//! What is ambiguous is refused: `10mbps` is megabits to most people and megabytes to `tc(8)`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The largest rate in kilobytes a second, and the largest size in KiB.
///
/// libvirt's documents allow what an unsigned 32-bit number holds; HTB takes it with its 64-bit attributes.
pub const MAX_KILO: u64 = u32::MAX as u64;

/// What a number may have behind the point.
const MAX_FRACTION: usize = 9;

/// A rate in bytes a second: from 1 to 4294967295000, with the Ethernet header, without preamble and checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Rate(u64);

/// A number of bytes that may go at once: from 1 byte to 4294967295 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Size(u64);

/// Why a text or a number is not a rate or a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a {what}: {reason}")]
pub struct BadQuantity {
    value: String,
    what: &'static str,
    reason: String,
}

impl BadQuantity {
    /// What is wrong and what is allowed, without the value.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

const RATES: &str = "a number of kB/s, or one with a unit such as 10mbit, 1.25MB/s or 512KiB/s is";
const SIZES: &str = "a number of KiB, or one with a unit such as 1500B, 512KiB or 2MB is";

impl Rate {
    /// The largest: 4294967295 kB/s.
    pub const MAX: Self = Self(MAX_KILO * 1000);

    /// From bytes a second; `None` where that is out of range.
    pub fn from_bytes(bytes: u64) -> Option<Self> {
        (1..=Self::MAX.0).contains(&bytes).then_some(Self(bytes))
    }

    /// From kilobytes a second, libvirt's unit; `None` where that is out of range.
    pub fn from_kilobytes(kilobytes: u64) -> Option<Self> {
        kilobytes.checked_mul(1000).and_then(Self::from_bytes)
    }

    /// Bytes a second.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// Kilobytes a second, where it is a whole number of them.
    pub fn kilobytes(self) -> Option<u64> {
        self.0.is_multiple_of(1000).then_some(self.0 / 1000)
    }

    /// The bytes that go by in this many milliseconds.
    pub fn bytes_in(self, milliseconds: u64) -> u64 {
        let bytes = u128::from(self.0) * u128::from(milliseconds) / 1000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl Size {
    /// The largest: 4294967295 KiB.
    pub const MAX: Self = Self(MAX_KILO * 1024);

    /// From bytes; `None` where that is out of range.
    pub fn from_bytes(bytes: u64) -> Option<Self> {
        (1..=Self::MAX.0).contains(&bytes).then_some(Self(bytes))
    }

    /// From KiB, libvirt's unit; `None` where that is out of range.
    pub fn from_kib(kib: u64) -> Option<Self> {
        kib.checked_mul(1024).and_then(Self::from_bytes)
    }

    /// Bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// KiB, where it is a whole number of them.
    pub fn kib(self) -> Option<u64> {
        self.0.is_multiple_of(1024).then_some(self.0 / 1024)
    }
}

/// A unit: as it is typed, in lower case, and how many units make how many bytes.
struct Unit {
    name: &'static str,
    bytes: u64,
    per: u64,
}

const fn unit(name: &'static str, bytes: u64, per: u64) -> Unit {
    Unit { name, bytes, per }
}

/// Units of a rate, without the "/s" or "ps" that may follow.
const RATE_UNITS: &[Unit] = &[
    unit("", 1000, 1),
    unit("bit", 1, 8),
    unit("kbit", 1000, 8),
    unit("mbit", 1_000_000, 8),
    unit("gbit", 1_000_000_000, 8),
    unit("tbit", 1_000_000_000_000, 8),
    unit("b", 1, 1),
    unit("kb", 1000, 1),
    unit("mb", 1_000_000, 1),
    unit("gb", 1_000_000_000, 1),
    unit("tb", 1_000_000_000_000, 1),
    unit("kib", 1 << 10, 1),
    unit("mib", 1 << 20, 1),
    unit("gib", 1 << 30, 1),
];

/// Units of a size.
const SIZE_UNITS: &[Unit] = &[
    unit("", 1024, 1),
    unit("b", 1, 1),
    unit("kb", 1000, 1),
    unit("mb", 1_000_000, 1),
    unit("gb", 1_000_000_000, 1),
    unit("kib", 1 << 10, 1),
    unit("mib", 1 << 20, 1),
    unit("gib", 1 << 30, 1),
];

impl FromStr for Rate {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let bad = |reason: String| BadQuantity {
            value: text.to_owned(),
            what: "rate",
            reason,
        };
        let (number, unit) = split(text);
        let stem = unit.strip_suffix("/s").or(unit.strip_suffix("ps"));
        let stem = stem.unwrap_or(unit);
        let is_bit = stem.to_ascii_lowercase().ends_with("bit");
        if !stem.is_empty() && !is_bit {
            if stem.ends_with('b') {
                return Err(bad(format!(
                    "{unit:?} may mean bits or bytes; write mbit for megabits, MB/s for megabytes"
                )));
            }
            if stem == unit && stem.ends_with('B') {
                return Err(bad(format!("a rate is per second; write {unit}/s")));
            }
        }
        let bytes = quantity(number, stem, RATE_UNITS, RATES).map_err(bad)?;
        Self::from_bytes(bytes).ok_or_else(|| bad(rate_range(bytes)))
    }
}

impl FromStr for Size {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let bad = |reason: String| BadQuantity {
            value: text.to_owned(),
            what: "size",
            reason,
        };
        let (number, unit) = split(text);
        let bytes = quantity(number, unit, SIZE_UNITS, SIZES).map_err(bad)?;
        Self::from_bytes(bytes).ok_or_else(|| bad(size_range(bytes)))
    }
}

fn rate_range(bytes: u64) -> String {
    if bytes == 0 {
        "zero would let nothing through; leave it out where there is no limit".to_owned()
    } else {
        format!("at most {MAX_KILO} kB/s are allowed")
    }
}

fn size_range(bytes: u64) -> String {
    if bytes == 0 {
        "zero would let nothing through; leave it out for the default".to_owned()
    } else {
        format!("at most {MAX_KILO} KiB are allowed")
    }
}

/// The number and the unit behind it, blanks around either taken away.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-' && c != '+');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    (number, unit.trim())
}

/// Bytes. Too many for a `u64` come back as its largest value, which is out of every range.
fn quantity(number: &str, unit: &str, units: &[Unit], allowed: &str) -> Result<u64, String> {
    if number.starts_with('-') {
        return Err("it is negative".to_owned());
    }
    let lower = unit.to_ascii_lowercase();
    let unit = units.iter().find(|known| known.name == lower);
    let (Some(unit), Some((digits, scale))) = (unit, decimal(number)) else {
        return Err(format!("{allowed} allowed"));
    };
    let product = digits.saturating_mul(u128::from(unit.bytes));
    let divisor = scale * u128::from(unit.per);
    if product.is_multiple_of(divisor) || product / divisor > u128::from(u64::MAX) {
        Ok(u64::try_from(product / divisor).unwrap_or(u64::MAX))
    } else {
        Err("it is not a whole number of bytes".to_owned())
    }
}

/// `12.5` as 125 and 10.
fn decimal(text: &str) -> Option<(u128, u128)> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || fraction.len() > MAX_FRACTION
        || !all_digits(whole)
        || !all_digits(fraction)
    {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    // More digits than this are out of every range, and the leading ones say so.
    let whole = whole
        .parse::<u64>()
        .map_or(u128::from(u64::MAX), u128::from);
    let fraction = fraction.parse::<u128>().unwrap_or(0);
    Some((whole * scale + fraction, scale))
}

impl TryFrom<u64> for Rate {
    type Error = BadQuantity;

    fn try_from(bytes: u64) -> Result<Self, BadQuantity> {
        Self::from_bytes(bytes).ok_or_else(|| BadQuantity {
            value: bytes.to_string(),
            what: "rate in bytes a second",
            reason: rate_range(bytes),
        })
    }
}

impl TryFrom<u64> for Size {
    type Error = BadQuantity;

    fn try_from(bytes: u64) -> Result<Self, BadQuantity> {
        Self::from_bytes(bytes).ok_or_else(|| BadQuantity {
            value: bytes.to_string(),
            what: "size in bytes",
            reason: size_range(bytes),
        })
    }
}

impl From<Rate> for u64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl From<Size> for u64 {
    fn from(size: Size) -> Self {
        size.0
    }
}

/// In bits, exactly: `10 Mbit/s`, `12.5 kbit/s`. Parses back to the same rate.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0 * 8;
        let units = [
            (1_000_000_000_000, "Tbit/s"),
            (1_000_000_000, "Gbit/s"),
            (1_000_000, "Mbit/s"),
            (1000, "kbit/s"),
        ];
        for (factor, unit) in units {
            if bits >= factor && bits.is_multiple_of(factor / 1000) {
                let thousandths = bits / (factor / 1000);
                let (whole, fraction) = (thousandths / 1000, thousandths % 1000);
                let fraction = format!(".{fraction:03}");
                let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
                return write!(f, "{whole}{fraction} {unit}");
            }
        }
        write!(f, "{bits} bit/s")
    }
}

/// In the largest unit that divides it: `512 KiB`, `1500 B`. Parses back to the same size.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (factor, unit) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0.is_multiple_of(factor) {
                return write!(f, "{} {unit}", self.0 / factor);
            }
        }
        write!(f, "{} B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> u64 {
        text.parse::<Rate>()
            .unwrap_or_else(|why| panic!("{why}"))
            .bytes()
    }

    #[test]
    fn a_bare_number_is_kilobytes_and_units_are_what_they_say() {
        assert_eq!(rate("1250"), 1_250_000);
        assert_eq!(rate("10mbit"), 1_250_000);
        assert_eq!(rate("10 Mbit/s"), 1_250_000);
        assert_eq!(rate("10Mbitps"), 1_250_000);
        assert_eq!(rate("1.25MB/s"), 1_250_000);
        assert_eq!(rate("100kbit"), 12_500);
        assert_eq!(rate("512KiB/s"), 524_288);
        assert_eq!(rate("8bit"), 1);
        assert_eq!(rate("4294967295"), 4_294_967_295_000);
        let size = |text: &str| text.parse::<Size>().unwrap().bytes();
        assert_eq!(size("512"), 524_288);
        assert_eq!(size("512KiB"), 524_288);
        assert_eq!(size("1500B"), 1500);
        assert_eq!(size("1.5MiB"), 1_572_864);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, word) in [
            ("", "allowed"),
            ("0", "zero"),
            ("0mbit", "zero"),
            ("-5", "negative"),
            ("ten", "allowed"),
            ("10 apples", "allowed"),
            ("1e3", "allowed"),
            ("1.", "allowed"),
            (".5", "allowed"),
            ("+5", "allowed"),
            ("1.0000000001", "allowed"),
            ("1bit", "whole number"),
            ("4294967296", "at most"),
            ("99999999999999999999999999", "at most"),
            ("99999999999999999999999999tbit", "at most"),
            ("10mbps", "may mean"),
            ("10Mb/s", "may mean"),
            ("10MB", "per second"),
            ("10١", "allowed"),
        ] {
            let why = text.parse::<Rate>().unwrap_err().to_string();
            assert!(why.contains(word), "{text:?}: {why}");
        }
        for text in [
            "0",
            "-1",
            "x",
            "4294967296",
            "1mbit",
            "99999999999999999999999",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn what_is_printed_parses_back() {
        for bytes in [
            1,
            7,
            125,
            12_500,
            1_250_000,
            1_250_001,
            123_456_789,
            4_294_967_295_000,
        ] {
            let rate = Rate::from_bytes(bytes).unwrap();
            assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate, "{rate}");
            let size = Size::from_bytes(bytes).unwrap();
            assert_eq!(size.to_string().parse::<Size>().unwrap(), size, "{size}");
        }
        assert_eq!(
            Rate::from_bytes(1_250_000).unwrap().to_string(),
            "10 Mbit/s"
        );
        assert_eq!(Rate::from_bytes(12_500).unwrap().to_string(), "100 kbit/s");
        assert_eq!(
            Rate::from_bytes(1_562_500).unwrap().to_string(),
            "12.5 Mbit/s"
        );
        assert_eq!(Size::from_kib(512).unwrap().to_string(), "512 KiB");
    }

    #[test]
    fn a_record_out_of_range_is_refused() {
        assert!(serde_json::from_str::<Rate>("0").is_err());
        assert!(serde_json::from_str::<Rate>("4294967295001").is_err());
        assert!(serde_json::from_str::<Rate>("-1").is_err());
        assert_eq!(
            serde_json::from_str::<Rate>("1000").unwrap().kilobytes(),
            Some(1)
        );
    }
}
