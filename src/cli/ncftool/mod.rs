//! ncf under the name `ncftool`: its commands, options, texts and exit statuses, for scripts that know no other.
//!
//! Source: ncftool of netcf 0.2.8. Without a command it reads commands from standard input, one a line. Options of a
//! command begin with one or two dashes; an unknown one is reported and passed over, as there. What was a failure of
//! netcf is printed as `error:` lines. The exit status is 0 or 1.
//!
//! The transactions are ncf's, and so are the files that are written.

mod grammar;

use std::ffi::OsString;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use super::Globals;
use super::at_boot::acknowledge;
use super::interface::{self, define, dumpxml, list, undefine, updown};
use super::output::Output;
use super::setup::{BadSettings, Session};
use crate::apply::schedule::Verb;
use crate::change::files::Present;
use crate::change::running::Running;
use crate::change::transaction::{Begin, Transaction};
use crate::change::tree::Tree;
use crate::error::{Error, Result};
use crate::iface::xml;
use crate::sys::name::InterfaceName;
use crate::sys::signals::SignalGuard;
use grammar::{Argument, COMMANDS, Typed, options, typed, words};

/// The name to be started under.
const NAME: &str = "ncftool";

/// Whether the program was started under the name `ncftool`.
pub(super) fn is_meant(program: Option<&OsString>) -> bool {
    program.is_some_and(|name| Path::new(name).file_name() == Some(NAME.as_ref()))
}

/// Runs `ncftool` with these arguments, the program's name not among them. Returns the exit status.
pub(super) fn run(arguments: &[OsString]) -> u8 {
    let Some((globals, rest)) = options(arguments) else {
        return 1;
    };
    let output = Output::new(&globals);
    let mut shell = Shell { globals, output };
    let done = if rest.is_empty() {
        shell.read_commands()
    } else {
        shell.command(&rest).is_ok()
    };
    u8::from(!done)
}

/// That a command failed; what is to be said has been said.
struct Failed;

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let mut lines = vec![format!("error: {error}")];
        let mut cause = std::error::Error::source(&error);
        while let Some(below) = cause {
            lines.push(format!("error: {}", crate::error::plain(below)));
            cause = below.source();
        }
        lines.extend(error.excerpt_lines().map(str::to_owned));
        Output::complain(lines.join("\n"));
        Self
    }
}

/// What a command comes to.
type Ran = std::result::Result<(), Failed>;

struct Shell {
    globals: Globals,
    output: Output,
}

impl Shell {
    /// Reads and runs commands until `quit` or the end. Says whether the last one worked.
    fn read_commands(&mut self) -> bool {
        let from_terminal = io::stdin().is_terminal();
        let mut done = true;
        loop {
            Output::write("ncftool> ");
            let mut line = String::new();
            match io::stdin().lock().read_line(&mut line) {
                Ok(read) if read > 0 => {}
                _ => return done,
            }
            let line = line.trim_end_matches(['\n', '\r']);
            if !from_terminal {
                // As readline does.
                self.output.print(line);
            }
            let words = words(line);
            if words.first().map(String::as_str) == Some("quit") && words.len() == 1 {
                return done;
            }
            done = self.command(&words).is_ok();
        }
    }

