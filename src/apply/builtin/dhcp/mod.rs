//! Addresses by DHCP, through the host's own client.
//!
//! A client is a daemon that renews its lease for as long as the host runs, and sets addresses, routes
//! and `/etc/resolv.conf` by a script that the distribution has fitted to the rest of the system. Writing another one was
//! rejected. So ncf starts what is there, waits for the lease, and ends it again.
//!
//! What the client has set is not recorded anywhere. While one runs, IPv4 addresses and routes that the configuration
//! does not name are taken for its; without one they are leftovers.

mod client;

use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::addresses::is_essential;
use super::run::Run;
use crate::apply::desired::{Desired, Dhcp};
use crate::sys::conf::DhcpClient;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::address::LinkAddress;
use crate::sys::netlink::link::Link;
use crate::{Error, Result};
use client::{Client, Running};

/// How long a client may take to get a lease, as dhclient's own `timeout`, which network-scripts rely on.
const LIMIT: Duration = Duration::from_secs(60);

/// How long a device may take to get its carrier, as in `check_link_down` of `network-functions`.
const CARRIER: Duration = Duration::from_secs(5);

/// What a bridge may take beyond twice its forward delay, as in `ifup-eth`.
const BRIDGE_CARRIER: Duration = Duration::from_secs(7);

/// How often to look whether it has one.
const POLL: Duration = Duration::from_millis(100);

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    pub(super) fn is_of(self, ip: IpAddr) -> bool {
        ip.is_ipv4() == (self == Self::V4)
    }

    /// How `desired` wants addresses of this family from a server, if it does.
    pub(super) fn wanted(self, desired: &Desired) -> Option<&Dhcp> {
        match self {
            Self::V4 => desired.dhcp4.as_ref(),
            Self::V6 => desired.dhcp6.as_ref(),
        }
    }
}

/// What of a device's addresses is the business of a DHCP client.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clients {
    /// One for IPv4 is at work, or is about to be.
    pub(super) has_v4: bool,
    /// One for IPv6 is.
    pub(super) has_v6: bool,
    /// The lease of one for IPv4 that is no longer wanted is still there.
    pub(super) left_v4: bool,
}

impl Clients {
    /// Whether a route or an address may be a client's.
    pub(super) fn may_own(self, ip: IpAddr) -> bool {
        if ip.is_ipv4() {
            self.has_v4
        } else {
            self.has_v6
        }
    }

    /// Whether an address is what a client has left behind.
    pub(super) fn has_left(self, it: &LinkAddress) -> bool {
        self.left_v4 && is_lease(it)
    }
}

/// Whether an IPv4 address can be one that a client gave: not for ever, and no daemon's that marks its own.
pub(super) fn is_lease(it: &LinkAddress) -> bool {
    it.address.net.addr().is_ipv4() && !it.permanent && !it.claimed && !is_essential(&it.address)
}

/// Refuses what no client of this host can do.
pub(super) fn check(desired: &Desired, choice: DhcpClient) -> Result<()> {
    let name = &desired.name;
    for family in Family::BOTH {
        if family.wanted(desired).is_none() {
            continue;
        }
        // It becomes part of file names and of configuration files of programs that expect nothing else.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_@".contains(&byte);
        if !name.as_str().bytes().all(is_plain) {
            return Err(Error::failed(format!(
                "{name}: a DHCP client takes only names of letters, digits, '.', '-', '_' and '@'"
            )));
        }
        if Client::find(family, choice).is_none() {
            let known = Client::known(family, choice);
            return Err(Error::failed(format!(
                "{name} is to get {} addresses by DHCP, but this host has no client for it",
                family.name()
            ))
            .hint(match choice {
                DhcpClient::Auto => format!("install one of {known}"),
                _ => format!("install {known}, which dhcp-client in ncf.conf asks for"),
            }));
        }
    }
    Ok(())
}

