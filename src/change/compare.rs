//! What differs between a snapshot and the files as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::Serialize;

use super::copies::digest;
use super::manifest::{CoveredPath, Entry, FileNode, Manifest, Node, find};
use super::tree::Tree;
use crate::error::{Context, Result};
use crate::sys::node::{Kind, Meta, Place, Stat, Time, xattrs};
use crate::sys::parallel;

/// How a path differs from the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is there and was not.
    Added,
    /// It was there and is not.
    Removed,
    /// Its content, its link target or what kind of thing it is.
    Modified,
    /// Only its mode, owner, modification time, attributes or hard links.
    Metadata,
}

impl ChangeKind {
    /// As `status` prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Modified => "modified",
            Self::Metadata => "metadata",
        }
    }
}

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub path: CoveredPath,
    /// How.
    pub kind: ChangeKind,
    /// What is there now; `None` where nothing is.
    pub now: Option<Stat>,
}

/// How far a comparison trusts the inode change time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// A file whose inode, size and change time are as they were is unchanged, for nothing can set
    /// the change time. For looking.
    Quick,
    /// Every content is read. For deciding what to restore.
    Thorough,
}

/// Coarse clocks and file systems: a file changed within this many seconds before the snapshot may be
/// changed again without its change time showing it.
const RACY: i64 = 2;

/// Compares what `wanted` says with what is there now. Sorted by path.
///
/// `covered` are the paths that exist and would be in a snapshot taken now. A file that cannot be read counts
/// as modified. Fails only where directories cannot be looked into.
pub fn compare(
    tree: &Tree<'_>,
    wanted: &[Entry],
    covered: &BTreeSet<CoveredPath>,
    began: Option<jiff::Timestamp>,
) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    let mut present = BTreeMap::new();
    let looked = parallel::map(wanted, |entry| look(tree, entry, began));
    for (entry, looked) in wanted.iter().zip(looked) {
        let (now, kind) = looked?;
        present.extend(now.map(|now| (&entry.path, now)));
        changes.extend(kind.map(|kind| Change {
            path: entry.path.clone(),
            kind,
            now,
        }));
    }
    for path in relinked(wanted, &present) {
        let now = present.get(&path).copied();
        if !changes.iter().any(|change| change.path == path) {
            changes.push(Change {
                path,
                kind: ChangeKind::Metadata,
                now,
            });
        }
    }
    for path in covered.iter().filter(|path| find(wanted, path).is_none()) {
        let failed = || format!("cannot look at {}", tree.display(path));
        let place = tree.place(path).context(failed)?;
        let stat = place
            .as_ref()
            .map(Place::stat)
            .transpose()
            .context(failed)?
            .flatten();
        if stat.is_some() {
            changes.push(Change {
                path: path.clone(),
                kind: ChangeKind::Added,
                now: stat,
            });
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

/// What is at an entry's path, and how that differs from the entry.
fn look(
    tree: &Tree<'_>,
    entry: &Entry,
    began: Option<jiff::Timestamp>,
) -> Result<(Option<Stat>, Option<ChangeKind>)> {
    let failed = || format!("cannot look at {}", tree.display(&entry.path));
    let place = tree.place(&entry.path).context(failed)?;
    let stat = place
        .as_ref()
        .map(Place::stat)
        .transpose()
        .context(failed)?
        .flatten();
    let kind = match (place, stat) {
        (Some(place), Some(stat)) => differs(&entry.node, &place, &stat, began),
        _ => (entry.node != Node::Absent).then_some(ChangeKind::Removed),
    };
    Ok((stat, kind))
}

/// What differs from the manifest's snapshot now.
pub fn since(tree: &Tree<'_>, manifest: &Manifest, depth: Depth) -> Result<Vec<Change>> {
    let covered = tree.covered()?;
    let began = (depth == Depth::Quick).then_some(manifest.began);
    compare(tree, &manifest.entries, &covered, began)
}

fn differs(
    node: &Node,
    place: &Place,
    stat: &Stat,
    began: Option<jiff::Timestamp>,
) -> Option<ChangeKind> {
    match (node, stat.kind) {
        (Node::Absent, _) => Some(ChangeKind::Added),
        (Node::File(file), Kind::File) => {
            if began.is_some_and(|began| is_untouched(file, stat, began)) {
                return None;
            }
            file_differs(file, place, stat).unwrap_or(Some(ChangeKind::Modified))
        }
        (Node::Symlink(link), Kind::Symlink) => {
            let target = nix::fcntl::readlinkat(&*place.dir, &place.path);
            if target.ok().as_deref() != Some(link.target.as_os_str()) {
                return Some(ChangeKind::Modified);
            }
            let meta = place.symlink_xattrs().map(|xattrs| stat.meta(xattrs));
            let wanted = Meta {
                mode: stat.mode,
                ..link.meta.clone()
            };
            (meta.ok() != Some(wanted)).then_some(ChangeKind::Metadata)
        }
        (Node::Directory(meta), Kind::Directory) => {
            let present = place.open().and_then(|dir| xattrs(&dir));
            let present = present.map(|xattrs| stat.meta(xattrs));
            // A directory's time changes with every file that an editor makes in it.
            let wanted = Meta {
                mtime: stat.mtime,
                ..meta.clone()
            };
            (present.ok() != Some(wanted)).then_some(ChangeKind::Metadata)
        }
        _ => Some(ChangeKind::Modified),
    }
}

fn file_differs(file: &FileNode, place: &Place, stat: &Stat) -> io::Result<Option<ChangeKind>> {
    if stat.size != file.size {
        return Ok(Some(ChangeKind::Modified));
    }
    let mut open = place.open()?;
    if digest(&mut open)? != (file.size, file.sha256) {
        return Ok(Some(ChangeKind::Modified));
    }
    let same = stat.meta(xattrs(&open)?) == file.meta;
    Ok((!same).then_some(ChangeKind::Metadata))
}

/// Whether the kernel's own record says that nothing was done to the file.
fn is_untouched(file: &FileNode, stat: &Stat, began: jiff::Timestamp) -> bool {
    let settled = Time(began.as_second() - RACY, 0);
    file.ctime < settled
        && (file.ino, file.size, file.ctime, file.meta.mtime)
            == (stat.ino, stat.size, stat.ctime, stat.mtime)
}

/// Files that were one with another and are not now, or the other way round.
fn relinked(wanted: &[Entry], present: &BTreeMap<&CoveredPath, Stat>) -> Vec<CoveredPath> {
    let mut before: BTreeMap<u64, BTreeSet<&CoveredPath>> = BTreeMap::new();
    let mut now: BTreeMap<(u64, u64), BTreeSet<&CoveredPath>> = BTreeMap::new();
    for entry in wanted {
        let (Node::File(file), Some(stat)) = (&entry.node, present.get(&entry.path)) else {
            continue;
        };
        if file.nlink > 1 {
            before.entry(file.ino).or_default().insert(&entry.path);
        }
        if stat.nlink > 1 && stat.kind == Kind::File {
            now.entry((stat.dev, stat.ino))
                .or_default()
                .insert(&entry.path);
        }
    }
    let (before, now) = (groups(before.values()), groups(now.values()));
    before
        .symmetric_difference(&now)
        .flatten()
        .map(|path| (*path).clone())
        .collect()
}

/// Those sets that have more than one path.
fn groups<'s, 'p: 's>(
    sets: impl Iterator<Item = &'s BTreeSet<&'p CoveredPath>>,
) -> BTreeSet<BTreeSet<&'p CoveredPath>> {
    sets.filter(|set| set.len() > 1).cloned().collect()
}
