//! The built-in applier: netlink instead of the distribution's scripts.
//!
//! For each interface it compares what the kernel has with what is wanted, and changes the difference: what is
//! right already loses no packet. Three pure plans follow one another, of links, addresses and routes, each made
//! from a fresh look at the kernel, since carrying out one changes what the next has to do.
//!
//! An interface is brought as far up as it will go: every change is tried though one before it failed, and all
//! that went wrong is reported in one error. On a machine that is reached over this very interface, half a
//! configuration can be enough to get back in.
//!
//! It knows static configurations of network cards, bridges and aliases. DHCP, bonds and vlans are the
//! distribution's scripts' business; a configuration that asks for them does not get as far as here.

mod addresses;
mod check;
mod links;
mod routes;
#[cfg(test)]
pub(crate) mod testing;

use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::desired::{Address, Desired, LinkKind};
use super::{Applier, Target};
use crate::sys::name::InterfaceName;
use crate::sys::netlink::address::LinkAddress;
use crate::sys::netlink::link::Link;
use crate::sys::netlink::{Refusal, Socket, ipv6};
use crate::{Error, Result};
use addresses::{AddressOp, Wish, is_configured, is_essential, is_named};
use links::LinkOp;
use routes::RouteOp;

/// How long to wait for duplicate address detection. It takes one second after a random delay of up to one
/// (RFC 4862, section 5.4.2); an address that is not through by then has no carrier.
const DETECTION: Duration = Duration::from_secs(4);

/// How often to look whether it is through.
const DETECTION_POLL: Duration = Duration::from_millis(50);

/// Brings interfaces up and down over netlink, in the network namespace of the calling thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct Builtin;

impl Applier for Builtin {
    fn name(&self) -> &'static str {
        "builtin"
    }

    fn needs_desired(&self) -> bool {
        true
    }

    fn parallel(&self) -> usize {
        1
    }

    fn check(&self, target: &Target) -> Result<()> {
        check::check(&mut Socket::open()?, desired(target)?)
    }

    fn down(&self, target: &Target) -> Result<()> {
        let mut run = Run::new()?;
        run.down(target)?;
        run.finish(&target.name)
    }

    fn up(&self, target: &Target) -> Result<()> {
        let desired = desired(target)?;
        let mut run = Run::new()?;
        run.up(desired)?;
        run.finish(&target.name)
    }
}

/// The desired state, without which nothing can be brought up.
fn desired(target: &Target) -> Result<&Desired> {
    target.desired.as_ref().ok_or_else(|| {
        let name = &target.name;
        Error::failed(format!(
            "cannot bring up {name}: it is not known what it should have"
        ))
    })
}

/// One interface being worked on, and what went wrong so far.
struct Run {
    socket: Socket,
    problems: Vec<Error>,
}

impl Run {
    fn new() -> Result<Self> {
        Ok(Self {
            socket: Socket::open()?,
            problems: Vec::new(),
        })
    }

    fn note(&mut self, outcome: Result<()>) {
        self.problems.extend(outcome.err());
    }

    /// Everything that went wrong, as one error.
    fn finish(mut self, name: &InterfaceName) -> Result<()> {
        if self.problems.len() < 2 {
            return self.problems.pop().map_or(Ok(()), Err);
        }
        let lines: Vec<String> = self.problems.iter().map(Error::one_line).collect();
        let mut error = Error::failed(format!("{name}: {}", lines.join("; ")));
        let mut said: Vec<&String> = Vec::new();
        for hint in self.problems.iter().flat_map(Error::hints) {
            if !said.contains(&hint) {
                said.push(hint);
                error = error.hint(hint.clone());
            }
        }
        Err(error)
    }

    fn up(&mut self, desired: &Desired) -> Result<()> {
        let links = self.socket.links()?;
        let mut plan = links::plan_up(&links, desired)?;
        self.problems.append(&mut plan.problems);
        self.links(plan.ops)?;

        let device = desired.name.device();
        let Some(link) = self.socket.link(&device)? else {
            return Err(Error::failed(format!("{device}: no such device")));
        };
        if check::wants_ipv6(desired) {
            let outcome = ipv6::enable(&device);
            self.note(outcome);
        }
        self.addresses_up(&link, desired)?;
        let is_alias = desired.kind == LinkKind::Alias;
        let kernel = self.socket.routes(&link)?;
        let ops = routes::plan(&kernel, &desired.routes, !is_alias);
        self.await_detection(&link, &routes::sources(&ops))?;
        self.routes(&link, ops);
        Ok(())
    }

    fn addresses_up(&mut self, link: &Link, desired: &Desired) -> Result<()> {
        let is_alias = desired.kind == LinkKind::Alias;
        let labelled =
            |it: &LinkAddress| it.address.label.as_deref() == Some(desired.name.as_str());
        let own;
        let wish = if is_alias {
            own = with_label(&desired.addresses, &desired.name);
            Wish {
                device: &link.name,
                wanted: own.iter().collect(),
                ordered: false,
                unwanted: &labelled,
            }
        } else {
            Wish {
                device: &link.name,
                wanted: desired.addresses.iter().collect(),
                ordered: true,
                unwanted: &is_configured,
            }
        };
        self.addresses(link, &wish)
    }

