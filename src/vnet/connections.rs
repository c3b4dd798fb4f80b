//! How many guests are connected to a network: the attribute `connections` of libvirt's live `<network>`, of the whole and
//! of each device of a pool. It is state, and forgotten where such a document is defined.

use super::definition::Definition;
use super::model::pci;
use super::pool::Device;
use super::ports::Connected;
use crate::error::Result;
use crate::xml::{Edit, Element, Source};

/// The text of a definition with the numbers of `users` in it, where there are any.
pub fn counted(definition: &Definition, users: &[Connected]) -> Result<String> {
    let source = Source::new(definition.network().name.to_string(), definition.text());
    let document = source.parse()?;
    let root = document.root();
    let mut edit = Edit::new(&source);
    count(&mut edit, root, users.len());
    for forward in root.children_named("forward") {
        for element in forward.children() {
            if let Some(device) = device(element) {
                let number = users.iter().filter(|user| user.device == device).count();
                count(&mut edit, element, number);
            }
        }
    }
    Ok(edit.finish())
}

fn count(edit: &mut Edit<'_>, element: Element<'_>, number: usize) {
    if number == 0 {
        return;
    }
    // Behind the name of the device, where libvirt prints it.
    match element.attribute_range("dev") {
        Some(dev) => edit.replace_range(dev.end..dev.end, &format!(" connections='{number}'")),
        None => edit.add_attribute(element, "connections", &number.to_string()),
    }
}

fn device(element: Element<'_>) -> Option<Device> {
    if element.is("interface") {
        let name = element.attribute("dev")?;
        return name.parse().ok().map(Device::Link);
    }
    if element.is("address") {
        return pci::from_xml(element).ok().map(Device::Pci);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vnet::define::Known;

    #[test]
    fn devices_and_the_whole_say_how_many_there_are() {
        let text = "<network><name>a</name><uuid>00000000-0000-0000-0000-000000000001</uuid>\
            <forward mode='vepa'><interface dev='eth1'/><interface dev='eth2'/></forward></network>";
        let fill = Known::default().fill(|_| false).unwrap();
        let definition = Definition::read(&Source::new("x", text), &fill).unwrap();
        let user = |port| Connected {
            owner: "guest".parse().unwrap(),
            port: Some(crate::vnet::ports::PortId(port)),
            device: Device::Link("eth2".parse().unwrap()),
        };
        assert_eq!(counted(&definition, &[]).unwrap(), text);
        let counted = counted(&definition, &[user(1), user(2)]).unwrap();
        let expected = text
            .replace("<network>", "<network connections=\"2\">")
            .replace(
                "<interface dev='eth2'/>",
                "<interface dev='eth2' connections='2'/>",
            );
        assert_eq!(counted, expected);
        // What is printed is the same document when it is defined.
        let again = Definition::read(&Source::new("x", counted), &fill).unwrap();
        assert_eq!(again, definition);
    }
}
