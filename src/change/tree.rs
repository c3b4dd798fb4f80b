//! The covered files where they lie: finding them, and reaching one safely.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use walkdir::WalkDir;

use super::manifest::{CoveredPath, Manifest};
use crate::error::{Context, Result};
use crate::iface::backend::Scope;
use crate::sys::node::{Kind, Place, Stat};
use crate::sys::root::Root;

/// Files that a restore makes beside those it replaces begin with this. No configuration system reads
/// files whose names begin with a dot.
pub const TEMPORARY: &str = ".ncf-";

/// The covered places of a root, with the configuration directory where it was when this was opened.
#[derive(Debug)]
pub struct Tree<'a> {
    root: &'a Root,
    scope: &'a Scope,
    /// The configuration directory from the root, all links resolved.
    config_dir: PathBuf,
    /// The same on the running system.
    config_host: PathBuf,
    config: Option<Arc<File>>,
    /// The directory that the configuration directory is in.
    above: Option<Arc<File>>,
    /// Where directories elsewhere were, by their usual names, if that is known: `None` while a snapshot is taken.
    parents: Option<&'a BTreeMap<PathBuf, PathBuf>>,
    /// The directory of the last path elsewhere. Places may be kept by the thousand, and neighbours share it.
    elsewhere: Mutex<Option<Arc<File>>>,
}

impl<'a> Tree<'a> {
    /// The tree whose configuration directory is where it is now, which may be nowhere.
    pub fn now(root: &'a Root, scope: &'a Scope) -> Result<Self> {
        let resolved = root.resolve(&scope.config_dir);
        let config_dir = match resolved {
            Err(error) if error.kind() == io::ErrorKind::NotFound => root
                .resolve_parent(&scope.config_dir)
                .unwrap_or_else(|_| scope.config_dir.clone()),
            other => other.context(|| format!("cannot find {}", scope.config_dir.display()))?,
        };
        Self::at(root, scope, &config_dir)
    }

    /// The tree whose configuration directory is `config_dir`, from the root, links resolved: where a
    /// manifest says it was.
    pub fn at(root: &'a Root, scope: &'a Scope, config_dir: &Path) -> Result<Self> {
        let config_host = root.host_path(config_dir);
        let open = |path: &Path| match open_dir(path) {
            Ok(dir) => Ok(Some(Arc::new(dir))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error).context(|| format!("cannot open {}", path.display())),
        };
        let config = open(&config_host)?;
        let above = config_host.parent().map(open).transpose()?.flatten();
        Ok(Self {
            root,
            scope,
            config_dir: config_dir.to_owned(),
            config_host,
            config,
            above,
            parents: None,
            elsewhere: Mutex::new(None),
        })
    }

    /// The tree of a snapshot: where a directory has become a link to another, what was in it is gone,
    /// whatever there is in the other.
    pub fn of(root: &'a Root, manifest: &'a Manifest) -> Result<Self> {
        let tree = Self::at(root, &manifest.scope, &manifest.config_dir)?;
        Ok(Self {
            parents: Some(&manifest.parents),
            ..tree
        })
    }

