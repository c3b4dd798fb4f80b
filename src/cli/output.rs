//! Everything that is printed. A terminal that is gone is no reason to stop: errors of writing are ignored,
//! for the rollback that cut its own connection must go on.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

use super::Globals;
use crate::error::{Error, plain};

/// Prints, as the options want it.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(super) struct Output {
    pub(super) json: bool,
    quiet: bool,
    pub(super) verbose: bool,
    colour: bool,
    colour_errors: bool,
}

/// What a piece of text is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tone {
    /// What matters most.
    Strong,
    /// Came into being, or worked.
    Good,
    /// Went away, or failed.
    Bad,
    /// Deserves a second look.
    Warn,
    /// Where in a diff.
    Place,
}

impl Output {
    pub(super) fn new(globals: &Globals) -> Self {
        // https://no-color.org: present and not empty.
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            json: globals.json,
            quiet: globals.quiet,
            verbose: globals.verbose,
            colour: wanted && std::io::stdout().is_terminal(),
            colour_errors: wanted && std::io::stderr().is_terminal(),
        }
    }

    /// Prints a line that is the result of a command.
    pub(super) fn print(&self, line: impl Display) {
        if !self.json {
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }

    /// Prints a text that is the result of a command, as it is.
    pub(super) fn raw(&self, text: &str) {
        if !self.json {
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
        }
    }

    /// Prints a line that accompanies a command; `--quiet` leaves it out.
    pub(super) fn say(&self, line: impl Display) {
        if !self.quiet {
            self.print(line);
        }
    }

    /// Prints the result of a command as JSON, if that is wanted.
    pub(super) fn json(&self, value: &impl Serialize) {
        if self.json
            && let Ok(text) = serde_json::to_string_pretty(value)
        {
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        }
    }

    /// Prints one of many results as JSON on one line, if that is wanted.
    pub(super) fn json_line(&self, value: &impl Serialize) {
        if self.json
            && let Ok(text) = serde_json::to_string(value)
        {
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        }
    }

    /// Clears a terminal, for what is printed again and again.
    pub(super) fn redraw(&self) {
        if !self.json && std::io::stdout().is_terminal() {
            let _ = write!(std::io::stdout().lock(), "\x1b[H\x1b[2J");
        }
    }

    /// Prints a warning, to standard error.
    pub(super) fn warn(&self, warning: &Error) {
        let head = paint(self.colour_errors, Tone::Warn, "warning:");
        let _ = writeln!(std::io::stderr().lock(), "{head} {}", warning.one_line());
        self.hints(warning);
    }

    /// Prints an error with its causes and hints, to standard error.
    pub(super) fn error(&self, error: &anyhow::Error) {
        let head = paint(self.colour_errors, Tone::Bad, "ncf:");
        let causes: Vec<_> = error.chain().map(plain).collect();
        let _ = writeln!(std::io::stderr().lock(), "{head} {}", causes.join(": "));
        if let Some(error) = error.downcast_ref::<Error>() {
            self.hints(error);
        }
    }

    /// Prints what is wrong with an input, with its place, to standard error.
    pub(super) fn invalid(&self, error: &Error) {
        let _ = writeln!(std::io::stderr().lock(), "{}", error.one_line());
        self.hints(error);
    }

    /// Asks a question, to standard error: standard output may be a file.
    pub(super) fn ask(&self, question: &str) {
        if !self.json {
            let mut to = std::io::stderr().lock();
            let _ = write!(to, "{question}").and_then(|()| to.flush());
        }
    }

    /// Prints text without ending the line.
    pub(super) fn write(text: &str) {
        let mut to = std::io::stdout().lock();
        let _ = write!(to, "{text}").and_then(|()| to.flush());
    }

    /// Prints to standard error, in ncftool's words.
    pub(super) fn complain(text: impl Display) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    fn hints(&self, error: &Error) {
        if let Some(lines) = error.excerpt_lines() {
            let _ = writeln!(std::io::stderr().lock(), "{lines}");
        }
        let head = paint(self.colour_errors, Tone::Strong, "hint:");
        for hint in error.hints() {
            let _ = writeln!(std::io::stderr().lock(), "{head} {hint}");
        }
    }

    /// The text, coloured where the terminal wants it.
    pub(super) fn paint(&self, tone: Tone, text: impl Display) -> String {
        paint(self.colour, tone, text)
    }
}

fn paint(colour: bool, tone: Tone, text: impl Display) -> String {
    if !colour {
        return text.to_string();
    }
    let code = match tone {
        Tone::Strong => "1",
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Warn => "33",
        Tone::Place => "36",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}
