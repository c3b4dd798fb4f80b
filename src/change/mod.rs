//! Transactions over the configuration files.

pub mod compare;
mod links;
pub mod manifest;
pub mod plan;
mod raw;
pub mod restore;
pub mod snapshot;
pub mod tree;
