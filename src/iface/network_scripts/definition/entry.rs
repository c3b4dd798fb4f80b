//! One `ifcfg` file: whose it is, from a few values, and all that it says where that is asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;

use super::super::config::Config;
use super::super::naming::FileName;
use super::super::ranges;
use super::super::vlan;
use super::reading::Reading;
use crate::iface::backend::Card;
use crate::ifcfg::{Content, plain};
use crate::sys::name::{InterfaceName, MacAddress};

/// What an interface is a port of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::iface::network_scripts) struct Upper {
    /// `BRIDGE` or `MASTER`.
    pub(in crate::iface::network_scripts) key: &'static str,
    /// The value; `None` where it is no name.
    pub(in crate::iface::network_scripts) name: Option<InterfaceName>,
}

/// The cards' names by their addresses.
pub(in crate::iface::network_scripts) struct Cards<'a>(BTreeMap<MacAddress, &'a InterfaceName>);

impl<'a> Cards<'a> {
    pub(in crate::iface::network_scripts) fn of(cards: &'a [Card]) -> Self {
        Self(cards.iter().map(|card| (card.mac, &card.name)).collect())
    }

    pub(in crate::iface::network_scripts) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One file.
#[derive(Debug)]
pub(in crate::iface::network_scripts) struct Entry {
    name: OsString,
    bytes: Vec<u8>,
    config: OnceLock<Config>,
    head: Head,
}

/// What a few values tell.
#[derive(Debug)]
struct Head {
    interface: Option<InterfaceName>,
    upper: Option<Upper>,
    is_range: bool,
    is_by_address: bool,
    may_be_vlan: bool,
}

/// The keys that tell it.
const KEYS: [&str; 7] = [
    "DEVICE",
    "HWADDR",
    "BRIDGE",
    "MASTER",
    "IPADDR_START",
    "VLAN",
    "TYPE",
];

/// The value of a key.
enum Found<'a> {
    Unset,
    Is(Cow<'a, [u8]>),
    /// Only a shell can tell.
    Unknown,
}

impl Found<'_> {
    fn in_file(config: &Config, key: &str) -> Self {
        match config.file.get(key).map(|value| value.content) {
            None => Self::Unset,
            Some(Content::Static(bytes)) => Self::Is(bytes.into()),
            Some(Content::Dynamic(_)) => Self::Unknown,
        }
    }

    /// Whether it is set, and not to nothing: that is the same to the scripts.
    fn is_set(&self) -> bool {
        match self {
            Self::Unset => false,
            Self::Is(bytes) => !bytes.is_empty(),
            Self::Unknown => true,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Is(bytes) => str::from_utf8(bytes).ok(),
            Self::Unset | Self::Unknown => None,
        }
    }

    fn name(&self) -> Option<InterfaceName> {
        self.text()?.parse().ok()
    }
}

impl Entry {
    /// The file `name`, which holds `bytes`; `None` for one that is no configuration.
    pub(in crate::iface::network_scripts) fn of(
        name: OsString,
        bytes: Vec<u8>,
        cards: &Cards<'_>,
    ) -> Option<Self> {
        let part = FileName::of(&name)?.part;
        let (head, config) = if let Some(values) = plain::values(&bytes, KEYS) {
            let found = values.map(|value| value.map_or(Found::Unset, |it| Found::Is(it.into())));
            (Head::of(part, &found, cards), OnceLock::new())
        } else {
            let parsed = Config::of_part(&name, part, &bytes);
            let found = KEYS.map(|key| Found::in_file(&parsed, key));
            (Head::of(part, &found, cards), OnceLock::from(parsed))
        };
        Some(Self {
            name,
            bytes,
            config,
            head,
        })
    }

    /// What it holds.
    pub(in crate::iface::network_scripts) fn config(&self) -> &Config {
        self.config
            .get_or_init(|| Config::of_part(&self.name, self.part(), &self.bytes))
    }

