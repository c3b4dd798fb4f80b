//! Writing several configuration files that belong together.
//!
//! All new contents are made beside the files that they replace, complete with metadata, and made durable; then each
//! takes its name by a rename, and what goes away gives its name up by one. So a file is at every moment the old or the
//! new one, and between the first rename and the last there is nothing that could fail for want of space. If one fails
//! all the same, those before it are put back. Killed in between, some files are new and some old, the first edits being
//! made and the last not: an open change knows the old ones, and doing it again does the rest.
//!
//! A journal that the next command would finish was rejected: what would read it at the boot that follows is the host's
//! own scripts, which know nothing of it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::durable::UnsyncedPlaces;
use super::host::Host;
use super::manifest::CoveredPath;
use super::tree::{TEMPORARY, Tree};
use crate::error::{Context, Error, Result};
use crate::iface::backend::{Edits, FileEdit};
use crate::state::Lock;
use crate::sys::node::{Kind, Meta, Place, Stat, Time, set_meta, xattrs};
use crate::sys::signals::SignalGuard;

/// The beginning of the names of temporary files; whoever has the lock may remove those that are left over.
const BESIDE: &str = "define-";

/// The mode of a new file: the host's other programs read it too.
const NEW_MODE: u32 = 0o644;

/// Where links to configuration files may lead.
const INSIDE: &str = "/etc/sysconfig";

/// Makes the edits.
///
/// Fails with nothing changed where a file is not what the edits were planned for, is a link out of
/// `/etc/sysconfig`, or cannot be written. Signals that would end the process are held back meanwhile.
pub fn write(host: &Host, _lock: &Lock, edits: &Edits) -> Result<()> {
    if edits.files.is_empty() {
        return Ok(());
    }
    let tree = Tree::now(&host.root, &host.scope)?;
    remove_litter(&tree);
    let mut steps = Vec::new();
    for (number, edit) in edits.files.iter().enumerate() {
        steps.push(Step::look(&tree, edit, number)?);
    }
    let _unbroken = SignalGuard::block()?;
    let prepared = prepare(&steps, &tree);
    let done = prepared.and_then(|()| carry_out(&steps, &tree));
    for step in &steps {
        // After a rename it is no longer there, or is what was there.
        let _ = step.beside.remove();
    }
    done
}

/// One edit, and where it is made.
struct Step<'a> {
    edit: &'a FileEdit,
    /// The file itself; of a link that is written through, its target.
    place: Place,
    beside: Place,
    /// The present metadata; `None` for a new file.
    meta: Option<Meta>,
    /// Whether the file has other names, so that it is written in place.
    linked: bool,
}

impl<'a> Step<'a> {
    fn look(tree: &Tree<'_>, edit: &'a FileEdit, number: usize) -> Result<Self> {
        let path = CoveredPath::new(PathBuf::from(&edit.name));
        let shown = tree.scope_dir().join(&edit.name).display().to_string();
        let failed = || format!("cannot write {shown}");
        let place = path.map(|path| tree.place(&path)).transpose();
        let Some(place) = place.context(failed)?.flatten() else {
            let dir = tree.scope_dir().display();
            return Err(Error::failed(failed()).because(format!("there is no directory {dir}")));
        };
        let mut beside = place.sibling(format!("{TEMPORARY}{BESIDE}{number}").as_ref());
        let kind = place.stat().context(failed)?.map(|stat| stat.kind);
        let place = match kind {
            // A link itself goes away; what it leads to is not touched.
            Some(Kind::Symlink) if edit.after.is_some() => target(tree, edit).context(failed)?,
            _ => place,
        };
        // What is left over is looked for in the configuration directory.
        let file_system = |place: &Place| Stat::of(&place.dir).map(|stat| stat.dev);
        if file_system(&place).context(failed)? != file_system(&beside).context(failed)? {
            beside = place.sibling(beside.path.as_os_str());
        }
        let stat = place.stat().context(failed)?;
        let mut step = Self {
            edit,
            beside,
            place,
            meta: None,
            linked: false,
        };
        step.compare(stat).context(failed)?;
        Ok(step)
    }

    /// Fails where the file is not the one that the edit was planned for.
    fn compare(&mut self, stat: Option<Stat>) -> Result<()> {
        let changed = || Error::failed("it was changed meanwhile").hint("try again");
        match (stat, &self.edit.before) {
            (None, None) => Ok(()),
            (Some(stat), Some(before)) if stat.kind == Kind::File => {
                let failed = || "it cannot be read".to_owned();
                let file = self.place.open().context(failed)?;
                let now = bytes(&file).context(failed)?;
                self.meta = Some(stat.meta(xattrs(&file).context(failed)?));
                self.linked = stat.nlink > 1;
                if now == *before {
                    Ok(())
                } else {
                    Err(changed())
                }
            }
            (Some(stat), Some(_)) if stat.kind == Kind::Symlink => Ok(()),
            _ => Err(changed()),
        }
    }