    /// Where the directories are that `paths` elsewhere lie in, for those that are not where they seem.
    pub fn parents<'p>(
        &self,
        paths: impl Iterator<Item = &'p CoveredPath>,
    ) -> BTreeMap<PathBuf, PathBuf> {
        let elsewhere = paths.filter(|path| !path.is_config());
        let parents: BTreeSet<_> = elsewhere
            .filter_map(|path| path.as_path().parent())
            .collect();
        let resolved = parents.into_iter().filter_map(|parent| {
            let resolved = self.root.resolve(parent).ok()?;
            (resolved != parent).then(|| (parent.to_owned(), resolved))
        });
        resolved.collect()
    }

    /// The configuration directory from the root, all links resolved.
    pub fn config_dir(&self) -> &Path {
        &self.config_dir
    }

    /// The configuration directory from the root, by its usual name.
    pub fn scope_dir(&self) -> &Path {
        &self.scope.config_dir
    }

    /// The configuration directory on the running system.
    pub fn config_host(&self) -> &Path {
        &self.config_host
    }

    /// The same, opened, if it is there.
    pub fn config_handle(&self) -> Option<&Arc<File>> {
        self.config.as_ref()
    }

    /// The root.
    pub fn root(&self) -> &Root {
        self.root
    }

    /// Looks for the configuration directory again, after it was made or moved.
    pub fn reopened(&self) -> Result<Self> {
        let tree = Self::at(self.root, self.scope, &self.config_dir)?;
        Ok(Self {
            parents: self.parents,
            ..tree
        })
    }

    /// Where `path` is to be found; `None` where the directory that it would be in is not there.
    pub fn place(&self, path: &CoveredPath) -> io::Result<Option<Place>> {
        if path.is_config_dir() {
            let name = self.config_host.file_name().unwrap_or_default();
            return Ok(self.above.as_ref().map(|dir| Place::new(dir, name)));
        }
        if path.is_config() {
            return match &self.config {
                Some(dir) if is_below_directories(dir, path.as_path())? => {
                    Ok(Some(Place::new(dir, path.as_path())))
                }
                _ => Ok(None),
            };
        }
        let parent = path.as_path().parent().unwrap_or(Path::new("/"));
        let name = path.as_path().file_name().unwrap_or_default();
        if let Some(parents) = self.parents {
            let expected = parents.get(parent).map_or(parent, PathBuf::as_path);
            match self.root.resolve(parent) {
                Ok(resolved) if resolved != expected => return Ok(None),
                _ => {}
            }
        }
        match self
            .root
            .resolve_on_host(parent)
            .and_then(|parent| open_dir(&parent))
        {
            Ok(dir) => Ok(Some(Place::new(&self.shared(dir)?, name))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The handle of the same directory that was used last, or else this one.
    fn shared(&self, dir: File) -> io::Result<Arc<File>> {
        let id = |dir: &File| Stat::of(dir).map(|stat| (stat.dev, stat.ino));
        let mut last = self
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(last) if id(last)? == id(&dir)? => Ok(Arc::clone(last)),
            _ => {
                let dir = Arc::new(dir);
                *last = Some(Arc::clone(&dir));
                Ok(dir)
            }
        }
    }

    /// The covered path that a link's target is, where that is a file or nothing.
    pub fn resolve_link(
        &self,
        path: &CoveredPath,
        target: &Path,
    ) -> io::Result<Option<CoveredPath>> {
        let base = if path.is_config() {
            self.config_dir()
        } else {
            Path::new("/")
        };
        let dir = base.join(path.as_path());
        let full = dir.parent().unwrap_or(base).join(target);
        let root = self.root;
        let resolved = match root.resolve(&full) {
            Err(error) if is_absent(&error) => root.resolve_parent(&full).ok(),
            resolved => resolved.ok(),
        };
        let Some(resolved) = resolved else {
            return Ok(None);
        };
        let resolved = match resolved.strip_prefix(self.config_dir()) {
            Ok(inside) => CoveredPath::new(inside.to_owned()),
            Err(_) => CoveredPath::new(resolved),
        };
        let Some(resolved) = resolved else {
            return Ok(None);
        };
        let stat = match self.place(&resolved)? {
            Some(place) => place.stat()?,
            None => return Ok(None),
        };
        Ok(stat
            .is_none_or(|stat| stat.kind == Kind::File)
            .then_some(resolved))
    }

    /// A path for messages: as an administrator would type it.
    pub fn display(&self, path: &CoveredPath) -> String {
        if path.is_config() {
            let full = self.scope.config_dir.join(path.as_path());
            let full = if path.as_path() == Path::new(".") {
                &self.scope.config_dir
            } else {
                &full
            };
            crate::sys::escape::escape(full.as_os_str().as_bytes())
        } else {
            path.display()
        }
    }

    /// All covered paths that are there now.
    pub fn covered(&self) -> Result<BTreeSet<CoveredPath>> {
        let mut found = BTreeSet::new();
        if self.config.is_some() {
            self.walk_config(&mut found)?;
        }
        // Itself, whatever it is: a link that leads nowhere is none the less there.
        found.extend(
            self.existing(CoveredPath::config_dir())?
                .map(|(path, _)| path),
        );
        if let Some(path) = CoveredPath::new(self.scope.config_dir.clone())
            && self.scope.config_dir != self.config_dir
        {
            let found_link = self
                .existing(path)?
                .filter(|(_, stat)| stat.kind == Kind::Symlink);
            // A change may point it elsewhere.
            found.extend(found_link.map(|(path, _)| path));
        }
        for file in &self.scope.files {
            if let Some(pattern) = as_pattern(file) {
                self.walk_pattern(file, &pattern, &mut found)?;
            } else {
                self.walk_file(file, &mut found)?;
            }
        }
        Ok(found)
    }

    fn walk_config(&self, found: &mut BTreeSet<CoveredPath>) -> Result<()> {
        let hidden = |name: &std::ffi::OsStr| name.as_bytes().starts_with(b".");
        let depth = if self.scope.subdirectories {
            usize::MAX
        } else {
            1
        };
        let walk = WalkDir::new(&self.config_host)
            .min_depth(1)
            .max_depth(depth)
            .into_iter();
        for entry in walk.filter_entry(|entry| !hidden(entry.file_name())) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.io_error().is_some_and(is_absent) => continue,
                Err(error) => {
                    let path = error.path().unwrap_or(&self.config_host).to_owned();
                    let cause = error.into_io_error().unwrap_or(io::ErrorKind::Other.into());
                    return Err(cause).context(|| format!("cannot list {}", path.display()));
                }
            };
            let directory = self.scope.subdirectories && entry.file_type().is_dir();
            if !directory && !self.is_covered_name(entry.file_name()) {
                continue;
            }
            let relative = entry
                .path()
                .strip_prefix(&self.config_host)
                .unwrap_or(entry.path());
            found.extend(CoveredPath::new(relative.to_owned()));
        }
        Ok(())
    }

    /// Whether a file of this name in the configuration directory is covered.
    pub fn is_covered_name(&self, name: &std::ffi::OsStr) -> bool {
        let name = name.as_bytes();
        self.scope
            .prefixes
            .iter()
            .any(|prefix| name.starts_with(prefix.as_bytes()))
    }

    /// The file, or the directory with all that is in it.
    fn walk_file(&self, file: &Path, found: &mut BTreeSet<CoveredPath>) -> Result<()> {
        let path = CoveredPath::new(file.to_owned());
        let Some((path, stat)) = path.map(|path| self.existing(path)).transpose()?.flatten() else {
            return Ok(());
        };
        let is_dir = stat.kind == Kind::Directory;
        found.insert(path);
        if !is_dir {
            return Ok(());
        }
        let failed = || format!("cannot list {}", file.display());
        let host = self.root.resolve_on_host(file).context(failed)?;
        for entry in WalkDir::new(&host).min_depth(1) {
            let entry = match entry {
                Err(error) if error.io_error().is_some_and(is_absent) => continue,
                entry => entry.map_err(io::Error::from).context(failed)?,
            };
            let inside = entry.path().strip_prefix(&host).unwrap_or(entry.path());
            found.extend(CoveredPath::new(file.join(inside)));
        }
        Ok(())
    }

    fn walk_pattern(
        &self,
        file: &Path,
        pattern: &glob::Pattern,
        found: &mut BTreeSet<CoveredPath>,
    ) -> Result<()> {
        let parent = file.parent().unwrap_or(Path::new("/"));
        let Ok(host) = self.root.resolve_on_host(parent) else {
            return Ok(());
        };
        let failed = || format!("cannot list {}", parent.display());
        let entries = match std::fs::read_dir(host) {
            Err(error) if is_absent(&error) => return Ok(()),
            entries => entries.context(failed)?,
        };
        for entry in entries {
            let name = entry.context(failed)?.file_name();
            if pattern.matches(&name.to_string_lossy()) {
                self.walk_file(&parent.join(name), found)?;
            }
        }
        Ok(())
    }

    fn existing(&self, path: CoveredPath) -> Result<Option<(CoveredPath, Stat)>> {
        let failed = || format!("cannot look at {}", self.display(&path));
        let Some(place) = self.place(&path).context(failed)? else {
            return Ok(None);
        };
        Ok(place.stat().context(failed)?.map(|stat| (path, stat)))
    }
}