    /// The file's name.
    pub(in crate::iface::network_scripts) fn file_name(&self) -> &OsString {
        &self.name
    }

    /// What follows `ifcfg-` in it.
    pub(in crate::iface::network_scripts) fn part(&self) -> &OsStr {
        FileName::of(&self.name).map_or(OsStr::new(""), |name| name.part)
    }

    /// The interface that it is for; `None` where only a shell could tell, or none can have the name.
    pub(in crate::iface::network_scripts) fn interface(&self) -> Option<&InterfaceName> {
        self.head.interface.as_ref()
    }

    /// What it is a port of.
    pub(in crate::iface::network_scripts) fn upper(&self) -> Option<&Upper> {
        self.head.upper.as_ref()
    }

    /// The name of what it is a port of.
    pub(super) fn upper_name(&self) -> Option<&InterfaceName> {
        self.upper()?.name.as_ref()
    }

    /// Whether it is for a range of aliases.
    pub(in crate::iface::network_scripts) fn is_range(&self) -> bool {
        self.head.is_range
    }

    /// Whether it is the interface's by the address of the card.
    pub(in crate::iface::network_scripts) fn is_by_address(&self) -> bool {
        self.head.is_by_address
    }

    /// Whether it can be that of a VLAN.
    pub(super) fn may_be_vlan(&self) -> bool {
        self.head.may_be_vlan
    }

    /// What must be there before `name`, whose file it is, can be made: the device of an alias, the lower device of a
    /// VLAN.
    pub(super) fn lower(&self, name: &InterfaceName) -> Option<InterfaceName> {
        if name.is_alias() {
            return Some(name.device());
        }
        // A wrong value is the applier's to refuse.
        let config = Some(self).filter(|it| it.may_be_vlan())?.config();
        let is_vlan = vlan::is(config).unwrap_or(false);
        is_vlan
            .then(|| vlan::of(name, config).ok())
            .flatten()
            .map(|vlan| vlan.lower)
    }

    /// Whether it is a port by `key`.
    pub(in crate::iface::network_scripts) fn is_port_by(&self, key: &str) -> bool {
        self.upper().is_some_and(|upper| upper.key == key)
    }

    /// Whether it is a port of `upper` by `key`.
    pub(in crate::iface::network_scripts) fn is_port_of(
        &self,
        key: &str,
        upper: &InterfaceName,
    ) -> bool {
        self.is_port_by(key) && self.upper_name() == Some(upper)
    }

    /// Its values.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading::of(self.config())
    }
}

impl Head {
    /// `values` are those of [`KEYS`].
    fn of(part: &OsStr, values: &[Found<'_>; 7], cards: &Cards<'_>) -> Self {
        let [device, hwaddr, bridge, master, range, vlan, kind] = values;
        let card = Some(hwaddr).filter(|_| !device.is_set());
        let card = card.and_then(|it| it.text()?.parse().ok());
        let card = card.and_then(|mac: MacAddress| cards.0.get(&mac));
        let is_named_so = || part.to_str().and_then(ranges::device_of).is_some();
        let is_range = range.is_set() && (!device.is_set() || is_named_so());
        let interface = match card {
            _ if is_range => None,
            Some(name) => Some((*name).clone()),
            None if device.is_set() => device.name(),
            None => part.to_str().and_then(|part| part.parse().ok()),
        };
        let uppers = [("BRIDGE", bridge), ("MASTER", master)];
        let upper = uppers.into_iter().find(|(_, value)| value.is_set());
        Self {
            interface,
            upper: upper.map(|(key, value)| Upper {
                key,
                name: value.name(),
            }),
            is_range,
            is_by_address: card.is_some(),
            may_be_vlan: vlan.is_set()
                || kind
                    .text()
                    .is_none_or(|kind| kind.eq_ignore_ascii_case("Vlan"))
                    && kind.is_set(),
        }
    }
}
