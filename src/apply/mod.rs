//! Making the running network agree with the configuration.
//!
//! An [`Applier`] takes one interface down or up. There are three: `system` runs the host's
//! `ifup` and `ifdown`, `builtin` speaks netlink, `none` does nothing, for files alone. The order
//! is the caller's, as data.

pub mod builtin;
pub mod bystanders;
pub mod desired;
pub mod missing;
pub mod none;
pub mod schedule;
pub mod system;

use crate::Result;
use crate::sys::name::InterfaceName;
use desired::Desired;

/// One interface to take down or up.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name, as `ifup` and `ifdown` take it.
    pub name: InterfaceName,
    /// What the kernel should have (for up), or what its configuration asked for (for down).
    /// `None` where the applier does not need it or, for down, where the configuration that is
    /// going away cannot be understood: then everything on the device is taken off it.
    pub desired: Option<Desired>,
}

/// Takes interfaces down and up.
pub trait Applier: Sync {
    /// `system`, `builtin` or `none`.
    fn name(&self) -> &'static str;

    /// Whether it does nothing, so that interfaces are left to the operator.
    fn is_idle(&self) -> bool {
        false
    }

    /// Whether [`Target::desired`] must be there for [`Applier::up`].
    fn needs_desired(&self) -> bool;

    /// How many interfaces it may be asked to work on at once, at least 1.
    fn parallel(&self) -> usize;

    /// Refuses what [`Applier::up`] could not do, before anything is touched.
    fn check(&self, target: &Target) -> Result<()>;

    /// Takes the interface down. One that is down already is no error.
    fn down(&self, target: &Target) -> Result<()>;

    /// Brings the interface up.
    fn up(&self, target: &Target) -> Result<()>;
}
