//! Traffic limits: how much a device, a port or a network may receive and send.
//!
//! | file | what it holds |
//! |---|---|
//! | `rate` | [`Rate`] and [`Size`], with their units |
//! | `limit` | [`Limit`] (average, peak, burst, floor) and [`Bandwidth`] (a limit for each direction) |

mod limit;
mod rate;

pub use limit::{BadLimit, Bandwidth, Limit, Parts};
pub use rate::{BadQuantity, MAX_KILO, Rate, Size};
