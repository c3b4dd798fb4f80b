//! What runs on the host, as far as the configuration is about it.

use std::collections::BTreeSet;

use super::host::Host;
use crate::error::Result;
use crate::iface::backend::Card;
use crate::iface::live;
use crate::iface::model::live::Live;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::netlink::Socket;
use crate::sys::netlink::link::Link;
use crate::sys::netlink::speed;

/// Kinds of link that are no cards: their addresses are made up, or are those of what is below them.
const MADE: [&str; 9] = [
    "bridge", "bond", "vlan", "team", "macvlan", "macvtap", "ipvlan", "ipvtap", "vxlan",
];

/// The links of the running system. Of the files in a tree somewhere else nothing is known to run.
#[derive(Debug)]
pub struct Running(Option<Vec<Link>>);

impl Running {
    /// What runs on `host` now. Where the kernel cannot be asked, nothing is known.
    pub fn of(host: &Host) -> Self {
        let links = || Socket::open().and_then(|mut socket| socket.links()).ok();
        Self(host.has_interfaces().then(links).flatten())
    }

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    fn links(&self) -> impl Iterator<Item = &Link> {
        self.0.iter().flatten()
    }

    fn link(&self, name: &InterfaceName) -> Option<&Link> {
        self.links().find(|link| link.name == *name)
    }

    /// Whether there is a link of that name that others can be made over: a card, or one that was made and is up.
    /// (The kernel's module makes a `bond0` that is neither up nor has ports.)
    pub fn carries(&self, name: &InterfaceName) -> bool {
        let link = self.link(&name.device());
        link.is_some_and(|link| link.up || !is_made(link))
    }

    /// The network cards.
    pub fn cards(&self) -> Vec<Card> {
        let is_card = |link: &&Link| !link.loopback && !is_made(link);
        let cards = self.links().filter(is_card);
        cards
            .filter_map(|link| {
                Some(Card {
                    name: link.name.clone(),
                    mac: link.card()?,
                })
            })
            .collect()
    }

    /// The names of the links that work: up and, except for a bridge, with a carrier, as netcf has it.
    pub fn active(&self) -> BTreeSet<InterfaceName> {
        let active = self.links().filter(|link| is_active(link));
        active.map(|link| link.name.clone()).collect()
    }

    /// Whether it works, or, of an alias, its device.
    pub fn is_active(&self, name: &InterfaceName) -> bool {
        self.link(&name.device()).is_some_and(is_active)
    }

    /// The address that it has.
    pub fn mac(&self, name: &InterfaceName) -> Option<MacAddress> {
        self.link(name)?.mac
    }

    /// Those that have the address.
    pub fn with_mac(&self, mac: MacAddress) -> Vec<InterfaceName> {
        let found = self.links().filter(|link| link.mac == Some(mac));
        found.map(|link| link.name.clone()).collect()
    }

    /// The link `name` and all that belongs to it; `None` where there is none.
    pub fn live(&self, name: &InterfaceName) -> Result<Option<Live>> {
        let Some(links) = &self.0 else {
            return Ok(None);
        };
        let addresses = Socket::open()?.addresses()?;
        let speed = |link: &Link| speed::of(link).megabits;
        Ok(live::live(name, links, &addresses, &speed))
    }
}

fn is_made(link: &Link) -> bool {
    link.kind
        .as_deref()
        .is_some_and(|kind| MADE.contains(&kind))
}

/// `IFF_UP` and, except for a bridge, `IFF_RUNNING`, which is RFC 2863's up or unknown.
fn is_active(link: &Link) -> bool {
    let state = format!("{:?}", link.operational);
    let running = link.carrier && ["Up", "Unknown"].contains(&state.as_str());
    link.up && (link.is_bridge() || running)
}
