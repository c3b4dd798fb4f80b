//! `ncf` changes the network of a machine that can be reached only over that network.
//!
//! The layers, from the top; each imports only from those below it (`tests/layers.rs` checks):
//!
//! | layer | what it holds |
//! |---|---|
//! | [`cli`] | one file per command; the only place that prints |
//! | [`change`] | transactions: snapshot, plan, rollback, archive |
//! | [`iface`] | interfaces: which files belong to which, what depends on what |
//! | [`apply`] | making the kernel agree: the system's scripts or netlink |
//! | [`ifcfg`] | lossless reading and writing of shell-variable files |
//! | [`xml`] | XML from outside: limits, errors with their place, writing |
//! | [`state`] | the state directory: lock, durable steps, format versions |
//! | [`sys`] | the kernel's edge: files, processes, netlink |
//! | [`error`] | the one error type, whose kind decides the exit status |

pub mod apply;
pub mod change;
pub mod cli;
pub mod error;
pub mod iface;
pub mod ifcfg;
pub mod state;
pub mod sys;
pub mod xml;

pub use error::{Error, ErrorKind, Result};
