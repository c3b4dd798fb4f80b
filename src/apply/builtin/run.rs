//! One interface, up or down.

use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::addresses::{self, AddressOp, Wish, is_configured, is_essential, is_named};
use super::dhcp::{Clients, Family, is_lease};
use super::links;
use super::routes::{self, RouteOp};
use super::rules::{self, RuleOp};
use crate::apply::Target;
use crate::apply::desired::{Address, Desired, LinkKind, Rule};
use crate::sys::conf::DhcpClient;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::Socket;
use crate::sys::netlink::address::LinkAddress;
use crate::sys::netlink::link::Link;
use crate::{Error, Result};

/// How long to wait for duplicate address detection. It takes one second after a random delay of up to one
/// (RFC 4862, section 5.4.2); an address that is not through by then has no carrier.
const DETECTION: Duration = Duration::from_secs(4);

/// How often to look whether it is through.
const DETECTION_POLL: Duration = Duration::from_millis(50);

/// One interface being worked on, and what went wrong so far.
pub(super) struct Run {
    pub(super) socket: Socket,
    pub(super) dhcp_client: DhcpClient,
    problems: Vec<Error>,
}

impl Run {
    pub(super) fn new(dhcp_client: DhcpClient) -> Result<Self> {
        Ok(Self {
            socket: Socket::open()?,
            dhcp_client,
            problems: Vec::new(),
        })
    }

    pub(super) fn note(&mut self, outcome: Result<()>) {
        self.problems.extend(outcome.err());
    }

    /// Everything that went wrong, as one error.
    pub(super) fn finish(mut self, name: &InterfaceName) -> Result<()> {
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

    pub(super) fn up(&mut self, desired: &Desired) -> Result<()> {
        let links = self.socket.links()?;
        let mut plan = links::plan_up(&links, desired)?;
        self.problems.append(&mut plan.problems);
        self.links(plan.ops, Some(desired))?;

        let device = desired.name.device();
        let link = self.link(&device)?;
        self.switches(desired);
        let is_alias = desired.kind == LinkKind::Alias;
        if is_alias {
            self.addresses_up(&link, desired, Clients::default())?;
            self.routes_up(&link, desired, |_| false)?;
        } else {
            let clients = self.clients(&link, desired)?;
            self.addresses_up(&link, desired, clients)?;
            // What is left of before goes first; routes may need the lease.
            let ops = self.plan_routes(&link, desired, |ip| !clients.may_own(ip))?;
            let gone = |op: &RouteOp| matches!(op, RouteOp::Delete(_));
            self.routes(&link, ops.into_iter().filter(gone).collect());
            self.leases(&link, desired);
            let leased = |ip: IpAddr| {
                let wants = |family: Family| family.is_of(ip) && family.wanted(desired).is_some();
                Family::BOTH.into_iter().any(wants)
            };
            self.routes_up(&link, desired, |ip| !leased(ip))?;
        }
        let ops = rules::plan(&self.rules_for(&desired.rules)?, &desired.rules);
        self.rules(ops);
        Ok(())
    }

    /// What of the routes has to change; `exact` says of which destinations unwanted ones go.
    fn plan_routes(
        &mut self,
        link: &Link,
        desired: &Desired,
        exact: impl Fn(IpAddr) -> bool,
    ) -> Result<Vec<RouteOp>> {
        let kernel = self.socket.routes(link)?;
        let mut ops = routes::plan(&kernel, &desired.routes, true);
        ops.retain(|op| match op {
            RouteOp::Replace(_) => true,
            RouteOp::Delete(route) => exact(route.destination.addr()),
        });
        Ok(ops)
    }

    fn routes_up(
        &mut self,
        link: &Link,
        desired: &Desired,
        exact: impl Fn(IpAddr) -> bool,
    ) -> Result<()> {
        let ops = self.plan_routes(link, desired, exact)?;
        self.await_detection(link, &routes::sources(&ops))?;
        self.routes(link, ops);
        Ok(())
    }

    fn addresses_up(&mut self, link: &Link, desired: &Desired, clients: Clients) -> Result<()> {
        let is_alias = desired.kind == LinkKind::Alias;
        let labelled =
            |it: &LinkAddress| it.address.label.as_deref() == Some(desired.name.as_str());
        let unwanted = |it: &LinkAddress| {
            is_configured(it) && !clients.may_own(it.address.net.addr()) || clients.has_left(it)
        };
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
                unwanted: &unwanted,
            }
        };
        self.addresses(link, &wish)
    }

    pub(super) fn down(&mut self, target: &Target) -> Result<()> {
        let desired = target.desired.as_ref();
        if let Some(desired) = desired {
            let kernel = self.rules_for(&desired.rules)?;
            self.rules(rules::plan_removal(&kernel, &desired.rules));
        }
        let Some(link) = self.socket.link(&target.name.device())? else {
            return Ok(());
        };
        let is_alias =
            target.name.is_alias() || desired.is_some_and(|it| it.kind == LinkKind::Alias);
        if !is_alias {
            self.clients_down(&link.name, desired);
        }
        if !is_alias || desired.is_some() {
            let kernel = self.socket.routes(&link)?;
            let ops = routes::plan_removal(&kernel, desired.map(|it| it.routes.as_slice()));
            self.routes(&link, ops);
        }
        let unwanted = |it: &LinkAddress| match desired {
            _ if is_essential(&it.address) => false,
            // ifdown-eth takes all of them away where one may be the lease's.
            Some(desired) if desired.dhcp4.is_some() && it.address.net.addr().is_ipv4() => true,
            Some(desired) => desired.addresses.iter().any(|named| is_named(it, named)),
            None if is_alias => it.address.label.as_deref() == Some(target.name.as_str()),
            None => is_configured(it) || is_lease(it),
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
        self.links(links::plan_down(&link, desired), None)?;
        if let Some(desired) = desired {
            self.switches_back(desired);
        }
        Ok(())
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

    pub(super) fn addresses_of(&mut self, link: &Link) -> Result<Vec<LinkAddress>> {
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

    /// The kernel's rules, where any are wanted.
    fn rules_for(&mut self, wanted: &[Rule]) -> Result<Vec<Rule>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        self.socket.rules()
    }

    fn rules(&mut self, ops: Vec<RuleOp>) {
        for op in ops {
            let outcome = match op {
                RuleOp::Add(rule) => self.socket.add_rule(&rule),
                RuleOp::Delete(rule) => self.socket.delete_rule(&rule),
            };
            self.note(outcome);
        }
    }

    /// Waits until the link-local address is through duplicate address detection, at most for [`DETECTION`].
    pub(super) fn await_link_local(&mut self, link: &Link) -> Result<()> {
        let end = Instant::now() + DETECTION;
        let is_ready = |it: &LinkAddress| match it.address.net.addr() {
            IpAddr::V4(_) => false,
            IpAddr::V6(ip) => ip.is_unicast_link_local() && !it.tentative,
        };
        while !self.addresses_of(link)?.iter().any(is_ready) && Instant::now() < end {
            thread::sleep(DETECTION_POLL);
        }
        Ok(())
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
