//! The copies of a snapshot's files: one tar archive, `files/copies.tar`.
//!
//! One file and not one a copy, because what must be durable is then one file too. Syncing a thousand files
//! takes a thousand `fsync(2)`, or one `syncfs(2)`, which also waits for all that guests' disks on the same
//! file system have written: at two in the morning that may be a minute. And making a thousand files takes longer
//! than everything else in `change-begin`.
//!
//! It is tar, with the real paths as names, so that a person who has lost even ncf needs only
//! `tar -C / -xpf copies.tar`. A damaged byte anywhere is noticed, for the manifest has the digest of
//! the whole as well as of each file; what it has of each file beside that is where in the archive its
//! content begins.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::manifest::{Digest, FileNode};
use crate::sys::escape::{hex, unhex};
use crate::sys::node::Meta;

const NAME: &str = "copies.tar";

/// An archive of up to this many bytes is read once and kept: those of some 4,000 files.
const KEPT: u64 = 4 << 20;

/// What tar counts in, in bytes.
const BLOCK: u64 = 512;

/// The archive as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// Its size in bytes.
    size: u64,
    /// The digest of all of it.
    #[serde(with = "hex_digest")]
    sha256: Digest,
}

/// An archive that is being written.
pub struct Writer {
    tar: tar::Builder<Counted>,
}

impl Writer {
    /// Begins the archive in the directory `dir`.
    pub fn create(dir: &Path) -> io::Result<Self> {
        let mut options = File::options();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(dir.join(NAME))?;
        let out = BufWriter::with_capacity(128 << 10, file);
        let counted = Counted {
            out,
            written: 0,
            digest: Sha256::new(),
        };
        Ok(Self {
            tar: tar::Builder::new(counted),
        })
    }

    /// Adds `size` bytes of `content` as the file `path`, from the root, and returns where in the archive they
    /// begin. Content that ends early is filled up with zeros.
    pub fn add(
        &mut self,
        path: &Path,
        meta: &Meta,
        size: u64,
        content: &mut impl Read,
    ) -> io::Result<u64> {
        let mut header = header(meta, tar::EntryType::Regular);
        header.set_size(size);
        let content = content.chain(io::repeat(0)).take(size);
        self.tar.append_data(&mut header, relative(path), content)?;
        Ok(self.tar.get_ref().written - size.next_multiple_of(BLOCK))
    }

    /// Adds the symbolic link `path`, from the root: for whoever unpacks the archive by hand.
    pub fn add_link(&mut self, path: &Path, meta: &Meta, target: &Path) -> io::Result<()> {
        let mut header = header(meta, tar::EntryType::Symlink);
        header.set_size(0);
        self.tar.append_link(&mut header, relative(path), target)
    }

    /// Ends the archive. The file is not yet synced.
    pub fn finish(self) -> io::Result<(Seal, File)> {
        let mut counted = self.tar.into_inner()?;
        counted.flush()?;
        let seal = Seal {
            size: counted.written,
            sha256: counted.digest.finalize().into(),
        };
        Ok((
            seal,
            counted
                .out
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?,
        ))
    }
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn header(meta: &Meta, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(meta.mode);
    header.set_uid(meta.uid.into());
    header.set_gid(meta.gid.into());
    header.set_mtime(u64::try_from(meta.mtime.0).unwrap_or(0));
    header
}

struct Counted {
    out: BufWriter<File>,
    written: u64,
    digest: Sha256,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// An archive that is read. It is opened when something of it is first needed.
#[derive(Debug)]
pub struct Copies {
    path: PathBuf,
    archive: OnceCell<Archive>,
}

#[derive(Debug)]
enum Archive {
    Kept(Vec<u8>),
    Open(File),
}

impl Copies {
    /// The archive in the directory `dir`.
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            path: dir.join(NAME),
            archive: OnceCell::new(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self) -> io::Result<&Archive> {
        if let Some(archive) = self.archive.get() {
            return Ok(archive);
        }
        let mut file = File::open(&self.path)?;
        let archive = if file.metadata()?.len() <= KEPT {
            let mut whole = Vec::new();
            file.read_to_end(&mut whole)?;
            Archive::Kept(whole)
        } else {
            Archive::Open(file)
        };
        Ok(self.archive.get_or_init(|| archive))
    }

    /// Whether the archive is as it was when it was sealed.
    pub fn is_sound(&self, seal: &Seal) -> io::Result<bool> {
        Ok(digest(&mut self.open()?.at(0, u64::MAX))? == (seal.size, seal.sha256))
    }

