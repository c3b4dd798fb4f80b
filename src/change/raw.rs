//! An entry as it stands in `manifest.json`: flat, so that a person can read it and sort it out by hand.
//!
//! Modes are octal text, digests and attribute values hexadecimal, times `[seconds, nanoseconds]`.

use std::collections::BTreeMap;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::manifest::{CoveredPath, Entry, FileNode, Node, SymlinkNode};
use crate::sys::escape::{escape, hex, unescape, unhex};
use crate::sys::node::{Meta, Time};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEntry {
    path: CoveredPath,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mtime: Option<Time>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolves: Option<CoveredPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ino: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nlink: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ctime: Option<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    File,
    Directory,
    Symlink,
    Special,
    Absent,
}

impl RawEntry {
    fn bare(path: CoveredPath, kind: Kind) -> Self {
        Self {
            path,
            kind,
            mode: None,
            uid: None,
            gid: None,
            mtime: None,
            xattrs: BTreeMap::new(),
            target: None,
            resolves: None,
            size: None,
            sha256: None,
            offset: None,
            ino: None,
            nlink: None,
            ctime: None,
        }
    }

    fn with_meta(mut self, meta: Meta) -> Self {
        self.mode = Some(format!("{:04o}", meta.mode));
        self.uid = Some(meta.uid);
        self.gid = Some(meta.gid);
        self.mtime = Some(meta.mtime);
        let text =
            |(name, value): (std::ffi::OsString, Vec<u8>)| (escape(name.as_bytes()), hex(&value));
        self.xattrs = meta.xattrs.into_iter().map(text).collect();
        self
    }

    fn meta(&self) -> Option<Meta> {
        let mode = u32::from_str_radix(self.mode.as_ref()?, 8).ok()?;
        let mut xattrs = self
            .xattrs
            .iter()
            .map(|(name, value)| {
                Some((std::ffi::OsString::from_vec(unescape(name)?), unhex(value)?))
            })
            .collect::<Option<Vec<_>>>()?;
        xattrs.sort();
        let mtime = self.mtime.filter(valid)?;
        (mode <= 0o7777).then_some(Meta {
            mode,
            uid: self.uid?,
            gid: self.gid?,
            mtime,
            xattrs,
        })
    }

    fn node(&self) -> Option<Node> {
        Some(match self.kind {
            Kind::File => Node::File(FileNode {
                meta: self.meta()?,
                size: self.size?,
                sha256: unhex(self.sha256.as_ref()?)?.try_into().ok()?,
                offset: self.offset?,
                ino: self.ino?,
                nlink: self.nlink?,
                ctime: self.ctime.filter(valid)?,
            }),
            Kind::Directory => Node::Directory(self.meta()?),
            Kind::Symlink => Node::Symlink(SymlinkNode {
                meta: self.meta()?,
                target: link_target(self.target.as_ref()?)?,
                resolves: self.resolves.clone(),
            }),
            Kind::Special => Node::Special,
            Kind::Absent => Node::Absent,
        })
    }
}

/// `symlink(2)` takes neither the empty text nor a NUL.
fn link_target(text: &str) -> Option<PathBuf> {
    let bytes = unescape(text)?;
    let good = !bytes.is_empty() && !bytes.contains(&0);
    good.then(|| PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

fn valid(time: &Time) -> bool {
    (0..1_000_000_000).contains(&time.1)
}

impl From<Entry> for RawEntry {
    fn from(entry: Entry) -> Self {
        let path = entry.path;
        match entry.node {
            Node::File(file) => Self {
                size: Some(file.size),
                sha256: Some(hex(&file.sha256)),
                offset: Some(file.offset),
                ino: Some(file.ino),
                nlink: Some(file.nlink),
                ctime: Some(file.ctime),
                ..Self::bare(path, Kind::File).with_meta(file.meta)
            },
            Node::Directory(meta) => Self::bare(path, Kind::Directory).with_meta(meta),
            Node::Symlink(link) => Self {
                target: Some(escape(link.target.as_os_str().as_bytes())),
                resolves: link.resolves,
                ..Self::bare(path, Kind::Symlink).with_meta(link.meta)
            },
            Node::Special => Self::bare(path, Kind::Special),
            Node::Absent => Self::bare(path, Kind::Absent),
        }
    }
}

impl TryFrom<RawEntry> for Entry {
    type Error = String;

    fn try_from(raw: RawEntry) -> Result<Self, String> {
        match raw.node() {
            Some(node) => Ok(Self {
                path: raw.path,
                node,
            }),
            None => Err(format!(
                "the entry for {} is incomplete or wrong",
                raw.path.display()
            )),
        }
    }
}
