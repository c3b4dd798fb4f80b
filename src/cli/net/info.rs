//! `net info`.

use serde::Serialize;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::view::{NetworkView, one};
use super::{running, store};
use crate::error::{Error, Result};
use crate::sys::clock::local;
use crate::vnet::definition::Definition;
use crate::vnet::model::{Forward, Network};
use crate::vnet::name::NetworkName;
use crate::vnet::store::unknown;

/// Show a network
///
/// What it is over, its addresses, portgroups and limits, and what of its definition ncf does not act on. Of a network
/// that runs it is what it runs by.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The network
    #[arg(value_name = "NETWORK")]
    name: NetworkName,
}

#[derive(Serialize)]
struct InfoView {
    #[serde(flatten)]
    network: NetworkView,
    since: Option<jiff::Timestamp>,
    mac: Option<String>,
    addresses: Vec<String>,
    mtu: Option<u32>,
    bandwidth: Option<String>,
    portgroups: Vec<GroupView>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct GroupView {
    name: String,
    default: bool,
    bandwidth: Option<String>,
}

impl InfoView {
    fn take(&mut self, network: &Network) {
        if let Forward::Virtual(bridge) = &network.forward {
            self.mac = Some(bridge.mac.to_string());
            self.addresses = bridge
                .addresses
                .iter()
                .map(|it| it.net.to_string())
                .collect();
            self.mtu = bridge.mtu;
        }
        self.bandwidth = network.bandwidth.map(|it| it.to_string());
        let groups = network.portgroups.iter().map(|group| GroupView {
            name: group.name.clone(),
            default: group.default,
            bandwidth: group.bandwidth.map(|it| it.to_string()),
        });
        self.portgroups = groups.collect();
        self.notes.clone_from(&network.notes);
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{}", self.network.name)];
        let mut line = |head: &str, text: String| {
            if !text.is_empty() {
                lines.push(format!("  {head:10} {text}"));
            }
        };
        let state = match (self.network.state, self.since) {
            ("active", Some(since)) => format!("active since {}", local(since)),
            (state, _) => state.to_owned(),
        };
        line("state", state);
        if !self.network.persistent {
            line("defined", "no: it is gone once it is stopped".to_owned());
        }
        if self.network.changed {
            line(
                "changed",
                "its definition differs from what it runs by".to_owned(),
            );
        }
        line(
            "autostart",
            if self.network.autostart { "yes" } else { "no" }.to_owned(),
        );
        line("mode", self.network.mode.unwrap_or_default().to_owned());
        line("over", self.network.over());
        line("mac", self.mac.clone().unwrap_or_default());
        line("addresses", self.addresses.join(", "));
        line("mtu", self.mtu.map(|it| it.to_string()).unwrap_or_default());
        line("limits", self.bandwidth.clone().unwrap_or_default());
        for group in &self.portgroups {
            let default = if group.default { " (default)" } else { "" };
            let limits = group
                .bandwidth
                .as_ref()
                .map(|it| format!(": {it}"))
                .unwrap_or_default();
            line("portgroup", format!("{}{default}{limits}", group.name));
        }
        for note in &self.notes {
            line("note", note.clone());
        }
        line("error", self.network.error.clone().unwrap_or_default());
        lines
    }
}

/// Runs `net info`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let network = one(session, &args.name).ok_or_else(|| unknown(&args.name))?;
    let mut view = InfoView {
        network,
        since: None,
        mac: None,
        addresses: Vec::new(),
        mtu: None,
        bandwidth: None,
        portgroups: Vec::new(),
        notes: Vec::new(),
    };
    if let Ok(definition) = current(args, session, &mut view) {
        view.take(definition.network());
    }
    output.json(&view);
    for line in view.lines() {
        output.print(line);
    }
    Ok(None)
}

/// The definition that it runs by, else the one that it would be started with.
fn current(args: &Args, session: &Session, view: &mut InfoView) -> Result<Definition> {
    let defined = store(session).definition(&args.name);
    if let Some(record) = running(session).record(&args.name)? {
        view.since = Some(record.since);
        let live = record.definition()?;
        return Ok(live);
    }
    defined?.ok_or_else(|| Error::failed("there is no definition"))
}
