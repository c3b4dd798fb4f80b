//! `define`.

use std::path::PathBuf;

use serde::Serialize;

use super::{document, edit_lines, is_guarded, verb, warn_unguarded};
use crate::change::compare::ChangeKind;
use crate::change::content::{Body, Pair, Version};
use crate::change::edit;
use crate::change::files::Present;
use crate::change::manifest::CoveredPath;
use crate::change::running::Running;
use crate::change::tree::Tree;
use crate::cli::Done;
use crate::cli::diff;
use crate::cli::output::{Output, Tone};
use crate::cli::setup::Session;
use crate::error::Result;
use crate::iface::backend::{Edits, FileEdit};
use crate::iface::model::Interface;
use crate::iface::xml;
use crate::sys::name::InterfaceName;

/// Define an interface from XML: write the files that configure it
///
/// Of files that are there only what differs is changed; comments, order and all that netcf's schema does not know stay.
/// The interface itself is left alone: 'ncf ifup' or 'ncf apply' makes it so.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Print the changes of files as a diff, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// The file with the XML; '-' is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
pub(super) struct FileView {
    path: String,
    change: &'static str,
}

#[derive(Serialize)]
struct Defined<'a> {
    name: &'a InterfaceName,
    interfaces: &'a [InterfaceName],
    files: Vec<FileView>,
    notes: &'a [String],
    guarded: bool,
}

/// Runs `define`.
pub(in crate::cli) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let wanted = xml::read(&document(&args.file)?)?;
    if args.dry_run {
        return dry_run(&wanted, session, output);
    }
    let (edits, guarded) = define(&wanted, session)?;
    report(&wanted, &edits, guarded, session, output);
    Ok(None)
}

/// Writes what makes the files say what `wanted` says. Says whether an open change guards it.
pub(in crate::cli) fn define(wanted: &Interface, session: &Session) -> Result<(Edits, bool)> {
    let host = &session.host;
    let lock = host.state.lock("define")?;
    let guarded = is_guarded(session)?;
    let edits = plan(wanted, session)?;
    edit::write(host, &lock, &edits)?;
    Ok((edits, guarded))
}

fn plan(wanted: &Interface, session: &Session) -> Result<Edits> {
    let host = &session.host;
    let tree = Tree::now(&host.root, &host.scope)?;
    host.backend
        .define(wanted, &Present(&tree), &Running::of(host).cards())
}

/// Says what was done.
pub(super) fn report(
    wanted: &Interface,
    edits: &Edits,
    guarded: bool,
    session: &Session,
    output: &Output,
) {
    output.json(&Defined {
        name: &wanted.name,
        interfaces: &edits.interfaces,
        files: views(edits, session),
        notes: &edits.notes,
        guarded,
    });
    let name = output.paint(Tone::Strong, &wanted.name);
    output.print(format!("Defined interface {name}"));
    for line in edit_lines(edits, session) {
        output.say(line);
    }
    if edits.files.is_empty() {
        output.say("  its files say so already; nothing was changed");
    } else if !guarded {
        warn_unguarded(output);
    }
}

/// The files as in JSON.
pub(super) fn views(edits: &Edits, session: &Session) -> Vec<FileView> {
    let dir = &session.host.scope.config_dir;
    let view = |edit: &FileEdit| FileView {
        path: dir.join(&edit.name).display().to_string(),
        change: verb(edit),
    };
    edits.files.iter().map(view).collect()
}

fn dry_run(wanted: &Interface, session: &Session, output: &Output) -> Done {
    let edits = plan(wanted, session)?;
    let pairs: Vec<_> = edits
        .files
        .iter()
        .filter_map(|edit| pair(edit, session))
        .collect();
    if pairs.is_empty() && !output.json {
        output.say("Nothing would be changed: the files say so already.");
        return Ok(None);
    }
    diff::print(&pairs, false, output);
    for note in &edits.notes {
        output.say(format!("# {note}"));
    }
    Ok(None)
}

fn pair(edit: &FileEdit, session: &Session) -> Option<Pair> {
    let dir = &session.host.scope.config_dir;
    let version = |bytes: &Option<Vec<u8>>| Version {
        body: bytes.clone().map_or(Body::Absent, Body::File),
        meta: None,
    };
    Some(Pair {
        full_path: dir.join(&edit.name).display().to_string(),
        path: CoveredPath::new(PathBuf::from(&edit.name))?,
        kind: match (&edit.before, &edit.after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            _ => ChangeKind::Modified,
        },
        before: version(&edit.before),
        after: version(&edit.after),
        secret: false,
    })
}
