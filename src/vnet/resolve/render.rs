//! An `<interface type='network'>` rewritten for this host, and nothing else of the document.

use super::domain::Interface;
use crate::error::Result;
use crate::vnet::model::{PortSettings, VirtualPort, VirtualPortKind, pci};
use crate::vnet::plug::Place;
use crate::vnet::ports::format;
use crate::xml::{Edit, Element, Tree};

/// What libvirt takes of a virtio interface and not of a PCI device.
const NOT_FOR_HOSTDEV: [&str; 4] = ["driver", "target", "bandwidth", "port"];

/// Rewrites one interface for its place here. Fails where the document contradicts itself, such as by two <virtualport>.
pub fn interface(
    edit: &mut Edit<'_>,
    interface: &Interface<'_>,
    place: &Place,
    settings: &PortSettings,
) -> Result<()> {
    let element = interface.element;
    let (kind, source) = match place {
        Place::Bridge(bridge) => ("bridge", Tree::new("source").with("bridge", bridge)),
        Place::Macvtap { lower, mode, .. } => {
            let source = Tree::new("source").with("dev", lower);
            ("direct", source.with("mode", mode.as_str()))
        }
        Place::Hostdev { address, .. } => {
            let source = Tree::new("source").and(pci::to_xml(*address));
            ("hostdev", source)
        }
    };
    if let Some(range) = element.attribute_range("type") {
        edit.replace_range(range, &format!("type='{kind}'"));
    }
    edit.replace(interface.source, &indented(edit, interface.source, &source));
    let mut new = by_kind(edit, element, place, settings)?;
    if let Some(vlan) = settings.vlan.as_ref().filter(|_| lacks(element, "vlan")) {
        new.push(format::vlan(vlan));
    }
    if let Some(merged) = &settings.virtual_port {
        let tree = virtual_port(merged);
        match element.child("virtualport")? {
            Some(present) if interface.request.virtual_port.as_ref() != Some(merged) => {
                edit.replace(present, &indented(edit, present, &tree));
            }
            Some(_) => {}
            None => new.push(tree),
        }
    }
    if settings.trust_guest_rx_filters && element.attribute("trustGuestRxFilters").is_none() {
        edit.add_attribute(element, "trustGuestRxFilters", "yes");
    }
    for tree in new {
        let written = indented(edit, interface.source, &tree);
        edit.insert_after(interface.source, &written);
    }
    Ok(())
}

/// What only a hostdev interface has, and what only the others have.
fn by_kind(
    edit: &mut Edit<'_>,
    element: Element<'_>,
    place: &Place,
    settings: &PortSettings,
) -> Result<Vec<Tree>> {
    let mut new = Vec::new();
    if let Place::Hostdev {
        managed, driver, ..
    } = place
    {
        if *managed && element.attribute("managed").is_none() {
            edit.add_attribute(element, "managed", "yes");
        }
        for name in NOT_FOR_HOSTDEV {
            for child in element.children_named(name) {
                edit.remove(child);
            }
        }
        new.extend(
            driver
                .as_ref()
                .map(|name| Tree::new("driver").with("name", name)),
        );
    } else {
        if let Some(bandwidth) = settings.bandwidth.filter(|_| lacks(element, "bandwidth")) {
            new.push(bandwidth.to_xml()?);
        }
        let isolated = settings.isolated && matches!(place, Place::Bridge(_));
        if isolated && lacks(element, "port") {
            new.push(Tree::new("port").with("isolated", "yes"));
        }
    }
    Ok(new)
}

fn lacks(element: Element<'_>, child: &str) -> bool {
    element.children_named(child).next().is_none()
}

/// The tree as text, its further lines indented as `beside` is.
fn indented(edit: &Edit<'_>, beside: Element<'_>, tree: &Tree) -> String {
    let text = tree.to_string();
    let lead = edit.indentation(beside);
    if lead.is_empty() {
        return text.lines().map(str::trim_start).collect();
    }
    let lines: Vec<_> = text.lines().collect();
    lines.join(&lead)
}

fn virtual_port(port: &VirtualPort) -> Tree {
    let parameters = Tree::new("parameters")
        .with_some("managerid", port.managerid)
        .with_some("typeid", port.typeid)
        .with_some("typeidversion", port.typeidversion)
        .with_some("instanceid", port.instanceid)
        .with_some("profileid", port.profileid.as_ref())
        .with_some("interfaceid", port.interfaceid);
    let tree = Tree::new("virtualport").with_some("type", port.kind.map(VirtualPortKind::as_str));
    if parameters == Tree::new("parameters") {
        tree
    } else {
        tree.and(parameters)
    }
}
