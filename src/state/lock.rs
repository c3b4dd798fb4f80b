//! The lock that everything which changes state holds.
//!
//! `flock(2)` and not a file's existence: the kernel lets go of it when the holder dies. The holder
//! writes who it is into the file, so that the next one can say whom it is waiting for. Readers take
//! no lock: a status poll must not be able to keep a rollback from running.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};

/// A holder's note is short; anything longer is not one.
const NOTE_LIMIT: u64 = 4096;

/// Between two looks whether the lock is free.
const FIRST_PAUSE: Duration = Duration::from_micros(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(8);

/// Proof that this process alone works on the state directory. Released when it is dropped or its process ends.
#[derive(Debug)]
#[must_use]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    /// To close the file is not enough: `flock(2)` locks the open file, and a child that another thread is about to start
    /// has a copy of its descriptor until it executes its program.
    fn drop(&mut self) {
        // What it could fail with does not apply to a lock that is held; the kernel lets go of it at the latest at our end.
        let _ = self.file.unlock();
    }
}

/// Who holds the lock.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    command: String,
    since: jiff::Timestamp,
}

impl Lock {
    /// Takes the lock file `path` for `command`, without waiting.
    ///
    /// Fails with [`crate::ErrorKind::State`] and the holder's name where another process has it.
    pub fn take(path: &Path, command: &str) -> Result<Self> {
        Self::take_within(path, command, Duration::ZERO)
    }

    /// Takes the lock file `path` for `command`; where another process has it, tries again for as long as `patience`.
    ///
    /// `flock(2)` has no time limit, and a signal that would end the wait needs a handler: hence it looks again
    /// after pauses, short ones first.
    ///
    /// Fails with [`crate::ErrorKind::State`] and the holder's name where another process still has it then.
    pub fn take_within(path: &Path, command: &str, patience: Duration) -> Result<Self> {
        let failed = || format!("cannot lock {}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .context(failed)?;
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    note_holder(&mut file, command);
                    return Ok(Self { file });
                }
                Err(TryLockError::WouldBlock) if began.elapsed() < patience => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Err(busy(&mut file)),
                Err(TryLockError::Error(error)) => return Err(error).context(failed),
            }
        }
    }
}

/// Writes who holds the lock. It only informs others, so a full disk does not stop us.
fn note_holder(file: &mut File, command: &str) {
    let holder = Holder {
        pid: std::process::id(),
        command: command.to_owned(),
        since: jiff::Timestamp::now(),
    };
    let Ok(mut note) = serde_json::to_string(&holder) else {
        return;
    };
    // Blanks over the rest of a longer note: to make the file shorter would cost more than all the rest of taking a lock,
    // for a file system notes that in its journal.
    let old = file.metadata().map_or(0, |metadata| metadata.len());
    let longer = old.min(NOTE_LIMIT).saturating_sub(note.len() as u64);
    note.extend((0..longer).map(|_| ' '));
    let cut = match old {
        0..=NOTE_LIMIT => Ok(()),
        _ => file.set_len(0),
    };
    let _ = cut
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(note.as_bytes()));
}

fn busy(file: &mut File) -> Error {
    let mut note = String::new();
    let holder = file.take(NOTE_LIMIT).read_to_string(&mut note).ok();
    let holder = holder.and_then(|_| serde_json::from_str::<Holder>(&note).ok());
    let who = match holder {
        Some(holder) => format!(
            "'ncf {}', process {}, since {}",
            holder.command.escape_default(),
            holder.pid,
            crate::sys::clock::local(holder.since)
        ),
        None => "it has not said who it is".to_owned(),
    };
    Error::state(format!("another ncf is at work and holds the lock ({who})"))
        .hint("wait until it is done, then try again; 'ncf status' works meanwhile")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn the_second_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::take(&path, "change-rollback").unwrap();
        let refused = Lock::take(&path, "change-begin").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::State);
        let text = refused.to_string();
        assert!(text.contains("change-rollback"), "{text}");
        assert!(text.contains(&std::process::id().to_string()), "{text}");
        drop(held);
        drop(Lock::take(&path, "change-begin").unwrap());
    }

    #[test]
    fn who_has_patience_gets_it_when_the_holder_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::take(&path, "x").unwrap();
        let refused = Lock::take_within(&path, "y", Duration::from_millis(20)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::State);
        let waiting = std::thread::spawn(move || {
            Lock::take_within(&path, "y", Duration::from_secs(60)).map(drop)
        });
        std::thread::sleep(Duration::from_millis(20));
        drop(held);
        waiting.join().unwrap().unwrap();
    }

    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::take(&path, "x").unwrap();
        let copy = held.file.try_clone().unwrap();
        drop(held);
        drop(Lock::take(&path, "y").unwrap());
        drop(copy);
    }

    #[test]
    fn a_note_of_any_bytes_is_no_trouble() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _held = Lock::take(&path, "x").unwrap();
        std::fs::write(&path, b"\xff\x00{{{{").unwrap();
        assert_eq!(Lock::take(&path, "y").unwrap_err().kind(), ErrorKind::State);
    }
}
