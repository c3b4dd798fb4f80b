//! A directory for what only makes sense until the next boot.
//!
//! What is written there is not synced, so after a power cut a file may be empty or half there. It has the boot's own
//! directory so that nobody ever reads such a file: whether it is of an earlier boot is known without opening it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::Lock;

/// Makes the directory of the boot `boot` in `above`, and removes those of earlier boots.
///
/// `boot` is the kernel's name for it, see [`crate::sys::boot::id`]. `above` may hold other things too: they stay.
pub fn make(above: &Path, boot: &str, _lock: &Lock) -> io::Result<PathBuf> {
    let dir = above.join(boot);
    if dir.is_dir() {
        return Ok(dir);
    }
    DirBuilder::new().mode(0o700).recursive(true).create(&dir)?;
    // They take room and no more, so that one cannot be removed stops nobody.
    for entry in fs::read_dir(above)?.flatten() {
        let name = entry.file_name();
        let is_boot = name
            .to_str()
            .is_some_and(|name| Uuid::parse_str(name).is_ok());
        if is_boot && *name != *boot {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "6e0e6d8a-6a5c-4b7e-8c6d-111111111111";
    const SECOND: &str = "6e0e6d8a-6a5c-4b7e-8c6d-222222222222";

    #[test]
    fn only_the_directories_of_earlier_boots_go() {
        let temporary = tempfile::tempdir().unwrap();
        let lock = Lock::take(&temporary.path().join("lock"), "test").unwrap();
        let above = temporary.path().join("run/networks");
        let first = make(&above, FIRST, &lock).unwrap();
        fs::write(first.join("net.json"), "").unwrap();
        assert_eq!(make(&above, FIRST, &lock).unwrap(), first);
        assert!(first.join("net.json").exists());
        fs::create_dir(above.join("reserved")).unwrap();
        let second = make(&above, SECOND, &lock).unwrap();
        assert!(second.is_dir() && !first.exists());
        assert!(above.join("reserved").exists());
    }
}
