//! Setting, clearing and applying limits.
//!
//! All of it needs the state directory's lock. What can be checked is checked before anything is written; then the
//! record is written, then the kernel is changed, and if that fails the record is as it was before. Whoever is
//! killed in between has a record that the kernel does not have yet: `qos apply` makes them agree.

use super::device::View;
use super::function;
use super::kernel::{Kernel, is_our_ifb};
use super::limit::{Bandwidth, Change};
use super::record::{self, Applied, Origin, Record, Run, Settings, Target};
use super::steps::{Present, Step, steps};
use super::tree::{Plan, Wanted};
use crate::error::{Context as _, Error, Result};
use crate::state::{Lock, StateDir};
use crate::sys::name::InterfaceName;
use crate::sys::netlink::function::FunctionRate;
use crate::sys::netlink::link::Link;

/// Limits, with the right to change them.
pub struct Qos<'a> {
    state: &'a StateDir,
    lock: &'a Lock,
    /// `None` where the system worked on is not the running one: then only records are changed.
    kernel: Option<Kernel>,
    run: Run,
    before: Run,
    /// Whether it only tells what would be done.
    rehearsal: bool,
}

/// What is to be set. A direction that is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The limits.
    pub bandwidth: Bandwidth,
    /// Whose they are, if not as the kind of device says.
    pub view: Option<View>,
    /// Whether what enters waits rather than being dropped.
    pub shape: Option<bool>,
    /// Whether what somebody else has put in the way goes.
    pub replace: bool,
    /// Only until the device goes.
    pub transient: bool,
}

/// What became of one limit.
#[derive(Debug)]
pub struct Done {
    /// What is limited.
    pub target: Target,
    /// The limit; `None` where there is none any more.
    pub settings: Option<Settings>,
    /// What the kernel has now.
    pub state: State,
    /// What was done, as lines for people.
    pub steps: Vec<String>,
}

/// What the kernel has of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is as it should be.
    Applied,
    /// There is no such device now.
    Absent,
}

/// What is to be done to a device, found to be possible.
enum Ready {
    Device(Box<Present>, Vec<Step>),
    Function(Link, Option<FunctionRate>),
}

impl Ready {
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Device(_, steps) => steps.iter().map(ToString::to_string).collect(),
            Self::Function(_, None) => Vec::new(),
            Self::Function(_, Some(rate)) => vec![format!(
                "set function {}: at least {} Mbit/s, at most {} Mbit/s",
                rate.function, rate.min, rate.max
            )],
        }
    }

    fn link(&self) -> &Link {
        match self {
            Self::Device(present, _) => &present.link,
            Self::Function(card, _) => card,
        }
    }
}

impl<'a> Qos<'a> {
    /// Reads what was applied, and connects to the kernel if the system worked on is the `running` one.
    pub fn open(state: &'a StateDir, lock: &'a Lock, running: bool) -> Result<Self> {
        let run = Run::read(state)?;
        Ok(Self {
            state,
            lock,
            kernel: running.then(Kernel::open).transpose()?,
            before: run.clone(),
            run,
            rehearsal: false,
        })
    }

    /// From here on nothing is changed, neither in the kernel nor on disk: what would be done is returned as if it
    /// were.
    pub fn rehearse(&mut self) {
        self.rehearsal = true;
    }

    /// The record, what holds now, and what is to hold.
    fn merged(
        &mut self,
        target: &Target,
        request: &Request,
    ) -> Result<(Option<Record>, Option<Settings>, Settings)> {
        let old = record::record(self.state, target)?;
        let now = match self.live(target)? {
            Some(applied) => {
                refuse_others(&applied)?;
                Some(applied.settings)
            }
            None => old.as_ref().map(|record| record.settings.clone()),
        };
        let base = now.clone().unwrap_or_default();
        let settings = Settings {
            bandwidth: request.bandwidth.over(&base.bandwidth),
            view: request.view.or(base.view),
            shape: request.shape.unwrap_or(base.shape),
            replace: request.replace || base.replace,
            floors: base.floors,
        };
        check(target, &settings.bandwidth)?;
        Ok((old, now, settings))
    }

