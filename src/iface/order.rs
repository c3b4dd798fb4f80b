//! The order in which interfaces come up and go down. Pure.
//!
//! Lower devices come before upper ones, and where nothing is said about two interfaces, the name decides, so that
//! the same change always runs in the same order. Names are compared as people count: `eth2` before
//! `eth10`.
//!
//! Configuration can be wrong in a circle (a bridge that is a port of its own port). A rollback must
//! still bring every interface up, so a circle is never an error: one of its edges is left out, always the same
//! one, and no name is lost. Edges that are in no circle always hold.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::backend::Dependencies;
use crate::sys::name::InterfaceName;

/// The order in which `names` come up.
///
/// The interfaces of `first`, the path that the operator's session runs over, and all that they depend
/// on come before everything else. Dependencies on what is not in `names` are ignored.
pub fn up_order(
    names: &BTreeSet<InterfaceName>,
    deps: &Dependencies,
    first: &[InterfaceName],
) -> Vec<InterfaceName> {
    let mut graph = Graph::new(names, deps);
    graph.break_circles();
    graph.sorted(&closure(first, deps))
}

/// The order in which `names` go down: the reverse of [`up_order`], so that the operator's interface is
/// gone for the shortest time.
pub fn down_order(
    names: &BTreeSet<InterfaceName>,
    deps: &Dependencies,
    first: &[InterfaceName],
) -> Vec<InterfaceName> {
    let mut order = up_order(names, deps, first);
    order.reverse();
    order
}

/// For each step of an [`up_order`], the indices of the steps that must have ended before it begins,
/// all of them lower than its own.
pub fn up_after(order: &[InterfaceName], deps: &Dependencies) -> Vec<Vec<usize>> {
    let index = index(order);
    order
        .iter()
        .enumerate()
        .map(|(step, name)| {
            let lower = deps.get(name).into_iter().flatten();
            let mut after: Vec<usize> = lower
                .filter_map(|name| index.get(name).copied())
                .filter(|before| *before < step)
                .collect();
            after.sort_unstable();
            after
        })
        .collect()
}

/// For each step of a [`down_order`], the indices of the steps that must have ended before it begins:
/// those of the interfaces that depend on it.
pub fn down_after(order: &[InterfaceName], deps: &Dependencies) -> Vec<Vec<usize>> {
    let index = index(order);
    let mut after = vec![Vec::new(); order.len()];
    for (step, name) in order.iter().enumerate() {
        for lower in deps.get(name).into_iter().flatten() {
            if let Some(at) = index.get(lower).copied().filter(|at| *at > step)
                && let Some(list) = after.get_mut(at)
            {
                list.push(step);
            }
        }
    }
    after
}

fn index(order: &[InterfaceName]) -> BTreeMap<&InterfaceName, usize> {
    order
        .iter()
        .enumerate()
        .map(|(at, name)| (name, at))
        .collect()
}

/// The `names` and all that they depend on, directly or not.
pub fn closure(names: &[InterfaceName], deps: &Dependencies) -> BTreeSet<InterfaceName> {
    let mut found: BTreeSet<InterfaceName> = names.iter().cloned().collect();
    let mut to_visit: Vec<_> = names.iter().collect();
    while let Some(name) = to_visit.pop() {
        for lower in deps.get(name).into_iter().flatten() {
            if found.insert(lower.clone()) {
                to_visit.push(lower);
            }
        }
    }
    found
}

/// Compares names as people count: a run of digits is a number. Equal only for equal names.
pub fn natural(a: &InterfaceName, b: &InterfaceName) -> Ordering {
    let (whole_a, whole_b) = (a.as_str().as_bytes(), b.as_str().as_bytes());
    let (mut a, mut b) = (whole_a, whole_b);
    loop {
        let (Some((head_a, tail_a)), Some((head_b, tail_b))) = (a.split_first(), b.split_first())
        else {
            return a.len().cmp(&b.len()).then_with(|| whole_a.cmp(whole_b));
        };
        if head_a.is_ascii_digit() && head_b.is_ascii_digit() {
            let (number_a, rest_a) = take_number(a);
            let (number_b, rest_b) = take_number(b);
            match number_a.cmp(&number_b) {
                Ordering::Equal => (a, b) = (rest_a, rest_b),
                unequal => return unequal,
            }
        } else if head_a == head_b {
            (a, b) = (tail_a, tail_b);
        } else {
            return head_a.cmp(head_b);
        }
    }
}

