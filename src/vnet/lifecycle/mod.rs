//! Starting and stopping networks, and undoing what was left half done.
//!
//! Each step that changes the kernel is noted first: see [`super::active`]. So whatever kills a command, the next
//! one knows what may be there and takes it away. A bridge that ncf has not made is never taken over nor removed.
//!
//! | file | what it holds |
//! |---|---|
//! | `facts` | [`Facts`]: what is looked at first |
//! | `check` | whether a network can be started here (pure) |
//! | `own_bridge` | making and removing a bridge |
//! | `forwarding` | the host's switches |
//! | `limits` | the limits of a network, on its bridge |

mod check;
mod facts;
mod forwarding;
mod limits;
mod own_bridge;

pub use check::{MissingServices, check};
pub use facts::Facts;

use super::active::{Active, Phase, Running};
use super::definition::Definition;
use super::model::{Devices, Forward};
use super::name::NetworkName;
use super::pool::Device;
use super::ports::{self, Connected};
use super::store::Store;
use crate::error::{Error, Result};
use crate::state::{Lock, StateDir};
use crate::sys::netlink::Socket;
use crate::sys::netlink::link::Link;

/// Starts a network, which must not run.
///
/// Fails, with nothing left of it, where it cannot be started here; returns what is not as it might be.
pub fn start(
    state: &StateDir,
    lock: &Lock,
    definition: &Definition,
    facts: &Facts,
    services: MissingServices,
) -> Result<Vec<String>> {
    let running = Running::new(state);
    let name = &definition.network().name;
    if running.record(name)?.is_some() {
        return Err(Error::state(format!("the network {name} runs already")));
    }
    let warnings = check(definition.network(), facts, services)?;
    let mut record = Active::starting(definition)?;
    match bring_up(state, lock, definition, &mut record) {
        Ok(()) => Ok(warnings),
        Err(error) => {
            let error =
                Error::new(error.kind(), format!("cannot start the network {name}")).because(error);
            match take_down(state, lock, &record) {
                Ok(()) => Err(error),
                Err(left) => Err(error
                    .hint(format!("nor could it be undone: {}", left.one_line()))
                    .hint("the next command of 'ncf net' that changes something tries again")),
            }
        }
    }
}

fn bring_up(
    state: &StateDir,
    lock: &Lock,
    definition: &Definition,
    record: &mut Active,
) -> Result<()> {
    let running = Running::new(state);
    let network = definition.network();
    limits::admit(state, lock, network)?;
    if network.bandwidth.is_some_and(|it| !it.is_empty()) {
        record.limited = network.forward.bridge().cloned();
    }
    if let Forward::Virtual(bridge) = &network.forward {
        let others = running.records()?;
        record.bridge = Some(super::active::OwnBridge {
            name: bridge.name.clone(),
            mac: bridge.mac,
            index: None,
        });
        record.needs = forwarding::needs(bridge, &others)?;
        running.write(record, lock)?;
        let mut socket = Socket::open()?;
        if let Err(error) = own_bridge::create(&mut socket, network, bridge) {
            // Whatever is there now, somebody else was faster.
            record.bridge = None;
            record.limited = None;
            return Err(error);
        }
        let link = own_bridge::set_up(&mut socket, bridge)?;
        if let Some(own) = &mut record.bridge {
            own.index = Some(link.index);
        }
        forwarding::switch_on(&record.needs, &others)?;
    } else if record.limited.is_some() {
        running.write(record, lock)?;
    }
    limits::put(state, lock, network)?;
    record.phase = Phase::Running;
    running.write(record, lock)
}

/// Stops a network, which must run. Its ports must have been unplugged; devices that others have put into its
/// bridge are let go.
///
/// On failure what is left of it goes with the next command.
pub fn stop(state: &StateDir, lock: &Lock, mut record: Active) -> Result<()> {
    must_be_here(&record)?;
    let running = Running::new(state);
    record.phase = Phase::Stopping;
    running.write(&record, lock)?;
    take_down(state, lock, &record)
}

/// Changes what a network runs by, and its bridge accordingly.
///
/// Fails, with nothing changed, where that is possible only by stopping it, and where a guest has a device that goes.
pub fn change(
    state: &StateDir,
    lock: &Lock,
    mut record: Active,
    definition: &Definition,
) -> Result<()> {
    must_be_here(&record)?;
    let before = record.definition()?;
    let (old, new) = (&before.network().forward, &definition.network().forward);
    let changed = match (old, new) {
        (Forward::Virtual(old), Forward::Virtual(new)) => own_bridge::changes(old, new),
        (Forward::HostBridge(old), Forward::HostBridge(new)) => (old == new).then(Vec::new),
        (Forward::Macvtap(_), Forward::Macvtap(_))
        | (Forward::Hostdev { .. }, Forward::Hostdev { .. }) => Some(Vec::new()),
        _ => None,
    };
    let same_table = before.network().mac_table == definition.network().mac_table;
    let Some(changed) = changed.filter(|_| same_table) else {
        let what = format!(
            "the network {} runs: that can be changed only in its definition",
            record.name
        );
        return Err(Error::state(what)
            .hint("with --config; it is as the definition says once it is stopped and started"));
    };
    nobody_loses(&record.name, old, new, &ports::users(state, &record.name)?)?;
    if let Some(own) = record.bridge.as_ref().filter(|_| !changed.is_empty()) {
        own_bridge::change(&mut Socket::open()?, own, &changed)?;
    }
    record.set_definition(definition);
    Running::new(state).write(&record, lock)
}

