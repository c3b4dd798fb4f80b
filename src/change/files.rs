//! The two sets of configuration files that a backend is asked about: the host's now, and a snapshot's.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::compare::Change;
use super::copies::Copies;
use super::manifest::{CoveredPath, Entry, FileNode, Node, find};
use super::tree::{Tree, is_absent};
use crate::error::{Context, Error, Result};
use crate::iface::backend::Files;
use crate::sys::node::{Kind, Place};
use crate::sys::parallel;

/// A file that configures an interface is a few hundred bytes. One beyond this is something else.
const SIZE_LIMIT: u64 = 1 << 20;
/// What one call reads of a file. Nearly all are smaller.
const SMALL: usize = 4096;
const TOO_LARGE: &str = "it is larger than 1 MiB";

/// The files as they are now.
#[derive(Debug)]
pub struct Present<'a>(pub &'a Tree<'a>);

impl Files for Present<'_> {
    fn names(&self) -> Result<Vec<OsString>> {
        self.list(|name, _| Some(name))
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

    fn is_link(&self, name: &OsStr) -> bool {
        let place = CoveredPath::new(PathBuf::from(name)).map(|path| self.0.place(&path));
        let stat = place.and_then(|place| place.ok()??.stat().ok()?);
        stat.is_some_and(|stat| stat.kind == Kind::Symlink)
    }

    fn matching(
        &self,
        wanted: &(dyn Fn(&OsStr) -> bool + Sync),
    ) -> Result<Vec<(OsString, Result<Vec<u8>>)>> {
        let names = self.list(|name, entry| {
            let is_file = || entry.file_type().is_ok_and(|kind| kind.is_file());
            wanted(&name).then(|| (is_file(), name))
        })?;
        let read = parallel::map(&names, |(is_file, name)| {
            let plain = is_file.then(|| self.read_small(name)).flatten();
            plain.map_or_else(|| self.read(name).transpose(), |bytes| Some(Ok(bytes)))
        });
        let found = names.into_iter().zip(read);
        Ok(found
            .filter_map(|((_, name), bytes)| Some((name, bytes?)))
            .collect())
    }
}

impl Present<'_> {
    /// What `each` makes of the covered files in the configuration directory.
    fn list<T>(&self, each: impl Fn(OsString, &DirEntry) -> Option<T>) -> Result<Vec<T>> {
        let dir = self.0.config_host();
        let failed = || format!("cannot list {}", dir.display());
        let entries = match std::fs::read_dir(dir) {
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            entries => entries.context(failed)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.context(failed)?;
            let name = entry.file_name();
            if self.0.is_covered_name(&name) {
                found.extend(each(name, &entry));
            }
        }
        Ok(found)
    }

    /// Reads what the directory says is a regular file, in three system calls where [`Files::read`] takes four: of a
    /// thousand files they are most of the time.
    ///
    /// `None` in all cases of doubt, which that tells apart: what is there is something else by now, may go on, or
    /// cannot be read. A regular file ends where a read ends early. Nothing here follows a link or waits for a FIFO.
    fn read_small(&self, name: &OsStr) -> Option<Vec<u8>> {
        let mut buffer = [0; SMALL];
        let dir = self.0.config_handle()?;
        let mut file = Place::new(dir, name).open().ok()?;
        let read = file.read(&mut buffer).ok()?;
        let is_whole = (1..SMALL).contains(&read);
        buffer.get(..read).filter(|_| is_whole).map(<[u8]>::to_vec)
    }

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
