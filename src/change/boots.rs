//! The boots that an open change has survived.
//!
//! `change-begin --boots N` is for a change that only a reboot makes whole: a new kernel, renamed devices. Each
//! boot that it survives is noted in the transaction by the kernel's name for that boot, durably, before
//! the hook that noted it says so. Names and not a number: several hooks may run in one boot, and a hook may be
//! run twice; it stays one boot. A boot that never came as far as a hook did not bring up a network either, and
//! is not counted.
//!
//! Where a boot cannot be counted (a full disk, a damaged record) the change is undone, as if none were left.
//! One that is never counted would never be undone, and its operator may be waiting for that outside.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::manifest::{FIRST_FORMAT, check_format};
use crate::error::{Context, Error, Result};
use crate::state::sync::write_durably;

/// The most boots that a change may survive.
pub const MAX_BOOTS: u8 = 100;

/// [`MAX_BOOTS`] names of 36 characters are less.
const SIZE_LIMIT: u64 = 64 << 10;

const NAME: &str = "boots";

/// The file `boots` in the transaction.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boots {
    format: u32,
    /// As in `/proc/sys/kernel/random/boot_id`, in order.
    survived: Vec<String>,
}

impl Boots {
    /// Reads the record in the transaction directory `dir`. Without one there were none.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(NAME);
        let failed = || format!("cannot read {}", path.display());
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self {
                    format: FIRST_FORMAT,
                    survived: Vec::new(),
                });
            }
            file => file.context(failed)?,
        };
        let mut json = Vec::new();
        file.take(SIZE_LIMIT)
            .read_to_end(&mut json)
            .context(failed)?;
        check_format(&path, &json)?;
        serde_json::from_slice(&json)
            .map_err(|error| Error::failed(format!("{} is damaged: {error}", path.display())))
    }

    /// How many more a change survives that survives `allowed` in all.
    pub fn left(&self, allowed: u8) -> u8 {
        let survived = u8::try_from(self.survived.len()).unwrap_or(u8::MAX);
        allowed.saturating_sub(survived)
    }

    /// Whether it has survived the boot `boot_id`.
    pub fn has(&self, boot_id: &str) -> bool {
        self.survived.iter().any(|survived| survived == boot_id)
    }

    /// Counts the boot `boot_id`, durably, unless it is counted already. How many more the change survives;
    /// `None` where it does not survive this one.
    pub fn count(mut self, dir: &Path, boot_id: &str, allowed: u8) -> Result<Option<u8>> {
        if self.has(boot_id) {
            return Ok(Some(self.left(allowed)));
        }
        if self.left(allowed) == 0 {
            return Ok(None);
        }
        self.survived.push(boot_id.to_owned());
        let failed = || format!("cannot write {}", dir.join(NAME).display());
        let mut json = serde_json::to_vec(&self)
            .map_err(std::io::Error::from)
            .context(failed)?;
        json.push(b'\n');
        write_durably(dir, NAME, &json).context(failed)?;
        Ok(Some(self.left(allowed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_boot_counts_once_and_the_one_after_the_last_is_not_survived() {
        let dir = tempfile::tempdir().unwrap();
        let count = |boot_id: &str| {
            let boots = Boots::read(dir.path()).unwrap();
            boots.count(dir.path(), boot_id, 2).unwrap()
        };
        assert_eq!(count("one"), Some(1));
        assert_eq!(count("one"), Some(1));
        assert_eq!(count("two"), Some(0));
        assert_eq!(count("two"), Some(0));
        assert_eq!(count("three"), None);
        assert_eq!(Boots::read(dir.path()).unwrap().left(2), 0);
    }

    #[test]
    fn a_record_that_is_no_good_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for (content, why) in [
            (&b""[..], "damaged"),
            (b"{\"format\": 1, \"survived\": 3}", "damaged"),
            (b"{\"format\": 9, \"survived\": []}", "format 9"),
        ] {
            std::fs::write(dir.path().join(NAME), content).unwrap();
            let error = Boots::read(dir.path()).unwrap_err().one_line();
            assert!(error.contains(why), "{error}");
        }
    }
}
