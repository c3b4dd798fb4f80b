//! The edge to the kernel: names it accepts, files, processes, netlink.
//!
//! What is here knows nothing of transactions or of configuration formats.

pub mod boot;
pub mod clock;
pub mod conf;
pub mod daemon;
pub mod escape;
pub mod helper;
pub mod motd;
pub mod name;
pub mod namespace;
pub mod netlink;
pub mod node;
pub mod parallel;
pub mod pci;
pub mod process;
pub mod root;
pub mod session;
pub mod signals;
mod spawn;
pub mod sriov;
pub mod sysctl;
pub mod tap;
