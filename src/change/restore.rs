//! Bringing files back to what a manifest says.
//!
//! Every file is made beside the one it replaces, complete with its metadata, and all of them are
//! synced before the first takes its name: so each is at every moment the old one or the new one,
//! after a power cut too. The copies are only read. Whatever fails is noted and the rest goes on, and
//! doing it all again does no harm.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::fcntl::AtFlags;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};

use super::compare::{Change, ChangeKind};
use super::copies::Copies;
use super::durable::UnsyncedPlaces;
use super::links::{Links, Method};
use super::manifest::{CoveredPath, Entry, FileNode, Node, SymlinkNode, find};
use super::tree::{TEMPORARY, Tree};
use crate::error::Error;
use crate::sys::node::{Kind, Place, set_meta};

/// What to bring back, and from where.
#[derive(Debug)]
pub struct Source<'a> {
    /// What should be there.
    pub wanted: &'a [Entry],
    /// The copies of the files.
    pub copies: &'a Copies,
    /// The transaction's id, from which the names of temporary files are made.
    pub id: &'a str,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What could not be done; everything else was.
    pub errors: Vec<Error>,
    /// Directories that stood where a file belongs, and what they are called now.
    pub moved_aside: Vec<String>,
}

/// Undoes the `changes`.
pub fn restore(tree: &Tree<'_>, source: &Source<'_>, changes: &[Change]) -> Outcome {
    let mut outcome = Outcome::default();
    remove_litter(tree, source);
    make_directories(tree, source, changes, &mut outcome);
    let reopened = match tree.reopened() {
        Ok(tree) => tree,
        Err(error) => {
            outcome.errors.push(error);
            return outcome;
        }
    };
    let mut restorer = Restorer {
        tree: &reopened,
        source,
        outcome,
        unsynced: UnsyncedPlaces::default(),
        waiting: Vec::new(),
        made: 0,
    };
    restorer.prepare(changes);
    restorer.settle();
    restorer.put_in_place(changes);
    restorer.remove(changes);
    restorer.directories(changes);
    restorer.settle();
    restorer.outcome
}

/// Removes temporary files that an earlier, killed restore of the same transaction left.
fn remove_litter(tree: &Tree<'_>, source: &Source<'_>) {
    let prefix = format!("{TEMPORARY}{}-", source.id);
    let directories = source.wanted.iter().filter_map(|entry| match entry.node {
        Node::Directory(_) => Some(Place::clone(&tree.place(&entry.path).ok()??)),
        _ => None,
    });
    let parents = source
        .wanted
        .iter()
        .filter(|entry| !entry.path.is_config())
        .filter_map(|entry| {
            let place = tree.place(&entry.path).ok()??;
            Some(Place::new(&place.dir, "."))
        });
    for place in directories.chain(parents) {
        // What stays is in nobody's way, and is tried again next time.
        place.remove_beginning(&prefix);
    }
}

/// Makes the directories that are missing, parents first, still without their metadata. Those above what
/// a link points to were not saved; they are made with the usual mode.
fn make_directories(
    tree: &Tree<'_>,
    source: &Source<'_>,
    changes: &[Change],
    outcome: &mut Outcome,
) {
    for change in changes {
        let wanted = find(source.wanted, &change.path).map(|entry| &entry.node);
        if !change.path.is_config() && change.kind == ChangeKind::Removed {
            let parent = change.path.as_path().parent().unwrap_or(Path::new("/"));
            // Where this fails, so does the restore, which says so.
            let _ = std::fs::create_dir_all(tree.root().host_path(parent));
        }
        let here = change.now.map(|now| now.kind);
        if !matches!(wanted, Some(Node::Directory(_))) || here == Some(Kind::Directory) {
            continue;
        }
        let made = tree.place(&change.path).and_then(|place| {
            let place = place.ok_or(io::ErrorKind::NotFound)?;
            if here.is_some() {
                // It is among what is discarded, like a file that another takes the name of.
                place.remove()?;
            }
            Ok(mkdirat(&*place.dir, &place.path, Mode::S_IRWXU)?)
        });
        if let Err(error) = made {
            outcome
                .errors
                .push(cannot_restore(tree, &change.path, error));
        }
    }
}

/// Gives what is in the way another name beside it, and returns that.
fn move_aside(place: &Place, id: &str) -> io::Result<String> {
    let mut name = OsString::from(format!("{TEMPORARY}aside-{id}-"));
    name.push(place.path.file_name().unwrap_or_default());
    let aside = place.sibling(&name);
    place.rename_to(&aside)?;
    Ok(crate::sys::escape::escape(
        aside.path.as_os_str().as_bytes(),
    ))
}

