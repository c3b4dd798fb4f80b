//! `qos measure`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::must_be_running;
use crate::error::Context as _;
use crate::qos::Limit;
use crate::qos::device::Direction;
use crate::qos::measure::{Meter, Reading, Series};
use crate::qos::plot::{self, Panel};
use crate::sys::name::InterfaceName;

/// Measure a device's traffic against its limits
///
/// Reads counters for a time. What is shaped is counted where it is shaped, each packet with its size on the wire.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The device
    #[arg(value_name = "DEV")]
    device: InterfaceName,

    /// How long, such as 10s or 2m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = interval)]
    duration: Duration,

    /// Time between two readings
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = interval)]
    interval: Duration,

    /// Draw rate over time into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// A time that is neither zero nor longer than a day.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let allowed = "a time from 1ms to 1d such as 10s, 500ms or 2m is allowed";
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| allowed.to_owned())?;
    let range = Duration::from_millis(1)..=Duration::from_secs(86_400);
    let duration = Duration::try_from(parsed).map_err(|_| allowed.to_owned())?;
    if range.contains(&duration) {
        Ok(duration)
    } else {
        Err(allowed.to_owned())
    }
}

/// Runs `qos measure`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    must_be_running(session)?;
    let mut meter = Meter::new(&session.host.state, &args.device)?;
    let began = Instant::now();
    let first = meter.read()?;
    let mut series = first.samples.map(|(direction, source, sample)| Series {
        direction,
        source,
        samples: vec![sample],
    });
    let mut last = first;
    let mut next = began;
    while began.elapsed() < args.duration {
        next += args.interval;
        let end = began + args.duration;
        std::thread::sleep(next.min(end).saturating_duration_since(Instant::now()));
        last = meter.read()?;
        for (series, (_, _, sample)) in series.iter_mut().zip(&last.samples) {
            series.samples.push(*sample);
        }
    }
    print(args, &series, &last, output);
    if let Some(file) = &args.svg {
        let panels = series.iter().map(|series| panel(args, series, &last));
        let text = plot::svg(&panels.collect::<Vec<_>>());
        std::fs::write(file, text).context(|| format!("cannot write {}", file.display()))?;
        output.say(format!("Drawn into {}.", file.display()));
    }
    Ok(None)
}

fn limit(reading: &Reading, direction: Direction) -> Option<Limit> {
    let bandwidth = reading.shown.settings.as_ref()?.bandwidth;
    match direction {
        Direction::Inbound => bandwidth.inbound,
        Direction::Outbound => bandwidth.outbound,
    }
}

fn panel<'a>(args: &Args, series: &'a Series, reading: &Reading) -> Panel<'a> {
    Panel {
        title: format!("{} {}", args.device, series.direction),
        limit: limit(reading, series.direction),
        series,
    }
}

fn print(args: &Args, series: &[Series], reading: &Reading, output: &Output) {
    let views = series.iter().map(|series| {
        let points = series.points();
        let points: Vec<_> = points.iter().map(|it| json!([it.at, it.rate])).collect();
        json!({
            "direction": series.direction.to_string(),
            "counted_by": series.source,
            "limit": limit(reading, series.direction),
            "bytes": series.samples.last().zip(series.samples.first())
                .map_or(0, |(last, first)| last.bytes.saturating_sub(first.bytes)),
            "average": series.average(),
            "highest": series.highest(),
            "points": points,
        })
    });
    output.json(&json!({
        "device": args.device,
        "seconds": args.duration.as_secs_f64(),
        "directions": views.collect::<Vec<_>>(),
    }));
    for series in series {
        let limit = limit(reading, series.direction);
        let limit = limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
        output.print(format!(
            "{:8} {:>12} on average, {:>12} at most; {limit}",
            series.direction.to_string(),
            plot::shown(series.average()),
            plot::shown(series.highest()),
        ));
    }
}
