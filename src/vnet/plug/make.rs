//! A port made real.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::stat::{Mode as FileMode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Uid, chown};

use super::{Kernel, Request, node_of};
use crate::error::{Context, Error, Result};
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::netlink::bridge_port::PortVlan;
use crate::sys::netlink::link::Link;
use crate::sys::netlink::macvtap::Mode;
use crate::sys::tap;
use crate::vnet::model::{NativeMode, Vlan};
use crate::vnet::ports::{Connection, Macvtap, Port, Tap};

/// How long udev may take to make a character device, where the kernel's own file system of devices does not.
const NODE_PATIENCE: Duration = Duration::from_secs(2);

impl Kernel {
    /// Makes the port that `port` describes, and adds to it what is only known then; `note` is called with that before it is
    /// acted on.
    pub(super) fn make(
        &mut self,
        port: &mut Port,
        request: &Request,
        mut note: impl FnMut(&Port) -> Result<()>,
    ) -> Result<()> {
        let alias = port.alias();
        let id = port.id;
        match &mut port.connection {
            Connection::Tap(tap) => {
                let name = device_name(&id.to_string())?;
                self.make_tap(&name, tap, port.mac, request, &alias)?;
            }
            Connection::Macvtap(macvtap) => {
                let name = device_name(&id.to_string())?;
                if let Some(function) = &macvtap.function {
                    self.set_function(function)?;
                }
                let link = self.make_macvtap(&name, macvtap, port.mac, &alias)?;
                let path = node_of(link.index);
                let is_there = appears(&path);
                macvtap.node = Some(path.clone());
                macvtap.made_node = !is_there;
                note(port)?;
                self.give_node(&path, is_there, &link, request)?;
                self.socket.set_link_up(&link, true)?;
            }
            Connection::Hostdev(hostdev) => {
                if let Some(function) = &hostdev.function {
                    self.set_function(function)?;
                }
            }
        }
        Ok(())
    }

    fn make_tap(
        &mut self,
        name: &InterfaceName,
        tap: &Tap,
        mac: MacAddress,
        request: &Request,
        alias: &str,
    ) -> Result<()> {
        let bridge = self.existing(&tap.bridge)?;
        self.free_name(name)?;
        let options = tap::Tap {
            user: request.user,
            group: request.group,
            multi_queue: tap.queues > 1,
        };
        tap::create(name, &options)?;
        let link = self.existing(name)?;
        self.socket.set_alias(&link, alias)?;
        self.socket.set_mac(&link, host_side(mac))?;
        // Before it is in the bridge, which would otherwise take the smaller MTU over.
        if link.mtu != bridge.mtu {
            self.socket.set_mtu(&link, bridge.mtu)?;
        }
        self.join(&link, &bridge, tap, mac)?;
        self.socket.set_link_up(&link, true)
    }

    /// Makes a tap device a port of its bridge, as the record has it.
    pub(super) fn join(
        &mut self,
        link: &Link,
        bridge: &Link,
        tap: &Tap,
        mac: MacAddress,
    ) -> Result<()> {
        if tap.vlan.is_some() && !self.socket.filters_vlans(bridge)? {
            return Err(Error::failed(format!(
                "the port is to be in a VLAN, and the bridge {} does not filter by VLAN",
                bridge.name
            ))
            .hint(format!(
                "'ip link set {} type bridge vlan_filtering 1' makes it",
                bridge.name
            )));
        }
        self.socket.set_master(link, bridge)?;
        if tap.isolated {
            self.socket.set_isolated(link, true)?;
        }
        if let Some(vlan) = &tap.vlan {
            let wanted = port_vlans(vlan);
            for present in self.socket.port_vlans(link)? {
                if !wanted.iter().any(|it| it.id == present.id) {
                    self.socket.delete_port_vlan(link, present)?;
                }
            }
            for vlan in wanted {
                self.socket.add_port_vlan(link, vlan)?;
            }
        }
        if tap.managed {
            self.socket.stop_learning(link)?;
            self.socket.enter_address(link, mac)?;
        }
        Ok(())
    }

    fn make_macvtap(
        &mut self,
        name: &InterfaceName,
        macvtap: &Macvtap,
        mac: MacAddress,
        alias: &str,
    ) -> Result<Link> {
        let lower = self.existing(&macvtap.lower)?;
        self.free_name(name)?;
        if !lower.up {
            // Nothing on top of it would come up.
            self.socket.set_link_up(&lower, true)?;
        }
        self.socket
            .create_macvtap(name, &lower, macvtap.mode, mac)?;
        let link = self.existing(name)?;
        self.socket.set_alias(&link, alias)?;
        if macvtap.mode == Mode::Passthrough && link.mac != Some(mac) {
            self.socket.set_mac(&link, mac)?;
        }
        Ok(link)
    }

