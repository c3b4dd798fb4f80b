//! `net undefine`.

use serde::Serialize;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::{lock, running, store};
use crate::vnet::name::NetworkName;
use crate::vnet::store::unknown;

/// Remove the definition of a network
///
/// Where it runs, it runs on until it is stopped or the host reboots.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The network
    #[arg(value_name = "NETWORK")]
    name: NetworkName,
}

#[derive(Serialize)]
struct Undefined<'a> {
    name: &'a NetworkName,
    active: bool,
}

/// Runs `net undefine`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let lock = lock(session, output, "net undefine")?;
    let store = store(session);
    // One that is damaged must be removable too.
    if store.definition(&args.name).is_ok_and(|it| it.is_none()) {
        return Err(unknown(&args.name).into());
    }
    store.remove(&args.name, &lock)?;
    let active = running(session).active(&args.name)?.is_some();
    output.json(&Undefined {
        name: &args.name,
        active,
    });
    output.say(format!("The network {} is no longer defined.", args.name));
    if active {
        output.say(format!(
            "It runs on until 'ncf net stop {}' or a reboot.",
            args.name
        ));
    }
    Ok(None)
}
