//! `qos show`.

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::selection::Selection;
use super::view;

/// Show limits, where they come from, and what the kernel counts
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
}

/// Runs `qos show`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let running = session.host.has_interfaces();
    let shown = args.selection.look(session, running)?;
    output.json(&shown.iter().map(view::shown).collect::<Vec<_>>());
    if shown.is_empty() {
        output.print(args.selection.nothing(session)?);
    }
    for line in shown.iter().flat_map(view::lines) {
        output.print(line);
    }
    Ok(None)
}
