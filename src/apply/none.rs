//! The applier that does nothing: for `--root`, for images, for files alone.

use super::{Applier, Target};
use crate::Result;

/// Leaves the running network alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoApplier;

impl Applier for NoApplier {
    fn name(&self) -> &'static str {
        "none"
    }

    fn is_idle(&self) -> bool {
        true
    }

    fn needs_desired(&self) -> bool {
        false
    }

    fn parallel(&self) -> usize {
        1
    }

    fn check(&self, _: &Target) -> Result<()> {
        Ok(())
    }

    fn down(&self, _: &Target) -> Result<()> {
        Ok(())
    }

    fn up(&self, _: &Target) -> Result<()> {
        Ok(())
    }
}
