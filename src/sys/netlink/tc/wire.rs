//! The attributes of HTB, fair queues, policers, mirrors and u32 filters, as the kernel lays them out.
//!
//! `netlink-packet-route` knows the messages of traffic control but not these. Numbers and structures are those of
//! `<linux/pkt_sched.h>`, `<linux/pkt_cls.h>`, `<linux/gen_stats.h>` and `<linux/tc_act/tc_mirred.h>`; numbers
//! are in the host's byte order except where a packet's bytes are compared.

use super::super::raw::{Attributes, attributes, find, text, u32_at, u64_at};
use super::handle::{self, Handle, ticks};
use super::{Action, Counters, HtbClass, Key, Police, U32};
use crate::error::{Error, Result};

pub(super) const TCA_KIND: u16 = 1;
pub(super) const TCA_OPTIONS: u16 = 2;
const TCA_STATS2: u16 = 7;

const TCA_HTB_PARMS: u16 = 1;
const TCA_HTB_INIT: u16 = 2;
const TCA_HTB_RATE64: u16 = 6;
const TCA_HTB_CEIL64: u16 = 7;

const TCA_FQ_CODEL_TARGET: u16 = 1;
const TCA_FQ_CODEL_INTERVAL: u16 = 3;

const TCA_U32_CLASSID: u16 = 1;
const TCA_U32_SEL: u16 = 5;
const TCA_U32_POLICE: u16 = 6;
const TCA_U32_ACT: u16 = 7;
const TC_U32_TERMINAL: u8 = 1;

pub(super) const TCA_ACT_TAB: u16 = 1;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_ACT_INDEX: u16 = 3;
const TCA_ACT_STATS: u16 = 4;

const TCA_POLICE_TBF: u16 = 1;
const TCA_POLICE_RATE: u16 = 2;
const TCA_POLICE_PEAKRATE: u16 = 3;
const TCA_POLICE_RATE64: u16 = 8;
const TCA_POLICE_PEAKRATE64: u16 = 9;

const TCA_MIRRED_PARMS: u16 = 2;
const TCA_EGRESS_REDIR: u32 = 1;

const TC_ACT_SHOT: u32 = 2;
const TC_ACT_STOLEN: u32 = 4;

const TCA_STATS_BASIC: u16 = 1;
const TCA_STATS_QUEUE: u16 = 3;
const TCA_STATS_PKT64: u16 = 8;

/// `TC_LINKLAYER_ETHERNET`: sizes are counted as they are, and HTB needs no rate table.
const ETHERNET: u8 = 1;

/// Bytes of `struct tc_ratespec`.
const RATESPEC: usize = 12;

/// Where `rate` is in `struct tc_police`, and where `overhead` is in `struct tc_ratespec`.
const POLICE_RATE: usize = 20;
const OVERHEAD: usize = 2;

/// Entries of a rate table (`TC_RTAB_SIZE` is their bytes).
const TABLE: u32 = 256;

/// `struct tc_ratespec`. A rate of more than 32 bits is told apart in an attribute of its own.
fn ratespec(rate: u64, cell_log: u8, overhead: u16) -> [u8; RATESPEC] {
    let mut spec = [0; RATESPEC];
    let rate = u32::try_from(rate).unwrap_or(u32::MAX);
    let fields = [cell_log, ETHERNET];
    let bytes = fields
        .into_iter()
        .chain(overhead.to_ne_bytes())
        .chain((-1_i16).to_ne_bytes())
        .chain([0; 2])
        .chain(rate.to_ne_bytes());
    for (to, from) in spec.iter_mut().zip(bytes) {
        *to = from;
    }
    spec
}

/// A rate from a `struct tc_ratespec` and the attribute for long ones.
fn rate_of(spec: &[u8], long: Option<&[u8]>) -> Option<u64> {
    let long = long.and_then(|value| u64_at(value, 0));
    long.or(u32_at(spec, 8).map(u64::from))
}

/// Adds the attribute for a rate that does not fit into 32 bits.
fn with_long(attributes: Attributes, kind: u16, rate: u64) -> Attributes {
    if u32::try_from(rate).is_ok() {
        attributes
    } else {
        attributes.with_u64(kind, rate)
    }
}

fn too_long(what: &str, bytes: u64, rate: u64) -> Error {
    let most = handle::bytes(u32::MAX, rate);
    Error::failed(format!(
        "a {what} of {bytes} bytes is too much for {rate} bytes a second: at most {most} bytes are allowed"
    ))
}

