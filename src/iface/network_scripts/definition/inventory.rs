//! All `ifcfg` files at once: whose each is, and what is in what.
//!
//! netcf asks augeas anew for each question, which for a thousand interfaces takes the better part of a second. Here
//! every file is read and parsed once, and two maps answer the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::Arc;

use super::super::config::{self, Config};
use super::super::vlan;
use super::reading::Reading;
use crate::error::Context;
use crate::iface::backend::{Card, Files};
use crate::iface::model::interface_name;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::parallel;
use crate::{Error, Result};

/// One file.
#[derive(Debug)]
pub(in crate::iface::network_scripts) struct Entry {
    /// What it holds.
    pub(in crate::iface::network_scripts) config: Config,
    /// The interface that it is for; `None` where only a shell could tell, or none can have the name.
    pub(in crate::iface::network_scripts) interface: Option<InterfaceName>,
    /// What it is a port of.
    pub(in crate::iface::network_scripts) upper: Option<Upper>,
    /// Whether it is for a range of aliases.
    pub(in crate::iface::network_scripts) is_range: bool,
    /// Whether it is the interface's by the address of the card.
    by_address: bool,
}

/// What an interface is a port of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::iface::network_scripts) struct Upper {
    /// `BRIDGE` or `MASTER`.
    pub(in crate::iface::network_scripts) key: &'static str,
    /// The value; `None` where it is no name.
    pub(in crate::iface::network_scripts) name: Option<InterfaceName>,
}

/// All files.
#[derive(Debug)]
pub(in crate::iface::network_scripts) struct Inventory {
    entries: Vec<Arc<Entry>>,
    by_interface: BTreeMap<InterfaceName, Vec<usize>>,
    by_upper: BTreeMap<InterfaceName, Vec<usize>>,
}

impl Inventory {
    /// Reads all files. `cards` are the network cards that the host has: a file with `HWADDR` and no `DEVICE` is for
    /// the card with that address.
    pub(in crate::iface::network_scripts) fn read(
        files: &dyn Files,
        cards: &[Card],
    ) -> Result<Self> {
        let cards = by_address(cards);
        let names = config::ifcfg_names(files)?;
        let mut contents = Vec::new();
        for (name, read) in names.iter().zip(files.read_all(&names)) {
            let read = read.context(|| format!("cannot read {}", config::path_of(name)))?;
            contents.extend(read.map(|bytes| (name, bytes)));
        }
        let entries = parallel::map(&contents, |(name, bytes)| {
            Config::of(name, bytes).map(|config| Arc::new(Entry::of(config, &cards)))
        });
        Ok(Self::index(entries.into_iter().flatten().collect()))
    }

    /// The same with these files as `changed` has them, or beside the others.
    pub(in crate::iface::network_scripts) fn with(
        &self,
        changed: impl Iterator<Item = (OsString, Vec<u8>)>,
        cards: &[Card],
    ) -> Self {
        let cards = by_address(cards);
        let named = |entry: &Arc<Entry>| (entry.file_name(), Arc::clone(entry));
        let mut entries: BTreeMap<_, _> = self.entries.iter().map(named).collect();
        for (name, bytes) in changed {
            if let Some(config) = Config::of(&name, &bytes) {
                entries.insert(name, Arc::new(Entry::of(config, &cards)));
            }
        }
        Self::index(entries.into_values().collect())
    }

    fn index(entries: Vec<Arc<Entry>>) -> Self {
        let mut by_interface: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut by_upper: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (at, entry) in entries.iter().enumerate() {
            if let Some(name) = &entry.interface {
                by_interface.entry(name.clone()).or_default().push(at);
            }
            if let Some(name) = entry.upper.as_ref().and_then(|upper| upper.name.clone()) {
                by_upper.entry(name).or_default().push(at);
            }
        }
        Self {
            entries,
            by_interface,
            by_upper,
        }
    }

