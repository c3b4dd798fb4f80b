//! Limits as they are: what is recorded, where it comes from, what the kernel has and counts. Needs no lock.

use std::collections::BTreeMap;

use super::apply::plan_for;
use super::device::{Direction, Side, View};
use super::function;
use super::kernel::{Kernel, is_our_ifb};
use super::limit::Limit;
use super::record::{self, Origin, Run, Settings, Target};
use super::steps::{Present, Queue, is_our_filter, is_ours, leaves, steps};
use super::tree::FIRST;
use crate::error::Result;
use crate::state::StateDir;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::netlink::function::FunctionRate;
use crate::sys::netlink::link::Link;
use crate::sys::netlink::tc::{Action, Counters, Handle, HtbClass, Police, Qdisc};

/// One target.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What is limited.
    pub target: Target,
    /// The device; `None` where it is not there.
    pub link: Option<Link>,
    /// Whose limits they are.
    pub view: Option<View>,
    /// Where they come from; `None` for something of ncf's in the kernel that nothing is known of.
    pub origin: Option<Origin>,
    /// The limits.
    pub settings: Option<Settings>,
    /// Whether the kernel has what these ask for.
    pub agrees: bool,
    /// What the kernel has, for each side that is limited.
    pub sides: Vec<ShownSide>,
    /// What a card has for a function.
    pub rate: Option<FunctionRate>,
}

/// What the kernel has for one side of a device.
#[derive(Debug, Clone)]
pub struct ShownSide {
    /// What passes there.
    pub direction: Direction,
    /// Where it is.
    pub side: Side,
    /// The limit that is recorded for it.
    pub limit: Option<Limit>,
    /// `htb`, `police` or `ifb`.
    pub how: &'static str,
    /// What waits and how, of a shaper.
    pub classes: Vec<ShownClass>,
    /// What a policer lets pass, in bytes a second.
    pub police: Option<Police>,
    /// What it has counted, in all.
    pub counters: Counters,
}

/// One class.
#[derive(Debug, Clone)]
pub struct ShownClass {
    /// Its name.
    pub handle: Handle,
    /// What it may do.
    pub htb: HtbClass,
    /// The port that it is for.
    pub mac: Option<MacAddress>,
    /// The qdisc in it.
    pub leaf: String,
    /// What it has counted.
    pub counters: Counters,
}

/// All targets that have a limit, or the one device and its functions. Only what is recorded where the system worked
/// on is not the `running` one.
pub fn show(state: &StateDir, only: Option<&InterfaceName>, running: bool) -> Result<Vec<Shown>> {
    if !running {
        let records = record::records(state)?.into_iter();
        let records = records.filter(|it| only.is_none_or(|only| it.target.device == *only));
        return Ok(records.map(only_recorded).collect());
    }
    let mut kernel = Kernel::open()?;
    kernel.read_all()?;
    let qdiscs = kernel.socket().qdiscs()?;
    let run = Run::read(state)?;
    let records = record::records(state)?;
    let mut known: BTreeMap<Target, Option<Settings>> = BTreeMap::new();
    for applied in &run.limits {
        known.insert(applied.target.clone(), None);
    }
    for record in records {
        known.insert(record.target, Some(record.settings));
    }
    for link in kernel.links()? {
        let target = Target::device(link.name.clone());
        let wanted = only.is_none_or(|only| *only == link.name);
        if !wanted || known.contains_key(&target) || is_our_ifb(&link) {
            continue;
        }
        if only.is_some() || has_ours(&mut kernel, &qdiscs, &link)? {
            known.insert(target, None);
        }
    }
    known.retain(|target, _| only.is_none_or(|only| target.device == *only));
    known
        .into_iter()
        .map(|(target, recorded)| one(&mut kernel, &run, &qdiscs, target, recorded))
        .collect()
}

fn only_recorded(record: record::Record) -> Shown {
    Shown {
        target: record.target,
        link: None,
        view: record.settings.view,
        origin: Some(Origin::Persistent),
        settings: Some(record.settings),
        agrees: false,
        sides: Vec::new(),
        rate: None,
    }
}

/// Whether a device has something of ncf's.
fn has_ours(kernel: &mut Kernel, qdiscs: &[Qdisc], link: &Link) -> Result<bool> {
    let mut own = qdiscs.iter().filter(|qdisc| qdisc.link == link.index);
    if own.clone().any(is_ours) {
        return Ok(true);
    }
    if !own.any(|qdisc| qdisc.parent == Handle::INGRESS) {
        return Ok(false);
    }
    let filters = kernel.socket().filters(link, Handle::INGRESS_FILTERS)?;
    Ok(filters.iter().any(is_our_filter))
}

