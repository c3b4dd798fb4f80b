//! From files to an [`Interface`].

use super::bonding::Options;
use super::entry::Entry;
use super::inventory::Inventory;
use super::reading::Reading;
use crate::Error;
use crate::iface::backend::Described;
use crate::iface::model::{
    Bond, BondPort, Bridge, Ethernet, Interface, Kind, Mode, Port, PortKind, interface_name,
};
use crate::sys::name::InterfaceName;

/// What the files say of the interface `name`, whose file is `entry`.
pub(in crate::iface::network_scripts) fn describe(
    name: &InterfaceName,
    entry: &Entry,
    inventory: &Inventory,
) -> Described {
    let mut all = Vec::new();
    let reading = entry.reading();
    note_odd(name, entry, inventory, &mut all);
    if let Err(bad) = interface_name(name.as_str()) {
        let path = &entry.config().path;
        let message = format!("{path}: a definition cannot have the name {name}: {bad}");
        all.push(Error::failed(message).hint("this one can only be edited by hand"));
    }
    let kind = kind(name, entry, inventory, &reading, &mut all);
    let interface = Interface {
        name: name.clone(),
        start: reading.start(),
        mtu: reading.mtu(),
        addressing: reading.addressing(),
        kind,
    };
    all.extend(reading.into_warnings());
    Described {
        interface,
        warnings: all,
    }
}

/// What the type of an interface is by its file, without its ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Ethernet,
    Bridge,
    Bond,
    Vlan,
}

/// The type of `name`. A bond is what others name as their `MASTER`: without ports there is none.
pub(super) fn type_of(name: &InterfaceName, reading: &Reading<'_>, inventory: &Inventory) -> Type {
    if name.is_alias() {
        Type::Ethernet
    } else if reading.text("TYPE").as_deref() == Some("Bridge") {
        Type::Bridge
    } else if !inventory.bond_ports(name).is_empty() {
        Type::Bond
    } else if reading.vlan(name).is_some() {
        Type::Vlan
    } else {
        Type::Ethernet
    }
}

fn kind(
    name: &InterfaceName,
    entry: &Entry,
    inventory: &Inventory,
    reading: &Reading<'_>,
    warnings: &mut Vec<Error>,
) -> Kind {
    match type_of(name, reading, inventory) {
        Type::Bridge => Kind::Bridge(Bridge {
            stp: reading.stp(),
            delay: reading.delay(),
            ports: bridge_ports(name, inventory, warnings),
        }),
        Type::Bond => Kind::Bond(bond(name, entry, inventory, warnings)),
        Type::Vlan => reading
            .vlan(name)
            .map_or_else(|| Kind::Ethernet(Ethernet::default()), Kind::Vlan),
        Type::Ethernet => Kind::Ethernet(Ethernet { mac: reading.mac() }),
    }
}

fn bridge_ports(
    bridge: &InterfaceName,
    inventory: &Inventory,
    warnings: &mut Vec<Error>,
) -> Vec<Port> {
    let mut ports = Vec::new();
    for (name, entry) in inventory.ports(bridge) {
        if !entry.is_port_by("BRIDGE") || !is_shown(&name, entry, warnings) {
            continue;
        }
        note_code(entry, warnings);
        let reading = entry.reading();
        let ethernet = || PortKind::Ethernet(Ethernet { mac: reading.mac() });
        let kind = match type_of(&name, &reading, inventory) {
            Type::Bond => PortKind::Bond(bond(&name, entry, inventory, warnings)),
            Type::Vlan => reading.vlan(&name).map_or_else(ethernet, PortKind::Vlan),
            Type::Bridge | Type::Ethernet => ethernet(),
        };
        warnings.extend(reading.into_warnings());
        ports.push(Port { name, kind });
    }
    ports
}

/// The options and ports of the bond `name`, whose file is `entry`.
fn bond(
    name: &InterfaceName,
    entry: &Entry,
    inventory: &Inventory,
    warnings: &mut Vec<Error>,
) -> Bond {
    let reading = entry.reading();
    let options = Options::parse(&reading.text("BONDING_OPTS").unwrap_or_default());
    warnings.extend(reading.into_warnings());
    let mut ports: Vec<BondPort> = Vec::new();
    for (port, entry) in inventory.bond_ports(name) {
        if is_shown(&port, entry, warnings) {
            note_code(entry, warnings);
            let reading = entry.reading();
            let ethernet = Ethernet { mac: reading.mac() };
            warnings.extend(reading.into_warnings());
            ports.push(BondPort {
                name: port,
                ethernet,
            });
        }
    }
    let mode = options.mode();
    if let Some(primary) = options
        .primary()
        .filter(|_| mode == Some(Mode::ActiveBackup))
    {
        // The rest keeps its order.
        ports.sort_by_key(|port| port.name != primary);
    }
    Bond {
        mode,
        monitor: options.monitor(),
        ports,
    }
}

/// Whether the schema can name the interface; notes it where not.
fn is_shown(name: &InterfaceName, entry: &Entry, warnings: &mut Vec<Error>) -> bool {
    let bad = interface_name(name.as_str()).err();
    let is_shown = bad.is_none();
    warnings.extend(bad.map(|bad| {
        let path = &entry.config().path;
        Error::failed(format!("{path}: {name} is left out: {bad}"))
    }));
    is_shown
}

/// Notes shell code, and other files for the same interface.
fn note_odd(name: &InterfaceName, entry: &Entry, inventory: &Inventory, warnings: &mut Vec<Error>) {
    note_code(entry, warnings);
    let path = &entry.config().path;
    for other in inventory.all_of(name) {
        if other.config().path != *path {
            let other = &other.config().path;
            warnings.push(Error::failed(format!(
                "{other} is for {name} too; {path} counts"
            )));
        }
    }
}

fn note_code(entry: &Entry, warnings: &mut Vec<Error>) {
    if let Some(line) = entry.config().file.code().first() {
        let path = &entry.config().path;
        warnings.push(Error::failed(format!(
            "{path}:{line}: shell code is not executed here; it may change what is shown"
        )));
    }
}
