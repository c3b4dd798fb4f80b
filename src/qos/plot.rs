//! A drawing of rate over time against average and peak, in SVG: it opens in every browser and needs no library.

use std::fmt::Write as _;

use super::limit::Limit;
use super::measure::Series;
use super::rate::Rate;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 40.0;

/// How many lines across, about.
const GRID: f64 = 5.0;

/// One direction to draw.
#[derive(Debug, Clone)]
pub struct Panel<'a> {
    /// Its title.
    pub title: String,
    /// What was measured.
    pub series: &'a Series,
    /// What was allowed.
    pub limit: Option<Limit>,
}

/// The drawing of some panels, one below the other.
pub fn svg(panels: &[Panel<'_>]) -> String {
    let mut text = String::new();
    let count = u32::try_from(panels.len()).unwrap_or(1);
    let height = HEIGHT * f64::from(count.max(1));
    let _ = writeln!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    );
    for (number, panel) in (0_u32..).zip(panels) {
        let _ = writeln!(
            text,
            "<g transform=\"translate(0,{})\">",
            HEIGHT * f64::from(number)
        );
        draw(&mut text, panel);
        text.push_str("</g>\n");
    }
    text.push_str("</svg>\n");
    text
}

/// From values to places.
struct Scale {
    seconds: f64,
    most: f64,
}

impl Scale {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.seconds
    }

    fn y(&self, rate: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * rate / self.most
    }
}

fn draw(text: &mut String, panel: &Panel<'_>) {
    let points = panel.series.points();
    let last = panel.series.samples.last();
    let limits = [
        ("average", panel.limit.and_then(|limit| limit.average())),
        ("peak", panel.limit.and_then(|limit| limit.peak())),
    ];
    let limits: Vec<_> = limits
        .into_iter()
        .filter_map(|(name, rate)| Some((name, bytes(rate?))))
        .collect();
    let most = limits
        .iter()
        .map(|(_, rate)| *rate)
        .fold(panel.series.highest(), f64::max);
    let scale = Scale {
        seconds: last.map_or(1.0, |it| it.at.as_secs_f64().max(1e-3)),
        most: (most * 1.1).max(1000.0),
    };
    let title = escape(&panel.title);
    let _ = writeln!(
        text,
        "<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>"
    );
    grid(text, &scale);
    for (name, rate) in limits {
        let y = scale.y(rate);
        let (from, to) = (LEFT, WIDTH - RIGHT);
        let _ = writeln!(
            text,
            "<line x1=\"{from}\" y1=\"{y:.1}\" x2=\"{to}\" y2=\"{y:.1}\" stroke=\"#c00\" \
             stroke-dasharray=\"6 3\"/><text x=\"{}\" y=\"{:.1}\" fill=\"#c00\">{name} {}</text>",
            to + 4.0,
            y + 4.0,
            shown(rate)
        );
    }
    let line: Vec<_> = points
        .iter()
        .map(|point| format!("{:.1},{:.1}", scale.x(point.at), scale.y(point.rate)))
        .collect();
    let _ = writeln!(
        text,
        "<polyline fill=\"none\" stroke=\"#06c\" stroke-width=\"1.5\" points=\"{}\"/>",
        line.join(" ")
    );
}

/// Lines across with rates, and seconds below.
fn grid(text: &mut String, scale: &Scale) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for rate in marks(scale.most * 8.0).into_iter().map(|bits| bits / 8.0) {
        let y = scale.y(rate);
        let _ = writeln!(
            text,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            shown(rate)
        );
    }
    for second in marks(scale.seconds) {
        let x = scale.x(second);
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"{bottom}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"#888\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{} s</text>",
            bottom + 4.0,
            bottom + 18.0,
            decimal(second)
        );
    }
}

/// Round numbers from zero to `most`, about [`GRID`] of them.
fn marks(most: f64) -> Vec<f64> {
    let rough = most / GRID;
    let power = power_of_ten(rough);
    let step = [1.0, 2.0, 5.0, 10.0]
        .iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    let mut marks = Vec::new();
    let mut mark = 0.0;
    while mark <= most && marks.len() < 20 {
        marks.push(mark);
        mark += step;
    }
    marks
}

/// The largest power of ten that is not above `number`; 1 for what is no positive number.
///
/// By steps: `log10()` and `pow()` would be all that ncf has of the C library's mathematics, which every command would load.
fn power_of_ten(number: f64) -> f64 {
    let mut power = 1.0;
    if !number.is_normal() || number < 0.0 {
        return power;
    }
    while power * 10.0 <= number {
        power *= 10.0;
    }
    while power > number {
        power /= 10.0;
    }
    power
}

/// To a thousandth at most: three times a fifth is 0.6, whatever binary fractions make of it.
fn decimal(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn bytes(rate: Rate) -> f64 {
    #[allow(
        clippy::cast_precision_loss,
        reason = "the largest rate is far below 2^53"
    )]
    let bytes = rate.bytes() as f64;
    bytes
}

/// A rate in bytes a second, in bits, to three digits: `9.98 Mbit/s`.
pub fn shown(rate: f64) -> String {
    let bits = rate * 8.0;
    for (factor, unit) in [(1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")] {
        let number = bits / factor;
        // What would round up to a thousand is one of the next unit.
        if number >= 0.9995 {
            let digits = if number >= 99.95 {
                0
            } else if number >= 9.995 {
                1
            } else {
                2
            };
            return format!("{number:.digits$} {unit}");
        }
    }
    format!("{bits:.0} bit/s")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::qos::device::Direction;
    use crate::qos::measure::Sample;

    #[test]
    fn marks_are_round_numbers() {
        let labels = |most| marks(most).into_iter().map(decimal).collect::<Vec<_>>();
        assert_eq!(labels(10.0), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels(0.04), ["0", "0.01", "0.02", "0.03", "0.04"]);
        assert_eq!(labels(2.5e9).last().unwrap(), "2500000000");
        for nothing in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(marks(nothing).len() <= 20, "{nothing}");
        }
    }

    #[test]
    fn a_drawing_is_xml_with_both_limits_in_it() {
        let samples = (0..=10).map(|second| Sample {
            at: Duration::from_secs(second),
            bytes: second * 1_250_000,
        });
        let series = Series {
            direction: Direction::Inbound,
            source: "htb",
            samples: samples.collect(),
        };
        let panel = Panel {
            title: "a<b & c".to_owned(),
            series: &series,
            limit: Some("10mbit,20mbit".parse().unwrap()),
        };
        let text = svg(&[panel.clone(), panel]);
        let source = crate::xml::Source::new("svg", text.clone());
        source.parse().unwrap();
        for word in [
            "average 10.0 Mbit/s",
            "peak 20.0 Mbit/s",
            "a&lt;b &amp; c",
            "polyline",
        ] {
            assert!(text.contains(word), "no {word} in {text}");
        }
        let empty = Series {
            samples: Vec::new(),
            ..series
        };
        let panel = Panel {
            title: String::new(),
            series: &empty,
            limit: None,
        };
        assert!(!svg(&[panel]).contains("NaN"));
    }

    #[test]
    fn rates_are_shown_to_three_digits() {
        for (rate, text) in [
            (0.0, "0 bit/s"),
            (124.94, "1.00 kbit/s"),
            (1_250_000.0, "10.0 Mbit/s"),
            (1_249_999.0, "10.0 Mbit/s"),
            (124_999_999.0, "1.00 Gbit/s"),
            (15_625_000.0, "125 Mbit/s"),
        ] {
            assert_eq!(shown(rate), text);
        }
    }
}
