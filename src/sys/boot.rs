//! Which boot this is.

use std::path::Path;

use crate::error::{Context as _, Result};

/// The kernel's name for the present boot.
///
/// Source: `random(4)`, `/proc/sys/kernel/random/boot_id`.
pub fn id() -> Result<String> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let id = std::fs::read_to_string(path).context(|| format!("cannot read {}", path.display()))?;
    Ok(id.trim().to_owned())
}
