//! Which boot this is.

use std::path::Path;
use std::sync::OnceLock;

use crate::error::{Context as _, Result};

/// The kernel's name for the present boot.
///
/// Source: `random(4)`, `/proc/sys/kernel/random/boot_id`. It is read once.
pub fn id() -> Result<String> {
    static ID: OnceLock<String> = OnceLock::new();
    if let Some(id) = ID.get() {
        return Ok(id.clone());
    }
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let id = std::fs::read_to_string(path).context(|| format!("cannot read {}", path.display()))?;
    Ok(ID.get_or_init(|| id.trim().to_owned()).clone())
}
