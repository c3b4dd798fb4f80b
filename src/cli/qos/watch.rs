//! `qos watch`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::selection::Selection;
use super::{measure::interval, must_be_running, view};
use crate::qos::measure::{Sample, rate};
use crate::qos::plot;
use crate::qos::show::Shown;

/// Show rates as they are now, with the limit beside
///
/// Until it is interrupted. With --json, one line for each time.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// Time between two looks, such as 1s or 500ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,

    /// End after so many looks
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

/// What a direction had counted at the last look.
type Last = BTreeMap<(String, String), Sample>;

/// Runs `qos watch`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    must_be_running(session)?;
    let began = Instant::now();
    let mut last = Last::new();
    let mut looks = 0;
    loop {
        let shown = args.selection.look(session, true)?;
        let rows = rows(&shown, began.elapsed(), &mut last);
        // The first look has nothing to compare with.
        if looks > 0 {
            print(&rows, output);
        } else if rows.is_empty() {
            output.say(args.selection.nothing(session)?);
        }
        if args.count.is_some_and(|count| looks >= count) {
            return Ok(None);
        }
        looks += 1;
        std::thread::sleep(args.interval);
    }
}

struct Row {
    target: String,
    direction: String,
    rate: f64,
    limit: String,
    drops: u64,
    backlog: u32,
}

fn rows(shown: &[Shown], at: Duration, last: &mut Last) -> Vec<Row> {
    let mut rows = Vec::new();
    for one in shown {
        for side in &one.sides {
            let target = one.target.to_string();
            let direction = side.direction.to_string();
            let now = Sample {
                at,
                bytes: side.counters.bytes,
            };
            let before = last.insert((target.clone(), direction.clone()), now);
            let limit = side.limit.map(|limit| limit.to_string());
            rows.push(Row {
                target,
                direction,
                rate: before.and_then(|before| rate(before, now)).unwrap_or(0.0),
                limit: limit.unwrap_or_else(|| "not recorded".to_owned()),
                drops: side.counters.drops,
                backlog: side.counters.backlog,
            });
        }
    }
    rows
}

fn print(rows: &[Row], output: &Output) {
    let views = rows.iter().map(|row| {
        json!({
            "target": row.target,
            "direction": row.direction,
            "bytes_per_second": row.rate,
            "limit": row.limit,
            "drops": row.drops,
            "backlog_bytes": row.backlog,
        })
    });
    output.json_line(&views.collect::<Vec<_>>());
    output.redraw();
    output.print(format!(
        "{:24} {:9} {:>12} {:>9} {:>9}  LIMIT",
        "TARGET", "DIRECTION", "NOW", "DROPPED", "WAITING"
    ));
    for row in rows {
        output.print(format!(
            "{:24} {:9} {:>12} {:>9} {:>9}  {}",
            row.target,
            row.direction,
            plot::shown(row.rate),
            row.drops,
            view::bytes(row.backlog.into()),
            row.limit
        ));
    }
}
