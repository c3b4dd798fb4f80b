//! The host's switches for forwarding, which several networks may need at once.
//!
//! The first that needs one switches it on and notes that it was off; the last that stops switches it off again.

use super::own_bridge;
use crate::error::Result;
use crate::sys::sysctl::Switch;
use crate::vnet::active::{Active, Needs};
use crate::vnet::model::{Forward, VirtualBridge};

/// What a bridge needs, as it is to be noted before it is switched on.
pub(super) fn needs(bridge: &VirtualBridge, others: &[Active]) -> Result<Vec<Needs>> {
    let mut needs = Vec::new();
    if !bridge.forwards() {
        return Ok(needs);
    }
    let ipv6 = bridge.has_ipv6().then_some(Switch::Ipv6Forwarding);
    let ipv4 = bridge.has_ipv4().then_some(Switch::Ipv4Forwarding);
    for switch in ipv4.into_iter().chain(ipv6) {
        let noted = noted(others, switch);
        needs.push(Needs {
            switch,
            was_off: noted.is_some_and(|it| it.was_off) || !switch.is_on()?,
        });
    }
    Ok(needs)
}

fn noted(others: &[Active], switch: Switch) -> Option<Needs> {
    let all = others.iter().flat_map(|record| &record.needs);
    all.copied().find(|needs| needs.switch == switch)
}

/// Switches on what is noted. `others` are the networks that run: what is isolated stays so.
pub(super) fn switch_on(needs: &[Needs], others: &[Active]) -> Result<()> {
    let mut changed = false;
    for needed in needs {
        if !needed.switch.is_on()? {
            needed.switch.set(true)?;
            changed = true;
        }
    }
    if !changed {
        return Ok(());
    }
    for record in others.iter().filter(|record| record.bridge.is_some()) {
        if let Forward::Virtual(bridge) = &record.definition()?.network().forward {
            own_bridge::isolate(bridge)?;
        }
    }
    Ok(())
}

/// Switches off what was off before, unless one of `others` needs it.
pub(super) fn switch_off(needs: &[Needs], others: &[Active]) -> Result<()> {
    for needed in needs {
        let needed_still = noted(others, needed.switch).is_some();
        if needed.was_off && !needed_still && needed.switch.is_on()? {
            needed.switch.set(false)?;
        }
    }
    Ok(())
}
