use super::*;

const MTU: u32 = 1500;

fn bandwidth(inbound: &str, outbound: &str) -> Bandwidth {
    let limit = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
    Bandwidth {
        inbound: limit(inbound),
        outbound: limit(outbound),
    }
}

fn wanted(inbound: &str, outbound: &str) -> Wanted<'static> {
    Wanted {
        bandwidth: bandwidth(inbound, outbound),
        view: View::Guest,
        is_bridge: false,
        floors: &[],
        shape: false,
        mtu: MTU,
    }
}

fn port(last: u8, kilobytes: u64) -> PortFloor {
    PortFloor {
        mac: MacAddress([0x52, 0x54, 0, 0, 0, last]),
        floor: Rate::from_kilobytes(kilobytes).unwrap(),
    }
}

fn only_class(plan: &Plan) -> HtbClass {
    plan.egress.as_ref().unwrap().classes[0].htb
}

#[test]
fn rate_ceil_and_burst_are_those_of_libvirt() {
    let plan = wanted("1000,2000,512", "").plan(&BTreeMap::new()).unwrap();
    let class = only_class(&plan);
    assert_eq!((class.rate, class.ceil), (1_000_000, 2_000_000));
    assert_eq!(class.burst, 512 * 1024);
    assert_eq!(plan.ingress, None);
}

#[test]
fn a_policer_has_the_peak_and_lets_joined_packets_pass() {
    let plan = wanted("", "1000,2000,512").plan(&BTreeMap::new()).unwrap();
    let Some(Ingress::Police(police)) = plan.ingress else {
        panic!("{plan:?}")
    };
    assert_eq!((police.rate, police.peak), (1_000_000, Some(2_000_000)));
    assert_eq!((police.burst, police.overhead), (512 * 1024, 14));
    let plan = wanted("", "1000,,1").plan(&BTreeMap::new()).unwrap();
    let Some(Ingress::Police(police)) = plan.ingress else {
        panic!("{plan:?}")
    };
    assert!(police.burst >= 65_536);
}

#[test]
fn the_view_turns_the_sides_round() {
    let turned = Wanted {
        view: View::Host,
        shape: true,
        ..wanted("1000", "2000")
    };
    let plan = turned.plan(&BTreeMap::new()).unwrap();
    assert_eq!(only_class(&plan).rate, 2_000_000);
    let Some(Ingress::Shape(shaper)) = plan.ingress else {
        panic!("{plan:?}")
    };
    assert_eq!(shaper.classes[0].htb.rate, 1_000_000);
}

#[test]
fn the_quantum_stays_where_htb_does_not_warn() {
    for (text, quantum) in [("1", 1514), ("1000", 100_000), ("1000000", 200_000)] {
        let plan = wanted(text, "").plan(&BTreeMap::new()).unwrap();
        assert_eq!(only_class(&plan).quantum, quantum, "{text}");
    }
}

#[test]
fn every_rate_there_is_can_be_counted() {
    for text in [
        "8bit",
        "1",
        "4294967295",
        "4294967295,4294967295,4294967295",
    ] {
        for (inbound, outbound) in [(text, ""), ("", text)] {
            let plan = wanted(inbound, outbound).plan(&BTreeMap::new()).unwrap();
            let shaped = Wanted {
                shape: true,
                ..wanted(inbound, outbound)
            };
            shaped.plan(&BTreeMap::new()).unwrap();
            if let Some(shaper) = plan.egress {
                let class = shaper.classes[0].htb;
                assert!(ticks(class.burst, class.rate).is_some(), "{class:?}");
                assert!(ticks(class.cburst, class.ceil).is_some(), "{class:?}");
            }
        }
    }
    let why = wanted("1,2,4294967295", "")
        .plan(&BTreeMap::new())
        .unwrap_err();
    assert!(why.to_string().contains("at most 268 KiB"), "{why}");
}

#[test]
fn a_burst_without_a_peak_goes_at_the_speed_of_the_device() {
    let plan = wanted("1000,,512", "").plan(&BTreeMap::new()).unwrap();
    let class = only_class(&plan);
    assert_eq!((class.ceil, class.cburst), (1_000_000, 512 * 1024));
}

#[test]
fn the_rest_gets_what_the_floors_leave() {
    let floors = [port(1, 200), port(2, 300)];
    let wanted = Wanted {
        is_bridge: true,
        floors: &floors,
        ..wanted("1000,2000", "")
    };
    let shaper = wanted.plan(&BTreeMap::new()).unwrap().egress.unwrap();
    assert_eq!(shaper.default, REST);
    let classes: Vec<_> = shaper
        .classes
        .iter()
        .map(|it| (it.minor, it.parent, it.htb.rate / 1000, it.htb.ceil / 1000))
        .collect();
    assert_eq!(
        classes,
        [
            (1, 0, 1000, 2000),
            (2, 1, 500, 2000),
            (3, 1, 200, 2000),
            (4, 1, 300, 2000)
        ]
    );
}

#[test]
fn a_port_keeps_its_class() {
    let floors = [port(1, 200), port(2, 300), port(3, 100)];
    let taken = BTreeMap::from([(port(2, 0x1).mac, 3)]);
    let minors: Vec<_> = numbered(&floors, &taken)
        .unwrap()
        .iter()
        .map(|(port, minor)| (port.mac.0[5], *minor))
        .collect();
    assert_eq!(minors, [(1, 4), (2, 3), (3, 5)]);
}

#[test]
fn floors_are_not_promised_twice() {
    let floors = [port(1, 600), port(2, 600)];
    let why = check_floors(&bandwidth("1000", ""), &floors).unwrap_err();
    assert_eq!(
        why.to_string(),
        "the floors (9.6 Mbit/s) are 1.6 Mbit/s more than the network's average (8 Mbit/s)"
    );
    check_floors(&bandwidth("1000,1200", ""), &floors).unwrap();
    assert!(check_floors(&bandwidth("1000,1199", ""), &floors).is_err());
    assert!(check_floors(&bandwidth("", "1000"), &floors).is_err());
    check_floors(&bandwidth("", ""), &[]).unwrap();
}

#[test]
fn when_all_is_promised_the_rest_still_gets_a_packet_through() {
    let floors = [port(1, 1000)];
    let wanted = Wanted {
        is_bridge: true,
        floors: &floors,
        ..wanted("1000", "")
    };
    let shaper = wanted.plan(&BTreeMap::new()).unwrap().egress.unwrap();
    assert_eq!(shaper.classes[1].htb.rate, 1514);
}

#[test]
fn a_filter_for_an_address_is_known_again() {
    let mac = MacAddress([0x52, 0x54, 0x00, 0xab, 0xcd, 0xef]);
    let filter = mac_filter(mac, 7);
    assert_eq!(read_mac_filter(&filter), Some((mac, 7)));
    let mut other = filter;
    other.keys[0].offset = 0;
    assert_eq!(read_mac_filter(&other), None);
}
