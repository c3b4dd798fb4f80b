//! `change-begin`, `change-commit`, `change-rollback`.

use serde::Serialize;

use super::Done;
use super::at_boot::acknowledge;
use super::output::{Output, Tone};
use super::setup::Session;
use super::status::warn_operator;
use super::view::{ActionView, ChangeView, StepView, count, mended_lines, moved_aside, names, op};
use crate::apply::schedule::StepReport;
use crate::change::boot_hook;
use crate::change::boots::MAX_BOOTS;
use crate::change::bounce::Progress;
use crate::change::compare::ChangeKind;
use crate::change::difference::Difference;
use crate::change::host::Host;
use crate::change::manifest::Node;
use crate::change::netcf;
use crate::change::plan::{Action, Bounces, actions};
use crate::change::rollback::{RollbackReport, plan_rollback};
use crate::change::transaction::{Begin, Snapshot, Transaction};
use crate::error::{Error, ErrorKind};
use crate::sys::clock::local;
use crate::sys::name::InterfaceName;
use crate::sys::signals::SignalGuard;

/// Save the network configuration and open a change
///
/// Copies every covered file with its metadata, durably. Until 'change-commit', 'change-rollback' and the
/// next boot bring the saved state back. Fails with status 3 where a change is open already.
#[derive(Debug, clap::Args)]
pub(super) struct BeginArgs {
    /// What the change is for; 'status' shows it to whoever looks next
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// How many boots the change survives before the next one undoes it, 0 to 100
    ///
    /// For a change that only a reboot makes whole, such as a new kernel or renamed devices. 'status' shows how
    /// many are left. A boot counts when its boot hook runs.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u8).range(0..=i64::from(MAX_BOOTS))
    )]
    boots: u8,
}

/// Keep the configuration as it is now and close the change
///
/// Deletes the snapshot. Fails with status 3 where no change is open.
#[derive(Debug, clap::Args)]
pub(super) struct CommitArgs {
    /// Commit although a rollback of the change was cut short and has restored some of the files
    #[arg(long)]
    force: bool,
}

/// Bring the configuration back to what it was when the change began
///
/// Takes down what is new or changed, restores the files, brings up what was changed or deleted, the interface
/// of your SSH session first, and closes the change. Interfaces whose files did not change are not touched. What
/// is discarded goes to the archive, see 'history'. May be interrupted and run again. Status 4 says that the
/// files are restored but an interface did not come up.
#[derive(Debug, clap::Args)]
pub(super) struct RollbackArgs {
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Roll back from the snapshot of netcf's own open change, /var/lib/netcf/network-snapshot
    #[arg(long, conflicts_with = "dry_run")]
    adopt_netcf: bool,
}

#[derive(Serialize)]
struct Begun<'a> {
    id: &'a str,
    began: jiff::Timestamp,
    config_dir: &'a std::path::Path,
    files: usize,
    boots: u8,
}

/// Runs `change-begin`.
pub(super) fn begin(args: BeginArgs, session: &Session, output: &Output) -> Done {
    let host = &session.host;
    let lock = host.state.lock("change-begin")?;
    let (_open, snapshot) = Transaction::begin(
        host,
        &lock,
        Begin {
            reason: args.reason,
            boots: args.boots,
        },
    )?;
    acknowledge(session, &lock, output);
    let manifest = &snapshot.manifest;
    let is_file = |node: &Node| matches!(node, Node::File(_) | Node::Symlink(_));
    let files = manifest
        .entries
        .iter()
        .filter(|entry| is_file(&entry.node))
        .count();
    let config_dir = host.scope.config_dir.as_path();
    output.json(&Begun {
        id: &manifest.id,
        began: manifest.began,
        config_dir,
        files,
        boots: manifest.boots,
    });
    let id = output.paint(Tone::Strong, &manifest.id);
    let saved = count(files, "file");
    output.say(format!(
        "Change {id} is open. {saved} of {} saved.",
        config_dir.display()
    ));
    output
        .say("Keep what you do now with 'ncf change-commit', undo it with 'ncf change-rollback'.");
    if boot_hook::is_enabled(&host.root) {
        output.say(match manifest.boots {
            0 => "If the machine reboots before you commit, it is undone at boot.".to_owned(),
            boots => format!(
                "It survives {}; the next boot after that undoes it.",
                count(boots.into(), "boot")
            ),
        });
    } else {
        let warning = Error::failed("nothing on this host undoes the change if it reboots");
        output.warn(&warning.hint("'systemctl enable ncf-rollback.service' would"));
    }
    Ok(None)
}

