//! Which links have to change: a pure function of the links that are and the state that is wanted.
//!
//! Ports go into a bridge before it is set up and gets addresses: the bridge takes its MAC address from a port,
//! its IPv6 addresses follow from that, and duplicate address detection needs a wire to ask on.

mod bond;
mod bridge;
mod vlan;

use crate::apply::desired::{Desired, LinkKind, Master, Vlan};
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::netlink::link::Link;
use crate::sys::netlink::options::{Setting, Settings};
use crate::sys::netlink::vlan::VlanFlags;
use crate::{Error, Result};

/// One change to one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LinkOp {
    CreateBridge(InterfaceName),
    CreateBond(InterfaceName, Settings),
    CreateVlan(InterfaceName, Vlan),
    SetStp(InterfaceName, bool),
    SetForwardDelay(InterfaceName, u32),
    SetBridgeOption(InterfaceName, Setting),
    SetBond(InterfaceName, Settings),
    SetPrimary {
        bond: InterfaceName,
        port: InterfaceName,
    },
    SetVlanFlags(InterfaceName, VlanFlags, VlanFlags),
    SetMac(InterfaceName, MacAddress),
    SetMtu(InterfaceName, u32),
    SetMaster {
        port: InterfaceName,
        master: InterfaceName,
    },
    Release(InterfaceName),
    Up(InterfaceName),
    Down(InterfaceName),
    Delete(InterfaceName),
}

/// The changes in their order, and what cannot be had; the changes are worth making all the same.
#[derive(Debug, Default)]
pub(super) struct LinkPlan {
    pub(super) ops: Vec<LinkOp>,
    pub(super) problems: Vec<Error>,
}

/// What to do to bring a link up. Fails where nothing can be done at all.
pub(super) fn plan_up(links: &[Link], desired: &Desired) -> Result<LinkPlan> {
    let mut plan = LinkPlan::default();
    match &desired.kind {
        LinkKind::Device => device_up(&mut plan, links, desired)?,
        LinkKind::Bridge(bridge) => bridge::up(&mut plan, links, desired, bridge)?,
        LinkKind::Bond(bond) => bond::up(&mut plan, links, desired, bond)?,
        LinkKind::Vlan(vlan) => vlan::up(&mut plan, links, desired, vlan)?,
        LinkKind::Alias => {}
    }
    Ok(plan)
}

/// What to do to take a link down; its addresses and routes are off it already.
///
/// Without `desired` it is taken for what the kernel says that it is, and out of whatever it is a port of.
pub(super) fn plan_down(link: &Link, desired: Option<&Desired>) -> Vec<LinkOp> {
    let name = &link.name;
    if link.loopback {
        return Vec::new();
    }
    let was_made = match desired.map(|it| &it.kind) {
        Some(LinkKind::Bridge(_)) => link.is_bridge(),
        Some(LinkKind::Bond(_)) => link.is_bond(),
        Some(LinkKind::Vlan(_)) => link.is_vlan(),
        Some(LinkKind::Device | LinkKind::Alias) => false,
        None => link.is_bridge() || link.is_bond() || link.is_vlan(),
    };
    if was_made {
        return vec![LinkOp::Delete(name.clone())];
    }
    let mut ops = Vec::new();
    if link.master.is_some() && desired.is_none_or(|it| it.master.is_some()) {
        ops.push(LinkOp::Release(name.clone()));
    }
    if link.up {
        ops.push(LinkOp::Down(name.clone()));
    }
    ops
}

