//! What differs between a snapshot and the files as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::Serialize;

use super::copies::digest_of;
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

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Every path that differs, sorted.
    pub changes: Vec<Change>,
    /// For each entry, in order, what was at its path, if it did not differ.
    pub unchanged: Vec<Option<Stat>>,
}

/// What a comparison need not read.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// Everything is read. For deciding what to restore.
    Nothing,
    /// A file whose inode, size and change time are as they were when a snapshot began at this time is
    /// unchanged, for nothing can set the change time. For looking.
    ChangeTime(jiff::Timestamp),
    /// What is just as it was when an earlier comparison with the same entries read it. For making sure
    /// that a restore has done what it was to do.
    Earlier(&'a [Option<Stat>]),
}

/// Coarse clocks and file systems: a file changed within this many seconds before the snapshot may be
/// changed again without its change time showing it.
const RACY: i64 = 2;

/// Compares what `wanted` says with what is there now.
///
/// `covered` are the paths that exist and would be in a snapshot taken now. What cannot be looked at or read
/// counts as modified.
pub fn compare(
    tree: &Tree<'_>,
    wanted: &[Entry],
    covered: &BTreeSet<CoveredPath>,
    trust: Trust<'_>,
) -> Result<Comparison> {
    let mut found = Comparison::default();
    let mut present = BTreeMap::new();
    let earlier = |at: usize| match trust {
        Trust::Earlier(stats) => stats.get(at).copied().flatten(),
        _ => None,
    };
    let items: Vec<_> = wanted
        .iter()
        .enumerate()
        .map(|(at, entry)| (entry, earlier(at)))
        .collect();
    let looked = parallel::map(&items, |(entry, earlier)| {
        look(tree, entry, *earlier, trust)
    });
    for (entry, looked) in wanted.iter().zip(looked) {
        let (now, kind) = looked;
        present.extend(now.map(|now| (&entry.path, now)));
        found.unchanged.push(now.filter(|_| kind.is_none()));
        let path = entry.path.clone();
        found
            .changes
            .extend(kind.map(|kind| Change { path, kind, now }));
    }
    for path in relinked(wanted, &present) {
        let now = present.get(&path).copied();
        if !found.changes.iter().any(|change| change.path == path) {
            found.changes.push(Change {
                path,
                kind: ChangeKind::Metadata,
                now,
            });
        }
    }
    for path in covered.iter().filter(|path| find(wanted, path).is_none()) {
        let (path, kind) = (path.clone(), ChangeKind::Added);
        let now = stat(tree, &path)?.map(|(_, stat)| stat);
        found
            .changes
            .extend(now.map(|_| Change { path, kind, now }));
    }
    found.changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Where a path is and what is there; `None` where nothing is.
fn stat(tree: &Tree<'_>, path: &CoveredPath) -> Result<Option<(Place, Stat)>> {
    let failed = || format!("cannot look at {}", tree.display(path));
    let Some(place) = tree.place(path).context(failed)? else {
        return Ok(None);
    };
    Ok(place.stat().context(failed)?.map(|stat| (place, stat)))
}

/// What is at an entry's path, and how that differs from the entry.
fn look(
    tree: &Tree<'_>,
    entry: &Entry,
    earlier: Option<Stat>,
    trust: Trust<'_>,
) -> (Option<Stat>, Option<ChangeKind>) {
    match stat(tree, &entry.path) {
        Ok(Some((_, stat))) if earlier == Some(stat) => (Some(stat), None),
        Ok(Some((place, stat))) => (Some(stat), differs(tree, entry, &place, &stat, trust)),
        Ok(None) => (
            None,
            (entry.node != Node::Absent).then_some(ChangeKind::Removed),
        ),
        // It is not as it was. That it cannot be restored either is found, and said, in trying.
        Err(_) => (None, Some(ChangeKind::Modified)),
    }
}

/// What differs from the manifest's snapshot now.
pub fn since(tree: &Tree<'_>, manifest: &Manifest, trust: Trust<'_>) -> Result<Comparison> {
    compare(tree, &manifest.entries, &tree.covered()?, trust)
}

fn differs(
    tree: &Tree<'_>,
    Entry { path, node }: &Entry,
    place: &Place,
    stat: &Stat,
    trust: Trust<'_>,
) -> Option<ChangeKind> {
    match (node, stat.kind) {
        (Node::Absent, _) => Some(ChangeKind::Added),
        (Node::File(file), Kind::File) => {
            if matches!(trust, Trust::ChangeTime(began) if is_untouched(file, stat, began)) {
                return None;
            }
            file_differs(file, place, stat).unwrap_or(Some(ChangeKind::Modified))
        }
        (Node::Symlink(link), Kind::Symlink) => {
            let target = nix::fcntl::readlinkat(&*place.dir, &place.path);
            if target.ok().as_deref() != Some(link.target.as_os_str()) {
                return Some(ChangeKind::Modified);
            }
            // A link on the way may lead elsewhere now.
            if tree.resolve_link(path, &link.target).ok() != Some(link.resolves.clone()) {
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
    if digest_of(&mut open, file.size)? != file.sha256 {
        return Ok(Some(ChangeKind::Modified));
    }
    let same = stat.meta(xattrs(&open)?) == file.meta;
    Ok((!same).then_some(ChangeKind::Metadata))
}

/// Whether a file differs from its entry only by security labels that it has too much. A security module may
/// insist on them, and no restore can take them off.
pub fn is_only_labelled(tree: &Tree<'_>, entry: &Entry) -> bool {
    let (Node::File(FileNode { meta, .. }) | Node::Directory(meta)) = &entry.node else {
        return false;
    };
    let present = || {
        let (place, stat) = stat(tree, &entry.path).ok()??;
        let mut xattrs = xattrs(&place.open().ok()?).ok()?;
        xattrs.retain(|(name, _)| {
            let label = name.as_encoded_bytes().starts_with(b"security.");
            !label || meta.xattrs.iter().any(|(wanted, _)| wanted == name)
        });
        Some(Meta {
            mtime: meta.mtime,
            ..stat.meta(xattrs)
        })
    };
    present().as_ref() == Some(meta)
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
