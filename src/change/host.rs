//! The host that transactions work on: where things are, and who does what.

use std::sync::LazyLock;

use super::manifest::Device;
use super::running::Running;
use crate::apply::Applier;
use crate::iface::backend::{Backend, Card, Scope};
use crate::state::StateDir;
pub use crate::sys::boot::id as boot_id;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::Socket;
use crate::sys::netlink::link::Link;
use crate::sys::root::Root;
use crate::sys::session::Who;

/// Everything a command needs to know of the host.
pub struct Host {
    /// The root directory.
    pub root: Root,
    /// The state directory.
    pub state: StateDir,
    /// How interfaces are configured here.
    pub backend: Box<dyn Backend>,
    /// What a snapshot covers: the backend's files and those that `ncf.conf` adds.
    pub scope: Scope,
    /// What brings interfaces up and down.
    pub applier: Box<dyn Applier>,
    /// How many archived changes are kept.
    pub keep: usize,
    /// Who runs this.
    pub who: LazyLock<Who>,
}

impl Host {
    /// Whether the interfaces of the running system are those that the configuration is about.
    pub fn has_interfaces(&self) -> bool {
        self.root.is_host() || !self.applier.is_idle()
    }

    /// What the kernel has now for each device that exists by itself: not for a bridge, whose address
    /// and MTU follow its ports. Empty where it cannot be asked.
    pub fn devices(&self) -> Vec<Device> {
        if !self.has_interfaces() {
            return Vec::new();
        }
        let links = Socket::open()
            .and_then(|mut socket| socket.links())
            .unwrap_or_default();
        let own = links
            .into_iter()
            .filter(|link| !link.is_bridge() && !link.loopback);
        own.map(|link| Device {
            name: link.name,
            mtu: link.mtu,
            mac: link.mac,
        })
        .collect()
    }

    /// The network cards, where interfaces go by the kernel's names for them. The host's own `ifup` is given the names
    /// of files, and looks for a card by itself.
    pub fn cards(&self) -> Vec<Card> {
        if self.applier.needs_desired() {
            Running::of(self).cards()
        } else {
            Vec::new()
        }
    }

    /// The interface that packets to the operator's SSH client leave by, and after it all that it rests
    /// on: a bridge's ports, the device below a vlan. Empty where there is no such session, or
    /// where the network worked on is not the one that it comes over.
    pub fn operator_path(&self) -> Vec<InterfaceName> {
        if !self.has_interfaces() {
            return Vec::new();
        }
        let Some(client) = self.who.ssh_client() else {
            return Vec::new();
        };
        let found = Socket::open().and_then(|mut socket| {
            Ok(match socket.route_to(client)? {
                Some(name) => path_below(name, &socket.links()?),
                None => Vec::new(),
            })
        });
        found.unwrap_or_default()
    }
}

/// `name` and every link below it.
fn path_below(name: InterfaceName, links: &[Link]) -> Vec<InterfaceName> {
    let mut path = vec![name];
    let mut at = 0;
    while let Some(upper) = path
        .get(at)
        .and_then(|name| links.iter().find(|l| l.name == *name))
    {
        let is_below = |link: &&Link| {
            link.master == Some(upper.index)
                || (upper.lower == Some(link.index) && link.index != upper.index)
        };
        for below in links.iter().filter(is_below) {
            if !path.contains(&below.name) {
                path.push(below.name.clone());
            }
        }
        at += 1;
    }
    path
}