/// Finds the device, and makes sure that it is the card that the configuration means.
///
/// A card with the wanted address under another name is not taken in its stead, nor renamed: the name is what
/// bridges, routes and firewall rules refer to, and giving names is udev's business at boot. The error says
/// where the card is.
pub(super) fn find_device<'a>(links: &'a [Link], desired: &Desired) -> Result<&'a Link> {
    let name = &desired.name;
    let card = desired.hwaddr.and_then(|mac| {
        links
            .iter()
            .find(|it| it.card() == Some(mac) && it.name != *name)
    });
    let somewhere_else = |error: Error| {
        match card {
        Some(card) => error.hint(format!(
            "the card with that address is {}: correct DEVICE, or let udev rename it at the next boot",
            card.name
        )),
        None => error,
    }
    };
    let Some(link) = find(links, name) else {
        return Err(somewhere_else(Error::failed(format!(
            "{name}: no such device"
        ))));
    };
    let Some(wanted) = desired.hwaddr else {
        return Ok(link);
    };
    // A virtual device has no permanent address, and after MACADDR was set only that is left.
    let was_given = link.permanent_mac.is_none() && link.mac == desired.mac && link.mac.is_some();
    if link.card() == Some(wanted) || was_given {
        return Ok(link);
    }
    let has = link
        .card()
        .map_or_else(|| "none".to_owned(), |mac| mac.to_string());
    Err(somewhere_else(Error::failed(format!(
        "{name} has MAC address {has}, but HWADDR says {wanted}"
    ))))
}

fn device_up(plan: &mut LinkPlan, links: &[Link], desired: &Desired) -> Result<()> {
    let link = find_device(links, desired)?;
    plan.properties(Some(link), desired);
    let is_up = plan.master(links, Some(link), desired)?;
    plan.up_unless(is_up.unwrap_or(link.up), &desired.name);
    Ok(())
}

impl LinkPlan {
    fn properties(&mut self, link: Option<&Link>, desired: &Desired) {
        if let Some(mac) = desired.mac
            && link.and_then(|it| it.mac) != Some(mac)
        {
            self.ops.push(LinkOp::SetMac(desired.name.clone(), mac));
        }
        if let Some(mtu) = desired.mtu
            && link.map(|it| it.mtu) != Some(mtu)
        {
            self.ops.push(LinkOp::SetMtu(desired.name.clone(), mtu));
        }
    }

    /// Puts `link` into what it is to be a port of, which is made if it is not there, or takes it out of what it
    /// is not to be a port of. Says whether it is up after that, where that changes it: a bond sets up what it takes
    /// in, and sets down what it lets go (`__bond_release_one()`).
    fn master(
        &mut self,
        links: &[Link],
        link: Option<&Link>,
        desired: &Desired,
    ) -> Result<Option<bool>> {
        let name = &desired.name;
        let is = link.and_then(|link| links.iter().find(|it| Some(it.index) == link.master));
        let leaves_bond = is.is_some_and(Link::is_bond).then_some(false);
        let Some(wanted) = &desired.master else {
            if is.is_some_and(|it| it.is_bridge() || it.is_bond()) {
                self.ops.push(LinkOp::Release(name.clone()));
            }
            return Ok(leaves_bond);
        };
        match (wanted, find(links, wanted.name())) {
            (Master::Bridge(_), Some(bridge)) => must_be(bridge, "bridge")?,
            (Master::Bond(..), Some(bond)) => must_be(bond, "bond")?,
            (Master::Bridge(bridge), None) => self.ops.push(LinkOp::CreateBridge(bridge.clone())),
            (Master::Bond(bond, settings), None) => {
                let op = LinkOp::CreateBond(bond.clone(), settings.clone());
                self.ops.push(op);
            }
        }
        if is.is_some_and(|it| it.name == *wanted.name()) {
            return Ok(None);
        }
        let into_bond = matches!(wanted, Master::Bond(..));
        self.enslave(name, link, wanted.name(), into_bond);
        Ok(into_bond.then_some(true).or(leaves_bond))
    }

    /// A bond takes a port only while that is down, and sets it up itself (`bond_enslave()`).
    fn enslave(
        &mut self,
        port: &InterfaceName,
        link: Option<&Link>,
        master: &InterfaceName,
        into_bond: bool,
    ) {
        if into_bond && link.is_some_and(|it| it.up) {
            self.ops.push(LinkOp::Down(port.clone()));
        }
        self.ops.push(LinkOp::SetMaster {
            port: port.clone(),
            master: master.clone(),
        });
    }

