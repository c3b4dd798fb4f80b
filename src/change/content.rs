//! What changed inside the files: both versions of each, for a diff.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use super::compare::ChangeKind;
use super::copies::Copies;
use super::history::{Archived, pairs};
use super::host::Host;
use super::manifest::{CoveredPath, Entry, Node};
use super::plan::FileChange;
use super::transaction::Snapshot;
use super::tree::Tree;
use crate::error::{Context, Result};
use crate::sys::node::{Kind, Meta, Place, xattrs};

/// Beyond this many bytes only the fact of a difference is of use to a person.
const SIZE_LIMIT: u64 = 1 << 20;

/// Both versions of a path.
#[derive(Debug)]
pub struct Pair {
    /// Where, as an absolute path from the root.
    pub full_path: String,
    /// Where, as the manifest has it.
    pub path: CoveredPath,
    /// How they differ.
    pub kind: ChangeKind,
    /// In the snapshot.
    pub before: Version,
    /// Now, or when it was discarded.
    pub after: Version,
    /// Whether the content is a secret, to be kept off screens and logs.
    pub secret: bool,
}

/// One version of a path.
#[derive(Debug, Default)]
pub struct Version {
    /// What there was.
    pub body: Body,
    /// Its metadata, where there was something.
    pub meta: Option<Meta>,
}

/// What was at a path.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    #[default]
    Absent,
    /// A file.
    File(Vec<u8>),
    /// A file that is too large to be shown; its size in bytes.
    Large(u64),
    /// A symbolic link and where it points.
    Link(PathBuf),
    /// A directory.
    Directory,
    /// A FIFO, socket or device.
    Special,
}

/// Both versions of every changed path: the snapshot's and the present one.
pub fn since(host: &Host, snapshot: &Snapshot, changes: &[FileChange]) -> Result<Vec<Pair>> {
    let tree = Tree::of(&host.root, &snapshot.manifest)?;
    let copies = snapshot.copies();
    let pair = |change: &FileChange| {
        let path = &change.change.path;
        let failed = || format!("cannot read {}", tree.display(path));
        let after = match tree.place(path).context(failed)? {
            Some(place) => present(&place).context(failed)?,
            None => Version::default(),
        };
        Ok(Pair {
            full_path: tree.display(path),
            kind: change.change.kind,
            before: saved(snapshot.manifest.entry(path), copies)?,
            after,
            secret: host.backend.is_secret(path.as_path()),
            path: path.clone(),
        })
    };
    changes.iter().map(pair).collect()
}

/// Both versions of every path of an archived change: the snapshot's and the discarded one.
pub fn archived(host: &Host, archived: &Archived) -> Result<Vec<Pair>> {
    let Some(discarded) = &archived.discarded else {
        return Ok(Vec::new());
    };
    let manifest = &archived.snapshot.manifest;
    let tree = Tree::of(&host.root, manifest)?;
    let (before_copies, after_copies) = (archived.snapshot.copies(), archived.discarded_copies());
    let pair = |(before, after): (Option<&Entry>, &Entry)| {
        let path = &after.path;
        let (before, after) = (
            saved(before, before_copies)?,
            saved(Some(after), &after_copies)?,
        );
        let kind = match (&before.body, &after.body) {
            (Body::Absent, _) => ChangeKind::Added,
            (_, Body::Absent) => ChangeKind::Removed,
            (before, after) if before == after => ChangeKind::Metadata,
            _ => ChangeKind::Modified,
        };
        let secret = host.backend.is_secret(path.as_path());
        Ok(Pair {
            full_path: tree.display(path),
            path: path.clone(),
            kind,
            before,
            after,
            secret,
        })
    };
    pairs(archived, discarded).map(pair).collect()
}

fn saved(entry: Option<&Entry>, copies: &Copies) -> Result<Version> {
    let Some(entry) = entry else {
        return Ok(Version::default());
    };
    Ok(match &entry.node {
        Node::File(file) => {
            let failed = || {
                format!(
                    "cannot read {} in {}",
                    entry.path.display(),
                    copies.path().display()
                )
            };
            let mut content = Vec::new();
            let body = if file.size > SIZE_LIMIT {
                Body::Large(file.size)
            } else {
                copies.copy(file, &mut content).context(failed)?;
                Body::File(content)
            };
            Version {
                body,
                meta: Some(file.meta.clone()),
            }
        }
        Node::Symlink(link) => Version {
            body: Body::Link(link.target.clone()),
            meta: Some(link.meta.clone()),
        },
        Node::Directory(meta) => Version {
            body: Body::Directory,
            meta: Some(meta.clone()),
        },
        Node::Special => Version {
            body: Body::Special,
            meta: None,
        },
        Node::Absent => Version::default(),
    })
}

fn present(place: &Place) -> io::Result<Version> {
    let Some(stat) = place.stat()? else {
        return Ok(Version::default());
    };
    let (body, xattrs) = match stat.kind {
        Kind::File => {
            let file = place.open()?;
            let xattrs = xattrs(&file)?;
            (read(file)?, xattrs)
        }
        Kind::Symlink => {
            let target = nix::fcntl::readlinkat(&*place.dir, &place.path)?;
            (Body::Link(target.into()), place.symlink_xattrs()?)
        }
        Kind::Directory => (Body::Directory, xattrs(&place.open()?)?),
        Kind::Special => (Body::Special, Vec::new()),
    };
    Ok(Version {
        body,
        meta: Some(stat.meta(xattrs)),
    })
}

fn read(file: File) -> io::Result<Body> {
    let size = file.metadata()?.len();
    if size > SIZE_LIMIT {
        return Ok(Body::Large(size));
    }
    let mut content = Vec::new();
    file.take(SIZE_LIMIT).read_to_end(&mut content)?;
    Ok(Body::File(content))
}
