//! What happens to an open change when the machine boots.
//!
//! Every hook asks the same question here, in whatever order and however often hooks run in one boot: is the
//! change one of an earlier boot, and has it any boots left? If not it is undone, and what came of that is noted
//! for the next login.

use std::path::Path;

use super::boots::Boots;
use super::host::{Host, boot_id};
use super::manifest::Manifest;
use super::notice::{Ended, Notice};
use super::rollback::RollbackReport;
use super::transaction::Transaction;
use crate::error::{Error, Result};
use crate::sys::signals::SignalGuard;

/// What came of it.
#[derive(Debug)]
pub enum AtBoot {
    /// The change was begun since this boot, and is left alone.
    BegunSinceBoot,
    /// The change survives this boot.
    Survives {
        /// The change.
        id: String,
        /// How many more it survives.
        left: u8,
    },
    /// It was undone, or that was tried.
    Undone(Box<RollbackReport>),
}

/// Undoes the open change unless it survives this boot; with `earlier_boot`, or unless it was begun since.
///
/// Fails as [`Transaction::rollback`] does. A failure is noted in the transaction.
pub fn undo(
    open: Transaction<'_>,
    host: &Host,
    earlier_boot: bool,
    unbroken: &SignalGuard,
) -> Result<AtBoot> {
    let dir = open.dir.clone();
    match decide(open, host, earlier_boot, unbroken) {
        Ok(AtBoot::Undone(mut report)) if !report.is_restored() => {
            let problems = report.errors.iter().map(Error::one_line).collect();
            report.errors.extend(note_failure(&dir, problems).err());
            Ok(AtBoot::Undone(report))
        }
        Err(error) => match note_failure(&dir, vec![error.one_line()]) {
            Ok(()) => Err(error),
            Err(unnoted) => Err(error.hint(unnoted.one_line())),
        },
        done => done,
    }
}

fn note_failure(dir: &Path, problems: Vec<String>) -> Result<()> {
    Notice::new(Ended::Failed, problems).write(dir)
}

fn decide(
    open: Transaction<'_>,
    host: &Host,
    earlier_boot: bool,
    unbroken: &SignalGuard,
) -> Result<AtBoot> {
    let manifest = Manifest::read(&open.dir)?;
    let boot_id = boot_id()?;
    let is_earlier = manifest.boot_id != boot_id;
    if earlier_boot && !is_earlier {
        return Ok(AtBoot::BegunSinceBoot);
    }
    let mut uncounted = None;
    if is_earlier && manifest.boots > 0 {
        let counted = Boots::read(&open.dir)
            .and_then(|boots| boots.count(&open.dir, &boot_id, manifest.boots));
        match counted {
            Ok(Some(left)) => {
                let id = manifest.id;
                return Ok(AtBoot::Survives { id, left });
            }
            Ok(None) => {}
            Err(error) => {
                let what = "this boot could not be counted, so the change is not to survive it";
                uncounted = Some(Error::failed(what).because(error));
            }
        }
    }
    let warnings = uncounted.into_iter().collect();
    let report = open.rollback_at_boot(host, warnings, unbroken)?;
    Ok(AtBoot::Undone(Box::new(report)))
}
