//! What to do so that a device has what is planned: the plan compared with what the kernel has.
//!
//! What is there and ncf's own is changed in place. A class keeps its counters and what waits in it, and at no moment
//! is a device without the limit that it had:
//!
//! - a class that gets less is changed before those that get more, so that floors never are promised twice;
//! - a port's class is there before packets are sent to it, and packets no longer are before it goes;
//! - an ifb is complete before anything is sent through it; one filter changes from policing to redirecting.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::tree::{FIRST, Ingress, MAJOR, PRIORITY, Plan, PlannedClass, Shaper, read_mac_filter};
use crate::error::{Error, Result};
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::netlink::link::Link;
use crate::sys::netlink::tc::{Action, Class, Filter, Handle, HtbClass, Police, Qdisc, bytes};

/// What hangs on one end of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Queue {
    /// The qdisc; `None` for the kernel's default or none.
    pub qdisc: Option<Qdisc>,
    /// The classes in it.
    pub classes: Vec<Class>,
    /// The filters that belong to it.
    pub filters: Vec<Filter>,
}

/// What the kernel has of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The device.
    pub link: Link,
    /// For what leaves it.
    pub root: Queue,
    /// For what enters it; it has no classes.
    pub ingress: Queue,
    /// The ifb that belongs to the device, and its root.
    pub ifb: Option<(Link, Queue)>,
}

/// Which device a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The limited device.
    Device,
    /// Its ifb.
    Ifb,
}

/// One request to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Put HTB at the root, in the place of what is there.
    AddHtb(At, u16),
    /// Make a class, or change one that is there.
    PutClass(At, u16, u16, HtbClass),
    /// Give a class a fair queue.
    AddLeaf(At, u16, HtbClass),
    /// Delete a class.
    DeleteClass(At, u16),
    /// Send packets to an address to a class.
    AddMacFilter(MacAddress, u16),
    /// Delete a filter.
    DeleteFilter(Filter),
    /// Delete the root qdisc.
    DeleteRoot,
    /// Make the ifb.
    AddIfb,
    /// Delete the ifb.
    DeleteIfb,
    /// Make the ingress qdisc.
    AddIngress,
    /// Delete the ingress qdisc with all that is in it.
    DeleteIngress,
    /// Police what enters.
    AddPolice(Police),
    /// Send what enters through the ifb.
    AddRedirect,
    /// Police what the filter sent through the ifb.
    FilterToPolice(Filter, Police),
    /// Send through the ifb what the filter policed.
    FilterToRedirect(Filter),
    /// Change the policer that is there.
    ChangePolice(Police),
}

impl Step {
    /// Whether it adds what its failing would leave half-made.
    pub fn makes_new(&self) -> bool {
        matches!(self, Self::AddHtb(..) | Self::AddIfb | Self::AddIngress)
    }
}

/// Whether a qdisc is one that ncf has made at a root.
pub fn is_ours(qdisc: &Qdisc) -> bool {
    qdisc.kind == "htb" && qdisc.handle == Handle::new(MAJOR, 0)
}

/// Whether a filter at ingress is one that ncf has made.
pub fn is_our_filter(filter: &Filter) -> bool {
    filter.priority == PRIORITY && filter.kind == "u32"
}

impl Queue {
    /// Whether ncf has made it.
    pub fn is_ours(&self) -> bool {
        self.qdisc.as_ref().is_some_and(is_ours)
    }

    /// A qdisc that somebody else has put there.
    fn foreign_root(&self) -> Option<&Qdisc> {
        let qdisc = self.qdisc.as_ref()?;
        (qdisc.handle != Handle::NONE && !is_ours(qdisc)).then_some(qdisc)
    }

    /// The classes that addresses are sent to.
    pub fn ports(&self) -> BTreeMap<MacAddress, u16> {
        let filters = self.filters.iter().filter_map(|filter| filter.u32.as_ref());
        filters.filter_map(read_mac_filter).collect()
    }

    fn class(&self, minor: u16) -> Option<&Class> {
        let handle = Handle::new(MAJOR, minor);
        self.classes.iter().find(|class| class.handle == handle)
    }
}

impl Present {
    /// ncf's filter at ingress.
    pub fn our_filter(&self) -> Option<&Filter> {
        self.ingress.filters.iter().find(|it| is_our_filter(it))
    }

    /// Whether the device holds anything of ncf's.
    pub fn has_ours(&self) -> bool {
        self.root.is_ours() || self.our_filter().is_some() || self.ifb.is_some()
    }

    /// Whether something hangs at ingress that somebody else has put there.
    fn foreign_ingress(&self) -> Option<&Qdisc> {
        let qdisc = self.ingress.qdisc.as_ref()?;
        let others = self.ingress.filters.iter().any(|it| !is_our_filter(it));
        (others || qdisc.kind != "ingress").then_some(qdisc)
    }
}

