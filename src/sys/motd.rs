//! The line that a login shows: `pam_motd(8)` prints what is in `/run/motd.d` and `/etc/motd.d`.
//!
//! The first of them is the better one, since it is empty again after the next boot. The other is for
//! systems without a `/run`.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::root::Root;
use crate::error::{Context, Result};

const NAME: &str = "ncf";

const RUN_DIR: &str = "/run/motd.d";
const ETC_DIR: &str = "/etc/motd.d";

/// Where the line goes in that root: `/run/motd.d`, which is made, or `/etc/motd.d` where there is no `/run` but
/// that. `None` where there is neither.
pub fn dir(root: &Root) -> Option<PathBuf> {
    let in_run = root.resolve_parent(Path::new(RUN_DIR));
    let found = in_run.or_else(|_| root.resolve(Path::new(ETC_DIR)));
    found.ok().map(|inside| root.host_path(&inside))
}

/// Shows `line` at every login from now on, by a file in the directory `dir`.
pub fn write(dir: &Path, line: &str) -> Result<()> {
    let path = dir.join(NAME);
    let failed = || format!("cannot write {}", path.display());
    match DirBuilder::new().mode(0o755).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).context(failed);
        }
        _ => {}
    }
    // Beside, so that no login shows half a line. What an earlier, killed run left is in the way, and not followed.
    let beside = dir.join(format!(".{NAME}.new"));
    let _ = std::fs::remove_file(&beside);
    write_new(&beside, line)
        .and_then(|()| std::fs::rename(&beside, &path))
        .context(failed)
}

/// Everybody may read it, whatever the umask.
fn write_new(path: &Path, line: &str) -> io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(format!("{line}\n").as_bytes())
}

/// Takes the line away again, wherever in that root it is.
pub fn remove(root: &Root) -> Result<()> {
    for dir in [RUN_DIR, ETC_DIR] {
        let Ok(inside) = root.resolve(Path::new(dir)) else {
            continue;
        };
        let path = root.host_path(&inside).join(NAME);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_is_preferred_and_nothing_is_made_where_there_is_neither() {
        let host = tempfile::tempdir().unwrap();
        let root = Root::open(host.path()).unwrap();
        assert_eq!(dir(&root), None);
        std::fs::create_dir_all(host.path().join("etc/motd.d")).unwrap();
        assert_eq!(dir(&root), Some(root.host_path(Path::new(ETC_DIR))));
        std::fs::create_dir(host.path().join("run")).unwrap();
        assert_eq!(dir(&root), Some(root.host_path(Path::new(RUN_DIR))));
    }

    #[test]
    fn the_line_comes_is_replaced_and_goes() {
        let host = tempfile::tempdir().unwrap();
        std::fs::create_dir(host.path().join("run")).unwrap();
        let root = Root::open(host.path()).unwrap();
        let dir = dir(&root).unwrap();
        for line in ["one", "two"] {
            write(&dir, line).unwrap();
            let read = std::fs::read_to_string(dir.join(NAME)).unwrap();
            assert_eq!(read, format!("{line}\n"));
        }
        let mode = dir.join(NAME).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        remove(&root).unwrap();
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        remove(&root).unwrap();
    }
}
