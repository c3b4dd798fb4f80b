//! Limits of ports: held on the port's device, a floor on the bridge.

use super::make::device_name;
use crate::error::Result;
use crate::qos::{Qos, network};
use crate::state::{Lock, StateDir};
use crate::sys::name::InterfaceName;
use crate::vnet::ports::{Connection, Port};

/// Applies a port's limits, if it has any.
pub(super) fn put(state: &StateDir, lock: &Lock, port: &Port) -> Result<()> {
    with(state, lock, port, network::plug)
}

/// Takes a port's limits away, if it has any. What is gone already is no error.
pub(super) fn take_away(state: &StateDir, lock: &Lock, port: &Port) -> Result<()> {
    with(state, lock, port, network::unplug)
}

fn with(
    state: &StateDir,
    lock: &Lock,
    port: &Port,
    act: impl FnOnce(&mut Qos<'_>, Option<&InterfaceName>, &network::Port<'_>) -> Result<()>,
) -> Result<()> {
    let Some(bandwidth) = port.bandwidth else {
        return Ok(());
    };
    let name = port.id.to_string();
    let limited = network::Port {
        name: &name,
        device: &device_name(&name)?,
        mac: port.mac,
        bandwidth,
    };
    let bridge = match &port.connection {
        Connection::Tap(tap) => Some(&tap.bridge),
        Connection::Macvtap(_) | Connection::Hostdev(_) => None,
    };
    let mut qos = Qos::open(state, lock, true)?;
    // Noted even where it failed: something may have been done.
    let done = act(&mut qos, bridge, &limited);
    done.and(qos.close())
}
