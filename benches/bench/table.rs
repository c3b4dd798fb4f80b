//! The table that a run ends in.

use std::io::{self, Write};
use std::time::Duration;

/// Whether to measure is what was asked for: `cargo test` runs a benchmark too, without `--bench`. Says so where it is not.
pub(crate) fn is_wanted(out: &mut impl Write) -> io::Result<bool> {
    let wanted = std::env::args_os().any(|argument| argument == "--bench");
    if !wanted {
        writeln!(out, "nothing is measured without --bench: 'make bench'")?;
    }
    Ok(wanted)
}

/// One figure, and what it is held against.
pub(crate) struct Row {
    figure: String,
    ncf: String,
    reference: String,
    ratio: String,
    target: String,
    met: Option<bool>,
}

impl Row {
    /// A time that should be `at_least` so many times shorter than the reference's.
    pub(crate) fn times(
        figure: String,
        ncf: Duration,
        reference: Duration,
        at_least: Option<f64>,
    ) -> Self {
        let ratio = reference.as_secs_f64() / ncf.as_secs_f64();
        Self {
            figure,
            ncf: milliseconds(ncf),
            reference: milliseconds(reference),
            ratio: format!("{ratio:.1}x"),
            target: at_least.map_or(String::new(), |factor| format!(">= {factor}x")),
            met: at_least.map(|factor| ratio >= factor),
        }
    }

    /// A time that should be within `limit`.
    pub(crate) fn within(
        figure: String,
        ncf: Duration,
        reference: Duration,
        limit: Duration,
    ) -> Self {
        Self {
            target: format!("<= {}", milliseconds(limit)),
            met: Some(ncf <= limit),
            ..Self::times(figure, ncf, reference, None)
        }
    }

    /// A size in bytes that should be below `limit`.
    #[allow(dead_code, reason = "not every benchmark measures one")]
    pub(crate) fn size(figure: String, bytes: u64, limit: u64) -> Self {
        let mebibytes = |bytes: u64| format!("{}.{} MiB", bytes >> 20, ((bytes * 10) >> 20) % 10);
        Self {
            figure,
            ncf: mebibytes(bytes),
            reference: String::new(),
            ratio: String::new(),
            target: format!("< {}", mebibytes(limit)),
            met: Some(bytes < limit),
        }
    }

    fn cells(&self) -> [&str; 6] {
        let met = match self.met {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        [
            &self.figure,
            &self.ncf,
            &self.reference,
            &self.ratio,
            &self.target,
            met,
        ]
    }
}

/// The middle one; of an even number the higher of the two.
pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Prints the table.
pub(crate) fn print(rows: &[Row], out: &mut impl Write) -> io::Result<()> {
    let head = ["figure", "ncf", "reference", "ratio", "target", ""];
    for [figure, ncf, reference, ratio, target, met] in
        std::iter::once(head).chain(rows.iter().map(Row::cells))
    {
        writeln!(
            out,
            "{figure:46} {ncf:>11} {reference:>12} {ratio:>8} {target:>16}  {met}"
        )?;
    }
    Ok(())
}
