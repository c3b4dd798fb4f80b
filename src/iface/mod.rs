//! Interfaces: what they are, which files configure which, what depends on what, in which order they go.

pub mod backend;
pub mod live;
pub mod model;
pub mod network_scripts;
pub mod order;
pub mod xml;
