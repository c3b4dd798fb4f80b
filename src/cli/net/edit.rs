//! `net edit`.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::{is_interactive, lock, store, taken_names};
use crate::error::{Context as _, Error, Result};
use crate::vnet::define::Known;
use crate::vnet::definition::Definition;
use crate::vnet::name::NetworkName;
use crate::xml::Source;

/// Edit the definition of a network
///
/// Opens it in $VISUAL, $EDITOR or vi. What comes of it is checked before it takes the old one's place; name and uuid
/// stay. Where the network runs, it runs on by the old definition until it is stopped.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The network
    #[arg(value_name = "NETWORK")]
    name: NetworkName,
}

#[derive(Serialize)]
struct Edited<'a> {
    name: &'a NetworkName,
    changed: bool,
}

/// Runs `net edit`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let before = store(session).must_have(&args.name)?;
    let failed = || "cannot make a temporary file".to_owned();
    let dir = tempdir().context(failed)?;
    let path = dir.path.join(format!("{}.xml", before.network().uuid));
    std::fs::write(&path, before.text()).context(failed)?;
    let edited = loop {
        open_editor(&path)?;
        let file = std::fs::File::open(&path).context(|| "cannot read what was edited")?;
        let edited = Source::read(args.name.to_string(), file)
            .and_then(|source| accept(session, &before, &source));
        match edited {
            Ok(edited) => break edited,
            Err(error) if is_interactive() && ask_again(output, &error) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let changed = edited.text() != before.text();
    if changed {
        let lock = lock(session, output, "net edit")?;
        if store(session).must_have(&args.name)? != before {
            let what = format!(
                "the network {} was changed meanwhile, by somebody else",
                args.name
            );
            return Err(Error::state(what).hint("edit it again").into());
        }
        store(session).save(&edited, &lock)?;
    }
    output.json(&Edited {
        name: &args.name,
        changed,
    });
    let what = if changed {
        "is changed"
    } else {
        "is as it was"
    };
    output.say(format!("The definition of {} {what}.", args.name));
    Ok(None)
}

fn accept(session: &Session, before: &Definition, source: &Source) -> Result<Definition> {
    let known = Known::of(&session.host.state)?;
    let taken = taken_names(session);
    let spare = known.fill(|name| taken.contains(name))?;
    let edited = Definition::read_like(source, before.network(), &spare)?;
    let (old, new) = (before.network(), edited.network());
    if old.name != new.name || old.uuid != new.uuid {
        let what = "name and uuid of a network cannot be edited";
        return Err(Error::failed(what).hint("'ncf net define' makes another network"));
    }
    known.admit(new)?;
    Ok(edited)
}

/// Says what is wrong, and whether the operator wants to go back to the editor.
fn ask_again(output: &Output, error: &Error) -> bool {
    output.warn(error);
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "Edit it again? [Y/n] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok_and(|length| length > 0) && !answer.trim().to_ascii_lowercase().starts_with('n')
}

fn open_editor(path: &Path) -> Result<()> {
    let chosen = ["VISUAL", "EDITOR"].iter().find_map(std::env::var_os);
    let editor = chosen
        .filter(|it| !it.is_empty())
        .unwrap_or_else(|| "vi".into());
    let failed = || format!("cannot run the editor {}", editor.display());
    // The shell takes it apart: an editor may have options.
    let mut script = editor.clone();
    script.push(" \"$1\"");
    let status = Command::new("/bin/sh")
        .arg("-c")
        .arg(&script)
        .arg("sh")
        .arg(path)
        .status()
        .context(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::failed(failed()).because(status.to_string()))
}

/// A directory for this process alone, removed in the end.
struct TempDir {
    path: std::path::PathBuf,
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn tempdir() -> std::io::Result<TempDir> {
    use std::os::unix::fs::DirBuilderExt as _;
    let name = format!("ncf-edit-{}", uuid::Uuid::new_v4().simple());
    let path = std::env::temp_dir().join(name);
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(TempDir { path })
}
