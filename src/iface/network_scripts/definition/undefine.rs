//! The changes that take an interface out of the files.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use super::super::config;
use super::super::naming::FileName;
use super::entry::Entry;
use super::inventory::Inventory;
use super::present::{Type, type_of};
use crate::iface::backend::{Card, Edits, FileEdit, Files};
use crate::sys::name::InterfaceName;
use crate::{Error, Result};

/// The changes that take `name` out, its ports and theirs, their aliases, routes, rules and keys.
pub(in crate::iface::network_scripts) fn undefine(
    name: &InterfaceName,
    files: &dyn Files,
    cards: &[Card],
) -> Result<Edits> {
    let inventory = Inventory::read(files, cards)?;
    inventory.must_find(name)?;
    let removed = inventory.with_ports(name);
    refuse_dangling(&removed, &inventory)?;
    let goes = |entry: &&Entry| {
        let of = entry.interface();
        of.is_some_and(|of| removed.contains(of) || removed.contains(&of.device()))
    };
    let mut parts: BTreeSet<OsString> = removed.iter().map(|it| it.as_str().into()).collect();
    for entry in inventory.entries().filter(goes) {
        parts.insert(entry.part().to_owned());
        parts.extend(entry.interface().iter().map(|it| it.as_str().into()));
    }
    // A part that is the name of another interface's file belongs to that one.
    for entry in inventory.entries().filter(|entry| !goes(entry)) {
        parts.remove(entry.part());
    }
    let mut edits = Edits {
        interfaces: ordered(name, &removed),
        ..Edits::default()
    };
    let mut names = files.names()?;
    names.sort();
    for file in names {
        let Some(known) = FileName::of(&file) else {
            continue;
        };
        let entry = inventory.file(&file);
        let belongs = match entry {
            Some(entry) if !entry.is_range() => goes(&entry),
            _ => parts.contains(known.part) || is_range(known, &removed),
        };
        // A link to nothing goes too.
        if belongs
            && let Some(before) =
                config::read(&file, files)?.or_else(|| files.is_link(&file).then(Vec::new))
        {
            edits.files.push(FileEdit {
                name: file,
                before: Some(before),
                after: None,
            });
        }
    }
    let ranks = inventory.ports_below(name);
    edits
        .files
        .sort_by_key(|edit| turn(&edit.name, &inventory, &ranks));
    Ok(edits)
}

/// When a file goes: routes and rules first, ports before what they are in, the interface's own file last. As long as
/// that is there, all that is left is found by it, and undefining it again does the rest.
fn turn(
    name: &OsStr,
    inventory: &Inventory,
    ranks: &[InterfaceName],
) -> (bool, Option<Reverse<usize>>, bool) {
    let entry = inventory.file(name);
    let interface = entry.and_then(Entry::interface);
    let rank = interface.and_then(|it| ranks.iter().position(|rank| *rank == it.device()));
    let counts = interface.and_then(|it| inventory.find(it).filter(|_| !it.is_alias()));
    let is_own = counts.is_some_and(|counts| counts.file_name() == name);
    (
        name.as_bytes().starts_with(b"ifcfg-"),
        rank.map(Reverse),
        is_own,
    )
}

fn ordered(name: &InterfaceName, removed: &BTreeSet<InterfaceName>) -> Vec<InterfaceName> {
    let others = removed.iter().filter(|other| *other != name);
    std::iter::once(name).chain(others).cloned().collect()
}

/// Whether the file is that of a range of aliases of one of `removed`.
fn is_range(file: FileName<'_>, removed: &BTreeSet<InterfaceName>) -> bool {
    let part = file.part.as_bytes();
    file.prefix == "ifcfg-"
        && removed.iter().any(|name| {
            let rest = part.strip_prefix(name.as_str().as_bytes());
            rest.is_some_and(|rest| rest.starts_with(b"-range"))
        })
}

/// Fails where a VLAN would be left without the device below it. (A card is there without a file.)
fn refuse_dangling(removed: &BTreeSet<InterfaceName>, inventory: &Inventory) -> Result<()> {
    for entry in inventory.entries().filter(|entry| entry.may_be_vlan()) {
        let Some(upper) = entry.interface().filter(|it| !removed.contains(*it)) else {
            continue;
        };
        let Some(vlan) = entry.reading().vlan(upper) else {
            continue;
        };
        let lower = inventory
            .find(&vlan.lower)
            .filter(|_| removed.contains(&vlan.lower));
        let made = lower.is_some_and(|lower| {
            type_of(&vlan.lower, &lower.reading(), inventory) != Type::Ethernet
        });
        if made {
            let path = &entry.config().path;
            return Err(Error::failed(format!(
                "{upper} ({path}) is a VLAN on {}, and could not come up without it",
                vlan.lower
            ))
            .hint(format!("'ncf undefine {upper}' first")));
        }
    }
    Ok(())
}
