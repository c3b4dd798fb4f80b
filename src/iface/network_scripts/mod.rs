//! The backend for network-scripts: `ifcfg-*` and its kin in `/etc/sysconfig/network-scripts`.
//!
//! The authority is what the scripts of the initscripts project do (`ifup`, `ifup-eth`, `ifup-aliases`,
//! `ifup-ipv6`, `ifup-routes`, `network-functions`), and `sysconfig.txt` where they leave a choice. Where
//! they silently skip something this does too, for the purpose is the network that the
//! host had, not the one that its files could be read to mean:
//!
//! - a bridge's port gets no addresses and no routes, whatever its file says;
//! - `GATEWAY` makes a default route only where it is a neighbour by the interface's addresses;
//! - address numbering ends at the first gap from 2 on, that of `ADDRESSn` routes at the first gap.
//!
//! What this does not know it refuses, with file, line and a way out, rather than leave a host half
//! configured. Left out are the `169.254.0.0/16` route (its metric is made of the interface's
//! index; see `NOZEROCONF`) and the probing for duplicate addresses.
//!
//! | file | what it holds |
//! |---|---|
//! | `naming` | which file names count, and for what |
//! | `config` | finding an interface's file and reading its keys |
//! | `by_card` | files that are a card's by its address, seen as if they named it |
//! | `scan` | passing over files that are for other interfaces |
//! | `depends` | lower devices |
//! | `refuse` | what the built-in applier does not do |
//! | `notes` | what it leaves alone while it does the rest |
//! | `link`, `bridge`, `bond`, `vlan`, `addresses`, `ranges`, `routes`, `rules`, `dynamic` | the parts of [`Desired`] |
//! | `definition` | from files to an [`Interface`] and back |

mod addresses;
mod bond;
mod bridge;
mod by_card;
mod config;
mod definition;
mod depends;
mod dynamic;
mod link;
mod naming;
mod notes;
mod ranges;
mod refuse;
mod routes;
mod rules;
mod scan;
#[cfg(test)]
mod tests;
mod vlan;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::backend::{Backend, Card, Dependencies, Described, Edits, Files, Scope};
use super::model::Interface;
use crate::apply::desired::{Desired, LinkKind};
use crate::sys::name::InterfaceName;
use crate::{Error, Result};
use by_card::ByCard;
use config::Config;
use definition::inventory::Inventory;
use definition::{define, present, undefine};
use notes::Notes;

/// Where the scripts look for configuration.
const CONFIG_DIR: &str = "/etc/sysconfig/network-scripts";

/// What all interfaces share.
const GLOBAL: &str = "/etc/sysconfig/network";

/// Network-scripts, as on Red Hat Enterprise Linux up to 9 and its relatives.
#[derive(Debug, Clone, Copy, Default)]
pub struct NetworkScripts;

impl Backend for NetworkScripts {
    fn scope(&self) -> Scope {
        Scope {
            config_dir: PathBuf::from(CONFIG_DIR),
            prefixes: naming::PREFIXES
                .iter()
                .map(|prefix| (*prefix).to_owned())
                .collect(),
            subdirectories: true,
            files: vec![PathBuf::from(GLOBAL)],
        }
    }

    fn is_global(&self, path: &Path) -> bool {
        path == Path::new(GLOBAL)
    }

    fn is_secret(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        name.as_encoded_bytes().starts_with(b"keys-")
    }

    fn interface_of(&self, path: &Path, files: &dyn Files) -> Option<InterfaceName> {
        naming::interface_of(path, files)
    }

    fn configured(
        &self,
        names: &BTreeSet<InterfaceName>,
        files: &dyn Files,
    ) -> BTreeSet<InterfaceName> {
        config::configured(names, files)
    }

    fn dependencies(&self, names: &BTreeSet<InterfaceName>, files: &dyn Files) -> Dependencies {
        depends::dependencies(names, files)
    }

    fn desired(&self, name: &InterfaceName, files: &dyn Files) -> Result<Desired> {
        desired(name, Config::find(name, files)?, files)
    }

    fn by_card<'a>(&self, files: &'a dyn Files, cards: &'a [Card]) -> Box<dyn Files + 'a> {
        Box::new(ByCard::new(files, cards))
    }

    fn interfaces(&self, files: &dyn Files, cards: &[Card]) -> Result<Vec<InterfaceName>> {
        let inventory = Inventory::read(files, cards)?;
        Ok(inventory
            .top_level()
            .map(|(name, _)| name.clone())
            .collect())
    }

    fn describe(
        &self,
        name: &InterfaceName,
        files: &dyn Files,
        cards: &[Card],
    ) -> Result<Described> {
        let inventory = Inventory::read(files, cards)?;
        let entry = inventory.must_find(name)?;
        Ok(present::describe(name, entry, &inventory))
    }

