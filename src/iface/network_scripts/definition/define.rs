//! The changes that make the files say what an interface is to be.
//!
//! Whatever was planned is read back from the planned files before it is handed out: an interface that would not come
//! out as it was asked for (a value that another key overrides, an odd file) is refused and nothing is written.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use super::super::naming::file_name;
use super::draft::Draft;
use super::entry::Entry;
use super::fill::{self, Before, fill};
use super::inventory::Inventory;
use super::present::{Type, describe, type_of};
use super::sheet::{Sheet, SheetKind, sheets};
use crate::error::Context;
use crate::iface::backend::{Card, Edits, Files};
use crate::iface::model::{Bond, Interface, Kind, PortKind, interface_name};
use crate::sys::name::InterfaceName;
use crate::{Error, Result};

/// The changes that make `files` say what `wanted` says.
pub(in crate::iface::network_scripts) fn define(
    wanted: &Interface,
    files: &dyn Files,
    cards: &[Card],
) -> Result<Edits> {
    let inventory = Inventory::read(files, cards)?;
    if let Some(entry) = inventory.find(&wanted.name)
        && entry.upper().is_some()
    {
        inventory.must_find(&wanted.name)?;
    }
    let present = inventory.find(&wanted.name);
    let present = present.map(|entry| describe(&wanted.name, entry, &inventory).interface);
    let mut plan = Plan {
        inventory: &inventory,
        present: present.as_ref(),
        dhcpv6c: reads_dhcpv6c(files),
        drafts: Vec::new(),
        edits: Edits::default(),
    };
    let sheets = sheets(wanted);
    for sheet in &sheets {
        plan.sheet(sheet)?;
    }
    plan.release(&sheets)?;
    plan.prove(wanted, cards)?;
    Ok(plan.finish())
}

/// Whether this host's scripts know `DHCPV6C`: those of initscripts do, since 2009.
fn reads_dhcpv6c(files: &dyn Files) -> bool {
    let script = files.read(OsStr::new("ifup-eth")).ok().flatten();
    script.is_some_and(|text| text.windows(7).any(|word| word == b"DHCPV6C"))
}

struct Plan<'a> {
    inventory: &'a Inventory,
    /// The interface as it is defined now.
    present: Option<&'a Interface>,
    dhcpv6c: bool,
    drafts: Vec<Draft>,
    edits: Edits,
}