impl Run {
    /// Ends clients that are not wanted, and those that are wanted and have no lease. Says what is at work.
    pub(super) fn clients(&mut self, link: &Link, desired: &Desired) -> Result<Clients> {
        let mut clients = Clients::default();
        for family in Family::BOTH {
            let wanted = family.wanted(desired);
            let mut is_at_work = wanted.is_some();
            for running in Running::all(family, &link.name) {
                let works = wanted.is_some() && self.has_lease(link, family, desired)?;
                if !works {
                    let outcome = running.end(false);
                    self.note(outcome);
                    is_at_work = false;
                    clients.left_v4 |= family == Family::V4;
                }
            }
            match family {
                Family::V4 => clients.has_v4 = is_at_work && Running::any(family, &link.name),
                Family::V6 => clients.has_v6 = is_at_work && Running::any(family, &link.name),
            }
        }
        Ok(clients)
    }

    /// Starts the clients that are wanted and do not run, and waits for their leases.
    pub(super) fn leases(&mut self, link: &Link, desired: &Desired) {
        for family in Family::BOTH {
            if let Some(dhcp) = family.wanted(desired)
                && !Running::any(family, &link.name)
            {
                let outcome = self.lease(link, family, dhcp, desired);
                self.note(outcome);
            }
        }
    }

    fn lease(&mut self, link: &Link, family: Family, dhcp: &Dhcp, desired: &Desired) -> Result<()> {
        let Some(client) = Client::find(family, self.dhcp_client) else {
            return check(desired, self.dhcp_client);
        };
        if family == Family::V6 {
            // A client asks from the link-local address.
            self.await_link_local(link)?;
        }
        if !self.gets_carrier(link)? {
            if dhcp.persistent {
                client.start(family, &link.name, dhcp, LIMIT)?;
            }
            return Err(Error::failed(format!(
                "{}: no {} address by DHCP: it has no carrier",
                link.name,
                family.name()
            ))
            .hint("is the cable in, and the other side on?"));
        }
        let begun = Instant::now();
        client.start(family, &link.name, dhcp, LIMIT)?;
        // A client may write its file a moment after it has let go of its parent.
        while !self.has_lease(link, family, desired)? || !Running::any(family, &link.name) {
            if begun.elapsed() >= LIMIT {
                let (name, seconds) = (&link.name, LIMIT.as_secs());
                let goes_on = if Running::any(family, name) {
                    "; the client goes on trying"
                } else {
                    ""
                };
                return Err(Error::failed(format!(
                    "{name}: no {} address by DHCP within {seconds} s{goes_on}",
                    family.name()
                )));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Whether the device has a carrier, or gets one in time: without one a client would wait in vain.
    fn gets_carrier(&mut self, link: &Link) -> Result<bool> {
        let delay = link.bridge.as_ref().map(|bridge| bridge.forward_delay);
        let patience = match delay {
            // Hundredths of a second, in each of two states before a port lets packets through.
            Some(delay) => Duration::from_millis(20 * u64::from(delay)) + BRIDGE_CARRIER,
            None => CARRIER,
        };
        let begun = Instant::now();
        while !self.link(&link.name)?.carrier {
            if begun.elapsed() >= patience {
                return Ok(false);
            }
            thread::sleep(POLL);
        }
        Ok(true)
    }

    /// Ends the clients of a device that goes down. Without `desired`, whichever there are.
    pub(super) fn clients_down(&mut self, device: &InterfaceName, desired: Option<&Desired>) {
        for family in Family::BOTH {
            let dhcp = desired.and_then(|desired| family.wanted(desired));
            if dhcp.is_some() || desired.is_none() {
                for running in Running::all(family, device) {
                    let outcome = running.end(dhcp.is_some_and(|dhcp| dhcp.release));
                    self.note(outcome);
                }
            }
        }
    }

    /// Whether the device has an address that a server gave: one that the configuration does not name.
    fn has_lease(&mut self, link: &Link, family: Family, desired: &Desired) -> Result<bool> {
        let addresses = self.addresses_of(link)?;
        Ok(addresses.iter().any(|it| {
            let ip = it.address.net.addr();
            let is_global = match ip {
                IpAddr::V4(ip) => !ip.is_link_local(),
                IpAddr::V6(ip) => !ip.is_unicast_link_local() && !it.temporary && !it.tentative,
            };
            let is_named = desired.addresses.iter().any(|named| named.net.addr() == ip);
            family.is_of(ip) && is_global && !is_named
        }))
    }
}
