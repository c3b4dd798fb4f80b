//! The edge to the kernel: names it accepts, files, processes, netlink.
//!
//! What is here knows nothing of transactions or of configuration formats.

pub mod conf;
pub mod name;
pub mod process;
pub mod session;
pub mod signals;
mod spawn;
