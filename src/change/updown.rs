//! One interface taken down or brought up by name, with what it is made of.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::bounce::steps;
use super::files::Present;
use super::host::Host;
use super::running::Running;
use super::tree::Tree;
use crate::apply::Target;
use crate::apply::schedule::{self, StepReport, Verb};
use crate::error::{Context, Error, Result};
use crate::iface::backend::{Card, Files};
use crate::iface::order::{down_after, down_order, up_after, up_order};
use crate::state::Lock;
use crate::sys::name::InterfaceName;
use crate::sys::signals::SignalGuard;

/// How long an interface may take to get its carrier, as in netcf.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Takes `name` down or brings it up: a bridge's or bond's ports before it, and after it on the way down; and, to
/// bring up, the lower devices of VLANs among them where those are not there yet. `ifdown` leaves lower devices up,
/// as the scripts do: others may be over them.
///
/// Fails with nothing touched where it is not configured, is part of another interface, or where the applier could not
/// bring it up. What failed after that is in the reports, in the order of the steps.
pub fn run(
    host: &Host,
    _lock: &Lock,
    verb: Verb,
    name: &InterfaceName,
    watch: &mut dyn FnMut(&StepReport),
) -> Result<Vec<StepReport>> {
    let applier = host.applier.as_ref();
    let tree = Tree::now(&host.root, &host.scope)?;
    let running = Running::of(host);
    let present = Present(&tree);
    let cards = running.cards();
    // As `Host::cards()`, of what was asked already.
    let by_name: &[Card] = if applier.needs_desired() { &cards } else { &[] };
    let files = &*host.backend.by_card(&present, by_name);
    let names = names(host, verb, name, files, &running, &cards)?;
    if applier.is_idle() {
        let message =
            format!("{name} is left alone: there is nothing to take interfaces down or up with");
        return Err(Error::failed(message).hint(
            "--applier system runs this host's ifup and ifdown, --applier builtin speaks netlink",
        ));
    }
    let dependencies = host.backend.dependencies(&names, files);
    let order = match verb {
        Verb::Up => up_order(&names, &dependencies, &[]),
        Verb::Down => down_order(&names, &dependencies, &[]),
    };
    let targets = targets(host, verb, &order, files)?;
    let after = match verb {
        Verb::Up => up_after(&order, &dependencies),
        Verb::Down => down_after(&order, &dependencies),
    };
    let _unbroken = SignalGuard::block()?;
    Ok(schedule::run(
        applier,
        verb,
        &steps(targets, after),
        0,
        watch,
    ))
}

/// Waits until `name` works. Fails where it does not in time.
pub fn wait_until_active(host: &Host, name: &InterfaceName) -> Result<()> {
    let begun = Instant::now();
    loop {
        let running = Running::of(host);
        if !running.is_known() || running.is_active(name) {
            return Ok(());
        }
        if begun.elapsed() >= PATIENCE {
            let message =
                format!("{name} has been brought up, but does not work: it has no carrier");
            return Err(Error::failed(message).hint("is the cable in, and the other side on?"));
        }
        sleep(Duration::from_millis(50));
    }
}

/// `name`, its ports and theirs, and on the way up what these need. (Down, what others may need stays.)
fn names(
    host: &Host,
    verb: Verb,
    name: &InterfaceName,
    files: &dyn Files,
    running: &Running,
    cards: &[Card],
) -> Result<BTreeSet<InterfaceName>> {
    let backend = host.backend.as_ref();
    if verb == Verb::Up && running.is_known() {
        backend.with_lower(name, files, cards, &|lower| running.carries(lower))
    } else {
        backend.with_ports(name, files, cards)
    }
}

fn targets(
    host: &Host,
    verb: Verb,
    order: &[InterfaceName],
    files: &dyn Files,
) -> Result<Vec<Target>> {
    let applier = host.applier.as_ref();
    let mut targets = Vec::new();
    for name in order {
        let desired = applier
            .needs_desired()
            .then(|| host.backend.desired(name, files));
        let desired = match (verb, desired) {
            // What cannot be understood is no reason to leave it up.
            (Verb::Down, desired) => desired.and_then(Result::ok),
            (Verb::Up, desired) => desired.transpose()?,
        };
        let target = Target {
            name: name.clone(),
            desired,
        };
        if verb == Verb::Up {
            applier
                .check(&target)
                .context(|| format!("{name} could not be brought up"))?;
        }
        targets.push(target);
    }
    Ok(targets)
}
