//! Making one file say what its sheet says.
//!
//! Each value is compared as it is understood, not as it is written: `PREFIX=24` is as good as
//! `NETMASK=255.255.255.0`, `STP="yes"` as good as `STP=on`. What agrees is not touched. A file that is not there yet
//! gets netcf's keys in netcf's order.

use std::fmt::Display;

use super::bonding::Options;
use super::draft::Draft;
use super::present::Type;
use super::reading::VlanName;
use super::sheet::{Sheet, SheetKind};
use crate::iface::model::{Addressing, Bond, Bridge, Ip4, Ipv4, Ipv6, Mtu, StartMode, Vlan};
use crate::sys::name::InterfaceName;
use crate::{Error, Result};

/// What is known of a file that is there already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    /// The type of the interface.
    pub(super) kind: Type,
    /// For a port that was one before, when what it is in started, and its MTU: the port's own need not be the same,
    /// and only a change is passed on.
    pub(super) inherited: Option<(StartMode, Option<Mtu>)>,
    /// Whether the ports of a bond and their order are the same.
    pub(super) same_ports: bool,
}

/// Makes the file `draft` say what `sheet` says; `before` is `None` for a new one.
pub(super) fn fill(
    draft: &mut Draft,
    sheet: &Sheet<'_>,
    before: Option<Before>,
    dhcpv6c: bool,
) -> Result<()> {
    if let Some(before) = before {
        leave_type(draft, before.kind, sheet.kind.kind())?;
    }
    if draft.is_new() {
        draft.set("DEVICE", sheet.name)?;
    }
    match sheet.kind {
        SheetKind::Ethernet(ethernet) => {
            // Of a port, a definition need not say which card it is, and the file may none the less.
            let unsaid = sheet.upper.is_some() && ethernet.mac.is_none();
            if draft.reading().mac() != ethernet.mac && !unsaid {
                put(draft, "HWADDR", ethernet.mac)?;
            }
        }
        SheetKind::Vlan(vlan) => fill_vlan(draft, sheet.name, vlan)?,
        SheetKind::Bridge(_) | SheetKind::Bond(_) => {}
    }
    fill_common(draft, sheet, before)?;
    if matches!(sheet.kind, SheetKind::Bridge(_))
        && draft.reading().text("TYPE").as_deref() != Some("Bridge")
    {
        draft.set("TYPE", "Bridge")?;
    }
    match sheet.addressing {
        Some(addressing) => fill_addressing(draft, addressing, dhcpv6c)?,
        None if before.is_some_and(|it| it.inherited.is_none()) => drop_addressing(draft)?,
        None => {}
    }
    match sheet.kind {
        SheetKind::Bridge(bridge) => fill_bridge(draft, bridge)?,
        SheetKind::Bond(bond) => fill_bond(draft, bond, before)?,
        SheetKind::Ethernet(_) | SheetKind::Vlan(_) => {}
    }
    fill_upper(draft, sheet.upper)
}

/// Sets `key`, or takes it out.
fn put(draft: &mut Draft, key: &str, value: Option<impl Display>) -> Result<()> {
    match value {
        Some(value) => draft.set(key, value),
        None => draft.unset(key),
    }
}

/// Takes out what made it an interface of another type.
fn leave_type(draft: &mut Draft, was: Type, is: Type) -> Result<()> {
    if was == is {
        return Ok(());
    }
    match was {
        Type::Bridge => draft.unset_all(&["TYPE", "STP", "DELAY", "BRIDGING_OPTS"]),
        Type::Bond => draft.unset_all(&["BONDING_OPTS", "BONDING_MASTER", "TYPE"]),
        Type::Vlan => {
            draft.unset_all(&["VLAN", "PHYSDEV", "VID", "VLAN_ID", "REORDER_HDR", "TYPE"])
        }
        Type::Ethernet => {
            draft.unset("HWADDR")?;
            let kind = draft.reading().text("TYPE").unwrap_or_default();
            if kind.eq_ignore_ascii_case("Ethernet") {
                draft.unset("TYPE")
            } else {
                Ok(())
            }
        }
    }
}

/// Start mode and MTU.
fn fill_common(draft: &mut Draft, sheet: &Sheet<'_>, before: Option<Before>) -> Result<()> {
    let inherited = before.and_then(|before| before.inherited);
    let start = inherited.map_or_else(|| draft.reading().start(), |inherited| inherited.0);
    if draft.is_new() || start != sheet.start {
        fill_start(draft, sheet.start)?;
    }
    let mtu = inherited.map_or_else(|| draft.reading().mtu(), |inherited| inherited.1);
    // What was the card's own stays where the bridge that it joins says nothing.
    let joins = sheet.upper.is_some() && inherited.is_none() && sheet.mtu.is_none();
    if mtu != sheet.mtu && !joins {
        put(draft, "MTU", sheet.mtu)?;
    }
    Ok(())
}

