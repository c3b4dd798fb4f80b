//! `history`.

use serde::Serialize;

use super::Done;
use super::at_boot::acknowledge;
use super::diff;
use super::output::{Output, Tone};
use super::setup::Session;
use super::view::{WhoView, count, moved_aside};
use crate::change::content::{Pair, archived};
use crate::change::history::{self, Archived};
use crate::change::notice::{self, Notice};
use crate::change::transaction::{Begin, Transaction};
use crate::error::{Error, ErrorKind};
use crate::sys::clock::local;
use crate::sys::signals::SignalGuard;

/// Show and bring back what rollbacks discarded
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the changes that were rolled back, the newest first
    List,
    /// Show one: who, when, why, and which files
    Show(Which),
    /// Show what a rollback undid, as a unified diff from the snapshot to what was discarded
    Diff(DiffArgs),
    /// Put the discarded files back, under the guard of an open change
    ///
    /// Opens a change if none is open. The interfaces are left alone: 'ncf apply' makes the files the
    /// running state, 'ncf change-rollback' undoes the restore.
    Restore(Which),
    /// Say that you know what the last boot undid: 'status' and the login then no longer tell it
    ///
    /// The next change that begins does the same.
    Ack,
}

impl Args {
    /// Whether this begins a change.
    pub(super) fn begins(&self) -> bool {
        matches!(self.command, Command::Restore(_))
    }
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The change's id, the beginning of it, or 'last'
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Debug, clap::Args)]
struct DiffArgs {
    #[command(flatten)]
    which: Which,
    /// Print only how many lines of each file were added and removed
    #[arg(long)]
    stat: bool,
}

/// Runs `history`.
pub(super) fn run(args: Args, session: &Session, output: &Output) -> Done {
    match args.command {
        Command::List => list(session, output),
        Command::Show(which) => show(&which, session, output),
        Command::Diff(args) => {
            let found = history::find(&session.host, &args.which.id)?;
            diff::print(&archived(&session.host, &found)?, args.stat, output);
            Ok(None)
        }
        Command::Restore(which) => restore(&which, session, output),
        Command::Ack => ack(session, output),
    }
}

#[derive(Serialize)]
struct Acknowledged {
    acknowledged: usize,
}

fn ack(session: &Session, output: &Output) -> Done {
    let lock = session.host.state.lock("history ack")?;
    let acknowledged = notice::acknowledge(&session.host, &lock)?;
    output.json(&Acknowledged { acknowledged });
    output.say(match acknowledged {
        0 => "There was nothing to acknowledge.",
        _ => "Acknowledged. It stays in the history.",
    });
    Ok(None)
}

#[derive(Serialize)]
struct ArchivedView {
    id: String,
    name: String,
    began: jiff::Timestamp,
    rolled_back: Option<jiff::Timestamp>,
    at_boot: bool,
    by: WhoView,
    reason: Option<String>,
    files: usize,
    bytes: u64,
}

impl ArchivedView {
    fn of(archived: &Archived) -> Self {
        let manifest = &archived.snapshot.manifest;
        Self {
            id: manifest.id.clone(),
            name: archived.name.clone(),
            began: manifest.began,
            rolled_back: archived.discarded.as_ref().map(|discarded| discarded.time),
            at_boot: was_at_boot(archived),
            by: WhoView::from(&manifest.by),
            reason: manifest.reason.clone(),
            files: archived
                .discarded
                .as_ref()
                .map_or(0, |discarded| discarded.entries.len()),
            bytes: archived.size(),
        }
    }
}

/// Whether the boot hook has left a note, readable or not.
fn was_at_boot(archived: &Archived) -> bool {
    !matches!(Notice::read(archived.snapshot.dir()), Ok(None))
}

#[derive(Serialize)]
struct List {
    archived: Vec<ArchivedView>,
}

