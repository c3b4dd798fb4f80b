//! The ports of guests, in the directory `ports` of the state directory.
//!
//! ```text
//! ports/BOOT-ID/          what is plugged since this boot; that of an earlier boot went with its kernel
//!   next                  the number of the next port
//!   ncf7+84983c60@br0     a port that shares br0 with others: its record, JSON
//!   ncf8+84983c60=eth1    one that has eth1 to itself
//!   .ncf9+5f2ea8b1@br0    one that is being made or removed
//! ports/reserved/         devices that are kept for guests, across reboots
//!   UUID+84983c60=0000:03:10.1
//! ```
//!
//! **A port is made so**: its record is written under the hidden name, then the kernel is touched, then the record gets its
//! name by `rename(2)`. It is removed the other way round. So whatever has a hidden name is half-made or half-removed,
//! and both are undone alike: the kernel is made to have none of it, and the record goes. Whoever next takes the lock does
//! that ([`crate::vnet::plug`]), hence a process that was killed at any moment leaves nothing.
//!
//! Records of ports are not synced to disk: what is renamed survives the death of a process, and what a power cut loses is
//! of a boot whose devices are gone too. Reservations outlive the boot, so they are.
//!
//! **Which device is used is in the name**, and a mark of the guest, so that a pool of a thousand devices costs one reading
//! of a directory and not of nine hundred files.

pub(in crate::vnet) mod format;
mod holders;
mod record;
mod reserved;
mod store;

pub use format::QemuOptions;
pub use holders::{Connected, Holders, users};
pub use record::{
    BadOwner, BadPortId, Connection, FunctionChange, Hostdev, Macvtap, Owner, Port, PortId,
    Reservation, Tap,
};
pub use reserved::Reserved;
pub use store::{Index, Ports, Read};