/// Fails where a guest has a device that is in the old pool and not in the new one.
fn nobody_loses(
    name: &NetworkName,
    old: &Forward,
    new: &Forward,
    users: &[Connected],
) -> Result<()> {
    let has = |forward: &Forward, device: &Device| match (forward.devices(), device) {
        (Some(Devices::Interfaces(names)), Device::Link(name)) => names.contains(name),
        (Some(Devices::Addresses(addresses)), Device::Pci(address)) => addresses.contains(address),
        _ => false,
    };
    let loses = |user: &&Connected| has(old, &user.device) && !has(new, &user.device);
    let affected: Vec<_> = users.iter().filter(loses).collect();
    let Some(first) = affected.first() else {
        return Ok(());
    };
    let who: Vec<_> = affected.iter().map(ToString::to_string).collect();
    let what = format!(
        "{} cannot be taken out of the running network {name}: it is in use by {}",
        first.device,
        who.join(", ")
    );
    Err(Error::state(what)
        .hint("unplug or release these first, or change only the definition with --config"))
}

/// Gives a network that runs the limits of another definition, which differs in nothing else, in place. Returns what was
/// done, as lines for people. A `rehearsal` does nothing.
///
/// Fails, with nothing changed, where ports have been promised more than would be left, or the bridge has limits of
/// somebody else's.
pub fn relimit(
    state: &StateDir,
    lock: &Lock,
    before: &Active,
    definition: &Definition,
    rehearsal: bool,
) -> Result<Vec<String>> {
    let network = definition.network();
    limits::admit(state, lock, network)?;
    let mut record = before.clone();
    record.set_definition(definition);
    if rehearsal {
        return limits::change(state, lock, &record, network, true);
    }
    let running = Running::new(state);
    // Whoever stops the network takes away what the record tells of.
    if network.bandwidth.is_some_and(|it| !it.is_empty()) {
        record.limited = network.forward.bridge().cloned();
        running.write(&record, lock)?;
    }
    let done = limits::change(state, lock, &record, network, false);
    if done.is_ok() && network.bandwidth.is_none_or(|it| it.is_empty()) {
        record.limited = None;
    }
    let kept = if done.is_ok() { &record } else { before };
    let written = running.write(kept, lock);
    done.and_then(|steps| written.map(|()| steps))
}

/// The devices in the bridge that ncf has made for a network: guests' and whatever was put there.
pub fn ports_of_own_bridge(record: &Active, links: &[Link]) -> Vec<Link> {
    let Some(own) = &record.bridge else {
        return Vec::new();
    };
    let bridge = links.iter().find(|link| own_bridge::is_ours(link, own));
    let index = bridge.map(|link| link.index);
    links
        .iter()
        .filter(|link| index.is_some() && link.master == index)
        .cloned()
        .collect()
}

/// Whether what was made for a network that runs is still there.
pub fn is_whole(record: &Active, links: &[Link]) -> bool {
    let own = record.bridge.as_ref();
    !record.is_here()
        || own.is_none_or(|own| links.iter().any(|link| own_bridge::is_ours(link, own)))
}

/// Fails where the network runs in another network namespace.
pub fn must_be_here(record: &Active) -> Result<()> {
    if record.is_here() {
        return Ok(());
    }
    let what = format!(
        "the network {} runs in another network namespace",
        record.name
    );
    Err(Error::state(what).hint("run ncf there, for example with nsenter"))
}

fn take_down(state: &StateDir, lock: &Lock, record: &Active) -> Result<()> {
    let running = Running::new(state);
    limits::take_away(state, lock, record)?;
    if let Some(own) = &record.bridge {
        own_bridge::remove(&mut Socket::open()?, own)?;
    }
    let mut others = running.records()?;
    others.retain(|other| other.name != record.name);
    forwarding::switch_off(&record.needs, &others)?;
    running.remove(&record.name, lock)
}

/// Takes away what is left of networks that a killed command was starting or stopping, and the records of those
/// whose bridge somebody has removed, and of earlier boots. Returns the networks that no longer run.
///
/// Goes on where one fails; the first error is returned in the end.
pub fn repair(state: &StateDir, lock: &Lock) -> Result<Vec<NetworkName>> {
    let running = Running::new(state);
    running.sweep(lock);
    Store::new(state).sweep(lock);
    let names = running.names()?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let links = Socket::open()?.links()?;
    let mut gone = Vec::new();
    let mut failed = None;
    for name in names {
        let done = match running.record(&name) {
            Ok(Some(record)) if record.phase == Phase::Running && is_whole(&record, &links) => {
                continue;
            }
            Ok(Some(record)) if !record.is_here() => continue,
            Ok(Some(record)) => take_down(state, lock, &record),
            // Of an earlier boot.
            Ok(None) => {
                let _ = running.remove(&name, lock);
                continue;
            }
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => gone.push(name),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(gone), Err)
}
