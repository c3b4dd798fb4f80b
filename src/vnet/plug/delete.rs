//! Deleting the device of a port without waiting until the kernel has freed it.
//!
//! Whoever asks for a device to be deleted waits in the kernel for two things: that it is taken out of everything, which takes
//! a fraction of a millisecond, and then, in `netdev_run_todo()` (`net/core/dev.c`), that nobody in the kernel has a
//! reference to it any more, which takes some 18 ms on an idle host. It takes for ever where a reference was lost (the
//! kernel then logs `unregister_netdevice: waiting for X to become free`), and cannot be interrupted. Nobody needs the
//! second: the name, the bridge's port and the lower device are free after the first.
//!
//! So a helper asks, which is ncf under the name [`HELPER`], and ncf itself looks until the device is gone. Whatever
//! keeps the helper from it, ncf does it itself then.

use std::ffi::OsString;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::sys::helper::{self, Helper};
use crate::sys::netlink::Socket;
use crate::sys::netlink::link::Link;
use crate::vnet::ports::{Port, PortId};

/// The name to be started under for deleting a port's device. The arguments are the device's number and name.
pub const HELPER: &str = "ncf-delete-port";

/// What devices of ports can be, as `IFLA_INFO_KIND` has it.
pub(super) const TAP: &str = "tun";
pub(super) const MACVTAP: &str = "macvtap";

/// How often to look whether the device is gone: soon at first.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// After how long the helper is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who deletes the devices of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deleting {
    /// This process, which then waits until the kernel has freed them.
    #[default]
    Here,
    /// This program once more. For the program `ncf` only: another that has this library in it does not know the name.
    ByHelper,
}

impl Deleting {
    /// Deletes the device; once this returns nobody sees it any more. One that is gone already is no error.
    pub(super) fn delete(self, socket: &mut Socket, link: &Link) -> Result<()> {
        if self == Self::ByHelper {
            let _ = let_helper(socket, link);
        }
        // What the helper has not done is done here, and its errors are the kernel's. What it has done costs nothing more:
        // the kernel answers that there is no such device, and not before it is taken out of everything.
        socket.delete_link(link)
    }
}

/// Lets a helper delete the device, and returns once it is gone or the helper cannot be relied on.
fn let_helper(socket: &mut Socket, link: &Link) -> Result<()> {
    let index = link.index.to_string();
    let mut helper = Helper::start(HELPER, &[&index, link.name.as_str()])?;
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    while began.elapsed() < PATIENCE {
        // In this order: what it has done before it ended is seen.
        let ended = helper.has_ended();
        if ended || socket.link_at(link.index)?.is_none() {
            return Ok(());
        }
        thread::sleep(pause);
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
    helper.end();
    Ok(())
}

/// The helper's part: deletes the device of a port, of whose number and name `arguments` are. Any other device is left alone.
pub fn help(arguments: &[OsString]) -> Result<()> {
    helper::take_name(HELPER);
    let words: Option<Vec<_>> = arguments.iter().map(|word| word.to_str()).collect();
    let (index, id) = match words.as_deref() {
        Some([index, name]) => (index.parse::<u32>().ok(), name.parse::<PortId>().ok()),
        _ => (None, None),
    };
    let (Some(index), Some(id)) = (index.filter(|index| *index > 0), id) else {
        let message = format!("{HELPER} takes the number and the name of a port's device");
        return Err(Error::usage(message));
    };
    let mut socket = Socket::open()?;
    let Some(link) = socket.link_at(index)? else {
        return Ok(());
    };
    let kind = link.kind.as_deref();
    let is_one = link.name.as_str() == id.to_string()
        && (kind == Some(TAP) || kind == Some(MACVTAP))
        && socket.alias(&link)?.is_some_and(|it| Port::is_alias(&it));
    if !is_one {
        let what = format!("{} (number {index}) is not the device of {id}", link.name);
        return Err(Error::failed(what));
    }
    socket.delete_link(&link)
}
