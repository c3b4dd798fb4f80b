//! Writes the manual pages and shell completions, from the command definition itself:
//!
//! ```sh
//! cargo run --example assets -- OUTDIR
//! ```
//!
//! makes `OUTDIR/man8/ncf.8`, a page for each subcommand, `OUTDIR/man5/ncf.conf.5`, and
//! `OUTDIR/completions/{ncf,_ncf,ncf.fish}`. `make install` puts them in their places.
//!
//! An example rather than a build script: who only builds the program need not compile the
//! generators, and `cargo build` writes nothing outside its own directory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use ncf::cli::command;

/// What `ncf.8` says beyond what `--help` does, appended to the generated page.
const SECTIONS: &str = include_str!("../man/ncf.8.in");

/// Hand-written: no code defines it.
const CONF: &str = include_str!("../man/ncf.conf.5");

fn main() -> Result<()> {
    let out = std::env::args_os().nth(1).map(PathBuf::from);
    let out = out.context("usage: cargo run --example assets -- OUTDIR")?;
    let [man5, man8, completions] = ["man5", "man8", "completions"].map(|name| out.join(name));
    for directory in [&man5, &man8, &completions] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    write(&man5.join("ncf.conf.5"), CONF.as_bytes())?;

    let mut ncf = command().disable_help_subcommand(true);
    // Gives the subcommands their full names: ncf-net-define.
    ncf.build();
    pages(&ncf, &man8, true)?;

    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command(), "ncf", &mut text);
        let name = match shell {
            Shell::Zsh => "_ncf",
            Shell::Fish => "ncf.fish",
            // bash-completion looks for a file that is named as the command.
            _ => "ncf",
        };
        write(&completions.join(name), &text)?;
    }
    Ok(())
}

/// Writes the page of `command` and those of all its subcommands.
fn pages(command: &Command, directory: &Path, top: bool) -> Result<()> {
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    for subcommand in shown {
        pages(subcommand, directory, false)?;
    }
    let version = env!("CARGO_PKG_VERSION");
    let page = Man::new(command.clone())
        .section("8")
        .source(format!("ncf {version}"))
        .manual("System Administration");
    let mut text = Vec::new();
    page.render(&mut text)?;
    text.extend_from_slice(if top {
        SECTIONS.as_bytes()
    } else {
        b".SH SEE ALSO\n\\fBncf\\fR(8), \\fBncf.conf\\fR(5)\n"
    });
    write(&directory.join(page.get_filename()), &text)
}

fn write(path: &Path, text: &[u8]) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
