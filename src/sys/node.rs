//! One name in a directory: what is there, with all its metadata, and putting metadata back.
//!
//! Everything goes through a directory handle and a path below it, so that a directory that is
//! renamed or replaced meanwhile cannot lead a restore elsewhere, and a last component that is
//! a symbolic link is never followed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::libc;
use nix::sys::stat::{Mode, UtimensatFlags, fchmod, fstatat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, unlinkat};
use xattr::FileExt as _;

/// A time as the kernel keeps it: seconds since 1970 (negative before) and nanoseconds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Time(pub i64, pub i64);

/// What kind of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO, socket or device.
    Special,
}

/// What `lstat(2)` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-user-ID, set-group-ID and sticky: 0 to 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// When the content last changed.
    pub mtime: Time,
    /// When content or metadata last changed; nobody can set it.
    pub ctime: Time,
    /// Inode number.
    pub ino: u64,
    /// The file system's device number.
    pub dev: u64,
    /// How many names the inode has.
    pub nlink: u64,
}

/// An extended attribute: name and value.
pub type Xattr = (OsString, Vec<u8>);

/// A path below an open directory.
#[derive(Debug, Clone)]
pub struct Place {
    /// The directory.
    pub dir: Arc<File>,
    /// The path below it; its last component is not followed where it is a link.
    pub path: PathBuf,
}

impl Place {
    /// The place `path` below `dir`.
    pub fn new(dir: &Arc<File>, path: impl Into<PathBuf>) -> Self {
        Self {
            dir: Arc::clone(dir),
            path: path.into(),
        }
    }

    /// The place `name` beside this one.
    #[must_use]
    pub fn sibling(&self, name: &OsStr) -> Self {
        Self::new(&self.dir, self.path.with_file_name(name))
    }

    /// What is there; `None` where nothing is.
    pub fn stat(&self) -> io::Result<Option<Stat>> {
        match fstatat(&*self.dir, &self.path, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Stat::from_kernel(&stat))),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens the regular file or directory that is there, for reading; a FIFO does not block.
    pub fn open(&self) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        Ok(openat(&*self.dir, &self.path, flags, Mode::empty())?.into())
    }

    /// Opens the existing file for writing in place.
    pub fn open_for_writing(&self) -> io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        Ok(openat(&*self.dir, &self.path, flags, Mode::empty())?.into())
    }

    /// Creates a file that must not exist, readable by its owner alone.
    pub fn create(&self) -> io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        Ok(openat(&*self.dir, &self.path, flags | OFlag::O_NOFOLLOW, mode)?.into())
    }

    /// Removes the file or symbolic link that is there.
    pub fn remove(&self) -> io::Result<()> {
        Ok(unlinkat(
            &*self.dir,
            &self.path,
            UnlinkatFlags::NoRemoveDir,
        )?)
    }

    /// Gives what is there the name `to`; what has that name goes.
    pub fn rename_to(&self, to: &Self) -> io::Result<()> {
        Ok(renameat(&*self.dir, &self.path, &*to.dir, &to.path)?)
    }

    /// Removes what is in the directory that is there and has a name that begins with `prefix`, but for directories.
    /// What cannot be removed stays.
    pub fn remove_beginning(&self, prefix: &str) {
        let Ok(dir) = self.open() else { return };
        let names = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string());
        for entry in fs::read_dir(names).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.as_bytes().starts_with(prefix.as_bytes()) {
                let _ = unlinkat(&dir, name.as_os_str(), UnlinkatFlags::NoRemoveDir);
            }
        }
    }

    /// Its extended attributes, sorted by name. A symbolic link's own, not its target's.
    pub fn symlink_xattrs(&self) -> io::Result<Vec<Xattr>> {
        let path = self.proc_path();
        collect(xattr::list(&path), |name| xattr::get(&path, name))
    }

    /// Makes a symbolic link's owner, times and attributes as wanted.
    pub fn set_symlink_meta(&self, wanted: &Meta) -> io::Result<()> {
        self.set_owner(wanted.uid, wanted.gid)?;
        let path = self.proc_path();
        let present = self.symlink_xattrs()?;
        set_xattrs(&present, &wanted.xattrs, &mut |change| match change {
            XattrChange::Set(name, value) => xattr::set(&path, name, value),
            XattrChange::Remove(name) => xattr::remove(&path, name),
        })?;
        self.set_mtime(wanted.mtime)
    }

    /// Sets the modification time and leaves the access time alone.
    pub fn set_mtime(&self, mtime: Time) -> io::Result<()> {
        let omit = TimeSpec::new(0, libc::UTIME_OMIT);
        let mtime = TimeSpec::new(mtime.0, mtime.1);
        utimensat(
            &*self.dir,
            &self.path,
            &omit,
            &mtime,
            UtimensatFlags::NoFollowSymlink,
        )?;
        Ok(())
    }

    fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        fchownat(&*self.dir, &self.path, Some(uid), Some(gid), flags)?;
        Ok(())
    }

    /// A path for calls that know no directory handles.
    fn proc_path(&self) -> PathBuf {
        Path::new("/proc/self/fd")
            .join(self.dir.as_raw_fd().to_string())
            .join(&self.path)
    }
}

