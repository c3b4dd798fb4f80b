use super::*;
use crate::qos::device::View;
use crate::qos::tree::{PortFloor, Wanted, mac_filter};
use crate::qos::{Bandwidth, Rate};
use crate::sys::netlink::tc::{ALL_PROTOCOLS, Counters, U32};

fn link(index: u32) -> Link {
    Link::for_tests(index, "x0")
}

fn nothing() -> Present {
    Present {
        link: link(7),
        root: Queue::default(),
        ingress: Queue::default(),
        ifb: None,
    }
}

fn mac(last: u8) -> MacAddress {
    MacAddress([0x52, 0x54, 0, 0, 0, last])
}

fn floor(last: u8, kilobytes: u64) -> PortFloor {
    PortFloor {
        mac: mac(last),
        floor: Rate::from_kilobytes(kilobytes).unwrap(),
    }
}

fn plan(
    inbound: &str,
    outbound: &str,
    floors: &[PortFloor],
    shape: bool,
    present: &Present,
) -> Plan {
    let limit = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
    let wanted = Wanted {
        bandwidth: Bandwidth {
            inbound: limit(inbound),
            outbound: limit(outbound),
        },
        view: View::Guest,
        is_bridge: !floors.is_empty(),
        floors,
        shape,
        mtu: 1500,
    };
    wanted.plan(&present.root.ports()).unwrap()
}

fn qdisc(kind: &str, handle: Handle, parent: Handle, default: Option<u16>) -> Qdisc {
    Qdisc {
        link: 7,
        handle,
        parent,
        kind: kind.to_owned(),
        default,
        counters: Counters::default(),
    }
}

fn filter(parent: Handle, handle: u32, u32: U32) -> Filter {
    Filter {
        parent,
        priority: PRIORITY,
        protocol: ALL_PROTOCOLS,
        handle,
        kind: "u32".to_owned(),
        u32: Some(u32),
        counters: Counters::default(),
    }
}

/// What the kernel would have after these steps.
#[allow(clippy::too_many_lines, reason = "one arm for each kind of step")]
fn after(mut present: Present, steps: &[Step]) -> Present {
    let ours = Handle::new(MAJOR, 0);
    for step in steps {
        let queue = |present: &mut Present, at: &At, act: &mut dyn FnMut(&mut Queue)| match at {
            At::Device => act(&mut present.root),
            At::Ifb => act(&mut present.ifb.as_mut().unwrap().1),
        };
        let next = u32::try_from(present.root.filters.len()).unwrap() + 0x8000_0800;
        let everything = |action| U32 {
            keys: Vec::new(),
            class: None,
            action: Some(action),
        };
        match step {
            Step::AddHtb(at, default) => queue(&mut present, at, &mut |queue| {
                *queue = Queue {
                    qdisc: Some(qdisc("htb", ours, Handle::ROOT, Some(*default))),
                    ..Queue::default()
                };
            }),
            Step::PutClass(at, minor, parent, htb) => queue(&mut present, at, &mut |queue| {
                let handle = Handle::new(MAJOR, *minor);
                queue.classes.retain(|class| class.handle != handle);
                queue.classes.push(Class {
                    handle,
                    parent: Handle::new(MAJOR, *parent),
                    htb: Some(*htb),
                    leaf: Handle::NONE,
                    counters: Counters::default(),
                });
            }),
            Step::DeleteClass(at, minor) => queue(&mut present, at, &mut |queue| {
                let handle = Handle::new(MAJOR, *minor);
                let used = queue.ports().values().any(|port| port == minor);
                assert!(!used, "a class is deleted that packets are sent to");
                queue.classes.retain(|class| class.handle != handle);
            }),
            Step::AddMacFilter(mac, minor) => {
                assert!(present.root.class(*minor).is_some());
                let filter = filter(ours, next, mac_filter(*mac, *minor));
                present.root.filters.push(filter);
            }
            Step::DeleteFilter(gone) => {
                for queue in [&mut present.root, &mut present.ingress] {
                    queue.filters.retain(|filter| filter != gone);
                }
            }
            Step::DeleteRoot => present.root = Queue::default(),
            Step::AddIfb => present.ifb = Some((link(9), Queue::default())),
            Step::DeleteIfb => {
                let redirects = present.our_filter().is_some_and(|filter| {
                    filter.u32.as_ref().unwrap().action == Some(Action::Redirect(9))
                });
                assert!(
                    !redirects,
                    "the ifb is deleted while packets are sent there"
                );
                present.ifb = None;
            }
            Step::AddIngress => {
                let parent = Handle::INGRESS;
                let qdisc = qdisc("ingress", Handle::INGRESS_FILTERS, parent, None);
                present.ingress.qdisc = Some(qdisc);
            }
            Step::DeleteIngress => present.ingress = Queue::default(),
            Step::AddPolice(police)
            | Step::FilterToPolice(_, police)
            | Step::ChangePolice(police) => {
                let action = everything(Action::Police(Police {
                    index: 5,
                    ..*police
                }));
                let filter = filter(Handle::INGRESS_FILTERS, 1, action);
                present.ingress.filters = vec![filter];
            }
            Step::AddRedirect | Step::FilterToRedirect(_) => {
                assert!(!present.ifb.as_ref().unwrap().1.classes.is_empty());
                let filter = filter(Handle::INGRESS_FILTERS, 1, everything(Action::Redirect(9)));
                present.ingress.filters = vec![filter];
            }
            Step::AddLeaf(..) => {}
        }
        // Floors are never promised twice.
        let classes = present.root.classes.iter();
        let below = classes.filter(|class| class.parent.minor() == FIRST);
        let sum: u64 = below.map(|class| class.htb.unwrap().rate).sum();
        if let Some(first) = present.root.class(FIRST) {
            assert!(sum <= first.htb.unwrap().rate.max(1_000_000), "{step}");
        }
    }
    present
}

