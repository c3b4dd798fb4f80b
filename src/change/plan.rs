//! What a rollback, or an apply, will do: computed whole before anything is touched.

use std::collections::BTreeSet;

use serde::Serialize;

use super::compare::{Change, ChangeKind};
use super::manifest::CoveredPath;
use crate::iface::backend::Dependencies;
use crate::iface::order::{closure, down_order, up_order};
use crate::sys::name::InterfaceName;

/// One path that differs, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// What differs.
    pub change: Change,
    /// The interface that the snapshot's files say it configures.
    pub interface_before: Option<InterfaceName>,
    /// The interface that the present files say it configures.
    pub interface_now: Option<InterfaceName>,
}

impl FileChange {
    /// The interface to name beside it.
    pub fn interface(&self) -> Option<&InterfaceName> {
        self.interface_before
            .as_ref()
            .or(self.interface_now.as_ref())
    }
}

/// How interfaces stand in one set of files.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Those of the touched interfaces that have a configuration.
    pub configured: BTreeSet<InterfaceName>,
    /// What they depend on.
    pub dependencies: Dependencies,
}

/// Which interfaces go down and come up, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Bounces {
    /// To take down, upper devices first.
    pub down: Vec<InterfaceName>,
    /// To bring up: the operator's path first, then lower devices before upper ones.
    pub up: Vec<InterfaceName>,
    /// How many of `up` are the operator's path.
    #[serde(skip)]
    pub first: usize,
}

/// One step, as `--dry-run` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<'a> {
    /// Take the interface down.
    IfDown(&'a InterfaceName),
    /// Bring a path back to what it was.
    Restore(&'a CoveredPath),
    /// Remove a path that was not there.
    Remove(&'a CoveredPath),
    /// Bring the interface up.
    IfUp(&'a InterfaceName),
}

/// The interfaces whose configuration the changes touch. Metadata alone does not.
pub fn touched(changes: &[FileChange]) -> BTreeSet<InterfaceName> {
    changes
        .iter()
        .filter(|change| change.change.kind != ChangeKind::Metadata)
        .flat_map(|change| [&change.interface_before, &change.interface_now])
        .flatten()
        .cloned()
        .collect()
}

/// The bounces that turn the running state of `from` into that of `to`: down goes what `from`
/// configures, up comes what `to` configures. The operator's path goes down last and comes up first.
pub fn bounces(from: &View, to: &View, operator_path: &[InterfaceName]) -> Bounces {
    let up = up_order(&to.configured, &to.dependencies, operator_path);
    let urgent = closure(operator_path, &to.dependencies);
    Bounces {
        down: down_order(&from.configured, &from.dependencies, operator_path),
        first: up.iter().take_while(|name| urgent.contains(*name)).count(),
        up,
    }
}

/// Every step of a rollback, in order.
pub fn actions<'a>(changes: &'a [FileChange], bounces: &'a Bounces) -> Vec<Action<'a>> {
    let files = |wanted: fn(ChangeKind) -> bool| {
        changes
            .iter()
            .map(|change| &change.change)
            .filter(move |change| wanted(change.kind))
    };
    let down = bounces.down.iter().map(Action::IfDown);
    let restored = files(|kind| kind != ChangeKind::Added).map(|file| Action::Restore(&file.path));
    let removed = files(|kind| kind == ChangeKind::Added).map(|file| Action::Remove(&file.path));
    let up = bounces.up.iter().map(Action::IfUp);
    down.chain(restored).chain(removed).chain(up).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn name(text: &str) -> InterfaceName {
        text.parse().unwrap()
    }

    fn change(path: &str, kind: ChangeKind, before: Option<&str>, now: Option<&str>) -> FileChange {
        let path = CoveredPath::new(PathBuf::from(path)).unwrap();
        FileChange {
            change: Change {
                path,
                kind,
                now: None,
            },
            interface_before: before.map(name),
            interface_now: now.map(name),
        }
    }

    fn view(configured: &[&str]) -> View {
        let configured = configured.iter().map(|text| name(text)).collect();
        View {
            configured,
            dependencies: Dependencies::new(),
        }
    }

    #[test]
    fn metadata_alone_bounces_nothing() {
        let changes = [
            change(
                "ifcfg-eth0",
                ChangeKind::Metadata,
                Some("eth0"),
                Some("eth0"),
            ),
            change(
                "ifcfg-eth1",
                ChangeKind::Modified,
                Some("eth1"),
                Some("eth7"),
            ),
            change("ifcfg-eth2.bak", ChangeKind::Added, None, None),
        ];
        assert_eq!(touched(&changes), [name("eth1"), name("eth7")].into());
    }

    #[test]
    fn what_was_added_goes_down_and_what_was_deleted_comes_up() {
        let bounces = bounces(&view(&["eth1", "eth9"]), &view(&["eth1", "eth2"]), &[]);
        assert_eq!(bounces.down, [name("eth9"), name("eth1")]);
        assert_eq!(bounces.up, [name("eth1"), name("eth2")]);
    }

    #[test]
    fn the_operators_path_comes_up_first_with_what_it_rests_on_and_goes_down_last() {
        let mut view = view(&["br9", "eth1", "eth9"]);
        view.dependencies.insert(name("br9"), [name("eth9")].into());
        let bounces = bounces(&view, &view, &[name("br9")]);
        assert_eq!(bounces.up, [name("eth9"), name("br9"), name("eth1")]);
        assert_eq!(bounces.down, [name("eth1"), name("br9"), name("eth9")]);
        assert_eq!(bounces.first, 2);
    }

    #[test]
    fn files_change_between_the_downs_and_the_ups() {
        let changes = [
            change("ifcfg-eth1", ChangeKind::Added, None, Some("eth1")),
            change("ifcfg-eth2", ChangeKind::Removed, Some("eth2"), None),
        ];
        let bounces = Bounces {
            down: vec![name("eth1")],
            up: vec![name("eth2")],
            first: 0,
        };
        let [one, two] = &changes;
        assert_eq!(
            actions(&changes, &bounces),
            [
                Action::IfDown(&name("eth1")),
                Action::Restore(&two.change.path),
                Action::Remove(&one.change.path),
                Action::IfUp(&name("eth2")),
            ]
        );
    }
}
