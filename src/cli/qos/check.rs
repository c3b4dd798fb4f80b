//! `qos check`.

use serde_json::json;

use super::super::Done;
use super::super::output::{Output, Tone};
use crate::qos::probe::probe;

/// Say what this kernel has of what limits need
///
/// Tries everything out in a network namespace of its own.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Runs `qos check`.
pub(super) fn run(_: &Args, output: &Output) -> Done {
    let features = probe()?;
    let views = features.iter().map(|feature| {
        json!({
            "feature": feature.name,
            "present": feature.lacking.is_none(),
            "error": feature.lacking,
            "used_for": feature.used_for,
            "without": feature.without,
        })
    });
    output.json(&views.collect::<Vec<_>>());
    for feature in &features {
        let (word, tone, note) = match feature.lacking {
            None => ("yes", Tone::Good, feature.used_for),
            Some(_) => ("no", Tone::Warn, feature.without),
        };
        // Padded before it is coloured.
        let word = output.paint(tone, format!("{word:3}"));
        output.print(format!("{:9} {word}  {note}", feature.name));
        if let Some(why) = feature.lacking.as_ref().filter(|_| output.verbose) {
            output.print(format!("               {why}"));
        }
    }
    Ok(None)
}
