//! From arguments to a command.
//!
//! To describe all commands with all their options to clap takes longer than most of them run. So where the first
//! argument is a command's name, only that one is described. Whatever does not go through like this (an error, a call
//! for help, an option in front) is read again with all of it, so that what people see is always the same.

use std::ffi::OsString;

use clap::{Args, FromArgMatches as _, Parser as _};

use super::{
    Cli, Command, Globals, apply, boot, change, define, diff, dumpxml, edit, history, list, net,
    qos, status, undefine, updown, validate,
};

/// What the command line `arguments`, the program's name first, asks for.
pub(super) fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    match alone(arguments) {
        Some(cli) => Ok(cli),
        None => Cli::try_parse_from(arguments),
    }
}

/// By the description of one command alone. `None` where that is not enough.
fn alone(arguments: &[OsString]) -> Option<Cli> {
    let name = arguments.get(1)?.to_str()?;
    let it = Alone(arguments.get(2..)?);
    match name {
        "change-begin" => it.parse(Command::ChangeBegin as fn(change::BeginArgs) -> _),
        "change-commit" => it.parse(Command::ChangeCommit as fn(change::CommitArgs) -> _),
        "change-rollback" => it.parse(Command::ChangeRollback as fn(change::RollbackArgs) -> _),
        "status" => it.parse(Command::Status as fn(status::Args) -> _),
        "diff" => it.parse(Command::Diff as fn(diff::Args) -> _),
        "apply" => it.parse(Command::Apply as fn(apply::Args) -> _),
        "history" => it.parse(Command::History as fn(history::Args) -> _),
        "list" => it.parse(Command::List as fn(list::Args) -> _),
        "dumpxml" => it.parse(Command::DumpXml as fn(dumpxml::Args) -> _),
        "define" => it.parse(Command::Define as fn(define::Args) -> _),
        "undefine" => it.parse(Command::Undefine as fn(undefine::Args) -> _),
        "edit" => it.parse(Command::Edit as fn(edit::Args) -> _),
        "validate" => it.parse(Command::Validate as fn(validate::Args) -> _),
        "ifup" => it.parse(Command::IfUp as fn(updown::UpArgs) -> _),
        "ifdown" => it.parse(Command::IfDown as fn(updown::DownArgs) -> _),
        "net" => it.parse(Command::Net as fn(net::Args) -> _),
        "boot-rollback" => it.parse(Command::BootRollback as fn(boot::Args) -> _),
        "qos" => it.parse(Command::Qos as fn(qos::Args) -> _),
        _ => None,
    }
}

/// What stands behind a command's name.
struct Alone<'a>(&'a [OsString]);

impl Alone<'_> {
    fn parse<T: Args>(&self, command: impl FnOnce(T) -> Command) -> Option<Cli> {
        let described = T::augment_args(clap::Command::new("ncf").no_binary_name(true));
        let described = Globals::augment_args(described);
        let matches = described.try_get_matches_from(self.0).ok()?;
        Some(Cli {
            globals: Globals::from_arg_matches(&matches).ok()?,
            command: command(T::from_arg_matches(&matches).ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn every_command_is_known_alone_and_means_the_same() {
        let needed = [
            ("history", "history diff last"),
            ("dumpxml", "dumpxml --live eth0"),
            ("define", "define - --dry-run"),
            ("undefine", "undefine eth0"),
            ("edit", "edit eth0"),
            ("validate", "validate a b"),
            ("ifup", "ifup eth0"),
            ("ifdown", "ifdown eth0"),
            ("net", "net plug lan --owner web --inbound 10mbit"),
            ("qos", "qos set eth0 --inbound 10mbit --transient"),
        ];
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let line = needed.iter().find(|(it, _)| *it == name);
            let line = line.map_or(name, |(_, line)| *line);
            for options in ["", " --json -v --root /x --applier none --config=y"] {
                let arguments = words(&format!("ncf {line}{options}"));
                let alone = alone(&arguments).expect(name);
                let all = Cli::try_parse_from(&arguments).unwrap();
                assert_eq!(format!("{alone:?}"), format!("{all:?}"));
            }
        }
    }

    #[test]
    fn an_option_of_a_command_that_has_the_name_of_a_global_one_means_the_same() {
        let arguments = words("ncf net update lan delete interface <interface/> --config");
        let alone = alone(&arguments).unwrap();
        let all = Cli::try_parse_from(&arguments).unwrap();
        assert_eq!(format!("{alone:?}"), format!("{all:?}"));
    }

    #[test]
    fn what_is_said_is_said_by_all_commands() {
        for line in [
            "ncf",
            "ncf --json",
            "ncf qos",
            "ncf qos --help",
            "ncf qos -V",
            "ncf net plug",
            "ncf status --nonsense",
            "ncf nonsense",
            "ncf help net",
            "ncf status -q -v",
        ] {
            let arguments = words(line);
            let said = parse(&arguments)
                .map(|_| ())
                .map_err(|error| error.to_string());
            let all = Cli::try_parse_from(&arguments)
                .map(|_| ())
                .map_err(|error| error.to_string());
            assert_eq!(said, all);
            assert!(said.is_err(), "{line}");
        }
    }
}
