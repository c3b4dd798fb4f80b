//! An open change: begun, and then committed or rolled back.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::boots::Boots;
use super::compare::Trust;
use super::copies::{Copies, Seal};
use super::durable::settle_covered;
use super::host::{Host, boot_id};
use super::manifest::{Entry, Manifest, Node, new_id};
use super::snapshot::{Taken, take};
use super::tree::Tree;
use super::{files::Saved, netcf};
use crate::error::{Context, Error, Result};
use crate::state::Lock;
use crate::state::sync::rename_durably;
use crate::sys::clock::local;

/// A snapshot on disk: of the open change, or in the archive.
#[derive(Debug)]
pub struct Snapshot {
    dir: PathBuf,
    copies: Copies,
    /// What it holds.
    pub manifest: Manifest,
}

impl Snapshot {
    /// Reads the snapshot in the directory `dir`.
    pub fn read(dir: &Path) -> Result<Self> {
        Ok(Self::new(dir.to_owned(), Manifest::read(dir)?))
    }

    /// The snapshot of the open change; `None` where none is open. Needs no lock.
    pub fn of_open_change(host: &Host) -> Result<Option<Self>> {
        let dir = host.state.transaction();
        if !host.state.exists()? || !is_open(&dir)? {
            return Ok(None);
        }
        match Self::read(&dir) {
            // Closed between the two looks.
            Err(_) if !is_open(&dir)? => Ok(None),
            snapshot => snapshot.map(Some),
        }
    }

    /// The snapshot of the open change; fails with [`crate::ErrorKind::State`] where none is open.
    pub fn must_be_open(host: &Host) -> Result<Self> {
        Self::of_open_change(host)?.ok_or_else(|| none_open(host))
    }

    /// The directory that it is in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn new(dir: PathBuf, manifest: Manifest) -> Self {
        Self {
            copies: Copies::in_dir(&dir.join("files")),
            dir,
            manifest,
        }
    }

    /// The copies of its files.
    pub fn copies(&self) -> &Copies {
        &self.copies
    }

    /// What a look at what has changed since may take for unchanged.
    pub fn quick(&self) -> Trust<'static> {
        Trust::ChangeTime(self.manifest.began)
    }

    /// Whether a rollback of it has begun and not ended.
    pub fn is_rolling_back(&self) -> bool {
        is_rolling_back(&self.dir)
    }

    /// Whether the machine has been booted since it was taken.
    pub fn is_of_earlier_boot(&self) -> bool {
        boot_id().is_ok_and(|boot_id| boot_id != self.manifest.boot_id)
    }

    /// How many more boots it survives. Fails where the record of those that it has survived is no good: then
    /// the next boot undoes it.
    pub fn boots_left(&self) -> Result<u8> {
        if self.manifest.boots == 0 {
            return Ok(0);
        }
        Ok(Boots::read(&self.dir)?.left(self.manifest.boots))
    }

    /// Whether the present boot is one that it was to survive, and did.
    pub fn has_survived_this_boot(&self) -> bool {
        let boots = Boots::read(&self.dir);
        boots.is_ok_and(|boots| boot_id().is_ok_and(|boot_id| boots.has(&boot_id)))
    }

    /// Reads every copy and compares it with its digest. Fails naming the first damaged one.
    pub fn verify(&self) -> Result<()> {
        verify(&self.manifest.entries, &self.copies, &self.manifest.copies)
    }

    /// The files as this snapshot has them, for a backend.
    pub fn saved(&self) -> Saved<'_> {
        Saved {
            entries: &self.manifest.entries,
            copies: &self.copies,
        }
    }
}

/// Compares the copies with their digests. Fails naming the first damaged one.
pub(super) fn verify(entries: &[Entry], copies: &Copies, seal: &Seal) -> Result<()> {
    let path = copies.path().display();
    let damage = match copies.is_sound(seal) {
        Ok(true) => return Ok(()),
        Ok(false) => damaged_copies(entries, copies),
        Err(error) => crate::error::plain(&error),
    };
    Err(
        Error::failed(format!("the snapshot is damaged: {path}: {damage}"))
            .hint("nothing was changed, and nothing was restored")
            .hint(format!(
                "what is good of it can be restored by hand: 'tar -C / -xpvf {path}'; \
             then close the change with 'ncf change-commit --force'"
            )),
    )
}

fn damaged_copies(entries: &[Entry], copies: &Copies) -> String {
    let is_damaged = |entry: &&Entry| match &entry.node {
        Node::File(file) => !copies.has(file),
        _ => false,
    };
    let damaged: Vec<_> = entries
        .iter()
        .filter(is_damaged)
        .map(|entry| entry.path.display())
        .collect();
    match damaged.as_slice() {
        [] => "it is not as it was written, though every copy in it is".to_owned(),
        [one] => format!("the copy of {one} is not as it was"),
        [first, more @ ..] => {
            format!(
                "the copies of {first} and {} more are not as they were",
                more.len()
            )
        }
    }
}

/// What to note of a change that begins.
#[derive(Debug, Default)]
pub struct Begin {
    /// What it is for, in the operator's words.
    pub reason: Option<String>,
    /// How many boots it survives before one undoes it, 0 to [`MAX_BOOTS`](super::boots::MAX_BOOTS).
    pub boots: u8,
}

/// The open change, held by the one process that may end it.
#[derive(Debug)]
#[must_use]
pub struct Transaction<'l> {
    pub(super) dir: PathBuf,
    pub(super) lock: &'l Lock,
}

impl<'l> Transaction<'l> {
    /// The open change; fails with [`crate::ErrorKind::State`] where none is open.
    pub fn open(host: &Host, lock: &'l Lock) -> Result<Self> {
        let dir = host.state.transaction();
        if is_open(&dir)? {
            return Ok(Self { dir, lock });
        }
        Err(none_open(host))
    }