fn go(present: Present, plan: &Plan) -> (Present, Vec<Step>) {
    let steps = steps(plan, &present, false).unwrap();
    (after(present, &steps), steps)
}

#[test]
fn a_second_time_there_is_nothing_to_do() {
    for shape in [false, true] {
        let floors = [floor(1, 100), floor(2, 200)];
        for floors in [&floors[..], &[]] {
            let planned = plan("1000,2000,64", "500", floors, shape, &nothing());
            let (present, steps) = go(nothing(), &planned);
            assert!(!steps.is_empty());
            assert_eq!(go(present, &planned).1, []);
        }
    }
}

#[test]
fn a_changed_limit_changes_classes_and_nothing_else() {
    let (present, _) = go(nothing(), &plan("1000", "", &[], false, &nothing()));
    let (_, steps) = go(present, &plan("2000,3000,64", "", &[], false, &nothing()));
    assert!(
        matches!(steps.as_slice(), [Step::PutClass(At::Device, 1, 0, _)]),
        "{steps:?}"
    );
}

#[test]
fn a_changed_policer_keeps_its_number() {
    let (present, _) = go(nothing(), &plan("", "1000", &[], false, &nothing()));
    let (_, steps) = go(present, &plan("", "2000", &[], false, &nothing()));
    let [Step::ChangePolice(police)] = steps.as_slice() else {
        panic!("{steps:?}")
    };
    assert_eq!((police.index, police.rate), (5, 2_000_000));
}

#[test]
fn from_policing_to_shaping_and_back_without_a_gap() {
    let (present, _) = go(nothing(), &plan("", "1000", &[], false, &nothing()));
    let (present, steps) = go(present, &plan("", "1000", &[], true, &nothing()));
    assert!(
        matches!(steps.last(), Some(Step::FilterToRedirect(_))),
        "{steps:?}"
    );
    let (present, steps) = go(present, &plan("", "1000", &[], false, &nothing()));
    assert!(
        matches!(
            steps.as_slice(),
            [Step::FilterToPolice(..), Step::DeleteIfb]
        ),
        "{steps:?}"
    );
    let (present, _) = go(present, &Plan::default());
    assert!(!present.has_ours());
}

#[test]
fn ports_come_and_go_and_the_others_keep_their_classes() {
    let empty = nothing();
    let (present, _) = go(
        empty.clone(),
        &plan("1000", "", &[floor(1, 100)], false, &empty),
    );
    let two = plan("1000", "", &[floor(2, 800), floor(1, 100)], false, &present);
    let (present, steps) = go(present, &two);
    assert_eq!(
        present.root.ports(),
        BTreeMap::from([(mac(1), 3), (mac(2), 4)])
    );
    let kinds: Vec<_> = steps.iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 4, "{steps:?}");
    assert!(
        matches!(steps[0], Step::PutClass(At::Device, 2, 1, _)),
        "{steps:?}"
    );
    let one = plan("1000", "", &[floor(2, 800)], false, &present);
    let (present, steps) = go(present, &one);
    assert_eq!(present.root.ports(), BTreeMap::from([(mac(2), 4)]));
    assert!(
        matches!(steps.last(), Some(Step::PutClass(At::Device, 2, 1, _))),
        "{steps:?}"
    );
}

#[test]
fn a_filter_that_somebody_deleted_comes_back() {
    let floors = [floor(1, 100)];
    let (mut present, _) = go(nothing(), &plan("1000", "", &floors, false, &nothing()));
    present.root.filters.clear();
    let (present, steps) = go(present, &plan("1000", "", &floors, false, &nothing()));
    assert_eq!(steps, [Step::AddMacFilter(mac(1), 3)]);
    assert_eq!(present.root.ports().len(), 1);
}

#[test]
fn what_somebody_else_made_stays_unless_it_is_to_be_replaced() {
    let mut present = nothing();
    present.root.qdisc = Some(qdisc("tbf", Handle::new(0x8001, 0), Handle::ROOT, None));
    present.ingress.qdisc = Some(qdisc(
        "clsact",
        Handle::INGRESS_FILTERS,
        Handle::INGRESS,
        None,
    ));
    for (inbound, outbound, word) in [("1000", "", "tbf 8001:"), ("", "1000", "clsact ffff:")] {
        let planned = plan(inbound, outbound, &[], false, &nothing());
        let why = steps(&planned, &present, false).unwrap_err();
        assert!(why.to_string().contains(word), "{why}");
        assert!(why.hints().iter().any(|hint| hint.contains("--replace")));
        steps(&planned, &present, true).unwrap();
    }
    assert_eq!(steps(&Plan::default(), &present, false).unwrap(), []);
}

#[test]
fn others_filters_stay_when_ncfs_goes() {
    let (mut present, _) = go(nothing(), &plan("", "1000", &[], false, &nothing()));
    let other = Filter {
        priority: 1,
        kind: "bpf".to_owned(),
        u32: None,
        ..present.ingress.filters[0].clone()
    };
    present.ingress.filters.push(other.clone());
    let (present, _) = go(present, &Plan::default());
    assert_eq!(present.ingress.filters, [other]);
    assert!(present.ingress.qdisc.is_some());
}