    fn up_unless(&mut self, is_up: bool, name: &InterfaceName) {
        if !is_up {
            self.ops.push(LinkOp::Up(name.clone()));
        }
    }
}

/// The link of that name.
pub(super) fn find<'a>(links: &'a [Link], name: &InterfaceName) -> Option<&'a Link> {
    links.iter().find(|link| link.name == *name)
}

/// Refuses to treat as a `kind` of link what is none.
pub(super) fn must_be(link: &Link, kind: &str) -> Result<()> {
    if link.kind.as_deref() == Some(kind) {
        return Ok(());
    }
    let (name, kind) = (&link.name, if kind == "vlan" { "VLAN" } else { kind });
    Err(Error::failed(format!("{name} exists and is not a {kind}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::builtin::testing::{bridge, desired, link, name, port};

    #[test]
    fn a_device_that_is_right_is_not_touched() {
        let mut eth0 = desired("eth0", LinkKind::Device);
        eth0.master = Some(Master::Bridge(name("br0")));
        eth0.mtu = Some(1500);
        eth0.mac = Some("02:00:00:00:00:01".parse().unwrap());
        let links = [bridge(2, "br0"), port(3, "eth0", 2)];
        assert_eq!(plan_up(&links, &eth0).unwrap().ops, []);
    }

    #[test]
    fn a_port_makes_its_bridge_and_leaves_another() {
        let mut eth0 = desired("eth0", LinkKind::Device);
        eth0.master = Some(Master::Bridge(name("br0")));
        let links = [bridge(2, "br9"), port(3, "eth0", 2)];
        let master = LinkOp::SetMaster {
            port: name("eth0"),
            master: name("br0"),
        };
        assert_eq!(
            plan_up(&links, &eth0).unwrap().ops,
            [LinkOp::CreateBridge(name("br0")), master]
        );
    }

    #[test]
    fn a_device_leaves_a_bridge_and_a_bond_but_not_what_is_unknown() {
        let eth0 = desired("eth0", LinkKind::Device);
        let links = [bridge(2, "br9"), port(3, "eth0", 2)];
        let ops = plan_up(&links, &eth0).unwrap().ops;
        assert_eq!(ops, [LinkOp::Release(name("eth0"))]);
        for (kind, leaves) in [("bond", true), ("team", false)] {
            let mut master = link(2, "x0");
            master.kind = Some(kind.into());
            let ops = plan_up(&[master, port(3, "eth0", 2)], &eth0).unwrap().ops;
            let up = [LinkOp::Release(name("eth0")), LinkOp::Up(name("eth0"))];
            let expected: &[LinkOp] = if leaves { &up } else { &[] };
            assert_eq!(ops, expected, "{kind}");
        }
    }

    #[test]
    fn another_card_under_the_name_is_refused_and_the_right_one_named() {
        let mut eth0 = desired("eth0", LinkKind::Device);
        eth0.hwaddr = Some("02:00:00:00:00:99".parse().unwrap());
        let mut other = link(4, "eth5");
        other.permanent_mac = eth0.hwaddr;
        let error = plan_up(&[link(3, "eth0"), other], &eth0).unwrap_err();
        assert_eq!(
            error.one_line(),
            "eth0 has MAC address 02:00:00:00:00:01, but HWADDR says 02:00:00:00:00:99"
        );
        assert!(error.hints()[0].contains("eth5"));
    }

    #[test]
    fn down_deletes_bridges_releases_ports_and_spares_the_loopback() {
        assert_eq!(plan_down(&link(1, "lo"), None), []);
        let down = plan_down(&bridge(2, "br0"), None);
        assert_eq!(down, [LinkOp::Delete(name("br0"))]);
        let as_device = desired("br0", LinkKind::Device);
        let down = plan_down(&bridge(2, "br0"), Some(&as_device));
        assert_eq!(down, [LinkOp::Down(name("br0"))]);
        let down = plan_down(&port(3, "eth0", 2), None);
        assert_eq!(
            down,
            [LinkOp::Release(name("eth0")), LinkOp::Down(name("eth0"))]
        );
    }
}
