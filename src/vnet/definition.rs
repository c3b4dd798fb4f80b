//! A definition: the text, and what it says.
//!
//! The text is kept as its author wrote it, comments and order and all that ncf knows nothing of. What libvirt
//! generates where it is missing (uuid, the bridge's name and MAC address) is put into it at its place. So what is
//! printed back is what was read, byte for byte, and to define that again changes nothing. Printing the model anew,
//! as libvirt does, was rejected: it loses what it does not know.

use std::fmt::Display;

use uuid::Uuid;

use super::model::{Fill, Forward, Network};
use crate::error::Result;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::xml::{Document, Edit, Element, Source, Tree};

/// The first three bytes of generated MAC addresses: those that libvirt and QEMU use.
const OUI: [u8; 3] = [0x52, 0x54, 0x00];

/// A network's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    text: String,
    network: Network,
}

impl Definition {
    /// Reads a text, and puts what is missing into it from `fill`.
    ///
    /// Fails where it is no XML or not what libvirt requires, with file, line and column.
    pub fn read(source: &Source, fill: &Fill) -> Result<Self> {
        let document = source.parse()?;
        let network = Network::from_document(&document, fill)?;
        let text = completed(&document, &network)?;
        Ok(Self { text, network })
    }

    /// Reads a text that is to take the place of the definition of `before`, and takes from that what is missing,
    /// or else from `spare`.
    pub fn read_like(source: &Source, before: &Network, spare: &Fill) -> Result<Self> {
        let mut fill = Fill {
            uuid: before.uuid,
            ..spare.clone()
        };
        if let Forward::Virtual(bridge) = &before.forward {
            fill.bridge = bridge.name.clone();
            fill.mac = bridge.mac;
        }
        Self::read(source, &fill)
    }

    /// The text, with all that was generated.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says, without the text.
    pub fn into_network(self) -> Network {
        self.network
    }

    /// What it says.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

/// The text with what is missing, and without what is state: the numbers of `connections` of a running network.
fn completed(document: &Document<'_>, network: &Network) -> Result<String> {
    let root = document.root();
    let mut edit = Edit::new(document.source());
    forget_connections(root, &mut edit);
    let uuid = Tree::new("uuid").and_text(network.uuid);
    let name = root.child("name")?;
    match (root.child("uuid")?, name) {
        (None, Some(name)) => edit.insert_after(name, &uuid.to_string()),
        (Some(element), _) if element.text().is_empty() => {
            edit.replace(element, &uuid.to_string());
        }
        _ => {}
    }
    if let Forward::Virtual(bridge) = &network.forward {
        let mac = Tree::new("mac").with("address", bridge.mac).to_string();
        let needs_mac = root.child("mac")?.is_none();
        if let Some(element) = root.child("bridge")? {
            name_bridge(element, &bridge.name, &mut edit);
            if needs_mac {
                edit.insert_after(element, &mac);
            }
        } else {
            let tree = Tree::new("bridge").with("name", &bridge.name);
            // Where libvirt prints it; behind the uuid, if that is new too.
            let after = root.child("forward")?.or(root.child("uuid")?).or(name);
            insert(after, root, &mut edit, &tree);
            if needs_mac {
                insert(after, root, &mut edit, &mac);
            }
        }
    }
    Ok(edit.finish())
}

fn insert(after: Option<Element<'_>>, root: Element<'_>, edit: &mut Edit<'_>, what: &impl Display) {
    match after {
        Some(element) => edit.insert_after(element, &what.to_string()),
        None => edit.append(root, &what.to_string()),
    }
}

fn name_bridge(element: Element<'_>, name: &InterfaceName, edit: &mut Edit<'_>) {
    if element.attribute("name") != Some(name.as_str()) {
        edit.remove_attribute(element, "name");
        edit.add_attribute(element, "name", name.as_str());
    }
}

/// `dumpxml --live` tells how many ports there are; a definition that has it was printed by a running network.
fn forget_connections(root: Element<'_>, edit: &mut Edit<'_>) {
    edit.remove_attribute(root, "connections");
    for forward in root.children_named("forward") {
        for device in forward.children() {
            if device.is("interface") || device.is("address") {
                edit.remove_attribute(device, "connections");
            }
        }
    }
}

/// What is generated for a new definition: a random UUID, a MAC address of libvirt's range, and the first name
/// `virbr0`, `virbr1`, … that is not `taken`.
pub fn generate(taken: impl Fn(&InterfaceName) -> bool) -> Result<Fill> {
    let uuid = Uuid::new_v4();
    let mac = random_mac();
    for number in 0..=u16::MAX {
        let name: InterfaceName = format!("virbr{number}").parse().map_err(|error| {
            crate::Error::failed("cannot make a name for a bridge").because(error)
        })?;
        if !taken(&name) {
            return Ok(Fill {
                uuid,
                bridge: name,
                mac,
            });
        }
    }
    Err(crate::Error::failed(
        "no name for a bridge is left: virbr0 to virbr65535 are taken",
    ))
}

/// A random address in the range that libvirt generates from.
pub fn random_mac() -> MacAddress {
    let mut mac = [0; 6];
    let random = *Uuid::new_v4().as_bytes();
    for (byte, value) in mac.iter_mut().zip(OUI.into_iter().chain(random)) {
        *byte = value;
    }
    MacAddress(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill() -> Fill {
        Fill {
            uuid: Uuid::from_u128(0x1234),
            bridge: "virbr9".parse().unwrap(),
            mac: "52:54:00:01:02:03".parse().unwrap(),
        }
    }

    fn read(text: &str) -> Result<Definition> {
        Definition::read(&Source::new("x", text), &fill())
    }

    #[test]
    fn what_is_generated_stands_at_its_place_and_the_rest_as_it_was() {
        let text = "<!-- mine -->\n<network>\n  <name>a</name>\n  <odd x='1'/>\n</network>\n";
        let first = read(text).unwrap();
        let expected = "<!-- mine -->\n<network>\n  <name>a</name>\n  \
                        <uuid>00000000-0000-0000-0000-000000001234</uuid>\n  \
                        <bridge name=\"virbr9\"/>\n  <mac address=\"52:54:00:01:02:03\"/>\n  \
                        <odd x='1'/>\n</network>\n";
        assert_eq!(first.text(), expected);
        let other = Fill {
            uuid: Uuid::new_v4(),
            ..fill()
        };
        let again = Definition::read(&Source::new("x", first.text()), &other).unwrap();
        assert_eq!(again, first);
    }

    #[test]
    fn a_bridge_without_a_name_or_with_a_template_gets_one() {
        for bridge in ["<bridge stp='off'/>", "<bridge name='virbr%d' stp='off'/>"] {
            let text = format!("<network><name>a</name>{bridge}</network>");
            let definition = read(&text).unwrap();
            assert!(
                definition
                    .text()
                    .contains("<bridge name=\"virbr9\" stp='off'/><mac "),
                "{}",
                definition.text()
            );
            assert_eq!(
                definition.network().forward.bridge().unwrap().as_str(),
                "virbr9"
            );
        }
    }

    #[test]
    fn numbers_of_connections_are_not_kept() {
        let text = "<network connections='2'><name>a</name><uuid>00000000000000000000000000001234</uuid>\
                    <forward mode='vepa'><interface dev='eth0' connections='2'/></forward></network>";
        let definition = read(text).unwrap();
        assert_eq!(definition.text(), text.replace(" connections='2'", ""));
    }
}