    /// Sees to it that the character device is there, and belongs to who runs the hypervisor.
    fn give_node(&self, path: &Path, is_there: bool, link: &Link, request: &Request) -> Result<()> {
        let number = self.sysfs.character_device(&link.name, link.index);
        if is_there {
            // Namespaces share the directory of devices, and each numbers its links itself.
            let found = std::fs::symlink_metadata(path)
                .context(|| format!("cannot look up {}", path.display()))?;
            let wanted = number.map(|(major, minor)| makedev(major, minor));
            if wanted.is_some_and(|wanted| wanted != found.rdev()) {
                let message = format!("{} is not the device of {}", path.display(), link.name);
                return Err(Error::failed(message));
            }
        } else {
            let (major, minor) = number.ok_or_else(|| {
                Error::failed(format!("there is no {} for {}", path.display(), link.name))
                    .hint("udev or a devtmpfs on /dev makes it")
            })?;
            let mode = FileMode::S_IRUSR | FileMode::S_IWUSR;
            mknod(path, SFlag::S_IFCHR, mode, makedev(major, minor))
                .context(|| format!("cannot make {}", path.display()))?;
        }
        if request.user.is_some() || request.group.is_some() {
            let (user, group) = (
                request.user.map(Uid::from_raw),
                request.group.map(Gid::from_raw),
            );
            chown(path, user, group)
                .context(|| format!("cannot give {} to another user", path.display()))?;
        }
        Ok(())
    }

    pub(super) fn existing(&mut self, name: &InterfaceName) -> Result<Link> {
        let link = self.socket.link(name)?;
        link.ok_or_else(|| Error::failed(format!("there is no {name}")))
    }

    /// Fails where a link has that name already: it would be taken over.
    fn free_name(&mut self, name: &InterfaceName) -> Result<()> {
        match self.socket.link(name)? {
            Some(_) => Err(Error::failed(format!(
                "there is a device {name} already that is no port of ncf's"
            ))
            .hint(format!(
                "remove it ('ip link delete {name}') or plug again: the next port has another name"
            ))),
            None => Ok(()),
        }
    }
}

/// The name of a port as its device's.
pub(super) fn device_name(id: &str) -> Result<InterfaceName> {
    id.parse().map_err(|error| {
        Error::failed(format!("the port {id} cannot have a device")).because(error)
    })
}

/// The host's end of a guest's device has an address of its own, which a bridge never prefers to that of a card:
/// a bridge takes the lowest. As libvirt does it.
fn host_side(mac: MacAddress) -> MacAddress {
    let MacAddress(mut octets) = mac;
    if let Some(first) = octets.first_mut() {
        *first = if *first == 0xfe { 0xfa } else { 0xfe };
    }
    MacAddress(octets)
}

/// What a definition's tags are on a port of a bridge.
fn port_vlans(vlan: &Vlan) -> Vec<PortVlan> {
    if let Some(id) = vlan.access() {
        return vec![PortVlan::access(id)];
    }
    let tags = vlan.tags.iter().map(|tag| PortVlan {
        id: tag.id,
        native: tag.native.is_some(),
        untagged: tag.native == Some(NativeMode::Untagged),
    });
    tags.collect()
}

/// Waits for a file, and says whether it is there.
fn appears(path: &Path) -> bool {
    // A devtmpfs has it at once. Where there is none, only udev makes it; where there is no udev either, nobody will.
    let began = Instant::now();
    let wait = if Path::new("/run/udev/control").exists() {
        NODE_PATIENCE
    } else {
        Duration::ZERO
    };
    loop {
        if path.exists() {
            return true;
        }
        if began.elapsed() >= wait {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vnet::model::Tag;

    #[test]
    fn the_hosts_end_has_another_address_than_the_guest() {
        let mac = |text: &str| text.parse::<MacAddress>().unwrap();
        assert_eq!(
            host_side(mac("52:54:00:01:02:03")),
            mac("fe:54:00:01:02:03")
        );
        assert_eq!(
            host_side(mac("fe:54:00:01:02:03")),
            mac("fa:54:00:01:02:03")
        );
    }

    #[test]
    fn a_trunks_native_vlan_is_the_one_without_tags() {
        let tag = |id, native| Tag { id, native };
        let vlan = Vlan {
            trunk: true,
            tags: vec![tag(10, None), tag(20, Some(NativeMode::Untagged))],
        };
        let untagged = PortVlan::access(20);
        let tagged = PortVlan {
            id: 10,
            native: false,
            untagged: false,
        };
        assert_eq!(port_vlans(&vlan), [tagged, untagged]);
        let access = Vlan {
            trunk: false,
            tags: vec![tag(5, None)],
        };
        assert_eq!(port_vlans(&access), [PortVlan::access(5)]);
    }
}