    /// Makes the file with this content beside it, modified at that time, and returns it.
    fn make(&self, content: &[u8], mtime: Time) -> io::Result<File> {
        let mut file = match self.beside.create() {
            // Left by one that was killed: whoever has the lock may take it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.beside.remove()?;
                self.beside.create()?
            }
            created => created?,
        };
        file.write_all(content)?;
        match &self.meta {
            Some(meta) => set_meta(
                &file,
                &Meta {
                    mtime,
                    ..meta.clone()
                },
            )?,
            None => {
                nix::sys::stat::fchmod(&file, nix::sys::stat::Mode::from_bits_truncate(NEW_MODE))?;
            }
        }
        Ok(file)
    }

    /// Gives the file its new content or takes it away, to its place beside.
    fn carry_out(&self) -> io::Result<()> {
        match &self.edit.after {
            None => self.place.rename_to(&self.beside),
            Some(after) if self.linked => self.in_place(after),
            Some(_) => self.beside.rename_to(&self.place),
        }
    }

    fn in_place(&self, content: &[u8]) -> io::Result<()> {
        let mut file = self.place.open_for_writing()?;
        file.write_all(content)?;
        file.set_len(content.len() as u64)?;
        file.sync_all()
    }

    /// Puts back what was there, as it was.
    fn undo(&self) -> io::Result<()> {
        let mtime = self.meta.as_ref().map_or_else(now, |meta| meta.mtime);
        match (&self.edit.before, &self.edit.after) {
            (_, None) => self.beside.rename_to(&self.place),
            (None, _) => self.place.remove(),
            (Some(before), _) if self.linked => {
                self.in_place(before)?;
                self.place.set_mtime(mtime)
            }
            (Some(before), _) => {
                self.make(before, mtime)?.sync_all()?;
                self.beside.rename_to(&self.place)
            }
        }
    }

    fn shown(&self, tree: &Tree<'_>) -> String {
        tree.scope_dir().join(&self.edit.name).display().to_string()
    }
}

fn bytes(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a link leads to, which must be a configuration file.
fn target(tree: &Tree<'_>, edit: &FileEdit) -> Result<Place> {
    let link = tree.config_dir().join(&edit.name);
    let failed = || "what the link leads to cannot be found".to_owned();
    let resolved = tree.root().resolve(&link).context(failed)?;
    let inside = tree.root().resolve(Path::new(INSIDE));
    let inside = inside.unwrap_or_else(|_| INSIDE.into());
    if !resolved.starts_with(&inside) && !resolved.starts_with(tree.config_dir()) {
        return Err(Error::failed(format!(
            "it is a link to {}, which is outside of {INSIDE}",
            resolved.display()
        )));
    }
    let host = tree.root().host_path(&resolved);
    let dir = host.parent().unwrap_or(Path::new("/"));
    let dir = Arc::new(File::open(dir).context(failed)?);
    Ok(Place::new(&dir, host.file_name().unwrap_or_default()))
}

/// Makes all new contents durable beside their files.
fn prepare(steps: &[Step<'_>], tree: &Tree<'_>) -> Result<()> {
    let mut unsynced = UnsyncedPlaces::default();
    for step in steps {
        if let Some(after) = &step.edit.after {
            let made = step.make(after, now());
            let made = made.and_then(|file| unsynced.push(&step.beside, Some(file)));
            made.context(|| format!("cannot write {}; nothing was changed", step.shown(tree)))?;
        }
    }
    settle(&mut unsynced, "; nothing was changed")
}

/// Gives the files their names; where that fails, puts back those that were changed.
fn carry_out(steps: &[Step<'_>], tree: &Tree<'_>) -> Result<()> {
    let mut unsynced = UnsyncedPlaces::default();
    // Before the first rename: after it, what fails must be undone.
    for step in steps {
        let opened = unsynced.push(&step.place, None);
        opened.context(|| format!("cannot write {}; nothing was changed", step.shown(tree)))?;
    }
    for (at, step) in steps.iter().enumerate() {
        let Err(error) = step.carry_out() else {
            continue;
        };
        let mut left = Vec::new();
        for before in steps.iter().take(at).rev() {
            if before.undo().is_err() {
                left.push(before.shown(tree));
            }
        }
        let end = if left.is_empty() {
            "nothing was changed".to_owned()
        } else {
            format!("already changed: {}", left.join(", "))
        };
        return Err(error).context(|| format!("cannot write {}; {end}", step.shown(tree)));
    }
    settle(&mut unsynced, ", which may be lost if power fails now")
}

fn settle(unsynced: &mut UnsyncedPlaces, end: &str) -> Result<()> {
    match unsynced.settle().into_iter().next() {
        Some(error) => Err(error).context(|| format!("cannot make the files durable{end}")),
        None => Ok(()),
    }
}

/// Removes what one that was killed has left.
fn remove_litter(tree: &Tree<'_>) {
    let Ok(Some(place)) = tree.place(&CoveredPath::config_dir()) else {
        return;
    };
    // What stays is in nobody's way.
    place.remove_beginning(&format!("{TEMPORARY}{BESIDE}"));
}

/// The time, for files that were changed now.
fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    Time(seconds, i64::from(since.subsec_nanos()))
}
