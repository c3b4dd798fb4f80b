//! Interfaces: which files configure which, what depends on what, in which order they go.

pub mod backend;
pub mod network_scripts;
pub mod order;
