//! `net update`.

use clap::ValueEnum;
use serde::Serialize;

use super::super::Done;
use super::super::SettingsFile;
use super::super::output::Output;
use super::super::setup::Session;
use super::{lock, must_run_here, read, running, store};
use crate::error::{Error, Result};
use crate::state::Lock;
use crate::vnet::active::Active;
use crate::vnet::definition::Definition;
use crate::vnet::lifecycle;
use crate::vnet::name::NetworkName;
use crate::vnet::store::unknown;
use crate::vnet::update::{Action, Section, Update};
use crate::xml::Source;

/// Change a part of a network, as 'virsh net-update' does
///
/// Without --live and --config it is --current: what runs, where the network runs, and its definition where not. Both
/// may be given. Everything else of the definition stays as it is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ncf net update fast add-last interface \"<interface dev='eth3'/>\" --live --config
  ncf net update fast delete interface \"<interface dev='eth1'/>\"
  ncf net update lan modify portgroup group.xml --config")]
pub(super) struct Args {
    /// The network
    #[arg(value_name = "NETWORK")]
    name: NetworkName,

    /// What is done to the part
    #[arg(value_enum)]
    action: ActionArg,

    /// Which kind of part it is
    #[arg(value_enum)]
    section: SectionArg,

    /// The part: XML, a file with it, or - for standard input
    #[arg(value_name = "XML|FILE")]
    part: String,

    /// Change what runs
    #[arg(long)]
    live: bool,

    /// Change the definition
    #[arg(
        long,
        num_args = 0,
        default_missing_value = "",
        value_parser = SettingsFile::parse
    )]
    config: Option<SettingsFile>,

    /// What runs if the network runs, its definition if not
    #[arg(long, conflicts_with_all = ["live", "config"])]
    current: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ActionArg {
    /// Add it before the others of its kind
    AddFirst,
    /// Add it behind the others of its kind
    #[value(alias = "add")]
    AddLast,
    /// Take it away
    Delete,
    /// Put it in the place of the one with its name
    Modify,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SectionArg {
    /// Device of the pool: an <interface>, or an <address>
    #[value(alias = "forward-interface")]
    Interface,
    /// Class of ports: a <portgroup>
    Portgroup,
    /// The <bridge>
    Bridge,
}

#[derive(Serialize)]
struct Updated<'a> {
    name: &'a NetworkName,
    live: bool,
    config: bool,
}

/// Runs `net update`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let part = if args.part.trim_start().starts_with('<') {
        Source::new("the part", args.part.as_str())
    } else {
        read(&args.part)?
    };
    let update = Update {
        action: match args.action {
            ActionArg::AddFirst => Action::AddFirst,
            ActionArg::AddLast => Action::AddLast,
            ActionArg::Delete => Action::Delete,
            ActionArg::Modify => Action::Modify,
        },
        section: match args.section {
            SectionArg::Interface => Section::Interface,
            SectionArg::Portgroup => Section::Portgroup,
            SectionArg::Bridge => Section::Bridge,
        },
        part: &part,
    };
    let lock = lock(session, output, "net update")?;
    let record = running(session).active(&args.name)?;
    let (live, config) = targets(args, record.is_some())?;
    // All is computed before anything is written.
    let new_config = config
        .then(|| new_config(args, session, &update))
        .transpose()?;
    let new_live = match record.filter(|_| live) {
        Some(record) => Some((update.apply(&record.definition()?)?, record)),
        None => None,
    };
    if let Some((definition, record)) = new_live {
        apply_live(session, &lock, record, &definition)?;
    }
    if let Some(definition) = new_config {
        store(session).save(&definition, &lock)?;
    }
    output.json(&Updated {
        name: &args.name,
        live,
        config,
    });
    let what = match (live, config) {
        (true, true) => "What runs and the definition are",
        (true, false) => "What runs is",
        _ => "The definition is",
    };
    output.say(format!("{what} changed for the network {}.", args.name));
    Ok(None)
}

/// Whether what runs and whether the definition is changed.
fn targets(args: &Args, runs: bool) -> Result<(bool, bool)> {
    match (args.live, args.config.is_some()) {
        (false, false) => Ok((runs, !runs)),
        (true, _) if !runs => Err(Error::state(format!(
            "the network {} does not run",
            args.name
        ))),
        chosen => Ok(chosen),
    }
}

fn new_config(args: &Args, session: &Session, update: &Update<'_>) -> Result<Definition> {
    let definition = store(session).definition(&args.name)?;
    let definition = definition.ok_or_else(|| unknown(&args.name))?;
    let changed = update.apply(&definition)?;
    let known = crate::vnet::define::Known::of(&session.host.state)?;
    known.admit(changed.network())?;
    Ok(changed)
}

fn apply_live(
    session: &Session,
    lock: &Lock,
    record: Active,
    definition: &Definition,
) -> Result<()> {
    must_run_here(session)?;
    lifecycle::change(&session.host.state, lock, record, definition)
}
