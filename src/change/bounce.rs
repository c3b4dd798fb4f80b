//! Taking interfaces down and up around a change of files, and setting right what that did to others.

use std::collections::BTreeSet;

use super::difference::{Difference, difference};
use super::files::Present;
use super::host::Host;
use super::journal::Unfinished;
use super::manifest::Device;
use super::plan::{Bounces, View};
use super::transaction::{Snapshot, Transaction};
use super::tree::Tree;
use crate::apply::builtin::Builtin;
use crate::apply::bystanders::{Bystanders, Membership};
use crate::apply::desired::{Desired, LinkKind};
use crate::apply::schedule::{self, Step, StepReport, Verb};
use crate::apply::{Applier, Target};
use crate::error::{Context, Error, Result};
use crate::iface::backend::Files;
use crate::iface::order::{down_after, up_after, up_order};
use crate::sys::name::InterfaceName;
use crate::sys::signals::SignalGuard;

/// Something to tell the operator while it goes on.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// These interfaces are about to be bounced.
    Begins(&'a Bounces),
    /// This step has ended.
    Ended(&'a StepReport),
}

/// Told of progress.
pub type Watch<'w> = &'w mut dyn FnMut(Progress<'_>);

/// One side of a change: its files and what they say of the interfaces.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The interfaces.
    pub view: &'a View,
    /// The files.
    pub files: &'a dyn Files,
    /// What the kernel had on this side for devices whose files do not say it.
    pub devices: &'a [Device],
}

impl Side<'_> {
    /// What the kernel should have for `name`.
    fn desired(&self, host: &Host, name: &InterfaceName) -> Result<Desired> {
        let mut desired = host.backend.desired(name, self.files)?;
        let device = self.devices.iter().find(|device| device.name == *name);
        if let Some(device) = device.filter(|_| desired.kind == LinkKind::Device) {
            desired.mtu = desired.mtu.or(Some(device.mtu));
            desired.mac = desired.mac.or(device.mac);
        }
        Ok(desired)
    }
}

/// Does `work` with the host's files as they are now and as the snapshot has them.
pub fn between<T>(
    host: &Host,
    snapshot: &Snapshot,
    difference: &Difference,
    work: impl FnOnce(Side<'_>, Side<'_>) -> Result<T>,
) -> Result<T> {
    // All of the host's files: a snapshot from netcf knows fewer.
    let tree = Tree::at(&host.root, &host.scope, &snapshot.manifest.config_dir)?;
    let (present, saved) = (Present(&tree), snapshot.saved());
    let present = host.backend.by_card(&present, &difference.cards);
    let saved = host.backend.by_card(&saved, &difference.cards);
    let now = Side {
        view: &difference.now,
        files: &*present,
        devices: &[],
    };
    let before = Side {
        view: &difference.before,
        files: &*saved,
        devices: &snapshot.manifest.devices,
    };
    work(now, before)
}

/// Bounces that were checked and can begin.
pub struct Prepared<'a> {
    host: &'a Host,
    down: Vec<Step>,
    up: Vec<Step>,
    first: usize,
    bounced: BTreeSet<InterfaceName>,
    /// Those that are to go down and that the present files do not configure.
    without_file: BTreeSet<InterfaceName>,
    bystanders: Option<Result<Bystanders>>,
}

/// What bouncing did to interfaces that were not bounced, set right again.
#[derive(Debug, Default)]
pub struct Mended {
    /// Ports put back into a bridge that was made anew.
    pub put_back: Vec<Membership>,
    /// Interfaces brought up because one below them was bounced.
    pub revived: Vec<StepReport>,
    /// What could not be set right.
    pub errors: Vec<Error>,
}

/// The applier, for taking down: the host's `ifdown` needs the interface's file, and where that is gone the
/// kernel is asked without it.
struct TakingDown<'a> {
    applier: &'a dyn Applier,
    without_file: &'a BTreeSet<InterfaceName>,
}

