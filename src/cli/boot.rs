//! `boot-rollback`.

use std::path::PathBuf;

use super::output::Output;
use super::setup::Session;
use super::view::count;
use super::{Done, change};
use crate::change::at_boot::{AtBoot, undo};
use crate::change::transaction::{Snapshot, Transaction};
use crate::error::{ErrorKind, Result};
use crate::sys::motd;
use crate::sys::signals::SignalGuard;

/// Undo at boot what was never committed
///
/// For the boot hooks: restores the files of an open change before any network service starts, and leaves
/// interfaces alone. Where no change is open it does nothing and succeeds. A change that was begun with --boots
/// and has boots left survives this one. What was undone, or could not be, is told by 'status' and at the login
/// until the next change begins or 'history ack'.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only where the change was begun before this boot; one of this boot is somebody's work
    #[arg(long)]
    earlier_boot: bool,

    /// Write the line for the login to this directory of the running system, whatever --root is, instead of
    /// /run/motd.d
    #[arg(long, value_name = "DIR")]
    motd_dir: Option<PathBuf>,
}

/// Runs `boot-rollback`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let host = &session.host;
    if Snapshot::of_open_change(host).is_ok_and(|snapshot| snapshot.is_none()) {
        change::print_nothing("No change is open: nothing to undo.", output);
        return Ok(None);
    }
    let done = attempt(args, session);
    if let Some(line) = line(&done) {
        tell(args, session, output, &line);
    }
    match done? {
        AtBoot::BegunSinceBoot => {
            let why = "The open change was begun since this boot: it is left alone.";
            change::print_nothing(why, output);
            Ok(None)
        }
        AtBoot::Survives { id, left } => {
            let why = match left {
                0 => format!("Change {id} survives this boot. The next one undoes it."),
                left => format!(
                    "Change {id} survives this boot and {}.",
                    count(left.into(), "more boot")
                ),
            };
            change::print_nothing(&why, output);
            Ok(None)
        }
        AtBoot::Undone(report) => Ok(change::print_report(&report, output)),
    }
}

fn attempt(args: &Args, session: &Session) -> Result<AtBoot> {
    let host = &session.host;
    let lock = host.state.lock("boot-rollback")?;
    let open = Transaction::open(host, &lock)?;
    undo(open, host, args.earlier_boot, &SignalGuard::block()?)
}

/// What the login is to show; nothing where nothing was changed, or another ncf is at work.
fn line(done: &Result<AtBoot>) -> Option<String> {
    match done {
        Ok(AtBoot::Undone(report)) if report.is_restored() => {
            report.archive.as_ref()?;
            let files = count(report.changes.len(), "file");
            let id = &report.id;
            Some(format!(
                "ncf: change {id} was rolled back when this machine booted ({files}): see 'ncf status'"
            ))
        }
        Ok(AtBoot::BegunSinceBoot | AtBoot::Survives { .. }) => None,
        Err(error) if error.kind() == ErrorKind::State => None,
        Ok(AtBoot::Undone(_)) | Err(_) => Some(
            "ncf: the open change could NOT be rolled back when this machine booted: see 'ncf status'"
                .to_owned(),
        ),
    }
}

/// Writes the line. That it could not be written is said, and changes nothing: 'status' tells it all the same.
fn tell(args: &Args, session: &Session, output: &Output, line: &str) {
    let dir = args.motd_dir.clone();
    let Some(dir) = dir.or_else(|| motd::dir(&session.host.root)) else {
        return;
    };
    if let Err(error) = motd::write(&dir, line) {
        output.warn(&error);
    }
}
