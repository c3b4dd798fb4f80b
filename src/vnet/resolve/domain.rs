//! A guest's definition in libvirt's `<domain>` XML, as far as its networks go.
//!
//! It comes from another host, or from whoever may define guests: see [`crate::xml`] for what is not let in.

use uuid::Uuid;

use crate::error::Result;
use crate::qos::Bandwidth;
use crate::vnet::model::{PortRequest, VirtualPort, Vlan};
use crate::vnet::name::NetworkName;
use crate::vnet::ports::Owner;
use crate::xml::{Document, Element};

/// A guest.
#[derive(Debug)]
pub struct Domain<'a> {
    /// Its name.
    pub owner: Owner,
    /// Its identity, if it has one.
    pub uuid: Option<Uuid>,
    /// Its interfaces on logical networks, in the order of the document.
    pub interfaces: Vec<Interface<'a>>,
}

/// An `<interface type='network'>`.
#[derive(Debug)]
pub struct Interface<'a> {
    /// The whole of it.
    pub element: Element<'a>,
    /// Its `<source>`.
    pub source: Element<'a>,
    /// The network that it names.
    pub network: NetworkName,
    /// Which of the guest's interfaces on that network it is, from 0.
    pub number: usize,
    /// What it says of its port.
    pub request: PortRequest,
}

impl<'a> Domain<'a> {
    /// Reads a document. Fails at the place that is wrong, and says what is allowed there.
    pub fn from_document(document: &'a Document<'_>) -> Result<Self> {
        let root = document.root();
        if !root.is("domain") {
            return Err(root.error("a <domain> is needed here"));
        }
        let name = root
            .child("name")?
            .ok_or_else(|| root.error("<domain> needs a <name>"))?;
        let owner = name
            .text()
            .parse()
            .map_err(|error| name.error(format!("the <name> is wrong: {error}")))?;
        let uuid = match root.child("uuid")? {
            Some(element) => Some(Uuid::parse_str(&element.text()).map_err(|_| {
                element.error("the <uuid> is wrong: 32 hexadecimal digits are allowed")
            })?),
            None => None,
        };
        let mut interfaces: Vec<Interface<'a>> = Vec::new();
        for devices in root.children_named("devices") {
            for element in devices.children_named("interface") {
                if element.attribute("type") != Some("network") {
                    continue;
                }
                let mut interface = Interface::from_xml(element)?;
                let same = |other: &&Interface<'_>| other.network == interface.network;
                interface.number = interfaces.iter().filter(same).count();
                interfaces.push(interface);
            }
        }
        Ok(Self {
            owner,
            uuid,
            interfaces,
        })
    }
}

impl<'a> Interface<'a> {
    fn from_xml(element: Element<'a>) -> Result<Self> {
        let source = element
            .child("source")?
            .ok_or_else(|| element.error("<interface type='network'> needs a <source>"))?;
        let network = source.parsed_required("network", |text| {
            text.parse::<NetworkName>()
                .map_err(|error| format!("a network's name is allowed: {}", error.reason()))
        })?;
        let yes_no = [("yes", true), ("no", false)];
        let isolated = match element.child("port")? {
            Some(port) => port.one_of("isolated", &yes_no)?,
            None => None,
        };
        let request = PortRequest {
            portgroup: source.attribute("portgroup").map(str::to_owned),
            trust_guest_rx_filters: element.one_of("trustGuestRxFilters", &yes_no)?,
            virtual_port: element
                .child("virtualport")?
                .map(VirtualPort::from_xml)
                .transpose()?,
            vlan: element.child("vlan")?.map(Vlan::from_xml).transpose()?,
            bandwidth: element
                .child("bandwidth")?
                .map(Bandwidth::from_xml)
                .transpose()?,
            isolated,
        };
        Ok(Self {
            element,
            source,
            network,
            number: 0,
            request,
        })
    }
}
