//! `qos`.

mod apply;
mod check;
mod measure;
mod network;
mod selection;
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
use crate::sys::boot;
use crate::sys::name::InterfaceName;
use crate::vnet::name::NetworkName;
use crate::vnet::ports::{PortId, Ports};

/// Limit the traffic of devices, networks and ports
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
#[command(group = clap::ArgGroup::new("what").required(true))]
struct TargetArgs {
    /// The device
    #[arg(value_name = "DEV", group = "what")]
    device: Option<InterfaceName>,

    /// The virtual function N of the SR-IOV card DEV
    #[arg(long = "vf", value_name = "N", conflicts_with_all = ["network", "port"])]
    function: Option<u32>,

    /// The logical network N: all its ports together, on its bridge
    #[arg(long, value_name = "N", group = "what")]
    network: Option<NetworkName>,

    /// The port P of a guest in a logical network, as 'ncf net ports' lists it
    #[arg(long, value_name = "P", group = "what")]
    port: Option<PortId>,
}

/// One thing that is limited.
enum Limited<'a> {
    Device(Target),
    Network(&'a NetworkName),
    Port(PortId),
}

impl TargetArgs {
    fn limited(&self, session: &Session) -> Result<Limited<'_>> {
        match (&self.device, &self.network, self.port) {
            (Some(device), ..) => {
                not_a_port(device, session)?;
                Ok(Limited::Device(Target {
                    device: device.clone(),
                    function: self.function,
                }))
            }
            (None, Some(network), _) => Ok(Limited::Network(network)),
            (None, None, Some(port)) => Ok(Limited::Port(port)),
            (None, None, None) => Err(Error::usage("a device, --network or --port is needed")),
        }
    }
}

/// Refuses the device of a port: a limit that is recorded for it would be that of another guest after the next boot.
fn not_a_port(device: &InterfaceName, session: &Session) -> Result<()> {
    let Ok(id) = device.as_str().parse::<PortId>() else {
        return Ok(());
    };
    let ports = Ports::new(&session.host.state, &boot::id()?);
    match ports.find(&ports.index()?, id)? {
        Some(port) => Err(Error::failed(format!(
            "{device} is the device of a port of the network {}",
            port.network
        ))
        .hint(format!("give --port {id} in its place"))),
        None => Ok(()),
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
