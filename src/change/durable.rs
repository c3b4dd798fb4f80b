//! Making what was written to the covered places durable. They may be on several file systems.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use super::tree::Tree;
use crate::error::{Context, Result};
use crate::state::sync::Unsynced;
use crate::sys::node::{Kind, Place, Stat};

/// Files and directories that were written and are not yet durable.
#[derive(Debug, Default)]
pub(super) struct UnsyncedPlaces {
    /// By device number, with some directory of that file system.
    devices: BTreeMap<u64, (File, Unsynced)>,
}

impl UnsyncedPlaces {
    /// Adds `file`, which is at `place`, or else the directory that `place` is in.
    pub(super) fn push(&mut self, place: &Place, file: Option<File>) -> io::Result<()> {
        let parent = || {
            let parent = place
                .path
                .parent()
                .filter(|path| !path.as_os_str().is_empty());
            Place::new(&place.dir, parent.unwrap_or(Path::new("."))).open()
        };
        let dev = Stat::of(&place.dir)?.dev;
        let (_, unsynced) = match self.devices.entry(dev) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert((place.dir.try_clone()?, Unsynced::default()))
            }
        };
        if unsynced.is_many() {
            return Ok(());
        }
        unsynced.push(match file {
            Some(file) => file,
            None => parent()?,
        })
    }

    /// Makes all of them durable, as far as it goes; what failed is returned.
    pub(super) fn settle(&mut self) -> Vec<io::Error> {
        std::mem::take(&mut self.devices)
            .into_values()
            .filter_map(|(dir, unsynced)| unsynced.settle(&dir).err())
            .collect()
    }
}

/// Makes all covered files durable as they are now. An editor rarely does that; and what it wrote
/// seconds ago may be an empty file after a power cut.
pub(super) fn settle_covered(tree: &Tree<'_>) -> Result<()> {
    let failed = || "cannot make the files durable".to_owned();
    let mut unsynced = UnsyncedPlaces::default();
    for path in tree.covered()? {
        let Some(place) = tree.place(&path).context(failed)? else {
            continue;
        };
        let kind = place.stat().context(failed)?.map(|stat| stat.kind);
        let whole = matches!(kind, Some(Kind::File | Kind::Directory));
        let added = unsynced
            .push(&place, None)
            .and_then(|()| match whole.then(|| place.open()) {
                Some(open) => unsynced.push(&place, Some(open?)),
                None => Ok(()),
            });
        match added {
            Err(error) if super::tree::is_absent(&error) => {}
            added => added.context(failed)?,
        }
    }
    match unsynced.settle().into_iter().next() {
        Some(error) => Err(error).context(failed),
        None => Ok(()),
    }
}
