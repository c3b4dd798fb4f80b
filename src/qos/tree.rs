//! From limits to the qdiscs, classes and filters that hold them: values in, values out.
//!
//! What leaves a device is shaped by HTB. A device has one class; a network's bridge has a tree:
//!
//! ```text
//! htb 6e63:  ── 6e63:1  rate = average, ceil = peak
//!                 ├── 6e63:2  default: rate = average less the floors, ceil = peak
//!                 ├── 6e63:3  a port with a floor: rate = floor, ceil = peak; found by destination MAC
//!                 └── …
//! ```
//!
//! What enters it is policed (what is beyond the limit is dropped), or sent through an ifb that has a class as above,
//! so that it waits instead.
//!
//! The numbers are those that libvirt gives `tc(8)` (`src/util/virnetdevbandwidth.c`), except:
//!
//! | | libvirt | here | why |
//! |---|---|---|---|
//! | burst without one asked for | 1600 bytes | 10 ms at the rate | above some 100 Mbit/s a late timer costs more than is saved |
//! | burst asked for | as it is | not less than 1 ms at the rate, or a packet | the same |
//! | `cburst` | 1600 bytes | 10 ms at the ceiling; without a peak, the burst | the same; and a burst without a peak would do nothing |
//! | quantum | from 1 byte up | 0.1 s at the rate, from the MTU to 200000 bytes | HTB warns outside of that, and shares unfairly |
//! | burst of a policer | as it is | not less than 64 KiB | packets that are still joined are up to that large, and none would pass |
//! | peak of a policer | left out | `peakrate` | it is asked for |
//! | `overhead` of a policer | 0 | 14 bytes | the Ethernet header is off by then, but is sent |
//! | burst of the class above on a bridge | 1600 bytes | that of the default class | it would cut the bursts of all |
//! | floor | IPv4 only | every protocol | IPv6 guests have the same right |

use std::collections::{BTreeMap, BTreeSet};

use super::device::{Direction, Side, View};
use super::limit::{Bandwidth, Limit};
use super::rate::Rate;
use crate::error::{Error, Result};
use crate::sys::name::MacAddress;
use crate::sys::netlink::tc::{Handle, HtbClass, Key, Police, U32, bytes, ticks};

/// The number of the qdisc that ncf makes at a device's root: `nc` in ASCII. By it ncf knows its own.
pub const MAJOR: u16 = 0x6e63;

/// The priority of ncf's filters.
pub const PRIORITY: u16 = 0x6e63;

/// The class that a device has, and the class above all others on a bridge.
pub const FIRST: u16 = 1;

/// The class on a bridge for all that has no floor.
pub const REST: u16 = 2;

/// The first class on a bridge for a port with a floor, and the last one.
const PORTS: std::ops::RangeInclusive<u16> = 3..=0xfff;

/// Fair queues in classes are called by the class's number and this.
pub const LEAF: u16 = 0x7000;

/// Milliseconds at the rate that may go at once if nothing else is said.
const BURST_MS: u64 = 10;

/// Milliseconds at the rate below which a burst is not kept.
const LEAST_BURST_MS: u64 = 1;

/// Milliseconds at the rate that a class sends before it is another's turn.
const QUANTUM_MS: u64 = 100;

/// What HTB warns of: a larger quantum (`htb_change_class()` in `net/sched/sch_htb.c`).
const MAX_QUANTUM: u64 = 200_000;

/// An Ethernet header.
const HEADER: u32 = 14;

/// The largest packet that a policer lets pass: what is received may be many packets still joined.
const POLICE_MTU: u32 = 65_536;

/// What a device should have; `None` where ncf has no business.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// For what leaves it.
    pub egress: Option<Shaper>,
    /// For what enters it.
    pub ingress: Option<Ingress>,
}

/// How what enters a device is limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ingress {
    /// What is beyond the limit is dropped.
    Police(Police),
    /// It waits in an ifb.
    Shape(Shaper),
}

/// An HTB qdisc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shaper {
    /// The class for what no filter places.
    pub default: u16,
    /// Its classes, each after the one that it is in.
    pub classes: Vec<PlannedClass>,
}

/// A class of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedClass {
    /// Its number.
    pub minor: u16,
    /// The number of the class that it is in; 0 for none.
    pub parent: u16,
    /// What it may do.
    pub htb: HtbClass,
    /// Whether packets wait in it, and not in the classes below.
    pub is_leaf: bool,
    /// The destination that it is for.
    pub mac: Option<MacAddress>,
}

/// What a port gets whatever the other ports of its network do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct PortFloor {
    /// The port's address.
    pub mac: MacAddress,
    /// What it gets.
    pub floor: Rate,
}

/// What is limited on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The limits.
    pub bandwidth: Bandwidth,
    /// Whose they are.
    pub view: View,
    /// Whether the device is a bridge, whose ports may have floors.
    pub is_bridge: bool,
    /// The ports that have one.
    pub floors: &'a [PortFloor],
    /// Whether what enters the device waits rather than being dropped.
    pub shape: bool,
    /// The device's MTU in bytes.
    pub mtu: u32,
}

