//! netcf's `<interface>` XML: read strictly, and written.
//!
//! The schema is netcf's `interface.rng`, serial 4. Beyond it are read: several IPv4 addresses and addresses beside
//! DHCP, in any order within `<protocol>`, and `<link>`, which says what was and is passed over. All of these netcf
//! itself has taken since 0.2.4. What the schema allows and the kernel does not is refused: VLANs 0 and 4095, MTUs
//! below 68 bytes, names longer than 15.

mod protocol;
mod read;
mod write;

pub use read::read;
pub use write::{live, write};
