//! `list`.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::change::files::Present;
use crate::change::running::Running;
use crate::change::tree::Tree;
use crate::cli::Done;
use crate::cli::output::Output;
use crate::cli::setup::Session;
use crate::error::Result;
use crate::iface::backend::Described;
use crate::sys::name::InterfaceName;

/// List the interfaces that are configured and no part of another, one a line
///
/// Those that are active, unless an option says otherwise. In a root other than / it is not known which are, and
/// all are listed.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// List all, active or not
    #[arg(long)]
    all: bool,

    /// List those that are not active
    #[arg(long, conflicts_with = "all")]
    inactive: bool,

    /// Print the hardware address of each, too
    #[arg(long)]
    macs: bool,
}

/// Which interfaces are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Which {
    Active,
    Inactive,
    All,
}

impl Which {
    fn has(self, active: Option<bool>) -> bool {
        match (self, active) {
            (Self::All, _) | (_, None) => true,
            (Self::Active, Some(active)) => active,
            (Self::Inactive, Some(active)) => !active,
        }
    }
}

#[derive(Serialize)]
struct InterfaceView<'a> {
    name: &'a InterfaceName,
    r#type: &'static str,
    start: String,
    active: Option<bool>,
    mac: Option<String>,
    ports: Vec<&'a InterfaceName>,
}

#[derive(Serialize)]
struct Interfaces<'a> {
    interfaces: Vec<InterfaceView<'a>>,
}

/// Runs `list`.
pub(in crate::cli) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let which = match (args.all, args.inactive) {
        (true, _) => Which::All,
        (_, true) => Which::Inactive,
        _ => Which::Active,
    };
    if output.json {
        list_json(which, session, output)?;
    } else {
        print(&lines(which, args.macs, session)?, output);
    }
    Ok(None)
}

/// Prints lines at once: each alone would be a system call.
pub(in crate::cli) fn print(lines: &[String], output: &Output) {
    if !lines.is_empty() {
        output.print(lines.join("\n"));
    }
}

/// The lines that ncftool prints.
pub(in crate::cli) fn lines(which: Which, macs: bool, session: &Session) -> Result<Vec<String>> {
    let running = Running::of(&session.host);
    let tree = Tree::now(&session.host.root, &session.host.scope)?;
    let names = session
        .host
        .backend
        .interfaces(&Present(&tree), &running.cards())?;
    let active = running.active();
    let wanted = names
        .iter()
        .filter(|name| which.has(is_active(&running, &active, name)));
    Ok(wanted
        .map(|name| match running.mac(name) {
            _ if !macs => name.to_string(),
            Some(mac) => format!("{name:<8} {mac}", name = name.as_str()),
            None => format!("{name:<8} could not get MAC", name = name.as_str()),
        })
        .collect())
}

fn is_active(
    running: &Running,
    active: &BTreeSet<InterfaceName>,
    name: &InterfaceName,
) -> Option<bool> {
    let is = || active.contains(name) || (name.is_alias() && active.contains(&name.device()));
    running.is_known().then(is)
}

fn list_json(which: Which, session: &Session, output: &Output) -> Result<()> {
    let running = Running::of(&session.host);
    let tree = Tree::now(&session.host.root, &session.host.scope)?;
    let all = session
        .host
        .backend
        .describe_all(&Present(&tree), &running.cards())?;
    let active = running.active();
    let views = all
        .iter()
        .map(|described| view(described, &running, &active));
    let interfaces = views.filter(|view| which.has(view.active)).collect();
    output.json(&Interfaces { interfaces });
    Ok(())
}

fn view<'a>(
    described: &'a Described,
    running: &Running,
    active: &BTreeSet<InterfaceName>,
) -> InterfaceView<'a> {
    let interface = &described.interface;
    InterfaceView {
        name: &interface.name,
        r#type: interface.kind.word(),
        start: interface.start.to_string(),
        active: is_active(running, active, &interface.name),
        mac: running.mac(&interface.name).map(|mac| mac.to_string()),
        ports: interface.kind.ports(),
    }
}
