//! `edit`.

use std::ffi::OsString;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::Command;

use super::define::{define, report};
use super::{dumpxml, name};
use crate::change::files::Present;
use crate::change::running::Running;
use crate::change::tree::Tree;
use crate::cli::Done;
use crate::cli::output::Output;
use crate::cli::setup::Session;
use crate::error::{Context, Error, Result};
use crate::iface::model::Interface;
use crate::iface::xml;
use crate::sys::name::InterfaceName;
use crate::xml::Source;

/// Edit an interface's XML and define what comes of it
///
/// Opens the editor that $VISUAL or $EDITOR names, else vi. Where the text is no valid definition, it asks whether to
/// go on editing; what was written is not lost.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The interface
    #[arg(value_name = "NAME")]
    name: String,
}

/// Runs `edit`.
pub(in crate::cli) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let name = name(&args.name)?;
    let before = present(&name, session, output)?;
    let file = private_file(&name, &before)?;
    loop {
        open_editor(file.path())?;
        let text = std::fs::read_to_string(file.path())
            .context(|| format!("cannot read {}", file.path().display()))?;
        if text == before {
            output.say(format!("{name} is left as it was."));
            return Ok(None);
        }
        match attempt(&name, &text, session) {
            Ok((wanted, edits, guarded)) => {
                report(&wanted, &edits, guarded, session, output);
                return Ok(None);
            }
            Err(error) => {
                output.invalid(&error);
                if !wants_to_go_on(output) {
                    let (_, kept) = file
                        .keep()
                        .map_err(|error| error.error)
                        .context(|| "the text is lost")?;
                    let message = format!(
                        "{name} was not changed; what you wrote is in {}",
                        kept.display()
                    );
                    return Err(Error::failed(message).into());
                }
            }
        }
    }
}

fn attempt(
    name: &InterfaceName,
    text: &str,
    session: &Session,
) -> Result<(Interface, crate::iface::backend::Edits, bool)> {
    let wanted = xml::read(&Source::new(name.as_str(), text))?;
    if wanted.name != *name {
        let message = format!("the name is {name} and cannot be changed here");
        return Err(Error::failed(message).hint("'ncf define' makes an interface of another name"));
    }
    let (edits, guarded) = define(&wanted, session)?;
    Ok((wanted, edits, guarded))
}

fn present(name: &InterfaceName, session: &Session, output: &Output) -> Result<String> {
    let host = &session.host;
    let tree = Tree::now(&host.root, &host.scope)?;
    let running = Running::of(host);
    let files = Present(&tree);
    let (xml, warnings) = dumpxml::dump(name, false, host.backend.as_ref(), &files, &running)?;
    for warning in &warnings {
        output.warn(warning);
    }
    Ok(xml.to_string())
}

/// A file that nobody else can read or replace.
fn private_file(name: &InterfaceName, text: &str) -> Result<tempfile::NamedTempFile> {
    let failed = || "cannot make a temporary file".to_owned();
    let mut file = tempfile::Builder::new()
        .prefix(&format!("ncf-{name}-"))
        .suffix(".xml")
        .tempfile()
        .context(failed)?;
    file.write_all(text.as_bytes()).context(failed)?;
    file.flush().context(failed)?;
    Ok(file)
}

fn open_editor(path: &Path) -> Result<()> {
    let of = |name| std::env::var_os(name).filter(|it: &OsString| !it.is_empty());
    let editor = of("VISUAL")
        .or_else(|| of("EDITOR"))
        .unwrap_or_else(|| "vi".into());
    // It may have options: the shell takes it apart, as everywhere else; the path is an argument, and stays whole.
    let mut script = editor.clone();
    script.push(" \"$1\"");
    let failed = || format!("cannot run the editor {}", editor.display());
    let status = Command::new("/bin/sh")
        .arg("-c")
        .arg(script)
        .arg("ncf")
        .arg(path)
        .status()
        .context(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::failed(failed())
        .because(status.to_string())
        .hint("$VISUAL or $EDITOR names another"))
}

/// Asks whether to open the editor again. Without a terminal there is nobody to ask.
fn wants_to_go_on(output: &Output) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    output.ask("Edit it again? [Y/n] ");
    let mut answer = String::new();
    match io::stdin().lock().read_line(&mut answer) {
        Ok(read) if read > 0 => !answer.trim().to_ascii_lowercase().starts_with('n'),
        _ => false,
    }
}
