//! Limits of ports: held on the port's device, a floor on the bridge, those of a virtual function by its card.

use super::make::device_name;
use crate::error::{Context as _, Error, Result};
use crate::qos::network;
use crate::qos::record::{Origin, Settings, Target};
use crate::qos::{Bandwidth, Done, Qos};
use crate::state::{Lock, StateDir};
use crate::sys::name::InterfaceName;
use crate::vnet::ports::{Connection, Hostdev, Port};

/// Applies a port's limits, if it has any.
pub(super) fn put(state: &StateDir, lock: &Lock, port: &Port) -> Result<()> {
    let Some(bandwidth) = port.bandwidth else {
        return Ok(());
    };
    let mut qos = Qos::open(state, lock, true)?;
    // Noted even where it failed: something may have been done.
    let done = change(&mut qos, port, bandwidth).map(drop);
    done.and(qos.close())
}

/// Makes a port have these limits, and no others. Returns what was done.
pub(in crate::vnet) fn change(
    qos: &mut Qos<'_>,
    port: &Port,
    bandwidth: Bandwidth,
) -> Result<Vec<Done>> {
    let name = port.id.to_string();
    if let Connection::Hostdev(hostdev) = &port.connection {
        return change_function(qos, &name, hostdev, bandwidth)
            .context(|| format!("cannot limit the port {name}"));
    }
    with(port, bandwidth, |limited, bridge| {
        network::plug(qos, bridge, limited)
    })
}

/// Takes a port's limits away, if it has any. What is gone already is no error.
pub(super) fn take_away(state: &StateDir, lock: &Lock, port: &Port) -> Result<()> {
    let Some(bandwidth) = port.bandwidth else {
        return Ok(());
    };
    let mut qos = Qos::open(state, lock, true)?;
    let done = match &port.connection {
        Connection::Hostdev(hostdev) => {
            let name = port.id.to_string();
            change_function(&mut qos, &name, hostdev, Bandwidth::default()).map(drop)
        }
        _ => with(port, bandwidth, |limited, bridge| {
            network::unplug(&mut qos, bridge, limited)
        }),
    };
    done.and(qos.close())
}

fn with<T>(
    port: &Port,
    bandwidth: Bandwidth,
    act: impl FnOnce(&network::Port<'_>, Option<&InterfaceName>) -> Result<T>,
) -> Result<T> {
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
    act(&limited, bridge)
}

/// The card limits what a function sends. What was recorded for the function comes back when the port goes.
fn change_function(
    qos: &mut Qos<'_>,
    port: &str,
    hostdev: &Hostdev,
    bandwidth: Bandwidth,
) -> Result<Vec<Done>> {
    let target = hostdev.function.as_ref().map(|function| Target {
        device: function.physical.clone(),
        function: Some(function.number),
    });
    let Some(target) = target else {
        if bandwidth.is_empty() {
            return Ok(Vec::new());
        }
        let what = format!(
            "{} is no virtual function, and has no device here that could hold its limits ({bandwidth})",
            hostdev.address
        );
        return Err(Error::failed(what));
    };
    if bandwidth.is_empty() {
        let applied = qos.applied(&target)?;
        if !applied.is_some_and(|it| it.origin == Origin::Port(port.to_owned())) {
            return Ok(Vec::new());
        }
        let done = qos.take_away(&target)?;
        for (_, applied) in qos.apply(&target.device)? {
            applied?;
        }
        return Ok(vec![done]);
    }
    let origin = Origin::Port(port.to_owned());
    qos.admit(&target, &origin)?;
    let settings = Settings {
        bandwidth,
        ..Settings::default()
    };
    let done = qos.put(&target, &settings, origin)?;
    Ok(vec![done])
}
