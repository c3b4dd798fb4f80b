//! Tap devices: an Ethernet card whose far end is a file descriptor, such as a hypervisor's.
//!
//! Netlink cannot make one: it takes the `TUNSETIFF` family of `ioctl(2)`s on `/dev/net/tun` (`<linux/if_tun.h>`,
//! `Documentation/networking/tuntap.rst`). `tun-rs` makes those calls. One that is to belong to another user than root is
//! made by `ip tuntap`, for `tun-rs` (2.8.16) hands `TUNSETOWNER` the address of the number in place of the number.

use std::io;
use std::time::Duration;

use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use crate::error::{Context, Error, Result};
use crate::sys::name::InterfaceName;
use crate::sys::process::Invocation;

/// How long `ip` may take.
const LIMIT: Duration = Duration::from_secs(10);

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
    let failed = || format!("cannot create the tap device {name}");
    if tap.user.is_some() || tap.group.is_some() {
        return make_owned(name, tap).context(failed);
    }
    make(name, tap).map_err(|error| {
        let missing = [nix::libc::ENOENT, nix::libc::ENODEV, nix::libc::ENXIO];
        let is_missing = error.raw_os_error().is_some_and(|it| missing.contains(&it));
        let error = Error::failed(failed()).because(error);
        if is_missing {
            error.hint("/dev/net/tun must be there: 'modprobe tun' loads what makes it")
        } else {
            error
        }
    })
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
    device.persist()
}

fn make_owned(name: &InterfaceName, tap: &Tap) -> Result<()> {
    let mut arguments: Vec<String> = ["tuntap", "add", "dev", name.as_str(), "mode", "tap"]
        .map(str::to_owned)
        .into();
    for (word, number) in [("user", tap.user), ("group", tap.group)] {
        if let Some(number) = number {
            arguments.extend([word.to_owned(), number.to_string()]);
        }
    }
    arguments.push("vnet_hdr".to_owned());
    if tap.multi_queue {
        arguments.push("multi_queue".to_owned());
    }
    let ended = Invocation::new("ip", LIMIT).args(arguments).run()?;
    if ended.how.success() {
        return Ok(());
    }
    let said = ended.summary(2).unwrap_or_default();
    Err(Error::failed(format!("'ip tuntap' failed: {said}")))
}
