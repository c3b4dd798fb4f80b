//! Transactions over the configuration files.
//!
//! A change is begun, and then committed or rolled back:
//!
//! ```text
//! begin     snapshot::take copies what tree::Tree covers; a rename opens the change
//! look      compare::since says what differs, difference::difference what that means
//! apply     bounce: the changed files become the running state
//! commit    a rename closes the change
//! rollback  plan, journal, then bounce and restore; a rename ends it in the archive
//! ```
//!
//! The core knows files and their metadata. What a file means (which interface it configures, what
//! that depends on) it asks a [`Backend`](crate::iface::backend::Backend), and what an interface's
//! state is, an [`Applier`](crate::apply::Applier).

pub mod applied;
pub mod at_boot;
pub mod boot_hook;
pub mod boots;
pub mod bounce;
pub mod compare;
pub mod content;
pub mod copies;
pub mod difference;
mod durable;
pub mod edit;
pub mod files;
pub mod history;
pub mod host;
pub mod journal;
mod limits;
mod links;
pub mod manifest;
pub mod netcf;
pub mod notice;
pub mod plan;
mod raw;
pub mod restore;
pub mod rollback;
pub mod running;
pub mod snapshot;
pub mod transaction;
pub mod tree;
pub mod updown;
