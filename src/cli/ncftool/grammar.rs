//! What can be typed: options, commands, words.

use std::ffi::OsString;

use clap::Parser as _;

use super::Failed;
use crate::cli::output::Output;
use crate::cli::{Cli, Globals};

/// What there is to type.
pub(super) struct Command {
    pub(super) name: &'static str,
    /// Each with what it does.
    pub(super) options: &'static [(&'static str, &'static str)],
    pub(super) argument: Argument,
    pub(super) about: &'static str,
}

/// The one argument that a command may have, with what it is.
pub(super) enum Argument {
    None,
    Needed(&'static str, &'static str),
    Optional(&'static str, &'static str),
}

pub(super) const COMMANDS: [Command; 11] = [
    command(
        "list",
        &[
            ("macs", "hardware addresses too"),
            ("all", "active or not"),
            ("inactive", "those that are not active"),
        ],
        Argument::None,
        "list the interfaces that are no part of another",
    ),
    command(
        "dumpxml",
        &[
            ("mac", "the name is a hardware address"),
            ("live", "what the kernel has now"),
        ],
        Argument::Needed("name", "the interface"),
        "print an interface as XML",
    ),
    command(
        "define",
        &[],
        Argument::Needed("xmlfile", "the file with the XML"),
        "write an interface's files from XML",
    ),
    command(
        "undefine",
        &[],
        Argument::Needed("iface", "the interface"),
        "remove an interface's files",
    ),
    command(
        "ifup",
        &[],
        Argument::Needed("iface", "the interface"),
        "bring an interface up",
    ),
    command(
        "ifdown",
        &[],
        Argument::Needed("iface", "the interface"),
        "take an interface down",
    ),
    command(
        "change-begin",
        &[],
        Argument::None,
        "save the configuration before changing it",
    ),
    command(
        "change-commit",
        &[],
        Argument::None,
        "keep what was changed",
    ),
    command(
        "change-rollback",
        &[],
        Argument::None,
        "bring back what was saved",
    ),
    command(
        "help",
        &[],
        Argument::Optional("command", "the command"),
        "say what commands there are, or what one does",
    ),
    command("quit", &[], Argument::None, "end"),
];

const fn command(
    name: &'static str,
    options: &'static [(&'static str, &'static str)],
    argument: Argument,
    about: &'static str,
) -> Command {
    Command {
        name,
        options,
        argument,
        about,
    }
}

/// The options before the command, and the rest; `None` after a word on what there is.
pub(super) fn options(arguments: &[OsString]) -> Option<(Globals, Vec<String>)> {
    let mut root: Option<OsString> = None;
    let mut verbose = false;
    let mut rest = arguments.iter();
    let command = loop {
        let Some(argument) = rest.next() else {
            break None;
        };
        let text = argument.to_string_lossy().into_owned();
        match text.as_str() {
            "-d" | "--debug" => verbose = true,
            "-r" | "--root" => match rest.next() {
                Some(dir) => root = Some(dir.clone()),
                None => return usage(),
            },
            _ if text.starts_with("--root=") => {
                root = text.strip_prefix("--root=").map(OsString::from);
            }
            "--" => break rest.next(),
            _ if text.starts_with("-r") => root = text.strip_prefix("-r").map(OsString::from),
            _ if text.starts_with('-') => return usage(),
            _ => break Some(argument),
        }
    };
    let words = command.into_iter().chain(rest);
    let words = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    // Only for its globals; NCF_ROOT and the like count here too.
    let mut line: Vec<OsString> = vec!["ncf".into()];
    if let Some(root) = root {
        line.extend(["--root".into(), root]);
    }
    if verbose {
        line.push("--verbose".into());
    }
    line.push("list".into());
    match Cli::try_parse_from(line) {
        Ok(cli) => Some((cli.globals, words)),
        Err(error) => {
            let _ = error.print();
            None
        }
    }
}

fn usage<T>() -> Option<T> {
    let text = "Usage: ncftool [OPTIONS] [COMMAND]\nCommands for network interfaces; without one, they are read \
                from standard input.\n\nType 'help' at the prompt to get a list of commands\n\nOptions:\n\n  \
                -r, --root ROOT    use ROOT as the root of the filesystem\n\n  \
                -d, --debug        Show debugging output\n";
    Output::complain(text);
    None
}

/// A command as it was typed.
pub(super) struct Typed {
    pub(super) options: Vec<String>,
    pub(super) argument: Option<String>,
}

impl Typed {
    pub(super) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|typed| typed == option)
    }

    pub(super) fn argument(&self) -> &str {
        self.argument.as_deref().unwrap_or_default()
    }
}

/// The options and the argument of a command.
pub(super) fn typed(command: &Command, words: &[String]) -> Result<Typed, Failed> {
    let mut typed = Typed {
        options: Vec::new(),
        argument: None,
    };
    let most = usize::from(!matches!(command.argument, Argument::None));
    for word in words {
        match word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            Some(option) => {
                let option = option.strip_prefix('-').unwrap_or(option);
                if command.options.iter().any(|(known, _)| *known == option) {
                    typed.options.push(option.to_owned());
                } else {
                    Output::complain(format!("Illegal option {word}"));
                }
            }
            None if typed.argument.is_some() || most == 0 => {
                Output::complain(format!(
                    "Too many arguments. Command {} takes only {most} arguments",
                    command.name
                ));
                return Err(Failed);
            }
            None => typed.argument = Some(word.clone()),
        }
    }
    if matches!(command.argument, Argument::Needed(..)) && typed.argument.is_none() {
        Output::complain(format!("Not enough arguments for {}", command.name));
        return Err(Failed);
    }
    Ok(typed)
}

/// The words of a line; quotes hold one together.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start_matches([' ', '\t']);
    while !rest.is_empty() {
        let quote = rest
            .chars()
            .next()
            .filter(|first| ['\'', '"'].contains(first));
        let (word, behind) = match quote {
            Some(quote) => {
                let inside = rest.get(1..).unwrap_or_default();
                inside.split_once(quote).unwrap_or((inside, ""))
            }
            None => rest.split_once([' ', '\t']).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = behind.trim_start_matches([' ', '\t']);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(
            words("  define  '/tmp/a b.xml' \"x"),
            ["define", "/tmp/a b.xml", "x"]
        );
        assert_eq!(words(""), Vec::<String>::new());
    }
}