/// Options of an HTB qdisc whose unclassified packets go to the class `default`.
pub(super) fn htb(default: u16) -> Attributes {
    // struct tc_htb_glob: version, rate2quantum, defcls, debug, direct_pkts.
    let glob = [3, 10, u32::from(default), 0, 0];
    let glob: Vec<u8> = glob.iter().flat_map(|it: &u32| it.to_ne_bytes()).collect();
    Attributes::default().with(TCA_HTB_INIT, &glob)
}

/// The default class of an HTB qdisc.
pub(super) fn read_htb(options: &[u8]) -> Option<u16> {
    let default = u32_at(find(options, TCA_HTB_INIT)?, 8)?;
    u16::try_from(default).ok()
}

/// Options of an HTB class. Fails where a burst is more than the kernel can count.
pub(super) fn htb_class(class: &HtbClass) -> Result<Attributes> {
    let buffer =
        ticks(class.burst, class.rate).ok_or_else(|| too_long("burst", class.burst, class.rate))?;
    let cbuffer = ticks(class.cburst, class.ceil)
        .ok_or_else(|| too_long("burst", class.cburst, class.ceil))?;
    let mut parms = Vec::new();
    parms.extend(ratespec(class.rate, 0, 0));
    parms.extend(ratespec(class.ceil, 0, 0));
    // buffer, cbuffer, quantum, level, prio.
    for number in [buffer, cbuffer, class.quantum, 0, 0] {
        parms.extend(number.to_ne_bytes());
    }
    let options = Attributes::default().with(TCA_HTB_PARMS, &parms);
    let options = with_long(options, TCA_HTB_RATE64, class.rate);
    Ok(with_long(options, TCA_HTB_CEIL64, class.ceil))
}

/// An HTB class from its options.
pub(super) fn read_htb_class(options: &[u8]) -> Option<HtbClass> {
    let parms = find(options, TCA_HTB_PARMS)?;
    let rate = rate_of(parms, find(options, TCA_HTB_RATE64))?;
    let ceil = rate_of(parms.get(RATESPEC..)?, find(options, TCA_HTB_CEIL64))?;
    let number = |index: usize| u32_at(parms, 2 * RATESPEC + 4 * index);
    Some(HtbClass {
        rate,
        ceil,
        burst: handle::bytes(number(0)?, rate),
        cburst: handle::bytes(number(1)?, ceil),
        quantum: number(2)?,
    })
}

/// Options of `fq_codel`, times in microseconds.
pub(super) fn fq_codel(target: u32, interval: u32) -> Attributes {
    Attributes::default()
        .with_u32(TCA_FQ_CODEL_TARGET, target)
        .with_u32(TCA_FQ_CODEL_INTERVAL, interval)
}

/// Options of `sfq`: `struct tc_sfq_qopt`, of which only the seconds between two choices of the hash are set.
pub(super) fn sfq(perturb: u32) -> Vec<u8> {
    // quantum, perturb_period, limit, divisor, flows.
    let options = [0, perturb, 0, 0, 0];
    options
        .iter()
        .flat_map(|it: &u32| it.to_ne_bytes())
        .collect()
}

/// Options of a policer. Fails where its burst is more than the kernel can count.
pub(super) fn police(police: &Police) -> Result<Attributes> {
    let burst = ticks(police.burst, police.rate)
        .ok_or_else(|| too_long("burst", police.burst, police.rate))?;
    let cell_log = cell_log(police.mtu);
    let peak = police.peak.unwrap_or(0);
    let mut tbf = Vec::new();
    // index, action, limit, burst, mtu.
    for number in [police.index, TC_ACT_SHOT, 0, burst, police.mtu] {
        tbf.extend(number.to_ne_bytes());
    }
    tbf.extend(ratespec(police.rate, cell_log, police.overhead));
    let peak_log = if peak == 0 { 0 } else { cell_log };
    tbf.extend(ratespec(peak, peak_log, police.overhead));
    // refcnt, bindcnt, capab.
    tbf.extend([0; 12]);
    let options = Attributes::default()
        .with(TCA_POLICE_TBF, &tbf)
        .with(TCA_POLICE_RATE, &table(police.rate, cell_log));
    let options = with_long(options, TCA_POLICE_RATE64, police.rate);
    Ok(match police.peak {
        Some(peak) => with_long(
            options.with(TCA_POLICE_PEAKRATE, &table(peak, cell_log)),
            TCA_POLICE_PEAKRATE64,
            peak,
        ),
        None => options,
    })
}