    /// Sets the limits of a target.
    pub fn set(&mut self, target: &Target, request: &Request) -> Result<Done> {
        let (old, now, settings) = self.merged(target, request)?;
        let ready = self.ready(target, Some(&settings))?;
        if ready.is_none() && request.transient && self.kernel.is_some() {
            return Err(absent(target));
        }
        let recorded = !request.transient && !self.rehearsal;
        if recorded {
            record::keep(self.state, self.lock, target, &settings)?;
        }
        let origin = if request.transient {
            Origin::Transient
        } else {
            Origin::Persistent
        };
        let done = self.finish(target, Some((&settings, origin)), ready);
        done.inspect_err(|_| {
            if recorded {
                let _ = match &old {
                    Some(old) => record::keep(self.state, self.lock, target, &old.settings),
                    None => record::forget(self.state, self.lock, target),
                };
            }
            self.back(target, now.as_ref());
        })
    }

    /// Applies limits that a network or a port has by its definition. They are not recorded here.
    pub fn put(&mut self, target: &Target, settings: &Settings, origin: Origin) -> Result<Done> {
        let ready = self.ready(target, Some(settings))?;
        if ready.is_none() {
            let device = &target.device;
            return Err(Error::failed(format!("there is no device {device}")));
        }
        let now = self.live(target)?.map(|applied| applied.settings);
        let done = self.finish(target, Some((settings, origin)), ready);
        done.inspect_err(|_| self.back(target, now.as_ref()))
    }

    /// What was applied to a target that is still the same device.
    pub fn applied(&mut self, target: &Target) -> Result<Option<Applied>> {
        self.live(target)
    }

    /// Fails where a target has limits that are not from `origin`: it takes only one kind.
    pub fn admit(&mut self, target: &Target, origin: &Origin) -> Result<()> {
        match self.live(target)? {
            Some(applied) if applied.origin != *origin => Err(Error::failed(format!(
                "{target} has limits already ({}), and takes only one kind",
                applied.origin
            ))
            .hint(format!("'ncf qos show {}' shows them", target.device))),
            _ => Ok(()),
        }
    }

    /// Takes limits that were applied out of the kernel, and leaves records alone. A device that is gone already is
    /// no error.
    pub fn take_away(&mut self, target: &Target) -> Result<Done> {
        let ready = self.ready(target, None)?;
        self.finish(target, None, ready)
    }

    /// Takes away limits: those of the directions that `keep` has none of, from the record, the kernel or both.
    pub fn clear(&mut self, target: &Target, inbound: bool, outbound: bool) -> Result<Done> {
        let old = record::record(self.state, target)?;
        let live = self.live(target)?;
        live.as_ref().map_or(Ok(()), refuse_others)?;
        let recorded = old.map(|record| record.settings);
        let change = Change::Clear { inbound, outbound };
        let left = |settings: &Settings| {
            let bandwidth = change.of(&settings.bandwidth);
            (!bandwidth.is_empty()).then(|| Settings {
                bandwidth,
                ..settings.clone()
            })
        };
        let (origin, now) = match (&live, &recorded) {
            (Some(live), _) => (live.origin.clone(), Some(&live.settings)),
            (None, recorded) => (Origin::Persistent, recorded.as_ref()),
        };
        let rest = now.and_then(left);
        let ready = self.ready(target, rest.as_ref())?;
        match recorded.as_ref().map(|settings| (settings, left(settings))) {
            Some((_, None)) => record::forget(self.state, self.lock, target)?,
            Some((settings, Some(left))) if left != *settings => {
                record::keep(self.state, self.lock, target, &left)?;
            }
            _ => {}
        }
        self.finish(target, rest.as_ref().map(|it| (it, origin)), ready)
    }

    /// Makes the kernel agree with what is recorded for one device and the functions of it.
    pub fn apply(&mut self, device: &InterfaceName) -> Result<Vec<(Target, Result<Done>)>> {
        let mut targets = self.targets()?;
        targets.retain(|(target, _)| target.device == *device);
        Ok(self.apply_targets(targets))
    }

    /// Makes the kernel agree with what is recorded for all devices. One that fails keeps none of the others.
    pub fn apply_all(&mut self) -> Result<Vec<(Target, Result<Done>)>> {
        let targets = self.targets()?;
        if let Some(kernel) = self.kernel.as_mut().filter(|_| targets.len() > 1) {
            kernel.read_all()?;
        }
        Ok(self.apply_targets(targets))
    }

