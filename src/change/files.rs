//! The two sets of configuration files that a backend is asked about: the host's now, and a snapshot's.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::compare::Change;
use super::copies::Copies;
use super::manifest::{CoveredPath, Entry, FileNode, Node, find};
use super::tree::{Tree, is_absent};
use crate::error::{Context, Error, Result};
use crate::iface::backend::Files;
use crate::sys::node::Kind;
use crate::sys::parallel;

/// A file that configures an interface is a few hundred bytes. One beyond this is something else.
const SIZE_LIMIT: u64 = 1 << 20;
const TOO_LARGE: &str = "it is larger than 1 MiB";

/// The files as they are now.
#[derive(Debug)]
pub struct Present<'a>(pub &'a Tree<'a>);

impl Files for Present<'_> {
    fn names(&self) -> Result<Vec<OsString>> {
        let dir = self.0.config_host();
        let failed = || format!("cannot list {}", dir.display());
        let entries = match std::fs::read_dir(dir) {
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            entries => entries.context(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.context(failed)?.file_name();
            if self.0.is_covered_name(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read(&self, name: &OsStr) -> Result<Option<Vec<u8>>> {
        let Some(path) = CoveredPath::new(PathBuf::from(name)) else {
            return Ok(None);
        };
        let failed = || format!("cannot read {}", self.0.display(&path));
        let Some(place) = self.0.place(&path).context(failed)? else {
            return Ok(None);
        };
        let stat = place.stat().context(failed)?;
        let open = match stat.map(|stat| stat.kind) {
            Some(Kind::File) => place.open(),
            Some(Kind::Symlink) => self.open_target(name),
            _ => return Ok(None),
        };
        match open {
            Ok(file) => read_limited(file, stat.map_or(0, |stat| stat.size), failed).map(Some),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error).context(failed),
        }
    }

    fn read_all(&self, names: &[OsString]) -> Vec<Result<Option<Vec<u8>>>> {
        parallel::map(names, |name| self.read(name))
    }
}

impl Present<'_> {
    fn open_target(&self, name: &OsStr) -> io::Result<File> {
        let link = self.0.config_dir().join(name);
        let target = self.0.root().resolve_on_host(&link)?;
        // Not a FIFO, which would wait for a writer for ever.
        if !std::fs::symlink_metadata(&target)?.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        File::open(target)
    }
}

/// The files as a snapshot has them.
#[derive(Debug)]
pub struct Saved<'a> {
    /// What it holds.
    pub entries: &'a [Entry],
    /// The copies.
    pub copies: &'a Copies,
}

impl<'a> Saved<'a> {
    /// The file that `path` is, a link followed; `None` where it is no file.
    fn file(&self, path: &CoveredPath) -> Option<&'a FileNode> {
        let node = |path| find(self.entries, path).map(|entry| &entry.node);
        match node(path)? {
            Node::File(file) => Some(file),
            Node::Symlink(link) => match node(link.resolves.as_ref()?)? {
                Node::File(file) => Some(file),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Files for Saved<'_> {
    fn names(&self) -> Result<Vec<OsString>> {
        let direct = |entry: &&Entry| {
            let path = entry.path.as_path();
            entry.path.is_config() && path.components().count() == 1 && path != Path::new(".")
        };
        let names = self.entries.iter().filter(direct);
        Ok(names
            .map(|entry| entry.path.as_path().as_os_str().to_owned())
            .collect())
    }

    fn read(&self, name: &OsStr) -> Result<Option<Vec<u8>>> {
        let path = CoveredPath::new(PathBuf::from(name));
        let Some(file) = path.as_ref().and_then(|path| self.file(path)) else {
            return Ok(None);
        };
        let failed = || {
            format!(
                "cannot read {} in {}",
                name.display(),
                self.copies.path().display()
            )
        };
        if file.size > SIZE_LIMIT {
            return Err(Error::failed(failed()).because(TOO_LARGE));
        }
        let mut content = Vec::new();
        self.copies.copy(file, &mut content).context(failed)?;
        Ok(Some(content))
    }
}

/// The files as they are now, after a comparison with a snapshot: those that it found unchanged are not
/// read again.
pub struct Compared<'a> {
    present: &'a Present<'a>,
    saved: &'a Saved<'a>,
    unchanged: BTreeSet<&'a OsStr>,
}

impl<'a> Compared<'a> {
    /// The files in which `changes` are all that differs from those that are `saved`.
    pub fn new(present: &'a Present<'a>, saved: &'a Saved<'a>, changes: &[Change]) -> Self {
        let differing: BTreeSet<_> = changes.iter().map(|change| &change.path).collect();
        // What a link points to may be any file.
        let unchanged = saved.entries.iter().filter(|entry| {
            matches!(entry.node, Node::File(_)) && !differing.contains(&entry.path)
        });
        let unchanged = unchanged
            .map(|entry| entry.path.as_path().as_os_str())
            .collect();
        Self {
            present,
            saved,
            unchanged,
        }
    }
}

impl Files for Compared<'_> {
    fn names(&self) -> Result<Vec<OsString>> {
        self.present.names()
    }

    fn read(&self, name: &OsStr) -> Result<Option<Vec<u8>>> {
        if self.unchanged.contains(name)
            && let Ok(Some(content)) = self.saved.read(name)
        {
            return Ok(Some(content));
        }
        self.present.read(name)
    }
}

/// Reads a file that has `size` bytes, if that has not changed and it is no link.
fn read_limited(mut file: File, size: u64, failed: impl Fn() -> String) -> Result<Vec<u8>> {
    let expected = usize::try_from(size.min(SIZE_LIMIT)).unwrap_or(0);
    let mut content = vec![0; expected + 1];
    // One call tells all of a file that is as long as it was: of hundreds of files each call counts.
    let read = file.read(&mut content).context(&failed)?;
    content.truncate(read);
    if read != expected {
        file.take((SIZE_LIMIT + 1).saturating_sub(read as u64))
            .read_to_end(&mut content)
            .context(&failed)?;
    }
    if content.len() as u64 > SIZE_LIMIT {
        return Err(Error::failed(failed()).because(TOO_LARGE));
    }
    Ok(content)
}