impl Applier for TakingDown<'_> {
    fn name(&self) -> &'static str {
        self.applier.name()
    }

    fn needs_desired(&self) -> bool {
        self.applier.needs_desired()
    }

    fn parallel(&self) -> usize {
        self.applier.parallel()
    }

    fn check(&self, target: &Target) -> Result<()> {
        self.applier.check(target)
    }

    fn down(&self, target: &Target) -> Result<()> {
        match self.applier.down(target) {
            Err(_) if self.without_file.contains(&target.name) => Builtin::default().down(target),
            done => done,
        }
    }

    fn up(&self, target: &Target) -> Result<()> {
        self.applier.up(target)
    }
}

/// Works out every step and checks, before anything is touched, that all that must come up can.
///
/// `present` are the interfaces that the files now configure: those of the one side or of the other.
pub fn prepare<'a>(
    host: &'a Host,
    bounces: &Bounces,
    from: Side<'_>,
    to: Side<'_>,
    present: &View,
) -> Result<Prepared<'a>> {
    let applier = host.applier.as_ref();
    let gone = |name: &&InterfaceName| !present.configured.contains(*name);
    let without_file: BTreeSet<_> = bounces.down.iter().filter(gone).cloned().collect();
    let mut down = Vec::new();
    for name in &bounces.down {
        // A configuration that is going away may be beyond understanding: that is no reason to keep it.
        let needed = applier.needs_desired() || without_file.contains(name);
        let desired = needed.then(|| host.backend.desired(name, from.files).ok());
        down.push(Target {
            name: name.clone(),
            desired: desired.flatten(),
        });
    }
    let mut up = Vec::new();
    for name in &bounces.up {
        let desired = applier.needs_desired().then(|| to.desired(host, name));
        let target = Target {
            name: name.clone(),
            desired: desired.transpose()?,
        };
        up.push(target);
    }
    for target in &up {
        applier
            .check(target)
            .context(|| format!("{} could not be brought up", target.name))?;
    }
    let all: BTreeSet<_> = bounces.down.iter().chain(&bounces.up).cloned().collect();
    let none = applier.is_idle() || all.is_empty();
    let bystanders = (!none).then(Bystanders::capture);
    Ok(Prepared {
        host,
        down: steps(down, down_after(&bounces.down, &from.view.dependencies)),
        up: steps(up, up_after(&bounces.up, &to.view.dependencies)),
        first: bounces.first,
        bounced: all,
        without_file,
        bystanders,
    })
}

impl Prepared<'_> {
    /// Takes down what is to go down.
    pub fn down(&self, watch: Watch<'_>) -> Vec<StepReport> {
        let applier = TakingDown {
            applier: self.host.applier.as_ref(),
            without_file: &self.without_file,
        };
        let watch = &mut |step: &StepReport| watch(Progress::Ended(step));
        schedule::run(&applier, Verb::Down, &self.down, 0, watch)
    }

    /// Brings up what is to come up.
    pub fn up(&self, watch: Watch<'_>) -> Vec<StepReport> {
        let watch = &mut |step: &StepReport| watch(Progress::Ended(step));
        schedule::run(
            self.host.applier.as_ref(),
            Verb::Up,
            &self.up,
            self.first,
            watch,
        )
    }

    /// Sets right what the bounces did to others: guests' taps and untouched ports go back into a bridge
    /// that was made anew, and a vlan above a bounced device is brought up again.
    pub fn mend(&mut self, to: Side<'_>, watch: Watch<'_>) -> Mended {
        let mut mended = Mended::default();
        let bystanders = match self.bystanders.take() {
            Some(Ok(bystanders)) => bystanders,
            Some(Err(error)) => {
                mended.errors.push(error);
                return mended;
            }
            None => return mended,
        };
        let backend = &self.host.backend;
        let configured = |name: &InterfaceName| {
            !backend
                .configured(&[name.clone()].into(), to.files)
                .is_empty()
        };
        let keep_out =
            |port: &InterfaceName| configured(port) && !self.is_port_of_bounced(port, to.files);
        let report = bystanders.put_back(&self.bounced, &keep_out);
        mended.put_back = report.put_back;
        mended.errors = report.errors;
        mended
            .errors
            .extend(report.left_out.into_iter().map(|port| {
                let message = format!(
                    "{} was a port of {}, which is no more",
                    port.port, port.bridge
                );
                Error::failed(message)
            }));
        match bystanders.suffered(&self.bounced) {
            Ok(suffered) => {
                let names = backend.configured(&suffered.into_iter().collect(), to.files);
                mended.revived = self.revive(&names, to.files, watch, &mut mended.errors);
            }
            Err(error) => mended.errors.push(error),
        }
        mended
    }

    fn is_port_of_bounced(&self, port: &InterfaceName, files: &dyn Files) -> bool {
        let mut names = self.bounced.clone();
        names.insert(port.clone());
        let dependencies = self.host.backend.dependencies(&names, files);
        self.bounced.iter().any(|upper| {
            dependencies
                .get(upper)
                .is_some_and(|lower| lower.contains(port))
        })
    }

    fn revive(
        &self,
        names: &BTreeSet<InterfaceName>,
        files: &dyn Files,
        watch: Watch<'_>,
        errors: &mut Vec<Error>,
    ) -> Vec<StepReport> {
        let (applier, backend) = (self.host.applier.as_ref(), &self.host.backend);
        let dependencies = backend.dependencies(names, files);
        let mut targets = Vec::new();
        for name in up_order(names, &dependencies, &[]) {
            match applier
                .needs_desired()
                .then(|| backend.desired(&name, files))
                .transpose()
            {
                Ok(desired) => targets.push(Target { name, desired }),
                Err(error) => errors.push(error),
            }
        }
        let order: Vec<_> = targets.iter().map(|target| target.name.clone()).collect();
        let steps = steps(targets, up_after(&order, &dependencies));
        let watch = &mut |step: &StepReport| watch(Progress::Ended(step));
        schedule::run(applier, Verb::Up, &steps, 0, watch)
    }
}

