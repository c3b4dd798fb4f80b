//! What a snapshot holds, as `manifest.json` says it.
//!
//! The manifest is read back as if an enemy had written it: its digest is checked, a newer format
//! is refused, and a path that would lead out of the covered places is an error. What passes is a
//! [`Manifest`] whose values can be used without looking at them again.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::boots::MAX_BOOTS;
use super::copies::Seal;
use super::raw::RawEntry;
use crate::error::{Context, Error, Result};
use crate::iface::backend::Scope;
use crate::state::sync::Unsynced;
use crate::sys::escape::{escape, hex, unescape};
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::node::{Meta, Time};

/// The newest format that this ncf reads. What it writes is in the oldest that can say it: the ncf in an
/// initramfs may be older than the one that began the change.
///
/// 2 has `boots`, without which the change would be undone at the first boot.
pub const FORMAT: u32 = 2;

/// The format of all that needs no newer one.
pub const FIRST_FORMAT: u32 = 1;

/// A manifest of more than this many bytes is not one of ours: some 400 bytes a file, and a host
/// has at most tens of thousands.
const SIZE_LIMIT: u64 = 256 << 20;

const NAME: &str = "manifest.json";
const DIGEST_NAME: &str = "manifest.sha256";

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// Where a covered file is: relative to the configuration directory (`.` is that itself), or
/// absolute, from the root.
///
/// Sorted, absolute ones come first, then the configuration directory, then what is in it; a directory
/// before all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CoveredPath(PathBuf);

impl Ord for CoveredPath {
    // By bytes: Path's own order takes the components apart each time, and paths are looked up by the thousand.
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |path: &Self| (path.is_config(), !path.is_config_dir());
        key(self).cmp(&key(other)).then_with(|| {
            let (one, two) = (self.0.as_os_str(), other.0.as_os_str());
            one.as_bytes().cmp(two.as_bytes())
        })
    }
}

impl PartialOrd for CoveredPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl CoveredPath {
    /// The configuration directory itself.
    pub fn config_dir() -> Self {
        Self(PathBuf::from("."))
    }

    /// A path that is `.`, or relative or absolute with nothing but plain names in it.
    pub fn new(path: PathBuf) -> Option<Self> {
        let plain = |path: &Path| {
            let mut components = path.components();
            components.all(|component| matches!(component, Component::Normal(_)))
        };
        let rest = path.strip_prefix("/").unwrap_or(&path);
        let good = path == Path::new(".") || (!rest.as_os_str().is_empty() && plain(rest));
        let bytes = path.as_os_str().as_bytes();
        let nul = bytes.contains(&0);
        // One path has one form: they are compared by their bytes.
        let is_loose = |pair: &[u8]| pair == b"//" || pair == b"/.";
        let loose = bytes.ends_with(b"/") || bytes.windows(2).any(is_loose);
        let path = if loose {
            path.components().collect()
        } else {
            path
        };
        (good && !nul).then_some(Self(path))
    }

    /// The path itself.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Whether it is the configuration directory itself.
    pub fn is_config_dir(&self) -> bool {
        self.0.as_os_str() == "."
    }

    /// Whether it is below the configuration directory, or that itself.
    pub fn is_config(&self) -> bool {
        self.0.is_relative()
    }

    /// The path as text, with bytes that are not printable UTF-8 escaped.
    pub fn display(&self) -> String {
        escape(self.0.as_os_str().as_bytes())
    }
}

impl TryFrom<String> for CoveredPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        unescape(&text)
            .and_then(|bytes| Self::new(PathBuf::from(std::ffi::OsString::from_vec(bytes))))
            .ok_or_else(|| format!("{text:?} is not a path that a snapshot can hold"))
    }
}

impl From<CoveredPath> for String {
    fn from(path: CoveredPath) -> Self {
        path.display()
    }
}

/// One covered path, and what was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawEntry", into = "RawEntry")]
pub struct Entry {
    /// Where.
    pub path: CoveredPath,
    /// What.
    pub node: Node,
}

/// What was at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A regular file; its content is among the copies.
    File(FileNode),
    /// A directory.
    Directory(Meta),
    /// A symbolic link.
    Symlink(SymlinkNode),
    /// A FIFO, socket or device, named by `special`: only ever found while rolling back.
    Special,
    /// Nothing: the target of a dangling link, or what a change had removed.
    Absent,
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNode {
    /// Metadata.
    pub meta: Meta,
    /// Size in bytes.
    pub size: u64,
    /// Of its content.
    pub sha256: Digest,
    /// Where in the copies its content begins, in bytes.
    pub offset: u64,
    /// Its inode number, by which hard links to it are known.
    pub ino: u64,
    /// How many names it had.
    pub nlink: u64,
    /// When content or metadata last changed before the snapshot.
    pub ctime: Time,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymlinkNode {
    /// Metadata of the link itself.
    pub meta: Meta,
    /// Where it points.
    pub target: PathBuf,
    /// The covered path that it resolves to, if any: an entry of its own.
    pub resolves: Option<CoveredPath>,
}

/// Who began a change, and from where.
pub use crate::sys::session::Who;

/// What a device had when the change began. A file that names no MTU leaves it as it is, so that restoring
/// the file alone would leave the one that the change had set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its name.
    pub name: InterfaceName,
    /// Maximum transmission unit in bytes.
    pub mtu: u32,
    /// Its hardware address.
    pub mac: Option<MacAddress>,
}

