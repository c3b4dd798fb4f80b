//! What the boot hook did, for whoever logs in next.
//!
//! The note is in the directory of the change itself. One that was rolled back takes it along into the archive
//! by the very rename that closes it, so there is no moment at which a change has been undone and nobody will be
//! told. It is told until somebody acknowledges it, which the next begin does as well; then it stays, as
//! part of the history. A note of a failure is overwritten by the next attempt.
//!
//! The line at the login (see [`crate::sys::motd`]) is a second teller and no record: it is gone with the next boot.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::history;
use super::host::Host;
use super::manifest::{FIRST_FORMAT, check_format};
use crate::error::{Context, Error, Result};
use crate::state::Lock;
use crate::state::sync::write_durably;
use crate::sys::motd;

/// A few errors, each a few hundred characters; one names at most all of the covered files.
const SIZE_LIMIT: u64 = 16 << 20;

const NAME: &str = "at-boot.json";

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The files are as they were, and the change is closed.
    RolledBack,
    /// Something kept it from that. The change is still open.
    Failed,
}

impl Ended {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
        }
    }
}

/// What the boot hook did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    format: u32,
    /// When; by a clock that may not have been set yet.
    pub time: jiff::Timestamp,
    /// How it ended.
    pub ended: Ended,
    /// What went wrong, each in a sentence.
    pub problems: Vec<String>,
    /// Whether somebody has said that they know.
    pub acknowledged: bool,
}

impl Notice {
    /// One of this moment.
    pub fn new(ended: Ended, problems: Vec<String>) -> Self {
        Self {
            format: FIRST_FORMAT,
            time: jiff::Timestamp::now(),
            ended,
            problems,
            acknowledged: false,
        }
    }

    /// Writes it into the directory `dir` of a change, durably.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let failed = || format!("cannot write {}", dir.join(NAME).display());
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .context(failed)?;
        json.push(b'\n');
        write_durably(dir, NAME, &json).context(failed)
    }

    /// Reads that in the directory `dir` of a change; `None` where no boot hook has noted anything.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(NAME);
        let failed = || format!("cannot read {}", path.display());
        let absent = |error: &io::Error| {
            // Not a directory: then it is no change, which is for others to say.
            matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            )
        };
        let file = match File::open(&path) {
            Err(error) if absent(&error) => return Ok(None),
            file => file.context(failed)?,
        };
        let mut json = Vec::new();
        file.take(SIZE_LIMIT)
            .read_to_end(&mut json)
            .context(failed)?;
        check_format(&path, &json)?;
        serde_json::from_slice(&json)
            .map(Some)
            .map_err(|error| Error::failed(format!("{} is damaged: {error}", path.display())))
    }

    /// Removes that of an earlier attempt. Where it stays it says only what was so.
    pub(super) fn forget(dir: &Path) {
        let _ = std::fs::remove_file(dir.join(NAME));
    }

    fn is_news(&self) -> bool {
        !self.acknowledged
    }
}

/// The archived changes that a boot undid and that nobody has acknowledged, the newest first: their names. An
/// error for a note that cannot be read.
pub fn pending(host: &Host) -> Result<Vec<Result<(String, Notice)>>> {
    let archive = host.state.archive();
    let look = |name: String| match Notice::read(&archive.join(&name)) {
        Ok(notice) => {
            let news =
                notice.filter(|notice| notice.is_news() && notice.ended == Ended::RolledBack)?;
            Some(Ok((name, news)))
        }
        Err(error) => Some(Err(error)),
    };
    Ok(history::names(host)?.into_iter().filter_map(look).collect())
}

/// The note of a boot that could not undo the open change, unless it was acknowledged.
pub fn of_open_change(host: &Host) -> Result<Option<Notice>> {
    let notice = Notice::read(&host.state.transaction())?;
    Ok(notice.filter(|notice| notice.is_news() && notice.ended == Ended::Failed))
}

/// Notes that somebody knows, and takes the line away from the login. How many notes there were.
pub fn acknowledge(host: &Host, _lock: &Lock) -> Result<usize> {
    let archive = host.state.archive();
    let names = history::names(host)?.into_iter();
    let archived = names.map(|name| archive.join(name));
    let mut known = 0;
    for dir in archived.chain([host.state.transaction()]) {
        known += usize::from(acknowledge_one(&dir)?);
    }
    motd::remove(&host.root)?;
    Ok(known)
}

fn acknowledge_one(dir: &Path) -> Result<bool> {
    match Notice::read(dir) {
        Ok(Some(mut notice)) if notice.is_news() => {
            notice.acknowledged = true;
            notice.write(dir)?;
            Ok(true)
        }
        Ok(_) => Ok(false),
        // Nobody will read it any more.
        Err(_) => {
            let path: PathBuf = dir.join(NAME);
            std::fs::remove_file(&path).context(|| format!("cannot remove {}", path.display()))?;
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_news_until_it_is_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Notice::read(dir.path()).unwrap(), None);
        let notice = Notice::new(Ended::Failed, vec!["no disk".to_owned()]);
        notice.write(dir.path()).unwrap();
        assert_eq!(Notice::read(dir.path()).unwrap(), Some(notice));
        assert!(acknowledge_one(dir.path()).unwrap());
        assert!(!Notice::read(dir.path()).unwrap().unwrap().is_news());
        assert!(!acknowledge_one(dir.path()).unwrap());
    }

    #[test]
    fn one_that_cannot_be_read_is_an_error_until_it_is_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), "{\"format\": 1").unwrap();
        assert!(Notice::read(dir.path()).is_err());
        assert!(acknowledge_one(dir.path()).unwrap());
        assert_eq!(Notice::read(dir.path()).unwrap(), None);
    }
}