#[derive(Serialize)]
struct Committed {
    committed: bool,
}

/// Runs `change-commit`.
pub(super) fn commit(args: &CommitArgs, session: &Session, output: &Output) -> Done {
    let lock = session.host.state.lock("change-commit")?;
    let open = Transaction::open(&session.host, &lock)?;
    if !args.force {
        open.must_not_be_rolling_back()?;
    }
    open.commit(&session.host)?;
    acknowledge(session, &lock, output);
    output.json(&Committed { committed: true });
    output.say("The change is committed: the configuration stays as it is now.");
    Ok(None)
}

/// Runs `change-rollback`.
pub(super) fn rollback(args: &RollbackArgs, session: &Session, output: &Output) -> Done {
    let host = &session.host;
    if args.dry_run {
        return dry_run(session, output);
    }
    let lock = host.state.lock("change-rollback")?;
    let open = if args.adopt_netcf {
        let (open, complete) = netcf::adopt(host, &lock)?;
        if !complete {
            let what = "netcf had not finished its snapshot: files that it does not have are left as they are";
            output.warn(&Error::failed(what));
        }
        open
    } else {
        Transaction::open(host, &lock)?
    };
    let unbroken = SignalGuard::block()?;
    let watch = &mut |progress: Progress<'_>| print_progress(output, progress);
    let report = open.rollback(host, &unbroken, watch)?;
    if report.is_restored() {
        acknowledge(session, &lock, output);
    }
    let done = print_report(&report, output);
    for outdated in super::net::outdated(session) {
        output.warn(&outdated);
    }
    Ok(done)
}

fn dry_run(session: &Session, output: &Output) -> Done {
    let host = &session.host;
    let (difference, refused) = plan_rollback(host, &Snapshot::must_be_open(host)?)?;
    let bounces = difference.rollback_bounces();
    let actions = actions(&difference.changes, &bounces);
    DryRun {
        actions,
        difference: &difference,
        refused,
    }
    .print(host, output);
    Ok(None)
}

#[derive(Serialize)]
struct Plan<'a> {
    applier: &'a str,
    touches_operator: bool,
    refused: Option<String>,
    actions: &'a [ActionView],
}

/// A plan that is not carried out.
pub(super) struct DryRun<'a> {
    pub(super) actions: Vec<Action<'a>>,
    pub(super) difference: &'a Difference,
    /// Why the real run would be refused.
    pub(super) refused: Option<Error>,
}

impl DryRun<'_> {
    /// Prints it.
    pub(super) fn print(&self, host: &Host, output: &Output) {
        let applier = host.applier.name();
        let actions: Vec<_> = self.actions.iter().map(ActionView::from).collect();
        output.json(&Plan {
            applier,
            touches_operator: self.difference.operator_at_risk().is_some(),
            refused: self.refused.as_ref().map(Error::one_line),
            actions: &actions,
        });
        if actions.is_empty() {
            output.print("Nothing would be done: nothing has changed.");
        } else {
            output.print("This would be done, in this order:");
        }
        for action in &actions {
            output.print(action.line());
        }
        if host.applier.is_idle() && actions.iter().any(ActionView::is_bounce) {
            output.print("ifdown and ifup are left to you (applier: none).");
        }
        warn_operator(self.difference, output);
        if let Some(error) = &self.refused {
            output.print("But it would be refused, with nothing changed:");
            output.warn(error);
        }
    }
}

/// Says which interfaces are left to the operator.
pub(super) fn say_by_hand(bounces: &Bounces, output: &Output) {
    if *bounces != Bounces::default() {
        output.say("Interfaces are left alone (applier: none). By hand, this would be:");
        output.say(format!("  ifdown   {}", names(&bounces.down)));
        output.say(format!("  ifup     {}", names(&bounces.up)));
    }
}

/// Prints what is about to happen, and each step as it ends.
pub(super) fn print_progress(output: &Output, progress: Progress<'_>) {
    match progress {
        Progress::Begins(bounces) if *bounces == Bounces::default() => {}
        Progress::Begins(bounces) => {
            let part = |what, list: &[InterfaceName]| {
                (!list.is_empty()).then(|| format!("{what} {}", names(list)))
            };
            let parts = [
                part("taking down", &bounces.down),
                part("bringing up", &bounces.up),
            ];
            let parts: Vec<_> = parts.into_iter().flatten().collect();
            output.say(format!("Now {}:", parts.join(", then ")));
        }
        Progress::Ended(step) => print_step(output, step),
    }
}

