//! Limits of networks that run and of ports that are plugged in, changed in place.
//!
//! A network's limits are in its definition, and in the copy of that which it runs by. A change is made in both, or
//! only in what runs. A port is there only as long as its guest is, and so are its limits.

use super::active::{Active, Phase, Running};
use super::definition::{Definition, generate};
use super::lifecycle;
use super::name::NetworkName;
use super::plug;
use super::ports::{Connection, Port, PortId, Ports, Read};
use super::store::{Store, unknown};
use crate::error::{Context as _, Error, Result};
use crate::qos::{Bandwidth, Change, Done, Qos};
use crate::state::{Lock, StateDir};
use crate::sys::boot;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::Socket;
use crate::xml::{Edit, Element, Source};

/// How a change is made.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Only to what runs.
    pub transient: bool,
    /// Only told.
    pub rehearsal: bool,
    /// Whether the system worked on is the running one.
    pub here: bool,
}

/// What became of a network's limits.
#[derive(Debug)]
pub struct Changed {
    /// The bridge that holds them.
    pub bridge: InterfaceName,
    /// Those that the network runs by; `None` where it does not run.
    pub live: Option<Bandwidth>,
    /// Those of its definition; `None` where that was left alone, or there is none.
    pub defined: Option<Bandwidth>,
    /// What was done, as lines for people.
    pub steps: Vec<String>,
}

/// Changes the limits of a network: those that it runs by, if it runs, and those of its definition, if it has one.
///
/// Fails with nothing changed where the network has no bridge, ports have been promised more than would be left (by how
/// much is said), or the limits cannot be written in XML.
pub fn change_network(
    state: &StateDir,
    lock: &Lock,
    name: &NetworkName,
    change: &Change,
    manner: Manner,
) -> Result<Changed> {
    let (store, running) = (Store::new(state), Running::new(state));
    let record = running.active(name)?.filter(|_| manner.here);
    let stored = store.definition(name)?;
    if record.is_none() && (manner.transient || stored.is_none()) {
        return Err(if stored.is_none() {
            unknown(name)
        } else {
            Error::state(format!("the network {name} is not active"))
                .hint("without --transient, its definition is changed")
        });
    }
    // All is computed before anything is done.
    let stored = stored.filter(|_| !manner.transient);
    let definition = stored.map(|it| changed(&it, change)).transpose()?;
    let mut steps = Vec::new();
    let mut live = None;
    if let Some(mut record) = record {
        lifecycle::must_be_here(&record)?;
        let new = changed(&record.definition()?, change)?;
        record.limits_follow = definition.is_some();
        steps = lifecycle::relimit(state, lock, &record, &new, manner.rehearsal)?;
        live = Some((record, new));
    }
    if let Some(definition) = definition.as_ref().filter(|_| !manner.rehearsal) {
        store.save(definition, lock).inspect_err(|_| {
            // The error that counts is this one.
            if let Some((record, _)) = &live
                && let Ok(before) = record.definition()
            {
                let _ = lifecycle::relimit(state, lock, record, &before, false);
            }
        })?;
    }
    let live = live.map(|(_, definition)| definition);
    let some = live.as_ref().or(definition.as_ref());
    let bridge = some.and_then(|it| it.network().forward.bridge().cloned());
    Ok(Changed {
        bridge: bridge.ok_or_else(|| unknown(name))?,
        live: live.as_ref().map(limits),
        defined: definition.as_ref().map(limits),
        steps,
    })
}

fn limits(definition: &Definition) -> Bandwidth {
    definition.network().bandwidth.unwrap_or_default()
}

/// The definition with its limits changed, everything else as it was.
fn changed(definition: &Definition, change: &Change) -> Result<Definition> {
    let new = change.of(&limits(definition));
    with_limits(definition, &new)
}

