//! Which guest has what: for people who find no device left, or want to stop a network.

use std::fmt;

use super::record::{Owner, PortId};
use super::reserved::Reserved;
use super::store::{Ports, Read};
use crate::error::Result;
use crate::state::StateDir;
use crate::sys::boot;
use crate::vnet::name::NetworkName;
use crate::vnet::pool::Device;

/// A guest that has a port in a network, or a device of it reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// The guest.
    pub owner: Owner,
    /// Its port; `None` for a reservation.
    pub port: Option<PortId>,
    /// What it uses: for a port of a bridge the bridge.
    pub device: Device,
}

impl fmt::Display for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{} (port {port})", self.owner),
            None => write!(f, "{} ({} is reserved)", self.owner, self.device),
        }
    }
}

/// Who has which device.
pub struct Holders<'a> {
    /// The ports.
    pub ports: &'a Ports,
    /// What is kept for guests.
    pub reserved: &'a Reserved,
}

impl Holders<'_> {
    /// Who has a device, each as a clause: "web has it (port ncf3)", "it is reserved for db".
    pub fn of(&self, device: &Device) -> Result<Vec<String>> {
        let index = self.ports.index()?;
        let mut found: Vec<_> = self
            .ports
            .on(&index, device)
            .into_iter()
            .map(|read| match read {
                Read::Port(port) => format!("{} has it (port {})", port.owner, port.id),
                Read::Broken(path, _) => format!("{} says that it is used", path.display()),
            })
            .collect();
        for reservation in self.reserved.on(device)? {
            found.push(format!("it is reserved for {}", reservation.owner));
        }
        Ok(found)
    }
}

/// The guests in a network. One whose port is on the device that is reserved for it is there once.
pub fn users(state: &StateDir, network: &NetworkName) -> Result<Vec<Connected>> {
    let ports = Ports::new(state, &boot::id()?);
    let mut users = Vec::new();
    for read in ports.list()? {
        if let Read::Port(port) = read
            && port.network == *network
        {
            users.push(Connected {
                device: port.device().0,
                port: Some(port.id),
                owner: port.owner,
            });
        }
    }
    for reservation in Reserved::beside(&ports).list()? {
        let Some(device) = reservation.kept() else {
            continue;
        };
        let is_there = |user: &Connected| user.owner == reservation.owner && user.device == device;
        if reservation.network == *network && !users.iter().any(is_there) {
            users.push(Connected {
                owner: reservation.owner,
                port: None,
                device,
            });
        }
    }
    Ok(users)
}
