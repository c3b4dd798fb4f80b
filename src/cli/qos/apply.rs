//! `qos apply`.

use serde_json::{Value, json};

use super::super::output::Output;
use super::super::setup::Session;
use super::view::{DoneView, print_steps};
use super::{WaitArgs, lock, must_be_running};
use crate::error::{Error, ErrorKind};
use crate::qos::{Done, Qos, State};
use crate::sys::name::InterfaceName;
use crate::vnet::limits::{self, Settled};

/// Make the kernel agree with what is recorded
///
/// Puts limits where they are missing, changes what differs, and takes away what ncf has put there and no longer is
/// recorded. A limit that is as it should be is not touched. Status 4 says that some device failed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this device
    #[arg(value_name = "DEV", conflicts_with = "all")]
    device: Option<InterfaceName>,

    /// All devices: the default
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    wait: WaitArgs,
}

/// Runs `qos apply`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> super::super::Done {
    must_be_running(session)?;
    let host = &session.host;
    let lock = lock(session, "qos apply", &args.wait)?;
    let mut qos = Qos::open(&host.state, &lock, true)?;
    let applied = match &args.device {
        Some(device) => qos.apply(device)?,
        None => qos.apply_all()?,
    };
    qos.close()?;
    let networks = limits::settle(&host.state, &lock, args.device.as_ref())?;
    let views = applied.iter().map(|(target, done)| match done {
        Ok(done) => json!(DoneView::from(done)),
        Err(error) => json!(DoneView::failed(target, error)),
    });
    let views = views.chain(networks.iter().filter_map(network_view));
    output.json(&views.collect::<Vec<_>>());
    let mut failed = false;
    for (target, done) in &applied {
        match done {
            Ok(done) => {
                if !done.steps.is_empty() {
                    output.say(format!("{target}: applied."));
                } else if done.state == State::Absent && output.verbose {
                    output.say(format!("{target}: there is no such device now."));
                }
                print_steps(&done.steps, output);
            }
            Err(error) => {
                failed = true;
                let what = Error::failed(format!("{target}: {}", error.one_line()));
                output.warn(&error.hints().iter().fold(what, Error::hint));
            }
        }
    }
    for (name, done) in &networks {
        match done {
            Ok(steps) if steps.is_empty() => {}
            Ok(steps) => {
                output.say(format!("network {name}: applied."));
                print_steps(steps, output);
            }
            Err(error) => {
                failed = true;
                output.warn(error);
            }
        }
    }
    let did = |done: &Done| !done.steps.is_empty();
    let changed = applied
        .iter()
        .any(|(_, done)| done.as_ref().map_or(true, did))
        || networks
            .iter()
            .any(|(_, done)| done.as_ref().map_or(true, |steps| !steps.is_empty()));
    if !changed {
        output.say("The kernel has what is recorded.");
    }
    Ok(failed.then_some(ErrorKind::Partial))
}

/// A network of which something was done, or which failed.
fn network_view((name, done): &Settled) -> Option<Value> {
    match done {
        Ok(steps) if steps.is_empty() => None,
        Ok(steps) => Some(json!({
            "network": name, "applied": true, "steps": steps, "error": null,
        })),
        Err(error) => Some(json!({
            "network": name, "applied": false, "steps": [], "error": error.one_line(),
        })),
    }
}
