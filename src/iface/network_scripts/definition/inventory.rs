//! All `ifcfg` files at once: whose each is, and what is in what.
//!
//! netcf asks augeas anew for each question, which for a thousand interfaces takes the better part of a second. Here
//! every file is read once, a few values of each tell whose it is, and two sorted lists answer the rest. A file is
//! parsed where more of it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use super::super::config;
use super::entry::{Cards, Entry};
use crate::error::Context;
use crate::iface::backend::{Card, Files};
use crate::iface::model::interface_name;
use crate::sys::name::InterfaceName;
use crate::sys::parallel;
use crate::{Error, Result};

/// All files.
#[derive(Debug)]
pub(in crate::iface::network_scripts) struct Inventory {
    /// In the order of their names.
    entries: Vec<Arc<Entry>>,
    /// Those with an interface, in the order of its name.
    by_interface: Vec<usize>,
    /// Those that are ports, in the order of what they are in.
    by_upper: Vec<usize>,
}

impl Inventory {
    /// Reads all files. `cards` are the network cards that the host has: a file with `HWADDR` and no `DEVICE` is for
    /// the card with that address.
    pub(in crate::iface::network_scripts) fn read(
        files: &dyn Files,
        cards: &[Card],
    ) -> Result<Self> {
        let cards = Cards::of(cards);
        let found = files
            .matching(&config::is_ifcfg)
            .context(|| format!("cannot list {}", super::super::CONFIG_DIR))?;
        let mut entries = Vec::with_capacity(found.len());
        for (name, read) in found {
            let bytes = read.context(|| format!("cannot read {}", config::path_of(&name)))?;
            entries.extend(Entry::of(name, bytes, &cards).map(Arc::new));
        }
        entries.sort_by(|a, b| a.file_name().cmp(b.file_name()));
        Ok(Self::index(entries))
    }

    /// The same with these files as `changed` has them, or beside the others.
    pub(in crate::iface::network_scripts) fn with(
        &self,
        changed: impl Iterator<Item = (OsString, Vec<u8>)>,
        cards: &[Card],
    ) -> Self {
        let cards = Cards::of(cards);
        let mut entries = self.entries.clone();
        for (name, bytes) in changed {
            let Some(entry) = Entry::of(name, bytes, &cards).map(Arc::new) else {
                continue;
            };
            match entries.binary_search_by(|other| other.file_name().cmp(entry.file_name())) {
                Ok(at) => entries.splice(at..=at, [entry]).for_each(drop),
                Err(at) => entries.insert(at, entry),
            }
        }
        Self::index(entries)
    }

    fn index(entries: Vec<Arc<Entry>>) -> Self {
        let sorted = |key: fn(&Entry) -> Option<&InterfaceName>| {
            let keys = entries.iter().map(|entry| key(entry)).enumerate();
            let mut keys: Vec<_> = keys.filter_map(|(at, key)| Some((key?, at))).collect();
            keys.sort_unstable();
            keys.into_iter().map(|(_, at)| at).collect()
        };
        Self {
            by_interface: sorted(Entry::interface),
            by_upper: sorted(Entry::upper_name),
            entries,
        }
    }

