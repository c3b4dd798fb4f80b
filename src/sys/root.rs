//! The root directory that ncf works on: `/`, or a tree such as `/sysroot` in an initramfs.
//!
//! Paths in a tree may lead through symbolic links, absolute ones too, and those mean places inside
//! the tree. Joining strings would follow them out of it, so every look-up is left to the kernel:
//! `openat2(2)` with `RESOLVE_IN_ROOT`, in Linux since 5.6. For `/` itself plain look-ups do.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::Mode;

use crate::error::{Context, Result};

/// How often a look-up is tried again when a rename elsewhere disturbs it (`EAGAIN`).
const RETRIES: usize = 32;

/// A root directory.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    dir: File,
}

impl Root {
    /// Opens the root directory `path`; fails where it is not a directory.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = || format!("cannot open the root directory {}", path.display());
        let path = path.canonicalize().context(failed)?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = openat(AT_FDCWD, &path, flags, Mode::empty()).context(failed)?;
        Ok(Self {
            path,
            dir: dir.into(),
        })
    }

    /// Whether this is the running system's own root.
    pub fn is_host(&self) -> bool {
        self.path == Path::new("/")
    }

    /// Where `inside`, a path from this root, lies on the running system, links not followed.
    pub fn host_path(&self, inside: &Path) -> PathBuf {
        self.path.join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// Where a path of the running system is inside the root; `None` if it is not in it. Links are not followed.
    pub fn inside(&self, host: &Path) -> Option<PathBuf> {
        let below = host.strip_prefix(&self.path).ok()?;
        Some(Path::new("/").join(below))
    }

    /// Opens what `inside` names, links followed inside the root, as a handle (`O_PATH`).
    fn look_up(&self, inside: &Path) -> io::Result<File> {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        if self.is_host() {
            let file = openat(AT_FDCWD, &Path::new("/").join(inside), flags, Mode::empty())?;
            return Ok(file.into());
        }
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT);
        for _ in 0..RETRIES {
            match openat2(&self.dir, inside, how) {
                Err(Errno::EAGAIN) => {}
                result => return Ok(result?.into()),
            }
        }
        Err(io::Error::from(Errno::EAGAIN))
    }

    /// The path from this root of what `inside` names, with every link resolved.
    pub fn resolve(&self, inside: &Path) -> io::Result<PathBuf> {
        let host = self.resolve_on_host(inside)?;
        match host.strip_prefix(&self.path) {
            Ok(rest) => Ok(Path::new("/").join(rest)),
            Err(_) => Err(io::Error::from(Errno::EXDEV)),
        }
    }

    /// Where what `inside` names lies on the running system, with every link resolved.
    pub fn resolve_on_host(&self, inside: &Path) -> io::Result<PathBuf> {
        let handle = self.look_up(inside)?;
        std::fs::read_link(format!("/proc/self/fd/{}", handle.as_raw_fd()))
    }

    /// Like [`Root::resolve`], but for a path whose last component need not exist, or is not to be
    /// followed: its parent is resolved and the last component kept.
    pub fn resolve_parent(&self, inside: &Path) -> io::Result<PathBuf> {
        let (parent, name) = split(inside)?;
        Ok(self.resolve(parent)?.join(name))
    }
}

/// The parent and the last component of an absolute path.
fn split(path: &Path) -> io::Result<(&Path, &std::ffi::OsStr)> {
    match (path.parent(), path.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) => Ok((parent, name)),
        _ => Err(io::Error::from(Errno::EINVAL)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_in_a_tree_stay_in_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("data/ns")).unwrap();
        std::fs::create_dir_all(dir.path().join("etc")).unwrap();
        symlink("/data/ns", dir.path().join("etc/absolute")).unwrap();
        symlink("../../../../../data", dir.path().join("etc/climbing")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        assert_eq!(
            root.resolve(Path::new("/etc/absolute")).unwrap(),
            Path::new("/data/ns")
        );
        assert_eq!(
            root.resolve(Path::new("/etc/climbing/ns")).unwrap(),
            Path::new("/data/ns")
        );
        assert_eq!(
            root.resolve_parent(Path::new("/etc/absolute/new")).unwrap(),
            Path::new("/data/ns/new")
        );
        let missing = root.resolve(Path::new("/etc/none")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(root.resolve_parent(Path::new("/")).is_err());
    }
}
