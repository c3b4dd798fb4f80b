//! Limits of logical networks and their ports: what `net start`, `net plug`, `net unplug` and `net stop` call.
//!
//! A network's limits are held on its bridge, a port's on the port's own device. Only a floor needs both: it is the
//! port's, and is shared out on the bridge, where the port is found by its address.
//!
//! ```no_run
//! # use ncf::qos::network::{self, Port};
//! # fn f(state: &ncf::state::StateDir, network: ncf::qos::Bandwidth, port: ncf::qos::Bandwidth) -> ncf::Result<()> {
//! # let (bridge, device) = ("virbr0".parse().unwrap(), "vnet0".parse().unwrap());
//! let lock = state.lock("net plug")?;
//! let mut qos = ncf::qos::Qos::open(state, &lock, true)?;
//! network::start(&mut qos, "default", &bridge, &network)?;
//! let port = Port { name: "0d2c…", device: &device, mac: "52:54:00:00:00:01".parse().unwrap(), bandwidth: port };
//! network::plug(&mut qos, Some(&bridge), &port)?;
//! network::unplug(&mut qos, Some(&bridge), &port)?;
//! network::stop(&mut qos, &bridge)?;
//! qos.close()
//! # }
//! ```
//!
//! Each is idempotent, and leaves things as they were where it fails. Nothing is recorded in `qos/`: the definitions
//! of networks and ports say what the limits are. What was applied is noted in `run/qos.json`, as for devices, so that
//! `qos show` tells where a limit comes from and `qos apply` brings it back.

use super::apply::{Done, Qos};
use super::limit::Bandwidth;
use super::rate::Rate;
use super::record::{Origin, Settings, Target};
use super::tree::{PortFloor, check_floors};
use crate::error::{Context as _, Error, Result};
use crate::sys::name::{InterfaceName, MacAddress};

/// A port that is plugged into a network.
#[derive(Debug, Clone)]
pub struct Port<'a> {
    /// What it is called: its UUID, say.
    pub name: &'a str,
    /// Its device on this host.
    pub device: &'a InterfaceName,
    /// The guest's address.
    pub mac: MacAddress,
    /// Its own limits, else those of its portgroup.
    pub bandwidth: Bandwidth,
}

impl Port<'_> {
    /// What it is promised of its network.
    fn floor(&self) -> Option<PortFloor> {
        let floor = self.bandwidth.inbound.and_then(|limit| limit.floor());
        floor.map(|floor| PortFloor {
            mac: self.mac,
            floor,
        })
    }

    /// What is held on its device.
    fn device_bandwidth(&self) -> Bandwidth {
        Bandwidth {
            inbound: self.bandwidth.inbound.and_then(|it| it.without_floor()),
            outbound: self.bandwidth.outbound.and_then(|it| it.without_floor()),
        }
    }
}

/// Checks that a network may have these limits; to be called when it is defined.
pub fn check(bandwidth: &Bandwidth) -> Result<()> {
    for limit in [bandwidth.inbound, bandwidth.outbound].iter().flatten() {
        if limit.floor().is_some() {
            return Err(Error::failed("a network has no floor: its ports have"));
        }
    }
    Ok(())
}

/// Applies a network's limits to its bridge. The floors of ports that are plugged in already stay.
pub fn start(
    qos: &mut Qos<'_>,
    name: &str,
    bridge: &InterfaceName,
    bandwidth: &Bandwidth,
) -> Result<Done> {
    check(bandwidth)?;
    let target = Target::device(bridge.clone());
    let floors = qos
        .applied(&target)?
        .map(|applied| applied.settings.floors)
        .unwrap_or_default();
    check_floors(bandwidth, &floors)?;
    let origin = Origin::Network(name.to_owned());
    if bandwidth.is_empty() {
        return qos.take_away(&target);
    }
    let settings = Settings {
        bandwidth: *bandwidth,
        floors,
        ..Settings::default()
    };
    qos.put(&target, &settings, origin)
        .context(|| format!("cannot limit the network {name}"))
}

/// Takes a network's limits off its bridge. A bridge that is gone already is no error.
pub fn stop(qos: &mut Qos<'_>, bridge: &InterfaceName) -> Result<()> {
    qos.take_away(&Target::device(bridge.clone())).map(drop)
}