/// The pattern in the last component, if it is one.
fn as_pattern(file: &Path) -> Option<glob::Pattern> {
    let name = file.file_name()?.to_str()?;
    let special = name.contains(['*', '?', '[']);
    special.then(|| glob::Pattern::new(name).ok()).flatten()
}

/// Whether all that `path` leads through from `dir` are directories. A subdirectory that was replaced by a link to
/// elsewhere is gone with all that was in it, whatever there is elsewhere.
fn is_below_directories(dir: &Arc<File>, path: &Path) -> io::Result<bool> {
    let above = path.ancestors().skip(1);
    let mut above: Vec<_> = above.filter(|path| !path.as_os_str().is_empty()).collect();
    above.reverse();
    for path in above {
        let stat = Place::new(dir, path).stat()?;
        if stat.is_none_or(|stat| stat.kind != Kind::Directory) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn open_dir(path: &Path) -> io::Result<File> {
    use nix::fcntl::{AT_FDCWD, OFlag, openat};
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(AT_FDCWD, path, flags, nix::sys::stat::Mode::empty())?.into())
}

/// Whether the error says that nothing, or nothing of use, is there.
pub fn is_absent(error: &io::Error) -> bool {
    use nix::libc::{ELOOP, ENOENT, ENOTDIR};
    matches!(error.raw_os_error(), Some(ENOENT | ENOTDIR | ELOOP))
}
