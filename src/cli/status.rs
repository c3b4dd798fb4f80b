//! `status`.

use std::path::PathBuf;

use serde::Serialize;

use super::Done;
use super::at_boot::{self, AtBootView};
use super::output::{Output, Tone};
use super::setup::Session;
use super::view::{ChangeView, WhoView, ago, count, names};
use crate::change::compare::ChangeKind;
use crate::change::difference::Difference;
use crate::change::host::Host;
use crate::change::netcf;
use crate::change::plan::{Bounces, FileChange};
use crate::change::rollback::plan;
use crate::change::transaction::Snapshot;
use crate::sys::clock::local;
use crate::sys::name::InterfaceName;

/// Show whether a change is open, and what it has changed
///
/// Who opened it, when and from where; which files differ from the snapshot; which interfaces a rollback would
/// take down and bring up, in order; and whether that is about your own connection.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

#[derive(Default, Serialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a field of its own in the JSON"
)]
struct Status {
    open: bool,
    id: Option<String>,
    began: Option<jiff::Timestamp>,
    by: Option<WhoView>,
    reason: Option<String>,
    rebooted: bool,
    rollback_unfinished: bool,
    changes: Vec<ChangeView>,
    interfaces: Bounces,
    operator_interface: Option<InterfaceName>,
    touches_operator: bool,
    netcf_snapshot: Option<PathBuf>,
    boots_left: Option<u8>,
    at_boot: Vec<AtBootView>,
}

/// Runs `status`.
pub(super) fn run(_args: &Args, session: &Session, output: &Output) -> Done {
    let host = &session.host;
    let news = at_boot::news(host, output)?;
    let snapshot = match Snapshot::of_open_change(host) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            // What the boot said of the same trouble is worth having, too.
            print_news(&news, host, output);
            return Err(error.into());
        }
    };
    let netcf_snapshot = netcf::pending(host);
    let Some(snapshot) = snapshot else {
        output.print("No change is open.");
        print_news(&news, host, output);
        output.json(&Status {
            netcf_snapshot: netcf_snapshot.clone(),
            at_boot: news,
            ..Status::default()
        });
        print_netcf(netcf_snapshot, output);
        return Ok(None);
    };
    let difference = plan(host, &snapshot)?;
    let manifest = &snapshot.manifest;
    print_head(&snapshot, !news.is_empty(), output);
    print_news(&news, host, output);
    output.json(&Status {
        open: true,
        id: Some(manifest.id.clone()),
        began: Some(manifest.began),
        by: Some(WhoView::from(&manifest.by)),
        reason: manifest.reason.clone(),
        rebooted: snapshot.is_of_earlier_boot(),
        rollback_unfinished: snapshot.is_rolling_back(),
        changes: difference.changes.iter().map(ChangeView::from).collect(),
        interfaces: difference.rollback_bounces(),
        operator_interface: difference.operator_path.first().cloned(),
        touches_operator: difference.operator_at_risk().is_some(),
        netcf_snapshot: netcf_snapshot.clone(),
        boots_left: Some(snapshot.boots_left().unwrap_or(0)),
        at_boot: news,
    });
    print_changes(host, &difference, output);
    print_netcf(netcf_snapshot, output);
    Ok(None)
}

fn print_news(news: &[AtBootView], host: &Host, output: &Output) {
    for view in news {
        view.print(host, output);
    }
}

/// "survives 2 more boots" and what is wrong with that, for a change that was to survive some.
fn print_boots(snapshot: &Snapshot, output: &Output) {
    if snapshot.manifest.boots == 0 {
        return;
    }
    match snapshot.boots_left() {
        Ok(0) => output.print("  boots    none left: the next boot undoes it"),
        Ok(left) => output.print(format!(
            "  boots    survives {}, then the next one undoes it",
            count(left.into(), "more boot")
        )),
        Err(error) => {
            output
                .print("  boots    the next boot undoes it: those that it survived cannot be read");
            output.warn(&error);
        }
    }
}

/// `told` is whether it will be said what the boot did.
fn print_head(snapshot: &Snapshot, told: bool, output: &Output) {
    let manifest = &snapshot.manifest;
    let id = output.paint(Tone::Strong, &manifest.id);
    let began = manifest.began;
    output.print(format!(
        "Change {id} is open since {} ({}).",
        local(began),
        ago(began)
    ));
    output.print(format!("  by       {}", manifest.by));
    if let Some(reason) = &manifest.reason {
        let reason = crate::sys::escape::escape(reason.as_bytes());
        output.print(format!("  for      {reason}"));
    }
    print_boots(snapshot, output);
    if snapshot.is_of_earlier_boot() && !snapshot.has_survived_this_boot() {
        let what = if told {
            "The machine has been rebooted since."
        } else {
            "The machine has been rebooted since, and no boot unit has undone the change."
        };
        output.print(output.paint(Tone::Warn, what));
    }
    if snapshot.is_rolling_back() {
        let what = "A rollback of it has begun and is still running, or was cut short.";
        output.print(output.paint(Tone::Warn, what));
        output.print("If no other ncf is at work, run 'ncf change-rollback' to complete it.");
    }
}

fn print_changes(host: &Host, difference: &Difference, output: &Output) {
    let changes = &difference.changes;
    if changes.is_empty() {
        output.print("Nothing differs from the snapshot.");
        return;
    }
    let differ = if changes.len() == 1 {
        "differs"
    } else {
        "differ"
    };
    output.print(format!(
        "{} {differ} from the snapshot:",
        count(changes.len(), "file")
    ));
    let width = changes
        .iter()
        .map(|change| change.change.path.display().chars().count());
    let width = width.max().unwrap_or(0);
    for change in changes {
        output.print(change_line(change, width, output));
    }
    let bounces = difference.rollback_bounces();
    output.print(format!("A rollback takes down {}", names(&bounces.down)));
    output.print(format!("  and brings up       {}", names(&bounces.up)));
    if let Some(global) = changes
        .iter()
        .find(|change| host.backend.is_global(change.change.path.as_path()))
    {
        let path = global.change.path.display();
        output.print(format!(
            "{path} is about all interfaces; none is bounced for it."
        ));
    }
    warn_operator(difference, output);
}

/// Says where the change is about the operator's own connection.
pub(super) fn warn_operator(difference: &Difference, output: &Output) {
    if let Some(name) = difference.operator_at_risk() {
        let what = format!("Your connection runs over {name}: this change touches it.");
        output.print(output.paint(Tone::Warn, what));
    }
}

/// "  modified  ifcfg-eth0  eth0"
fn change_line(change: &FileChange, width: usize, output: &Output) -> String {
    let kind = change.change.kind;
    let tone = match kind {
        ChangeKind::Added => Tone::Good,
        ChangeKind::Removed => Tone::Bad,
        ChangeKind::Modified | ChangeKind::Metadata => Tone::Warn,
    };
    let kind = output.paint(tone, format!("{:8}", kind.as_str()));
    let path = change.change.path.display();
    let interface = change
        .interface()
        .map(InterfaceName::as_str)
        .unwrap_or_default();
    format!("  {kind}  {path:width$}  {interface}")
        .trim_end()
        .to_owned()
}

fn print_netcf(snapshot: Option<PathBuf>, output: &Output) {
    if let Some(path) = snapshot {
        let what = format!("netcf has a change open: {}.", path.display());
        output.print(output.paint(Tone::Warn, what));
        output.print("'ncf change-rollback --adopt-netcf' rolls back from it.");
    }
}