fn list(session: &Session, output: &Output) -> Done {
    let mut views = Vec::new();
    for name in history::names(&session.host)? {
        match history::read(&session.host, &name) {
            Ok(archived) => {
                views.push(ArchivedView::of(&archived));
                let manifest = &archived.snapshot.manifest;
                let id = output.paint(Tone::Strong, &manifest.id);
                let files = archived.discarded.as_ref().map_or(0, |d| d.entries.len());
                let reason = manifest.reason.as_deref().unwrap_or_default();
                let reason = crate::sys::escape::escape(reason.as_bytes());
                let began = local(manifest.began);
                let line = format!(
                    "{id}  {began}  {:9}  {}  {reason}",
                    count(files, "file"),
                    manifest.by
                );
                output.print(line.trim_end());
            }
            // One that is damaged does not hide the others.
            Err(error) => output.warn(&error),
        }
    }
    if views.is_empty() {
        output.say("Nothing was ever rolled back.");
    }
    output.json(&List { archived: views });
    Ok(None)
}

#[derive(Serialize)]
struct Show {
    #[serde(flatten)]
    archived: ArchivedView,
    changes: Vec<PairView>,
}

#[derive(Serialize)]
struct PairView {
    path: String,
    change: &'static str,
}

fn show(which: &Which, session: &Session, output: &Output) -> Done {
    let found = history::find(&session.host, &which.id)?;
    let pairs = archived(&session.host, &found)?;
    let manifest = &found.snapshot.manifest;
    output.print(format!(
        "Change {}",
        output.paint(Tone::Strong, &manifest.id)
    ));
    output.print(format!("  began        {}", local(manifest.began)));
    if let Some(discarded) = &found.discarded {
        let at_boot = if was_at_boot(&found) { ", at boot" } else { "" };
        output.print(format!("  rolled back  {}{at_boot}", local(discarded.time)));
    }
    output.print(format!("  by           {}", manifest.by));
    if let Some(reason) = &manifest.reason {
        output.print(format!(
            "  for          {}",
            crate::sys::escape::escape(reason.as_bytes())
        ));
    }
    output.print(format!("  kept in      {}", found.snapshot.dir().display()));
    output.print(format!("{} discarded:", count(pairs.len(), "file")));
    for pair in &pairs {
        output.print(format!(
            "  {:8}  {}",
            pair.kind.as_str(),
            pair.path.display()
        ));
    }
    let view = |pair: &Pair| PairView {
        path: pair.path.display(),
        change: pair.kind.as_str(),
    };
    let changes = pairs.iter().map(view).collect();
    output.json(&Show {
        archived: ArchivedView::of(&found),
        changes,
    });
    Ok(None)
}

#[derive(Serialize)]
struct Restored {
    change: String,
    files: usize,
    moved_aside: Vec<String>,
    errors: Vec<String>,
}

fn restore(which: &Which, session: &Session, output: &Output) -> Done {
    let host = &session.host;
    let lock = host.state.lock("history restore")?;
    let found = history::find(host, &which.id)?;
    let id = &found.snapshot.manifest.id;
    history::check(&found)?;
    let open = match Transaction::open(host, &lock) {
        Ok(open) => open,
        Err(error) if error.kind() == ErrorKind::State => {
            let reason = Some(format!("restore of {id} from the archive"));
            let begin = Begin { reason, boots: 0 };
            let (open, snapshot) = Transaction::begin(host, &lock, begin)?;
            acknowledge(session, &lock, output);
            output.say(format!("Change {} is open.", snapshot.manifest.id));
            open
        }
        Err(error) => return Err(error.into()),
    };
    open.must_not_be_rolling_back()?;
    let change = open.snapshot()?.manifest.id;
    let (changes, outcome) = history::put_back(host, &open, &found, &SignalGuard::block()?)?;
    let errors: Vec<_> = outcome.errors.iter().map(Error::one_line).collect();
    output.json(&Restored {
        change,
        files: changes.len(),
        moved_aside: outcome.moved_aside.clone(),
        errors,
    });
    for name in &outcome.moved_aside {
        output.say(moved_aside(name));
    }
    for error in &outcome.errors {
        output.warn(error);
    }
    output.say(format!(
        "{} put back as change {id} had left them.",
        count(changes.len(), "file")
    ));
    output.say("'ncf apply' makes them the running state, 'ncf change-rollback' undoes this.");
    Ok((!outcome.errors.is_empty()).then_some(ErrorKind::Failed))
}
