//! `apply`.

use serde::Serialize;

use super::Done;
use super::change::{print_plan, print_step, say_by_hand};
use super::output::{Output, Tone};
use super::setup::Session;
use super::view::{ActionView, StepView, mended_lines};
use crate::change::bounce::apply;
use crate::change::compare::Depth;
use crate::change::files::Present;
use crate::change::plan::{Bounces, actions};
use crate::change::rollback::plan;
use crate::change::transaction::{Snapshot, Transaction};
use crate::change::tree::Tree;
use crate::error::{Error, ErrorKind};

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
    let lock = if args.dry_run {
        None
    } else {
        Some(host.state.lock("apply")?)
    };
    if let Some(lock) = &lock {
        let _ = Transaction::open(host, lock)?;
    }
    let Some(snapshot) = Snapshot::of_open_change(host)? else {
        let hint =
            "'ncf change-begin' opens one; begin before you edit, so that there is a way back";
        return Err(Error::state("no change is open").hint(hint).into());
    };
    if snapshot.is_rolling_back() {
        let error = Error::state("a rollback of this change has begun and was cut short");
        return Err(error.hint("complete it with 'ncf change-rollback'").into());
    }
    let difference = plan(host, &snapshot, Depth::Quick)?;
    let bounces = difference.apply_bounces();
    let at_risk = difference.operator_at_risk();
    if args.dry_run {
        let actions = actions(&[], &bounces);
        let views: Vec<_> = actions.iter().map(ActionView::from).collect();
        print_plan(&views, "An apply", output);
    }
    if let Some(name) = at_risk {
        let what = format!("Your connection runs over {name}: this change touches it.");
        output.print(output.paint(Tone::Warn, what));
    }
    if args.dry_run {
        return Ok(None);
    }
    if host.applier.name() == "none" {
        output.json(&Applied {
            interfaces: Vec::new(),
            put_back: Vec::new(),
            errors: Vec::new(),
        });
        say_by_hand(&bounces, output);
        return Ok(None);
    }
    let tree = Tree::now(&host.root, &host.scope)?;
    let copies = snapshot.copies();
    let (saved, present) = (snapshot.saved(&copies), Present(&tree));
    let report = apply(host, &difference, &saved, &present, &mut |step| {
        print_step(output, step)
    })?;
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
    mended_lines(&report.mended)
        .into_iter()
        .for_each(|line| output.say(line));
    report
        .mended
        .errors
        .iter()
        .for_each(|error| output.warn(error));
    Ok(conclude(report.is_clean(), &bounces, output))
}

fn conclude(clean: bool, bounces: &Bounces, output: &Output) -> Option<ErrorKind> {
    if clean {
        output.say(match *bounces == Bounces::default() {
            true => "No interface has changed.",
            false => {
                "Applied. Keep it with 'ncf change-commit', undo it with 'ncf change-rollback'."
            }
        });
        return None;
    }
    output.print("Not everything worked: see above. 'ncf change-rollback' undoes the change.");
    Some(ErrorKind::Partial)
}
