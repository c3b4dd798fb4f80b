//! Where things are in the state directory, and who may work there.

use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;

use super::lock::Lock;
use super::sync::sync_dir;
use crate::error::{Context, Error, Result};

/// The state directory. It need not exist: then nothing was ever begun.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// The state directory at `path` on the running system.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open transaction's directory.
    pub fn transaction(&self) -> PathBuf {
        self.path.join("transaction")
    }

    /// Where rolled back transactions are kept.
    pub fn archive(&self) -> PathBuf {
        self.path.join("archive")
    }

    /// Where the definitions of logical networks are: nothing else is kept here, for a snapshot covers all of it.
    /// What only makes sense while the host runs belongs elsewhere.
    pub fn networks(&self) -> PathBuf {
        self.path.join("networks")
    }

    /// Where persistent traffic limits are: nothing else, for the same reason.
    pub fn qos(&self) -> PathBuf {
        self.path.join("qos")
    }

    /// The directories that a snapshot covers beside the files of interfaces.
    pub fn covered(&self) -> [PathBuf; 2] {
        [self.networks(), self.qos()]
    }

    /// Where ports of guests and reservations are noted. Not covered: they are what is, and not what is wanted.
    pub fn ports(&self) -> PathBuf {
        self.path.join("ports")
    }

    /// Where what only makes sense while the host runs is noted. It is not synced, for after a power cut there is another
    /// boot: so what is read is in a directory of its boot (see [`super::boot_dir`]), or may be damaged without harm.
    pub fn run(&self) -> PathBuf {
        self.path.join("run")
    }

    /// Where the transaction `id` is made before it is opened.
    pub fn beginning(&self, id: &str) -> PathBuf {
        self.path.join(format!(".begin-{id}"))
    }

    /// Where the transaction `id` goes when it is committed.
    pub fn gone(&self, id: &str) -> PathBuf {
        self.path.join(format!(".gone-{id}"))
    }

    /// Takes the lock for `command`, and makes the directory if it is not there. Then removes what a
    /// killed ncf left half-made.
    ///
    /// Fails where the directory is another user's or others may write to it, since whoever can write
    /// here decides what a rollback writes as root.
    pub fn lock(&self, command: &str) -> Result<Lock> {
        self.lock_within(command, Duration::ZERO)
    }

    /// As [`StateDir::lock`], but tries for as long as `patience` where another process has the lock: for
    /// guests that start at once, and for what nobody is there to try again.
    pub fn lock_within(&self, command: &str, patience: Duration) -> Result<Lock> {
        self.make()?;
        let lock = Lock::take_within(&self.path.join("lock"), command, patience)?;
        self.sweep(&lock);
        Ok(lock)
    }

    /// Whether the directory exists and may be read. Fails where it may not be.
    pub fn exists(&self) -> Result<bool> {
        match std::fs::read_dir(&self.path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(needs_root(error, || {
                format!("cannot read the state directory {}", self.path.display())
            })),
        }
    }

    fn make(&self) -> Result<()> {
        let failed = || format!("cannot make the state directory {}", self.path.display());
        match std::fs::metadata(&self.path) {
            Ok(metadata) => return self.check(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(needs_root(error, failed)),
        }
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(parent).map_err(|error| needs_root(error, failed))?;
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Ok(()) => sync_dir(parent).context(failed),
            // Another first command was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let metadata = std::fs::metadata(&self.path);
                self.check(&metadata.map_err(|error| needs_root(error, failed))?)
            }
            Err(error) => Err(needs_root(error, failed)),
        }
    }

    fn check(&self, metadata: &Metadata) -> Result<()> {
        let path = self.path.display();
        if !metadata.is_dir() {
            return Err(Error::failed(format!(
                "the state directory {path} is not a directory"
            )));
        }
        let us = geteuid().as_raw();
        if metadata.uid() != us {
            let owner = metadata.uid();
            let error = format!("the state directory {path} belongs to user {owner}, not to {us}");
            return Err(Error::failed(error).hint("run ncf as its owner, normally root"));
        }
        if metadata.mode() & 0o022 != 0 {
            let error = format!("others than its owner may write to the state directory {path}");
            return Err(Error::failed(error)
                .hint(format!("look at what is in it, then 'chmod 0700 {path}'")));
        }
        Ok(())
    }

    /// Removes what no rename brought in or what a rename took out. What cannot be removed does no harm
    /// and is tried again next time: it must not keep a rollback from running.
    fn sweep(&self, _lock: &Lock) {
        for entry in std::fs::read_dir(&self.path)
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(".begin-") || name.starts_with(".gone-") {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// An error that, where it is one of permission, says who may.
fn needs_root(error: io::Error, doing: impl FnOnce() -> String) -> Error {
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    let error = Error::failed(doing()).because(error);
    if denied {
        error.hint("run ncf as root, for example with sudo")
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn first_commands_at_once_all_find_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..50 {
            let state = StateDir::new(dir.path().join(format!("{number}/ncf")));
            let barrier = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        barrier.wait();
                        state.make().unwrap();
                    });
                }
            });
        }
    }

    #[test]
    fn made_on_first_use_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("lib/ncf"));
        assert!(!state.exists().unwrap());
        let _lock = state.lock("test").unwrap();
        let mode = std::fs::metadata(state.path())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn who_may_wait_gets_the_lock_when_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("ncf"));
        let held = state.lock("one").unwrap();
        let refused = state
            .lock_within("two", Duration::from_millis(1))
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::State);
        let waiting = state.clone();
        let other = std::thread::spawn(move || waiting.lock_within("two", Duration::from_secs(60)));
        std::thread::sleep(Duration::from_millis(30));
        drop(held);
        let _lock = other.join().unwrap().unwrap();
    }

    #[test]
    fn a_directory_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let refused = StateDir::new(dir.path().to_owned())
            .lock("test")
            .unwrap_err();
        assert!(refused.to_string().contains("others"), "{refused}");
    }

    #[test]
    fn the_next_one_sweeps_what_a_killed_one_left() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("ncf"));
        drop(state.lock("test").unwrap());
        std::fs::create_dir_all(state.beginning("x").join("files")).unwrap();
        std::fs::create_dir_all(state.gone("y")).unwrap();
        std::fs::create_dir_all(state.transaction()).unwrap();
        drop(state.lock("test").unwrap());
        assert!(!state.beginning("x").exists());
        assert!(!state.gone("y").exists());
        assert!(state.transaction().exists());
    }
}
