//! `net autostart`.

use serde::Serialize;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::{lock, store};
use crate::vnet::name::NetworkName;

/// Start a network at boot, or no longer
///
/// ncf-networks.service does it, once the interfaces are there.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The network
    #[arg(value_name = "NETWORK")]
    name: NetworkName,

    /// No longer
    #[arg(long)]
    disable: bool,
}

#[derive(Serialize)]
struct Autostart<'a> {
    name: &'a NetworkName,
    autostart: bool,
}

/// Runs `net autostart`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let lock = lock(session, output, "net autostart")?;
    let autostart = !args.disable;
    if autostart {
        store(session).must_have(&args.name)?;
    }
    store(session).set_autostart(&args.name, autostart, &lock)?;
    output.json(&Autostart {
        name: &args.name,
        autostart,
    });
    let what = if autostart {
        "is started at boot"
    } else {
        "is no longer started at boot"
    };
    output.say(format!("The network {} {what}.", args.name));
    Ok(None)
}
