//! Options of a link's kind as tables: the kernel's name of each, its attribute and the values that it takes.
//!
//! Bonds and bridges have some thirty options each, which files and people name as the kernel's own text
//! interface does (`/sys/class/net/bond0/bonding/miimon`). A field and a match arm for each would be the same
//! four lines sixty times.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use netlink_packet_core::{Nla, NlasIterator};
use netlink_packet_route::link::InfoBond;

use crate::sys::name::{InterfaceName, MacAddress};

/// One option that a kind of link has.
#[derive(Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its name in sysfs: `miimon`.
    pub name: &'static str,
    /// The number of its attribute (`IFLA_BOND_MIIMON`).
    pub(super) attribute: u16,
    /// What its values are.
    pub(super) form: Form,
}

/// What values an option takes, and how they lie in the attribute.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An unsigned number of this many bytes, in a range.
    Number { bytes: usize, least: u64, most: u64 },
    /// A number that has a word: the first is 0.
    Words {
        bytes: usize,
        words: &'static [&'static str],
    },
    /// At most 16 IPv4 addresses.
    Ipv4s,
    /// At most 16 IPv6 addresses.
    Ipv6s,
    /// A hardware address.
    Mac,
    /// One of the link's ports, to the kernel by its index.
    Port,
}

/// The most addresses that a bond asks for (`BOND_MAX_ARP_TARGETS` in `<net/bonding.h>`).
const MOST_ADDRESSES: usize = 16;

/// An option's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number, or the number of a word.
    Number(u64),
    /// IPv4 addresses.
    Ipv4s(Vec<Ipv4Addr>),
    /// IPv6 addresses.
    Ipv6s(Vec<Ipv6Addr>),
    /// A hardware address.
    Mac(MacAddress),
    /// A port's name. Only as something wanted: what the kernel has is an index, which is kept elsewhere.
    Port(InterfaceName),
}

/// An option with its value, printed as sysfs takes it: `active-backup`, `100`, `192.0.2.1,192.0.2.2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Which option.
    pub spec: &'static Spec,
    /// What it is set to.
    pub value: Value,
}

/// Settings of one link, each option at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(Vec<Setting>);

impl Spec {
    pub(super) const fn number(
        name: &'static str,
        attribute: u16,
        bytes: usize,
        most: u64,
    ) -> Self {
        let least = 0;
        Self {
            name,
            attribute,
            form: Form::Number { bytes, least, most },
        }
    }

    pub(super) const fn words(
        name: &'static str,
        attribute: u16,
        bytes: usize,
        words: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            attribute,
            form: Form::Words { bytes, words },
        }
    }

    pub(super) const fn other(name: &'static str, attribute: u16, form: Form) -> Self {
        Self {
            name,
            attribute,
            form,
        }
    }

    /// The setting that `text` asks for: a number where the option takes numbers, the kernel's word or its
    /// number where it has words, addresses with commas between. The error says what is allowed.
    pub fn parse(&'static self, text: &str) -> Result<Setting, String> {
        let value = match &self.form {
            Form::Number { least, most, .. } => number(text)
                .filter(|number| (*least..=*most).contains(number))
                .map(Value::Number)
                .ok_or_else(|| format!("a number from {least} to {most} is allowed"))?,
            Form::Words { words, .. } => {
                let by_word = words.iter().position(|word| *word == text);
                let by_number = number(text).and_then(|number| usize::try_from(number).ok());
                by_word
                    .or(by_number.filter(|number| *number < words.len()))
                    .and_then(|number| u64::try_from(number).ok())
                    .map(Value::Number)
                    .ok_or_else(|| {
                        let last = words.len().saturating_sub(1);
                        format!(
                            "{} or a number from 0 to {last} is allowed",
                            words.join(", ")
                        )
                    })?
            }
            Form::Ipv4s => Value::Ipv4s(addresses(text, "IPv4")?),
            Form::Ipv6s => Value::Ipv6s(addresses(text, "IPv6")?),
            Form::Mac => Value::Mac(text.parse().map_err(|_| "a MAC address is allowed")?),
            Form::Port => Value::Port(text.parse().map_err(|bad| format!("{bad}"))?),
        };
        Ok(Setting { spec: self, value })
    }

    /// The setting that the kernel's attribute holds; `None` for a port, and for what is not laid out as it should.
    pub(super) fn decode(&'static self, payload: &[u8]) -> Option<Setting> {
        let value = match &self.form {
            Form::Number { bytes, .. } | Form::Words { bytes, .. } => {
                Value::Number(from_bytes(payload.get(..*bytes)?)?)
            }
            Form::Ipv4s => {
                Value::Ipv4s(elements(payload).into_iter().map(<[u8; 4]>::into).collect())
            }
            Form::Ipv6s => Value::Ipv6s(
                elements(payload)
                    .into_iter()
                    .map(<[u8; 16]>::into)
                    .collect(),
            ),
            Form::Mac => Value::Mac(MacAddress(payload.try_into().ok()?)),
            Form::Port => return None,
        };
        Some(Setting { spec: self, value })
    }
}