    /// Whether the copy of `file` is what it was.
    pub fn has(&self, file: &FileNode) -> bool {
        let found = self
            .open()
            .and_then(|archive| digest(&mut archive.at(file.offset, file.size)));
        found.is_ok_and(|found| found == (file.size, file.sha256))
    }

    /// Writes the content of `file` to `to`; fails where that is not what it was.
    pub fn copy(&self, file: &FileNode, to: &mut impl Write) -> io::Result<()> {
        let mut content = self.open()?.at(file.offset, file.size);
        if copy_digesting(&mut content, to)? != (file.size, file.sha256) {
            return Err(io::Error::other("its copy in the snapshot is damaged"));
        }
        Ok(())
    }
}

impl Archive {
    /// At most `size` bytes from `offset` on.
    fn at(&self, offset: u64, size: u64) -> Box<dyn Read + '_> {
        match self {
            Self::Kept(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                Box::new(bytes.get(start..).unwrap_or_default().take(size))
            }
            Self::Open(file) => Box::new(At { file, offset }.take(size)),
        }
    }
}

/// A file from a place on, without moving the file's own position.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset = self.offset.saturating_add(read as u64);
        Ok(read)
    }
}

/// Copies `source` to its end, and returns how many bytes that were and their digest.
fn copy_digesting(source: &mut impl Read, copy: &mut impl Write) -> io::Result<(u64, Digest)> {
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

/// The digest of the first `size` bytes of `source`, which is known to have no more: its end is not looked
/// for.
pub fn digest_of(source: &mut impl Read, size: u64) -> io::Result<Digest> {
    Ok(digest(&mut source.take(size))?.1)
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

mod hex_digest {
    use super::{Digest, hex, unhex};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex(digest))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        let digest = unhex(&text).and_then(|bytes| bytes.try_into().ok());
        digest.ok_or_else(|| D::Error::custom("a digest is 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::node::Time;

    fn meta() -> Meta {
        Meta {
            mode: 0o640,
            uid: 1,
            gid: 2,
            mtime: Time(1_700_000_000, 5),
            xattrs: Vec::new(),
        }
    }

    fn node(offset: u64, content: &[u8]) -> FileNode {
        let (size, sha256) = digest(&mut &*content).unwrap();
        FileNode {
            meta: meta(),
            size,
            sha256,
            offset,
            ino: 1,
            nlink: 1,
            ctime: Time(0, 0),
        }
    }

    #[test]
    fn what_goes_in_comes_out_and_a_changed_byte_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let long = PathBuf::from(format!("/etc/{}/ifcfg-eth1", "long/".repeat(60)));
        let contents: [(&Path, &[u8]); 3] = [
            (
                Path::new("/etc/sysconfig/network-scripts/ifcfg-eth0"),
                b"DEVICE=eth0\n",
            ),
            (&long, b""),
            (Path::new("/etc/sysconfig/network"), &[7; 1000]),
        ];
        let mut writer = Writer::create(dir.path()).unwrap();
        let mut nodes = Vec::new();
        for (path, mut content) in contents {
            let size = content.len() as u64;
            let offset = writer.add(path, &meta(), size, &mut content).unwrap();
            nodes.push(node(offset, contents[nodes.len()].1));
        }
        writer
            .add_link(Path::new("/etc/l"), &meta(), Path::new("network"))
            .unwrap();
        let (seal, _) = writer.finish().unwrap();
        let copies = Copies::in_dir(dir.path());
        assert!(copies.is_sound(&seal).unwrap());
        for (node, (_, content)) in nodes.iter().zip(contents) {
            let mut out = Vec::new();
            copies.copy(node, &mut out).unwrap();
            assert_eq!(out, content);
        }
        let mut bytes = std::fs::read(copies.path()).unwrap();
        bytes[usize::try_from(nodes[0].offset).unwrap()] ^= 1;
        std::fs::write(copies.path(), bytes).unwrap();
        let copies = Copies::in_dir(dir.path());
        assert!(!copies.is_sound(&seal).unwrap());
        assert!(!copies.has(&nodes[0]));
        assert!(copies.has(&nodes[2]));
    }

    #[test]
    fn an_offset_beyond_the_archive_is_no_copy() {
        let dir = tempfile::tempdir().unwrap();
        Writer::create(dir.path()).unwrap().finish().unwrap();
        let copies = Copies::in_dir(dir.path());
        let far = FileNode {
            offset: u64::MAX,
            size: u64::MAX,
            ..node(0, b"x")
        };
        assert!(!copies.has(&far));
    }
}
