//! What a guest cannot have, and why.

use crate::error::{Error, Result};
use crate::vnet::model::{Network, PortSettings, VirtualPortKind};
use crate::vnet::pool::Choice;
use crate::vnet::ports::Holders;

/// Fails where the port is to have what ncf cannot give it.
pub(super) fn refuse(network: &Network, settings: &PortSettings) -> Result<()> {
    let kind = settings.virtual_port.as_ref().and_then(|port| port.kind);
    let Some(kind) = kind else { return Ok(()) };
    let needs = match kind {
        VirtualPortKind::Qbg => "the switch is asked for it through lldpad (VDP)",
        VirtualPortKind::Qbh => "the card's driver is asked for it with a port profile",
        VirtualPortKind::OpenVswitch => {
            "it is a port of Open vSwitch, whose bridges ncf does not know"
        }
        VirtualPortKind::Midonet => "it is a port of MidoNet, whose agent is asked for it",
    };
    Err(Error::failed(format!(
        "cannot plug into {}: its virtual port is of type {}: {needs}, which ncf does not do",
        network.name,
        kind.as_str()
    ))
    .hint("libvirt does: 'ncf net resolve' hands it on"))
}

/// How many devices an error names.
const NAMED: usize = 5;

/// The error for a pool that has nothing left: what was passed over, and who has the others.
pub(super) fn exhausted<T>(network: &Network, choice: &Choice<T>, holders: &Holders<'_>) -> Error {
    let skipped = choice.skipped.iter().take(NAMED);
    let mut reasons: Vec<_> = skipped.map(ToString::to_string).collect();
    let more = choice.skipped.len().saturating_sub(NAMED);
    if more > 0 {
        reasons.push(format!("{more} more cannot be used"));
    }
    for device in choice.taken.iter().take(NAMED) {
        // That somebody has it is known; who, is said where that can be read.
        let who = holders.of(device).unwrap_or_default();
        let who = if who.is_empty() {
            "it is in use".to_owned()
        } else {
            who.join(" and ")
        };
        reasons.push(format!("{device}: {who}"));
    }
    let more = choice.taken.len().saturating_sub(NAMED);
    if more > 0 {
        reasons.push(format!("{more} more are in use"));
    }
    if reasons.is_empty() {
        reasons.push("it has none".to_owned());
    }
    let name = &network.name;
    let error = Error::state(format!(
        "no device of the network {name} is free: {}",
        reasons.join("; ")
    ));
    if choice.taken.is_empty() {
        return error;
    }
    error
        .hint("'ncf net ports' lists who has a device, 'ncf net unplug' and 'ncf net release' give one back")
        .hint("'ncf net repair' forgets ports whose device is gone")
}