/// A snapshot: when, by whom, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// See [`Manifest::format_for`].
    pub format: u32,
    /// Eight hexadecimal digits.
    pub id: String,
    /// When copying began.
    pub began: jiff::Timestamp,
    /// `/proc/sys/kernel/random/boot_id` then.
    pub boot_id: String,
    /// How many boots it survives before one undoes it, 0 to [`MAX_BOOTS`](super::boots::MAX_BOOTS).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub boots: u8,
    /// Who began it.
    pub by: Who,
    /// What for, in the operator's words.
    pub reason: Option<String>,
    /// The interface that carried the operator's session, and after it those that it rests on.
    pub operator_path: Vec<InterfaceName>,
    /// What the kernel had for devices whose files may not say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// The configuration directory with all links resolved, from the root.
    pub config_dir: PathBuf,
    /// Where directories elsewhere were that were not where they seem, from the root, links resolved.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parents: BTreeMap<PathBuf, PathBuf>,
    /// What it covers.
    pub scope: Scope,
    /// Whether it was made of netcf's snapshot, which knows fewer files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_netcf: bool,
    /// The copies.
    pub copies: Seal,
    /// Sorted by path.
    pub entries: Vec<Entry>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl Manifest {
    /// The format of a manifest of a change that survives that many boots.
    pub fn format_for(boots: u8) -> u32 {
        if boots == 0 { FIRST_FORMAT } else { FORMAT }
    }

    /// The entry at `path`.
    pub fn entry(&self, path: &CoveredPath) -> Option<&Entry> {
        find(&self.entries, path)
    }

    /// Writes `manifest.json` and its digest into `dir`, adding both to `unsynced`.
    pub fn write(&self, dir: &Path, unsynced: &mut Unsynced) -> Result<()> {
        write_json(dir, self, unsynced)
    }

    /// Reads and checks the manifest in `dir`.
    pub fn read(dir: &Path) -> Result<Self> {
        let manifest: Self = read_json(dir, |manifest: &Self| manifest.format)?;
        let bad = |what: String| damaged(&dir.join(NAME), &what);
        if !is_id(&manifest.id) {
            return Err(bad(format!("{:?} is no transaction id", manifest.id)));
        }
        if CoveredPath::new(manifest.config_dir.clone()).is_none_or(|path| path.is_config()) {
            let path = manifest.config_dir.display();
            return Err(bad(format!("{path} is no configuration directory")));
        }
        if manifest.boots > MAX_BOOTS {
            return Err(bad(format!("{} boots are too many", manifest.boots)));
        }
        check_scope(&manifest.scope).map_err(bad)?;
        check_sorted(&manifest.entries).map_err(bad)?;
        Ok(manifest)
    }
}

/// What a rollback replaced: the `discarded/manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discarded {
    /// [`FIRST_FORMAT`].
    pub format: u32,
    /// When.
    pub time: jiff::Timestamp,
    /// The copies.
    pub copies: Seal,
    /// What was there at every path that the rollback changed, sorted by path.
    pub entries: Vec<Entry>,
}

impl Discarded {
    /// Writes `manifest.json` and its digest into `dir`, adding both to `unsynced`.
    pub fn write(&self, dir: &Path, unsynced: &mut Unsynced) -> Result<()> {
        write_json(dir, self, unsynced)
    }

    /// Reads and checks the manifest in `dir`.
    pub fn read(dir: &Path) -> Result<Self> {
        let discarded: Self = read_json(dir, |discarded: &Self| discarded.format)?;
        check_sorted(&discarded.entries).map_err(|what| damaged(&dir.join(NAME), &what))?;
        Ok(discarded)
    }
}

/// The entry at `path` among `entries`, which are sorted by path.
pub fn find<'a>(entries: &'a [Entry], path: &CoveredPath) -> Option<&'a Entry> {
    let at = entries
        .binary_search_by(|entry| entry.path.cmp(path))
        .ok()?;
    entries.get(at)
}

/// Whether `id` is what [`new_id`] makes.
pub fn is_id(id: &str) -> bool {
    id.len() == 8
        && id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A new transaction id: short enough to be typed, and one of four thousand million.
pub fn new_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id.chars().take(8).collect()
}

