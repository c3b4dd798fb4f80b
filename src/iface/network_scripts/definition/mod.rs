//! From files to an [`Interface`](crate::iface::model::Interface) and back, losing nothing that somebody wrote.
//!
//! netcf made a file anew from what its schema knows, and with it went comments, UUIDs, firewall zones and all else.
//! Here a definition is compared with what the files say now, value by value as they are understood, and only what
//! differs is changed. So the definition that was read from files changes no byte of them, whatever is in them.
//!
//! | file | what it holds |
//! |---|---|
//! | `inventory`, `entry` | all `ifcfg` files at once: whose each is, what is in what |
//! | `reading`, `bonding` | what a file's keys say; what is not understood is left out and noted |
//! | `present` | from files to an interface |
//! | `sheet` | what each of an interface's files is to say |
//! | `draft`, `fill` | making one file say it |
//! | `define`, `undefine` | the changes as a whole |

mod bonding;
pub(super) mod define;
mod draft;
pub(super) mod entry;
mod fill;
pub(super) mod inventory;
pub(super) mod present;
mod reading;
mod sheet;
pub(super) mod undefine;
