//! Addresses, masks and prefixes as these files write them.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The longest prefix in bits: 32 or 128.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// An address of this family; the error says what is allowed.
    pub fn address(self, text: &str) -> Result<IpAddr, String> {
        text.parse()
            .ok()
            .filter(|address| Self::of(*address) == self)
            .ok_or_else(|| format!("an {} address is allowed", self.name()))
    }

    /// A prefix length in bits; the error says what is allowed.
    pub fn prefix(self, text: &str) -> Result<u8, String> {
        number(text)
            .and_then(|prefix| u8::try_from(prefix).ok())
            .filter(|prefix| *prefix <= self.bits())
            .ok_or_else(|| {
                format!(
                    "a prefix length from 0 to {} is allowed for {}",
                    self.bits(),
                    self.name()
                )
            })
    }

    /// `0.0.0.0/0` or `::/0`.
    pub fn default_route(self) -> IpNet {
        match self {
            Self::V4 => IpNet::from(Ipv4Net::default()),
            Self::V6 => IpNet::from(ipnet::Ipv6Net::default()),
        }
    }
}

/// A number of decimal digits only: no sign, no blanks; `None` for anything else or if it is too large.
pub fn number(text: &str) -> Option<u32> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().ok()).flatten()
}

/// The prefix length of a netmask such as `255.255.255.0`; the error says what is allowed.
pub fn netmask(text: &str) -> Result<u8, String> {
    text.parse::<Ipv4Addr>()
        .ok()
        .and_then(|mask| ipnet::ipv4_mask_to_prefix(mask).ok())
        .ok_or_else(|| {
            "a netmask whose ones all come first, such as 255.255.255.0, is allowed".to_owned()
        })
}

/// The prefix length that `ipcalc` gives an address without one: by its class, 8, 16 or 24 bits; 32
/// above 223.255.255.255.
pub fn class_prefix(address: Ipv4Addr) -> u8 {
    match address.octets() {
        [0..=127, ..] => 8,
        [128..=191, ..] => 16,
        [192..=223, ..] => 24,
        _ => 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_prefixes_out_of_range_are_refused() {
        assert_eq!(netmask("255.255.240.0"), Ok(20));
        assert_eq!(netmask("0.0.0.0"), Ok(0));
        for bad in ["255.0.255.0", "24", "", "255.255.255.256"] {
            assert!(netmask(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(Family::V4.prefix("32"), Ok(32));
        for bad in ["33", "-1", "+1", "", " 1", "4294967296"] {
            assert!(Family::V4.prefix(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(Family::V6.prefix("128"), Ok(128));
    }

    #[test]
    fn classes_are_those_of_ipcalc() {
        for (address, prefix) in [
            ("10.0.0.1", 8),
            ("127.0.0.1", 8),
            ("172.16.0.1", 16),
            ("192.0.2.1", 24),
            ("224.0.0.1", 32),
        ] {
            assert_eq!(class_prefix(address.parse().unwrap()), prefix, "{address}");
        }
    }
}
