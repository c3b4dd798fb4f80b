//! Bridges.

use super::{LinkOp, LinkPlan, find, must_be};
use crate::apply::desired::{Bridge, Desired};
use crate::sys::name::InterfaceName;
use crate::sys::netlink::link::Link;
use crate::{Error, Result};

/// The least forward delay with spanning tree, in hundredths of a second (`BR_MIN_FORWARD_DELAY` in
/// `net/bridge/br_private_stp.h`).
const LEAST_DELAY_WITH_STP: u32 = 200;

pub(super) fn up(
    plan: &mut LinkPlan,
    links: &[Link],
    desired: &Desired,
    wanted: &Bridge,
) -> Result<()> {
    let name = &desired.name;
    let link = find(links, name);
    match link {
        None => plan.ops.push(LinkOp::CreateBridge(name.clone())),
        Some(link) => must_be(link, "bridge")?,
    }
    plan.bridge_options(link, name, wanted);
    plan.properties(link, desired);
    for port in &wanted.ports {
        plan.bridge_port(links, link, port, name);
    }
    plan.up_unless(link.is_some_and(|it| it.up), name);
    Ok(())
}

impl LinkPlan {
    /// Spanning tree comes first, for what forward delay is allowed depends on it. With it on, a delay of less
    /// than two seconds is two: the kernel would refuse it, and `STP=yes DELAY=0` is in many files.
    fn bridge_options(&mut self, link: Option<&Link>, name: &InterfaceName, wanted: &Bridge) {
        let now = link.and_then(|it| it.bridge.as_ref());
        let stp_now = now.is_some_and(|it| it.stp);
        let stp = wanted.stp.unwrap_or(stp_now);
        if stp != stp_now {
            self.ops.push(LinkOp::SetStp(name.clone(), stp));
        }
        if let Some(delay) = wanted.forward_delay {
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
        for setting in wanted.settings.iter() {
            let option = setting.spec.name;
            let is = now.and_then(|it| it.settings.get(option));
            let is_right = is.is_some_and(|is| {
                let near = |is: u64, wanted: u64| is.abs_diff(wanted) <= u64::from(is > 255);
                let numbers = is.number().zip(setting.number());
                is == setting || is_time(option) && numbers.is_some_and(|(a, b)| near(a, b))
            });
            if !is_right {
                let op = LinkOp::SetBridgeOption(name.clone(), setting.clone());
                self.ops.push(op);
            }
        }
    }

    fn bridge_port(
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
        let mut is_up = port.up;
        if bridge.is_none() || port.master != bridge.map(|it| it.index) {
            self.enslave(name, Some(port), bridge_name, false);
            // A bond sets down what it lets go.
            let mut masters = links.iter().filter(|it| Some(it.index) == port.master);
            is_up &= !masters.any(Link::is_bond);
        }
        self.up_unless(is_up, name);
    }
}

/// Whether the kernel keeps the option in ticks, of which a hundredth may be lost in rounding.
fn is_time(option: &str) -> bool {
    option.ends_with("_time") || option.ends_with("_interval") || option == "max_age"
}

#[cfg(test)]
mod tests {
    use super::super::plan_up;
    use super::*;
    use crate::apply::builtin::testing::{bridge, desired, link, name};
    use crate::apply::desired::LinkKind;
    use crate::sys::netlink::bridge::option;

    fn bridge_of(ports: &[&str]) -> Desired {
        let bridge = Bridge {
            ports: ports.iter().map(|it| name(it)).collect(),
            ..Bridge::default()
        };
        desired("br0", LinkKind::Bridge(bridge))
    }

    #[test]
    fn other_options_are_set_where_they_differ() {
        let wanted = [("priority", "4096"), ("multicast_snooping", "0")];
        let wanted = wanted.map(|(name, value)| option(name).unwrap().parse(value).unwrap());
        let mut is = bridge(2, "br0");
        is.bridge.as_mut().unwrap().settings.set(wanted[0].clone());
        let mut br0 = bridge_of(&[]);
        br0.kind = LinkKind::Bridge(Bridge {
            settings: wanted.clone().into_iter().collect(),
            ..Bridge::default()
        });
        let ops = plan_up(&[is], &br0).unwrap().ops;
        assert_eq!(
            ops,
            [LinkOp::SetBridgeOption(name("br0"), wanted[1].clone())]
        );
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
            ..Bridge::default()
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
}
