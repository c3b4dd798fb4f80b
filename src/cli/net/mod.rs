//! `net`: logical networks for guests.

mod port;
mod port_view;

use clap::Subcommand;

use super::Done;
use super::output::Output;
use super::setup::Session;

/// Logical networks for guests
///
/// A guest names a network; what that is on this host (a bridge, a macvtap device, a virtual function) is in the
/// host's definition of it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Plug(port::PlugArgs),
    Unplug(port::UnplugArgs),
    Ports(port::PortsArgs),
    Repair(port::RepairArgs),
}

/// Runs `net`.
pub(super) fn run(args: Args, session: &Session, output: &Output) -> Done {
    match args.command {
        Command::Plug(args) => port::plug(args, session, output),
        Command::Unplug(args) => port::unplug(&args, session, output),
        Command::Ports(args) => port::ports(&args, session, output),
        Command::Repair(args) => port::repair(&args, session, output),
    }
}
