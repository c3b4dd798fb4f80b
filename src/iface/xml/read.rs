//! Reading an `<interface>`.

use crate::Result;
use crate::iface::model::{
    ArpMonitor, Bond, BondPort, Bridge, Carrier, Delay, Ethernet, Interface, Kind, MiiMonitor,
    Mode, Monitor, Mtu, Port, PortKind, StartMode, Validate, Vlan, VlanId, interface_name,
};
use crate::ifcfg::address::number;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::xml::{Element, Source};

use super::protocol;

/// The most that the kernel's bonding options take: `INT_MAX`.
const MAX_TIME: u32 = 0x7fff_ffff;

const ON_OFF: [(&str, bool); 2] = [("on", true), ("off", false)];

/// Reads a document whose root is an `<interface>`.
///
/// Fails with place and excerpt where it is no XML, has what the schema does not know, or a wrong value.
pub fn read(source: &Source) -> Result<Interface> {
    let document = source.parse()?;
    let root = document.root();
    if !root.is("interface") {
        return Err(root.error(format!(
            "<{}> is no interface: only <interface> is allowed here",
            root.name()
        )));
    }
    interface(root)
}

/// The types that an element may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Ethernet,
    Bridge,
    Bond,
    Vlan,
}

const TYPES: [(&str, Type); 4] = [
    ("ethernet", Type::Ethernet),
    ("bridge", Type::Bridge),
    ("bond", Type::Bond),
    ("vlan", Type::Vlan),
];

fn interface(element: Element<'_>) -> Result<Interface> {
    element.allow_attributes(&["type", "name"])?;
    let kind = type_of(element, &TYPES)?;
    in_order(
        element,
        match kind {
            Type::Ethernet => &["link", "start", "mac", "mtu", "protocol"],
            Type::Bridge => &["link", "start", "mtu", "protocol", "bridge"],
            Type::Bond => &["link", "start", "mtu", "protocol", "bond"],
            Type::Vlan => &["link", "start", "mtu", "protocol", "vlan"],
        },
    )?;
    let start = needed(element, "start")?;
    start.allow_attributes(&["mode"])?;
    start.allow_children(&[])?;
    start.required("mode")?;
    let start = start.one_of("mode", &StartMode::WORDS)?;
    let (name, kind) = match kind {
        Type::Ethernet => (own_name(element)?, Kind::Ethernet(ethernet(element)?)),
        Type::Bridge => {
            let name = own_name(element)?;
            let bridge = bridge(needed(element, "bridge")?, &name)?;
            (name, Kind::Bridge(bridge))
        }
        Type::Bond => {
            let name = own_name(element)?;
            let bond = bond(needed(element, "bond")?)?;
            (name, Kind::Bond(bond))
        }
        Type::Vlan => {
            let (name, vlan) = vlan(element)?;
            (name, Kind::Vlan(vlan))
        }
    };
    let interface = Interface {
        name,
        start: start.unwrap_or(StartMode::None),
        mtu: mtu(element)?,
        addressing: protocol::addressing(element)?,
        kind,
    };
    each_once(element, &mut vec![interface.name.clone()])?;
    Ok(interface)
}

/// The value of `type`, one of those allowed.
fn type_of(element: Element<'_>, allowed: &[(&str, Type)]) -> Result<Type> {
    element.required("type")?;
    let found = element.one_of("type", allowed)?;
    Ok(found.unwrap_or(Type::Ethernet))
}

/// The element of that name, which must be there.
fn needed<'a>(element: Element<'a>, name: &str) -> Result<Element<'a>> {
    element
        .child(name)?
        .ok_or_else(|| element.error(format!("<{}> needs a <{name}>", element.name())))
}