    /// All files, in the order of their names.
    pub(in crate::iface::network_scripts) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(Arc::as_ref)
    }

    /// The file `name`.
    pub(super) fn file(&self, name: &OsStr) -> Option<&Entry> {
        let at = self
            .entries
            .binary_search_by(|entry| entry.file_name().as_os_str().cmp(name));
        self.entries.get(at.ok()?).map(Arc::as_ref)
    }

    /// Parses all files, on all processors, where all of them will be asked for more.
    pub(in crate::iface::network_scripts) fn parse_all(&self) {
        parallel::map(&self.entries, |entry| {
            entry.config();
        });
    }

    /// Those of an index whose `key` is `name`, in the order of the files' names.
    fn at<'a>(
        &'a self,
        index: &'a [usize],
        key: fn(&Entry) -> Option<&InterfaceName>,
        name: &InterfaceName,
    ) -> impl DoubleEndedIterator<Item = &'a Entry> {
        let of = |at: &usize| self.entries.get(*at).and_then(|entry| key(entry));
        let start = index.partition_point(|at| of(at) < Some(name));
        let end = index.partition_point(|at| of(at) <= Some(name));
        let found = index.get(start..end).unwrap_or_default().iter();
        found.filter_map(|at| self.entries.get(*at).map(Arc::as_ref))
    }

    /// All files for `name`.
    pub(in crate::iface::network_scripts) fn all_of(
        &self,
        name: &InterfaceName,
    ) -> impl DoubleEndedIterator<Item = &Entry> {
        self.at(&self.by_interface, Entry::interface, name)
    }

    /// The file that counts for `name`: the one of its name, else by the card's address, else the last with its
    /// `DEVICE`, as `need_config` of `network-functions` and netcf have it.
    pub(in crate::iface::network_scripts) fn find(&self, name: &InterfaceName) -> Option<&Entry> {
        let named = self
            .all_of(name)
            .find(|entry| entry.part() == name.as_str());
        named
            .or_else(|| self.all_of(name).rev().find(|entry| entry.is_by_address()))
            .or_else(|| self.all_of(name).next_back())
    }

    /// The interfaces that are ports of `name`, each once, in the order of their names' bytes, with the files that
    /// count for them.
    pub(in crate::iface::network_scripts) fn ports(
        &self,
        name: &InterfaceName,
    ) -> BTreeMap<InterfaceName, &Entry> {
        let mut ports = BTreeMap::new();
        for entry in self.at(&self.by_upper, Entry::upper_name, name) {
            if let Some(port) = entry.interface().filter(|port| *port != name)
                && let Some(counts) = self.find(port)
                && counts.upper() == entry.upper()
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
        let all = self
            .by_interface
            .iter()
            .filter_map(|at| self.entries.get(*at)?.interface());
        let mut last = None;
        let each_once = all.filter(move |name| last.replace(*name) != Some(*name));
        let found = each_once.filter_map(|name| self.find(name).map(|entry| (name, entry)));
        found.filter(|(_, entry)| entry.upper().is_none())
    }

    /// `name`, its ports, and theirs.
    pub(in crate::iface::network_scripts) fn with_ports(
        &self,
        name: &InterfaceName,
    ) -> BTreeSet<InterfaceName> {
        self.ports_below(name).into_iter().collect()
    }

    /// The same, each port after what it is in.
    pub(super) fn ports_below(&self, name: &InterfaceName) -> Vec<InterfaceName> {
        reached(name, |name| self.ports(name).into_keys().collect())
    }

    /// `name`, and all that must be there before it can come up: ports, theirs, and lower devices that are configured
    /// and not there yet, with theirs.
    pub(in crate::iface::network_scripts) fn with_lower(
        &self,
        name: &InterfaceName,
        is_there: &dyn Fn(&InterfaceName) -> bool,
    ) -> BTreeSet<InterfaceName> {
        let found = reached(name, |name| {
            let mut below: Vec<_> = self.ports(name).into_keys().collect();
            let lower = self.find(name).and_then(|entry| entry.lower(name));
            below.extend(lower.filter(|it| self.find(it).is_some() && !is_there(it)));
            below
        });
        found.into_iter().collect()
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
        match entry.upper() {
            None => Ok(entry),
            Some(upper) => {
                let above = upper.name.as_ref().map_or("another", |name| name.as_str());
                let (path, key) = (&entry.config().path, upper.key);
                Err(Error::failed(format!(
                    "{name} is part of {above} ({key} in {path}), not an interface by itself"
                ))
                .hint(format!("it is shown and defined with {above}")))
            }
        }
    }
}

/// All that `below` leads to from `name`, itself first, each once and after what first led to it.
fn reached(
    name: &InterfaceName,
    below: impl Fn(&InterfaceName) -> Vec<InterfaceName>,
) -> Vec<InterfaceName> {
    let mut found = vec![name.clone()];
    let mut at = 0;
    while let Some(name) = found.get(at) {
        for next in below(name) {
            if !found.contains(&next) {
                found.push(next);
            }
        }
        at += 1;
    }
    found
}
