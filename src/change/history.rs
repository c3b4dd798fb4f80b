//! The archive: changes that were rolled back, each with the snapshot and what was discarded.

use std::collections::BTreeSet;
use std::path::Path;

use super::compare::{Change, Trust, compare};
use super::copies::Copies;
use super::host::Host;
use super::manifest::{CoveredPath, Discarded, Entry, Node, is_id};
use super::restore::{Outcome, Source, restore};
use super::transaction::{Snapshot, Transaction, make_private_dir};
use super::tree::Tree;
use crate::error::{Context, Error, Result};
use crate::state::sync::rename_durably;
use crate::sys::signals::SignalGuard;

/// One archived change.
#[derive(Debug)]
pub struct Archived {
    /// The directory's name: the time of the rollback in UTC, and the change's id.
    pub name: String,
    /// The snapshot that was restored.
    pub snapshot: Snapshot,
    /// What that replaced; `None` where it could not be kept.
    pub discarded: Option<Discarded>,
}

impl Archived {
    /// The copies of what was discarded.
    pub fn discarded_copies(&self) -> Copies {
        Copies::in_dir(&self.snapshot.dir().join("discarded/files"))
    }

    /// How many bytes the archived change takes up.
    pub fn size(&self) -> u64 {
        fs_extra::dir::get_size(self.snapshot.dir()).unwrap_or(0)
    }
}

/// The names of the archived changes, the newest first.
pub fn names(host: &Host) -> Result<Vec<String>> {
    let dir = host.state.archive();
    if !host.state.exists()? || !dir.exists() {
        return Ok(Vec::new());
    }
    let failed = || format!("cannot list {}", dir.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir).context(failed)? {
        let name = entry.context(failed)?.file_name();
        names.extend(
            name.to_str()
                .filter(|name| is_archive_name(name))
                .map(str::to_owned),
        );
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

/// Reads the archived change `name`.
pub fn read(host: &Host, name: &str) -> Result<Archived> {
    let dir = host.state.archive().join(name);
    let snapshot = Snapshot::read(&dir)?;
    let discarded = dir.join("discarded");
    let discarded = discarded
        .exists()
        .then(|| Discarded::read(&discarded))
        .transpose()?;
    Ok(Archived {
        name: name.to_owned(),
        snapshot,
        discarded,
    })
}

/// Finds the archived change that `wanted` names: its id, its directory's name, or enough of the beginning
/// of either to be the only one. `last` is the newest.
pub fn find(host: &Host, wanted: &str) -> Result<Archived> {
    let names = names(host)?;
    let matches = |name: &&String| {
        let id = name.split_once('-').map_or("", |(_, id)| id);
        !wanted.is_empty() && (name.starts_with(wanted) || id.starts_with(wanted))
    };
    let mut found: Vec<&String> = match wanted {
        "last" => names.iter().take(1).collect(),
        _ => names.iter().filter(matches).collect(),
    };
    let hint = "'ncf history list' shows all";
    match (found.pop(), found.len()) {
        (Some(name), 0) => read(host, name),
        (None, _) => {
            Err(Error::failed(format!("no archived change is called {wanted:?}")).hint(hint))
        }
        (Some(_), more) => {
            let message = format!("{} archived changes begin with {wanted:?}", more + 1);
            Err(Error::usage(message).hint(hint))
        }
    }
}

/// Ends a rollback: the transaction becomes an archived change. Returns its name.
pub(super) fn close_into_archive(host: &Host, transaction: &Path, id: &str) -> Result<String> {
    let archive = host.state.archive();
    let failed = || format!("cannot make {}", archive.display());
    match make_private_dir(&archive) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).context(failed);
        }
        _ => {}
    }
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let name = format!("{time}-{id}");
    let target = archive.join(&name);
    rename_durably(transaction, &target)
        .context(|| format!("cannot move the change to {}", target.display()))?;
    Ok(name)
}

/// Removes the oldest archived changes beyond those that are to be kept; never `newest`, which a clock that is not
/// set yet at boot may have named as the oldest of all.
pub(super) fn prune(host: &Host, newest: &str) -> Result<()> {
    let names = names(host)?;
    let others = names.iter().filter(|name| *name != newest);
    for name in others.skip(host.keep.saturating_sub(1)) {
        let path = host.state.archive().join(name);
        fs_extra::dir::remove(&path).map_err(|error| {
            Error::failed(format!("cannot remove {}", path.display())).because(error)
        })?;
    }
    Ok(())
}

fn is_archive_name(name: &str) -> bool {
    let time = |time: &str| {
        time.len() == 16
            && time.bytes().enumerate().all(|(at, byte)| match at {
                8 => byte == b'T',
                15 => byte == b'Z',
                _ => byte.is_ascii_digit(),
            })
    };
    name.split_once('-')
        .is_some_and(|(at, id)| time(at) && is_id(id))
}

/// Puts back what a rollback had discarded: only the files, for the interfaces are the operator's
/// to apply. The open change guards it.
///
/// Fails with nothing changed where [`check`] does, or where the open change does not cover all of it.
pub fn put_back(
    host: &Host,
    transaction: &Transaction<'_>,
    archived: &Archived,
    _unbroken: &SignalGuard,
) -> Result<(Vec<Change>, Outcome)> {
    let discarded = check(archived)?;
    let copies = archived.discarded_copies();
    let guard = transaction.snapshot()?.manifest;
    let manifest = &archived.snapshot.manifest;
    let tree = Tree::of(&host.root, manifest)?;
    let covered = Tree::of(&host.root, &guard)?.covered()?;
    let is_guarded = |path: &CoveredPath| {
        if path.is_config() {
            return guard.config_dir == manifest.config_dir;
        }
        guard.entry(path).is_some()
            || covered.contains(path)
            || guard.scope.files.iter().any(|file| file == path.as_path())
    };
    if let Some(entry) = discarded
        .entries
        .iter()
        .find(|entry| !is_guarded(&entry.path))
    {
        let path = entry.path.display();
        let error = format!("the open change does not cover {path}, so it could not be undone");
        return Err(Error::failed(error).hint("'include' in ncf.conf makes a change cover it"));
    }
    let none = BTreeSet::new();
    let changes = compare(&tree, &discarded.entries, &none, Trust::Nothing)?.changes;
    let source = Source {
        wanted: &discarded.entries,
        copies: &copies,
        id: &manifest.id,
    };
    let outcome = restore(&tree, &source, &changes);
    Ok((changes, outcome))
}

/// Whether what a rollback discarded can be put back: it was kept, and the copies are sound.
pub fn check(archived: &Archived) -> Result<&Discarded> {
    let Some(discarded) = &archived.discarded else {
        return Err(Error::failed(format!(
            "nothing was kept of change {}",
            archived.name
        )));
    };
    if let Some(special) = discarded
        .entries
        .iter()
        .find(|entry| entry.node == Node::Special)
    {
        let message = format!("{} was no file and was not kept", special.path.display());
        return Err(Error::failed(message));
    }
    let copies = archived.discarded_copies();
    super::transaction::verify(&discarded.entries, &copies, &discarded.copies)?;
    Ok(discarded)
}

/// Every path that an archived change was about, with what was there before and what was discarded.
pub fn pairs<'a>(
    archived: &'a Archived,
    discarded: &'a Discarded,
) -> impl Iterator<Item = (Option<&'a Entry>, &'a Entry)> {
    let before = &archived.snapshot.manifest;
    discarded
        .entries
        .iter()
        .map(|entry| (before.entry(&entry.path), entry))
}
