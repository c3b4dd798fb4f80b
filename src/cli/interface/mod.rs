//! The commands for interfaces, named and behaving as ncftool's.

pub(super) mod define;
pub(super) mod dumpxml;
pub(super) mod edit;
pub(super) mod list;
pub(super) mod undefine;
pub(super) mod updown;
pub(super) mod validate;

use std::path::Path;

use super::output::Output;
use super::setup::Session;
use crate::change::transaction::Snapshot;
use crate::error::{Context, Error, Result};
use crate::iface::backend::Edits;
use crate::sys::name::InterfaceName;
use crate::xml::Source;

/// A name as it was typed. Fails before any path is made of it.
pub(super) fn name(text: &str) -> Result<InterfaceName> {
    // A name that the schema does not take may be that of a file none the less.
    text.parse::<InterfaceName>()
        .map_err(|bad| Error::usage(bad.to_string()))
}

/// The document in a file; `-` is standard input.
pub(super) fn document(path: &Path) -> Result<Source> {
    if path == Path::new("-") {
        return Source::read("standard input", std::io::stdin().lock());
    }
    let failed = || format!("cannot read {}", path.display());
    let file = std::fs::File::open(path).context(failed)?;
    if file.metadata().context(failed)?.is_dir() {
        return Err(Error::failed(failed()).because("it is a directory"));
    }
    Source::read(path.display().to_string(), file)
}

/// Whether an open change guards what is written now. Fails where its rollback was cut short: what is there then is
/// neither before nor after.
pub(super) fn is_guarded(session: &Session) -> Result<bool> {
    match Snapshot::of_open_change(&session.host)? {
        Some(snapshot) if snapshot.is_rolling_back() => {
            let message =
                "a rollback of the open change was cut short and has restored some of the files";
            Err(Error::state(message).hint("'ncf change-rollback' ends it; then try again"))
        }
        open => Ok(open.is_some()),
    }
}

/// Says that there is no way back.
pub(super) fn warn_unguarded(output: &Output) {
    let warning = Error::failed("no change is open: nothing brings the old files back");
    output.warn(&warning.hint("'ncf change-begin' before the next one gives you a way back"));
}

/// What became of the files, as lines for people.
pub(super) fn edit_lines(edits: &Edits, session: &Session) -> Vec<String> {
    let dir = session.host.scope.config_dir.display();
    let files = edits.files.iter();
    let files = files.map(|edit| format!("  {:8} {dir}/{}", verb(edit), edit.name.display()));
    let notes = edits.notes.iter().map(|note| format!("  {note}"));
    files.chain(notes).collect()
}

/// What happens to a file.
pub(super) fn verb(edit: &crate::iface::backend::FileEdit) -> &'static str {
    match (&edit.before, &edit.after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "modified",
    }
}