/// The number that `text` begins with (a name's 15 digits fit), and what follows.
fn take_number(text: &[u8]) -> (u64, &[u8]) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = text.iter().take(digits).fold(0_u64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    (value, text.get(digits..).unwrap_or_default())
}

/// The interfaces in natural order, by index, with their edges among themselves.
struct Graph<'a> {
    names: Vec<&'a InterfaceName>,
    /// For each interface the ones below it, ascending.
    lower: Vec<Vec<usize>>,
}

/// How far the search for circles is with an interface.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Not,
    Open,
    Done,
}

impl<'a> Graph<'a> {
    fn new(names: &'a BTreeSet<InterfaceName>, deps: &Dependencies) -> Self {
        let mut names: Vec<_> = names.iter().collect();
        names.sort_by(|a, b| natural(a, b));
        let index: BTreeMap<_, _> = names
            .iter()
            .enumerate()
            .map(|(at, name)| (*name, at))
            .collect();
        let lower = names
            .iter()
            .map(|name| {
                let lower = deps.get(*name).into_iter().flatten();
                let mut lower: Vec<_> = lower.filter_map(|it| index.get(it).copied()).collect();
                lower.sort_unstable();
                lower
            })
            .collect();
        Self { names, lower }
    }

    /// Leaves out the edges that close a circle, as a search in natural order meets them.
    ///
    /// The search keeps its own stack: a chain of ten thousand interfaces is no reason to run out of ours.
    fn break_circles(&mut self) {
        let mut visits = vec![Visit::Not; self.names.len()];
        let mut closing: Vec<(usize, usize)> = Vec::new();
        for start in 0..self.names.len() {
            if visits.get(start) != Some(&Visit::Not) {
                continue;
            }
            let mut stack = vec![(start, 0)];
            set(&mut visits, start, Visit::Open);
            while let Some((node, next)) = stack.last_mut() {
                let node = *node;
                let Some(below) = self.lower.get(node).and_then(|it| it.get(*next)).copied() else {
                    set(&mut visits, node, Visit::Done);
                    stack.pop();
                    continue;
                };
                *next += 1;
                match visits.get(below) {
                    Some(Visit::Not) => {
                        set(&mut visits, below, Visit::Open);
                        stack.push((below, 0));
                    }
                    Some(Visit::Open) => closing.push((node, below)),
                    Some(Visit::Done) | None => {}
                }
            }
        }
        for (node, below) in closing {
            if let Some(lower) = self.lower.get_mut(node) {
                lower.retain(|it| *it != below);
            }
        }
    }

    /// Lower before upper, then what is `urgent` and on the way to it, then by name.
    fn sorted(&self, urgent: &BTreeSet<InterfaceName>) -> Vec<InterfaceName> {
        let mut upper = vec![Vec::new(); self.names.len()];
        let mut missing: Vec<usize> = Vec::with_capacity(self.names.len());
        for (node, lower) in self.lower.iter().enumerate() {
            missing.push(lower.len());
            for below in lower {
                if let Some(list) = upper.get_mut(*below) {
                    list.push(node);
                }
            }
        }
        let waits = |node: usize| !self.names.get(node).is_some_and(|it| urgent.contains(*it));
        let mut ready: BinaryHeap<Reverse<(bool, usize)>> = missing
            .iter()
            .enumerate()
            .filter(|(_, missing)| **missing == 0)
            .map(|(node, _)| Reverse((waits(node), node)))
            .collect();
        let mut order = Vec::with_capacity(self.names.len());
        while let Some(Reverse((_, node))) = ready.pop() {
            order.extend(self.names.get(node).map(|name| (*name).clone()));
            for above in upper.get(node).into_iter().flatten() {
                if let Some(missing) = missing.get_mut(*above) {
                    *missing -= 1;
                    if *missing == 0 {
                        ready.push(Reverse((waits(*above), *above)));
                    }
                }
            }
        }
        order
    }
}