    fn down(&mut self, target: &Target) -> Result<()> {
        let Some(link) = self.socket.link(&target.name.device())? else {
            return Ok(());
        };
        let desired = target.desired.as_ref();
        let is_alias =
            target.name.is_alias() || desired.is_some_and(|it| it.kind == LinkKind::Alias);
        if !is_alias || desired.is_some() {
            let kernel = self.socket.routes(&link)?;
            let ops = routes::plan_removal(&kernel, desired.map(|it| it.routes.as_slice()));
            self.routes(&link, ops);
        }
        let unwanted = |it: &LinkAddress| match desired {
            _ if is_essential(&it.address) => false,
            Some(desired) => desired.addresses.iter().any(|named| is_named(it, named)),
            None if is_alias => it.address.label.as_deref() == Some(target.name.as_str()),
            None => is_configured(it),
        };
        let wish = Wish {
            device: &link.name,
            wanted: Vec::new(),
            ordered: true,
            unwanted: &unwanted,
        };
        self.addresses(&link, &wish)?;
        if is_alias {
            return Ok(());
        }
        self.links(links::plan_down(&link, desired))
    }

    /// Stops only where a link cannot be made, without which the rest would be noise.
    fn links(&mut self, ops: Vec<LinkOp>) -> Result<()> {
        for op in ops {
            let makes_link = matches!(op, LinkOp::CreateBridge(_));
            match self.change_link(op) {
                Err(error) if makes_link => return Err(error),
                outcome => self.note(outcome),
            }
        }
        Ok(())
    }

    fn change_link(&mut self, op: LinkOp) -> Result<()> {
        match op {
            LinkOp::CreateBridge(name) => self.socket.create_bridge(&name),
            LinkOp::SetStp(name, on) => {
                let link = self.link(&name)?;
                self.socket.set_stp(&link, on)
            }
            LinkOp::SetForwardDelay(name, delay) => {
                let link = self.link(&name)?;
                self.socket.set_forward_delay(&link, delay)
            }
            LinkOp::SetMac(name, mac) => {
                let link = self.link(&name)?;
                match self.socket.set_mac(&link, mac) {
                    Err(error) if link.up && is_busy(&error) => {
                        self.socket.set_link_up(&link, false)?;
                        let outcome = self.socket.set_mac(&link, mac);
                        self.socket.set_link_up(&link, true)?;
                        outcome
                    }
                    outcome => outcome,
                }
            }
            LinkOp::SetMtu(name, mtu) => {
                let link = self.link(&name)?;
                self.socket.set_mtu(&link, mtu)
            }
            LinkOp::SetMaster { port, bridge } => {
                let (port, bridge) = (self.link(&port)?, self.link(&bridge)?);
                self.socket.set_master(&port, &bridge)
            }
            LinkOp::Release(name) => {
                let link = self.link(&name)?;
                self.socket.release(&link)
            }
            LinkOp::Up(name) => {
                let link = self.link(&name)?;
                self.socket.set_link_up(&link, true)
            }
            LinkOp::Down(name) => {
                let link = self.link(&name)?;
                self.socket.set_link_up(&link, false)
            }
            LinkOp::Delete(name) => {
                let link = self.link(&name)?;
                self.socket.delete_link(&link)
            }
        }
    }

    fn link(&mut self, name: &InterfaceName) -> Result<Link> {
        self.socket
            .link(name)?
            .ok_or_else(|| Error::failed(format!("{name}: no such device")))
    }

    fn addresses(&mut self, link: &Link, wish: &Wish) -> Result<()> {
        let kernel = self.addresses_of(link)?;
        for op in addresses::plan(&kernel, wish) {
            let outcome = match &op {
                AddressOp::Add(address) => self.socket.add_address(link, address),
                AddressOp::Keep(address) => self.socket.keep_address(link, address),
                AddressOp::Delete(address) => self.socket.delete_address(link, address),
            };
            self.note(outcome);
        }
        Ok(())
    }

    fn addresses_of(&mut self, link: &Link) -> Result<Vec<LinkAddress>> {
        let mut addresses = self.socket.addresses()?;
        addresses.retain(|it| it.index == link.index);
        Ok(addresses)
    }

    fn routes(&mut self, link: &Link, ops: Vec<RouteOp>) {
        for op in ops {
            let outcome = match op {
                RouteOp::Replace(route) => self.socket.replace_route(link, &route),
                RouteOp::Delete(route) => self.socket.delete_route(link, &route),
            };
            self.note(outcome);
        }
    }

    /// Waits until none of the `sources` is tentative on `link` any more, at most for [`DETECTION`]. What is still
    /// tentative then, the kernel refuses as a source, and says so.
    fn await_detection(&mut self, link: &Link, sources: &[IpAddr]) -> Result<()> {
        let end = Instant::now() + DETECTION;
        while !sources.is_empty() && Instant::now() < end {
            let addresses = self.addresses_of(link)?;
            let under_way = |it: &LinkAddress| {
                it.tentative && !it.duplicate && sources.contains(&it.address.net.addr())
            };
            if !addresses.iter().any(under_way) {
                break;
            }
            thread::sleep(DETECTION_POLL);
        }
        Ok(())
    }
}

/// The addresses of an alias, with its name as their label where they have none.
fn with_label(addresses: &[Address], alias: &InterfaceName) -> Vec<Address> {
    addresses
        .iter()
        .map(|it| Address {
            label: it.label.clone().or_else(|| Some(alias.clone())),
            ..it.clone()
        })
        .collect()
}

fn is_busy(error: &Error) -> bool {
    Refusal::of(error).is_some_and(|it| it.is_any(&[Errno::EBUSY]))
}