impl Wanted<'_> {
    /// What holds the limits. `taken` are the classes that ports have already: they keep them.
    ///
    /// Fails where a limit asks for what no device can do, and where floors are more than there is.
    pub fn plan(&self, taken: &BTreeMap<MacAddress, u16>) -> Result<Plan> {
        let mut plan = Plan::default();
        check_floors(&self.bandwidth, self.floors)?;
        for (direction, limit) in [
            (Direction::Inbound, self.bandwidth.inbound),
            (Direction::Outbound, self.bandwidth.outbound),
        ] {
            let Some(limit) = limit else { continue };
            let towards_guests = self.is_bridge && direction == Direction::Inbound;
            match self.view.side(direction) {
                Side::Egress if towards_guests => {
                    plan.egress = Some(tree(&limit, self.floors, taken, self.mtu)?);
                }
                Side::Egress => plan.egress = Some(flat(&limit, self.mtu)?),
                Side::Ingress if self.shape => {
                    plan.ingress = Some(Ingress::Shape(flat(&limit, self.mtu)?));
                }
                Side::Ingress => plan.ingress = Some(Ingress::Police(police(&limit)?)),
            }
        }
        Ok(plan)
    }
}

/// Checks that what is promised to ports is there: the sum of floors against the network's peak, else its average.
/// The refusal says by how much it is too much.
pub fn check_floors(network: &Bandwidth, floors: &[PortFloor]) -> Result<()> {
    if floors.is_empty() {
        return Ok(());
    }
    let Some(limit) = network.inbound.filter(|limit| limit.average().is_some()) else {
        return Err(Error::failed(
            "a floor needs a network with an inbound average",
        ));
    };
    let (what, most) = match (limit.peak(), limit.average()) {
        (Some(peak), _) => ("peak", peak),
        (None, Some(average)) => ("average", average),
        (None, None) => return Ok(()),
    };
    let sum: u64 = floors.iter().map(|port| port.floor.bytes()).sum();
    match Rate::from_bytes(sum.saturating_sub(most.bytes())) {
        None => Ok(()),
        Some(excess) => {
            let shown = Rate::from_bytes(sum).map_or_else(|| sum.to_string(), |it| it.to_string());
            Err(Error::failed(format!(
                "the floors ({shown}) are {excess} more than the network's {what} ({most})"
            )))
        }
    }
}

/// The average that a limit must have here.
fn average(limit: &Limit) -> Result<Rate> {
    limit
        .average()
        .ok_or_else(|| Error::failed("a floor alone limits nothing here: it needs a network"))
}

/// A shaper with one class.
fn flat(limit: &Limit, mtu: u32) -> Result<Shaper> {
    let class = PlannedClass {
        minor: FIRST,
        parent: 0,
        htb: class(average(limit)?, limit, mtu)?,
        is_leaf: true,
        mac: None,
    };
    Ok(Shaper {
        default: FIRST,
        classes: vec![class],
    })
}

/// A shaper with a class for each floor.
fn tree(
    limit: &Limit,
    floors: &[PortFloor],
    taken: &BTreeMap<MacAddress, u16>,
    mtu: u32,
) -> Result<Shaper> {
    let average = average(limit)?;
    let promised: u64 = floors.iter().map(|port| port.floor.bytes()).sum();
    // HTB wants some rate. With nothing left, a packet in a second keeps ARP alive.
    let left = average.bytes().saturating_sub(promised);
    let left = Rate::from_bytes(left.max(u64::from(mtu + HEADER).min(average.bytes())));
    let planned = |minor, parent, rate, limit: &Limit, mac| {
        Ok::<_, Error>(PlannedClass {
            minor,
            parent,
            htb: class(rate, limit, mtu)?,
            is_leaf: parent != 0,
            mac,
        })
    };
    let mut classes = vec![
        planned(FIRST, 0, average, limit, None)?,
        planned(REST, FIRST, left.unwrap_or(average), limit, None)?,
    ];
    // A port's own burst is that of its rate: the network's is for all.
    let ceiling = Limit::average_of(limit.most().unwrap_or(average));
    for (port, minor) in numbered(floors, taken)? {
        let mut class = planned(minor, FIRST, port.floor, &ceiling, Some(port.mac))?;
        class.htb.ceil = ceiling.average().unwrap_or(average).bytes();
        class.htb.cburst = default_burst(class.htb.ceil, mtu);
        classes.push(class);
    }
    Ok(Shaper {
        default: REST,
        classes,
    })
}

/// The ports with the numbers of their classes: the one that they have, else the lowest free one.
fn numbered<'a>(
    floors: &'a [PortFloor],
    taken: &BTreeMap<MacAddress, u16>,
) -> Result<Vec<(&'a PortFloor, u16)>> {
    let kept = floors.iter().filter_map(|port| taken.get(&port.mac));
    let mut used: BTreeSet<u16> = kept.copied().collect();
    let mut numbered = Vec::new();
    for port in floors {
        let minor = match taken.get(&port.mac) {
            Some(minor) => *minor,
            None => PORTS
                .into_iter()
                .find(|minor| !used.contains(minor))
                .ok_or_else(|| Error::failed("a network has at most 4093 ports with a floor"))?,
        };
        used.insert(minor);
        numbered.push((port, minor));
    }
    Ok(numbered)
}

