//! A tree with everything that a rollback must bring back: content, kind, mode, owner, modification time to the
//! nanosecond, extended attributes, link targets, and which names are one file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// What a tree looks like, by path from its top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture(BTreeMap<PathBuf, Thing>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Thing {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    /// `None` where it is not compared.
    mtime: Option<(i64, i64)>,
    xattrs: BTreeMap<OsString, Vec<u8>>,
    /// Of a file.
    content: Vec<u8>,
    /// Of a link.
    target: Option<PathBuf>,
    /// The first name of those that are one file with this.
    one_with: Option<PathBuf>,
}

impl Picture {
    /// Of all below `top` but `except`. The times of directories are compared only in `dated`: elsewhere, making
    /// a file beside another and renaming it is a restore's way of working.
    pub fn of(top: &Path, except: &Path, dated: &Path) -> Self {
        let mut picture = Self(BTreeMap::new());
        picture.add(top, top, except, dated);
        let mut first: BTreeMap<(u64, u64), PathBuf> = BTreeMap::new();
        for (path, thing) in &mut picture.0 {
            let metadata = fs::symlink_metadata(top.join(path)).unwrap();
            if metadata.is_file() && metadata.nlink() > 1 {
                let id = (metadata.dev(), metadata.ino());
                thing.one_with = Some(first.entry(id).or_insert_with(|| path.clone()).clone());
            }
        }
        picture
    }

    fn add(&mut self, top: &Path, dir: &Path, except: &Path, dated: &Path) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path == except {
                continue;
            }
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mut thing = Thing::of(&path, &metadata);
            if metadata.is_dir() {
                if !path.starts_with(dated) {
                    thing.mtime = None;
                }
                self.add(top, &path, except, dated);
            }
            let inside = path.strip_prefix(top).unwrap().to_owned();
            self.0.insert(inside, thing);
        }
    }

    /// What differs from `other`, a line each; empty where nothing does.
    pub fn differences(&self, other: &Self) -> String {
        let mut text = String::new();
        for path in self
            .0
            .keys()
            .chain(other.0.keys().filter(|path| !self.0.contains_key(*path)))
        {
            let (here, there) = (self.0.get(path), other.0.get(path));
            if here != there {
                let _ = writeln!(text, "  {}:\n    {here:?}\n    {there:?}", path.display());
            }
        }
        text
    }

    /// Fails where anything differs from `wanted`.
    #[track_caller]
    pub fn assert_is(&self, wanted: &Self, when: &str) {
        let differences = wanted.differences(self);
        assert!(
            differences.is_empty(),
            "{when}; wanted and found:\n{differences}"
        );
    }

    /// The paths whose names contain `part`.
    pub fn named(&self, part: &str) -> Vec<&Path> {
        let contains = |path: &&PathBuf| path.to_string_lossy().contains(part);
        self.0
            .keys()
            .filter(contains)
            .map(PathBuf::as_path)
            .collect()
    }
}

impl Thing {
    fn of(path: &Path, metadata: &Metadata) -> Self {
        let kind = metadata.file_type();
        let kind = match () {
            () if kind.is_file() => "file",
            () if kind.is_dir() => "directory",
            () if kind.is_symlink() => "link",
            () if kind.is_fifo() => "fifo",
            () => "special",
        };
        let names = xattr::list(path).unwrap();
        let value = |name: &OsString| xattr::get(path, name).unwrap().unwrap_or_default();
        Self {
            kind,
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            mtime: Some((metadata.mtime(), metadata.mtime_nsec())),
            xattrs: names.map(|name| (name.clone(), value(&name))).collect(),
            content: if kind == "file" {
                fs::read(path).unwrap()
            } else {
                Vec::new()
            },
            target: fs::read_link(path).ok(),
            one_with: None,
        }
    }
}
