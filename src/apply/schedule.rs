//! Working through a list of interfaces: several at once, each after those it depends on.
//!
//! A host with forty interfaces on DHCP would take forty times as long one by one, and all that while
//! somebody waits for it to come back. The order is data that the caller has planned; nothing
//! here knows what an interface is.
//!
//! This serves an undo, which goes on: a step begins when those before it have *ended*, well or badly. A
//! bridge whose port failed to come up is still worth having. Nor may a wrong plan leave the
//! host half done: of steps that wait for each other in a circle the first goes ahead, and an index
//! that is none is ignored.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::{Applier, Target};
use crate::error::{Error, Result};
use crate::sys::name::InterfaceName;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Take it down.
    Down,
    /// Bring it up.
    Up,
}

/// One interface, and the steps that must have ended before it begins.
#[derive(Debug, Clone)]
pub struct Step {
    /// The interface.
    pub target: Target,
    /// Indices of other steps in the same list.
    pub after: Vec<usize>,
}

/// What became of a step.
#[derive(Debug)]
pub struct StepReport {
    /// The interface.
    pub name: InterfaceName,
    /// What was asked for.
    pub verb: Verb,
    /// Whether it worked.
    pub result: Result<()>,
    /// How long it took.
    pub took: Duration,
    /// What its configuration asks for and the applier left alone, in words for the operator.
    pub notes: Vec<String>,
}

/// Runs all steps and reports them in their own order.
///
/// The leading `first` steps are the operator's path: they, and whatever they are to come after, have ended
/// before any other begins, so that nothing slows down the way back in. `on_done` is
/// called in this thread for each step as it ends.
pub fn run(
    applier: &dyn Applier,
    verb: Verb,
    steps: &[Step],
    first: usize,
    on_done: &mut dyn FnMut(&StepReport),
) -> Vec<StepReport> {
    let mut board = Board::new(steps, first);
    let mut reports: Vec<Option<StepReport>> = steps.iter().map(|_| None).collect();
    let at_once = applier.parallel().max(1);
    thread::scope(|scope| {
        let (sender, ended) = mpsc::channel();
        loop {
            while board.running < at_once {
                let Some((index, step)) = board.begin(steps) else {
                    break;
                };
                let work = worker(applier, verb, step, index, sender.clone());
                let named = thread::Builder::new().name(step.target.name.to_string());
                if named.spawn_scoped(scope, work).is_err() {
                    // No thread is to be had: this one does it.
                    worker(applier, verb, step, index, sender.clone())();
                }
            }
            if board.running == 0 {
                break;
            }
            let Ok((index, report)) = ended.recv() else {
                break;
            };
            board.end(index);
            on_done(&report);
            if let Some(place) = reports.get_mut(index) {
                *place = Some(report);
            }
        }
    });
    reports.into_iter().flatten().collect()
}

/// The work of one step, as a function to run in a thread. It always sends a report.
fn worker<'a>(
    applier: &'a dyn Applier,
    verb: Verb,
    step: &'a Step,
    index: usize,
    sender: Sender<(usize, StepReport)>,
) -> impl FnOnce() + Send + 'a {
    move || {
        let begun = Instant::now();
        let name = &step.target.name;
        let attempt = AssertUnwindSafe(|| match verb {
            Verb::Down => applier.down(&step.target),
            Verb::Up => applier.up(&step.target),
        });
        // A defect in an applier must cost one interface and not the rest of the undo.
        let result = catch_unwind(attempt).unwrap_or_else(|_| {
            let applier = applier.name();
            Err(Error::failed(format!(
                "{name}: the {applier} applier broke off (a defect in ncf)"
            )))
        });
        let report = StepReport {
            name: name.clone(),
            verb,
            result,
            took: begun.elapsed(),
            notes: notes(verb, &step.target),
        };
        // The receiver outlives all workers.
        let _ = sender.send((index, report));
    }
}

/// What an interface that came up was meant to have and does not.
fn notes(verb: Verb, target: &Target) -> Vec<String> {
    match (verb, &target.desired) {
        (Verb::Up, Some(desired)) => desired.notes.clone(),
        _ => Vec::new(),
    }
}

/// Which steps wait, run and have ended.
struct Board {
    states: Vec<State>,
    /// Whether a step is on the operator's path.
    leading: Vec<bool>,
    running: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Ended,
}

impl Board {
    fn new(steps: &[Step], first: usize) -> Self {
        let mut leading = vec![false; steps.len()];
        let mut found: Vec<usize> = (0..first.min(steps.len())).collect();
        while let Some(index) = found.pop() {
            let Some((mark, step)) = leading.get_mut(index).zip(steps.get(index)) else {
                continue;
            };
            if !std::mem::replace(mark, true) {
                found.extend(&step.after);
            }
        }
        Self {
            states: vec![State::Waiting; steps.len()],
            leading,
            running: 0,
        }
    }