impl Setting {
    /// The attribute's content; `None` for a port, of which the index is not known here.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        match (&self.value, &self.spec.form) {
            (Value::Number(number), Form::Number { bytes, .. } | Form::Words { bytes, .. }) => {
                to_bytes(*number, *bytes)
            }
            (Value::Ipv4s(list), _) => Some(content(&InfoBond::ArpIpTarget(list.clone()))),
            (Value::Ipv6s(list), _) => Some(content(&InfoBond::NsIp6Target(list.clone()))),
            (Value::Mac(mac), _) => Some(mac.0.to_vec()),
            _ => None,
        }
    }

    /// The number, where the value is one.
    pub fn number(&self) -> Option<u64> {
        match self.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.value, &self.spec.form) {
            (Value::Number(number), Form::Words { words, .. }) => {
                let word = usize::try_from(*number).ok().and_then(|at| words.get(at));
                match word {
                    Some(word) => f.write_str(word),
                    None => write!(f, "{number}"),
                }
            }
            (Value::Number(number), _) => write!(f, "{number}"),
            (Value::Ipv4s(list), _) => f.write_str(&joined(list)),
            (Value::Ipv6s(list), _) => f.write_str(&joined(list)),
            (Value::Mac(mac), _) => write!(f, "{mac}"),
            (Value::Port(port), _) => write!(f, "{port}"),
        }
    }
}

impl Settings {
    /// The setting of the option of that name.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.spec.name == name)
    }

    /// The number that the option of that name has, or the number of its word.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(Setting::number)
    }

    /// The value of the option of that name as sysfs has it: `active-backup`, `100`.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(Setting::to_string)
    }

    /// Sets an option, in place of what it was set to before.
    pub fn set(&mut self, setting: Setting) {
        self.0.retain(|there| there.spec != setting.spec);
        self.0.push(setting);
    }

    /// Leaves an option alone that was set.
    pub fn unset(&mut self, name: &str) {
        self.0.retain(|there| there.spec.name != name);
    }

    /// All of them, in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The settings that the attributes of the kernel hold, by the `table` of a kind's options.
    pub(super) fn decode<N: Nla>(table: &'static [Spec], attributes: &[N]) -> Self {
        let decoded = attributes.iter().filter_map(|attribute| {
            let spec = table.iter().find(|it| it.attribute == attribute.kind())?;
            spec.decode(&content(attribute))
        });
        Self(decoded.collect())
    }
}

impl FromIterator<Setting> for Settings {
    /// Of an option that comes several times, the last counts.
    fn from_iter<I: IntoIterator<Item = Setting>>(settings: I) -> Self {
        let mut set = Self::default();
        for setting in settings {
            set.set(setting);
        }
        set
    }
}

/// An attribute without its header.
pub(super) fn content(attribute: &impl Nla) -> Vec<u8> {
    let mut bytes = vec![0; attribute.value_len()];
    attribute.emit_value(&mut bytes);
    bytes
}

/// Digits, or `0x` and hexadecimal ones, as the kernel's `kstrtoul()` takes them.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

fn addresses<T: FromStr>(text: &str, family: &str) -> Result<Vec<T>, String> {
    let allowed =
        || format!("1 to {MOST_ADDRESSES} {family} addresses with commas between are allowed");
    // sysfs takes one address at a time, with a plus sign; some files have kept it.
    let one = |text: &str| text.strip_prefix('+').unwrap_or(text).parse().ok();
    let all: Option<Vec<T>> = text.split(',').map(one).collect();
    all.filter(|list| list.len() <= MOST_ADDRESSES)
        .ok_or_else(allowed)
}

fn joined<T: ToString>(list: &[T]) -> String {
    list.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

/// The contents of nested attributes of `N` bytes each.
fn elements<const N: usize>(payload: &[u8]) -> Vec<[u8; N]> {
    NlasIterator::new(payload)
        .filter_map(Result::ok)
        .filter_map(|element| element.value().try_into().ok())
        .collect()
}

fn from_bytes(bytes: &[u8]) -> Option<u64> {
    Some(match bytes {
        [byte] => u64::from(*byte),
        [_, _] => u64::from(u16::from_ne_bytes(bytes.try_into().ok()?)),
        [_, _, _, _] => u64::from(u32::from_ne_bytes(bytes.try_into().ok()?)),
        _ => u64::from_ne_bytes(bytes.try_into().ok()?),
    })
}

fn to_bytes(number: u64, bytes: usize) -> Option<Vec<u8>> {
    Some(match bytes {
        1 => vec![u8::try_from(number).ok()?],
        2 => u16::try_from(number).ok()?.to_ne_bytes().to_vec(),
        4 => u32::try_from(number).ok()?.to_ne_bytes().to_vec(),
        _ => number.to_ne_bytes().to_vec(),
    })
}
