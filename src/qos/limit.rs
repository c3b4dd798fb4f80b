//! Limits as libvirt's `<bandwidth>` has them, and as they are typed.
//!
//! Source: <https://libvirt.org/formatnetwork.html#quality-of-service>, and `domiftune` in `virsh(1)`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::rate::{BadQuantity, Rate, Size};

/// What one direction may have. There is an average, a floor, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Limit {
    parts: Parts,
}

/// The parts of a limit, not yet checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// What it may have in the long run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<Rate>,
    /// What it may have while its burst lasts; not less than the average. Without it a burst goes at the
    /// speed of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<Rate>,
    /// How much may go above the average after a rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Size>,
    /// What it gets whatever the others on its network do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Rate>,
}

/// Why parts, or a text, are no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLimit {
    /// There is neither an average nor a floor.
    #[error("an average is needed, or a floor alone")]
    Empty,
    /// A peak or a burst says how to go beyond an average.
    #[error("{0} needs an average")]
    NeedsAverage(&'static str),
    /// The peak is below the average.
    #[error("the peak ({peak}) is below the average ({average})")]
    PeakBelowAverage {
        /// The peak.
        peak: Rate,
        /// The average.
        average: Rate,
    },
    /// The floor is above what it may have at most.
    #[error("the floor ({floor}) is above the {what} ({most})")]
    FloorAbove {
        /// The floor.
        floor: Rate,
        /// `peak` or `average`.
        what: &'static str,
        /// Its value.
        most: Rate,
    },
    /// One part is wrong.
    #[error("{part}: {why}")]
    Part {
        /// `average`, `peak`, `burst` or `floor`.
        part: &'static str,
        /// What is wrong with it.
        why: BadQuantity,
    },
    /// The text has a part that is none.
    #[error("{0:?} is not a part of a limit: average=, peak=, burst= and floor= are allowed")]
    Unknown(String),
    /// The text has a part twice.
    #[error("{0} is there twice")]
    Twice(&'static str),
    /// The text has more than four parts.
    #[error("average,peak,burst,floor are allowed: that is more than four")]
    TooMany,
}

/// The parts, in the order in which they are typed.
const PARTS: [&str; 4] = ["average", "peak", "burst", "floor"];

impl Limit {
    /// Checks that the parts fit together.
    pub fn new(parts: Parts) -> Result<Self, BadLimit> {
        let Some(average) = parts.average else {
            return match parts {
                Parts { peak: Some(_), .. } => Err(BadLimit::NeedsAverage("a peak")),
                Parts { burst: Some(_), .. } => Err(BadLimit::NeedsAverage("a burst")),
                Parts { floor: None, .. } => Err(BadLimit::Empty),
                _ => Ok(Self { parts }),
            };
        };
        if let Some(peak) = parts.peak.filter(|peak| *peak < average) {
            return Err(BadLimit::PeakBelowAverage { peak, average });
        }
        let (what, most) = match parts.peak {
            Some(peak) => ("peak", peak),
            None => ("average", average),
        };
        match parts.floor.filter(|floor| *floor > most) {
            Some(floor) => Err(BadLimit::FloorAbove { floor, what, most }),
            None => Ok(Self { parts }),
        }
    }

    /// A limit that is an average alone.
    pub fn average_of(average: Rate) -> Self {
        Self {
            parts: Parts {
                average: Some(average),
                ..Parts::default()
            },
        }
    }

    /// What it may have in the long run; `None` where there is only a floor.
    pub fn average(&self) -> Option<Rate> {
        self.parts.average
    }

    /// What it may have while its burst lasts.
    pub fn peak(&self) -> Option<Rate> {
        self.parts.peak
    }

    /// How much may go above the average after a rest.
    pub fn burst(&self) -> Option<Size> {
        self.parts.burst
    }

    /// What it gets whatever the others do.
    pub fn floor(&self) -> Option<Rate> {
        self.parts.floor
    }

    /// The most that it ever gets: the peak, else the average.
    pub fn most(&self) -> Option<Rate> {
        self.parts.peak.or(self.parts.average)
    }

    /// The limit without its floor; `None` where nothing is left.
    #[must_use]
    pub fn without_floor(&self) -> Option<Self> {
        let parts = Parts {
            floor: None,
            ..self.parts
        };
        parts.average.is_some().then_some(Self { parts })
    }
}

impl TryFrom<Parts> for Limit {
    type Error = BadLimit;

    fn try_from(parts: Parts) -> Result<Self, BadLimit> {
        Self::new(parts)
    }
}

impl From<Limit> for Parts {
    fn from(limit: Limit) -> Self {
        limit.parts
    }
}

/// `average[,peak[,burst[,floor]]]`, any of them empty, or `average=…,peak=…` in any order.
impl FromStr for Limit {
    type Err = BadLimit;

    fn from_str(text: &str) -> Result<Self, BadLimit> {
        let mut parts = Parts::default();
        let mut seen = [false; PARTS.len()];
        let named = text.contains('=');
        for (place, word) in text.split(',').map(str::trim).enumerate() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.trim(), value),
                None if named => return Err(BadLimit::Unknown(word.to_owned())),
                None => (*PARTS.get(place).ok_or(BadLimit::TooMany)?, word),
            };
            let found = PARTS.iter().zip(&mut seen).find(|(part, _)| **part == name);
            let Some((part, seen)) = found else {
                return Err(BadLimit::Unknown(name.to_owned()));
            };
            if std::mem::replace(seen, true) {
                return Err(BadLimit::Twice(part));
            }
            if named || !value.is_empty() {
                parts
                    .set(part, value)
                    .map_err(|why| BadLimit::Part { part, why })?;
            }
        }
        Self::new(parts)
    }
}

