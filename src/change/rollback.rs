//! Rolling back an open change.
//!
//! The order is what makes it safe to be killed anywhere and run again: verify, plan, keep what will
//! be discarded, journal the plan; only then take down, restore, bring up, verify; and last the
//! one rename that ends it. The snapshot is never consumed.
//!
//! Before the first change a failure means that nothing was touched. After it nothing stops: every
//! error is collected, for a host that is half restored is best restored as far as it goes. Where the
//! file system with the state directory is full, the restored network is worth more than
//! a copy of what was discarded, so that is given up, and said.

use std::fs::File;
use std::path::Path;

use super::bounce::{Mended, Prepared, Progress, Side, Watch, between, prepare};
use super::compare::{Change, ChangeKind, Trust, is_only_labelled};
use super::difference::{Difference, difference};
use super::history::close_into_archive;
use super::host::{Host, boot_id};
use super::journal::{Journal, Unfinished};
use super::manifest::{CoveredPath, Discarded, FIRST_FORMAT};
use super::notice::{Ended, Notice};
use super::plan::{Bounces, FileChange};
use super::restore::{Outcome, Source, restore};
use super::snapshot::keep;
use super::transaction::{Snapshot, Transaction, make_private_dir};
use super::tree::Tree;
use crate::apply::schedule::StepReport;
use crate::error::{Context, Error, Result};
use crate::state::sync::rename_durably;
use crate::sys::signals::SignalGuard;

/// Whether interfaces are taken down and up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounce {
    /// For exactly those whose configuration changes.
    Changed,
    /// Not at all: at boot none is up yet.
    Nothing,
}

/// What a rollback did.
#[derive(Debug)]
pub struct RollbackReport {
    /// The change.
    pub id: String,
    /// When it was begun.
    pub began: jiff::Timestamp,
    /// The files that differed.
    pub changes: Vec<FileChange>,
    /// Every step that was taken with interfaces, in order.
    pub interfaces: Vec<StepReport>,
    /// Interfaces that would have been bounced, had the applier not been `none`.
    pub not_bounced: Option<Bounces>,
    /// What was done for interfaces that were not bounced.
    pub mended: Mended,
    /// Directories that stood where a file belongs, and what they are called now.
    pub moved_aside: Vec<String>,
    /// What did not keep anything from being restored, but should be known.
    pub warnings: Vec<Error>,
    /// Files that could not be restored. Where there are any, the change stays open.
    pub errors: Vec<Error>,
    /// The archive that has what was discarded; `None` where nothing differed or nothing was closed.
    pub archive: Option<String>,
}

impl RollbackReport {
    /// Whether every file is as it was.
    pub fn is_restored(&self) -> bool {
        self.errors.is_empty()
    }

    /// Whether the interfaces are, too.
    pub fn is_clean(&self) -> bool {
        let steps = || self.interfaces.iter().chain(&self.mended.revived);
        self.is_restored()
            && self.warnings.is_empty()
            && self.mended.errors.is_empty()
            && steps().all(|step| step.result.is_ok())
    }
}

/// What has changed, and what a rollback that was cut short has left to do.
pub fn plan(host: &Host, snapshot: &Snapshot) -> Result<Difference> {
    difference(host, snapshot, snapshot.quick(), &unfinished(snapshot)?)
}

/// What a rollback would do, and why it would be refused, if it would.
///
/// Fails where the snapshot is damaged.
pub fn plan_rollback(host: &Host, snapshot: &Snapshot) -> Result<(Difference, Option<Error>)> {
    snapshot.verify()?;
    let difference = difference(host, snapshot, Trust::Nothing, &unfinished(snapshot)?)?;
    let refused = between(host, snapshot, &difference, |now, before| {
        prepare_rollback(host, &difference.rollback_bounces(), now, before).map(drop)
    });
    Ok((difference, refused.err()))
}

fn prepare_rollback<'h>(
    host: &'h Host,
    bounces: &Bounces,
    now: Side<'_>,
    before: Side<'_>,
) -> Result<Prepared<'h>> {
    prepare(host, bounces, now, before, now.view).map_err(|error| {
        if error.hints().is_empty() {
            error.hint("'--applier none' restores the files alone and bounces nothing")
        } else {
            error
        }
    })
}

/// What an earlier rollback left to do.
fn unfinished(snapshot: &Snapshot) -> Result<Unfinished> {
    Ok(Journal::read(snapshot.dir(), &boot_id()?)?.unwrap_or_default())
}

