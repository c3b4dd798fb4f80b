//! `net validate`.

use serde::Serialize;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::{define, read};
use crate::error::Result;
use crate::sys::netlink::Socket;
use crate::vnet::definition::Definition;
use crate::vnet::lifecycle::{self, Facts, MissingServices};
use crate::vnet::name::NetworkName;

/// Check a definition without defining it
///
/// Status 0 says that 'net define' would take it. Whether it could be started on this host now is said too, and is
/// no failure: the devices may come later.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File with a <network>, or - for standard input
    #[arg(value_name = "FILE")]
    file: String,
}

#[derive(Serialize)]
struct Validated<'a> {
    name: &'a NetworkName,
    mode: &'static str,
    notes: &'a [String],
    /// Why it could not be started here now; absent where it could.
    obstacle: Option<String>,
    warnings: Vec<String>,
}

/// Runs `net validate`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let (definition, _) = define::prepare(session, &read(&args.file)?)?;
    let network = definition.network();
    let (obstacle, warnings) = match startable(session, &definition) {
        Ok(warnings) => (None, warnings),
        Err(error) => (Some(error.one_line()), Vec::new()),
    };
    output.json(&Validated {
        name: &network.name,
        mode: network.forward.mode(),
        notes: &network.notes,
        obstacle: obstacle.clone(),
        warnings: warnings.clone(),
    });
    output.print(format!(
        "The definition of the network {} is valid.",
        network.name
    ));
    for note in network.notes.iter().chain(&warnings) {
        output.print(format!("  note: {note}"));
    }
    if let Some(obstacle) = obstacle {
        output.print(format!("  but now: {obstacle}"));
    }
    Ok(None)
}

fn startable(session: &Session, definition: &Definition) -> Result<Vec<String>> {
    if !session.host.has_interfaces() {
        return Ok(Vec::new());
    }
    let facts = Facts::gather(
        &mut Socket::open()?,
        definition.network(),
        session.host.who.ssh_client(),
    )?;
    lifecycle::check(definition.network(), &facts, MissingServices::Refuse)
}
