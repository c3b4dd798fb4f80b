//! Bonds.
//!
//! Some options can be changed only while a bond is down or has no ports. Then it is set down and its ports
//! are taken out and put in again, which costs the traffic a moment; where all options are right,
//! nothing is touched.

use super::{LinkOp, LinkPlan, find, must_be};
use crate::apply::desired::{Bond, Desired};
use crate::sys::name::InterfaceName;
use crate::sys::netlink::bond::{NEED_DOWN, NEED_NO_PORTS};
use crate::sys::netlink::link::Link;
use crate::sys::netlink::options::{Setting, Settings};
use crate::{Error, Result};

pub(super) fn up(
    plan: &mut LinkPlan,
    links: &[Link],
    desired: &Desired,
    wanted: &Bond,
) -> Result<()> {
    let name = &desired.name;
    let link = find(links, name);
    let mut state = State {
        is_up: link.is_some_and(|it| it.up),
        keeps_ports: link.is_some(),
    };
    match link {
        None => {
            let op = LinkOp::CreateBond(name.clone(), wanted.settings.clone());
            plan.ops.push(op);
        }
        Some(link) => {
            must_be(link, "bond")?;
            plan.bond_options(links, link, wanted, &mut state);
        }
    }
    plan.properties(link, desired);
    for port in &wanted.ports {
        let index = link.filter(|_| state.keeps_ports).map(|it| it.index);
        plan.bond_port(links, index, port, name);
    }
    let now = link.and_then(|it| it.bond.as_ref());
    plan.primary(links, name, wanted, now.and_then(|it| it.primary));
    let is_up = plan.master(links, link, desired)?;
    plan.up_unless(is_up.unwrap_or(state.is_up), name);
    Ok(())
}

/// What the changes planned so far leave of the bond.
struct State {
    is_up: bool,
    keeps_ports: bool,
}

impl LinkPlan {
    fn bond_options(&mut self, links: &[Link], link: &Link, wanted: &Bond, state: &mut State) {
        let mut change = difference(link, &wanted.settings);
        if change.is_empty() {
            return;
        }
        // Another mode sets others of the options back.
        if change.get("mode").is_some() {
            change = wanted.settings.clone();
        }
        let any = |options: &[&str]| options.iter().any(|option| change.get(option).is_some());
        if any(NEED_NO_PORTS) {
            let ports = links.iter().filter(|it| it.master == Some(link.index));
            self.ops
                .extend(ports.map(|port| LinkOp::Release(port.name.clone())));
            state.keeps_ports = false;
        }
        if state.is_up && any(NEED_DOWN) {
            self.ops.push(LinkOp::Down(link.name.clone()));
            state.is_up = false;
        }
        self.ops.push(LinkOp::SetBond(link.name.clone(), change));
    }

    /// Puts a port into the bond of that `index`; `None` if the bond has no ports yet.
    fn bond_port(
        &mut self,
        links: &[Link],
        index: Option<u32>,
        name: &InterfaceName,
        bond: &InterfaceName,
    ) {
        let Some(port) = find(links, name) else {
            self.problems.push(Error::failed(format!(
                "{bond}: its port {name} does not exist"
            )));
            return;
        };
        if index.is_some() && port.master == index {
            self.up_unless(port.up, name);
        } else {
            self.enslave(name, Some(port), bond, true);
        }
    }

    /// The port that the bond prefers: it must be one before it can be named.
    fn primary(&mut self, links: &[Link], bond: &InterfaceName, wanted: &Bond, now: Option<u32>) {
        let Some(port) = &wanted.primary else { return };
        match find(links, port) {
            Some(link) if Some(link.index) == now => {}
            Some(_) => self.ops.push(LinkOp::SetPrimary {
                bond: bond.clone(),
                port: port.clone(),
            }),
            None => self.problems.push(Error::failed(format!(
                "{bond}: primary={port}: there is no such device"
            ))),
        }
    }
}