    fn describe_all(&self, files: &dyn Files, cards: &[Card]) -> Result<Vec<Described>> {
        let inventory = Inventory::read(files, cards)?;
        inventory.parse_all();
        let all = inventory.top_level();
        Ok(all
            .map(|(name, entry)| present::describe(name, entry, &inventory))
            .collect())
    }

    fn define(&self, wanted: &Interface, files: &dyn Files, cards: &[Card]) -> Result<Edits> {
        define::define(wanted, files, cards)
    }

    fn undefine(&self, name: &InterfaceName, files: &dyn Files, cards: &[Card]) -> Result<Edits> {
        undefine::undefine(name, files, cards)
    }

    fn with_ports(
        &self,
        name: &InterfaceName,
        files: &dyn Files,
        cards: &[Card],
    ) -> Result<BTreeSet<InterfaceName>> {
        let inventory = Inventory::read(files, cards)?;
        inventory.must_find(name)?;
        Ok(inventory.with_ports(name))
    }

    fn with_lower(
        &self,
        name: &InterfaceName,
        files: &dyn Files,
        cards: &[Card],
        is_there: &dyn Fn(&InterfaceName) -> bool,
    ) -> Result<BTreeSet<InterfaceName>> {
        let inventory = Inventory::read(files, cards)?;
        inventory.must_find(name)?;
        Ok(inventory.with_lower(name, is_there))
    }
}

/// What the kernel should have for `name`, whose file is `config`.
fn desired(name: &InterfaceName, config: Option<Config>, files: &dyn Files) -> Result<Desired> {
    let Some(config) = config else {
        return Err(Error::failed(format!(
            "no file in {CONFIG_DIR} configures the interface {name}"
        ))
        .hint(format!(
            "a file ifcfg-{name}, or one with DEVICE={name}, would"
        )));
    };
    refuse::check(name, &config, files)?;
    if name.is_alias() {
        alias(name, &config, files)
    } else {
        device(name, &config, files)
    }
}

/// A device, with the aliases that come up with it.
fn device(name: &InterfaceName, config: &Config, files: &dyn Files) -> Result<Desired> {
    let mut notes = Notes::default();
    notes.overruled(config);
    notes.left_alone(config)?;
    let kind = link::kind(name, config, files, &mut notes)?;
    let mut desired = Desired {
        hwaddr: config.parsed("HWADDR", link::mac)?,
        mac: config.parsed("MACADDR", link::mac)?,
        mtu: config.parsed("MTU", link::mtu)?,
        master: link::master(config, files, &mut notes)?,
        ..Desired::new(name.clone(), kind)
    };
    // ifup-eth makes a port one and is done.
    if desired.master.is_none() {
        protocols(&mut desired, config, files, &mut notes)?;
    } else if !matches!(desired.kind, LinkKind::Bridge(_)) {
        notes.add(
            config,
            "BRIDGING_OPTS",
            "not applied: options of ports are not known",
        );
    }
    desired.notes = notes.into_list();
    Ok(desired)
}

/// What a device has that is no port.
fn protocols(
    desired: &mut Desired,
    config: &Config,
    files: &dyn Files,
    notes: &mut Notes,
) -> Result<()> {
    let name = desired.name.clone();
    desired.dhcp4 = dynamic::dhcp4(&name, config, notes)?;
    desired.dhcp6 = dynamic::dhcp6(config)?;
    desired.ipv6 = dynamic::ipv6(config)?;
    desired.addresses = addresses::of(config, None, None)?;
    if desired.dhcp4.is_some() {
        desired.addresses.retain(|it| it.net.addr().is_ipv6());
    }
    desired.routes = routes::of(&name, config, &desired.addresses, files)?;
    desired.rules = rules::of(&name, config, files)?;
    for alias in config::aliases(&name, files)? {
        let Some(label) = alias.on_parent(&name)? else {
            continue;
        };
        refuse::check(&label, &alias, files)?;
        let own = addresses::of(&alias, Some(&label), Some(config))?;
        for route in routes::of(&label, &alias, &own, files)? {
            routes::replace(&mut desired.routes, route);
        }
        for address in own {
            addresses::add(&mut desired.addresses, address);
        }
        desired.rules.extend(rules::of(&label, &alias, files)?);
    }
    for address in ranges::of(&name, config, files)? {
        addresses::add(&mut desired.addresses, address);
    }
    Ok(())
}

/// An alias alone, as `ifup eth0:1` has it.
fn alias(name: &InterfaceName, config: &Config, files: &dyn Files) -> Result<Desired> {
    let parent = Config::find(&name.device(), files)?;
    let addresses = addresses::of(config, Some(name), parent.as_ref())?;
    let routes = routes::of(name, config, &addresses, files)?;
    Ok(Desired {
        addresses,
        routes,
        rules: rules::of(name, config, files)?,
        ..Desired::new(name.clone(), LinkKind::Alias)
    })
}
