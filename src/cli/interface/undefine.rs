//! `undefine`.

use serde::Serialize;

use super::define::{FileView, views};
use super::{edit_lines, is_guarded, name, warn_unguarded};
use crate::change::edit;
use crate::change::files::Present;
use crate::change::running::Running;
use crate::change::tree::Tree;
use crate::cli::Done;
use crate::cli::output::{Output, Tone};
use crate::cli::setup::Session;
use crate::error::Result;
use crate::iface::backend::Edits;
use crate::sys::name::InterfaceName;

/// Remove the files that configure an interface
///
/// With them go those of its ports, and their aliases, routes, rules and keys. The interface itself is left alone:
/// 'ncf ifdown' before, or 'ncf apply' after, takes it down.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The interface
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Serialize)]
struct Undefined<'a> {
    name: &'a InterfaceName,
    interfaces: &'a [InterfaceName],
    files: Vec<FileView>,
    guarded: bool,
}

/// Runs `undefine`.
pub(in crate::cli) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let name = name(&args.name)?;
    let (edits, guarded) = undefine(&name, session)?;
    output.json(&Undefined {
        name: &name,
        interfaces: &edits.interfaces,
        files: views(&edits, session),
        guarded,
    });
    output.print(format!("{} undefined", output.paint(Tone::Strong, &name)));
    for line in edit_lines(&edits, session) {
        output.say(line);
    }
    if !guarded {
        warn_unguarded(output);
    }
    Ok(None)
}

/// Removes the files. Says whether an open change guards that.
pub(in crate::cli) fn undefine(name: &InterfaceName, session: &Session) -> Result<(Edits, bool)> {
    let host = &session.host;
    let lock = host.state.lock("undefine")?;
    let guarded = is_guarded(session)?;
    let tree = Tree::now(&host.root, &host.scope)?;
    let cards = Running::of(host).cards();
    let edits = host.backend.undefine(name, &Present(&tree), &cards)?;
    edit::write(host, &lock, &edits)?;
    Ok((edits, guarded))
}