/// The settings that the bond does not have.
fn difference(link: &Link, wanted: &Settings) -> Settings {
    let now = link.bond.as_ref().map(|it| &it.settings);
    let miimon = wanted
        .number("miimon")
        .or(now.and_then(|it| it.number("miimon")));
    let is_right = |wanted: &Setting| {
        let is = now.and_then(|now| now.get(wanted.spec.name));
        is.is_some_and(|is| is == wanted || is.number() == rounded(wanted, miimon))
    };
    wanted.iter().filter(|it| !is_right(it)).cloned().collect()
}

/// Delays are multiples of `miimon` to the kernel, which rounds down (`bond_option_updelay_set()`).
fn rounded(setting: &Setting, miimon: Option<u64>) -> Option<u64> {
    let is_delay = ["updelay", "downdelay", "peer_notif_delay"].contains(&setting.spec.name);
    let interval = miimon.filter(|miimon| is_delay && *miimon > 0);
    let number = setting.number()?;
    interval.map(|interval| number - number % interval)
}

#[cfg(test)]
mod tests {
    use super::super::plan_up;
    use super::*;
    use crate::apply::builtin::testing::{desired, link, name, port};
    use crate::apply::desired::LinkKind;
    use crate::sys::netlink::bond;

    fn settings(text: &str) -> Settings {
        let settings = text.split_whitespace().map(|word| {
            let (name, value) = word.split_once('=').unwrap();
            bond::option(name).unwrap().parse(value).unwrap()
        });
        settings.collect()
    }

    fn wanted(text: &str) -> Desired {
        let bond = Bond {
            settings: settings(text),
            primary: None,
            ports: vec![name("eth0"), name("eth1")],
        };
        desired("bond0", LinkKind::Bond(bond))
    }

    fn bond0(text: &str) -> Link {
        let mut bond0 = link(2, "bond0");
        bond0.kind = Some("bond".to_owned());
        bond0.bond = Some(bond::Bond {
            settings: settings(text),
            ..bond::Bond::default()
        });
        bond0
    }

    fn ops(links: &[Link], desired: &Desired) -> Vec<LinkOp> {
        plan_up(links, desired).unwrap().ops
    }

    fn enslave(port: &str) -> [LinkOp; 2] {
        let op = LinkOp::SetMaster {
            port: name(port),
            master: name("bond0"),
        };
        [LinkOp::Down(name(port)), op]
    }

    #[test]
    fn a_bond_is_made_and_takes_its_ports_while_they_are_down() {
        let desired = wanted("mode=1 miimon=100");
        let is = ops(&[link(3, "eth0"), link(4, "eth1")], &desired);
        let [down0, master0] = enslave("eth0");
        let [down1, master1] = enslave("eth1");
        let made = LinkOp::CreateBond(name("bond0"), settings("mode=1 miimon=100"));
        let up = LinkOp::Up(name("bond0"));
        assert_eq!(is, [made, down0, master0, down1, master1, up]);
    }

    #[test]
    fn one_that_is_right_is_not_touched_though_the_kernel_rounds_delays() {
        let links = [
            bond0("mode=1 miimon=100 updelay=200 xmit_hash_policy=0"),
            port(3, "eth0", 2),
            port(4, "eth1", 2),
        ];
        assert_eq!(ops(&links, &wanted("mode=1 miimon=100 updelay=250")), []);
    }

    #[test]
    fn another_mode_takes_the_ports_out_and_sets_everything() {
        let links = [
            bond0("mode=1 miimon=100"),
            port(3, "eth0", 2),
            link(4, "eth1"),
        ];
        let is = ops(&links, &wanted("mode=4 miimon=100"));
        assert_eq!(
            is[..3],
            [
                LinkOp::Release(name("eth0")),
                LinkOp::Down(name("bond0")),
                LinkOp::SetBond(name("bond0"), settings("mode=4 miimon=100")),
            ]
        );
        assert_eq!(is.last(), Some(&LinkOp::Up(name("bond0"))));
    }

    #[test]
    fn an_option_that_can_be_changed_in_flight_is() {
        let links = [
            bond0("mode=1 miimon=100"),
            port(3, "eth0", 2),
            port(4, "eth1", 2),
        ];
        let is = ops(&links, &wanted("mode=1 miimon=50"));
        assert_eq!(is, [LinkOp::SetBond(name("bond0"), settings("miimon=50"))]);
    }
}