    /// All files, in the order of their names.
    pub(in crate::iface::network_scripts) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(Arc::as_ref)
    }

    fn at<'a>(
        &'a self,
        indices: Option<&'a Vec<usize>>,
    ) -> impl DoubleEndedIterator<Item = &'a Entry> {
        let indices = indices.into_iter().flatten();
        indices.filter_map(|at| self.entries.get(*at).map(Arc::as_ref))
    }

    /// All files for `name`.
    pub(in crate::iface::network_scripts) fn all_of(
        &self,
        name: &InterfaceName,
    ) -> impl DoubleEndedIterator<Item = &Entry> {
        self.at(self.by_interface.get(name))
    }

    /// The file that counts for `name`: the one of its name, else by the card's address, else the last with its
    /// `DEVICE`, as `need_config` of `network-functions` and netcf have it.
    pub(in crate::iface::network_scripts) fn find(&self, name: &InterfaceName) -> Option<&Entry> {
        let named = self
            .all_of(name)
            .find(|entry| entry.config.part == *name.as_str());
        named
            .or_else(|| self.all_of(name).rev().find(|entry| entry.by_address))
            .or_else(|| self.all_of(name).next_back())
    }

    /// The interfaces that are ports of `name`, each once, in the order of their names' bytes, with the files that
    /// count for them.
    pub(in crate::iface::network_scripts) fn ports(
        &self,
        name: &InterfaceName,
    ) -> BTreeMap<InterfaceName, &Entry> {
        let mut ports = BTreeMap::new();
        for entry in self.at(self.by_upper.get(name)) {
            if let Some(port) = entry.interface.as_ref().filter(|port| *port != name)
                && let Some(counts) = self.find(port)
                && counts.upper == entry.upper
            {
                ports.insert(port.clone(), counts);
            }
        }
        ports
    }

    /// The ports of `name` by `MASTER` whose names the schema knows: without one it is no bond.
    pub(in crate::iface::network_scripts) fn bond_ports(
        &self,
        name: &InterfaceName,
    ) -> BTreeMap<InterfaceName, &Entry> {
        let mut ports = self.ports(name);
        ports.retain(|name, entry| {
            entry.is_port_by("MASTER") && interface_name(name.as_str()).is_ok()
        });
        ports
    }

    /// The interfaces that are no ports, in the order of their names' bytes, each with the file that counts.
    pub(in crate::iface::network_scripts) fn top_level(
        &self,
    ) -> impl Iterator<Item = (&InterfaceName, &Entry)> {
        let all = self.by_interface.keys();
        let found = all.filter_map(|name| self.find(name).map(|entry| (name, entry)));
        found.filter(|(_, entry)| entry.upper.is_none())
    }

    /// `name`, its ports, and theirs.
    pub(in crate::iface::network_scripts) fn with_ports(
        &self,
        name: &InterfaceName,
    ) -> BTreeSet<InterfaceName> {
        Self::reached(name, |name| self.ports(name).into_keys().collect())
    }

    /// `name`, and all that must be there before it can come up: ports, theirs, and lower devices that are configured
    /// and not there yet, with theirs.
    pub(in crate::iface::network_scripts) fn with_lower(
        &self,
        name: &InterfaceName,
        is_there: &dyn Fn(&InterfaceName) -> bool,
    ) -> BTreeSet<InterfaceName> {
        Self::reached(name, |name| {
            let mut below: Vec<_> = self.ports(name).into_keys().collect();
            let lower = self.find(name).and_then(|entry| entry.lower(name));
            below.extend(lower.filter(|it| self.find(it).is_some() && !is_there(it)));
            below
        })
    }

    /// All that `below` leads to from `name`, itself included.
    fn reached(
        name: &InterfaceName,
        below: impl Fn(&InterfaceName) -> Vec<InterfaceName>,
    ) -> BTreeSet<InterfaceName> {
        let mut found = BTreeSet::from([name.clone()]);
        let mut to_visit = vec![name.clone()];
        while let Some(name) = to_visit.pop() {
            for next in below(&name) {
                if found.insert(next.clone()) {
                    to_visit.push(next);
                }
            }
        }
        found
    }

    /// The file of the interface `name`, which must be there and no port.
    pub(in crate::iface::network_scripts) fn must_find(
        &self,
        name: &InterfaceName,
    ) -> Result<&Entry> {
        let Some(entry) = self.find(name) else {
            return Err(Error::failed(format!(
                "no file in {} configures the interface {name}",
                super::super::CONFIG_DIR
            ))
            .hint("'ncf list --all' shows the interfaces"));
        };
        match &entry.upper {
            None => Ok(entry),
            Some(upper) => {
                let above = upper.name.as_ref().map_or("another", |name| name.as_str());
                let (path, key) = (&entry.config.path, upper.key);
                Err(Error::failed(format!(
                    "{name} is part of {above} ({key} in {path}), not an interface by itself"
                ))
                .hint(format!("it is shown and defined with {above}")))
            }
        }
    }
}

/// The cards' names by their addresses.
fn by_address(cards: &[Card]) -> BTreeMap<MacAddress, &InterfaceName> {
    cards.iter().map(|card| (card.mac, &card.name)).collect()
}

impl Entry {
    fn of(config: Config, cards: &BTreeMap<MacAddress, &InterfaceName>) -> Self {
        let has_device = config
            .file
            .get("DEVICE")
            .is_some_and(|value| value.bytes() != Some(b""));
        let card = config.file.get("HWADDR").filter(|_| !has_device);
        let card = card.and_then(|value| value.text()?.parse::<MacAddress>().ok());
        let card = card.and_then(|mac| cards.get(&mac));
        let is_range = !has_device && config.file.get("IPADDR_START").is_some();
        let upper = ["BRIDGE", "MASTER"].into_iter().find_map(|key| {
            let value = config.file.get(key)?;
            let is_set = value.bytes() != Some(b"");
            is_set.then(|| Upper {
                key,
                name: config.name_at(key),
            })
        });
        let interface = match card {
            _ if is_range => None,
            Some(name) => Some((*name).clone()),
            None if has_device => config.name_at("DEVICE"),
            None => config.interface(),
        };
        Self {
            by_address: card.is_some(),
            config,
            interface,
            upper,
            is_range,
        }
    }

    /// The file's name.
    pub(in crate::iface::network_scripts) fn file_name(&self) -> OsString {
        super::super::naming::file_name("ifcfg-", &self.config.part)
    }

    /// What must be there before `name`, whose file it is, can be made: the device of an alias, the lower device of a
    /// VLAN.
    fn lower(&self, name: &InterfaceName) -> Option<InterfaceName> {
        if name.is_alias() {
            return Some(name.device());
        }
        // A wrong value is the applier's to refuse.
        let is_vlan = vlan::is(&self.config).unwrap_or(false);
        is_vlan
            .then(|| vlan::of(name, &self.config).ok())
            .flatten()
            .map(|vlan| vlan.lower)
    }

    /// Whether it is a port by `key`.
    pub(in crate::iface::network_scripts) fn is_port_by(&self, key: &str) -> bool {
        self.upper.as_ref().is_some_and(|upper| upper.key == key)
    }

    /// Whether it is a port of `upper` by `key`.
    pub(in crate::iface::network_scripts) fn is_port_of(
        &self,
        key: &str,
        upper: &InterfaceName,
    ) -> bool {
        self.is_port_by(key) && self.upper.as_ref().and_then(|it| it.name.as_ref()) == Some(upper)
    }

    /// Its values.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading::of(&self.config)
    }
}