/// Prints a step that has ended.
pub(super) fn print_step(output: &Output, step: &StepReport) {
    let seconds = step.took.as_secs_f64();
    match &step.result {
        Ok(()) => {
            let done = output.paint(Tone::Good, "done");
            output.say(format!(
                "  {:8} {:15} {done} ({seconds:.1} s)",
                op(step.verb),
                step.name
            ));
        }
        Err(error) => {
            let failed = output.paint(Tone::Bad, "FAILED");
            let name = step.name.to_string();
            output.print(format!(
                "  {:8} {name:15} {failed}: {}",
                op(step.verb),
                error.one_line()
            ));
        }
    }
    for note in &step.notes {
        output.say(format!("    {note}"));
    }
}

#[derive(Default, Serialize)]
struct RolledBack<'a> {
    id: Option<&'a str>,
    restored: bool,
    changes: Vec<ChangeView>,
    interfaces: Vec<StepView>,
    put_back: Vec<String>,
    moved_aside: &'a [String],
    warnings: Vec<String>,
    errors: Vec<String>,
    archive: Option<&'a str>,
}

/// Prints that there was nothing to roll back.
pub(super) fn print_nothing(why: &str, output: &Output) {
    output.json(&RolledBack {
        restored: true,
        ..RolledBack::default()
    });
    output.say(why);
}

/// Prints what a rollback did, and returns what that comes to.
pub(super) fn print_report(report: &RollbackReport, output: &Output) -> Option<ErrorKind> {
    let texts = |errors: &[Error]| errors.iter().map(Error::one_line).collect::<Vec<_>>();
    let steps = || report.interfaces.iter().chain(&report.mended.revived);
    output.json(&RolledBack {
        id: Some(&report.id),
        restored: report.is_restored(),
        changes: report.changes.iter().map(ChangeView::from).collect(),
        interfaces: steps().map(StepView::from).collect(),
        put_back: report
            .mended
            .put_back
            .iter()
            .map(|port| port.port.to_string())
            .collect(),
        moved_aside: &report.moved_aside,
        warnings: texts(&report.warnings),
        errors: report
            .errors
            .iter()
            .chain(&report.mended.errors)
            .map(Error::one_line)
            .collect(),
        archive: report.archive.as_deref(),
    });
    for change in report
        .changes
        .iter()
        .filter(|_| output.verbose && report.is_restored())
    {
        let undone = if change.change.kind == ChangeKind::Added {
            "removed"
        } else {
            "restored"
        };
        output.say(format!("  {undone:8} {}", change.change.path.display()));
    }
    for line in mended_lines(&report.mended) {
        output.say(line);
    }
    for name in &report.moved_aside {
        output.say(moved_aside(name));
    }
    if let Some(bounces) = &report.not_bounced {
        say_by_hand(bounces, output);
    }
    for warning in report.warnings.iter().chain(&report.mended.errors) {
        output.warn(warning);
    }
    for error in &report.errors {
        output.warn(error);
    }
    conclude(report, output)
}

fn conclude(report: &RollbackReport, output: &Output) -> Option<ErrorKind> {
    let began = local(report.began);
    if !report.is_restored() {
        let failed = count(report.errors.len(), "error");
        output.print(format!(
            "Not everything is restored ({failed}). The change is still open: mend the cause and run \
             'ncf change-rollback' again."
        ));
        return Some(ErrorKind::Failed);
    }
    let files = count(report.changes.len(), "file");
    let id = output.paint(Tone::Strong, &report.id);
    match &report.archive {
        None => output.say(format!(
            "Change {id} is closed. Nothing differed from the snapshot of {began}."
        )),
        Some(_) => output.say(format!(
            "Change {id} is rolled back: {files} as of {began}."
        )),
    }
    if report.archive.is_some() {
        output.say(format!(
            "What was discarded: 'ncf history show {}'.",
            report.id
        ));
    }
    if report.is_clean() {
        return None;
    }
    output.print("The configuration is restored, but not everything worked: see above.");
    Some(ErrorKind::Partial)
}
