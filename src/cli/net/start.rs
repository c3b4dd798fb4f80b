//! `net start`.

use serde::Serialize;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::{lock, must_run_here, running, store};
use crate::error::{Error, ErrorKind, Result};
use crate::state::Lock;
use crate::sys::netlink::Socket;
use crate::vnet::lifecycle::{self, Facts, MissingServices};
use crate::vnet::name::NetworkName;

/// Start networks
///
/// Makes the bridge of a network that has one of ncf's own; looks whether bridge or devices are there for any other.
/// On failure nothing is left. What ncf does not do yet (the mode nat, DHCP, DNS) is refused.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The networks
    #[arg(
        value_name = "NETWORK",
        required_unless_present = "autostart",
        conflicts_with = "autostart"
    )]
    names: Vec<NetworkName>,

    /// All that are to be started at boot and do not run yet
    #[arg(long)]
    autostart: bool,

    /// Start a network that asks for DHCP, DNS or TFTP all the same, without them
    #[arg(long)]
    without_services: bool,
}

#[derive(Serialize)]
struct Attempt {
    name: NetworkName,
    started: bool,
    warnings: Vec<String>,
    error: Option<String>,
}

/// Runs `net start`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    must_run_here(session)?;
    let lock = lock(session, output, "net start")?;
    let names = if args.autostart {
        let runs = running(session);
        let mut names = store(session).autostarted()?;
        names.retain(|name| runs.active(name).is_ok_and(|record| record.is_none()));
        names
    } else {
        args.names.clone()
    };
    let services = if args.without_services {
        MissingServices::DoWithout
    } else {
        MissingServices::Refuse
    };
    let mut started = Vec::new();
    let mut failed = None;
    for name in names {
        match start(session, &lock, &name, services) {
            Ok(warnings) => {
                output.say(format!("The network {name} is started."));
                for warning in &warnings {
                    output.warn(&Error::failed(format!("{name}: {warning}")));
                }
                started.push(view(name, warnings, None));
            }
            Err(error) => {
                started.push(view(name, Vec::new(), Some(error.one_line())));
                // One alone is the command's error; of several the others are started all the same.
                if !args.autostart && args.names.len() == 1 {
                    output.json(&started);
                    return Err(error.into());
                }
                output.warn(&error);
                failed = failed.or(Some(error.kind()));
            }
        }
    }
    output.json(&started);
    if args.autostart && started.is_empty() {
        output.say("No network is left to be started.");
    }
    Ok(failed.map(|_| ErrorKind::Failed))
}

fn start(
    session: &Session,
    lock: &Lock,
    name: &NetworkName,
    services: MissingServices,
) -> Result<Vec<String>> {
    let host = &session.host;
    let definition = store(session).must_have(name)?;
    let facts = Facts::gather(
        &mut Socket::open()?,
        definition.network(),
        host.who.ssh_client(),
    )?;
    lifecycle::start(&host.state, lock, &definition, &facts, services)
}

fn view(name: NetworkName, warnings: Vec<String>, error: Option<String>) -> Attempt {
    Attempt {
        name,
        started: error.is_none(),
        warnings,
        error,
    }
}