    /// Takes the snapshot and opens the change. On failure nothing is left behind.
    pub fn begin(host: &Host, lock: &'l Lock, begin: Begin) -> Result<(Self, Snapshot)> {
        let dir = host.state.transaction();
        if is_open(&dir)? {
            return Err(already_open(host));
        }
        if let Some(snapshot) = netcf::pending(host) {
            let message = format!(
                "netcf has a change open: its snapshot is {}",
                snapshot.display()
            );
            return Err(Error::state(message)
                .hint("'ncf change-rollback --adopt-netcf' rolls back from it")
                .hint("to keep the present files instead, remove that directory"));
        }
        let tree = Tree::now(&host.root, &host.scope)?;
        let manifest = Manifest {
            format: Manifest::format_for(begin.boots),
            id: new_id(),
            began: jiff::Timestamp::now(),
            boot_id: boot_id()?,
            boots: begin.boots,
            by: (*host.who).clone(),
            reason: begin.reason,
            operator_path: host.operator_path(),
            devices: host.devices(),
            config_dir: tree.config_dir().to_owned(),
            parents: BTreeMap::new(),
            scope: host.scope.clone(),
            from_netcf: false,
            copies: Seal::default(),
            entries: Vec::new(),
        };
        let staging = host.state.beginning(&manifest.id);
        let made = fill(&tree, manifest, &staging)
            .and_then(|manifest| Ok((manifest, open_durably(&staging, &dir)?)));
        match made {
            Ok((manifest, ())) => Ok((
                Self {
                    dir: dir.clone(),
                    lock,
                },
                Snapshot::new(dir, manifest),
            )),
            Err(error) => {
                // The error that counts is the first one; the next ncf sweeps up what stays.
                let _ = std::fs::remove_dir_all(&staging);
                Err(error)
            }
        }
    }

    /// Fails with [`crate::ErrorKind::State`] where a rollback of the change was cut short: what is there now is
    /// neither what the operator had before nor what they made.
    pub fn must_not_be_rolling_back(&self) -> Result<()> {
        if !is_rolling_back(&self.dir) {
            return Ok(());
        }
        let error = Error::state("a rollback of this change has begun and was cut short");
        Err(error.hint("complete it with 'ncf change-rollback'"))
    }

    /// Keeps the files as they are and closes the change. Works without reading the snapshot, which
    /// may be damaged: it is not needed any more.
    ///
    /// The files are made durable first: after that nothing else has them.
    pub fn commit(self, host: &Host) -> Result<()> {
        settle_covered(&Tree::now(&host.root, &host.scope)?)
            .map_err(|error| error.hint("the change is still open"))?;
        let id = new_id();
        let gone = host.state.gone(&id);
        rename_durably(&self.dir, &gone).context(|| "cannot close the change")?;
        // It is closed. What cannot be removed now is swept up by the next ncf.
        let _ = std::fs::remove_dir_all(gone);
        Ok(())
    }

    /// Reads the snapshot.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::read(&self.dir)
    }
}

fn is_rolling_back(dir: &Path) -> bool {
    dir.join("journal").exists()
}

/// The error where no change is open.
fn none_open(host: &Host) -> Error {
    let error = Error::state("no change is open");
    match netcf::pending(host) {
        Some(_) => error.hint(
            "netcf has one open; 'ncf change-rollback --adopt-netcf' rolls back from its snapshot",
        ),
        None => error.hint("'ncf change-begin' opens one; begin before you edit"),
    }
}

/// The error where a change is open that should not be.
pub(super) fn already_open(host: &Host) -> Error {
    let open = Snapshot::of_open_change(host).ok().flatten();
    let by = open.map(|Snapshot { manifest, .. }| {
        format!(
            ": {}, since {}, by {}",
            manifest.id,
            local(manifest.began),
            manifest.by
        )
    });
    Error::state(format!(
        "a change is open already{}",
        by.unwrap_or_default()
    ))
    .hint("'ncf status' shows it; 'ncf change-commit' keeps it, 'ncf change-rollback' undoes it")
}

/// Whether the directory of an open change is there. Something else of that name is an error.
pub(super) fn is_open(dir: &Path) -> Result<bool> {
    match std::fs::symlink_metadata(dir) {
        Ok(metadata) if metadata.is_dir() => Ok(true),
        Ok(_) => Err(
            Error::failed(format!("{} is not a directory", dir.display()))
                .hint("ncf did not make it; look at what it is and move it away"),
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).context(|| format!("cannot look at {}", dir.display())),
    }
}

/// Makes the snapshot in `staging`, durably.
fn fill(tree: &Tree<'_>, manifest: Manifest, staging: &Path) -> Result<Manifest> {
    let failed = || format!("cannot write the snapshot in {}", staging.display());
    make_private_dir(staging).context(failed)?;
    let Taken {
        entries,
        copies,
        mut unsynced,
    } = take(tree, &staging.join("files"))?;
    let manifest = Manifest {
        parents: tree.parents(entries.iter().map(|entry| &entry.path)),
        copies,
        entries,
        ..manifest
    };
    manifest.write(staging, &mut unsynced)?;
    let dir = File::open(staging).context(failed)?;
    unsynced
        .push(dir.try_clone().context(failed)?)
        .context(failed)?;
    unsynced.settle(&dir).context(failed)?;
    Ok(manifest)
}

/// Makes a complete, synced transaction the open one.
pub(super) fn open_durably(staging: &Path, dir: &Path) -> Result<()> {
    rename_durably(staging, dir).context(|| format!("cannot open the change {}", dir.display()))
}

/// Makes a directory for its owner alone.
pub(super) fn make_private_dir(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}
