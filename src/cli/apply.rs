//! `apply`.

use serde::Serialize;

use super::Done;
use super::change::{DryRun, print_progress, say_by_hand};
use super::output::Output;
use super::setup::Session;
use super::status::warn_operator;
use super::view::{StepView, mended_lines};
use crate::change::bounce::{ApplyReport, plan_apply};
use crate::change::plan::{Bounces, actions};
use crate::change::rollback::plan;
use crate::change::transaction::{Snapshot, Transaction};
use crate::error::{Error, ErrorKind};
use crate::sys::signals::SignalGuard;

/// Make the changed files the running state
///
/// Takes down and brings up exactly the interfaces whose files differ from the snapshot, in the order of their
/// dependencies. Needs an open change, so that there is a way back. Status 4 says that an interface failed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Applied {
    interfaces: Vec<StepView>,
    put_back: Vec<String>,
    errors: Vec<String>,
}

/// Runs `apply`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let host = &session.host;
    if args.dry_run {
        let (difference, refused) = plan_apply(host, &Snapshot::must_be_open(host)?)?;
        let bounces = difference.apply_bounces();
        let actions = actions(&[], &bounces);
        DryRun {
            actions,
            difference: &difference,
            refused,
        }
        .print(host, output);
        return Ok(None);
    }
    let lock = host.state.lock("apply")?;
    let open = Transaction::open(host, &lock)?;
    let difference = plan(host, &open.snapshot()?)?;
    let bounces = difference.apply_bounces();
    if host.applier.is_idle() {
        output.json(&Applied {
            interfaces: Vec::new(),
            put_back: Vec::new(),
            errors: Vec::new(),
        });
        say_by_hand(&bounces, output);
        return Ok(None);
    }
    warn_operator(&difference, output);
    let unbroken = SignalGuard::block()?;
    let report = open.apply(host, &unbroken, &mut |progress| {
        print_progress(output, progress);
    })?;
    print_report(&report, output);
    Ok(conclude(report.is_clean(), &bounces, output))
}

fn print_report(report: &ApplyReport, output: &Output) {
    let steps = report.interfaces.iter().chain(&report.mended.revived);
    output.json(&Applied {
        interfaces: steps.map(StepView::from).collect(),
        put_back: report
            .mended
            .put_back
            .iter()
            .map(|port| port.port.to_string())
            .collect(),
        errors: report.mended.errors.iter().map(Error::one_line).collect(),
    });
    for line in mended_lines(&report.mended) {
        output.say(line);
    }
    for error in &report.mended.errors {
        output.warn(error);
    }
}

fn conclude(clean: bool, bounces: &Bounces, output: &Output) -> Option<ErrorKind> {
    if !clean {
        output.print("Not everything worked: see above. 'ncf change-rollback' undoes the change.");
        return Some(ErrorKind::Partial);
    }
    output.say(if *bounces == Bounces::default() {
        "No interface has changed."
    } else {
        "Applied. Keep it with 'ncf change-commit', undo it with 'ncf change-rollback'."
    });
    None
}
