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
//! | file | what it does |
//! |---|---|
//! | `run` | one interface, up or down |
//! | `links`, `addresses`, `routes`, `rules` | the plans |
//! | `change` | carries out changes to links |
//! | `switches` | what IPv6 does by itself |
//! | `dhcp` | the host's DHCP client |
//! | `check` | refuses beforehand what would fail |

mod addresses;
mod change;
mod check;
mod dhcp;
mod links;
mod routes;
mod rules;
mod run;
mod switches;
#[cfg(test)]
pub(crate) mod testing;

use super::desired::Desired;
use super::{Applier, Target};
use crate::sys::conf::DhcpClient;
use crate::sys::netlink::Socket;
use crate::{Error, Result};
use run::Run;

/// Brings interfaces up and down over netlink, in the network namespace of the calling thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct Builtin {
    /// What to get addresses by DHCP with.
    pub dhcp_client: DhcpClient,
}

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
        check::check(&mut Socket::open()?, desired(target)?, self.dhcp_client)
    }

    fn down(&self, target: &Target) -> Result<()> {
        let mut run = Run::new(self.dhcp_client)?;
        run.down(target)?;
        run.finish(&target.name)
    }

    fn up(&self, target: &Target) -> Result<()> {
        let desired = desired(target)?;
        let mut run = Run::new(self.dhcp_client)?;
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