fn with_limits(definition: &Definition, limits: &Bandwidth) -> Result<Definition> {
    let network = definition.network();
    let name = &network.name;
    if network.forward.bridge().is_none() {
        let what = format!(
            "the network {name} has no bridge that could be limited: its mode is {}",
            network.forward.mode()
        );
        return Err(Error::failed(what).hint("limit its ports: --port, or their <portgroup>"));
    }
    crate::qos::network::check(limits)?;
    if limits == &self::limits(definition) {
        return Ok(definition.clone());
    }
    let source = Source::new(format!("the network {name}"), definition.text());
    let text = rewritten(&source, limits).context(|| format!("cannot limit the network {name}"))?;
    Definition::read_like(
        &Source::new(source.name(), text),
        network,
        &generate(|_| false)?,
    )
}

/// The text with this `<bandwidth>` in the place of the one that it has.
fn rewritten(source: &Source, limits: &Bandwidth) -> Result<String> {
    let document = source.parse()?;
    let root = document.root();
    let mut edit = Edit::new(source);
    let old = root.child("bandwidth")?;
    if limits.is_empty() {
        if let Some(old) = old {
            edit.remove(old);
        }
        return Ok(edit.finish());
    }
    let written = limits.to_xml()?.to_string();
    // Each line of it indented like the element that it stands beside.
    let beside = |edit: &Edit<'_>, element: Element<'_>| match edit.indentation(element) {
        lead if lead.is_empty() => written.lines().map(str::trim).collect(),
        lead => written.trim_end().replace('\n', &lead),
    };
    if let Some(old) = old {
        let written: String = beside(&edit, old);
        edit.replace(old, &written);
        return Ok(edit.finish());
    }
    // Where libvirt prints it.
    let before = ["vlan", "dns", "domain", "mac", "mtu", "bridge", "forward"];
    let mut found = None;
    for name in before {
        found = found.or(root.child(name)?);
    }
    match found.or(root.children().last()) {
        Some(element) => {
            let written: String = beside(&edit, element);
            edit.insert_after(element, &written);
        }
        None => edit.append(root, &written),
    }
    Ok(edit.finish())
}

/// What became of a port's limits.
#[derive(Debug)]
pub struct PortChanged {
    /// The port, with its limits as they are now.
    pub port: Port,
    /// What was done, as lines for people.
    pub steps: Vec<String>,
}

/// Changes the limits of a port.
///
/// Fails with nothing changed where its network cannot promise that much (by how much is said), or its device cannot
/// have such limits.
pub fn change_port(
    state: &StateDir,
    lock: &Lock,
    id: PortId,
    change: &Change,
    rehearsal: bool,
) -> Result<PortChanged> {
    let ports = Ports::new(state, &boot::id()?);
    let before = ports.must_have(&ports.index()?, id)?;
    let limits = change.of(&before.bandwidth.unwrap_or_default());
    let mut port = before.clone();
    port.bandwidth = Some(limits).filter(|it| !it.is_empty());
    let mut qos = Qos::open(state, lock, true)?;
    if rehearsal {
        qos.rehearse();
        let done = plug::limits::change(&mut qos, &port, limits)?;
        return Ok(told(port, &done));
    }
    // The record comes first where there are limits afterwards: whoever unplugs the port takes away what it tells of.
    if port.bandwidth.is_some() {
        ports.rewrite(lock, &port)?;
    }
    let done = plug::limits::change(&mut qos, &port, limits);
    let closed = qos.close();
    match done {
        Ok(done) => {
            closed?;
            if port.bandwidth.is_none() {
                ports.rewrite(lock, &port)?;
            }
            Ok(told(port, &done))
        }
        Err(error) => {
            let _ = ports.rewrite(lock, &before);
            Err(error)
        }
    }
}

fn told(port: Port, done: &[Done]) -> PortChanged {
    let mut steps = Vec::new();
    for done in done {
        let lines = done.steps.iter();
        steps.extend(lines.map(|step| format!("{}: {step}", done.target)));
    }
    PortChanged { port, steps }
}

