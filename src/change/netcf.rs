//! A change that netcf left open, and rolling back from it.
//!
//! netcf's `netcf-transaction.sh` copies `ifcfg-*`, `route-*` and `rule-*` into
//! `/var/lib/netcf/network-snapshot`, links followed, and writes the file `date` there when it is done.
//! Its own rollback takes a half-made copy for a whole one and deletes every file that is not in
//! it. Here, a snapshot without `date` restores what it has and removes nothing.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::files::Present;
use super::host::{Host, boot_id};
use super::manifest::{CoveredPath, Entry, FIRST_FORMAT, Manifest, Node, new_id};
use super::snapshot::{describe, keep};
use super::transaction::{Transaction, already_open, is_open, make_private_dir, open_durably};
use super::tree::Tree;
use crate::error::{Context, Error, Result};
use crate::iface::backend::{Files as _, Scope};
use crate::state::Lock;
use crate::state::sync::rename_durably;

/// Where netcf keeps its snapshot (`netcf-transaction.sh`, `snapshotdir`).
pub const SNAPSHOT: &str = "/var/lib/netcf/network-snapshot";

/// What netcf's snapshot is called while it is being removed: this and an id.
const ADOPTED: &str = "network-snapshot.adopted-by-ncf-";

/// The names that netcf covers.
const PREFIXES: [&str; 3] = ["ifcfg-", "route-", "rule-"];

/// The directory of netcf's open change, on the running system, if there is one.
pub fn pending(host: &Host) -> Option<PathBuf> {
    let path = host.root.resolve_on_host(Path::new(SNAPSHOT)).ok()?;
    path.is_dir().then_some(path)
}

/// Makes netcf's open change ncf's, ready to be rolled back. Returns whether netcf had finished its
/// snapshot; files that a half-made one does not have are left alone.
///
/// Safe to be killed anywhere and run again: netcf's snapshot goes only when ncf's is durable.
pub fn adopt<'l>(host: &Host, lock: &'l Lock) -> Result<(Transaction<'l>, bool)> {
    let dir = host.state.transaction();
    sweep(host);
    let snapshot = pending(host);
    let complete = snapshot
        .as_ref()
        .is_none_or(|snapshot| snapshot.join("date").exists());
    if is_open(&dir)? {
        let manifest = Manifest::read(&dir)?;
        if !manifest.from_netcf {
            return Err(already_open(host));
        }
        settle(snapshot.as_deref(), &manifest.id)?;
        return Ok((Transaction { dir, lock }, complete));
    }
    let Some(snapshot) = snapshot else {
        return Err(Error::state(format!(
            "netcf has no change open: {SNAPSHOT} is not there"
        )));
    };
    let id = new_id();
    let staging = host.state.beginning(&id);
    let made = fill(host, &id, complete, &staging).and_then(|()| open_durably(&staging, &dir));
    if let Err(error) = made {
        // The error that counts is the first one; the next ncf sweeps up what stays.
        let _ = std::fs::remove_dir_all(&staging);
        return Err(error);
    }
    settle(Some(&snapshot), &id)?;
    Ok((Transaction { dir, lock }, complete))
}

/// Removes what an earlier, killed run had taken over and not removed yet. It is in nobody's way.
fn sweep(host: &Host) {
    let beside = Path::new(SNAPSHOT).parent().unwrap_or(Path::new("/"));
    let dir = host.root.resolve_on_host(beside);
    let entries = dir.and_then(std::fs::read_dir).into_iter().flatten();
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(ADOPTED) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Takes netcf's snapshot away from netcf, whole, so that its boot script finds none or all of it.
fn settle(snapshot: Option<&Path>, id: &str) -> Result<()> {
    let Some(snapshot) = snapshot else {
        return Ok(());
    };
    let aside = snapshot.with_file_name(format!("{ADOPTED}{id}"));
    rename_durably(snapshot, &aside)
        .context(|| format!("cannot take netcf's snapshot {} over", snapshot.display()))?;
    // Everything in it is in ncf's own snapshot.
    let _ = std::fs::remove_dir_all(aside);
    Ok(())
}

/// Makes a snapshot of ncf's in `staging` from that of netcf, durably.
fn fill(host: &Host, id: &str, complete: bool, staging: &Path) -> Result<()> {
    let failed = || format!("cannot write the snapshot in {}", staging.display());
    let mut scope = Scope {
        config_dir: PathBuf::from(SNAPSHOT),
        prefixes: PREFIXES.map(str::to_owned).to_vec(),
        subdirectories: false,
        files: Vec::new(),
    };
    let theirs = Tree::now(&host.root, &scope)?;
    let names = Present(&theirs).names()?;
    let mut paths: Vec<_> = names
        .into_iter()
        .filter_map(|name| CoveredPath::new(PathBuf::from(name)))
        .collect();
    paths.sort();
    make_private_dir(staging).context(failed)?;
    let taken = keep(
        &theirs,
        &paths,
        &staging.join("files"),
        &host.scope.config_dir,
    )?;
    let tree = Tree::now(&host.root, &host.scope)?;
    let mut entries = rebase(&tree, taken.entries)?;
    entries.extend(directory(&tree)?);
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries.dedup_by(|a, b| a.path == b.path);
    scope.config_dir.clone_from(&host.scope.config_dir);
    if !complete {
        // What it does not have may have been there.
        scope.prefixes.clear();
    }
    let manifest = Manifest {
        format: FIRST_FORMAT,
        id: id.to_owned(),
        began: jiff::Timestamp::now(),
        boot_id: boot_id()?,
        boots: 0,
        by: (*host.who).clone(),
        reason: Some("taken over from netcf".to_owned()),
        operator_path: host.operator_path(),
        devices: host.devices(),
        config_dir: tree.config_dir().to_owned(),
        parents: tree.parents(entries.iter().map(|entry| &entry.path)),
        scope,
        from_netcf: true,
        copies: taken.copies,
        entries,
    };
    let mut unsynced = taken.unsynced;
    manifest.write(staging, &mut unsynced)?;
    let dir = File::open(staging).context(failed)?;
    unsynced
        .push(dir.try_clone().context(failed)?)
        .context(failed)?;
    unsynced.settle(&dir).context(failed)
}

/// Fits what netcf saved to what is there: a link that netcf followed is still that link, and attributes,
/// which netcf did not save, are as they are.
fn rebase(tree: &Tree<'_>, theirs: Vec<Entry>) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for mut entry in theirs {
        let Node::File(file) = &mut entry.node else {
            continue;
        };
        match describe(tree, &entry.path)? {
            Some(Node::File(now)) => file.meta.xattrs = now.meta.xattrs,
            Some(Node::Symlink(link)) => {
                if let Some(target) = link.resolves.clone() {
                    let path = std::mem::replace(&mut entry.path, target);
                    entries.push(Entry {
                        path,
                        node: Node::Symlink(link),
                    });
                }
            }
            _ => {}
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The configuration directory itself, of which netcf says nothing: it is as it is.
fn directory(tree: &Tree<'_>) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for path in tree.covered()? {
        if path.as_path() == Path::new(".") || path.as_path() == tree.scope_dir() {
            entries.extend(describe(tree, &path)?.map(|node| Entry { path, node }));
        }
    }
    Ok(entries)
}
