//! What is shown of networks.

use serde::Serialize;

use super::super::setup::Session;
use super::{running, store};
use crate::error::{Error, Result};
use crate::sys::name::InterfaceName;
use crate::sys::netlink::Socket;
use crate::sys::netlink::link::Link;
use crate::vnet::active::{Active, Phase};
use crate::vnet::definition::Definition;
use crate::vnet::lifecycle;
use crate::vnet::model::{Devices, Forward, Network};
use crate::vnet::name::NetworkName;

/// A network as in JSON.
#[derive(Debug, Serialize)]
pub(super) struct NetworkView {
    pub(super) name: NetworkName,
    uuid: Option<String>,
    /// `active`, `inactive`, or `broken`: half made, or without the bridge that was made for it.
    pub(super) state: &'static str,
    pub(super) persistent: bool,
    /// Whether it runs by another definition than the one that it would be started with.
    pub(super) changed: bool,
    pub(super) autostart: bool,
    pub(super) mode: Option<&'static str>,
    pub(super) bridge: Option<InterfaceName>,
    devices: Vec<String>,
    pf: Option<InterfaceName>,
    /// Why its definition cannot be read.
    pub(super) error: Option<String>,
}

impl NetworkView {
    /// Whether it has to be shown where only what runs is.
    pub(super) fn is_running(&self) -> bool {
        self.state != "inactive"
    }

    /// What it is over, for people.
    pub(super) fn over(&self) -> String {
        if let Some(bridge) = &self.bridge {
            return bridge.to_string();
        }
        match (&self.pf, self.devices.as_slice()) {
            (Some(pf), _) => format!("functions of {pf}"),
            (None, [first, second, third, rest @ ..]) if !rest.is_empty() => {
                format!("{first}, {second}, {third} and {} more", rest.len())
            }
            (None, devices) => devices.join(", "),
        }
    }

    fn of(name: NetworkName, found: &Found<'_>) -> Self {
        let mut view = Self {
            name,
            uuid: None,
            state: found.state,
            persistent: found.persistent,
            changed: found.changed,
            autostart: found.autostart,
            mode: None,
            bridge: None,
            devices: Vec::new(),
            pf: None,
            error: None,
        };
        match found.definition {
            Ok(definition) => view.take(definition.network()),
            Err(error) => view.error = Some(error.one_line()),
        }
        view
    }

    fn take(&mut self, network: &Network) {
        self.uuid = Some(network.uuid.to_string());
        self.mode = Some(network.forward.mode());
        self.bridge = network.forward.bridge().cloned();
        if let Forward::Virtual(bridge) = &network.forward {
            self.devices
                .extend(bridge.dev.iter().map(ToString::to_string));
        }
        match network.forward.devices() {
            Some(Devices::Interfaces(names)) => {
                self.devices.extend(names.iter().map(ToString::to_string));
            }
            Some(Devices::Addresses(all)) => {
                self.devices.extend(all.iter().map(ToString::to_string));
            }
            Some(Devices::VirtualFunctions(pf)) => self.pf = Some(pf.clone()),
            None => {}
        }
    }
}

/// What is known of a network.
struct Found<'a> {
    state: &'static str,
    persistent: bool,
    changed: bool,
    autostart: bool,
    definition: &'a Result<Definition>,
}

/// All networks, sorted by name.
pub(super) fn all(session: &Session) -> Result<Vec<NetworkView>> {
    let defined = store(session).all()?;
    let autostarted = store(session).autostarted()?;
    let running_names = running(session).names()?;
    let links = links_for(session, !running_names.is_empty());
    let mut views = Vec::new();
    for (name, definition) in &defined {
        let record = if running_names.binary_search(name).is_ok() {
            running(session).record(name)
        } else {
            Ok(None)
        };
        let autostart = autostarted.binary_search(name).is_ok();
        views.push(view(name, Some(definition), record, autostart, &links));
    }
    for name in running_names {
        if defined
            .binary_search_by(|(known, _)| known.cmp(&name))
            .is_err()
        {
            let record = running(session).record(&name);
            if !matches!(record, Ok(None)) {
                views.push(view(&name, None, record, false, &links));
            }
        }
    }
    views.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(views)
}

/// One network; `None` where there is none of that name.
pub(super) fn one(session: &Session, name: &NetworkName) -> Option<NetworkView> {
    let definition = store(session).definition(name).transpose();
    let record = running(session).record(name);
    if definition.is_none() && matches!(record, Ok(None)) {
        return None;
    }
    let links = links_for(session, !matches!(record, Ok(None)));
    let autostart = store(session).is_autostarted(name);
    Some(view(name, definition.as_ref(), record, autostart, &links))
}

fn view(
    name: &NetworkName,
    defined: Option<&Result<Definition>>,
    record: Result<Option<Active>>,
    autostart: bool,
    links: &[Link],
) -> NetworkView {
    let state = match &record {
        Ok(None) => "inactive",
        Ok(Some(record))
            if record.phase == Phase::Running && lifecycle::is_whole(record, links) =>
        {
            "active"
        }
        Ok(Some(_)) | Err(_) => "broken",
    };
    let live = match record {
        Ok(Some(record)) => Some(record.definition()),
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    };
    let changed = match (&live, defined) {
        (Some(Ok(live)), Some(Ok(defined))) => live != defined,
        _ => false,
    };
    let nothing = Err(Error::failed("there is no definition"));
    let definition = live.as_ref().or(defined).unwrap_or(&nothing);
    NetworkView::of(
        name.clone(),
        &Found {
            state,
            persistent: defined.is_some(),
            changed,
            autostart,
            definition,
        },
    )
}

fn links_for(session: &Session, wanted: bool) -> Vec<Link> {
    if !wanted || !session.host.has_interfaces() {
        return Vec::new();
    }
    let links = Socket::open().and_then(|mut socket| socket.links());
    links.unwrap_or_default()
}
