//! `qos`.

mod apply;
mod check;
mod measure;
mod set;
mod show;
mod view;
mod watch;

use std::time::Duration;

use clap::Subcommand;

use super::Done;
use super::output::Output;
use super::setup::Session;
use crate::error::{Error, Result};
use crate::qos::record::Target;
use crate::state::Lock;
use crate::sys::name::InterfaceName;

/// Limit the traffic of devices
///
/// A limit has an average, and may have a peak that holds while a burst lasts. Rates are in kilobytes (1000 bytes) a
/// second, bursts in KiB, or with a unit: 10mbit, 1.25MB/s, 512KiB. Inbound and outbound are as a guest sees them on a
/// tap, veth or bridge, and as the device sees them elsewhere.
#[derive(Debug, clap::Args)]
#[command(disable_help_subcommand = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Set(set::Args),
    Clear(set::ClearArgs),
    Show(show::Args),
    Watch(watch::Args),
    Apply(apply::Args),
    Check(check::Args),
    Measure(measure::Args),
}

/// What is limited.
#[derive(Debug, clap::Args)]
struct TargetArgs {
    /// The device
    #[arg(value_name = "DEV")]
    device: InterfaceName,

    /// The virtual function N of the SR-IOV card DEV
    #[arg(long = "vf", value_name = "N")]
    function: Option<u32>,
}

impl TargetArgs {
    fn target(&self) -> Target {
        Target {
            device: self.device.clone(),
            function: self.function,
        }
    }
}

/// How long to wait for another ncf.
#[derive(Debug, clap::Args)]
struct WaitArgs {
    /// Wait at most so long for another ncf that is at work
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(..=86_400))]
    wait: u64,
}

/// Runs `qos`.
pub(super) fn run(args: Args, session: &Session, output: &Output) -> Done {
    match args.command {
        Command::Set(args) => set::run(&args, session, output),
        Command::Clear(args) => set::clear(&args, session, output),
        Command::Show(args) => show::run(&args, session, output),
        Command::Watch(args) => watch::run(&args, session, output),
        Command::Apply(args) => apply::run(&args, session, output),
        Command::Check(args) => check::run(&args, output),
        Command::Measure(args) => measure::run(&args, session, output),
    }
}

/// Takes the lock, waiting for another ncf: unlike a change, a limit is often set by several programs at once, such as
/// one for each guest that starts.
fn lock(session: &Session, command: &str, wait: &WaitArgs) -> Result<Lock> {
    let time = Duration::from_secs(wait.wait);
    session.host.state.lock_within(command, time)
}

/// Fails where the system worked on is not the running one, whose devices alone can be looked at.
fn must_be_running(session: &Session) -> Result<()> {
    if session.host.has_interfaces() {
        return Ok(());
    }
    Err(
        Error::state("this looks at devices, and with --root those are another system's")
            .hint("--applier builtin looks at them none the less"),
    )
}
