//! Which network namespace this is.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::error::{Context as _, Result};

/// The kernel's number for the network namespace of the calling thread, unique while that lives.
///
/// Source: `namespaces(7)`, `/proc/thread-self/ns/net`.
pub fn network() -> Result<u64> {
    let path = Path::new("/proc/thread-self/ns/net");
    let found = std::fs::metadata(path).context(|| format!("cannot look at {}", path.display()))?;
    Ok(found.ino())
}
