//! Hard links: how to bring a file back so that the names that were one file are one again, and no
//! others become one with it. Pure, given what was looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::compare::{Change, ChangeKind};
use super::manifest::{CoveredPath, Entry, FileNode, Node};
use super::tree::Tree;
use crate::sys::node::{Kind, Stat};

/// How a regular file comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Method {
    /// A new file takes its name: nobody ever sees half of it.
    Replace,
    /// The content is written into the same inode, so that names elsewhere stay one with it.
    InPlace,
    /// The content is right; only metadata is not.
    Metadata,
    /// It becomes another name of that path.
    Link(CoveredPath),
}

/// Which names are one file, before and now.
#[derive(Debug, Default)]
pub(super) struct Links<'a> {
    /// By inode number in the snapshot, those with more than one name.
    before: BTreeMap<u64, BTreeSet<&'a CoveredPath>>,
    /// What is at each of those paths now, and at whatever shares an inode now.
    now: BTreeMap<&'a CoveredPath, Stat>,
    /// By device and inode number now.
    shared: BTreeMap<(u64, u64), BTreeSet<&'a CoveredPath>>,
}

impl<'a> Links<'a> {
    /// Looks up the links among the `wanted` paths; nothing where no changed file has any.
    pub(super) fn look(
        tree: &Tree<'_>,
        wanted: &'a [Entry],
        changes: &[Change],
    ) -> io::Result<Self> {
        let mut links = Self::default();
        let was_linked = wanted
            .iter()
            .any(|entry| matches!(&entry.node, Node::File(file) if file.nlink > 1));
        let is_linked = changes
            .iter()
            .filter_map(|change| change.now)
            .any(|stat| stat.nlink > 1);
        if !was_linked && !is_linked {
            return Ok(links);
        }
        for entry in wanted {
            let Node::File(file) = &entry.node else {
                continue;
            };
            let stat = tree
                .place(&entry.path)?
                .map(|place| place.stat())
                .transpose()?
                .flatten();
            links.add(&entry.path, file, stat);
        }
        Ok(links)
    }

    fn add(&mut self, path: &'a CoveredPath, file: &FileNode, stat: Option<Stat>) {
        if file.nlink > 1 {
            self.before.entry(file.ino).or_default().insert(path);
        }
        if let Some(stat) = stat.filter(|stat| stat.kind == Kind::File && stat.nlink > 1) {
            self.shared
                .entry((stat.dev, stat.ino))
                .or_default()
                .insert(path);
        }
        self.now.extend(stat.map(|stat| (path, stat)));
    }

    /// How the `file` at a changed path comes back.
    pub(super) fn method(&self, change: &Change, file: &FileNode) -> Method {
        let alone = BTreeSet::from([&change.path]);
        let group = self
            .before
            .get(&file.ino)
            .filter(|_| file.nlink > 1)
            .unwrap_or(&alone);
        let anchor = self.anchor(group, file).unwrap_or(&change.path);
        if *anchor != change.path {
            let together = self
                .now
                .get(anchor)
                .zip(change.now)
                .is_some_and(|(anchor, now)| {
                    (anchor.dev, anchor.ino) == (now.dev, now.ino)
                        && !self.has_strangers(&now, group)
                });
            // What is done to the anchor is done to this one too.
            return if together {
                Method::Metadata
            } else {
                Method::Link(anchor.clone())
            };
        }
        let Some(now) = change.now.filter(|now| now.kind == Kind::File) else {
            return Method::Replace;
        };
        // A name that was alone and is not any more has been linked to or from elsewhere.
        let elsewhere = now.nlink > 1 && (file.nlink == 1 || now.ino != file.ino);
        if elsewhere || self.has_strangers(&now, group) {
            Method::Replace
        } else if change.kind == ChangeKind::Metadata {
            Method::Metadata
        } else if file.nlink > 1 && now.nlink > 1 && now.ino == file.ino {
            Method::InPlace
        } else {
            Method::Replace
        }
    }

    /// The name that the others of a group are linked to: one that still is the old inode, else the first.
    fn anchor(
        &self,
        group: &BTreeSet<&'a CoveredPath>,
        file: &FileNode,
    ) -> Option<&'a CoveredPath> {
        let original = |path: &&&CoveredPath| {
            let now = self.now.get(**path);
            now.is_some_and(|now| now.ino == file.ino && !self.has_strangers(now, group))
        };
        group
            .iter()
            .find(original)
            .or_else(|| group.first())
            .copied()
    }

    /// Whether the inode now has covered names that did not belong to the group.
    fn has_strangers(&self, now: &Stat, group: &BTreeSet<&CoveredPath>) -> bool {
        let names = self.shared.get(&(now.dev, now.ino));
        names.is_some_and(|names| names.iter().any(|name| !group.contains(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::node::{Meta, Time};
    use std::path::PathBuf;

    fn path(name: &str) -> CoveredPath {
        CoveredPath::new(PathBuf::from(name)).unwrap()
    }

    fn file(ino: u64, nlink: u64) -> FileNode {
        let meta = Meta {
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Time(1, 0),
            xattrs: Vec::new(),
        };
        FileNode {
            meta,
            size: 1,
            sha256: [0; 32],
            offset: 0,
            ino,
            nlink,
            ctime: Time(1, 0),
        }
    }

    fn stat(ino: u64, nlink: u64) -> Stat {
        Stat {
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: 1,
            mtime: Time(1, 0),
            ctime: Time(1, 0),
            ino,
            dev: 1,
            nlink,
        }
    }

    fn change(name: &str, kind: ChangeKind, now: Option<Stat>) -> Change {
        Change {
            path: path(name),
            kind,
            now,
        }
    }

    #[test]
    fn a_file_with_a_name_elsewhere_is_written_in_place_and_others_are_replaced() {
        let (a, b) = (path("a"), path("b"));
        let mut links = Links::default();
        links.add(&a, &file(7, 2), Some(stat(7, 2)));
        links.add(&b, &file(8, 1), Some(stat(8, 1)));
        let method = |name, ino, nlink, now| {
            links.method(
                &change(name, ChangeKind::Modified, Some(now)),
                &file(ino, nlink),
            )
        };
        assert_eq!(method("a", 7, 2, stat(7, 2)), Method::InPlace);
        assert_eq!(method("b", 8, 1, stat(8, 1)), Method::Replace);
        // An editor has put a new file in place of the linked one.
        assert_eq!(method("a", 7, 2, stat(9, 1)), Method::Replace);
    }

    #[test]
    fn a_name_that_fell_away_is_linked_to_the_one_that_stayed() {
        let (a, b) = (path("a"), path("b"));
        let mut links = Links::default();
        links.add(&a, &file(7, 2), Some(stat(9, 1)));
        links.add(&b, &file(7, 2), Some(stat(7, 1)));
        let method = links.method(
            &change("a", ChangeKind::Modified, Some(stat(9, 1))),
            &file(7, 2),
        );
        assert_eq!(method, Method::Link(path("b")));
    }

    #[test]
    fn a_file_that_was_linked_to_another_is_never_written_through() {
        let (a, b) = (path("a"), path("b"));
        let mut links = Links::default();
        links.add(&a, &file(7, 1), Some(stat(8, 2)));
        links.add(&b, &file(8, 1), Some(stat(8, 2)));
        for kind in [ChangeKind::Modified, ChangeKind::Metadata] {
            let method = links.method(&change("a", kind, Some(stat(8, 2))), &file(7, 1));
            assert_eq!(method, Method::Replace);
        }
    }
}