fn cannot_restore(tree: &Tree<'_>, path: &CoveredPath, cause: io::Error) -> Error {
    Error::failed(format!("cannot restore {}", tree.display(path))).because(cause)
}

struct Restorer<'a> {
    tree: &'a Tree<'a>,
    source: &'a Source<'a>,
    outcome: Outcome,
    unsynced: UnsyncedPlaces,
    /// New files that wait for their names: the path, the temporary place, the final place.
    waiting: Vec<(CoveredPath, Place, Place)>,
    /// How many temporary names were used.
    made: usize,
}

impl<'a> Restorer<'a> {
    fn wanted(&self, path: &CoveredPath) -> Option<&'a Node> {
        find(self.source.wanted, path).map(|entry| &entry.node)
    }

    fn note(&mut self, path: &CoveredPath, result: io::Result<()>) {
        if let Err(error) = result {
            self.outcome
                .errors
                .push(cannot_restore(self.tree, path, error));
        }
    }

    fn place(&self, path: &CoveredPath) -> io::Result<Place> {
        Ok(self.tree.place(path)?.ok_or(io::ErrorKind::NotFound)?)
    }

    /// Makes all that is to be put in place, and changes what is changed in place.
    fn prepare(&mut self, changes: &[Change]) {
        let links = match Links::look(self.tree, self.source.wanted, changes) {
            Ok(links) => links,
            Err(error) => {
                let error = Error::failed("cannot look for hard links").because(error);
                self.outcome.errors.push(error);
                Links::default()
            }
        };
        let mut later = Vec::new();
        for change in changes {
            let done = match self.wanted(&change.path) {
                Some(Node::File(file)) => match links.method(change, file) {
                    Method::Link(anchor) => {
                        later.push((change, anchor));
                        Ok(())
                    }
                    method => self.file(change, file, &method),
                },
                Some(Node::Symlink(link)) => self.symlink(change, link),
                _ => Ok(()),
            };
            self.note(&change.path, done);
        }
        // What they are linked to is made now.
        for (change, anchor) in later {
            let done = self.link(change, &anchor);
            self.note(&change.path, done);
        }
    }

    fn file(&mut self, change: &Change, file: &FileNode, method: &Method) -> io::Result<()> {
        let place = self.place(&change.path)?;
        match method {
            Method::Metadata => {
                let open = place.open()?;
                set_meta(&open, &file.meta)?;
                self.unsynced(&place, Some(open))
            }
            Method::InPlace => {
                let mut open = place.open_for_writing()?;
                self.copy_into(file, &mut open)?;
                self.unsynced(&place, Some(open))
            }
            _ => self.temporary(&change.path, &place, |this, temporary| {
                let mut new = temporary.create()?;
                this.copy_into(file, &mut new)?;
                this.unsynced(temporary, Some(new))
            }),
        }
    }

    fn symlink(&mut self, change: &Change, link: &SymlinkNode) -> io::Result<()> {
        let place = self.place(&change.path)?;
        self.temporary(&change.path, &place, |_, temporary| {
            symlinkat(&link.target, &*temporary.dir, &temporary.path)?;
            temporary.set_symlink_meta(&link.meta)
        })
    }

    fn link(&mut self, change: &Change, anchor: &CoveredPath) -> io::Result<()> {
        let place = self.place(&change.path)?;
        let waiting = self.waiting.iter().find(|(path, ..)| path == anchor);
        let from = match waiting {
            Some((_, temporary, _)) => temporary.clone(),
            None => self.place(anchor)?,
        };
        self.temporary(&change.path, &place, |_, temporary| {
            let (to, flags) = (&temporary.path, AtFlags::empty());
            Ok(linkat(&*from.dir, &from.path, &*temporary.dir, to, flags)?)
        })
    }

    /// Makes something under a temporary name beside `place`, to be put in place later.
    ///
    /// A file must be synced in between. The directory must not: a symbolic link whose temporary name is
    /// in the log of btrfs (seen with Linux 6.1) has after a power cut that name, and not the one that it was
    /// given later, although the directory was synced again.
    fn temporary(
        &mut self,
        path: &CoveredPath,
        place: &Place,
        make: impl FnOnce(&mut Self, &Place) -> io::Result<()>,
    ) -> io::Result<()> {
        self.made += 1;
        let name = format!("{TEMPORARY}{}-{}", self.source.id, self.made);
        let temporary = place.sibling(name.as_ref());
        let result = make(self, &temporary);
        if result.is_ok() {
            self.waiting.push((path.clone(), temporary, place.clone()));
        } else {
            discard(&temporary);
        }
        result
    }

    /// Writes a file's content and metadata from its copy, which must be what the manifest says.
    fn copy_into(&self, file: &FileNode, to: &mut File) -> io::Result<()> {
        self.source.copies.copy(file, to)?;
        to.set_len(file.size)?;
        set_meta(to, &file.meta)
    }

    fn put_in_place(&mut self, changes: &[Change]) {
        for (path, temporary, place) in std::mem::take(&mut self.waiting) {
            let renamed = self
                .make_way(&path, &place, changes)
                .and_then(|()| self.rename(&temporary, &place));
            if renamed.is_err() {
                discard(&temporary);
            }
            self.note(&path, renamed);
        }
    }

    /// Takes away a directory that stands where a file belongs, with what is covered in it, which is among what
    /// is discarded. If there is more in it, it gets another name.
    fn make_way(
        &mut self,
        path: &CoveredPath,
        place: &Place,
        changes: &[Change],
    ) -> io::Result<()> {
        let stat = place.stat()?;
        if stat.is_none_or(|stat| stat.kind != Kind::Directory) {
            return Ok(());
        }
        let inside = |change: &&Change| change.path.as_path().starts_with(path.as_path());
        let inside: Vec<_> = changes.iter().filter(inside).cloned().collect();
        self.remove(&inside);
        match unlinkat(&*place.dir, &place.path, UnlinkatFlags::RemoveDir) {
            Err(nix::errno::Errno::ENOTEMPTY) => {
                let aside = move_aside(place, self.source.id)?;
                self.outcome.moved_aside.push(aside);
                Ok(())
            }
            removed => Ok(removed?),
        }
    }

    fn rename(&mut self, temporary: &Place, place: &Place) -> io::Result<()> {
        temporary.rename_to(place)?;
        self.unsynced(place, None)
    }

    /// Removes what was not there: files first, then directories, the deepest first.
    fn remove(&mut self, changes: &[Change]) {
        let added = || {
            changes
                .iter()
                .filter(|change| change.kind == ChangeKind::Added)
                .rev()
        };
        let is_dir = |change: &&Change| change.now.is_some_and(|now| now.kind == Kind::Directory);
        for change in added()
            .filter(|change| !is_dir(change))
            .chain(added().filter(is_dir))
        {
            let removed = self.remove_one(change, is_dir(&change));
            self.note(&change.path, removed);
        }
    }

    fn remove_one(&mut self, change: &Change, directory: bool) -> io::Result<()> {
        let Some(place) = self.tree.place(&change.path)? else {
            return Ok(());
        };
        let flags = if directory {
            UnlinkatFlags::RemoveDir
        } else {
            UnlinkatFlags::NoRemoveDir
        };
        match unlinkat(&*place.dir, &place.path, flags) {
            Ok(()) => self.unsynced(&place, None),
            // Something else is in a new directory: it is not ours to take away.
            Err(nix::errno::Errno::ENOTEMPTY | nix::errno::Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives directories their metadata, and last their times, which all the rest has changed.
    fn directories(&mut self, changes: &[Change]) {
        for entry in self.source.wanted.iter().rev() {
            let Node::Directory(meta) = &entry.node else {
                continue;
            };
            let differs = changes.iter().any(|change| change.path == entry.path);
            let done = self.place(&entry.path).and_then(|place| {
                if differs {
                    set_meta(&place.open()?, meta)?;
                }
                if place.stat()?.is_some_and(|stat| stat.mtime != meta.mtime) {
                    place.set_mtime(meta.mtime)?;
                }
                self.unsynced(&place, Some(place.open()?))
            });
            self.note(&entry.path, done);
        }
    }

    /// Notes that `file`, or else the directory that `place` is in, must be synced.
    fn unsynced(&mut self, place: &Place, file: Option<File>) -> io::Result<()> {
        self.unsynced.push(place, file)
    }

    fn settle(&mut self) {
        for error in self.unsynced.settle() {
            let error = Error::failed("cannot make the restored files durable").because(error);
            self.outcome.errors.push(error);
        }
    }
}

/// Removes a temporary file that is not to be used.
fn discard(temporary: &Place) {
    // The first error is the one to report; what stays is removed by the next restore.
    let _ = temporary.remove();
}