/// A rollback removes what is covered and has no entry, so this must not cover what it never did.
fn check_scope(scope: &Scope) -> Result<(), String> {
    let is_place =
        |path: &PathBuf| CoveredPath::new(path.clone()).is_some_and(|path| !path.is_config());
    if let Some(path) = scope
        .files
        .iter()
        .chain([&scope.config_dir])
        .find(|path| !is_place(path))
    {
        return Err(format!("{} cannot be covered", path.display()));
    }
    match scope
        .prefixes
        .iter()
        .find(|prefix| prefix.is_empty() || prefix.contains('/'))
    {
        Some(prefix) => Err(format!("{prefix:?} is no beginning of a file's name")),
        None => Ok(()),
    }
}

fn check_sorted(entries: &[Entry]) -> Result<(), String> {
    match entries
        .iter()
        .zip(entries.iter().skip(1))
        .find(|(a, b)| a.path >= b.path)
    {
        Some((_, entry)) => Err(format!("{} is out of order", entry.path.display())),
        None => Ok(()),
    }
}

fn write_json(dir: &Path, value: &impl Serialize, unsynced: &mut Unsynced) -> Result<()> {
    use std::io::Write as _;
    let failed = |name| move || format!("cannot write {}", dir.join(name).display());
    let mut json = serde_json::to_vec_pretty(value)
        .map_err(std::io::Error::from)
        .context(failed(NAME))?;
    json.push(b'\n');
    let digest = format!("{}  {NAME}\n", hex(&Sha256::digest(&json)));
    for (name, content) in [(NAME, json.as_slice()), (DIGEST_NAME, digest.as_bytes())] {
        let mut file = create_private(&dir.join(name)).context(failed(name))?;
        file.write_all(content).context(failed(name))?;
        unsynced.push(file).context(failed(name))?;
    }
    Ok(())
}

fn create_private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn read_json<T: for<'de> Deserialize<'de>>(dir: &Path, format: fn(&T) -> u32) -> Result<T> {
    let path = dir.join(NAME);
    let json = read_limited(&path)?;
    let digest = read_limited(&dir.join(DIGEST_NAME));
    let (what, value) = match &digest {
        Ok(digest) if digest.get(..64) == Some(hex(&Sha256::digest(&json)).as_bytes()) => {
            match serde_json::from_slice(&json) {
                Ok(value) if (FIRST_FORMAT..=FORMAT).contains(&format(&value)) => return Ok(value),
                Ok(value) => (String::new(), Some(value)),
                Err(error) => (error.to_string(), None),
            }
        }
        _ => (format!("its digest is not the one in {DIGEST_NAME}"), None),
    };
    // First the format: what a newer ncf wrote is not damaged, only not ours to understand.
    check_format(&path, &json)?;
    digest?;
    value.ok_or_else(|| damaged(&path, &what))
}

/// Refuses a state file in a newer format than this ncf's, or in none.
pub fn check_format(path: &Path, json: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let Format { format } =
        serde_json::from_slice(json).map_err(|error| damaged(path, &error.to_string()))?;
    if !(FIRST_FORMAT..=FORMAT).contains(&format) {
        let message = format!(
            "{} is in format {format}; this ncf, {}, knows formats up to {FORMAT}",
            path.display(),
            env!("CARGO_PKG_VERSION")
        );
        return Err(Error::failed(message).hint("use the ncf that wrote it, or a newer one"));
    }
    Ok(())
}

fn read_limited(path: &Path) -> Result<Vec<u8>> {
    let failed = || format!("cannot read {}", path.display());
    let file = File::open(path).context(failed)?;
    let mut content = Vec::new();
    file.take(SIZE_LIMIT + 1)
        .read_to_end(&mut content)
        .context(failed)?;
    if content.len() as u64 > SIZE_LIMIT {
        return Err(damaged(path, "it is longer than any that ncf writes"));
    }
    Ok(content)
}

fn damaged(path: &Path, what: &str) -> Error {
    let dir = path.parent().unwrap_or(path);
    Error::failed(format!("{} is damaged: {what}", path.display())).hint(format!(
        "nothing was changed; the copies are a tar archive in {}/files",
        dir.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CoveredPath {
        CoveredPath::new(PathBuf::from(text)).unwrap()
    }

    #[test]
    fn a_directory_comes_before_what_is_in_it() {
        let sorted = [
            "/etc/a", "/etc/a-b", "/etc/a/b", ".", "+x", "+x/y", "a", "a-b", "a/b",
        ];
        let mut paths: Vec<_> = sorted.iter().rev().map(|text| path(text)).collect();
        paths.sort();
        assert_eq!(paths, sorted.map(path));
    }

    #[test]
    fn a_path_has_one_form() {
        for loose in ["a//b", "a/b/", "a/./b", "a/b/."] {
            assert_eq!(path(loose).as_path().as_os_str(), "a/b");
            assert!(path(loose).cmp(&path("a/b")).is_eq());
        }
        assert!(CoveredPath::new(PathBuf::from("./a")).is_none());
        assert!(path("./").is_config_dir());
    }
}