impl Transaction<'_> {
    /// Restores the files and the interfaces and closes the change.
    ///
    /// Fails with nothing changed where the snapshot is damaged or an interface could not be brought
    /// up by this applier. Otherwise what failed is in the report.
    pub fn rollback(
        self,
        host: &Host,
        _unbroken: &SignalGuard,
        watch: Watch<'_>,
    ) -> Result<RollbackReport> {
        self.run(host, Bounce::Changed, Vec::new(), watch)
    }

    /// Restores the files, leaves interfaces alone, and closes the change with a note of what was done, and of
    /// `warnings`.
    ///
    /// Fails with nothing changed where the snapshot is damaged. Otherwise what failed is in the report.
    pub fn rollback_at_boot(
        self,
        host: &Host,
        warnings: Vec<Error>,
        _unbroken: &SignalGuard,
    ) -> Result<RollbackReport> {
        self.run(host, Bounce::Nothing, warnings, &mut |_| ())
    }

    fn run(
        self,
        host: &Host,
        bounce: Bounce,
        mut warnings: Vec<Error>,
        watch: Watch<'_>,
    ) -> Result<RollbackReport> {
        let snapshot = self.snapshot()?;
        snapshot.verify()?;
        let unfinished = unfinished(&snapshot).unwrap_or_else(|error| {
            let what = "an earlier rollback's journal is of no use: interfaces that it took down may not be brought up";
            warnings.push(Error::failed(what).because(error));
            Unfinished::default()
        });
        let difference = difference(host, &snapshot, Trust::Nothing, &unfinished)?;
        let run = Run {
            transaction: self,
            host,
            snapshot: &snapshot,
            difference,
            bounce,
        };
        run.go(warnings, watch)
    }
}

struct Run<'a, 'l> {
    transaction: Transaction<'l>,
    host: &'a Host,
    snapshot: &'a Snapshot,
    difference: Difference,
    bounce: Bounce,
}

impl Run<'_, '_> {
    fn go(self, mut warnings: Vec<Error>, watch: Watch<'_>) -> Result<RollbackReport> {
        let manifest = &self.snapshot.manifest;
        let wanted = self.difference.rollback_bounces();
        let by_hand = self.host.applier.is_idle() && self.bounce == Bounce::Changed;
        let not_bounced = (by_hand && wanted != Bounces::default()).then(|| wanted.clone());
        let bounces = match self.bounce {
            Bounce::Changed if !by_hand => wanted.clone(),
            _ => Bounces::default(),
        };
        let done = between(self.host, self.snapshot, &self.difference, |now, before| {
            let mut prepared = prepare_rollback(self.host, &bounces, now, before)?;
            if let Err(error) = self.keep_discarded() {
                let what = "what is discarded is not kept in the archive";
                warnings.push(Error::failed(what).because(error));
            }
            // All that is to be done, also by hand or by a later run with another applier.
            let mut journal = self.begin_journal(&wanted, &mut warnings);
            watch(Progress::Begins(&bounces));
            let (interfaces, outcome) = self.change(&prepared, &mut journal, watch)?;
            Ok((interfaces, outcome, prepared.mend(before, watch)))
        });
        let (interfaces, outcome, mended) = done?;
        let mut report = RollbackReport {
            id: manifest.id.clone(),
            began: manifest.began,
            changes: self.difference.changes.clone(),
            interfaces,
            not_bounced,
            mended,
            moved_aside: outcome.moved_aside,
            warnings,
            errors: outcome.errors,
            archive: None,
        };
        self.verify(&mut report);
        if report.is_restored()
            && let Err(error) = self.close(&mut report)
        {
            report.errors.push(error);
        }
        Ok(report)
    }