/// The metadata that a restore brings back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits, 0 to 0o7777; of no meaning for a symbolic link.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When the content last changed.
    pub mtime: Time,
    /// All extended attributes, sorted by name: SELinux label, ACLs, user attributes.
    pub xattrs: Vec<Xattr>,
}

impl Stat {
    /// What the kernel says of an open file.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from_kernel(&nix::sys::stat::fstat(file)?))
    }

    #[allow(
        clippy::unnecessary_cast,
        reason = "the widths differ between architectures"
    )]
    fn from_kernel(stat: &libc::stat) -> Self {
        let kind = match stat.st_mode & libc::S_IFMT {
            libc::S_IFREG => Kind::File,
            libc::S_IFDIR => Kind::Directory,
            libc::S_IFLNK => Kind::Symlink,
            _ => Kind::Special,
        };
        Self {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: Time(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: Time(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            ino: stat.st_ino as u64,
            dev: stat.st_dev as u64,
            nlink: stat.st_nlink as u64,
        }
    }

    /// The metadata, with the attributes given.
    pub fn meta(&self, xattrs: Vec<Xattr>) -> Meta {
        Meta {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            xattrs,
        }
    }
}

/// The extended attributes of an open file, sorted by name.
pub fn xattrs(file: &File) -> io::Result<Vec<Xattr>> {
    collect(file.list_xattr(), |name| file.get_xattr(name))
}

fn collect<I: Iterator<Item = OsString>>(
    names: io::Result<I>,
    get: impl Fn(&OsStr) -> io::Result<Option<Vec<u8>>>,
) -> io::Result<Vec<Xattr>> {
    let names = match names {
        Ok(names) => names,
        Err(error) if unsupported(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for name in names {
        if let Some(value) = get(&name)? {
            found.push((name, value));
        }
    }
    found.sort();
    Ok(found)
}

fn refused(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EACCES | libc::EPERM | libc::ENOTSUP)
    )
}

fn unsupported(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOTSUP)
}

/// Makes an open file's or directory's owner, mode and attributes as wanted, and for a file its
/// modification time. Only what differs is touched.
pub fn set_meta(file: &File, wanted: &Meta) -> io::Result<()> {
    let stat = Stat::of(file)?;
    if (stat.uid, stat.gid) != (wanted.uid, wanted.gid) {
        let (uid, gid) = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
        nix::unistd::fchown(file, Some(uid), Some(gid))?;
    }
    // Attributes before the mode: removing an ACL leaves its mask in the group's bits, and a change of
    // owner may have cleared set-user-ID. Then the ACL proper agrees with the mode it was saved with.
    set_xattrs(&xattrs(file)?, &wanted.xattrs, &mut |change| match change {
        XattrChange::Set(name, value) => file.set_xattr(name, value),
        XattrChange::Remove(name) => file.remove_xattr(name),
    })?;
    if Stat::of(file)?.mode != wanted.mode {
        fchmod(file.as_fd(), Mode::from_bits_truncate(wanted.mode))?;
    }
    if stat.kind == Kind::File {
        let omit = TimeSpec::new(0, libc::UTIME_OMIT);
        let mtime = TimeSpec::new(wanted.mtime.0, wanted.mtime.1);
        nix::sys::stat::futimens(file, &omit, &mtime)?;
    }
    Ok(())
}

enum XattrChange<'a> {
    Set(&'a OsStr, &'a [u8]),
    Remove(&'a OsStr),
}

fn set_xattrs(
    present: &[Xattr],
    wanted: &[Xattr],
    change: &mut dyn FnMut(XattrChange<'_>) -> io::Result<()>,
) -> io::Result<()> {
    for (name, _) in present {
        if wanted.iter().any(|(other, _)| other == name) {
            continue;
        }
        match change(XattrChange::Remove(name)) {
            // A security module that is at work may insist that every file has its label.
            Err(error) if name.as_bytes().starts_with(b"security.") && refused(&error) => {}
            result => result?,
        }
    }
    for xattr in wanted.iter().filter(|xattr| !present.contains(xattr)) {
        change(XattrChange::Set(&xattr.0, &xattr.1))?;
    }
    Ok(())
}
