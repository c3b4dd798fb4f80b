//! The command line: what was typed, what that means on this host, one function for each command.

mod apply;
mod at_boot;
mod boot;
mod change;
mod diff;
mod helper;
mod history;
mod interface;
mod ncftool;
mod net;
mod output;
mod parse;
mod qos;
mod setup;
mod status;
mod view;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::error::{Error, ErrorKind};
use interface::{define, dumpxml, edit, list, undefine, updown, validate};
use output::Output;
use setup::{BadSettings, Session};

/// Change the network of a machine that you can reach only over that network.
///
/// 'ncf change-begin' saves the network configuration. Edit the files, make them the running state with
/// 'ncf apply', and keep them with 'ncf change-commit'. 'ncf change-rollback' brings everything back, and so
/// does the next boot if the change was never committed.
#[derive(Debug, Parser)]
#[command(
    name = "ncf",
    version,
    max_term_width = 100,
    subcommand_required = true
)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Work on the system in this directory; interfaces are then left alone unless --applier says
    /// otherwise
    #[arg(
        long,
        global = true,
        env = "NCF_ROOT",
        value_name = "DIR",
        default_value = "/"
    )]
    root: PathBuf,

    /// Keep state in this directory instead of /var/lib/ncf
    #[arg(long, global = true, env = "NCF_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// Read settings from this file instead of /etc/ncf/ncf.conf
    #[arg(
        long,
        global = true,
        env = "NCF_CONFIG",
        value_name = "FILE",
        value_parser = SettingsFile::parse
    )]
    config: Option<SettingsFile>,

    /// What takes interfaces down and up
    #[arg(
        long,
        global = true,
        env = "NCF_APPLIER",
        value_name = "APPLIER",
        value_enum
    )]
    applier: Option<Applier>,

    /// Print JSON
    #[arg(long, global = true)]
    json: bool,

    /// Print nothing but results and errors
    #[arg(short, long, global = true)]
    quiet: bool,

    /// Print more: each file, each cause
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
}

/// Where settings are read from.
///
/// Not simply a path: 'net update' has a --config of its own, as virsh has, and clap hands that on as this one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SettingsFile {
    /// The usual place.
    Default,
    /// This file.
    File(PathBuf),
}

impl SettingsFile {
    /// Empty is as not given, as of an environment variable.
    #[allow(clippy::unnecessary_wraps, reason = "clap wants a result")]
    fn parse(text: &str) -> Result<Self, std::convert::Infallible> {
        if text.is_empty() {
            Ok(Self::Default)
        } else {
            Ok(Self::File(text.into()))
        }
    }
}

/// What takes interfaces down and up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Applier {
    /// The system's ifup and ifdown if both are there, else the built-in one
    Auto,
    /// The system's ifup and ifdown
    System,
    /// Netlink, without any program
    Builtin,
    /// Nothing: files only
    None,
}

#[derive(Debug, Subcommand)]
enum Command {
    ChangeBegin(change::BeginArgs),
    ChangeCommit(change::CommitArgs),
    ChangeRollback(change::RollbackArgs),
    Status(status::Args),
    Diff(diff::Args),
    Apply(apply::Args),
    History(history::Args),
    List(list::Args),
    #[command(name = "dumpxml")]
    DumpXml(dumpxml::Args),
    Define(define::Args),
    Undefine(undefine::Args),
    Edit(edit::Args),
    Validate(validate::Args),
    #[command(name = "ifup")]
    IfUp(updown::UpArgs),
    #[command(name = "ifdown")]
    IfDown(updown::DownArgs),
    Net(net::Args),
    BootRollback(boot::Args),
    Qos(qos::Args),
}

impl Command {
    fn bad_settings(&self) -> BadSettings {
        let begins = match self {
            Self::ChangeBegin(_)
            | Self::Apply(_)
            | Self::Define(_)
            | Self::Undefine(_)
            | Self::Edit(_)
            | Self::IfUp(_)
            | Self::IfDown(_) => true,
            Self::History(args) => args.begins(),
            Self::ChangeCommit(_)
            | Self::ChangeRollback(_)
            | Self::Status(_)
            | Self::Diff(_)
            | Self::List(_)
            | Self::DumpXml(_)
            | Self::Validate(_)
            | Self::Net(_)
            | Self::BootRollback(_)
            | Self::Qos(_) => false,
        };
        if begins {
            BadSettings::Refuse
        } else {
            BadSettings::Ignore
        }
    }
}

/// The command definition, for the manual pages and shell completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line `arguments`, the program's name first: under the name `ncftool`, as that does. Returns the
/// exit status. Only the program `ncf` may call it, for commands start that once more.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<_> = arguments.into_iter().collect();
    if ncftool::is_meant(arguments.first()) {
        return ncftool::run(arguments.get(1..).unwrap_or_default());
    }
    if helper::is_meant(arguments.first()) {
        return helper::run(arguments.get(1..).unwrap_or_default());
    }
    let cli = match parse::parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // To a closed pipe there is nothing to say.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(ErrorKind::Usage.exit_status());
        }
    };
    let output = Output::new(&cli.globals);
    let session = Session::open(&cli.globals, cli.command.bad_settings());
    let done = session.map_err(anyhow::Error::from).and_then(|session| {
        if let Some(warning) = &session.warning {
            output.warn(&Error::failed("the settings are ignored").because(warning.one_line()));
        }
        dispatch(cli.command, &session, &output)
    });
    match done {
        Ok(kind) => kind.map_or(0, ErrorKind::exit_status),
        Err(error) => {
            output.error(&error);
            error
                .downcast_ref::<Error>()
                .map_or(ErrorKind::Failed, Error::kind)
                .exit_status()
        }
    }
}

/// What a command comes to: `None` is success, a kind is what its report already says went wrong.
type Done = anyhow::Result<Option<ErrorKind>>;

fn dispatch(command: Command, session: &Session, output: &Output) -> Done {
    match command {
        Command::ChangeBegin(args) => change::begin(args, session, output),
        Command::ChangeCommit(args) => change::commit(&args, session, output),
        Command::ChangeRollback(args) => change::rollback(&args, session, output),
        Command::Status(args) => status::run(&args, session, output),
        Command::Diff(args) => diff::run(&args, session, output),
        Command::Apply(args) => apply::run(&args, session, output),
        Command::History(args) => history::run(args, session, output),
        Command::List(args) => list::run(&args, session, output),
        Command::DumpXml(args) => dumpxml::run(&args, session, output),
        Command::Define(args) => define::run(&args, session, output),
        Command::Undefine(args) => undefine::run(&args, session, output),
        Command::Edit(args) => edit::run(&args, session, output),
        Command::Validate(args) => Ok(validate::run(&args, output)),
        Command::IfUp(args) => updown::up(&args, session, output),
        Command::IfDown(args) => updown::down(&args, session, output),
        Command::Net(args) => net::run(args, session, output),
        Command::BootRollback(args) => boot::run(&args, session, output),
        Command::Qos(args) => qos::run(args, session, output),
    }
}