    /// The covered places, as the snapshot has them.
    fn tree(&self) -> Result<Tree<'_>> {
        let manifest = &self.snapshot.manifest;
        Tree::of(&self.host.root, manifest)
    }

    fn begin_journal(&self, bounces: &Bounces, warnings: &mut Vec<Error>) -> Journal {
        let dir = self.snapshot.dir();
        let written = boot_id().and_then(|boot_id| Journal::write(dir, &boot_id, bounces));
        written.unwrap_or_else(|error| {
            let what =
                "there is no journal: had this been cut short, interfaces would have stayed down";
            warnings.push(Error::failed(what).because(error));
            Journal::absent(dir)
        })
    }

    /// Down, restore, up.
    fn change(
        &self,
        prepared: &Prepared<'_>,
        journal: &mut Journal,
        watch: Watch<'_>,
    ) -> Result<(Vec<StepReport>, Outcome)> {
        let tree = self.tree()?;
        let mut watch_and_note = |progress: Progress<'_>| {
            if let Progress::Ended(report) = progress {
                journal.note(report);
            }
            watch(progress);
        };
        let mut interfaces = prepared.down(&mut watch_and_note);
        let manifest = &self.snapshot.manifest;
        let source = Source {
            wanted: &manifest.entries,
            copies: self.snapshot.copies(),
            id: &manifest.id,
        };
        let changes: Vec<_> = self
            .difference
            .changes
            .iter()
            .map(|change| change.change.clone())
            .collect();
        let outcome = restore(&tree, &source, &changes);
        interfaces.extend(prepared.up(&mut watch_and_note));
        Ok((interfaces, outcome))
    }

    /// Copies what the rollback replaces into the transaction. A repeated run keeps what differs then beside what
    /// the first has kept: the operator may have edited in between.
    fn keep_discarded(&self) -> Result<()> {
        if self.difference.changes.is_empty() {
            return Ok(());
        }
        let number = |run: u32| match run {
            1 => "discarded".to_owned(),
            run => format!("discarded-{run}"),
        };
        let mut names = (1..).map(|run| self.snapshot.dir().join(number(run)));
        let Some(discarded) = names.find(|path| !path.exists()) else {
            return Ok(());
        };
        let staging = self.snapshot.dir().join("discarded.new");
        let failed = || format!("cannot write {}", staging.display());
        // What an earlier run left half-made.
        let _ = std::fs::remove_dir_all(&staging);
        make_private_dir(&staging).context(failed)?;
        let kept = self.fill_discarded(&self.tree()?, &staging);
        kept.and_then(|()| rename_durably(&staging, &discarded).context(failed))
            .inspect_err(|_| {
                let _ = std::fs::remove_dir_all(&staging);
            })
    }

    fn fill_discarded(&self, tree: &Tree<'_>, staging: &Path) -> Result<()> {
        let failed = || format!("cannot write {}", staging.display());
        let paths: Vec<CoveredPath> = self
            .difference
            .changes
            .iter()
            .map(|change| change.change.path.clone())
            .collect();
        let kept = keep(tree, &paths, &staging.join("files"), tree.scope_dir())?;
        let mut unsynced = kept.unsynced;
        let discarded = Discarded {
            format: FIRST_FORMAT,
            time: jiff::Timestamp::now(),
            copies: kept.copies,
            entries: kept.entries,
        };
        discarded.write(staging, &mut unsynced)?;
        let dir = File::open(staging).context(failed)?;
        unsynced
            .push(dir.try_clone().context(failed)?)
            .context(failed)?;
        unsynced.settle(&dir).context(failed)
    }

    /// Compares once more; what still differs is an error.
    fn verify(&self, report: &mut RollbackReport) {
        let differing = match self.still_differing() {
            Ok(differing) => differing,
            Err(error) => return report.errors.push(error),
        };
        let (labelled, differing): (Vec<_>, Vec<_>) = differing
            .into_iter()
            .partition(|(_, only_labelled)| *only_labelled);
        let names = |paths: Vec<(String, bool)>| {
            paths
                .into_iter()
                .map(|(path, _)| path)
                .collect::<Vec<_>>()
                .join(", ")
        };
        if !labelled.is_empty() {
            let what = format!(
                "restored, but with a security label that stays: {}",
                names(labelled)
            );
            report.warnings.push(Error::failed(what));
        }
        if !differing.is_empty() && report.errors.is_empty() {
            let what = format!("still not as in the snapshot: {}", names(differing));
            let hint = "see what keeps them from it or writes them, and roll back again";
            report.errors.push(Error::failed(what).hint(hint));
        }
    }

    /// The paths that differ after all, each with whether only a label does.
    fn still_differing(&self) -> Result<Vec<(String, bool)>> {
        let manifest = &self.snapshot.manifest;
        let tree = self.tree()?;
        // What did not differ was read a moment ago. What was restored is read again.
        let trust = Trust::Earlier(&self.difference.unchanged);
        let differing = super::compare::since(&tree, manifest, trust)?.changes;
        let named = |change: Change| {
            let entry = manifest.entry(&change.path);
            let only_labelled = change.kind == ChangeKind::Metadata
                && entry.is_some_and(|entry| is_only_labelled(&tree, entry));
            (tree.display(&change.path), only_labelled)
        };
        Ok(differing
            .into_iter()
            .filter(|change| !is_left_directory(change))
            .map(named)
            .collect())
    }

    /// At boot: notes for the next login what was done, for the rename that closes the change to take along. By hand:
    /// who did it knows.
    fn note(&self, report: &mut RollbackReport) {
        let dir = &self.transaction.dir;
        match self.bounce {
            Bounce::Changed => Notice::forget(dir),
            Bounce::Nothing => {
                let problems = report.warnings.iter().map(Error::one_line).collect();
                let noted = Notice::new(Ended::RolledBack, problems).write(dir);
                report.warnings.extend(noted.err());
            }
        }
    }

    fn close(&self, report: &mut RollbackReport) -> Result<()> {
        let dir = &self.transaction.dir;
        let failed = || "the files are restored, but the change cannot be closed and is still open";
        if self.difference.changes.is_empty() && !self.snapshot.is_archivable() {
            let gone = self.host.state.gone(&report.id);
            rename_durably(dir, &gone).context(failed)?;
            // It is closed. What cannot be removed now is swept up by the next ncf.
            let _ = std::fs::remove_dir_all(gone);
            return Ok(());
        }
        self.note(report);
        let name = close_into_archive(self.host, dir, &report.id).context(failed)?;
        if let Err(error) = super::history::prune(self.host, &name) {
            report.warnings.push(error);
        }
        report.archive = Some(name);
        Ok(())
    }
}

/// A new directory that other things have been put into stays.
fn is_left_directory(change: &Change) -> bool {
    let directory = change
        .now
        .is_some_and(|now| now.kind == crate::sys::node::Kind::Directory);
    change.kind == ChangeKind::Added && directory
}

impl Snapshot {
    /// Whether a rollback has kept something in it.
    fn is_archivable(&self) -> bool {
        self.dir().join("discarded").exists()
    }
}
