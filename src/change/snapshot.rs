//! Copying the covered files, so that the copies all belong to one moment.
//!
//! Files may appear, change and go while they are being copied. So copying goes in rounds: each
//! looks at everything again and copies what is not as it was last seen. A round that finds nothing
//! to do proves that at its beginning everything was just as it had been copied.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::readlinkat;
use sha2::{Digest as _, Sha256};

use super::manifest::{CoveredPath, Digest, Entry, FileNode, Node, SymlinkNode};
use super::tree::{Tree, is_absent};
use crate::error::{Context, Error, Result};
use crate::state::sync::Unsynced;
use crate::sys::node::{Kind, Place, Stat, xattrs};

/// After so many rounds someone else is writing faster than we copy.
const ROUNDS: usize = 8;

/// The copies of a set of paths.
#[derive(Debug)]
pub struct Copies {
    /// What was at each path, sorted.
    pub entries: Vec<Entry>,
    /// The copies, not yet synced.
    pub unsynced: Unsynced,
}

/// Copies everything that `tree` covers, and what its links point to, into the directory `into`.
///
/// Fails, with nothing but `into` written, where a file cannot be read, where one is no regular
/// file, directory or link, or where they keep changing.
pub fn take(tree: &Tree<'_>, into: &Path) -> Result<Copies> {
    let mut copier = Copier::new(tree, into)?;
    let mut last = None;
    for _ in 0..ROUNDS {
        match copier.round(&tree.covered()?)? {
            None => return Ok(copier.finish()),
            changed => last = changed,
        }
    }
    let path = last.map(|path| tree.display(&path)).unwrap_or_default();
    Err(Error::failed(format!(
        "the files keep changing while they are copied, the last was {path}"
    ))
    .hint("see what writes to it, for example with 'fuser' or 'lsof', and try again"))
}

/// Copies what is at `paths` now into the directory `into`: what a rollback is about to discard.
///
/// A path where nothing is becomes [`Node::Absent`], what cannot be copied [`Node::Special`].
pub fn keep(tree: &Tree<'_>, paths: &[CoveredPath], into: &Path) -> Result<Copies> {
    let mut copier = Copier::new(tree, into)?;
    for path in paths {
        let (stat, node) = copier
            .look(path)?
            .map_or((None, Node::Absent), |(s, n)| (Some(s), n));
        copier.seen.insert(path.clone(), (stat, node));
    }
    Ok(copier.finish())
}

/// Where in the directory of copies that of `path` is.
pub fn copy_path(files: &Path, path: &CoveredPath) -> PathBuf {
    if path.is_config() {
        files.join("config").join(path.as_path())
    } else {
        let inside = path.as_path().strip_prefix("/").unwrap_or(path.as_path());
        files.join("root").join(inside)
    }
}

struct Copier<'a> {
    tree: &'a Tree<'a>,
    into: &'a Path,
    made: BTreeSet<PathBuf>,
    seen: BTreeMap<CoveredPath, (Option<Stat>, Node)>,
    unsynced: Unsynced,
}

impl<'a> Copier<'a> {
    fn new(tree: &'a Tree<'a>, into: &'a Path) -> Result<Self> {
        let mut copier = Self {
            tree,
            into,
            made: BTreeSet::new(),
            seen: BTreeMap::new(),
            unsynced: Unsynced::default(),
        };
        copier
            .make_dir(into.to_owned())
            .context(|| format!("cannot make {}", into.display()))?;
        Ok(copier)
    }

    /// Copies what differs from what was seen, and returns one such path, or `None`.
    fn round(&mut self, covered: &BTreeSet<CoveredPath>) -> Result<Option<CoveredPath>> {
        let mut changed = None;
        let mut targets = BTreeSet::new();
        for path in covered {
            if self.update(path, false)? {
                changed = Some(path.clone());
            }
            if let Some((_, Node::Symlink(link))) = self.seen.get(path) {
                targets.extend(
                    link.resolves
                        .clone()
                        .filter(|target| !covered.contains(target)),
                );
            }
        }
        for path in &targets {
            if self.update(path, true)? {
                changed = Some(path.clone());
            }
        }
        let current = |path: &CoveredPath| covered.contains(path) || targets.contains(path);
        let gone: Vec<_> = self
            .seen
            .keys()
            .filter(|path| !current(path))
            .cloned()
            .collect();
        for path in gone {
            self.forget(&path);
            changed = Some(path);
        }
        Ok(changed)
    }

    /// Looks at `path` again; whether anything was new. A link's target may be missing.
    fn update(&mut self, path: &CoveredPath, target: bool) -> Result<bool> {
        let failed = || format!("cannot copy {}", self.tree.display(path));
        if let Some((seen, _)) = self.seen.get(path) {
            let place = self.tree.place(path).context(failed)?;
            let stat = place
                .map(|place| place.stat())
                .transpose()
                .context(failed)?
                .flatten();
            if *seen == stat {
                return Ok(false);
            }
            self.forget(path);
        }
        match self.look(path)? {
            Some((_, Node::Special)) => {
                let path = self.tree.display(path);
                let error = format!("{path} is neither a file, a directory nor a symbolic link");
                return Err(Error::failed(error).hint("a snapshot cannot hold it; move it away"));
            }
            Some((stat, node)) => {
                self.seen.insert(path.clone(), (Some(stat), node));
            }
            None if target => {
                self.seen.insert(path.clone(), (None, Node::Absent));
            }
            None => {}
        }
        Ok(true)
    }

