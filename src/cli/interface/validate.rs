//! `validate`.

use std::path::PathBuf;

use serde::Serialize;

use super::document;
use crate::cli::output::Output;
use crate::error::{Error, ErrorKind};
use crate::iface::xml;

/// Check whether files are interface definitions that 'define' would take
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The files; '-' is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct FileView {
    file: String,
    valid: bool,
    name: Option<String>,
    r#type: Option<&'static str>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Validated {
    files: Vec<FileView>,
}

/// Runs `validate`, and returns what it comes to.
pub(in crate::cli) fn run(args: &Args, output: &Output) -> Option<ErrorKind> {
    let mut views = Vec::new();
    for path in &args.files {
        let file = path.display().to_string();
        let read = document(path).and_then(|source| xml::read(&source));
        if let Err(error) = &read {
            output.invalid(error);
        } else {
            output.say(format!("{file}: valid"));
        }
        let interface = read.as_ref().ok();
        views.push(FileView {
            file,
            valid: read.is_ok(),
            name: interface.map(|interface| interface.name.to_string()),
            r#type: interface.map(|interface| interface.kind.word()),
            error: read.as_ref().err().map(Error::one_line),
        });
    }
    let all_valid = views.iter().all(|view| view.valid);
    output.json(&Validated { files: views });
    (!all_valid).then_some(ErrorKind::Failed)
}
