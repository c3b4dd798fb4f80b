//! Transactions over the configuration files.

pub mod bounce;
pub mod compare;
pub mod content;
pub mod difference;
pub mod files;
pub mod history;
pub mod host;
pub mod journal;
mod links;
pub mod manifest;
pub mod netcf;
pub mod plan;
mod raw;
pub mod restore;
pub mod rollback;
pub mod snapshot;
pub mod transaction;
pub mod tree;