    /// Writes down what was applied. Without it, it is still in the kernel.
    pub fn close(self) -> Result<()> {
        if self.run == self.before || self.rehearsal {
            return Ok(());
        }
        self.run.write(self.state, self.lock)
    }

    /// Everything that has a record, or had one when it was applied.
    fn targets(&self) -> Result<Vec<(Target, Option<Settings>)>> {
        let records = record::records(self.state)?;
        let mut targets: Vec<_> = records
            .into_iter()
            .map(|record| (record.target, Some(record.settings)))
            .collect();
        for applied in &self.run.limits {
            if !targets.iter().any(|(target, _)| *target == applied.target) {
                targets.push((applied.target.clone(), None));
            }
        }
        Ok(targets)
    }

    fn apply_targets(
        &mut self,
        targets: Vec<(Target, Option<Settings>)>,
    ) -> Vec<(Target, Result<Done>)> {
        let applied = targets.into_iter().map(|(target, recorded)| {
            let done = self.apply_target(&target, recorded);
            (target, done)
        });
        applied.collect()
    }

    fn apply_target(&mut self, target: &Target, recorded: Option<Settings>) -> Result<Done> {
        let live = self.live(target)?;
        let wanted = match live {
            // It has no record of its own, and holds as long as its device is there.
            Some(live) if live.origin != Origin::Persistent => Some((live.settings, live.origin)),
            _ => recorded.map(|settings| (settings, Origin::Persistent)),
        };
        let wanted = wanted.as_ref();
        let ready = self.ready(target, wanted.map(|(settings, _)| settings))?;
        let wanted = wanted.map(|(settings, origin)| (settings, origin.clone()));
        self.finish(target, wanted, ready)
    }

    /// What was applied to a target that is still the same device.
    fn live(&mut self, target: &Target) -> Result<Option<Applied>> {
        let Some(applied) = self.run.find(target).cloned() else {
            return Ok(None);
        };
        Ok(self
            .link(target)?
            .filter(|link| link.index == applied.index)
            .map(|_| applied))
    }

    fn link(&mut self, target: &Target) -> Result<Option<Link>> {
        match &mut self.kernel {
            Some(kernel) => kernel.link(&target.device),
            None => Ok(None),
        }
    }

    fn kernel(&mut self) -> Result<&mut Kernel> {
        let none = || Error::failed("the system worked on is not the running one");
        self.kernel.as_mut().ok_or_else(none)
    }

    /// Finds out what is to be done; `None` where there is no such device.
    fn ready(&mut self, target: &Target, settings: Option<&Settings>) -> Result<Option<Ready>> {
        let Some(link) = self.link(target)? else {
            return Ok(None);
        };
        if is_our_ifb(&link) {
            let message = format!("{target} is an ifb of ncf's: limit the device that it is for");
            return Err(Error::failed(message));
        }
        if let Some(function) = target.function {
            return self
                .ready_function(target, function, link, settings)
                .map(Some);
        }
        let present = self.kernel()?.present(&link)?;
        let plan = match settings {
            Some(settings) => self.plan(target, settings, &present)?,
            None => Plan::default(),
        };
        let replace = settings.is_some_and(|settings| settings.replace);
        let steps = steps(&plan, &present, replace)?;
        Ok(Some(Ready::Device(Box::new(present), steps)))
    }

    fn ready_function(
        &mut self,
        target: &Target,
        function: u32,
        card: Link,
        settings: Option<&Settings>,
    ) -> Result<Ready> {
        let none = Bandwidth::default();
        let bandwidth = settings.map_or(&none, |settings| &settings.bandwidth);
        let planned = function::plan(target, function, bandwidth)?;
        let rates = self.kernel()?.socket().function_rates(&card)?;
        let Some(now) = rates.iter().find(|rate| rate.function == function) else {
            let has = match rates.len() {
                0 => "it has none".to_owned(),
                some => format!("it has {some}, from 0"),
            };
            let name = &card.name;
            return Err(Error::failed(format!(
                "{name} has no virtual function {function}: {has}"
            )));
        };
        Ok(Ready::Function(card, (*now != planned).then_some(planned)))
    }

