//! The edge to the kernel: names it accepts, files, processes, netlink.
//!
//! What is here knows nothing of transactions or of configuration formats.

pub mod name;
pub mod netlink;
