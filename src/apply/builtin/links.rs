//! Which links have to change: a pure function of the links that are and the state that is wanted.
//!
//! Ports go into a bridge before it is set up and gets addresses: the bridge takes its MAC address from a port,
//! its IPv6 addresses follow from that, and duplicate address detection needs a wire to ask on.

use crate::apply::desired::{Bridge, Desired, LinkKind};
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::netlink::link::Link;
use crate::{Error, Result};

/// The least forward delay with spanning tree, in hundredths of a second (`BR_MIN_FORWARD_DELAY` in
/// `net/bridge/br_private_stp.h`).
const LEAST_DELAY_WITH_STP: u32 = 200;

/// One change to one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LinkOp {
    CreateBridge(InterfaceName),
    SetStp(InterfaceName, bool),
    SetForwardDelay(InterfaceName, u32),
    SetMac(InterfaceName, MacAddress),
    SetMtu(InterfaceName, u32),
    SetMaster {
        port: InterfaceName,
        bridge: InterfaceName,
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

/// What to do to bring a device or a bridge up. Fails where nothing can be done at all.
pub(super) fn plan_up(links: &[Link], desired: &Desired) -> Result<LinkPlan> {
    match &desired.kind {
        LinkKind::Device => device_up(links, desired),
        LinkKind::Bridge(bridge) => bridge_up(links, desired, bridge),
        LinkKind::Alias => Ok(LinkPlan::default()),
    }
}

/// What to do to take a device or a bridge down; its addresses and routes are off it already.
///
/// Without `desired` it is taken for what the kernel says that it is, and out of whatever bridge it is in.
pub(super) fn plan_down(link: &Link, desired: Option<&Desired>) -> Vec<LinkOp> {
    let name = &link.name;
    let is_bridge = desired.is_none_or(|it| matches!(it.kind, LinkKind::Bridge(_)));
    if link.loopback {
        return Vec::new();
    }
    if link.is_bridge() && is_bridge {
        return vec![LinkOp::Delete(name.clone())];
    }
    let mut ops = Vec::new();
    if link.master.is_some() && desired.is_none_or(|it| it.bridge.is_some()) {
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

fn device_up(links: &[Link], desired: &Desired) -> Result<LinkPlan> {
    let link = find_device(links, desired)?;
    let name = &desired.name;
    let mut plan = LinkPlan::default();
    plan.properties(Some(link), desired);
    let master = links.iter().find(|it| Some(it.index) == link.master);
    match (&desired.bridge, master) {
        (Some(wanted), master) if master.is_none_or(|it| it.name != *wanted) => {
            match find(links, wanted) {
                None => plan.ops.push(LinkOp::CreateBridge(wanted.clone())),
                Some(bridge) => must_be_bridge(bridge)?,
            }
            plan.ops.push(LinkOp::SetMaster {
                port: name.clone(),
                bridge: wanted.clone(),
            });
        }
        (None, Some(bridge)) if bridge.is_bridge() => {
            plan.ops.push(LinkOp::Release(name.clone()));
        }
        _ => {}
    }
    if !link.up {
        plan.ops.push(LinkOp::Up(name.clone()));
    }
    Ok(plan)
}

fn bridge_up(links: &[Link], desired: &Desired, wanted: &Bridge) -> Result<LinkPlan> {
    let name = &desired.name;
    let link = find(links, name);
    let mut plan = LinkPlan::default();
    match link {
        None => plan.ops.push(LinkOp::CreateBridge(name.clone())),
        Some(link) => must_be_bridge(link)?,
    }
    plan.options(link, name, wanted);
    plan.properties(link, desired);
    for port in &wanted.ports {
        plan.port(links, link, port, name);
    }
    if link.is_none_or(|it| !it.up) {
        plan.ops.push(LinkOp::Up(name.clone()));
    }
    Ok(plan)
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

    /// Spanning tree comes first, for what forward delay is allowed depends on it. With it on, a delay of less
    /// than two seconds is two: the kernel would refuse it, and `STP=yes DELAY=0` is in many files.
    fn options(&mut self, link: Option<&Link>, name: &InterfaceName, wanted: &Bridge) {
        let now = link.and_then(|it| it.bridge.as_ref());
        let stp_now = now.is_some_and(|it| it.stp);
        let stp = wanted.stp.unwrap_or(stp_now);
        if stp != stp_now {
            self.ops.push(LinkOp::SetStp(name.clone(), stp));
        }
        let Some(delay) = wanted.forward_delay else {
            return;
        };
        let delay = if stp {
            delay.max(LEAST_DELAY_WITH_STP)
        } else {
            delay
        };
        // The kernel keeps it in ticks: a hundredth may be lost in rounding.
        let is_right = now.is_some_and(|it| it.forward_delay.abs_diff(delay) <= 1);
        if !is_right {
            self.ops.push(LinkOp::SetForwardDelay(name.clone(), delay));
        }
    }

    fn port(
        &mut self,
        links: &[Link],
        bridge: Option<&Link>,
        name: &InterfaceName,
        bridge_name: &InterfaceName,
    ) {
        let Some(port) = find(links, name) else {
            self.problems.push(Error::failed(format!(
                "{bridge_name}: its port {name} does not exist"
            )));
            return;
        };
        if bridge.is_none() || port.master != bridge.map(|it| it.index) {
            self.ops.push(LinkOp::SetMaster {
                port: name.clone(),
                bridge: bridge_name.clone(),
            });
        }
        if !port.up {
            self.ops.push(LinkOp::Up(name.clone()));
        }
    }
}

/// The link of that name.
pub(super) fn find<'a>(links: &'a [Link], name: &InterfaceName) -> Option<&'a Link> {
    links.iter().find(|link| link.name == *name)
}

/// Refuses to treat as a bridge what is none.
pub(super) fn must_be_bridge(link: &Link) -> Result<()> {
    if link.is_bridge() {
        Ok(())
    } else {
        let name = &link.name;
        Err(Error::failed(format!("{name} exists and is not a bridge")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::builtin::testing::{bridge, desired, link, name, port};

    fn bridge_of(ports: &[&str]) -> Desired {
        let bridge = Bridge {
            ports: ports.iter().map(|it| name(it)).collect(),
            ..Bridge::default()
        };
        desired("br0", LinkKind::Bridge(bridge))
    }

    #[test]
    fn a_device_that_is_right_is_not_touched() {
        let mut eth0 = desired("eth0", LinkKind::Device);
        eth0.bridge = Some(name("br0"));
        eth0.mtu = Some(1500);
        eth0.mac = Some("02:00:00:00:00:01".parse().unwrap());
        let links = [bridge(2, "br0"), port(3, "eth0", 2)];
        assert_eq!(plan_up(&links, &eth0).unwrap().ops, []);
    }

    #[test]
    fn a_port_makes_its_bridge_and_leaves_another() {
        let mut eth0 = desired("eth0", LinkKind::Device);
        eth0.bridge = Some(name("br0"));
        let links = [bridge(2, "br9"), port(3, "eth0", 2)];
        let master = LinkOp::SetMaster {
            port: name("eth0"),
            bridge: name("br0"),
        };
        assert_eq!(
            plan_up(&links, &eth0).unwrap().ops,
            [LinkOp::CreateBridge(name("br0")), master]
        );
    }

    #[test]
    fn a_device_leaves_a_bridge_but_not_a_bond() {
        let eth0 = desired("eth0", LinkKind::Device);
        let links = [bridge(2, "br9"), port(3, "eth0", 2)];
        let ops = plan_up(&links, &eth0).unwrap().ops;
        assert_eq!(ops, [LinkOp::Release(name("eth0"))]);
        let mut bond = link(2, "bond0");
        bond.kind = Some("bond".into());
        let links = [bond, port(3, "eth0", 2)];
        assert_eq!(plan_up(&links, &eth0).unwrap().ops, []);
    }

    #[test]
    fn a_missing_port_is_a_problem_but_the_bridge_comes_up() {
        let links = [link(3, "eth0")];
        let plan = plan_up(&links, &bridge_of(&["eth7", "eth0"])).unwrap();
        assert_eq!(plan.problems.len(), 1);
        assert_eq!(plan.ops.first(), Some(&LinkOp::CreateBridge(name("br0"))));
        assert_eq!(plan.ops.last(), Some(&LinkOp::Up(name("br0"))));
    }

    #[test]
    fn spanning_tree_needs_two_seconds_of_delay() {
        let wanted = Bridge {
            stp: Some(true),
            forward_delay: Some(0),
            ports: Vec::new(),
        };
        let br0 = desired("br0", LinkKind::Bridge(wanted));
        let mut is = bridge(2, "br0");
        let ops = plan_up(&[is.clone()], &br0).unwrap().ops;
        assert_eq!(
            ops,
            [
                LinkOp::SetStp(name("br0"), true),
                LinkOp::SetForwardDelay(name("br0"), 200)
            ]
        );
        let options = is.bridge.as_mut().unwrap();
        (options.stp, options.forward_delay) = (true, 200);
        assert_eq!(plan_up(&[is], &br0).unwrap().ops, []);
    }

    #[test]
    fn what_is_no_bridge_is_not_treated_as_one() {
        let error = plan_up(&[link(2, "br0")], &bridge_of(&[])).unwrap_err();
        assert_eq!(error.one_line(), "br0 exists and is not a bridge");
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