/// How many bits a packet's size is shifted by to find its entry in a rate table.
fn cell_log(mtu: u32) -> u8 {
    let mut log = 0;
    while mtu >> log >= TABLE {
        log += 1;
    }
    log
}

/// A rate table. Since Linux 3.8 the kernel computes from the rate itself, but a policer without a table is refused
/// (`tcf_police_init()` in `net/sched/act_police.c`).
fn table(rate: u64, cell_log: u8) -> Vec<u8> {
    let sizes = (1..=TABLE).map(|cell| u64::from(cell) << cell_log);
    sizes
        .flat_map(|size| ticks(size, rate).unwrap_or(u32::MAX).to_ne_bytes())
        .collect()
}

fn read_police(options: &[u8]) -> Option<Police> {
    let tbf = find(options, TCA_POLICE_TBF)?;
    let spec = tbf.get(POLICE_RATE..)?;
    let rate = rate_of(spec, find(options, TCA_POLICE_RATE64))?;
    let peak = rate_of(spec.get(RATESPEC..)?, find(options, TCA_POLICE_PEAKRATE64))?;
    let overhead = spec.get(OVERHEAD..)?.first_chunk().copied()?;
    Some(Police {
        index: u32_at(tbf, 0)?,
        rate,
        burst: handle::bytes(u32_at(tbf, 12)?, rate),
        peak: Some(peak).filter(|peak| *peak > 0),
        mtu: u32_at(tbf, 16)?,
        overhead: u16::from_ne_bytes(overhead),
    })
}

/// One action, as it stands in a filter or in a request of its own.
pub(super) fn action(action: &Action) -> Result<Attributes> {
    let (kind, options) = match action {
        Action::Police(it) => ("police", police(it)?),
        Action::Redirect(link) => {
            // struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex.
            let parms = [0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, *link];
            let parms: Vec<u8> = parms.iter().flat_map(|it| it.to_ne_bytes()).collect();
            (
                "mirred",
                Attributes::default().with(TCA_MIRRED_PARMS, &parms),
            )
        }
        Action::Other(kind) => {
            return Err(Error::failed(format!("the action {kind} cannot be made")));
        }
    };
    let action = Attributes::default()
        .with_text(TCA_ACT_KIND, kind)
        .with_nest(TCA_ACT_OPTIONS, &options);
    // The first of a list.
    Ok(Attributes::default().with_nest(1, &action))
}

/// The policer with this number, to be deleted.
pub(super) fn police_number(index: u32) -> Attributes {
    let action = Attributes::default()
        .with_text(TCA_ACT_KIND, "police")
        .with_u32(TCA_ACT_INDEX, index);
    Attributes::default().with_nest(1, &action)
}

/// The first action of a list, and its counters.
fn read_action(list: &[u8]) -> Option<(Action, Counters)> {
    let (_, first) = attributes(list).next()?;
    let kind = text(find(first, TCA_ACT_KIND)?);
    let options = find(first, TCA_ACT_OPTIONS).unwrap_or_default();
    let counters = find(first, TCA_ACT_STATS).map(read_counters);
    let action = match kind.as_str() {
        "police" => read_police(options).map(|mut police| {
            let index = find(first, TCA_ACT_INDEX).and_then(|value| u32_at(value, 0));
            police.index = index.unwrap_or(police.index);
            Action::Police(police)
        }),
        "mirred" => read_redirect(options),
        _ => None,
    };
    Some((
        action.unwrap_or(Action::Other(kind)),
        counters.unwrap_or_default(),
    ))
}

fn read_redirect(options: &[u8]) -> Option<Action> {
    let parms = find(options, TCA_MIRRED_PARMS)?;
    let redirects = u32_at(parms, 20)? == TCA_EGRESS_REDIR;
    let link = u32_at(parms, 24)?;
    redirects.then_some(Action::Redirect(link))
}

/// Options of a u32 filter that matches all of its keys.
pub(super) fn u32(filter: &U32) -> Result<Attributes> {
    let keys = u8::try_from(filter.keys.len())
        .map_err(|_| Error::failed("a u32 filter has at most 255 keys"))?;
    // struct tc_u32_sel: flags, offshift, nkeys, padding, offmask, off, offoff, hoff, hmask.
    let mut selector = vec![TC_U32_TERMINAL, 0, keys, 0];
    selector.extend([0; 12]);
    for key in &filter.keys {
        selector.extend(key.mask.to_be_bytes());
        selector.extend(key.value.to_be_bytes());
        selector.extend(key.offset.to_ne_bytes());
        selector.extend([0; 4]);
    }
    let options = Attributes::default();
    let options = match filter.class {
        Some(class) => options.with_u32(TCA_U32_CLASSID, class.0),
        None => options,
    };
    let options = options.with(TCA_U32_SEL, &selector);
    Ok(match &filter.action {
        Some(it) => options.with_nest(TCA_U32_ACT, &action(it)?),
        None => options,
    })
}