/// Fails where elements are in it other than these, or in another order. `protocol` may be there twice.
fn in_order(element: Element<'_>, allowed: &[&str]) -> Result<()> {
    element.allow_children(allowed)?;
    let place = |child: Element<'_>| allowed.iter().position(|name| child.is(name));
    let mut last: Option<Element<'_>> = None;
    for child in element.children() {
        if let Some(before) = last {
            if place(child) < place(before) {
                return Err(child.error(format!(
                    "<{}> is allowed only before <{}>",
                    child.name(),
                    before.name()
                )));
            }
            if place(child) == place(before) && !child.is("protocol") && !child.is("interface") {
                return Err(child.error(format!(
                    "a second <{}>: only one is allowed in <{}>",
                    child.name(),
                    element.name()
                )));
            }
        }
        last = Some(child);
    }
    Ok(())
}

fn own_name(element: Element<'_>) -> Result<InterfaceName> {
    element.parsed_required("name", interface_name)
}

fn mtu(element: Element<'_>) -> Result<Option<Mtu>> {
    let Some(mtu) = element.child("mtu")? else {
        return Ok(None);
    };
    mtu.allow_attributes(&["size"])?;
    mtu.allow_children(&[])?;
    let parse = |text: &str| Mtu::new(number(text).unwrap_or(0));
    mtu.parsed_required("size", parse).map(Some)
}

/// What an Ethernet interface has beside what all have.
fn ethernet(element: Element<'_>) -> Result<Ethernet> {
    let Some(mac) = element.child("mac")? else {
        return Ok(Ethernet::default());
    };
    mac.allow_attributes(&["address"])?;
    mac.allow_children(&[])?;
    let parse = |text: &str| {
        let found: Option<MacAddress> = text.parse().ok().filter(|_| !text.contains('-'));
        found.ok_or("six pairs of hexadecimal digits with colons between are allowed")
    };
    Ok(Ethernet {
        mac: Some(mac.parsed_required("address", parse)?),
    })
}

/// An Ethernet interface in a bridge or bond.
fn bare_ethernet(element: Element<'_>) -> Result<(InterfaceName, Ethernet)> {
    in_order(element, &["link", "mac"])?;
    Ok((own_name(element)?, ethernet(element)?))
}

/// A VLAN and its name, which is `eth0.42` where it is left out.
fn vlan(element: Element<'_>) -> Result<(InterfaceName, Vlan)> {
    let inner = needed(element, "vlan")?;
    inner.allow_attributes(&["tag"])?;
    inner.allow_children(&["interface"])?;
    let tag = |text: &str| VlanId::new(number(text).unwrap_or(0));
    let tag = inner.parsed_required("tag", tag)?;
    let lower = needed(inner, "interface")?;
    // netcf prints more than the name of a running device.
    lower.allow_attributes(&["name", "type"])?;
    in_order(lower, &["link", "mac"])?;
    let vlan = Vlan {
        tag,
        lower: own_name(lower)?,
    };
    let name = match element.parsed("name", interface_name)? {
        Some(name) => name,
        None => vlan.usual_name().map_err(|bad| inner.error(bad))?,
    };
    if name == vlan.lower {
        return Err(element.wrong(
            "name",
            "a name other than that of the device below it is allowed",
        ));
    }
    Ok((name, vlan))
}

fn bridge(element: Element<'_>, name: &InterfaceName) -> Result<Bridge> {
    element.allow_attributes(&["stp", "delay"])?;
    element.allow_children(&["interface"])?;
    if name.is_alias() {
        return Err(element.error(format!("{name} is an alias, which cannot be a bridge")));
    }
    let mut bridge = Bridge {
        stp: element.one_of("stp", &ON_OFF)?,
        delay: element.parsed("delay", Delay::parse)?,
        ports: Vec::new(),
    };
    for port in element.children_named("interface") {
        bridge.ports.push(bridge_port(port)?);
    }
    Ok(bridge)
}