/// Applies a port's limits, and keeps its floor on the network's bridge. Fails before anything is changed where the
/// network has no bridge, or cannot promise that much; the refusal says by how much it is too much.
///
/// Where the port has limits already, they are changed in place. Returns what was done, on the bridge first.
pub fn plug(
    qos: &mut Qos<'_>,
    bridge: Option<&InterfaceName>,
    port: &Port<'_>,
) -> Result<Vec<Done>> {
    let failed = || format!("cannot limit the port {} ({})", port.name, port.device);
    if let Some(floor) = port.bandwidth.outbound.and_then(|limit| limit.floor()) {
        let what =
            format!("a port has no outbound floor ({floor}): a floor is for what a guest receives");
        return Err(Error::failed(what)).context(failed);
    }
    let (before, on_bridge) = change_floor(qos, bridge, port.mac, port.floor()).context(failed)?;
    match limit_device(qos, port) {
        Ok(done) => Ok(on_bridge.into_iter().chain(done).collect()),
        Err(error) => {
            let back = before.filter(|floor| floor.mac == port.mac);
            // The error that counts is the first one.
            let _ = change_floor(qos, bridge, port.mac, back);
            Err(error).context(failed)
        }
    }
}

fn limit_device(qos: &mut Qos<'_>, port: &Port<'_>) -> Result<Option<Done>> {
    let bandwidth = port.device_bandwidth();
    let target = Target::device(port.device.clone());
    if !bandwidth.is_empty() {
        let settings = Settings {
            bandwidth,
            ..Settings::default()
        };
        let origin = Origin::Port(port.name.to_owned());
        return qos.put(&target, &settings, origin).map(Some);
    }
    match qos.applied(&target)? {
        // It had limits of its own before it was changed.
        Some(applied) if matches!(applied.origin, Origin::Port(_)) => {
            qos.take_away(&target).map(Some)
        }
        _ => Ok(None),
    }
}

/// Takes a port's limits away and gives its floor back to the network. A device or a bridge that is gone already is no
/// error.
pub fn unplug(qos: &mut Qos<'_>, bridge: Option<&InterfaceName>, port: &Port<'_>) -> Result<()> {
    let target = Target::device(port.device.clone());
    let limited = qos.take_away(&target).map(drop);
    let floor = change_floor(qos, bridge, port.mac, None).map(drop);
    limited.and(floor)
}

/// What a network has left to promise to ports; `None` where it has no inbound limit.
pub fn left(qos: &mut Qos<'_>, bridge: &InterfaceName) -> Result<Option<u64>> {
    let applied = qos.applied(&Target::device(bridge.clone()))?;
    Ok(applied.and_then(|applied| {
        let most = applied.settings.bandwidth.inbound?.most()?.bytes();
        let floors = applied.settings.floors.iter();
        let promised: u64 = floors.map(|port| port.floor.bytes()).sum();
        Some(most.saturating_sub(promised))
    }))
}

/// Gives a port another floor, or none. Returns the one that it had, and what was done.
fn change_floor(
    qos: &mut Qos<'_>,
    bridge: Option<&InterfaceName>,
    mac: MacAddress,
    floor: Option<PortFloor>,
) -> Result<(Option<PortFloor>, Option<Done>)> {
    let wanted = floor.as_ref().map(|port| port.floor);
    let Some(bridge) = bridge else {
        return match wanted {
            Some(floor) => Err(no_bridge(floor)),
            None => Ok((None, None)),
        };
    };
    let target = Target::device(bridge.clone());
    let Some(applied) = qos.applied(&target)? else {
        check_floors(&Bandwidth::default(), floor.as_slice())?;
        return Ok((None, None));
    };
    let mut settings = applied.settings;
    let at = settings.floors.iter().position(|port| port.mac == mac);
    let before = at.map(|at| settings.floors.remove(at));
    if before == floor {
        return Ok((before, None));
    }
    settings.floors.extend(floor);
    check_floors(&settings.bandwidth, &settings.floors)?;
    let done = qos.put(&target, &settings, applied.origin)?;
    Ok((before, Some(done)))
}

fn no_bridge(floor: Rate) -> Error {
    Error::failed(format!(
        "a floor of {floor} cannot be kept: the network has no bridge"
    ))
    .hint("floors are shared out on a bridge that ncf limits, so not with macvtap or SR-IOV")
}
