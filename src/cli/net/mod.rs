//! `net`: logical networks.

mod autostart;
mod define;
mod dumpxml;
mod edit;
mod info;
mod list;
mod port;
mod port_view;
mod resolve;
mod start;
mod stop;
mod undefine;
mod update;
mod validate;
mod view;

use std::io::IsTerminal as _;
use std::time::Duration;

use super::Done;
use super::output::Output;
use super::setup::Session;
use crate::error::{Context as _, Error, Result};
use crate::state::Lock;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::Socket;
use crate::vnet::active::Running;
use crate::vnet::lifecycle;
use crate::vnet::store::Store;
use crate::xml::Source;

/// Networks that guests name instead of this host's devices
///
/// A network's definition says what its guests are connected to on this host: a bridge, a pool of devices, a bridge of
/// ncf's own. Definitions are libvirt's <network> XML. A change that is open covers them: a rollback brings them back.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Define(Box<define::Args>),
    Undefine(undefine::Args),
    Edit(edit::Args),
    Dumpxml(dumpxml::Args),
    List(list::Args),
    Info(info::Args),
    Autostart(autostart::Args),
    Start(start::Args),
    Stop(stop::Args),
    Update(update::Args),
    Validate(validate::Args),
    Plug(port::PlugArgs),
    Unplug(port::UnplugArgs),
    Ports(port::PortsArgs),
    Repair(port::RepairArgs),
    Resolve(resolve::ResolveArgs),
    Release(resolve::ReleaseArgs),
    Check(resolve::CheckArgs),
}

/// Runs `net`.
pub(super) fn run(args: Args, session: &Session, output: &Output) -> Done {
    match args.command {
        Command::Define(args) => define::run(&args, session, output),
        Command::Undefine(args) => undefine::run(&args, session, output),
        Command::Edit(args) => edit::run(&args, session, output),
        Command::Dumpxml(args) => dumpxml::run(&args, session, output),
        Command::List(args) => list::run(&args, session, output),
        Command::Info(args) => info::run(&args, session, output),
        Command::Autostart(args) => autostart::run(&args, session, output),
        Command::Start(args) => start::run(&args, session, output),
        Command::Stop(args) => stop::run(&args, session, output),
        Command::Update(args) => update::run(&args, session, output),
        Command::Validate(args) => validate::run(&args, session, output),
        Command::Plug(args) => port::plug(args, session, output),
        Command::Unplug(args) => port::unplug(&args, session, output),
        Command::Ports(args) => port::ports(&args, session, output),
        Command::Repair(args) => port::repair(&args, session, output),
        Command::Resolve(args) => resolve::resolve(&args, session, output),
        Command::Release(args) => resolve::release(&args, session, output),
        Command::Check(args) => resolve::check(&args, session, output),
    }
}

/// How long a command waits for another one to be done: many guests start at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes the lock for a command that changes something, and puts right what a killed one left.
fn lock(session: &Session, output: &Output, command: &str) -> Result<Lock> {
    let state = &session.host.state;
    let lock = state.lock_within(command, PATIENCE)?;
    if session.host.has_interfaces() {
        port::undo_left(session, &lock, output)?;
        match lifecycle::repair(state, &lock) {
            Ok(gone) => {
                for name in gone {
                    let what = format!(
                        "the network {name} was half made or its bridge was gone: it is stopped"
                    );
                    output.warn(&Error::failed(what));
                }
            }
            Err(error) => output.warn(&error),
        }
    }
    Ok(lock)
}

/// Fails where the running system is not the one that the definitions are about.
fn must_run_here(session: &Session) -> Result<()> {
    if session.host.has_interfaces() {
        return Ok(());
    }
    let what = "networks run on this system, and the definitions are those of the one in --root";
    Err(Error::failed(what).hint("with --applier builtin this system is taken for it"))
}

/// What to say of networks that run by another definition than the one that is there now: a rollback brings back
/// definitions and leaves alone what runs.
pub(super) fn outdated(session: &Session) -> Vec<Error> {
    if !session.host.has_interfaces() {
        return Vec::new();
    }
    let views = view::all(session).unwrap_or_default().into_iter();
    let outdated = views.filter(|view| view.is_running() && (view.changed || !view.persistent));
    outdated
        .map(|view| {
            let name = view.name;
            if view.persistent {
                let what = format!("the network {name} runs on by another definition than the one that is there now");
                return Error::failed(what).hint(format!(
                    "'ncf net stop {name}' and 'ncf net start {name}' take it over; its guests must be unplugged for that"
                ));
            }
            Error::failed(format!("the network {name} runs on, and is not defined any more"))
                .hint(format!("'ncf net stop {name}' ends it"))
        })
        .collect()
}

fn store(session: &Session) -> Store<'_> {
    Store::new(&session.host.state)
}

fn running(session: &Session) -> Running<'_> {
    Running::new(&session.host.state)
}

/// Reads a document from the file, or from standard input for `-`.
fn read(file: &str) -> Result<Source> {
    if file == "-" {
        let stdin = std::io::stdin();
        return Source::read("standard input", stdin.lock());
    }
    let opened = std::fs::File::open(file).context(|| format!("cannot read {file}"))?;
    Source::read(file, opened)
}

/// Whether somebody sits before this command.
fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether the kernel has a device of that name; none where it cannot be asked.
fn taken_names(session: &Session) -> Vec<InterfaceName> {
    if !session.host.has_interfaces() {
        return Vec::new();
    }
    let links = Socket::open().and_then(|mut socket| socket.links());
    links
        .unwrap_or_default()
        .into_iter()
        .map(|link| link.name)
        .collect()
}
