//! Traffic limits: how much a device, a port or a network may receive and send.
//!
//! | file | what it holds |
//! |---|---|
//! | `rate` | [`Rate`] and [`Size`], with their units |
//! | `limit` | [`Limit`] (average, peak, burst, floor) and [`Bandwidth`] (a limit for each direction) |
//! | `xml` | libvirt's `<bandwidth>` |
//! | `device` | what inbound and outbound mean on a device |
//! | `tree` | from limits to qdiscs, classes and filters (pure) |
//! | `steps` | from what the kernel has to what is planned (pure) |
//! | `kernel` | what the kernel has of a device, and taking steps |
//! | `record` | limits on disk |
//! | `function` | virtual functions of SR-IOV cards |
//! | `apply` | [`Qos`]: setting, clearing and applying limits |
//! | `network` | limits of logical networks and their ports |
//! | `show` | limits as they are, with counters |
//! | `probe` | what the kernel has of all this |
//! | `measure`, `plot` | rate over time, and a drawing of it (pure) |

mod apply;
pub mod device;
pub mod function;
pub mod kernel;
mod limit;
pub mod measure;
pub mod network;
pub mod plot;
pub mod probe;
mod rate;
pub mod record;
pub mod show;
pub mod steps;
pub mod tree;
mod xml;

pub use apply::{Done, Qos, Request, State};
pub use limit::{BadLimit, Bandwidth, Change, Limit, Parts};
pub use rate::{BadQuantity, MAX_KILO, Rate, Size};
