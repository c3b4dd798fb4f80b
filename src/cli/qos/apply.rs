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
    let views = views.chain(networks.iter().map(network_view));
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
    let mut devices = applied.iter();
    let changed = devices.any(|(_, done)| done.as_ref().map_or(true, did));
    if !changed && networks.is_empty() {
        output.say("The kernel has what is recorded.");
    }
    Ok(failed.then_some(ErrorKind::Partial))
}

fn network_view((name, done): &Settled) -> Value {
    let error = done.as_ref().err().map(Error::one_line);
    let steps = done.as_deref().unwrap_or_default();
    json!({ "network": name, "applied": done.is_ok(), "steps": steps, "error": error })
}