/// Each target with the indices of those that it comes after.
pub(super) fn steps(targets: Vec<Target>, after: Vec<Vec<usize>>) -> Vec<Step> {
    let pairs = targets.into_iter().zip(after);
    pairs
        .map(|(target, after)| Step { target, after })
        .collect()
}

/// What an apply did.
#[derive(Debug)]
pub struct ApplyReport {
    /// Every step that was taken, in order.
    pub interfaces: Vec<StepReport>,
    /// What was done for interfaces that were not bounced.
    pub mended: Mended,
}

impl ApplyReport {
    /// Whether all of it worked.
    pub fn is_clean(&self) -> bool {
        self.interfaces
            .iter()
            .chain(&self.mended.revived)
            .all(|step| step.result.is_ok())
            && self.mended.errors.is_empty()
    }
}

impl Transaction<'_> {
    /// Makes the changed files the running state: takes down what the snapshot's files had configured
    /// and brings up what the present ones do, for exactly the interfaces that changed.
    ///
    /// Fails with nothing touched where an interface could not be brought up by this applier. Otherwise
    /// what failed is in the report.
    pub fn apply(
        &self,
        host: &Host,
        _unbroken: &SignalGuard,
        watch: Watch<'_>,
    ) -> Result<ApplyReport> {
        self.must_not_be_rolling_back()?;
        let snapshot = self.snapshot()?;
        let difference = difference(host, &snapshot, snapshot.quick(), &Unfinished::default())?;
        let bounces = difference.apply_bounces();
        between(host, &snapshot, &difference, |now, before| {
            let mut prepared = prepare(host, &bounces, before, now, now.view)?;
            super::applied::note(snapshot.dir(), bounces.down.iter().chain(&bounces.up))?;
            watch(Progress::Begins(&bounces));
            let mut interfaces = prepared.down(watch);
            interfaces.extend(prepared.up(watch));
            let mut mended = prepared.mend(now, watch);
            mended.errors.extend(super::limits::settle(host, self.lock));
            Ok(ApplyReport { interfaces, mended })
        })
    }
}

/// What an apply would do, and why it would be refused, if it would.
pub fn plan_apply(host: &Host, snapshot: &Snapshot) -> Result<(Difference, Option<Error>)> {
    let difference = difference(host, snapshot, snapshot.quick(), &Unfinished::default())?;
    let refused = between(host, snapshot, &difference, |now, before| {
        prepare(host, &difference.apply_bounces(), before, now, now.view).map(drop)
    });
    Ok((difference, refused.err()))
}
