//! `boot-rollback`.

use super::output::Output;
use super::setup::Session;
use super::{Done, change};
use crate::change::rollback::Bounce;
use crate::change::transaction::{Snapshot, Transaction};
use crate::sys::signals::SignalGuard;

/// Undo at boot what was never committed
///
/// For the boot unit: restores the files of an open change before any network service starts, and leaves
/// interfaces alone. Where no change is open it does nothing and succeeds.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only where the change was begun before this boot; one of this boot is somebody's work
    #[arg(long)]
    earlier_boot: bool,
}

/// Runs `boot-rollback`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let host = &session.host;
    if Snapshot::of_open_change(host).is_ok_and(|snapshot| snapshot.is_none()) {
        change::print_nothing("No change is open: nothing to undo.", output);
        return Ok(None);
    }
    let lock = host.state.lock("boot-rollback")?;
    let open = Transaction::open(host, &lock)?;
    if args.earlier_boot && !open.snapshot()?.is_of_earlier_boot() {
        let why = "The open change was begun since this boot: it is left alone.";
        change::print_nothing(why, output);
        return Ok(None);
    }
    let unbroken = SignalGuard::block()?;
    let report = open.rollback(host, Bounce::Nothing, &unbroken, &mut |_| ())?;
    Ok(change::print_report(&report, output))
}