impl Plan<'_> {
    /// Makes the file of one interface say what its sheet says.
    fn sheet(&mut self, sheet: &Sheet<'_>) -> Result<()> {
        self.edits.interfaces.push(sheet.name.clone());
        let Some(entry) = self.inventory.find(sheet.name) else {
            let mut draft = self.new_file(sheet.name)?;
            fill(&mut draft, sheet, None, self.dhcpv6c)?;
            self.drafts.push(draft);
            return Ok(());
        };
        let before = self.before(sheet, entry);
        let mut draft = Draft::of(entry.file_name().clone(), entry.config());
        fill(&mut draft, sheet, Some(before), self.dhcpv6c)?;
        if let Some((key, upper)) = sheet.upper
            && !entry.is_port_of(key, upper)
        {
            let was = entry.upper().and_then(|was| was.name.as_ref());
            self.edits.notes.push(match was {
                Some(was) => format!("{} moves from {was} to {upper}", sheet.name),
                None => format!("{} becomes part of {upper}", sheet.name),
            });
        }
        self.drafts.push(draft);
        Ok(())
    }

    fn before(&self, sheet: &Sheet<'_>, entry: &Entry) -> Before {
        let stays = |(key, upper)| entry.is_port_of(key, upper);
        let inherited = self.present.filter(|_| sheet.upper.is_some_and(stays));
        let bond = match sheet.kind {
            SheetKind::Bond(bond) => Some(bond),
            _ => None,
        };
        let kind = type_of(sheet.name, &entry.reading(), self.inventory);
        Before {
            // As it is shown: there are no bridges in bridges, and only cards in bonds.
            kind: match (kind, sheet.upper.filter(|upper| stays(*upper))) {
                (_, Some(("MASTER", _))) | (Type::Bridge, Some(_)) => Type::Ethernet,
                (kind, _) => kind,
            },
            inherited: inherited.map(|present| (present.start, present.mtu)),
            same_ports: bond.is_some_and(|bond| self.has_same_ports(sheet.name, entry, bond)),
        }
    }

    fn has_same_ports(&self, name: &InterfaceName, entry: &Entry, wanted: &Bond) -> bool {
        let names =
            |bond: &Bond| -> Vec<_> { bond.ports.iter().map(|port| port.name.clone()).collect() };
        match describe(name, entry, self.inventory).interface.kind {
            Kind::Bond(bond) => names(&bond) == names(wanted),
            _ => false,
        }
    }

    /// A file for an interface that has none.
    fn new_file(&self, name: &InterfaceName) -> Result<Draft> {
        let file = file_name("ifcfg-", name.as_str());
        let taken = self.inventory.file(&file);
        if let Some(entry) = taken {
            let path = &entry.config().path;
            let other = entry.interface().map_or("something else", |it| it.as_str());
            let message = format!("{path} would be the file of {name}, but is for {other}");
            return Err(Error::failed(message).hint("give that file another name first"));
        }
        Draft::new(file).ok_or_else(|| {
            let message =
                format!("{name} cannot be defined: a file of this name counts as a backup");
            Error::failed(message)
        })
    }

    /// Takes those out that are ports of the interface now and are no longer to be.
    fn release(&mut self, sheets: &[Sheet<'_>]) -> Result<()> {
        let stays = |entry: &Entry| {
            let mut ports = sheets
                .iter()
                .filter_map(|sheet| Some((sheet.name, sheet.upper?)));
            ports.any(|(name, _)| entry.interface() == Some(name))
        };
        for sheet in sheets {
            for (name, entry) in self.inventory.ports(sheet.name) {
                if !stays(entry) && self.was_shown(&name, entry, sheet) {
                    let mut draft = Draft::of(entry.file_name().clone(), entry.config());
                    fill::leave_upper(&mut draft)?;
                    self.drafts.push(draft);
                    self.edits
                        .notes
                        .push(format!("{name} is no longer part of {}", sheet.name));
                }
            }
        }
        Ok(())
    }

    /// Whether the port `name` is one in the sense of the schema: of a bridge by `BRIDGE`, of a bond by `MASTER`.
    /// What was not shown is not missed in a definition.
    fn was_shown(&self, name: &InterfaceName, entry: &Entry, sheet: &Sheet<'_>) -> bool {
        let present = self.inventory.find(sheet.name);
        let present = present.map(|it| self.before(sheet, it).kind);
        let is_port_of = |kind: Type| {
            (kind == Type::Bridge && entry.is_port_by("BRIDGE"))
                || (kind == Type::Bond && entry.is_port_by("MASTER"))
        };
        let kinds = present.into_iter().chain([sheet.kind.kind()]);
        kinds.into_iter().any(is_port_of) && interface_name(name.as_str()).is_ok()
    }

    /// Reads what was planned, and compares.
    fn prove(&self, wanted: &Interface, cards: &[Card]) -> Result<()> {
        let drafts = self.drafts.iter();
        let changed = drafts.map(|draft| (draft.name().clone(), draft.bytes()));
        let inventory = self.inventory.with(changed, cards);
        let found = inventory
            .must_find(&wanted.name)
            .context(|| format!("{} cannot be defined", wanted.name))?;
        let found = describe(&wanted.name, found, &inventory).interface;
        let (found, wanted) = (comparable(&found, wanted), comparable(wanted, &found));
        if found == wanted {
            return Ok(());
        }
        let what = difference(&found, &wanted);
        Err(Error::failed(format!(
            "{} cannot be defined: its {what} would not come out as asked, because of what else is in its files",
            wanted.name
        ))
        .hint("'ncf dumpxml' shows what the files say now, and what is odd about them"))
    }

    fn finish(mut self) -> Edits {
        // What gives the interface its addresses comes before what takes them from its ports.
        let edits = self.drafts.into_iter().filter_map(Draft::into_edit);
        let (new, changed): (Vec<_>, Vec<_>) = edits.partition(|edit| edit.before.is_none());
        self.edits.files = new.into_iter().chain(changed).collect();
        self.edits
    }
}

/// The interface with all that has no place in the files made the same: the order of ports; and a card's address,
/// which stays with a card that becomes a port, where `other` says it and this does not.
fn comparable(interface: &Interface, other: &Interface) -> Interface {
    let macs = macs(other);
    let mut interface = interface.clone();
    let bond = |bond: &mut Bond| {
        let primary = bond.primary().cloned();
        let ports = &mut bond.ports;
        ports.sort_by_key(|port| (Some(&port.name) != primary.as_ref(), port.name.clone()));
        for port in ports {
            let known = macs.get(&port.name).copied();
            port.ethernet.mac = port.ethernet.mac.or(known);
        }
    };
    match &mut interface.kind {
        Kind::Bridge(bridge) => {
            bridge.ports.sort_by(|a, b| a.name.cmp(&b.name));
            for port in &mut bridge.ports {
                match &mut port.kind {
                    PortKind::Bond(it) => bond(it),
                    PortKind::Ethernet(it) => it.mac = it.mac.or(macs.get(&port.name).copied()),
                    PortKind::Vlan(_) => {}
                }
            }
        }
        Kind::Bond(it) => bond(it),
        Kind::Ethernet(_) | Kind::Vlan(_) => {}
    }
    interface
}

/// The addresses of ports.
fn macs(interface: &Interface) -> BTreeMap<InterfaceName, crate::sys::name::MacAddress> {
    let mut macs = BTreeMap::new();
    for sheet in sheets(interface) {
        if let (SheetKind::Ethernet(ethernet), Some(_)) = (sheet.kind, sheet.upper) {
            macs.extend(ethernet.mac.map(|mac| (sheet.name.clone(), mac)));
        }
    }
    macs
}

/// What differs, in a word.
fn difference(a: &Interface, b: &Interface) -> &'static str {
    if a.start != b.start {
        "start mode"
    } else if a.mtu != b.mtu {
        "MTU"
    } else if a.addressing != b.addressing {
        "addressing"
    } else {
        "type, options or ports"
    }
}