impl Parts {
    fn set(&mut self, part: &str, value: &str) -> Result<(), BadQuantity> {
        match part {
            "average" => self.average = Some(value.parse()?),
            "peak" => self.peak = Some(value.parse()?),
            "burst" => self.burst = Some(value.parse()?),
            _ => self.floor = Some(value.parse()?),
        }
        Ok(())
    }
}

/// As people read it: `average 10 Mbit/s, peak 20 Mbit/s, burst 512 KiB, floor 1 Mbit/s`.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.parts;
        let words = [
            parts.average.map(|rate| format!("average {rate}")),
            parts.peak.map(|rate| format!("peak {rate}")),
            parts.burst.map(|size| format!("burst {size}")),
            parts.floor.map(|rate| format!("floor {rate}")),
        ];
        let words: Vec<_> = words.into_iter().flatten().collect();
        f.write_str(&words.join(", "))
    }
}

/// The limits of both directions, as the guest or the network sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// What comes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound: Option<Limit>,
    /// What goes out. A floor here makes sense only for a function of an SR-IOV card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound: Option<Limit>,
}

impl Bandwidth {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.inbound.is_none() && self.outbound.is_none()
    }

    /// These limits, and those of `below` for a direction that has none here.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        Self {
            inbound: self.inbound.or(below.inbound),
            outbound: self.outbound.or(below.outbound),
        }
    }
}

/// A change of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Set these; a direction that has none here stays as it is.
    Set(Bandwidth),
    /// Take away those of the directions that are true.
    Clear {
        /// What comes in.
        inbound: bool,
        /// What goes out.
        outbound: bool,
    },
}

impl Change {
    /// What comes of these limits.
    #[must_use]
    pub fn of(&self, before: &Bandwidth) -> Bandwidth {
        match *self {
            Self::Set(limits) => limits.over(before),
            Self::Clear { inbound, outbound } => Bandwidth {
                inbound: before.inbound.filter(|_| !inbound),
                outbound: before.outbound.filter(|_| !outbound),
            },
        }
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inbound = self.inbound.map(|limit| format!("inbound {limit}"));
        let outbound = self.outbound.map(|limit| format!("outbound {limit}"));
        let both: Vec<_> = inbound.into_iter().chain(outbound).collect();
        if both.is_empty() {
            return f.write_str("no limit");
        }
        f.write_str(&both.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(text: &str) -> Limit {
        text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn both_ways_of_typing_mean_the_same() {
        let one = limit("1000,2000,512,300");
        assert_eq!(
            one,
            limit("floor=300, burst=512KiB,peak=2MB/s,average=8mbit")
        );
        assert_eq!(limit("1000,,512").peak(), None);
        assert_eq!(limit(",,,300").floor(), Rate::from_kilobytes(300));
        assert_eq!(limit("1000").average(), Rate::from_kilobytes(1000));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (text, words) in [
            ("", "an average is needed"),
            (",", "an average is needed"),
            (",2000", "a peak needs an average"),
            ("burst=5", "a burst needs an average"),
            (
                "2000,1000",
                "the peak (8 Mbit/s) is below the average (16 Mbit/s)",
            ),
            (
                "1000,,,2000",
                "the floor (16 Mbit/s) is above the average (8 Mbit/s)",
            ),
            ("1000,1500,,2000", "above the peak"),
            ("average=5,average=6", "average is there twice"),
            ("average=5,speed=6", "\"speed\" is not a part"),
            ("average=5,6", "\"6\" is not a part"),
            ("1,2,3,1,5", "more than four"),
            ("x", "average: \"x\" is not a rate"),
            ("1000,2000,none", "burst: \"none\" is not a size"),
            ("average=", "average: \"\" is not a rate"),
            ("0", "zero"),
        ] {
            let why = text.parse::<Limit>().unwrap_err().to_string();
            assert!(why.contains(words), "{text:?}: {why}");
        }
    }

    #[test]
    fn a_record_is_checked_like_what_is_typed() {
        let text = serde_json::to_string(&limit("1000,2000,512")).unwrap();
        assert_eq!(text, r#"{"average":1000000,"peak":2000000,"burst":524288}"#);
        assert_eq!(
            serde_json::from_str::<Limit>(&text).unwrap(),
            limit("1000,2000,512")
        );
        for bad in [
            "{}",
            r#"{"average":5,"peak":4}"#,
            r#"{"average":5,"x":4}"#,
            r#"{"average":0}"#,
        ] {
            assert!(
                serde_json::from_str::<Limit>(bad).is_err(),
                "{bad} was accepted"
            );
        }
    }

    #[test]
    fn one_direction_does_not_touch_the_other() {
        let inbound = Bandwidth {
            inbound: Some(limit("1")),
            outbound: None,
        };
        let both = Bandwidth {
            inbound: Some(limit("2")),
            outbound: Some(limit("3")),
        };
        assert_eq!(
            inbound.over(&both).to_string(),
            "inbound average 8 kbit/s; outbound average 24 kbit/s"
        );
    }
}