    /// Takes the next step to begin. `None` if there is none, or if all that are left wait for
    /// one that runs.
    fn begin<'a>(&mut self, steps: &'a [Step]) -> Option<(usize, &'a Step)> {
        let path_done = !self.waiting_or_running_on_path();
        let mut waiting = (0..steps.len()).filter(|index| self.may_wait(*index, path_done));
        let next = match waiting.clone().find(|index| self.ready(steps, *index)) {
            Some(index) => index,
            // They wait for each other: the first goes ahead.
            None if self.running == 0 => waiting.next()?,
            None => return None,
        };
        *self.states.get_mut(next)? = State::Running;
        self.running += 1;
        Some((next, steps.get(next)?))
    }

    fn end(&mut self, index: usize) {
        if let Some(state) = self.states.get_mut(index) {
            *state = State::Ended;
            self.running = self.running.saturating_sub(1);
        }
    }

    fn waiting_or_running_on_path(&self) -> bool {
        let mut both = self.states.iter().zip(&self.leading);
        both.any(|(state, leading)| *leading && *state != State::Ended)
    }

    /// Whether the step waits, and may begin as far as the operator's path is concerned.
    fn may_wait(&self, index: usize, path_done: bool) -> bool {
        self.states.get(index) == Some(&State::Waiting)
            && (path_done || self.leading.get(index) == Some(&true))
    }

    fn ready(&self, steps: &[Step], index: usize) -> bool {
        let after = steps.get(index).map(|step| step.after.as_slice());
        after.unwrap_or_default().iter().all(|before| {
            // Itself, and what is no step, are not waited for.
            *before == index || matches!(self.states.get(*before), None | Some(State::Ended))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Notes when steps begin and end.
    #[derive(Default)]
    struct Fake {
        parallel: usize,
        events: Mutex<Vec<String>>,
        running: AtomicUsize,
        most: AtomicUsize,
    }

    impl Fake {
        fn new(parallel: usize) -> Self {
            Self {
                parallel,
                ..Self::default()
            }
        }

        fn place(&self, event: &str) -> usize {
            let events = self.events.lock().unwrap();
            let found = events.iter().position(|noted| noted == event);
            found.unwrap_or_else(|| panic!("no {event:?} in {events:?}"))
        }
    }

    impl Applier for Fake {
        fn name(&self) -> &'static str {
            "fake"
        }
        fn needs_desired(&self) -> bool {
            false
        }
        fn parallel(&self) -> usize {
            self.parallel
        }
        fn check(&self, _: &Target) -> Result<()> {
            Ok(())
        }
        fn down(&self, target: &Target) -> Result<()> {
            self.up(target)
        }
        fn up(&self, target: &Target) -> Result<()> {
            let name = target.name.as_str();
            self.events.lock().unwrap().push(format!("+{name}"));
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            self.running.fetch_sub(1, Ordering::SeqCst);
            self.events.lock().unwrap().push(format!("-{name}"));
            assert!(!name.starts_with("panic"), "as asked");
            if name.starts_with("bad") {
                Err(Error::failed("as asked"))
            } else {
                Ok(())
            }
        }
    }

    fn step(name: &str, after: &[usize]) -> Step {
        Step {
            target: Target {
                name: name.parse().unwrap(),
                desired: None,
            },
            after: after.to_vec(),
        }
    }

    fn names(reports: &[StepReport]) -> Vec<&str> {
        reports.iter().map(|report| report.name.as_str()).collect()
    }

    #[test]
    fn a_step_begins_after_those_before_it_have_ended() {
        let fake = Fake::new(8);
        let steps = [
            step("br0", &[1, 2]),
            step("eth0", &[]),
            step("bond0", &[3]),
            step("eth1", &[]),
        ];
        let mut done = 0;
        let reports = run(&fake, Verb::Up, &steps, 0, &mut |_| done += 1);
        assert_eq!(names(&reports), ["br0", "eth0", "bond0", "eth1"]);
        assert_eq!(done, 4);
        assert!(fake.place("-eth0") < fake.place("+br0"));
        assert!(fake.place("-bond0") < fake.place("+br0"));
        assert!(fake.place("-eth1") < fake.place("+bond0"));
        assert!(reports.iter().all(|report| report.result.is_ok()));
    }

    #[test]
    fn no_more_run_at_once_than_the_applier_allows() {
        for parallel in [0, 1, 3] {
            let fake = Fake::new(parallel);
            let steps: Vec<Step> = (0..9).map(|n| step(&format!("eth{n}"), &[])).collect();
            let reports = run(&fake, Verb::Down, &steps, 0, &mut |_| ());
            assert_eq!(reports.len(), 9);
            assert!(fake.most.load(Ordering::SeqCst) <= parallel.max(1));
        }
    }

    #[test]
    fn a_failure_is_reported_and_the_rest_goes_on() {
        let fake = Fake::new(2);
        let steps = [step("bad0", &[]), step("panic0", &[]), step("br0", &[0, 1])];
        let reports = run(&fake, Verb::Up, &steps, 0, &mut |_| ());
        let failed: Vec<bool> = reports
            .iter()
            .map(|report| report.result.is_err())
            .collect();
        assert_eq!(failed, [true, true, false]);
    }

    #[test]
    fn the_operators_path_has_ended_before_any_other_begins() {
        let fake = Fake::new(8);
        // br0 leads, and pulls in the port that it comes after.
        let steps = [
            step("br0", &[2]),
            step("eth0", &[]),
            step("eth1", &[]),
            step("eth2", &[]),
        ];
        run(&fake, Verb::Up, &steps, 1, &mut |_| ());
        assert!(fake.place("-eth1") < fake.place("+br0"));
        assert!(fake.place("-br0") < fake.place("+eth0"));
        assert!(fake.place("-br0") < fake.place("+eth2"));
    }

    #[test]
    fn a_wrong_plan_cannot_hang() {
        let fake = Fake::new(4);
        let steps = [
            step("a", &[1]),
            step("b", &[0]),
            step("c", &[2, 99]),
            step("d", &[0, 1]),
        ];
        for first in [0, 1, 99] {
            let reports = run(&fake, Verb::Up, &steps, first, &mut |_| ());
            assert_eq!(names(&reports), ["a", "b", "c", "d"]);
        }
        assert!(run(&fake, Verb::Up, &[], 3, &mut |_| ()).is_empty());
    }
}
