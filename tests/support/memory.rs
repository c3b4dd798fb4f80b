//! A configuration directory in memory.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use ncf::Result;
use ncf::iface::backend::{Backend as _, Described, Edits, Files};
use ncf::iface::model::{Bond, Interface, Kind, PortKind, interface_name};
use ncf::iface::network_scripts::NetworkScripts;
use ncf::iface::xml;
use ncf::xml::Source;

/// Files by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory(pub BTreeMap<OsString, Vec<u8>>);

impl Files for Memory {
    fn names(&self) -> Result<Vec<OsString>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read(&self, name: &OsStr) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(name).cloned())
    }
}

impl Memory {
    pub fn with(files: &[(&str, &str)]) -> Self {
        let files = files.iter();
        Self(
            files
                .map(|(name, text)| (name.into(), text.as_bytes().to_vec()))
                .collect(),
        )
    }

    pub fn text(&self, name: &str) -> &str {
        str::from_utf8(&self.0[OsStr::new(name)]).unwrap()
    }

    pub fn apply(&mut self, edits: &Edits) {
        for edit in &edits.files {
            assert_eq!(self.0.get(&edit.name), edit.before.as_ref(), "{edit:?}");
            match &edit.after {
                Some(after) => self.0.insert(edit.name.clone(), after.clone()),
                None => self.0.remove(&edit.name),
            };
        }
    }

    pub fn define(&mut self, wanted: &Interface) -> Result<Edits> {
        let edits = NetworkScripts.define(wanted, self, &[])?;
        self.apply(&edits);
        Ok(edits)
    }

    /// As [`Memory::define`], from XML.
    pub fn define_xml(&mut self, text: &str) -> Result<Edits> {
        let wanted = xml::read(&Source::new("test.xml", text))?;
        self.define(&wanted)
    }

    pub fn describe(&self, name: &str) -> Result<Described> {
        NetworkScripts.describe(&name.parse().unwrap(), self, &[])
    }

    /// What `dumpxml` prints.
    pub fn dump(&self, name: &str) -> String {
        xml::write(&self.describe(name).unwrap().interface).to_string()
    }

    pub fn interfaces(&self) -> Vec<String> {
        let names = NetworkScripts.interfaces(self, &[]).unwrap();
        names.into_iter().map(String::from).collect()
    }

    /// Defines every interface as it is printed, and says which files that changed. Names that the schema does not
    /// know (`eth0%5`) are passed over.
    pub fn redefine_all(&mut self) -> Result<Vec<OsString>> {
        let mut changed = Vec::new();
        let mut names = self.interfaces();
        names.retain(|name| interface_name(name).is_ok());
        for name in names {
            let printed = self.dump(&name);
            let edits = self.define_xml(&printed)?;
            changed.extend(edits.files.into_iter().map(|edit| edit.name));
        }
        Ok(changed)
    }
}

/// Puts ports into the order in which files have them: that of their names, a bond's primary one first.
pub fn sort_ports(interface: &mut Interface) {
    let sort = |bond: &mut Bond| {
        let primary = bond.primary().cloned();
        bond.ports
            .sort_by_key(|port| (Some(&port.name) != primary.as_ref(), port.name.clone()));
    };
    match &mut interface.kind {
        Kind::Bridge(bridge) => {
            bridge.ports.sort_by(|a, b| a.name.cmp(&b.name));
            for port in &mut bridge.ports {
                if let PortKind::Bond(bond) = &mut port.kind {
                    sort(bond);
                }
            }
        }
        Kind::Bond(bond) => sort(bond),
        Kind::Ethernet(_) | Kind::Vlan(_) => {}
    }
}
