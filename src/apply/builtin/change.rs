//! Carrying out changes to links.

use nix::errno::Errno;

use super::links::LinkOp;
use super::run::Run;
use crate::apply::desired::Desired;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::netlink::Refusal;
use crate::sys::netlink::link::Link;
use crate::sys::netlink::options::Settings;
use crate::{Error, Result};

impl Run {
    /// Stops only where a link cannot be made, without which the rest would be noise.
    ///
    /// IPv6 switches of `desired` are set before the link is set up: then the kernel asks for routers.
    pub(super) fn links(&mut self, ops: Vec<LinkOp>, desired: Option<&Desired>) -> Result<()> {
        for op in ops {
            let makes_link = matches!(
                op,
                LinkOp::CreateBridge(_) | LinkOp::CreateBond(..) | LinkOp::CreateVlan(..)
            );
            if let (LinkOp::Up(name), Some(desired)) = (&op, desired)
                && *name == desired.name
            {
                self.switches(desired);
            }
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
            LinkOp::CreateBond(name, settings) => self.create_bond(&name, &settings),
            LinkOp::CreateVlan(name, vlan) => {
                let lower = self.link(&vlan.lower)?;
                self.socket.create_vlan(&name, &lower, vlan.tag, vlan.mask)
            }
            LinkOp::SetMaster { port, master } => {
                let (port, master) = (self.link(&port)?, self.link(&master)?);
                self.socket.set_master(&port, &master)
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
            op => self.set_option(op),
        }
    }

    fn set_option(&mut self, op: LinkOp) -> Result<()> {
        match op {
            LinkOp::SetStp(name, on) => {
                let link = self.link(&name)?;
                self.socket.set_stp(&link, on)
            }
            LinkOp::SetForwardDelay(name, delay) => {
                let link = self.link(&name)?;
                self.socket.set_forward_delay(&link, delay)
            }
            LinkOp::SetBridgeOption(name, setting) => {
                let link = self.link(&name)?;
                self.socket.set_bridge_option(&link, &setting)
            }
            LinkOp::SetBond(name, settings) => {
                let link = self.link(&name)?;
                self.socket.set_bond(&link, &settings)
            }
            LinkOp::SetPrimary { bond, port } => {
                let (bond, port) = (self.link(&bond)?, self.link(&port)?);
                self.socket.set_primary(&bond, &port)
            }
            LinkOp::SetVlanFlags(name, flags, mask) => {
                let link = self.link(&name)?;
                self.socket.set_vlan_flags(&link, flags, mask)
            }
            LinkOp::SetMac(name, mac) => self.set_mac(&name, mac),
            LinkOp::SetMtu(name, mtu) => {
                let link = self.link(&name)?;
                self.socket.set_mtu(&link, mtu)
            }
            // All others are carried out by the caller.
            _ => Ok(()),
        }
    }

    /// Loading the bonding module can make `bond0` by itself (`max_bonds`): that one will do.
    fn create_bond(&mut self, name: &InterfaceName, settings: &Settings) -> Result<()> {
        let created = self.socket.create_bond(name, settings);
        let Err(error) = created else {
            return Ok(());
        };
        match self.socket.link(name)? {
            Some(link) if is(&error, Errno::EEXIST) && link.is_bond() => {
                self.socket.set_bond(&link, settings)
            }
            _ => Err(error),
        }
    }

    fn set_mac(&mut self, name: &InterfaceName, mac: MacAddress) -> Result<()> {
        let link = self.link(name)?;
        match self.socket.set_mac(&link, mac) {
            Err(error) if link.up && is(&error, Errno::EBUSY) => {
                self.socket.set_link_up(&link, false)?;
                let outcome = self.socket.set_mac(&link, mac);
                self.socket.set_link_up(&link, true)?;
                outcome
            }
            outcome => outcome,
        }
    }

    pub(super) fn link(&mut self, name: &InterfaceName) -> Result<Link> {
        self.socket
            .link(name)?
            .ok_or_else(|| Error::failed(format!("{name}: no such device")))
    }
}

fn is(error: &Error, number: Errno) -> bool {
    Refusal::of(error).is_some_and(|it| it.is_any(&[number]))
}
