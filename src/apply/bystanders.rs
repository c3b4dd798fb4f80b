//! What taking one interface down does to others, put right afterwards.
//!
//! A bridge that goes down is deleted, and its ports fall out of it: those that the configuration knows come
//! back with it, but nobody's configuration knows the tap device of a running guest. Other devices are deleted
//! with what they stand on, as a vlan is with its bond. So: look before, look after, and mend the difference.
//!
//! A link is known again by its index, for a name may have gone to another device meanwhile.
//! Remembering the ports in a state file was rejected: what counts is how it was the moment before, and after a
//! crash in between, the guests' taps are for their hypervisor to judge.

use std::collections::BTreeSet;

use crate::sys::name::InterfaceName;
use crate::sys::netlink::Socket;
use crate::sys::netlink::link::Link;
use crate::{Error, Result};

/// The links of this host before any was touched.
#[derive(Debug, Clone)]
pub struct Bystanders {
    before: Vec<Link>,
}

/// A port and the bridge that it was in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The port.
    pub port: InterfaceName,
    /// The bridge.
    pub bridge: InterfaceName,
}

/// What [`Bystanders::put_back`] did.
#[derive(Debug, Default)]
pub struct Report {
    /// Ports that are in their bridge again.
    pub put_back: Vec<Membership>,
    /// Ports whose bridge is no more, or is no bridge now.
    pub left_out: Vec<Membership>,
    /// What went wrong; the rest was done nevertheless.
    pub errors: Vec<Error>,
}

/// What is to be done, as links of now.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Port, bridge.
    put_back: Vec<(Link, Link)>,
    left_out: Vec<Membership>,
}

impl Bystanders {
    /// Looks at all links, before the first is touched.
    pub fn capture() -> Result<Self> {
        let before = Socket::open()?.links()?;
        Ok(Self { before })
    }

    /// Puts ports that a bounce threw out of their bridge back into it.
    ///
    /// A port is put back if it still exists, was in a bridge that is in `bounced`, is not in `bounced`
    /// itself, is in none now, and `keep_out` does not say that it no longer belongs there.
    pub fn put_back(
        &self,
        bounced: &BTreeSet<InterfaceName>,
        keep_out: &dyn Fn(&InterfaceName) -> bool,
    ) -> Report {
        let mut report = Report::default();
        let opened = Socket::open().and_then(|mut socket| {
            let after = socket.links()?;
            Ok((socket, after))
        });
        let (mut socket, after) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                report.errors.push(error);
                return report;
            }
        };
        let plan = plan(&self.before, &after, bounced, keep_out);
        report.left_out = plan.left_out;
        for (port, bridge) in plan.put_back {
            match socket.set_master(&port, &bridge) {
                Ok(()) => report.put_back.push(Membership {
                    port: port.name,
                    bridge: bridge.name,
                }),
                Err(error) => report.errors.push(error),
            }
        }
        report
    }

    /// The links that were not bounced and suffered from it: the caller may bring them up again. They are no
    /// more, or they stand on one that was bounced, as a vlan does: the kernel takes such a link down with
    /// the one below, and its routes do not come back with it.
    pub fn suffered(&self, bounced: &BTreeSet<InterfaceName>) -> Result<Vec<InterfaceName>> {
        let after = Socket::open()?.links()?;
        Ok(suffered(&self.before, &after, bounced))
    }
}

fn plan(
    before: &[Link],
    after: &[Link],
    bounced: &BTreeSet<InterfaceName>,
    keep_out: &dyn Fn(&InterfaceName) -> bool,
) -> Plan {
    let mut plan = Plan::default();
    for was in before {
        let Some(bridge) = before
            .iter()
            .find(|link| Some(link.index) == was.master && link.is_bridge())
            .filter(|link| bounced.contains(&link.name))
        else {
            continue;
        };
        let Some(port) = after.iter().find(|link| link.index == was.index) else {
            continue;
        };
        let is_mine = bounced.contains(&was.name) || bounced.contains(&port.name);
        if is_mine || port.master.is_some() || keep_out(&port.name) {
            continue;
        }
        match after
            .iter()
            .find(|link| link.name == bridge.name && link.is_bridge())
        {
            Some(bridge) => plan.put_back.push((port.clone(), bridge.clone())),
            None => plan.left_out.push(Membership {
                port: port.name.clone(),
                bridge: bridge.name.clone(),
            }),
        }
    }
    plan
}