fn one(
    kernel: &mut Kernel,
    run: &Run,
    qdiscs: &[Qdisc],
    target: Target,
    recorded: Option<Settings>,
) -> Result<Shown> {
    let link = kernel.link(&target.device)?;
    let live = run.find(&target).filter(|applied| {
        link.as_ref()
            .is_some_and(|link| link.index == applied.index)
    });
    let (settings, origin) = match (live, recorded) {
        (Some(live), recorded) if live.origin != Origin::Persistent || recorded.is_none() => {
            (Some(live.settings.clone()), Some(live.origin.clone()))
        }
        (_, Some(recorded)) => (Some(recorded), Some(Origin::Persistent)),
        (_, None) => (None, None),
    };
    let mut shown = Shown {
        target,
        view: None,
        origin,
        settings,
        agrees: false,
        sides: Vec::new(),
        rate: None,
        link,
    };
    let Some(link) = shown.link.clone() else {
        return Ok(shown);
    };
    if let Some(number) = shown.target.function {
        let rates = kernel.socket().function_rates(&link)?;
        shown.rate = rates.into_iter().find(|rate| rate.function == number);
        let planned = shown
            .settings
            .as_ref()
            .and_then(|it| function::plan(&shown.target, number, &it.bandwidth).ok());
        shown.agrees = planned.is_some() && planned == shown.rate;
        return Ok(shown);
    }
    let view = shown.settings.as_ref().and_then(|it| it.view);
    let view = view.unwrap_or(View::of(&link));
    shown.view = Some(view);
    let present = kernel.present(&link)?;
    shown.agrees = agrees(kernel, shown.settings.as_ref(), &present);
    shown.sides = sides(&present, view, shown.settings.as_ref(), qdiscs);
    Ok(shown)
}

fn agrees(kernel: &mut Kernel, settings: Option<&Settings>, present: &Present) -> bool {
    let Some(settings) = settings else {
        return !present.has_ours();
    };
    // Looking must not need the right to make a policer: what is there is taken for what can be.
    let polices = matches!(our_action(present), Some(Action::Police(_)));
    let has_police = polices || (present.ifb.is_none() && kernel.has_police().unwrap_or(true));
    let plan = plan_for(settings, present, || Ok(has_police));
    let steps = plan.and_then(|plan| steps(&plan, present, settings.replace));
    steps.is_ok_and(|steps| steps.is_empty())
}

fn our_action(present: &Present) -> Option<&Action> {
    present.our_filter()?.u32.as_ref()?.action.as_ref()
}

fn sides(
    present: &Present,
    view: View,
    settings: Option<&Settings>,
    qdiscs: &[Qdisc],
) -> Vec<ShownSide> {
    let limit = |side| {
        let bandwidth = settings?.bandwidth;
        match view.direction(side) {
            Direction::Inbound => bandwidth.inbound,
            Direction::Outbound => bandwidth.outbound,
        }
    };
    let shaped = |side, how, queue: &Queue, link: &Link| ShownSide {
        direction: view.direction(side),
        side,
        limit: limit(side),
        how,
        classes: classes(queue, link, qdiscs),
        police: None,
        counters: queue_counters(queue, link, qdiscs),
    };
    let mut sides = Vec::new();
    if present.root.is_ours() {
        sides.push(shaped(Side::Egress, "htb", &present.root, &present.link));
    }
    match (our_action(present), &present.ifb) {
        (Some(Action::Redirect(_)), Some((ifb, queue))) => {
            sides.push(shaped(Side::Ingress, "ifb", queue, ifb));
        }
        (Some(Action::Police(police)), _) => sides.push(ShownSide {
            direction: view.direction(Side::Ingress),
            side: Side::Ingress,
            limit: limit(Side::Ingress),
            how: "police",
            classes: Vec::new(),
            police: Some(*police),
            counters: present
                .our_filter()
                .map_or_else(Counters::default, |it| it.counters),
        }),
        _ => {}
    }
    sides.sort_by_key(|side| side.direction == Direction::Outbound);
    sides
}

fn classes(queue: &Queue, link: &Link, qdiscs: &[Qdisc]) -> Vec<ShownClass> {
    let ports = queue.ports();
    let leaf = |handle: Handle| {
        qdiscs
            .iter()
            .find(|qdisc| qdisc.link == link.index && qdisc.parent == handle)
    };
    let shown = queue.classes.iter().filter_map(|class| {
        let inner = leaf(class.handle);
        let mut counters = class.counters;
        counters.drops += inner.map_or(0, |qdisc| qdisc.counters.drops);
        let minor = class.handle.minor();
        Some(ShownClass {
            handle: class.handle,
            htb: class.htb?,
            mac: ports
                .iter()
                .find(|(_, it)| **it == minor)
                .map(|(mac, _)| *mac),
            leaf: inner.map_or_else(|| "default".to_owned(), |qdisc| qdisc.kind.clone()),
            counters,
        })
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort_by_key(|class| class.handle);
    shown
}

/// What a shaper has counted in all: what waits and what was dropped is counted where it waits.
fn queue_counters(queue: &Queue, link: &Link, qdiscs: &[Qdisc]) -> Counters {
    let first = queue
        .classes
        .iter()
        .find(|class| class.handle.minor() == FIRST);
    let mut counters = first.map_or_else(Counters::default, |class| class.counters);
    counters.drops = 0;
    counters.overlimits = 0;
    counters.backlog = 0;
    counters.queued = 0;
    for class in leaves(queue) {
        let inner = qdiscs
            .iter()
            .find(|qdisc| qdisc.link == link.index && qdisc.parent == class.handle);
        counters.drops += class.counters.drops + inner.map_or(0, |qdisc| qdisc.counters.drops);
        counters.overlimits += class.counters.overlimits;
        counters.backlog += class.counters.backlog;
        counters.queued += class.counters.queued;
    }
    counters
}