fn bridge_port(element: Element<'_>) -> Result<Port> {
    const ALLOWED: [(&str, Type); 3] = [
        ("ethernet", Type::Ethernet),
        ("vlan", Type::Vlan),
        ("bond", Type::Bond),
    ];
    element.allow_attributes(&["type", "name"])?;
    let (name, kind) = match type_of(element, &ALLOWED)? {
        Type::Vlan => {
            in_order(element, &["link", "vlan"])?;
            let (name, vlan) = vlan(element)?;
            (name, PortKind::Vlan(vlan))
        }
        Type::Bond => {
            in_order(element, &["link", "bond"])?;
            let bond = bond(needed(element, "bond")?)?;
            (own_name(element)?, PortKind::Bond(bond))
        }
        Type::Ethernet | Type::Bridge => {
            let (name, ethernet) = bare_ethernet(element)?;
            (name, PortKind::Ethernet(ethernet))
        }
    };
    Ok(Port { name, kind })
}

fn bond(element: Element<'_>) -> Result<Bond> {
    element.allow_attributes(&["mode"])?;
    in_order(element, &["miimon", "arpmon", "interface"])?;
    let mode = element.one_of("mode", &Mode::WORDS)?;
    let mut bond = Bond {
        mode,
        monitor: monitor(element, mode)?,
        ports: Vec::new(),
    };
    for port in element.children_named("interface") {
        port.allow_attributes(&["type", "name"])?;
        type_of(port, &[("ethernet", Type::Ethernet)])?;
        let (name, ethernet) = bare_ethernet(port)?;
        bond.ports.push(BondPort { name, ethernet });
    }
    if bond.ports.is_empty() {
        return Err(element.error("<bond> needs at least one <interface>"));
    }
    Ok(bond)
}

fn monitor(element: Element<'_>, mode: Option<Mode>) -> Result<Option<Monitor>> {
    let (mii, arp) = (element.child("miimon")?, element.child("arpmon")?);
    match (mii, arp) {
        (Some(_), Some(arp)) => Err(arp.error("only one of <miimon> and <arpmon> is allowed")),
        (Some(mii), None) => mii_monitor(mii).map(Monitor::Mii).map(Some),
        (None, Some(arp)) => {
            if let Some(mode) = mode.filter(|mode| !mode.takes_arp_monitor()) {
                return Err(arp.error(format!("<arpmon> is not allowed in the mode {mode}")));
            }
            arp_monitor(arp).map(Monitor::Arp).map(Some)
        }
        (None, None) => Ok(None),
    }
}

fn mii_monitor(element: Element<'_>) -> Result<MiiMonitor> {
    element.allow_attributes(&["freq", "downdelay", "updelay", "carrier"])?;
    element.allow_children(&[])?;
    Ok(MiiMonitor {
        freq: element.parsed_required("freq", milliseconds)?,
        down_delay: element.parsed("downdelay", milliseconds)?,
        up_delay: element.parsed("updelay", milliseconds)?,
        carrier: element.one_of("carrier", &Carrier::WORDS)?,
    })
}

fn arp_monitor(element: Element<'_>) -> Result<ArpMonitor> {
    element.allow_attributes(&["interval", "target", "validate"])?;
    element.allow_children(&[])?;
    Ok(ArpMonitor {
        interval: element.parsed_required("interval", milliseconds)?,
        target: element.parsed_required("target", protocol::ipv4_address)?,
        validate: element.one_of("validate", &Validate::WORDS)?,
    })
}

fn milliseconds(text: &str) -> Result<u32, String> {
    number(text)
        .filter(|time| *time <= MAX_TIME)
        .ok_or_else(|| format!("a number of milliseconds from 0 to {MAX_TIME} is allowed"))
}

/// Fails where a port has the name of another interface in the document.
fn each_once(element: Element<'_>, seen: &mut Vec<InterfaceName>) -> Result<()> {
    let inner = element
        .children()
        .filter(|child| child.is("bridge") || child.is("bond"));
    for port in inner.flat_map(|child| child.children_named("interface")) {
        let name = match port.attribute("name") {
            Some(_) => own_name(port)?,
            None => vlan(port)?.0,
        };
        if seen.contains(&name) {
            return Err(port.error(format!(
                "{name} is named twice: an interface is in one place"
            )));
        }
        seen.push(name);
        each_once(port, seen)?;
    }
    Ok(())
}
