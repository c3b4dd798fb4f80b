//! Virtual functions of an SR-IOV card. A guest that has one drives it by itself, so that nothing of the host's can
//! queue its packets; the card limits what the function sends, in whole megabits a second. It knows an average (as its
//! most) and, with some cards, a floor; nothing else, and nothing inbound.

use super::limit::Bandwidth;
use super::rate::Rate;
use super::record::Target;
use crate::error::{Error, Result};
use crate::sys::netlink::function::FunctionRate;

/// Bytes a second in a megabit a second.
const MEGABIT: u64 = 125_000;

/// The rate of a function that holds these limits. Fails naming what the card cannot do.
pub fn plan(target: &Target, function: u32, bandwidth: &Bandwidth) -> Result<FunctionRate> {
    let cannot = |what: &str| {
        Error::failed(format!("{target} cannot have {what}"))
            .hint("a card limits what a virtual function sends: an outbound average, and a floor")
    };
    if bandwidth.inbound.is_some() {
        return Err(cannot("an inbound limit"));
    }
    let Some(limit) = bandwidth.outbound else {
        return Ok(FunctionRate {
            function,
            min: 0,
            max: 0,
        });
    };
    if limit.peak().is_some() {
        return Err(cannot("a peak"));
    }
    if limit.burst().is_some() {
        return Err(cannot("a burst"));
    }
    Ok(FunctionRate {
        function,
        min: megabits(target, limit.floor())?,
        max: megabits(target, limit.average())?,
    })
}

fn megabits(target: &Target, rate: Option<Rate>) -> Result<u32> {
    let Some(rate) = rate else { return Ok(0) };
    let megabits = rate.bytes() / MEGABIT;
    let whole = rate.bytes().is_multiple_of(MEGABIT);
    match u32::try_from(megabits) {
        Ok(number) if whole => Ok(number),
        _ => Err(Error::failed(format!(
            "{target} can only have a whole number of megabits a second, not {rate}"
        ))
        .hint(format!(
            "the nearest are {megabits} and {} Mbit/s",
            megabits + 1
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_of(inbound: &str, outbound: &str) -> Result<FunctionRate> {
        let limit = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        let target = Target {
            device: "eth0".parse().unwrap(),
            function: Some(3),
        };
        let bandwidth = Bandwidth {
            inbound: limit(inbound),
            outbound: limit(outbound),
        };
        plan(&target, 3, &bandwidth)
    }

    #[test]
    fn a_card_limits_what_is_sent_in_megabits() {
        let rate = plan_of("", "average=100mbit,floor=20mbit").unwrap();
        assert_eq!((rate.function, rate.min, rate.max), (3, 20, 100));
        for (inbound, outbound, words) in [
            (
                "100mbit",
                "",
                "function 3 of eth0 cannot have an inbound limit",
            ),
            ("", "100mbit,200mbit", "cannot have a peak"),
            ("", "100mbit,,512", "cannot have a burst"),
            ("", "1000", ""),
            (
                "",
                "1001",
                "a whole number of megabits a second, not 8.008 Mbit/s",
            ),
        ] {
            match plan_of(inbound, outbound) {
                Ok(_) => assert_eq!(words, ""),
                Err(why) => assert!(
                    why.to_string().contains(words) && !words.is_empty(),
                    "{why}"
                ),
            }
        }
    }
}
