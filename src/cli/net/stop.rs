//! `net stop`.

use serde::Serialize;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::{lock, must_run_here, port, running, store};
use crate::error::{Error, Result};
use crate::sys::netlink::Socket;
use crate::vnet::active::Active;
use crate::vnet::lifecycle;
use crate::vnet::name::NetworkName;
use crate::vnet::store::unknown;

/// Stop a network
///
/// Removes the bridge that was made for it. Refused while something is connected to it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The network
    #[arg(value_name = "NETWORK")]
    name: NetworkName,

    /// Even if something is connected to it
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Stopped<'a> {
    name: &'a NetworkName,
    /// What was connected.
    ports: Vec<String>,
}

/// Runs `net stop`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    must_run_here(session)?;
    let lock = lock(session, output, "net stop")?;
    let name = &args.name;
    let Some(record) = running(session).active(name)? else {
        store(session)
            .definition(name)?
            .ok_or_else(|| unknown(name))?;
        return Err(Error::state(format!("the network {name} does not run")).into());
    };
    let guests = port::guests_of(session, name)?;
    if !guests.is_empty() && !args.force {
        let what = format!("the network {name} is in use by {}", guests.join(", "));
        return Err(Error::state(what)
            .hint(format!(
                "'ncf net ports {name}' lists the ports, 'ncf net unplug' takes them away"
            ))
            .hint("--force stops it all the same")
            .into());
    }
    let ports = connected(&record)?;
    if !ports.is_empty() && !args.force {
        let what = format!(
            "the network {name} is in use: {} in its bridge",
            are(&ports)
        );
        return Err(Error::state(what)
            .hint("--force stops it all the same")
            .into());
    }
    lifecycle::stop(&session.host.state, &lock, record)?;
    output.say(format!("The network {name} is stopped."));
    output.json(&Stopped { name, ports });
    Ok(None)
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