/// What to do so that the device has what is planned. What somebody else has put in the way goes only with `replace`.
pub fn steps(plan: &Plan, present: &Present, replace: bool) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let name = &present.link.name;
    if plan.egress.is_some() && !replace {
        refuse(name, present.root.foreign_root(), "root")?;
    }
    if plan.ingress.is_some() && !replace {
        refuse(name, present.foreign_ingress(), "ingress")?;
    }
    // What is new comes before what goes: a limit that changes sides holds at every moment.
    if let Some(shaper) = &plan.egress {
        shape(At::Device, shaper, &present.root, &mut steps);
    }
    if let Some(ingress) = &plan.ingress {
        limit_ingress(ingress, present, &mut steps);
    }
    if plan.egress.is_none() && present.root.is_ours() {
        steps.push(Step::DeleteRoot);
    }
    if plan.ingress.is_none() {
        clear_ingress(present, &mut steps);
    }
    Ok(steps)
}

fn refuse(name: &InterfaceName, foreign: Option<&Qdisc>, place: &str) -> Result<()> {
    match foreign {
        None => Ok(()),
        Some(qdisc) => {
            let (kind, handle) = (&qdisc.kind, qdisc.handle);
            let message =
                format!("{name} has a {place} qdisc that ncf did not make: {kind} {handle}");
            Err(Error::failed(message)
                .hint(format!("'tc qdisc show dev {name}' shows it"))
                .hint("--replace puts the limit in its place"))
        }
    }
}

/// Steps for an HTB qdisc.
fn shape(at: At, shaper: &Shaper, queue: &Queue, steps: &mut Vec<Step>) {
    let fits =
        queue.is_ours() && queue.qdisc.as_ref().and_then(|it| it.default) == Some(shaper.default);
    if !fits {
        if queue.is_ours() {
            // Its default class cannot be changed.
            steps.push(Step::DeleteRoot);
        }
        steps.push(Step::AddHtb(at, shaper.default));
        for class in &shaper.classes {
            add_class(at, class, steps);
        }
        return;
    }
    let differs = |class: &&PlannedClass| {
        let present = queue.class(class.minor).and_then(|it| it.htb);
        present.is_none_or(|present| !same_class(&present, &class.htb))
    };
    let (there, new): (Vec<_>, Vec<_>) = shaper
        .classes
        .iter()
        .filter(differs)
        .partition(|class| queue.class(class.minor).is_some());
    let rate = |class: &PlannedClass| queue.class(class.minor).and_then(|it| it.htb);
    let (more, less): (Vec<_>, Vec<_>) = there
        .into_iter()
        .partition(|class| rate(class).is_some_and(|present| class.htb.rate > present.rate));
    steps.extend(less.into_iter().map(|class| put(at, class)));
    remove_ports(at, shaper, queue, steps);
    for class in new {
        add_class(at, class, steps);
    }
    steps.extend(more.into_iter().map(|class| put(at, class)));
}

fn put(at: At, class: &PlannedClass) -> Step {
    Step::PutClass(at, class.minor, class.parent, class.htb)
}

fn add_class(at: At, class: &PlannedClass, steps: &mut Vec<Step>) {
    steps.push(put(at, class));
    if class.is_leaf {
        steps.push(Step::AddLeaf(at, class.minor, class.htb));
    }
    if let Some(mac) = class.mac {
        steps.push(Step::AddMacFilter(mac, class.minor));
    }
}

/// Filters and classes of ports that are no longer planned, and filters that lead to another class.
fn remove_ports(at: At, shaper: &Shaper, queue: &Queue, steps: &mut Vec<Step>) {
    let planned: BTreeSet<_> = shaper
        .classes
        .iter()
        .filter_map(|class| class.mac.map(|mac| (mac, class.minor)))
        .collect();
    let stale = |filter: &&Filter| {
        let port = filter.u32.as_ref().and_then(read_mac_filter);
        is_our_filter(filter) && port.is_none_or(|port| !planned.contains(&port))
    };
    let filters = queue.filters.iter().filter(stale);
    steps.extend(filters.cloned().map(Step::DeleteFilter));
    let minors: BTreeSet<_> = shaper.classes.iter().map(|class| class.minor).collect();
    let classes = queue.classes.iter().map(|class| class.handle.minor());
    let stale = classes.filter(|minor| !minors.contains(minor));
    steps.extend(stale.map(|minor| Step::DeleteClass(at, minor)));
    // A class without its filter: somebody has deleted that.
    let filtered = queue.ports();
    for class in &shaper.classes {
        if let Some(mac) = class.mac
            && queue.class(class.minor).is_some()
            && filtered.get(&mac) != Some(&class.minor)
        {
            steps.push(Step::AddMacFilter(mac, class.minor));
        }
    }
}

/// Whether two classes are the same to the kernel, which counts bursts in ticks.
fn same_class(present: &HtbClass, planned: &HtbClass) -> bool {
    present.rate == planned.rate
        && present.ceil == planned.ceil
        && present.quantum == planned.quantum
        && same_burst(present.burst, planned.burst, planned.rate)
        && same_burst(present.cburst, planned.cburst, planned.ceil)
}

/// Whether two bursts are less than two ticks apart.
pub fn same_burst(present: u64, planned: u64, rate: u64) -> bool {
    present.abs_diff(planned) <= bytes(2, rate) + 1
}

