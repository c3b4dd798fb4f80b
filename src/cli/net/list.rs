//! `net list`.

use super::super::Done;
use super::super::output::{Output, Tone};
use super::super::setup::Session;
use super::super::view::count;
use super::view::{NetworkView, all};

/// List networks
///
/// Those that run; with --all those that are only defined, too.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Those that do not run, too
    #[arg(long)]
    all: bool,
}

/// Runs `net list`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let everything = all(session)?;
    let defined = everything.len();
    let shown: Vec<_> = everything
        .into_iter()
        .filter(|view| args.all || view.is_running())
        .collect();
    output.json(&shown);
    if output.json {
        return Ok(None);
    }
    if shown.is_empty() {
        output.say(match defined {
            0 => "No network is defined: 'ncf net define' does that.".to_owned(),
            _ => format!(
                "No network runs; {} defined: 'ncf net list --all' shows {}.",
                if defined == 1 {
                    "1 is".to_owned()
                } else {
                    format!("{defined} are")
                },
                if defined == 1 { "it" } else { "them" },
            ),
        });
        return Ok(None);
    }
    print(&shown, output);
    Ok(None)
}

const HEAD: [&str; 5] = ["NAME", "STATE", "AUTOSTART", "MODE", "OVER"];

fn print(views: &[NetworkView], output: &Output) {
    let rows: Vec<_> = views.iter().map(row).collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; 5]| {
        let padded = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    output.say(output.paint(Tone::Strong, line(&HEAD.map(ToOwned::to_owned))));
    // At once: standard output is flushed after each line.
    let lines: Vec<_> = rows.iter().map(line).collect();
    output.print(lines.join("\n"));
    if views.iter().any(|view| view.changed) {
        output.say(
            "What is changed runs by an older definition until it is stopped and started: 'ncf net dumpxml --live' \
             shows that.",
        );
    }
    let broken = views.iter().filter(|view| view.error.is_some()).count();
    if broken > 0 {
        output.say(format!(
            "Of {} the definition cannot be read: 'ncf net info NAME' says why.",
            count(broken, "network")
        ));
    }
}

fn row(view: &NetworkView) -> [String; 5] {
    let state = match (view.state, view.persistent) {
        (state, true) if view.changed => format!("{state}, changed"),
        (state, true) => state.to_owned(),
        (state, false) => format!("{state}, not defined"),
    };
    let autostart = if view.autostart { "yes" } else { "no" };
    let mode = view.mode.unwrap_or("?");
    [
        view.name.to_string(),
        state,
        autostart.to_owned(),
        mode.to_owned(),
        view.over(),
    ]
}
