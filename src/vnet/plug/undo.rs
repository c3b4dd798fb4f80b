//! A port made undone, however far it had come.

use std::io;

use super::Kernel;
use super::delete::{MACVTAP, TAP};
use super::make::device_name;
use crate::error::{Context, Result};
use crate::sys::netlink::link::Link;
use crate::vnet::ports::{Connection, Macvtap, Port};

impl Kernel {
    /// Removes what there is of the port. What is gone already is no error.
    pub(super) fn undo(&mut self, port: &Port) -> Result<()> {
        match &port.connection {
            Connection::Tap(_) => self.delete_device(port, TAP),
            Connection::Macvtap(macvtap) => {
                self.delete_device(port, MACVTAP)?;
                remove_node(macvtap)?;
                match &macvtap.function {
                    Some(change) => self.restore_function(change),
                    None => Ok(()),
                }
            }
            Connection::Hostdev(hostdev) => match &hostdev.function {
                Some(change) => self.restore_function(change),
                None => Ok(()),
            },
        }
    }

    /// Deletes the port's device, if it is one and not another's that has the name since.
    fn delete_device(&mut self, port: &Port, kind: &str) -> Result<()> {
        match self.device_of(port, kind)? {
            Some(link) => self.deleting.delete(&mut self.socket, &link),
            None => Ok(()),
        }
    }

    /// The device of a port. One that is not marked yet is it too: its maker was killed in between.
    pub(super) fn device_of(&mut self, port: &Port, kind: &str) -> Result<Option<Link>> {
        let name = device_name(&port.id.to_string())?;
        let Some(link) = self.socket.link(&name)? else {
            return Ok(None);
        };
        if link.kind.as_deref() != Some(kind) {
            return Ok(None);
        }
        let alias = self.socket.alias(&link)?;
        let ours = alias.is_none_or(|alias| alias.is_empty() || alias == port.alias());
        Ok(Some(link).filter(|_| ours))
    }
}

/// Removes the character device that ncf made. One that others made goes with its device.
fn remove_node(macvtap: &Macvtap) -> Result<()> {
    let Some(node) = macvtap.node.as_ref().filter(|_| macvtap.made_node) else {
        return Ok(());
    };
    match std::fs::remove_file(node) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).context(|| format!("cannot remove {}", node.display()))
        }
        _ => Ok(()),
    }
}