/// A network, and what was done to its limits or those of a port of it, as lines for people; or why that failed.
pub type Settled = (NetworkName, Result<Vec<String>>);

/// Makes running networks and ports have their limits once more: where a bridge of the host was made anew, where a
/// rollback has brought back the definition that limits had been changed in, and where a command that changed them was
/// killed. All, or those that `only` holds: a network's bridge, or the device of a port. One that fails keeps none of the
/// others. Returns only those of which something was done, or that failed.
pub fn settle(state: &StateDir, lock: &Lock, only: Option<&InterfaceName>) -> Result<Vec<Settled>> {
    let mut records = Running::new(state).records()?;
    records.retain(|record| {
        let wanted = only.is_none_or(|only| record.limited.as_ref() == Some(only));
        wanted && record.phase == Phase::Running && record.is_here()
    });
    let failed = |name: &NetworkName| format!("cannot bring back the limits of the network {name}");
    let mut settled = Vec::new();
    for record in &records {
        let done = settle_network(state, lock, record).context(|| failed(&record.name));
        settled.push((record.name.clone(), done));
    }
    let ports = Ports::new(state, &boot::id()?).list()?.into_iter();
    let limited = ports.filter_map(|read| match read {
        Read::Port(port) => port.bandwidth.map(|limits| (port, limits)),
        Read::Broken(..) => None,
    });
    let limited: Vec<_> = limited.collect();
    // Most changes are made on hosts that have none.
    if !limited.is_empty() {
        let (mut socket, mut qos) = (Socket::open()?, Qos::open(state, lock, true)?);
        for (port, limits) in limited {
            let network = port.network.clone();
            let done = match is_wanted(&mut socket, &port, only) {
                Ok(false) => continue,
                wanted => wanted.and_then(|_| plug::limits::change(&mut qos, &port, limits)),
            };
            let done = done.map(|done| told(*port, &done).steps);
            settled.push((network.clone(), done.context(|| failed(&network))));
        }
        qos.close()?;
    }
    settled.retain(|(_, done)| done.as_ref().map_or(true, |steps| !steps.is_empty()));
    Ok(settled)
}

/// Whether a port is held by `only`, and its device is there.
fn is_wanted(socket: &mut Socket, port: &Port, only: Option<&InterfaceName>) -> Result<bool> {
    let (device, bridge) = match &port.connection {
        Connection::Hostdev(hostdev) => match &hostdev.function {
            Some(function) => (function.physical.clone(), None),
            None => return Ok(false),
        },
        Connection::Tap(tap) => (plug::device_of(port)?, Some(&tap.bridge)),
        Connection::Macvtap(_) => (plug::device_of(port)?, None),
    };
    if only.is_some_and(|only| *only != device && Some(only) != bridge) {
        return Ok(false);
    }
    Ok(socket.link(&device)?.is_some())
}

fn settle_network(state: &StateDir, lock: &Lock, record: &Active) -> Result<Vec<String>> {
    let now = record.definition()?;
    let stored = if record.limits_follow {
        Store::new(state).definition(&record.name)?
    } else {
        None
    };
    let wanted = limits(stored.as_ref().unwrap_or(&now));
    let network = now.network();
    if network.forward.bridge().is_none() || (wanted.is_empty() && record.limited.is_none()) {
        return Ok(Vec::new());
    }
    let new = with_limits(&now, &wanted)?;
    lifecycle::relimit(state, lock, record, &new, false)
}

/// The ports of a network. Fails where there is no such network.
pub fn ports_of(state: &StateDir, name: &NetworkName) -> Result<Vec<PortId>> {
    if Running::new(state).active(name)?.is_none() {
        Store::new(state).must_have(name)?;
    }
    let read = Ports::new(state, &boot::id()?).list()?.into_iter();
    let ports = read.filter_map(|read| match read {
        Read::Port(port) if port.network == *name => Some(port.id),
        _ => None,
    });
    Ok(ports.collect())
}
