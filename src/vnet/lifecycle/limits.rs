//! The limits of a network, on its bridge.

use crate::error::Result;
use crate::qos::record::{Origin, Target};
use crate::qos::{Bandwidth, Qos, network};
use crate::state::{Lock, StateDir};
use crate::vnet::active::Active;
use crate::vnet::model::Network;

/// The limits, if there are any.
fn bandwidth(network: &Network) -> Option<Bandwidth> {
    network.bandwidth.filter(|it| !it.is_empty())
}

/// Fails where the bridge has limits that are not this network's: `qos set`, or another network over it, gave them.
pub(super) fn admit(state: &StateDir, lock: &Lock, network: &Network) -> Result<()> {
    let (Some(_), Some(bridge)) = (bandwidth(network), network.forward.bridge()) else {
        return Ok(());
    };
    let mut qos = Qos::open(state, lock, true)?;
    qos.admit(
        &Target::device(bridge.clone()),
        &Origin::Network(network.name.to_string()),
    )
}

/// Puts the limits on the bridge.
pub(super) fn put(state: &StateDir, lock: &Lock, network: &Network) -> Result<()> {
    let (Some(limits), Some(bridge)) = (bandwidth(network), network.forward.bridge()) else {
        return Ok(());
    };
    let mut qos = Qos::open(state, lock, true)?;
    network::start(&mut qos, network.name.as_str(), bridge, &limits)?;
    qos.close()
}

/// Changes the limits on the bridge in place to those of `network`, or takes away those of `record`. Returns what was
/// done; in a `rehearsal`, what would be.
pub(super) fn change(
    state: &StateDir,
    lock: &Lock,
    record: &Active,
    network: &Network,
    rehearsal: bool,
) -> Result<Vec<String>> {
    let Some(bridge) = network.forward.bridge() else {
        return Ok(Vec::new());
    };
    let mut qos = Qos::open(state, lock, true)?;
    if rehearsal {
        qos.rehearse();
    }
    let limits = bandwidth(network);
    if limits.is_none() && record.limited.is_none() {
        return Ok(Vec::new());
    }
    let limits = limits.unwrap_or_default();
    let done = network::start(&mut qos, network.name.as_str(), bridge, &limits)?;
    qos.close()?;
    Ok(done.steps)
}

/// Takes the limits off the bridge, if they are this network's. A bridge that is gone already is no error.
pub(super) fn take_away(state: &StateDir, lock: &Lock, record: &Active) -> Result<()> {
    let Some(bridge) = &record.limited else {
        return Ok(());
    };
    let mut qos = Qos::open(state, lock, true)?;
    let applied = qos.applied(&Target::device(bridge.clone()))?;
    let ours = Origin::Network(record.name.to_string());
    if applied.is_some_and(|applied| applied.origin == ours) {
        network::stop(&mut qos, bridge)?;
    }
    qos.close()
}