/// A u32 filter and the counters of its action; `None` for one of the hash tables that are listed with them.
pub(super) fn read_u32(options: &[u8]) -> Option<(U32, Counters)> {
    let selector = find(options, TCA_U32_SEL)?;
    let keys = selector.get(16..)?.chunks_exact(16).map(|key| {
        let word = |at| u32_at(key, at).map(u32::from_be);
        Some(Key {
            mask: word(0)?,
            value: word(4)?,
            offset: u32_at(key, 8)?.cast_signed(),
        })
    });
    let class = find(options, TCA_U32_CLASSID).and_then(|value| u32_at(value, 0));
    let acts = find(options, TCA_U32_ACT).and_then(read_action);
    let (action, counters) = if let Some((action, counters)) = acts {
        (Some(action), counters)
    } else {
        // As it was done before there were actions, and as tc still does for "police".
        let police = find(options, TCA_U32_POLICE).and_then(read_police);
        (police.map(Action::Police), Counters::default())
    };
    let filter = U32 {
        keys: keys.collect::<Option<_>>()?,
        class: class.filter(|class| *class != 0).map(Handle),
        action,
    };
    Some((filter, counters))
}

/// The counters among the attributes of a qdisc or a class.
pub(super) fn counters(message: &[u8]) -> Counters {
    find(message, TCA_STATS2)
        .map(read_counters)
        .unwrap_or_default()
}

fn read_counters(stats: &[u8]) -> Counters {
    let basic = find(stats, TCA_STATS_BASIC).unwrap_or_default();
    let queue = find(stats, TCA_STATS_QUEUE).unwrap_or_default();
    let number = |index: usize| u32_at(queue, 4 * index).unwrap_or_default();
    let long = find(stats, TCA_STATS_PKT64).and_then(|value| u64_at(value, 0));
    let packets = long.or(u32_at(basic, 8).map(u64::from));
    Counters {
        bytes: u64_at(basic, 0).unwrap_or_default(),
        packets: packets.unwrap_or_default(),
        queued: number(0),
        backlog: number(1),
        drops: number(2).into(),
        overlimits: number(4).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (rate, ceil) in [(1_000_000, 2_000_000), (5_000_000_000, 4_294_967_295_000)] {
            let class = HtbClass {
                rate,
                ceil,
                burst: 64_000,
                cburst: 128_000,
                quantum: 1514,
            };
            let read = read_htb_class(&htb_class(&class).unwrap().0).unwrap();
            assert_eq!((read.rate, read.ceil, read.quantum), (rate, ceil, 1514));
            assert!(read.burst.abs_diff(64_000) < 300, "{read:?}");
        }
        let police = Police {
            index: 3,
            rate: 1_000_000,
            burst: 65_536,
            peak: Some(8_000_000_000),
            mtu: 65_536,
            overhead: 14,
        };
        let keys = vec![Key {
            mask: 0xffff,
            value: 0x5254,
            offset: -16,
        }];
        for action in [Action::Police(police), Action::Redirect(7)] {
            let filter = U32 {
                keys: keys.clone(),
                class: Some(Handle::new(1, 3)),
                action: Some(action),
            };
            assert_eq!(read_u32(&u32(&filter).unwrap().0).unwrap().0, filter);
        }
        assert_eq!(read_htb(&htb(2).0), Some(2));
    }

    #[test]
    fn a_burst_that_the_kernel_cannot_count_is_refused_with_the_most() {
        let class = HtbClass {
            rate: 1000,
            ceil: 1000,
            burst: 1_000_000,
            cburst: 1600,
            quantum: 1514,
        };
        let why = htb_class(&class).unwrap_err().to_string();
        assert!(why.contains("at most 274877 bytes"), "{why}");
    }

    #[test]
    fn what_is_cut_short_is_no_panic() {
        for length in 0..40 {
            let bytes = vec![7; length];
            let _ = (read_htb_class(&bytes), read_u32(&bytes), counters(&bytes));
            let nested = Attributes::default().with(TCA_HTB_PARMS, &bytes).0;
            let _ = read_htb_class(&nested);
            let nested = Attributes::default().with(TCA_U32_SEL, &bytes).0;
            let _ = read_u32(&nested);
        }
    }
}
