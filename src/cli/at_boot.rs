//! What a boot did with an open change, as `status` tells it until somebody acknowledges it.

use serde::Serialize;

use super::output::{Output, Tone};
use super::setup::Session;
use super::view::{ago, count};
use crate::change::history;
use crate::change::host::Host;
use crate::change::notice::{self, Notice};
use crate::error::{Error, Result};
use crate::state::Lock;
use crate::sys::clock::local;

/// How many files are named; `history show` names all.
const NAMED: usize = 8;

/// One boot, as in JSON.
#[derive(Debug, Serialize)]
pub(super) struct AtBootView {
    /// `None` for one that failed: that is the open change.
    id: Option<String>,
    outcome: &'static str,
    time: jiff::Timestamp,
    files: Vec<String>,
    archive: Option<String>,
    problems: Vec<String>,
}

impl AtBootView {
    fn new(notice: Notice) -> Self {
        Self {
            id: None,
            outcome: notice.ended.as_str(),
            time: notice.time,
            files: Vec::new(),
            archive: None,
            problems: notice.problems,
        }
    }

    fn undone(host: &Host, name: String, notice: Notice) -> Result<Self> {
        let archived = history::read(host, &name)?;
        let discarded = archived.discarded.iter().flat_map(|kept| &kept.entries);
        Ok(Self {
            id: Some(archived.snapshot.manifest.id),
            files: discarded.map(|entry| entry.path.display()).collect(),
            archive: Some(name),
            ..Self::new(notice)
        })
    }

    /// Prints it.
    pub(super) fn print(&self, host: &Host, output: &Output) {
        let when = format!("{} ({})", local(self.time), ago(self.time));
        if let (Some(id), Some(name)) = (&self.id, &self.archive) {
            let what = format!("Change {id} was rolled back when the machine booted, {when}.");
            output.print(output.paint(Tone::Warn, what));
            output.print(format!("  files    {}", some_of(&self.files)));
            let archive = host.state.archive().join(name);
            output.print(format!("  kept in  {}", archive.display()));
            self.print_problems(output);
            output.print(format!(
                "'ncf history diff {id}' shows what was undone, 'ncf history ack' ends this message."
            ));
        } else {
            let what = format!("A boot could not undo the change, {when}:");
            output.print(output.paint(Tone::Bad, what));
            self.print_problems(output);
            output.print(
                "Mend the cause, then run 'ncf change-rollback'; or keep the files as they are with 'ncf change-commit'.",
            );
        }
    }

    fn print_problems(&self, output: &Output) {
        for problem in &self.problems {
            output.print(format!("  problem  {problem}"));
        }
    }
}

/// What boots did that nobody has acknowledged: changes that were undone, then the open one that could not be.
pub(super) fn news(host: &Host, output: &Output) -> Result<Vec<AtBootView>> {
    if !host.state.exists()? {
        return Ok(Vec::new());
    }
    let undone = notice::pending(host)?.into_iter();
    let undone =
        undone.map(|found| found.and_then(|(name, notice)| AtBootView::undone(host, name, notice)));
    let failed = notice::of_open_change(host).transpose();
    let failed = failed.map(|notice| notice.map(AtBootView::new));
    let mut news = Vec::new();
    for view in undone.chain(failed) {
        match view {
            Ok(view) => news.push(view),
            // One that cannot be read does not hide the others.
            Err(error) => output.warn(&error),
        }
    }
    Ok(news)
}

/// What a command that begins or ends a change does beside: who gives it knows what the boot did.
pub(super) fn acknowledge(session: &Session, lock: &Lock, output: &Output) {
    if let Err(error) = notice::acknowledge(&session.host, lock) {
        let what = "what the last boot did is still told at the login";
        output.warn(&Error::failed(what).because(error));
    }
}

fn some_of(files: &[String]) -> String {
    let named = files.iter().take(NAMED).map(String::as_str);
    let named = named.collect::<Vec<_>>().join(", ");
    match files.len().saturating_sub(NAMED) {
        0 if named.is_empty() => "none that could be kept".to_owned(),
        0 => named,
        more => format!("{named} and {}", count(more, "more file")),
    }
}