/// A class with `rate` of its own and the peak and burst of `limit`.
fn class(rate: Rate, limit: &Limit, mtu: u32) -> Result<HtbClass> {
    let average = limit.average().unwrap_or(rate).bytes();
    let ceil = limit.most().unwrap_or(rate).bytes().max(rate.bytes());
    let (burst, cburst) = match limit.burst() {
        Some(burst) => {
            let asked = burst.bytes();
            if ticks(asked, average).is_none() {
                return Err(too_long(asked, average));
            }
            // A class with less than the whole rate may not be able to count all of it.
            let burst = asked
                .max(least_burst(average, mtu))
                .min(countable(rate.bytes()));
            let without_peak = burst.max(default_burst(ceil, mtu));
            let cburst = match limit.peak() {
                Some(_) => default_burst(ceil, mtu),
                None => without_peak.min(countable(ceil)),
            };
            (burst, cburst)
        }
        None => (default_burst(rate.bytes(), mtu), default_burst(ceil, mtu)),
    };
    Ok(HtbClass {
        rate: rate.bytes(),
        ceil,
        burst,
        cburst,
        quantum: quantum(rate, mtu),
    })
}

fn too_long(burst: u64, rate: u64) -> Error {
    let shown =
        |bytes| super::Size::from_bytes(bytes).map_or_else(String::new, |it| it.to_string());
    let (burst, most) = (shown(burst), shown(countable(rate) / 1024 * 1024));
    let rate = Rate::from_bytes(rate).map_or_else(String::new, |it| it.to_string());
    Error::failed(format!(
        "a burst of {burst} is too much for an average of {rate}: at most {most} are allowed"
    ))
    .hint("the kernel counts a burst as the time it takes at the average, up to 274 seconds")
}

/// The most bytes that the kernel can count at a rate.
fn countable(rate: u64) -> u64 {
    bytes(u32::MAX, rate)
}

fn least_burst(rate: u64, mtu: u32) -> u64 {
    (rate / 1000 * LEAST_BURST_MS)
        .max(u64::from(mtu + HEADER))
        .min(countable(rate))
}

fn default_burst(rate: u64, mtu: u32) -> u64 {
    let bytes = u128::from(rate) * u128::from(BURST_MS) / 1000;
    u64::try_from(bytes)
        .unwrap_or(u64::MAX)
        .max(u64::from(mtu + HEADER))
        .min(countable(rate))
}

fn quantum(rate: Rate, mtu: u32) -> u32 {
    let least = u64::from(mtu + HEADER).min(MAX_QUANTUM);
    let quantum = rate.bytes_in(QUANTUM_MS).clamp(least, MAX_QUANTUM);
    u32::try_from(quantum).unwrap_or(u32::MAX)
}

/// A policer. Without a burst it has that of libvirt: as many KiB as the average has kilobytes.
fn police(limit: &Limit) -> Result<Police> {
    let rate = average(limit)?.bytes();
    let burst = match limit.burst() {
        Some(burst) => burst.bytes(),
        None => u64::try_from(u128::from(rate) * 1024 / 1000).unwrap_or(u64::MAX),
    };
    if ticks(burst, rate).is_none() {
        return Err(too_long(burst, rate));
    }
    Ok(Police {
        index: 0,
        rate,
        burst: burst
            .max(u64::from(POLICE_MTU + HEADER))
            .min(countable(rate)),
        peak: limit.peak().map(Rate::bytes),
        mtu: POLICE_MTU,
        overhead: u16::try_from(HEADER).unwrap_or_default(),
    })
}

/// The filter that sends packets to `mac` to a class, whatever protocol they are of.
///
/// A u32 filter looks at four bytes at multiples of four from the network header; the destination's six are the
/// first of the fourteen before it.
pub fn mac_filter(mac: MacAddress, class: u16) -> U32 {
    let [first, second, low @ ..] = mac.0;
    U32 {
        keys: vec![
            Key {
                mask: 0xffff_ffff,
                value: u32::from_be_bytes(low),
                offset: -12,
            },
            Key {
                mask: 0xffff,
                value: u32::from_be_bytes([0, 0, first, second]),
                offset: -16,
            },
        ],
        class: Some(Handle::new(MAJOR, class)),
        action: None,
    }
}

/// The address and the class of such a filter.
pub fn read_mac_filter(filter: &U32) -> Option<(MacAddress, u16)> {
    let [low, high] = filter.keys.as_slice() else {
        return None;
    };
    let [_, _, first, second] = high.value.to_be_bytes();
    let [third, fourth, fifth, sixth] = low.value.to_be_bytes();
    let mac = MacAddress([first, second, third, fourth, fifth, sixth]);
    let class = filter.class?;
    let ours = mac_filter(mac, class.minor());
    (ours.keys == filter.keys && class.major() == MAJOR).then_some((mac, class.minor()))
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
