//! What has changed since a snapshot, and which interfaces that touches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::compare::{ChangeKind, Comparison, Trust, since};
use super::files::{Compared, Present};
use super::host::Host;
use super::journal::Unfinished;
use super::manifest::{CoveredPath, Entry, Node};
use super::plan::{Bounces, FileChange, View, bounces, touched};
use super::transaction::Snapshot;
use super::tree::Tree;
use crate::error::Result;
use crate::iface::backend::{Card, Files};
use crate::sys::name::InterfaceName;
use crate::sys::node::Stat;

/// The changes since a snapshot with their meaning.
#[derive(Debug)]
pub struct Difference {
    /// Every path that differs, sorted.
    pub changes: Vec<FileChange>,
    /// The interfaces as the snapshot has them.
    pub before: View,
    /// The interfaces as the files are now.
    pub now: View,
    /// The interface that carries the operator's session, or carried it when the change began, and
    /// after it those that it rests on.
    pub operator_path: Vec<InterfaceName>,
    /// What an apply has taken down or brought up since the change began.
    pub applied: BTreeSet<InterfaceName>,
    /// The network cards that files may be for by their addresses.
    pub cards: Vec<Card>,
    /// What was at the path of each of the snapshot's entries, in order, where it did not differ.
    pub unchanged: Vec<Option<Stat>>,
}

/// Compares the host's files with a snapshot. `unfinished` is what a rollback that was cut short left.
pub fn difference(
    host: &Host,
    snapshot: &Snapshot,
    trust: Trust<'_>,
    unfinished: &Unfinished,
) -> Result<Difference> {
    let manifest = &snapshot.manifest;
    let tree = Tree::of(&host.root, manifest)?;
    let found = since(&tree, manifest, trust)?;
    // The backend reads files that a snapshot from netcf does not have.
    let tree = Tree::at(&host.root, &host.scope, &manifest.config_dir)?;
    Ok(explain(host, &tree, found, snapshot, unfinished))
}

fn explain(
    host: &Host,
    tree: &Tree<'_>,
    found: Comparison,
    snapshot: &Snapshot,
    unfinished: &Unfinished,
) -> Difference {
    let Comparison { changes, unchanged } = found;
    let cards = host.cards();
    let saved = &snapshot.saved();
    let present = Present(tree);
    let present = Compared::new(&present, saved, &changes);
    let saved = &*host.backend.by_card(saved, &cards);
    let present = &*host.backend.by_card(&present, &cards);
    let targets = link_targets(&snapshot.manifest.entries);
    let changes: Vec<_> = changes
        .into_iter()
        .map(|change| {
            // A change of what a link points to is a change of the link.
            let path = targets
                .get(&change.path)
                .copied()
                .unwrap_or(&change.path)
                .as_path()
                .to_owned();
            let owner = |exists: bool, files: &dyn Files| {
                exists.then(|| interface_of(host, &path, files)).flatten()
            };
            FileChange {
                interface_before: owner(change.kind != ChangeKind::Added, saved),
                interface_now: owner(change.kind != ChangeKind::Removed, present),
                change,
            }
        })
        .collect();
    let mut operator_path = host.operator_path();
    for name in &snapshot.manifest.operator_path {
        if !operator_path.contains(name) {
            operator_path.push(name.clone());
        }
    }
    // Without it a change that was undone by hand may stay in force; that is no reason to do nothing.
    let applied = super::applied::read(snapshot.dir()).unwrap_or_default();
    let mut touched = touched(&changes);
    touched.extend(applied.iter().cloned());
    let before = view(host, touched.union(&unfinished.up), saved);
    let now = view(host, touched.union(&unfinished.down), present);
    Difference {
        changes,
        before,
        now,
        operator_path,
        applied,
        cards: cards.clone(),
        unchanged,
    }
}

fn interface_of(host: &Host, path: &Path, files: &dyn Files) -> Option<InterfaceName> {
    path.is_relative()
        .then(|| host.backend.interface_of(path, files))
        .flatten()
}

fn link_targets(entries: &[Entry]) -> BTreeMap<&CoveredPath, &CoveredPath> {
    let links = entries.iter().filter_map(|entry| match &entry.node {
        Node::Symlink(link) => Some((link.resolves.as_ref()?, &entry.path)),
        _ => None,
    });
    links.collect()
}

fn view<'n>(
    host: &Host,
    names: impl Iterator<Item = &'n InterfaceName>,
    files: &dyn Files,
) -> View {
    let names: BTreeSet<_> = names.cloned().collect();
    let configured = host.backend.configured(&names, files);
    let dependencies = host.backend.dependencies(&configured, files);
    View {
        configured,
        dependencies,
    }
}

impl Difference {
    /// The bounces of a rollback.
    pub fn rollback_bounces(&self) -> Bounces {
        bounces(&self.running(&self.now), &self.before, &self.operator_path)
    }

    /// The bounces that make the changed files the running state.
    pub fn apply_bounces(&self) -> Bounces {
        bounces(&self.running(&self.before), &self.now, &self.operator_path)
    }

    /// The interfaces of a view, and those that were applied and may run though no file is left for them.
    fn running(&self, view: &View) -> View {
        let mut running = view.clone();
        let orphans = self
            .applied
            .iter()
            .filter(|name| !self.before.configured.contains(*name));
        running.configured.extend(orphans.cloned());
        running
    }

    /// The operator's interface, where the change is about it or about what it rests on.
    pub fn operator_at_risk(&self) -> Option<&InterfaceName> {
        let touched = |name: &InterfaceName| {
            self.before.configured.contains(name) || self.now.configured.contains(name)
        };
        self.operator_path
            .first()
            .filter(|_| self.operator_path.iter().any(touched))
    }
}
