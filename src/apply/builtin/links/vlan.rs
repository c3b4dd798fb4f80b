//! VLANs.

use super::{LinkOp, LinkPlan, find, must_be};
use crate::apply::desired::{Desired, Vlan};
use crate::sys::netlink::link::Link;
use crate::sys::netlink::vlan::VlanFlags;
use crate::{Error, Result};

pub(super) fn up(
    plan: &mut LinkPlan,
    links: &[Link],
    desired: &Desired,
    wanted: &Vlan,
) -> Result<()> {
    let name = &desired.name;
    let Some(lower) = find(links, &wanted.lower) else {
        let lower = &wanted.lower;
        return Err(Error::failed(format!(
            "{name}: its lower device {lower} does not exist"
        )));
    };
    let mut link = find(links, name);
    if let Some(is) = link {
        must_be(is, "vlan")?;
        // None of these can be changed.
        let same = |it: &crate::sys::netlink::vlan::Vlan| {
            it.id == wanted.tag.id && it.protocol == wanted.tag.protocol
        };
        if is.lower != Some(lower.index) || !is.vlan.as_ref().is_some_and(same) {
            plan.ops.push(LinkOp::Delete(name.clone()));
            link = None;
        }
    }
    // The kernel sets no VLAN up over what is down.
    plan.up_unless(lower.up, &wanted.lower);
    match link.and_then(|it| it.vlan) {
        None => plan
            .ops
            .push(LinkOp::CreateVlan(name.clone(), wanted.clone())),
        Some(now) if (now.flags ^ wanted.tag.flags) & wanted.mask != VlanFlags::empty() => {
            let op = LinkOp::SetVlanFlags(name.clone(), wanted.tag.flags, wanted.mask);
            plan.ops.push(op);
        }
        Some(_) => {}
    }
    plan.properties(link, desired);
    let is_up = plan.master(links, link, desired)?;
    plan.up_unless(is_up.unwrap_or(link.is_some_and(|it| it.up)), name);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::plan_up;
    use super::*;
    use crate::apply::builtin::testing::{desired, link, name};
    use crate::apply::desired::{LinkKind, Master};
    use crate::sys::netlink::vlan::{self, VlanProtocol};

    fn tag(id: u16) -> vlan::Vlan {
        vlan::Vlan {
            id,
            protocol: VlanProtocol::Ieee8021Q,
            flags: VlanFlags::ReorderHdr,
        }
    }

    fn wanted(id: u16) -> (Desired, LinkOp) {
        let vlan = Vlan {
            lower: name("eth0"),
            tag: tag(id),
            mask: VlanFlags::empty(),
        };
        let create = LinkOp::CreateVlan(name("eth0.5"), vlan.clone());
        (desired("eth0.5", LinkKind::Vlan(vlan)), create)
    }

    fn is(id: u16, lower: u32) -> Link {
        let mut link = link(9, "eth0.5");
        link.kind = Some("vlan".to_owned());
        link.vlan = Some(tag(id));
        link.lower = Some(lower);
        link
    }

    #[test]
    fn one_is_made_over_its_lower_device_which_is_set_up() {
        let (mut desired, create) = wanted(5);
        desired.master = Some(Master::Bridge(name("br0")));
        let mut lower = link(2, "eth0");
        lower.up = false;
        let ops = plan_up(&[lower], &desired).unwrap().ops;
        assert_eq!(ops[..2], [LinkOp::Up(name("eth0")), create]);
        assert_eq!(ops.last(), Some(&LinkOp::Up(name("eth0.5"))));
        let error = plan_up(&[], &desired).unwrap_err();
        assert_eq!(
            error.to_string(),
            "eth0.5: its lower device eth0 does not exist"
        );
    }

    #[test]
    fn one_that_is_right_is_not_touched_and_one_that_cannot_be_made_right_is_made_anew() {
        let (desired, create) = wanted(5);
        let eth0 = link(2, "eth0");
        let ops = |vlan: Link| plan_up(&[eth0.clone(), vlan], &desired).unwrap().ops;
        assert_eq!(ops(is(5, 2)), []);
        for wrong in [is(6, 2), is(5, 3)] {
            let first = [LinkOp::Delete(name("eth0.5")), create.clone()];
            assert_eq!(ops(wrong)[..2], first);
        }
    }

    #[test]
    fn flags_are_changed_in_place() {
        let (mut desired, _) = wanted(5);
        let LinkKind::Vlan(vlan) = &mut desired.kind else {
            unreachable!()
        };
        vlan.tag.flags = VlanFlags::Gvrp;
        vlan.mask = VlanFlags::Gvrp | VlanFlags::ReorderHdr;
        let op = LinkOp::SetVlanFlags(name("eth0.5"), VlanFlags::Gvrp, vlan.mask);
        assert_eq!(
            plan_up(&[link(2, "eth0"), is(5, 2)], &desired).unwrap().ops,
            [op]
        );
    }
}