    /// The plan for a device. Where the kernel has no policer, what enters waits instead.
    fn plan(&mut self, target: &Target, settings: &Settings, present: &Present) -> Result<Plan> {
        plan_for(settings, present, || self.kernel()?.has_police())
            .context(|| format!("cannot limit {target}"))
    }

    /// Takes the steps and notes what was applied.
    fn finish(
        &mut self,
        target: &Target,
        wanted: Option<(&Settings, Origin)>,
        ready: Option<Ready>,
    ) -> Result<Done> {
        let settings = wanted.as_ref().map(|(settings, _)| (*settings).clone());
        let Some(ready) = ready else {
            self.run.remove(target);
            return Ok(Done {
                target: target.clone(),
                settings,
                state: State::Absent,
                steps: Vec::new(),
            });
        };
        match &ready {
            _ if self.rehearsal => {}
            Ready::Device(present, steps) => self.kernel()?.take(present, steps)?,
            Ready::Function(card, Some(rate)) => {
                self.kernel()?.socket().set_function_rate(card, *rate)?;
            }
            Ready::Function(_, None) => {}
        }
        match wanted {
            Some((settings, origin)) => self.run.put(Applied {
                target: target.clone(),
                index: ready.link().index,
                origin,
                settings: settings.clone(),
            }),
            None => self.run.remove(target),
        }
        Ok(Done {
            target: target.clone(),
            settings,
            state: State::Applied,
            steps: ready.lines(),
        })
    }

    /// Brings a target back to what it had, after a change of it has failed in the middle. The error that counts is
    /// that of the change.
    fn back(&mut self, target: &Target, settings: Option<&Settings>) {
        if let Ok(Some(Ready::Device(present, steps))) = self.ready(target, settings)
            && let Some(kernel) = &mut self.kernel
        {
            let _ = kernel.take(&present, &steps);
        }
    }
}

/// The plan for a device; `has_police` is asked only where it matters.
pub(super) fn plan_for(
    settings: &Settings,
    present: &Present,
    has_police: impl FnOnce() -> Result<bool>,
) -> Result<Plan> {
    let link = &present.link;
    let mut wanted = Wanted {
        bandwidth: settings.bandwidth,
        view: settings.view.unwrap_or(View::of(link)),
        is_bridge: link.is_bridge(),
        floors: &settings.floors,
        shape: settings.shape,
        mtu: link.mtu,
    };
    let taken = present.root.ports();
    let plan = wanted.plan(&taken)?;
    if !matches!(plan.ingress, Some(super::tree::Ingress::Police(_))) || has_police()? {
        return Ok(plan);
    }
    wanted.shape = true;
    wanted.plan(&taken)
}

/// Refuses what no single device can do, before anything is looked up.
fn check(target: &Target, bandwidth: &Bandwidth) -> Result<()> {
    if target.device.is_alias() {
        let device = target.device.device();
        let message = format!(
            "{} is an address label of {device}, not a device",
            target.device
        );
        return Err(Error::usage(message));
    }
    if target.function.is_some() {
        return Ok(());
    }
    let floor = [bandwidth.inbound, bandwidth.outbound]
        .iter()
        .flatten()
        .any(|limit| limit.floor().is_some());
    if floor {
        return Err(
            Error::failed(format!("{target} cannot keep a floor by itself")).hint(
                "floors are shared out on a network's bridge: --port sets one for a port of a network",
            ),
        );
    }
    Ok(())
}

/// Refuses to change what a network or a port has by its definition: there it would come back.
fn refuse_others(applied: &Applied) -> Result<()> {
    let device = &applied.target.device;
    let (whose, option) = match &applied.origin {
        Origin::Persistent | Origin::Transient => return Ok(()),
        Origin::Network(name) => (format!("the network {name}"), format!("--network {name}")),
        Origin::Port(name) => (format!("the port {name}"), format!("--port {name}")),
    };
    Err(
        Error::failed(format!("the limits of {device} are those of {whose}"))
            .hint(format!("give {option} in the place of {device}")),
    )
}

fn absent(target: &Target) -> Error {
    Error::failed(format!("there is no device {}", target.device))
        .hint("without --transient, the limit is kept and applied when the device appears")
}
