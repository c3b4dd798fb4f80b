//! `net dumpxml`.

use serde::Serialize;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::{running, store};
use crate::error::Error;
use crate::vnet::connections;
use crate::vnet::name::NetworkName;
use crate::vnet::ports::users;
use crate::vnet::store::unknown;

/// Print the definition of a network as XML
///
/// It is what was defined, byte for byte, with what was generated put in.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The network
    #[arg(value_name = "NETWORK")]
    name: NetworkName,

    /// The definition that it runs by, instead of the one that it will be started with; with the numbers of guests
    /// as connections='N', as in libvirt
    #[arg(long)]
    live: bool,
}

#[derive(Serialize)]
struct Dumped<'a> {
    name: &'a NetworkName,
    live: bool,
    xml: &'a str,
}

/// Runs `net dumpxml`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let record = running(session).active(&args.name)?;
    let (definition, live) = if args.live {
        let not_running = || Error::state(format!("the network {} does not run", args.name));
        (record.ok_or_else(not_running)?.definition()?, true)
    } else {
        match (store(session).definition(&args.name)?, record) {
            (Some(definition), _) => (definition, false),
            (None, Some(record)) => (record.definition()?, true),
            (None, None) => return Err(unknown(&args.name).into()),
        }
    };
    let text = if live {
        connections::counted(&definition, &users(&session.host.state, &args.name)?)?
    } else {
        definition.text().to_owned()
    };
    output.json(&Dumped {
        name: &args.name,
        live,
        xml: &text,
    });
    output.raw(&text);
    Ok(None)
}
