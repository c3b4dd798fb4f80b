//! The whole of a definition.

use uuid::Uuid;

use super::attribute::{parse_uuid, yes_no};
use super::bridge::{MacTable, Services};
use super::forward::Forward;
use super::port::PortGroup;
use super::virtualport::VirtualPort;
use super::vlan::Vlan;
use crate::error::{Error, Result};
use crate::qos::Bandwidth;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::vnet::name::NetworkName;
use crate::xml::{Document, Element};

/// A network as its definition has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name, by which guests ask for it.
    pub name: NetworkName,
    /// Its identity.
    pub uuid: Uuid,
    /// What the guests are connected to.
    pub forward: Forward,
    /// Who fills the table of addresses of the bridge.
    pub mac_table: MacTable,
    /// Whether guests may change their filters of addresses, unless their interface or portgroup says otherwise.
    pub trust_guest_rx_filters: Option<bool>,
    /// Whether its ports reach each other only through the host.
    pub isolated_ports: Option<bool>,
    /// What the switch is told of its ports.
    pub virtual_port: Option<VirtualPort>,
    /// The tags of its ports.
    pub vlan: Option<Vlan>,
    /// The limits of all its ports together, on its bridge.
    pub bandwidth: Option<Bandwidth>,
    /// Classes of ports, in the order of the definition.
    pub portgroups: Vec<PortGroup>,
    /// What is kept and not acted on, each as a sentence.
    pub notes: Vec<String>,
}

/// What is generated where a definition does not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// For `<uuid>`.
    pub uuid: Uuid,
    /// For `<bridge name=…>` of a virtual bridge.
    pub bridge: InterfaceName,
    /// For `<mac address=…>` of a virtual bridge.
    pub mac: MacAddress,
}

impl Network {
    /// Reads a document. Fails at the place that is wrong, and says what is allowed there.
    pub fn from_document(document: &Document<'_>, fill: &Fill) -> Result<Self> {
        let root = document.root();
        if !root.is("network") {
            return Err(root.error("a <network> is needed here"));
        }
        let uuid = match root.child("uuid")?.filter(|it| !it.text().is_empty()) {
            Some(element) => parse_uuid(&element.text())
                .map_err(|allowed| element.error(format!("the <uuid> is wrong: {allowed}")))?,
            None => fill.uuid,
        };
        let forward = Forward::from_xml(root, fill)?;
        let port = root.child("port")?;
        let network = Self {
            name: name(root)?,
            uuid,
            mac_table: root
                .child("bridge")?
                .map(MacTable::from_xml)
                .transpose()?
                .unwrap_or_default(),
            trust_guest_rx_filters: yes_no(root, "trustGuestRxFilters")?,
            isolated_ports: port
                .map(|port| yes_no(port, "isolated"))
                .transpose()?
                .flatten(),
            virtual_port: root
                .child("virtualport")?
                .map(VirtualPort::from_xml)
                .transpose()?,
            vlan: root.child("vlan")?.map(Vlan::from_xml).transpose()?,
            bandwidth: root
                .child("bandwidth")?
                .map(Bandwidth::from_xml)
                .transpose()?,
            portgroups: PortGroup::all_from_xml(root)?,
            notes: notes(root, &forward)?,
            forward,
        };
        network.check(root)?;
        Ok(network)
    }

    fn check(&self, root: Element<'_>) -> Result<()> {
        let bridged = self.forward.bridge().is_some();
        if let Some(element) = root.child("bandwidth")?.filter(|_| !bridged) {
            return Err(element.error(format!(
                "a network of mode {} has no bridge that its <bandwidth> could limit: give each <portgroup> one",
                self.forward.mode()
            )));
        }
        if let (Some(element), Some(bandwidth)) = (root.child("bandwidth")?, &self.bandwidth) {
            crate::qos::network::check(bandwidth).map_err(|why| element.error(why))?;
        }
        if let Some(element) = root
            .child("port")?
            .filter(|_| !bridged && self.isolated_ports == Some(true))
        {
            return Err(element.wrong(
                "isolated",
                format!(
                    "ports of a bridge can be isolated, not those of mode {}",
                    self.forward.mode()
                ),
            ));
        }
        self.check_vlans(root)
    }

    /// Fails where a port is to be in a VLAN and none of the network's can be.
    fn check_vlans(&self, root: Element<'_>) -> Result<()> {
        let Forward::Macvtap(macvtap) = &self.forward else {
            return Ok(());
        };
        let groups = self.portgroups.iter();
        let has_virtual_port = self.virtual_port.is_some()
            || groups.map(|group| &group.virtual_port).any(Option::is_some);
        if macvtap.takes_vlans(has_virtual_port) {
            return Ok(());
        }
        let groups = root.children_named("portgroup");
        for place in std::iter::once(root).chain(groups) {
            if let Some(element) = place.child("vlan")? {
                return Err(element.error(format!(
                    "a port of a macvtap network of mode {} cannot be in a VLAN: <vlan> is allowed for bridges, passthrough and hostdev",
                    macvtap.mode.as_str()
                )));
            }
        }
        Ok(())
    }

    /// Whether any of its ports has a vlan tag by its definition.
    pub fn uses_vlans(&self) -> bool {
        self.vlan.is_some() || self.portgroups.iter().any(|group| group.vlan.is_some())
    }

    /// The portgroup of that name; without one the default portgroup, if there is one.
    ///
    /// Fails where there is none of that name.
    pub fn portgroup(&self, name: Option<&str>) -> Result<Option<&PortGroup>> {
        let Some(name) = name else {
            return Ok(self.portgroups.iter().find(|group| group.default));
        };
        let found = self.portgroups.iter().find(|group| group.name == name);
        if found.is_some() {
            return Ok(found);
        }
        let names: Vec<_> = self
            .portgroups
            .iter()
            .map(|group| group.name.as_str())
            .collect();
        let has = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        let what = format!("the network {} has no portgroup {name:?}", self.name);
        Err(Error::failed(what).hint(format!("it has {has}")))
    }
}

fn name(root: Element<'_>) -> Result<NetworkName> {
    let element = root.child("name")?;
    let element = element.ok_or_else(|| root.error("<network> needs a <name>"))?;
    let text = element.text();
    text.parse().map_err(|error| element.error(error))
}

/// What is kept and not acted on.
fn notes(root: Element<'_>, forward: &Forward) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let mode = forward.mode();
    if !matches!(forward, Forward::Virtual(_)) {
        for name in ["ip", "route", "dns", "domain"] {
            if root.children_named(name).next().is_some() {
                notes.push(format!(
                    "<{name}> means nothing in a network of mode {mode}"
                ));
            }
        }
    } else if !Services::from_xml(root)?.is_empty() {
        let names = Services::from_xml(root)?.names().join(" and ");
        notes.push(format!("{names}: ncf does not do that yet"));
    }
    let bridge = root.child("bridge")?;
    if bridge.is_some_and(|bridge| bridge.attribute("zone").is_some()) {
        notes.push("the firewall's zone of the bridge is left to you".to_owned());
    }
    if let Some(forward) = root.child("forward")?
        && forward.child("nat")?.is_some()
    {
        notes.push("<nat>: ncf does not do that yet".to_owned());
    }
    if let Forward::Virtual(bridge) = forward
        && bridge.isolation == super::Isolation::Nat
    {
        notes.push("the mode nat: ncf does not do that yet".to_owned());
    }
    Ok(notes)
}
