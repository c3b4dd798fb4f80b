//! Copying the covered files, so that the copies all belong to one moment.
//!
//! Files may appear, change and go while they are being copied. So copying goes in rounds: each
//! looks at everything again and copies what is not as it was last seen. A round that finds nothing
//! to do proves that at its beginning everything was just as it had been copied.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::readlinkat;
use sha2::{Digest as _, Sha256};

use super::copies::{Seal, Writer};
use super::manifest::{CoveredPath, Entry, FileNode, Node, SymlinkNode};
use super::tree::{Tree, is_absent};
use crate::error::{Context, Error, Result};
use crate::state::sync::Unsynced;
use crate::sys::node::{Kind, Place, Stat, xattrs};

/// After so many rounds someone else is writing faster than we copy.
const ROUNDS: usize = 8;

/// The copies of a set of paths.
#[derive(Debug)]
pub struct Taken {
    /// What was at each path, sorted.
    pub entries: Vec<Entry>,
    /// The copies of the files.
    pub copies: Seal,
    /// What was written and is not yet synced.
    pub unsynced: Unsynced,
}

/// Copies everything that `tree` covers, and what its links point to, into the new directory `into`.
///
/// Fails, with nothing but `into` written, where a file cannot be read, where one is no regular
/// file, directory or link, or where they keep changing.
pub fn take(tree: &Tree<'_>, into: &Path) -> Result<Taken> {
    let mut copier = Copier::new(tree, into, tree.scope_dir())?;
    let mut last = None;
    for _ in 0..ROUNDS {
        match copier.round(&tree.covered()?)? {
            None => return copier.finish(into),
            changed => last = changed,
        }
    }
    let path = last.map(|path| tree.display(&path)).unwrap_or_default();
    Err(Error::failed(format!(
        "the files keep changing while they are copied, the last was {path}"
    ))
    .hint("see what writes to it, for example with 'fuser' or 'lsof', and try again"))
}

/// Copies what is at `paths` now into the new directory `into`: what a rollback is about to discard. In the
/// archive, the configuration directory is called `names`.
///
/// A path where nothing is becomes [`Node::Absent`], what cannot be copied [`Node::Special`].
pub fn keep(tree: &Tree<'_>, paths: &[CoveredPath], into: &Path, names: &Path) -> Result<Taken> {
    let mut copier = Copier::new(tree, into, names)?;
    for path in paths {
        let found = copier.look(path)?;
        let (stat, node) = found.map_or((None, Node::Absent), |(stat, node)| (Some(stat), node));
        copier.seen.insert(path.clone(), (stat, node));
    }
    copier.finish(into)
}

/// What is at `path` now, copied nowhere; `None` where nothing is.
pub fn describe(tree: &Tree<'_>, path: &CoveredPath) -> Result<Option<Node>> {
    let mut copier = Copier {
        tree,
        names: Path::new(""),
        writer: None,
        seen: BTreeMap::new(),
    };
    Ok(copier.look(path)?.map(|(_, node)| node))
}

struct Copier<'a> {
    tree: &'a Tree<'a>,
    /// What the configuration directory is called in the archive.
    names: &'a Path,
    writer: Option<Writer>,
    seen: BTreeMap<CoveredPath, (Option<Stat>, Node)>,
}

impl<'a> Copier<'a> {
    fn new(tree: &'a Tree<'a>, into: &Path, names: &'a Path) -> Result<Self> {
        let failed = || format!("cannot write in {}", into.display());
        DirBuilder::new().mode(0o700).create(into).context(failed)?;
        let writer = Some(Writer::create(into).context(failed)?);
        Ok(Self {
            tree,
            names,
            writer,
            seen: BTreeMap::new(),
        })
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
            self.seen.remove(&path);
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
            self.seen.remove(path);
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
        let meta = stat.meta(xattrs(&source)?);
        let mut content = Digesting {
            source: &mut source,
            size: 0,
            digest: Sha256::new(),
        };
        let offset = if let Some(writer) = &mut self.writer {
            let name = self.names.join(path.as_path());
            writer.add(&name, &meta, stat.size, &mut content)?
        } else {
            io::copy(&mut content, &mut io::sink())?;
            0
        };
        let (size, sha256) = (content.size, content.digest.finalize().into());
        if Stat::of(&source)? != stat || size != stat.size {
            return Ok(None);
        }
        let (ino, nlink, ctime) = (stat.ino, stat.nlink, stat.ctime);
        let file = FileNode {
            meta,
            size,
            sha256,
            offset,
            ino,
            nlink,
            ctime,
        };
        Ok(Some((stat, Node::File(file))))
    }

    fn link(&mut self, path: &CoveredPath, place: &Place, stat: Stat) -> io::Result<Node> {
        let target = PathBuf::from(readlinkat(&*place.dir, &place.path)?);
        let resolves = self.tree.resolve_link(path, &target)?;
        let meta = stat.meta(place.symlink_xattrs()?);
        if let Some(writer) = &mut self.writer {
            writer.add_link(&self.names.join(path.as_path()), &meta, &target)?;
        }
        Ok(Node::Symlink(SymlinkNode {
            meta,
            target,
            resolves,
        }))
    }

    fn finish(self, into: &Path) -> Result<Taken> {
        let failed = || format!("cannot write in {}", into.display());
        let writer = self.writer.ok_or_else(|| Error::failed(failed()))?;
        let (copies, file) = writer.finish().context(failed)?;
        let mut unsynced = Unsynced::default();
        unsynced.push(file).context(failed)?;
        unsynced
            .push(File::open(into).context(failed)?)
            .context(failed)?;
        let entries = self
            .seen
            .into_iter()
            .map(|(path, (_, node))| Entry { path, node });
        Ok(Taken {
            entries: entries.collect(),
            copies,
            unsynced,
        })
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

/// Reads a file and digests what it reads.
struct Digesting<'a> {
    source: &'a mut File,
    size: u64,
    digest: Sha256,
}

impl Read for Digesting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.digest.update(buffer.get(..read).unwrap_or_default());
        self.size += read as u64;
        Ok(read)
    }
}
