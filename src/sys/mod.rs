//! The edge to the kernel: names it accepts, files, processes, netlink.
//!
//! What is here knows nothing of transactions or of configuration formats.

pub mod clock;
pub mod conf;
pub mod daemon;
pub mod escape;
pub mod motd;
pub mod name;
pub mod netlink;
pub mod node;
pub mod parallel;
pub mod process;
pub mod root;
pub mod session;
pub mod signals;
mod spawn;
