//! Limits of ports: held on the port's device, a floor on the bridge; those of a virtual function by its card.

use super::make::device_name;
use crate::error::{Error, Result};
use crate::qos::record::{Origin, Settings, Target};
use crate::qos::{Bandwidth, Qos, network};
use crate::state::{Lock, StateDir};
use crate::sys::name::InterfaceName;
use crate::vnet::ports::{Connection, Hostdev, Port};

/// Applies a port's limits, if it has any.
pub(super) fn put(state: &StateDir, lock: &Lock, port: &Port) -> Result<()> {
    if let Some(bandwidth) = &port.bandwidth
        && let Connection::Hostdev(hostdev) = &port.connection
    {
        return put_on_function(state, lock, port, hostdev, bandwidth);
    }
    with(state, lock, port, network::plug)
}

fn put_on_function(
    state: &StateDir,
    lock: &Lock,
    port: &Port,
    hostdev: &Hostdev,
    bandwidth: &Bandwidth,
) -> Result<()> {
    let Some(target) = function_of(hostdev) else {
        return Err(Error::failed(format!(
            "{} is no virtual function, so that no card could limit it ({bandwidth})",
            hostdev.address
        )));
    };
    let mut qos = Qos::open(state, lock, true)?;
    let origin = Origin::Port(port.id.to_string());
    if let Some(applied) = qos.applied(&target)?
        && applied.origin != origin
    {
        return Err(Error::failed(format!(
            "{target} has limits already ({}), and takes only one kind",
            applied.origin
        ))
        .hint(format!("'ncf qos show {}' shows them", target.device)));
    }
    let settings = Settings {
        bandwidth: *bandwidth,
        ..Settings::default()
    };
    // Noted even where it failed: something may have been done.
    let done = qos.put(&target, &settings, origin).map(drop);
    done.and(qos.close())
}

fn take_off_function(state: &StateDir, lock: &Lock, port: &Port, target: &Target) -> Result<()> {
    let mut qos = Qos::open(state, lock, true)?;
    let ours = Origin::Port(port.id.to_string());
    if qos.applied(target)?.is_some_and(|it| it.origin == ours) {
        let done = qos.take_away(target).map(drop);
        return done.and(qos.close());
    }
    Ok(())
}

/// The function as limits know it; `None` where it is no virtual one.
fn function_of(hostdev: &Hostdev) -> Option<Target> {
    hostdev.function.as_ref().map(|it| Target {
        device: it.physical.clone(),
        function: Some(it.number),
    })
}

/// Takes a port's limits away, if it has any. What is gone already is no error.
pub(super) fn take_away(state: &StateDir, lock: &Lock, port: &Port) -> Result<()> {
    if let Connection::Hostdev(hostdev) = &port.connection {
        return match function_of(hostdev).filter(|_| port.bandwidth.is_some()) {
            Some(target) => take_off_function(state, lock, port, &target),
            None => Ok(()),
        };
    }
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
