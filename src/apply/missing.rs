//! The applier that was asked for and is not there.
//!
//! Only what brings interfaces up needs an applier. A host whose `ifup` is gone must still be able to say
//! what is open, and above all restore its files at boot.

use super::{Applier, Target};
use crate::{Error, Result};

/// Refuses, saying why.
#[derive(Debug)]
pub struct Missing {
    name: &'static str,
    why: Error,
}

impl Missing {
    /// Stands for the applier `name`, which is missing for the reason `why`.
    pub fn new(name: &'static str, why: Error) -> Self {
        Self { name, why }
    }

    fn refuse(&self) -> Result<()> {
        let error = Error::new(self.why.kind(), self.why.to_string());
        Err(self.why.hints().iter().fold(error, Error::hint))
    }
}

impl Applier for Missing {
    fn name(&self) -> &'static str {
        self.name
    }

    fn needs_desired(&self) -> bool {
        false
    }

    fn parallel(&self) -> usize {
        1
    }

    fn check(&self, _target: &Target) -> Result<()> {
        self.refuse()
    }

    fn down(&self, _target: &Target) -> Result<()> {
        self.refuse()
    }

    fn up(&self, _target: &Target) -> Result<()> {
        self.refuse()
    }
}