/// By name, not by index: one that was deleted and made anew has been brought up by somebody.
fn suffered(
    before: &[Link],
    after: &[Link],
    bounced: &BTreeSet<InterfaceName>,
) -> Vec<InterfaceName> {
    before
        .iter()
        .filter(|was| !bounced.contains(&was.name))
        .filter(|was| {
            let same = |link: &Link| link.name == was.name || link.index == was.index;
            !after.iter().any(same) || stands_on(was, before, bounced)
        })
        .map(|was| was.name.clone())
        .collect()
}

/// Whether a link stands, directly or not, on one that was bounced.
fn stands_on(link: &Link, links: &[Link], bounced: &BTreeSet<InterfaceName>) -> bool {
    let mut at = link;
    // Each step goes down by one; a stack cannot be higher than there are links.
    for _ in links {
        let Some(below) = links.iter().find(|other| Some(other.index) == at.lower) else {
            return false;
        };
        if bounced.contains(&below.name) {
            return true;
        }
        at = below;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::builtin::testing::{bridge, link, name, port};

    fn names(names: &[&str]) -> BTreeSet<InterfaceName> {
        names.iter().map(|it| name(it)).collect()
    }

    fn pairs(plan: &Plan) -> Vec<(&str, &str, u32)> {
        plan.put_back
            .iter()
            .map(|(port, bridge)| (port.name.as_str(), bridge.name.as_str(), bridge.index))
            .collect()
    }

    #[test]
    fn a_guests_tap_goes_back_into_the_bridge_made_anew() {
        let before = [bridge(2, "br0"), port(3, "vnet0", 2), port(4, "eth0", 2)];
        let after = [link(3, "vnet0"), port(4, "eth0", 9), bridge(9, "br0")];
        let plan = plan(&before, &after, &names(&["br0"]), &|_| false);
        assert_eq!(pairs(&plan), [("vnet0", "br0", 9)]);
    }

    #[test]
    fn what_was_bounced_itself_or_is_kept_out_or_is_another_device_now_is_left_alone() {
        let before = [
            bridge(2, "br0"),
            port(3, "eth0", 2),
            port(4, "eth1", 2),
            port(5, "vnet0", 2),
        ];
        let after = [
            link(3, "eth0"),
            link(4, "eth1"),
            link(6, "vnet0"),
            bridge(9, "br0"),
        ];
        let keep_out = |port: &InterfaceName| port.as_str() == "eth1";
        let plan = plan(&before, &after, &names(&["br0", "eth0"]), &keep_out);
        assert_eq!(pairs(&plan), []);
    }

    #[test]
    fn a_bridge_that_was_not_bounced_is_none_of_our_business() {
        let before = [bridge(2, "br1"), port(3, "vnet0", 2)];
        let after = [bridge(2, "br1"), link(3, "vnet0")];
        let plan = plan(&before, &after, &names(&["br0"]), &|_| false);
        assert_eq!(plan, Plan::default());
    }

    #[test]
    fn a_port_whose_bridge_is_no_more_is_reported() {
        let before = [bridge(2, "br0"), port(3, "vnet0", 2)];
        let after = [link(3, "vnet0")];
        let plan = plan(&before, &after, &names(&["br0"]), &|_| false);
        assert_eq!(plan.left_out.len(), 1);
        assert!(plan.put_back.is_empty());
    }

    #[test]
    fn a_vlan_that_went_with_its_bond_has_suffered() {
        let before = [link(2, "bond0"), link(3, "bond0.5"), link(4, "eth0")];
        let after = [link(8, "bond0"), link(4, "lan0")];
        assert_eq!(
            suffered(&before, &after, &names(&["bond0"])),
            [name("bond0.5")]
        );
    }
}
