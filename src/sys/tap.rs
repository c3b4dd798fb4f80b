//! Tap devices: an Ethernet card whose far end is a file descriptor, such as a hypervisor's.
//!
//! Netlink cannot make one: it takes the `TUNSETIFF` family of `ioctl(2)`s on `/dev/net/tun` (`<linux/if_tun.h>`,
//! `Documentation/networking/tuntap.rst`). `tun-rs` makes those calls; `ip tuntap` was rejected for the process that
//! it is and for its messages, which are for people.

use std::io;

use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use crate::error::{Context, Error, Result};
use crate::sys::name::InterfaceName;

/// What a tap device is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tap {
    /// The user who may attach to it without being root (`TUNSETOWNER`), up to 2147483647.
    pub user: Option<u32>,
    /// The group whose members may (`TUNSETGROUP`), up to 2147483647.
    pub group: Option<u32>,
    /// Whether it takes several queues (`IFF_MULTI_QUEUE`). Who attaches must ask for the same.
    pub multi_queue: bool,
}

/// Creates the tap device `name`, set down, with room for virtio's header (`IFF_VNET_HDR`). It stays until it is deleted
/// as a link. It is in the network namespace of the calling thread.
///
/// The kernel does not refuse a name that another tap device already has: the caller sees to it that none has.
pub fn create(name: &InterfaceName, tap: &Tap) -> Result<()> {
    let made = make(name, tap);
    if let Err(error) = &made
        && matches!(
            error.raw_os_error(),
            Some(nix::libc::ENOENT | nix::libc::ENODEV | nix::libc::ENXIO)
        )
    {
        return made.context(|| failed(name)).map_err(|error| -> Error {
            error.hint("'modprobe tun' loads what makes tap devices: /dev/net/tun must be there")
        });
    }
    made.context(|| failed(name))
}

fn failed(name: &InterfaceName) -> String {
    format!("cannot create the tap device {name}")
}

fn make(name: &InterfaceName, tap: &Tap) -> io::Result<()> {
    let device: SyncDevice = DeviceBuilder::new()
        .name(name.as_str())
        .layer(Layer::L2)
        .inherit_enable_state()
        .with(|options| {
            options.offload(true).multi_queue(tap.multi_queue);
        })
        .build_sync()?;
    // The owner before it persists: one that was killed in between leaves nothing.
    if let Some(user) = tap.user {
        device.user(id(user)?)?;
    }
    if let Some(group) = tap.group {
        device.group(id(group)?)?;
    }
    device.persist()
}

fn id(number: u32) -> io::Result<i32> {
    i32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput.into())
}