    fn forget(&mut self, path: &CoveredPath) {
        if let Some((_, Node::File(_))) = self.seen.remove(path) {
            // It is written anew, or not in the manifest and so of no meaning.
            let _ = std::fs::remove_file(copy_path(self.into, path));
        }
    }

    /// What is at `path` now, copied where it is a file; `None` where nothing is.
    fn look(&mut self, path: &CoveredPath) -> Result<Option<(Stat, Node)>> {
        let failed = || format!("cannot copy {}", self.tree.display(path));
        let Some(place) = self.tree.place(path).context(failed)? else {
            return Ok(None);
        };
        for _ in 0..ROUNDS {
            let Some(stat) = place.stat().context(failed)? else {
                return Ok(None);
            };
            let looked = match stat.kind {
                Kind::File => self.copy(path, &place),
                Kind::Directory => directory(&place),
                Kind::Symlink => self.link(path, &place, stat).map(|node| Some((stat, node))),
                Kind::Special => Ok(Some((stat, Node::Special))),
            };
            match looked {
                Ok(Some(found)) => return Ok(Some(found)),
                // It became something else between the two looks.
                Ok(None) => {}
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error).context(failed),
            }
        }
        Err(Error::failed(failed()).because("it keeps changing"))
    }

    /// Copies a regular file. `None` where it changed meanwhile.
    fn copy(&mut self, path: &CoveredPath, place: &Place) -> io::Result<Option<(Stat, Node)>> {
        let mut source = place.open()?;
        let stat = Stat::of(&source)?;
        if stat.kind != Kind::File {
            return Ok(None);
        }
        let target = copy_path(self.into, path);
        if let Some(parent) = target.parent() {
            self.make_dir(parent.to_owned())?;
        }
        let mut options = File::options();
        let mut copy = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(target)?;
        let (size, sha256) = copy_digesting(&mut source, &mut copy)?;
        let xattrs = xattrs(&source)?;
        if Stat::of(&source)? != stat || size != stat.size {
            return Ok(None);
        }
        self.unsynced.push(copy)?;
        let file = FileNode {
            meta: stat.meta(xattrs),
            size,
            sha256,
            ino: stat.ino,
            nlink: stat.nlink,
            ctime: stat.ctime,
        };
        Ok(Some((stat, Node::File(file))))
    }

    fn link(&self, path: &CoveredPath, place: &Place, stat: Stat) -> io::Result<Node> {
        let target = PathBuf::from(readlinkat(&*place.dir, &place.path)?);
        let resolves = self.resolve(path, &target)?;
        let meta = stat.meta(place.symlink_xattrs()?);
        Ok(Node::Symlink(SymlinkNode {
            meta,
            target,
            resolves,
        }))
    }

    /// The covered path that a link's target is, where that is a file or nothing.
    fn resolve(&self, path: &CoveredPath, target: &Path) -> io::Result<Option<CoveredPath>> {
        let base = if path.is_config() {
            self.tree.config_dir()
        } else {
            Path::new("/")
        };
        let dir = base.join(path.as_path());
        let full = dir.parent().unwrap_or(base).join(target);
        let root = self.tree.root();
        let resolved = match root.resolve(&full) {
            Err(error) if is_absent(&error) => root.resolve_parent(&full).ok(),
            resolved => resolved.ok(),
        };
        let Some(resolved) = resolved else {
            return Ok(None);
        };
        let resolved = match resolved.strip_prefix(self.tree.config_dir()) {
            Ok(inside) => CoveredPath::new(inside.to_owned()),
            Err(_) => CoveredPath::new(resolved),
        };
        let Some(resolved) = resolved else {
            return Ok(None);
        };
        let stat = match self.tree.place(&resolved)? {
            Some(place) => place.stat()?,
            None => return Ok(None),
        };
        Ok(stat
            .is_none_or(|stat| stat.kind == Kind::File)
            .then_some(resolved))
    }

    fn make_dir(&mut self, path: PathBuf) -> io::Result<()> {
        if !self.made.contains(&path) {
            let parent = path.parent().filter(|parent| parent.starts_with(self.into));
            if let Some(parent) = parent {
                self.make_dir(parent.to_owned())?;
            }
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            self.unsynced.push(File::open(&path)?)?;
            self.made.insert(path);
        }
        Ok(())
    }

    fn finish(self) -> Copies {
        let entries = self
            .seen
            .into_iter()
            .map(|(path, (_, node))| Entry { path, node })
            .collect();
        Copies {
            entries,
            unsynced: self.unsynced,
        }
    }
}

fn directory(place: &Place) -> io::Result<Option<(Stat, Node)>> {
    let dir = place.open()?;
    let stat = Stat::of(&dir)?;
    if stat.kind != Kind::Directory {
        return Ok(None);
    }
    let meta = stat.meta(xattrs(&dir)?);
    Ok(Some((stat, Node::Directory(meta))))
}

/// Copies `source` to its end, and returns how many bytes that were and their digest.
pub fn copy_digesting(source: &mut impl Read, copy: &mut impl Write) -> io::Result<(u64, Digest)> {
    let mut digesting = Digesting {
        digest: Sha256::new(),
        copy,
    };
    let size = io::copy(source, &mut digesting)?;
    Ok((size, digesting.digest.finalize().into()))
}

/// The size and digest of what `source` holds, read to its end.
pub fn digest(source: &mut impl Read) -> io::Result<(u64, Digest)> {
    copy_digesting(source, &mut io::sink())
}

struct Digesting<W> {
    digest: Sha256,
    copy: W,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.copy.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.copy.flush()
    }
}