    fn command(&mut self, words: &[String]) -> Ran {
        let (name, rest) = match words.split_first() {
            Some((name, rest)) => (name.as_str(), rest),
            None => ("", words),
        };
        let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
            Output::complain(format!("Unknown command '{name}'"));
            return Err(Failed);
        };
        let typed = typed(command, rest)?;
        match name {
            "help" => return self.help(&typed),
            "quit" => return Ok(()),
            _ => {}
        }
        let session = Session::open(&self.globals, BadSettings::Ignore)?;
        match name {
            "list" => self.list(&typed, &session),
            "dumpxml" => self.dumpxml(&typed, &session),
            "define" => self.define(&typed, &session),
            "undefine" => self.undefine(&typed, &session),
            "ifup" => Self::updown(Verb::Up, &typed, &session),
            "ifdown" => Self::updown(Verb::Down, &typed, &session),
            _ => self.change(name, &session),
        }
    }

    fn list(&self, typed: &Typed, session: &Session) -> Ran {
        let which = match (typed.has("all"), typed.has("inactive")) {
            (true, _) => list::Which::All,
            (_, true) => list::Which::Inactive,
            _ => list::Which::Active,
        };
        list::print(
            &list::lines(which, typed.has("macs"), session)?,
            &self.output,
        );
        Ok(())
    }

    fn dumpxml(&self, typed: &Typed, session: &Session) -> Ran {
        let running = Running::of(&session.host);
        let tree = Tree::now(&session.host.root, &session.host.scope)?;
        let files = Present(&tree);
        let backend = session.host.backend.as_ref();
        let text = typed.argument();
        let name = if typed.has("mac") {
            let (name, others) =
                dumpxml::by_mac(text, backend, &files, &running).map_err(|_| not_there(text))?;
            if others > 0 {
                let all = others + 1;
                Output::complain(format!(
                    "warning: {all} interfaces have MAC {text}, only showing one"
                ));
            }
            name
        } else {
            Self::known(text, session)?
        };
        let (xml, _) = dumpxml::dump(&name, typed.has("live"), backend, &files, &running)?;
        self.output.print(format!("<?xml version=\"1.0\"?>\n{xml}"));
        Ok(())
    }

    fn define(&self, typed: &Typed, session: &Session) -> Ran {
        let path = PathBuf::from(typed.argument());
        let Ok(source) = interface::document(&path) else {
            Output::complain(format!("Failed to read {}", path.display()));
            return Err(Failed);
        };
        let wanted = xml::read(&source)?;
        define::define(&wanted, session)?;
        self.output
            .print(format!("Defined interface {}", wanted.name));
        Ok(())
    }

    fn undefine(&self, typed: &Typed, session: &Session) -> Ran {
        let name = Self::known(typed.argument(), session)?;
        undefine::undefine(&name, session)?;
        self.output.print(format!("{name} undefined"));
        Ok(())
    }

    fn updown(verb: Verb, typed: &Typed, session: &Session) -> Ran {
        let name = Self::known(typed.argument(), session)?;
        let way = if verb == Verb::Up { "up" } else { "down" };
        let result = updown::run(verb, &name, session, &mut |_| ());
        let failed = || Output::complain(format!("Interface {name} bring-{way} failed!"));
        let (steps, worked) = result.inspect_err(|_| failed())?;
        let mut errors = steps.into_iter().filter_map(|step| step.result.err());
        if let Some(error) = errors.next().or(worked.err()) {
            failed();
            return Err(error.into());
        }
        // To standard error, as there.
        Output::complain(format!("Interface {name} successfully brought {way}"));
        Ok(())
    }

    fn change(&self, name: &str, session: &Session) -> Ran {
        let acknowledge = |lock| acknowledge(session, lock, &self.output);
        let host = &session.host;
        let lock = host.state.lock(name)?;
        let done = match name {
            "change-begin" => {
                let (_open, _) = Transaction::begin(
                    host,
                    &lock,
                    Begin {
                        reason: None,
                        boots: 0,
                    },
                )?;
                acknowledge(&lock);
                "config change transaction started"
            }
            "change-commit" => {
                let open = Transaction::open(host, &lock)?;
                open.must_not_be_rolling_back()?;
                open.commit(host)?;
                acknowledge(&lock);
                "config change transaction committed"
            }
            _ => {
                let open = Transaction::open(host, &lock)?;
                let unbroken = SignalGuard::block()?;
                let report = open.rollback(host, &unbroken, &mut |_| ())?;
                if !report.is_restored() || !report.is_clean() {
                    let all = report.errors.iter().chain(&report.warnings);
                    let all: Vec<_> = all.map(|it| format!("error: {}", it.one_line())).collect();
                    Output::complain(all.join("\n"));
                    return Err(Failed);
                }
                "config change transaction rolled back"
            }
        };
        self.output.print(done);
        Ok(())
    }

    /// The interface of that name, if it is configured and no part of another.
    fn known(text: &str, session: &Session) -> std::result::Result<InterfaceName, Failed> {
        let tree = Tree::now(&session.host.root, &session.host.scope)?;
        let cards = Running::of(&session.host).cards();
        let found: Result<InterfaceName> = interface::name(text).and_then(|name| {
            let backend = &session.host.backend;
            backend
                .with_ports(&name, &Present(&tree), &cards)
                .map(|_| name)
        });
        found.map_err(|_| not_there(text))
    }

    fn help(&self, typed: &Typed) -> Ran {
        let Some(name) = &typed.argument else {
            self.output.print("Commands:\n");
            for command in &COMMANDS {
                self.output
                    .print(format!("    {:<10} - {}", command.name, command.about));
            }
            self.output
                .print("\nType 'help <command>' for more information on a command\n");
            return Ok(());
        };
        let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
            Output::complain(format!("unknown command {name}"));
            return Err(Failed);
        };
        let options = command.options.iter();
        let mut synopsis: Vec<_> = options.map(|(name, _)| format!(" [--{name}]")).collect();
        let mut lines: Vec<_> = command
            .options
            .iter()
            .map(|it| format!("--{:<8} {}", it.0, it.1))
            .collect();
        let argument = match command.argument {
            Argument::None => None,
            Argument::Needed(name, about) => Some((format!("<{name}>"), "", "", about)),
            Argument::Optional(name, about) => Some((format!("<{name}>"), "[", "]", about)),
        };
        if let Some((name, open, close, about)) = argument {
            synopsis.push(format!(" {open}{name}{close}"));
            lines.push(format!("{name:<10} {about}"));
        }
        self.output
            .print(format!("  COMMAND\n    {name} - {}\n", command.about));
        let synopsis = synopsis.concat();
        self.output
            .print(format!("  SYNOPSIS\n    {name}{synopsis}\n\n  OPTIONS"));
        for line in lines {
            self.output.print(format!("    {line}"));
        }
        self.output.print("");
        Ok(())
    }
}

fn not_there(name: &str) -> Failed {
    Output::complain(format!(
        "Interface {name} does not exist or is not a toplevel interface"
    ));
    Failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_name_that_counts() {
        for (program, expected) in [
            ("ncftool", true),
            ("/usr/bin/ncftool", true),
            ("ncf", false),
            ("ncftool-x", false),
        ] {
            assert_eq!(is_meant(Some(&program.into())), expected, "{program}");
        }
    }
}
