//! State and kernel made to agree.

use super::delete::{MACVTAP, TAP};
use super::{Kernel, Plugger};
use crate::error::{Error, Result};
use crate::vnet::name::NetworkName;
use crate::vnet::ports::{Connection, Port, Read};

/// One thing that did not agree.
#[derive(Debug)]
pub struct Repaired {
    /// What it was and what was done, a sentence without a full stop.
    pub what: String,
    /// Why it could not be done.
    pub error: Option<Error>,
}

impl Repaired {
    /// A network that is stopped: see [`crate::vnet::lifecycle::repair`].
    pub fn network(name: &NetworkName) -> Self {
        Self {
            what: format!("the network {name} was half made or its bridge was gone: it is stopped"),
            error: None,
        }
    }
}

impl Plugger<'_> {
    /// Undoes what a killed process left. One that cannot be undone does not keep the others from it: it is noted, and
    /// its device stays taken.
    pub(super) fn undo_unfinished(&mut self) -> Result<()> {
        let index = self.index()?;
        if !index.has_unfinished() {
            return Ok(());
        }
        for read in self.ports.unfinished(&index) {
            let repaired = match read {
                Read::Port(port) => {
                    let undone = self.undo(&port);
                    Repaired {
                        what: format!(
                            "port {} of {} in {} was half made or half removed: undone",
                            port.id, port.owner, port.network
                        ),
                        error: undone.err(),
                    }
                }
                Read::Broken(path, error) => Repaired {
                    what: format!("{} is no record of a port", path.display()),
                    error: Some(error),
                },
            };
            self.repaired.push(repaired);
        }
        Ok(())
    }

    /// Compares every port with the kernel. A port whose device is gone is forgotten, for a hypervisor that had it open
    /// cannot get it back; one that is no longer in its bridge is put back.
    pub fn repair(&mut self) -> Result<()> {
        for read in self.ports.list()? {
            let repaired = match read {
                Read::Port(port) => self.repair_port(&port)?,
                Read::Broken(path, error) => Some(Repaired {
                    what: format!("{} is no record of a port", path.display()),
                    error: Some(error),
                }),
            };
            self.repaired.extend(repaired);
        }
        Ok(())
    }

    fn repair_port(&mut self, port: &Port) -> Result<Option<Repaired>> {
        let state = self.kernel.state_of(port)?;
        let (what, done) = match state {
            Found::Good => return Ok(None),
            Found::Gone(why) => ("forgotten", (why, self.unplug_port(port))),
            Found::Outside(why) => {
                let joined = self.kernel.join_again(port);
                ("put back", (why, joined))
            }
        };
        let (why, done) = done;
        let Port {
            id, owner, network, ..
        } = port;
        Ok(Some(Repaired {
            what: format!("port {id} of {owner} in {network}: {why}: {what}"),
            error: done.err(),
        }))
    }
}

/// What there is of a finished port.
enum Found {
    /// All.
    Good,
    /// Nothing that could be used.
    Gone(String),
    /// Its device, not in its bridge.
    Outside(String),
}

impl Kernel {
    fn state_of(&mut self, port: &Port) -> Result<Found> {
        let id = port.id;
        match &port.connection {
            Connection::Tap(tap) => {
                let Some(link) = self.device_of(port, TAP)? else {
                    return Ok(Found::Gone(format!("there is no {id}")));
                };
                let Some(bridge) = self.socket.link(&tap.bridge)? else {
                    // It may come back: a bridge that is made anew, by ifup or a rollback.
                    return Ok(Found::Good);
                };
                if link.master == Some(bridge.index) {
                    return Ok(Found::Good);
                }
                Ok(Found::Outside(format!("it was not in {}", tap.bridge)))
            }
            Connection::Macvtap(macvtap) => match self.device_of(port, MACVTAP)? {
                Some(_) => Ok(Found::Good),
                None => Ok(Found::Gone(format!(
                    "there is no {id}, {} may have been away",
                    macvtap.lower
                ))),
            },
            Connection::Hostdev(hostdev) => match self.sysfs.function(hostdev.address)? {
                Some(_) => Ok(Found::Good),
                None => Ok(Found::Gone(format!("there is no {}", hostdev.address))),
            },
        }
    }

    fn join_again(&mut self, port: &Port) -> Result<()> {
        let Connection::Tap(tap) = &port.connection else {
            return Ok(());
        };
        let bridge = self.existing(&tap.bridge)?;
        match self.device_of(port, TAP)? {
            Some(link) => self.join(&link, &bridge, tap, port.mac),
            None => Ok(()),
        }
    }
}
