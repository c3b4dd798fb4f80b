//! Rate over time, from counters that are read again and again.

use std::time::{Duration, Instant};

use super::device::{Direction, Side, View};
use super::show::{Shown, ShownSide, show};
use crate::error::{Error, Result};
use crate::state::StateDir;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::Socket;
use crate::sys::netlink::counters::LinkCounters;

/// What was counted at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Since the first one.
    pub at: Duration,
    /// Bytes so far.
    pub bytes: u64,
}

/// The rate between two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The middle between the two, in seconds since the first sample.
    pub at: f64,
    /// Bytes a second.
    pub rate: f64,
}

/// The samples of one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The direction.
    pub direction: Direction,
    /// Where it was counted: a class, or the device.
    pub source: &'static str,
    /// What was counted, from the first.
    pub samples: Vec<Sample>,
}

impl Series {
    /// The rate between each sample and the next.
    pub fn points(&self) -> Vec<Point> {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        pairs
            .filter_map(|(one, next)| {
                let rate = rate(*one, *next)?;
                let at = f64::midpoint(one.at.as_secs_f64(), next.at.as_secs_f64());
                Some(Point { at, rate })
            })
            .collect()
    }

    /// Bytes a second from the first to the last sample.
    pub fn average(&self) -> f64 {
        match (self.samples.first(), self.samples.last()) {
            (Some(first), Some(last)) => rate(*first, *last).unwrap_or(0.0),
            _ => 0.0,
        }
    }

    /// The highest rate between two samples, in bytes a second.
    pub fn highest(&self) -> f64 {
        self.points().iter().fold(0.0, |most, it| it.rate.max(most))
    }
}

/// Bytes a second between two samples. Counters that were set back count as zero.
pub fn rate(one: Sample, next: Sample) -> Option<f64> {
    let time = next.at.checked_sub(one.at)?.as_secs_f64();
    #[allow(
        clippy::cast_precision_loss,
        reason = "2^53 bytes in one measurement are 9 petabytes"
    )]
    let bytes = next.bytes.saturating_sub(one.bytes) as f64;
    (time > 0.0).then(|| bytes / time)
}

/// Reads counters of one device.
pub struct Meter<'a> {
    state: &'a StateDir,
    device: InterfaceName,
    socket: Socket,
    began: Instant,
}

/// What a device has counted for both directions.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The device's limits and what holds them.
    pub shown: Shown,
    /// Inbound and outbound, with where each was counted.
    pub samples: [(Direction, &'static str, Sample); 2],
}

impl<'a> Meter<'a> {
    /// Begins.
    pub fn new(state: &'a StateDir, device: &InterfaceName) -> Result<Self> {
        Ok(Self {
            state,
            device: device.clone(),
            socket: Socket::open()?,
            began: Instant::now(),
        })
    }

    /// Reads the counters now. A direction that is shaped is counted by its class, which knows each packet's size on
    /// the wire; others by the device.
    pub fn read(&mut self) -> Result<Reading> {
        let shown = show(self.state, Some(&self.device), true)?;
        let own = shown
            .into_iter()
            .find(|it| it.target.function.is_none() && it.link.is_some());
        let none = || Error::failed(format!("there is no device {}", self.device));
        let shown = own.ok_or_else(none)?;
        let link = shown.link.as_ref().ok_or_else(none)?;
        let counters = self.socket.counters(link)?;
        let at = self.began.elapsed();
        let view = shown.view.unwrap_or(View::of(link));
        let read = |direction| {
            let (source, bytes) = counted(&shown.sides, view, direction, &counters);
            (direction, source, Sample { at, bytes })
        };
        Ok(Reading {
            samples: [read(Direction::Inbound), read(Direction::Outbound)],
            shown,
        })
    }
}

fn counted(
    sides: &[ShownSide],
    view: View,
    direction: Direction,
    link: &LinkCounters,
) -> (&'static str, u64) {
    let shaped = sides
        .iter()
        .find(|side| side.direction == direction && side.police.is_none());
    match (shaped, view.side(direction)) {
        (Some(side), _) => (side.how, side.counters.bytes),
        (None, Side::Egress) => ("device", link.sent),
        (None, Side::Ingress) => ("device", link.received),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(milliseconds: u64, bytes: u64) -> Sample {
        Sample {
            at: Duration::from_millis(milliseconds),
            bytes,
        }
    }

    #[test]
    fn rates_are_between_samples() {
        let series = Series {
            direction: Direction::Inbound,
            source: "htb",
            samples: vec![
                sample(0, 100),
                sample(100, 300),
                sample(200, 400),
                sample(300, 50),
            ],
        };
        let rates: Vec<_> = series.points().iter().map(|it| it.rate.round()).collect();
        assert_eq!(rates, [2000.0, 1000.0, 0.0]);
        assert!((series.highest() - 2000.0).abs() < 1e-6);
        assert!(series.average().abs() < 1e-6);
        assert_eq!(rate(sample(5, 0), sample(5, 9)), None);
    }
}