fn fill_start(draft: &mut Draft, start: StartMode) -> Result<()> {
    let on_boot = start == StartMode::OnBoot;
    let was_hotplug = draft.reading().start() == StartMode::HotPlug;
    let yes = |draft: &Draft| draft.reading().yes("ONBOOT");
    if yes(draft) != Some(on_boot) {
        draft.set("ONBOOT", yes_no(on_boot))?;
    }
    match start {
        StartMode::HotPlug if draft.reading().yes("HOTPLUG") != Some(true) => {
            draft.set("HOTPLUG", "yes")
        }
        StartMode::None | StartMode::OnBoot if was_hotplug => draft.unset("HOTPLUG"),
        _ => Ok(()),
    }
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// Sets a key that is yes or no, unless it says that already in some way.
fn put_yes(draft: &mut Draft, key: &str, yes: bool) -> Result<()> {
    if draft.reading().yes(key) == Some(yes) {
        return Ok(());
    }
    draft.set(key, yes_no(yes))
}

fn fill_vlan(draft: &mut Draft, name: &InterfaceName, vlan: &Vlan) -> Result<()> {
    if !draft.is_new() && draft.reading().vlan(name).as_ref() == Some(vlan) {
        return Ok(());
    }
    let wrong = |of: &str| {
        let message = format!(
            "the name {name} means {of}, not VLAN {} on {}",
            vlan.tag, vlan.lower
        );
        let hint = format!("leave the name out: it is then {}.{}", vlan.lower, vlan.tag);
        Err(Error::failed(message).hint(hint))
    };
    let same_tag = |id: &str| id.parse() == Ok(vlan.tag.number());
    match VlanName::of(name) {
        VlanName::Dotted(lower, id) => {
            if lower != vlan.lower.as_str() || !same_tag(id) {
                return wrong(&format!("VLAN {id} on {lower}"));
            }
            put_yes(draft, "VLAN", true)
        }
        VlanName::Numbered(id) => {
            if !same_tag(id) {
                return wrong(&format!("VLAN {id}"));
            }
            put_yes(draft, "VLAN", true)?;
            draft.set("PHYSDEV", &vlan.lower)
        }
        VlanName::Other => {
            put_yes(draft, "VLAN", true)?;
            draft.set("PHYSDEV", &vlan.lower)?;
            // NetworkManager's key stays where it is; the scripts read the other.
            if draft.has("VLAN_ID") {
                draft.set("VLAN_ID", vlan.tag)?;
            }
            draft.set("VID", vlan.tag)
        }
    }
}

fn fill_bridge(draft: &mut Draft, bridge: &Bridge) -> Result<()> {
    if draft.reading().stp() != bridge.stp {
        let words = match draft.reading().text("STP").as_deref() {
            Some("yes" | "no") => ("yes", "no"),
            _ => ("on", "off"),
        };
        let word = |stp| if stp { words.0 } else { words.1 };
        put(draft, "STP", bridge.stp.map(word))?;
    }
    if draft.reading().delay() != bridge.delay {
        put(draft, "DELAY", bridge.delay)?;
    }
    Ok(())
}

fn fill_bond(draft: &mut Draft, bond: &Bond, before: Option<Before>) -> Result<()> {
    let Some(present) = draft.reading().text("BONDING_OPTS") else {
        let was_bond = before.is_some_and(|before| before.kind == Type::Bond);
        let text = Options::of(bond).text();
        // Without options it need not be there, but netcf makes a new file with it.
        return if was_bond && text.is_empty() {
            Ok(())
        } else {
            draft.set_quoted("BONDING_OPTS", &text)
        };
    };
    let mut options = Options::parse(&present);
    let same_ports = before.is_some_and(|before| before.same_ports);
    options.update(bond, same_ports);
    if options.text() == Options::parse(&present).text() {
        return Ok(());
    }
    draft.set_quoted("BONDING_OPTS", &options.text())
}

fn fill_upper(draft: &mut Draft, upper: Option<(&str, &InterfaceName)>) -> Result<()> {
    let Some((key, name)) = upper else {
        return Ok(());
    };
    let is_there = draft.reading().text(key).as_deref() == Some(name.as_str());
    // Where both are set, BRIDGE counts.
    let counts = key == "BRIDGE" || draft.reading().text("BRIDGE").is_none();
    if is_there && counts {
        return Ok(());
    }
    leave_upper(draft)?;
    draft.set(key, name)?;
    if key == "MASTER" {
        draft.set("SLAVE", "yes")?;
    }
    Ok(())
}

/// Takes out what makes it a port.
pub(super) fn leave_upper(draft: &mut Draft) -> Result<()> {
    draft.unset_all(&["BRIDGE", "BRIDGE_UUID", "MASTER", "MASTER_UUID", "SLAVE"])
}

/// Takes out what gives it addresses, for a port has none.
fn drop_addressing(draft: &mut Draft) -> Result<()> {
    drop_ipv4(draft)?;
    drop_ipv6(draft)?;
    draft.unset_all(&["BOOTPROTO", "PEERDNS", "DEFROUTE"])
}

fn drop_ipv4(draft: &mut Draft) -> Result<()> {
    fill_slots(draft, &[])?;
    draft.unset_all(&["GATEWAY", "GATEWAY0"])
}

fn drop_ipv6(draft: &mut Draft) -> Result<()> {
    draft.unset_all(&[
        "IPV6INIT",
        "IPV6_AUTOCONF",
        "DHCPV6C",
        "DHCPV6",
        "IPV6ADDR",
        "IPV6ADDR_SECONDARIES",
        "IPV6_DEFAULTGW",
    ])
}

fn fill_addressing(draft: &mut Draft, wanted: &Addressing, dhcpv6c: bool) -> Result<()> {
    let present = draft.reading().addressing();
    let same_ipv4 = present.ipv4 == wanted.ipv4;
    match &wanted.ipv4 {
        _ if same_ipv4 => {}
        None => {
            draft.unset("BOOTPROTO")?;
            drop_ipv4(draft)?;
        }
        Some(ipv4) => fill_bootproto(draft, ipv4)?,
    }
    // Between, as netcf writes it.
    fill_dns(draft, wanted)?;
    if let Some(ipv4) = wanted.ipv4.as_ref().filter(|_| !same_ipv4) {
        fill_ipv4(draft, ipv4)?;
    }
    match &wanted.ipv6 {
        _ if present.ipv6 == wanted.ipv6 => Ok(()),
        None => drop_ipv6(draft),
        Some(ipv6) => fill_ipv6(draft, ipv6, dhcpv6c),
    }
}

fn fill_bootproto(draft: &mut Draft, ipv4: &Ipv4) -> Result<()> {
    let protocol = draft.reading().text("BOOTPROTO");
    let is_same = match protocol.as_deref() {
        Some(_) if ipv4.dhcp => draft.reading().dhcp4(),
        Some(protocol) => ["none", "static"].contains(&protocol),
        None => false,
    };
    if is_same {
        return Ok(());
    }
    draft.set("BOOTPROTO", if ipv4.dhcp { "dhcp" } else { "none" })
}

fn fill_dns(draft: &mut Draft, wanted: &Addressing) -> Result<()> {
    if !wanted.has_dhcp() {
        // Where DHCP goes, so does what was said of it.
        let had = draft.reading().addressing().peer_dns.is_some();
        return if had { draft.unset("PEERDNS") } else { Ok(()) };
    }
    if draft.reading().yes("PEERDNS") == wanted.peer_dns {
        return Ok(());
    }
    put(draft, "PEERDNS", wanted.peer_dns.map(yes_no))
}

fn fill_ipv4(draft: &mut Draft, ipv4: &Ipv4) -> Result<()> {
    let present = draft.reading().addressing().ipv4.unwrap_or_default();
    if present.addresses != ipv4.addresses {
        fill_slots(draft, &ipv4.addresses)?;
    }
    if draft.reading().gateway4() == ipv4.gateway {
        return Ok(());
    }
    match ipv4.gateway {
        Some(gateway) if draft.has("GATEWAY0") && !draft.has("GATEWAY") => {
            draft.set("GATEWAY0", gateway)
        }
        Some(gateway) => draft.set("GATEWAY", gateway),
        // Beside DHCP alone it says nothing, and is left.
        None if ipv4.addresses.is_empty() && present.gateway.is_none() => Ok(()),
        None => draft.unset_all(&["GATEWAY", "GATEWAY0"]),
    }
}

/// Puts `addresses` into the numbered keys: those that are there first, then the next numbers.
fn fill_slots(draft: &mut Draft, addresses: &[Ip4]) -> Result<()> {
    let slots = draft.reading().slots();
    let mut ends: Vec<String> = slots.iter().map(|(end, _)| end.clone()).collect();
    let last = ends.iter().filter_map(|end| end.parse::<u32>().ok()).max();
    if ends.is_empty() && !addresses.is_empty() {
        ends.push(String::new());
    }
    let mut next = last.unwrap_or(0) + 1;
    while ends.len() < addresses.len() {
        ends.push(next.to_string());
        next += 1;
    }
    let used: Vec<String> = ends.iter().take(addresses.len()).cloned().collect();
    let is_numbered = |key: &str, stem: &str| {
        let end = key.strip_prefix(stem)?;
        (end.is_empty() || end.bytes().all(|byte| byte.is_ascii_digit())).then(|| end.to_owned())
    };
    for key in draft.config.file.keys() {
        let stems = ["IPADDR", "PREFIX", "NETMASK", "BROADCAST", "NETWORK"];
        let end = stems.iter().find_map(|stem| is_numbered(&key, stem));
        if end.is_some_and(|end| !used.contains(&end)) {
            draft.unset(&key)?;
        }
    }
    for (end, address) in used.iter().zip(addresses) {
        let present = slots.iter().find(|(known, _)| known == end);
        if present.and_then(|(_, present)| *present) != Some(*address) {
            fill_slot(draft, end, *address)?;
        }
    }
    Ok(())
}

fn fill_slot(draft: &mut Draft, end: &str, address: Ip4) -> Result<()> {
    let key = |stem: &str| format!("{stem}{end}");
    draft.set(&key("IPADDR"), address.address)?;
    // They follow from the other two, and would now be wrong.
    draft.unset_all(&[&key("BROADCAST"), &key("NETWORK")])?;
    match address.prefix {
        None => draft.unset_all(&[&key("PREFIX"), &key("NETMASK")]),
        Some(prefix) if draft.has(&key("PREFIX")) => {
            draft.unset(&key("NETMASK"))?;
            draft.set(&key("PREFIX"), prefix)
        }
        Some(prefix) => {
            let net = ipnet::Ipv4Net::new(address.address, prefix);
            let mask = net
                .map_err(|error| Error::failed(error.to_string()))?
                .netmask();
            draft.set(&key("NETMASK"), mask)
        }
    }
}

fn fill_ipv6(draft: &mut Draft, ipv6: &Ipv6, dhcpv6c: bool) -> Result<()> {
    put_yes(draft, "IPV6INIT", true)?;
    if draft.is_new() || draft.reading().autoconf() != ipv6.autoconf {
        put_yes(draft, "IPV6_AUTOCONF", ipv6.autoconf)?;
    }
    fill_dhcp6(draft, ipv6.dhcp, dhcpv6c)?;
    if draft.reading().addresses6() != ipv6.addresses {
        let texts = ipv6.addresses.iter().map(|it| match it.prefix {
            Some(prefix) => format!("{}/{prefix}", it.address),
            None => it.address.to_string(),
        });
        let texts: Vec<_> = texts.collect();
        let (first, others) = match texts.split_first() {
            Some((first, others)) => (Some(first), others.join(" ")),
            None => (None, String::new()),
        };
        if draft.reading().text("IPV6ADDR").as_ref() != first {
            put(draft, "IPV6ADDR", first)?;
        }
        if others.is_empty() {
            draft.unset("IPV6ADDR_SECONDARIES")?;
        } else if draft.reading().text("IPV6ADDR_SECONDARIES") != Some(others.clone()) {
            draft.set_quoted("IPV6ADDR_SECONDARIES", &others)?;
        }
    }
    if draft.reading().gateway6() != ipv6.gateway {
        put(draft, "IPV6_DEFAULTGW", ipv6.gateway)?;
    }
    Ok(())
}

/// `DHCPV6` is what netcf writes, and the scripts read `DHCPV6C`: where this host's do, that one is set too.
fn fill_dhcp6(draft: &mut Draft, dhcp: bool, dhcpv6c: bool) -> Result<()> {
    if draft.has("DHCPV6C") {
        put_yes(draft, "DHCPV6C", dhcp)?;
        return if draft.has("DHCPV6") {
            put_yes(draft, "DHCPV6", dhcp)
        } else {
            Ok(())
        };
    }
    if draft.is_new() || draft.reading().dhcp6() != dhcp {
        put_yes(draft, "DHCPV6", dhcp)?;
    }
    if dhcp && dhcpv6c {
        put_yes(draft, "DHCPV6C", true)
    } else {
        Ok(())
    }
}
