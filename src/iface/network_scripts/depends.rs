//! Which devices must be there before an interface can come up.

use std::collections::{BTreeMap, BTreeSet};

use super::config::{self, Config};
use crate::iface::backend::{Dependencies, Files};
use crate::sys::name::InterfaceName;

/// Keys of a port's file that name what it is put into.
const UPPER_KEYS: [&str; 3] = ["BRIDGE", "MASTER", "TEAM_MASTER"];

/// The edges among `names`. Reads the file of each name, and all files once if one of the names has
/// none of its own.
pub(super) fn dependencies(names: &BTreeSet<InterfaceName>, files: &dyn Files) -> Dependencies {
    let mut edges = Edges {
        names,
        found: Dependencies::new(),
    };
    let mut elsewhere: Option<BTreeMap<InterfaceName, Config>> = None;
    for name in names {
        if name.is_alias() {
            edges.add(name, &name.device());
        }
        if let Some(lower) = vlan_base(name) {
            edges.add(name, &lower);
        }
        let direct = Config::direct(name, files).unwrap_or_default();
        let config = match &direct {
            Some(config) => Some(config),
            None => elsewhere
                .get_or_insert_with(|| config::by_devices(names, files))
                .get(name),
        };
        if let Some(config) = config {
            edges.add_of(name, config);
        }
    }
    edges.found
}

/// Dependencies among a set of names.
struct Edges<'a> {
    names: &'a BTreeSet<InterfaceName>,
    found: Dependencies,
}

impl Edges<'_> {
    fn add(&mut self, upper: &InterfaceName, lower: &InterfaceName) {
        if upper != lower && self.names.contains(upper) && self.names.contains(lower) {
            let lowers = self.found.entry(upper.clone()).or_default();
            lowers.insert(lower.clone());
        }
    }

    /// What the file of `name` says.
    fn add_of(&mut self, name: &InterfaceName, config: &Config) {
        for key in UPPER_KEYS {
            if let Some(upper) = config.name_at(key) {
                self.add(&upper, name);
            }
        }
        if let Some(lower) = config.name_at("PHYSDEV") {
            self.add(name, &lower);
        }
    }
}

/// The device under a VLAN by its name: `bond0` of `bond0.5`. Up to four digits, as in `ifup`.
///
/// `VLAN=yes` is not asked for: NetworkManager's files say `TYPE=Vlan` only, and one edge too many between devices
/// that exist anyway does no harm.
fn vlan_base(name: &InterfaceName) -> Option<InterfaceName> {
    let (base, id) = name.as_str().rsplit_once('.')?;
    let is_id = (1..=4).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then(|| base.parse().ok()).flatten()
}
