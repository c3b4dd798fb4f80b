//! `qos set`, `clear` and `show` of networks and ports.

use serde::Serialize;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::view::{print_steps, rehearsed};
use crate::error::Result;
use crate::qos::record::Origin;
use crate::qos::show::Shown;
use crate::qos::{Bandwidth, Change};
use crate::state::Lock;
use crate::sys::boot;
use crate::sys::name::InterfaceName;
use crate::vnet::active::Running;
use crate::vnet::limits::{self, Changed, Manner};
use crate::vnet::name::NetworkName;
use crate::vnet::ports::{PortId, Ports};
use crate::vnet::store::Store;

#[derive(Serialize)]
struct NetworkView<'a> {
    network: &'a NetworkName,
    device: &'a InterfaceName,
    limits: Option<Bandwidth>,
    defined: Option<Bandwidth>,
    applied: bool,
    steps: &'a [String],
    error: Option<String>,
}

#[derive(Serialize)]
struct PortLimitsView<'a> {
    port: PortId,
    network: &'a NetworkName,
    limits: Option<Bandwidth>,
    applied: bool,
    steps: &'a [String],
    error: Option<String>,
}

/// Changes the limits of a network.
pub(super) fn change(
    name: &NetworkName,
    change: &Change,
    manner: Manner,
    session: &Session,
    lock: &Lock,
    output: &Output,
) -> Done {
    let state = &session.host.state;
    let done = limits::change_network(state, lock, name, change, manner)?;
    if manner.rehearsal {
        rehearsed(&done.steps, output);
        return Ok(None);
    }
    let some = |limits: Bandwidth| Some(limits).filter(|it| !it.is_empty());
    output.json(&NetworkView {
        network: name,
        device: &done.bridge,
        limits: done.live.or(done.defined).and_then(some),
        defined: done.defined.and_then(some),
        applied: done.live.is_some(),
        steps: &done.steps,
        error: None,
    });
    say(name, &done, manner.transient, output);
    print_steps(&done.steps, output);
    Ok(None)
}

fn say(name: &NetworkName, done: &Changed, transient: bool, output: &Output) {
    match (done.live, done.defined) {
        (Some(live), Some(defined)) if live == defined => output.say(format!("{name}: {live}.")),
        (Some(live), Some(defined)) => {
            output.say(format!("{name}: {live}."));
            output.say(format!("Its definition now has: {defined}."));
        }
        (Some(live), None) => {
            output.say(format!("{name}: {live}."));
            if !transient {
                output.say("It is not defined: this holds until it is stopped.");
            }
        }
        (None, defined) => {
            output.say(format!("{name}: {}.", defined.unwrap_or_default()));
            output.say("It is not active: the limits hold when it is started.");
        }
    }
}

/// Changes the limits of a port.
pub(super) fn change_port(
    id: PortId,
    change: &Change,
    manner: Manner,
    session: &Session,
    lock: &Lock,
    output: &Output,
) -> Done {
    super::must_be_running(session)?;
    let state = &session.host.state;
    let done = limits::change_port(state, lock, id, change, manner.rehearsal)?;
    if manner.rehearsal {
        rehearsed(&done.steps, output);
        return Ok(None);
    }
    output.json(&PortLimitsView {
        port: id,
        network: &done.port.network,
        limits: done.port.bandwidth,
        applied: true,
        steps: &done.steps,
        error: None,
    });
    let limits = done.port.bandwidth.unwrap_or_default();
    output.say(format!("{id} of {}: {limits}.", done.port.owner));
    print_steps(&done.steps, output);
    Ok(None)
}

/// Leaves what belongs to a network: its own limits, and those of its ports.
pub(super) fn retain_network(
    shown: &mut Vec<Shown>,
    name: &NetworkName,
    session: &Session,
) -> Result<()> {
    let ports = limits::ports_of(&session.host.state, name)?;
    let ports: Vec<_> = ports.iter().map(PortId::to_string).collect();
    shown.retain(|it| match &it.origin {
        Some(Origin::Network(network)) => network == name.as_str(),
        Some(Origin::Port(port)) => ports.contains(port),
        _ => false,
    });
    Ok(())
}

/// Leaves what belongs to a port: its own limits, and those of the network that keeps its floor.
pub(super) fn retain_port(shown: &mut Vec<Shown>, id: PortId, session: &Session) -> Result<()> {
    let ports = Ports::new(&session.host.state, &boot::id()?);
    let port = ports.must_have(&ports.index()?, id)?;
    let origin = Origin::Port(id.to_string());
    let keeps_floor = |it: &Shown| {
        let floors = it.settings.iter().flat_map(|settings| &settings.floors);
        floors.into_iter().any(|floor| floor.mac == port.mac)
    };
    shown.retain(|it| it.origin.as_ref() == Some(&origin) || keeps_floor(it));
    Ok(())
}

/// What is said of a network that has no limits now.
pub(super) fn none_now(name: &NetworkName, session: &Session) -> Result<String> {
    let state = &session.host.state;
    if Running::new(state).active(name)?.is_some() {
        return Ok(format!("The network {name} has no limits."));
    }
    let definition = Store::new(state).must_have(name)?;
    let limits = definition.network().bandwidth.unwrap_or_default();
    Ok(format!(
        "The network {name} is not active. Its definition has: {limits}."
    ))
}
