//! Portgroups, and what a port gets from its interface, its portgroup and its network.

use super::attribute::yes_no;
use super::network::Network;
use super::virtualport::VirtualPort;
use super::vlan::Vlan;
use crate::error::{Error, Result};
use crate::qos::Bandwidth;
use crate::xml::Element;

/// A class of ports of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortGroup {
    /// Its name, not empty.
    pub name: String,
    /// Whether a port that names none belongs to it. At most one of a network is.
    pub default: bool,
    /// Whether the guest may change its filters of addresses.
    pub trust_guest_rx_filters: Option<bool>,
    /// What the switch is told of its ports.
    pub virtual_port: Option<VirtualPort>,
    /// The tags of its ports.
    pub vlan: Option<Vlan>,
    /// The limits of each of its ports.
    pub bandwidth: Option<Bandwidth>,
}

impl PortGroup {
    /// From a `<portgroup>`.
    pub(super) fn from_xml(element: Element<'_>) -> Result<Self> {
        let name = element.parsed_required("name", |text| {
            let good = !text.trim().is_empty() && !text.chars().any(char::is_control);
            if good {
                Ok(text.to_owned())
            } else {
                Err("a name of visible characters is allowed")
            }
        })?;
        Ok(Self {
            name,
            default: yes_no(element, "default")?.unwrap_or(false),
            trust_guest_rx_filters: yes_no(element, "trustGuestRxFilters")?,
            virtual_port: element
                .child("virtualport")?
                .map(VirtualPort::from_xml)
                .transpose()?,
            vlan: element.child("vlan")?.map(Vlan::from_xml).transpose()?,
            bandwidth: element
                .child("bandwidth")?
                .map(Bandwidth::from_xml)
                .transpose()?,
        })
    }

    /// All of a `<network>`. Fails where two have one name or are the default.
    pub(super) fn all_from_xml(network: Element<'_>) -> Result<Vec<Self>> {
        let mut groups: Vec<Self> = Vec::new();
        for element in network.children_named("portgroup") {
            let group = Self::from_xml(element)?;
            if groups.iter().any(|known| known.name == group.name) {
                return Err(
                    element.wrong("name", "another portgroup of this network has that name")
                );
            }
            if let Some(known) = groups.iter().find(|known| known.default && group.default) {
                return Err(element.wrong(
                    "default",
                    format!(
                        "only one portgroup may be the default, and {:?} is",
                        known.name
                    ),
                ));
            }
            groups.push(group);
        }
        Ok(groups)
    }
}

/// What a guest's interface, or whoever plugs it, says of its port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortRequest {
    /// The portgroup; `None` is the network's default one, if it has one.
    pub portgroup: Option<String>,
    /// Whether the guest may change its filters of addresses.
    pub trust_guest_rx_filters: Option<bool>,
    /// What the switch is told.
    pub virtual_port: Option<VirtualPort>,
    /// The tags.
    pub vlan: Option<Vlan>,
    /// The limits.
    pub bandwidth: Option<Bandwidth>,
    /// Whether the port reaches no other isolated port.
    pub isolated: Option<bool>,
}

/// What a port has, everything considered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortSettings {
    /// The portgroup that it belongs to.
    pub portgroup: Option<String>,
    /// Whether the guest may change its filters of addresses.
    pub trust_guest_rx_filters: bool,
    /// What the switch is told.
    pub virtual_port: Option<VirtualPort>,
    /// The tags.
    pub vlan: Option<Vlan>,
    /// The limits of the port itself; those of the network are its bridge's.
    pub bandwidth: Option<Bandwidth>,
    /// Whether the port reaches no other isolated port.
    pub isolated: bool,
}

impl PortSettings {
    /// Puts together what the port asks for, its portgroup and its network.
    ///
    /// As in libvirt: the interface goes before the portgroup, and that before the network, each part as a whole;
    /// limits are the interface's or else the portgroup's; virtual ports are merged and must not contradict each
    /// other (`networkAllocatePort()` in its `bridge_driver.c`, `virNetDevVPortProfileMerge3()`).
    ///
    /// Fails where the network has no such portgroup, or where virtual ports contradict each other.
    pub fn of(network: &Network, request: &PortRequest) -> Result<Self> {
        let group = network.portgroup(request.portgroup.as_deref())?;
        let nothing = VirtualPort::default();
        let from_group = group.and_then(|group| group.virtual_port.as_ref());
        let sources = [
            request.virtual_port.as_ref(),
            network.virtual_port.as_ref(),
            from_group,
        ];
        let merged = sources
            .iter()
            .flatten()
            .try_fold(nothing.clone(), |merged, below| merged.over(below))
            .map_err(|error| in_network(network, error))?;
        let vlan = request.vlan.as_ref();
        let vlan = vlan
            .or(group.and_then(|group| group.vlan.as_ref()))
            .or(network.vlan.as_ref());
        let trust = request.trust_guest_rx_filters;
        let trust = trust
            .or(group.and_then(|group| group.trust_guest_rx_filters))
            .or(network.trust_guest_rx_filters);
        Ok(Self {
            portgroup: group.map(|group| group.name.clone()),
            trust_guest_rx_filters: trust.unwrap_or(false),
            virtual_port: (merged != nothing).then_some(merged),
            vlan: vlan.cloned(),
            bandwidth: request
                .bandwidth
                .or(group.and_then(|group| group.bandwidth)),
            isolated: request.isolated.or(network.isolated_ports).unwrap_or(false),
        })
    }
}

fn in_network(network: &Network, error: Error) -> Error {
    Error::failed(format!(
        "the port cannot be in the network {}",
        network.name
    ))
    .because(error)
}
