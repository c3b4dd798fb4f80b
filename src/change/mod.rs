//! Transactions over the configuration files.

pub mod manifest;
mod raw;
pub mod snapshot;
pub mod tree;