fn set(visits: &mut [Visit], at: usize, to: Visit) {
    if let Some(visit) = visits.get_mut(at) {
        *visit = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> InterfaceName {
        text.parse().unwrap()
    }

    fn set_of(names: &str) -> BTreeSet<InterfaceName> {
        names.split_whitespace().map(name).collect()
    }

    fn deps(edges: &[(&str, &str)]) -> Dependencies {
        let mut deps = Dependencies::new();
        for (upper, lower) in edges {
            deps.entry(name(upper)).or_default().insert(name(lower));
        }
        deps
    }

    fn up(names: &str, edges: &[(&str, &str)], first: Option<&str>) -> String {
        let first: Vec<_> = first.into_iter().map(name).collect();
        let order = up_order(&set_of(names), &deps(edges), &first);
        let order: Vec<_> = order.iter().map(InterfaceName::as_str).collect();
        order.join(" ")
    }

    #[test]
    fn lower_devices_come_first_and_then_names_in_natural_order() {
        assert_eq!(up("eth10 eth2 eth1", &[], None), "eth1 eth2 eth10");
        assert_eq!(
            up(
                "bond0.5 bond0 br0 eth0 eth1 eth0:1",
                &[
                    ("bond0.5", "bond0"),
                    ("bond0", "eth1"),
                    ("br0", "bond0.5"),
                    ("eth0:1", "eth0"),
                    ("eth0", "gone"),
                ],
                None
            ),
            "eth0 eth0:1 eth1 bond0 bond0.5 br0"
        );
    }

    #[test]
    fn the_operators_path_comes_before_all_else() {
        let edges = [("br9", "eth9"), ("br0", "eth0")];
        let order = up("br0 br9 eth0 eth9 lo", &edges, Some("br9"));
        assert_eq!(order, "eth9 br9 eth0 br0 lo");
        let order = up("br0 eth9", &edges, Some("br9"));
        assert_eq!(order, "eth9 br0");
    }

    #[test]
    fn circles_lose_no_name_and_no_other_edge() {
        let edges = [
            ("a", "b"),
            ("b", "c"),
            ("c", "a"),
            ("0", "a"),
            ("c", "z"),
            ("s", "s"),
        ];
        assert_eq!(up("0 a b c s z", &edges, None), "s z c b a 0");
        assert_eq!(up("0 a b c s z", &edges, Some("a")), "z c b a 0 s");
    }

    #[test]
    fn down_is_up_reversed_and_the_steps_agree() {
        let names = set_of("br0 eth0 eth1");
        let deps = deps(&[("br0", "eth0"), ("br0", "eth1")]);
        let order = up_order(&names, &deps, &[]);
        assert_eq!(up_after(&order, &deps), [vec![], vec![], vec![0, 1]]);
        let down = down_order(&names, &deps, &[]);
        assert!(down.iter().eq(order.iter().rev()));
        assert_eq!(down_after(&down, &deps), [vec![], vec![0], vec![0]]);
    }

    #[test]
    fn natural_order_is_total() {
        for (a, b) in [
            ("eth2", "eth10"),
            ("eth", "eth0"),
            ("eth01", "eth1"),
            ("eth1", "eth01a"),
        ] {
            assert_eq!(natural(&name(a), &name(b)), Ordering::Less, "{a} {b}");
            assert_eq!(natural(&name(b), &name(a)), Ordering::Greater, "{b} {a}");
        }
        assert_eq!(natural(&name("eth1"), &name("eth1")), Ordering::Equal);
    }

    #[test]
    fn a_long_chain_does_not_exhaust_the_stack() {
        let names: BTreeSet<_> = (0..20_000).map(|at| name(&format!("v{at}"))).collect();
        let deps: Dependencies = (0..19_999)
            .map(|at| {
                (
                    name(&format!("v{at}")),
                    BTreeSet::from([name(&format!("v{}", at + 1))]),
                )
            })
            .collect();
        let order = up_order(&names, &deps, &[]);
        assert_eq!(order.len(), 20_000);
        assert_eq!(order[0], name("v19999"));
    }
}
