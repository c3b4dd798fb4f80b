//! Traffic limits: how much a device, a port or a network may receive and send.
//!
//! | file | what it holds |
//! |---|---|
//! | `rate` | [`Rate`] and [`Size`], with their units |
//! | `limit` | [`Limit`] (average, peak, burst, floor) and [`Bandwidth`] (a limit for each direction) |
//! | `xml` | libvirt's `<bandwidth>` |
//! | `device` | what inbound and outbound mean on a device |
//! | `tree` | from limits to qdiscs, classes and filters (pure) |

pub mod device;
mod limit;
mod rate;
pub mod tree;
mod xml;

pub use limit::{BadLimit, Bandwidth, Limit, Parts};
pub use rate::{BadQuantity, MAX_KILO, Rate, Size};