fn same_police(present: &Police, planned: &Police) -> bool {
    let same_burst = same_burst(present.burst, planned.burst, planned.rate);
    let present = Police {
        index: planned.index,
        burst: planned.burst,
        ..*present
    };
    same_burst && present == *planned
}

fn limit_ingress(ingress: &Ingress, present: &Present, steps: &mut Vec<Step>) {
    let foreign = present.foreign_ingress().is_some();
    if foreign {
        steps.push(Step::DeleteIngress);
    }
    let ours = present.our_filter().filter(|_| !foreign);
    let action = ours.and_then(|filter| filter.u32.as_ref()?.action.as_ref());
    if let Ingress::Shape(shaper) = ingress {
        let none = Queue::default();
        let queue = present.ifb.as_ref().map(|(_, queue)| queue);
        if queue.is_none() {
            steps.push(Step::AddIfb);
        }
        shape(At::Ifb, shaper, queue.unwrap_or(&none), steps);
    }
    if foreign || present.ingress.qdisc.is_none() {
        steps.push(Step::AddIngress);
    }
    let ifb = present.ifb.as_ref().map(|(link, _)| link.index);
    match (ingress, ours, action) {
        (Ingress::Police(police), Some(_), Some(Action::Police(now))) => {
            if !same_police(now, police) {
                let index = now.index;
                steps.push(Step::ChangePolice(Police { index, ..*police }));
            }
        }
        (Ingress::Police(police), Some(filter), _) => {
            steps.push(Step::FilterToPolice(filter.clone(), *police));
        }
        (Ingress::Police(police), None, _) => steps.push(Step::AddPolice(*police)),
        (Ingress::Shape(_), Some(_), Some(Action::Redirect(to))) if Some(*to) == ifb => {}
        (Ingress::Shape(_), Some(filter), _) => {
            steps.push(Step::FilterToRedirect(filter.clone()));
        }
        (Ingress::Shape(_), None, _) => steps.push(Step::AddRedirect),
    }
    if matches!(ingress, Ingress::Police(_)) && present.ifb.is_some() {
        steps.push(Step::DeleteIfb);
    }
}

/// Takes away what is ncf's. The ingress qdisc stays if others use it.
fn clear_ingress(present: &Present, steps: &mut Vec<Step>) {
    if let Some(filter) = present.our_filter() {
        if present.foreign_ingress().is_some() {
            steps.push(Step::DeleteFilter(filter.clone()));
        } else {
            steps.push(Step::DeleteIngress);
        }
    }
    if present.ifb.is_some() {
        steps.push(Step::DeleteIfb);
    }
}

/// As a line for people, without the device's name.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |at: &At| if *at == At::Ifb { " on the ifb" } else { "" };
        match self {
            Self::AddHtb(at, default) => {
                write!(f, "make qdisc htb {MAJOR:x}: default {default:x}{}", on(at))
            }
            Self::PutClass(at, minor, parent, htb) => {
                write!(f, "set class {MAJOR:x}:{minor:x}")?;
                if *parent != 0 {
                    write!(f, " in {MAJOR:x}:{parent:x}")?;
                }
                let HtbClass {
                    rate, ceil, burst, ..
                } = htb;
                write!(
                    f,
                    ": rate {rate} B/s, ceil {ceil} B/s, burst {burst} B{}",
                    on(at)
                )
            }
            Self::AddLeaf(at, minor, _) => {
                write!(
                    f,
                    "share class {MAJOR:x}:{minor:x} fairly, if the kernel can{}",
                    on(at)
                )
            }
            Self::DeleteClass(at, minor) => write!(f, "delete class {MAJOR:x}:{minor:x}{}", on(at)),
            Self::AddMacFilter(mac, minor) => {
                write!(f, "send what goes to {mac} to class {MAJOR:x}:{minor:x}")
            }
            Self::DeleteFilter(filter) => {
                write!(
                    f,
                    "delete a {} filter of priority {}",
                    filter.kind, filter.priority
                )
            }
            Self::DeleteRoot => f.write_str("delete the root qdisc"),
            Self::AddIfb => f.write_str("make an ifb"),
            Self::DeleteIfb => f.write_str("delete the ifb"),
            Self::AddIngress => f.write_str("make the ingress qdisc"),
            Self::DeleteIngress => f.write_str("delete the ingress qdisc"),
            Self::AddPolice(police) | Self::FilterToPolice(_, police) => {
                write!(
                    f,
                    "police what enters: rate {} B/s, burst {} B",
                    police.rate, police.burst
                )
            }
            Self::ChangePolice(police) => {
                write!(
                    f,
                    "change the policer: rate {} B/s, burst {} B",
                    police.rate, police.burst
                )
            }
            Self::AddRedirect | Self::FilterToRedirect(_) => {
                f.write_str("send what enters through the ifb")
            }
        }
    }
}

/// The classes in which packets wait.
pub fn leaves(queue: &Queue) -> impl Iterator<Item = &Class> {
    let flat = queue.classes.len() == 1;
    queue
        .classes
        .iter()
        .filter(move |class| flat || class.handle.minor() != FIRST)
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
