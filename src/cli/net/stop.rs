//! `net stop`.

use serde::Serialize;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::{lock, must_run_here, running, store};
use crate::error::{Error, ErrorKind, Result};
use crate::state::Lock;
use crate::sys::netlink::Socket;
use crate::vnet::active::Active;
use crate::vnet::lifecycle;
use crate::vnet::name::NetworkName;
use crate::vnet::ports::users;
use crate::vnet::store::unknown;

/// Stop networks
///
/// Removes the bridges that were made for them. A network that something is connected to is not stopped.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The networks
    #[arg(value_name = "NETWORK", required = true)]
    names: Vec<NetworkName>,

    /// Even if something is connected to it
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Attempt {
    name: NetworkName,
    stopped: bool,
    /// What was connected.
    ports: Vec<String>,
    error: Option<String>,
}

/// Runs `net stop`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    must_run_here(session)?;
    let lock = lock(session, output, "net stop")?;
    let mut attempts = Vec::new();
    let mut failed = false;
    for name in &args.names {
        let (ports, error) = match stop(session, &lock, name, args.force) {
            Ok(ports) => {
                output.say(format!("The network {name} is stopped."));
                (ports, None)
            }
            Err(error) => (Vec::new(), Some(error)),
        };
        attempts.push(Attempt {
            name: name.clone(),
            stopped: error.is_none(),
            ports,
            error: error.as_ref().map(Error::one_line),
        });
        if let Some(error) = error {
            // One alone is the command's error; of several the others are stopped all the same.
            if args.names.len() == 1 {
                output.json(&attempts);
                return Err(error.into());
            }
            output.warn(&error);
            failed = true;
        }
    }
    output.json(&attempts);
    Ok(failed.then_some(ErrorKind::Failed))
}

/// Stops a network. Returns what was connected to its bridge.
fn stop(session: &Session, lock: &Lock, name: &NetworkName, force: bool) -> Result<Vec<String>> {
    let Some(record) = running(session).active(name)? else {
        store(session)
            .definition(name)?
            .ok_or_else(|| unknown(name))?;
        return Err(Error::state(format!("the network {name} does not run")));
    };
    let guests: Vec<_> = users(&session.host.state, name)?
        .iter()
        .map(ToString::to_string)
        .collect();
    if !guests.is_empty() && !force {
        let what = format!("the network {name} is in use by {}", guests.join(", "));
        return Err(Error::state(what)
            .hint(format!(
                "'ncf net ports {name}' lists the ports, 'ncf net unplug' takes them away"
            ))
            .hint("--force stops it all the same"));
    }
    let ports = connected(&record)?;
    if !ports.is_empty() && !force {
        let what = format!(
            "the network {name} is in use: {} in its bridge",
            are(&ports)
        );
        return Err(Error::state(what).hint("--force stops it all the same"));
    }
    lifecycle::stop(&session.host.state, lock, record)?;
    Ok(ports)
}

fn connected(record: &Active) -> Result<Vec<String>> {
    let links = Socket::open()?.links()?;
    let ports = lifecycle::ports_of_own_bridge(record, &links);
    Ok(ports
        .into_iter()
        .map(|link| link.name.to_string())
        .collect())
}

fn are(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}
