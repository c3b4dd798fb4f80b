//! What the `qos` commands show: JSON fields, which are stable, and words. In JSON, rates are in bytes a second and
//! sizes in bytes.

use serde::Serialize;
use serde_json::{Value, json};

use super::super::output::Output;
use crate::qos::device::{Side, kind_name};
use crate::qos::record::{Origin, Settings, Target};
use crate::qos::show::{Shown, ShownClass, ShownSide};
use crate::qos::{Done, Rate, State};
use crate::sys::netlink::tc::Counters;

/// A target with its limits, and what was done to it.
#[derive(Debug, Serialize)]
pub(super) struct DoneView {
    #[serde(flatten)]
    target: Target,
    limits: Value,
    applied: bool,
    steps: Vec<String>,
    error: Option<String>,
}

impl From<&Done> for DoneView {
    fn from(done: &Done) -> Self {
        Self {
            target: done.target.clone(),
            limits: limits(done.settings.as_ref()),
            applied: done.state == State::Applied,
            steps: done.steps.clone(),
            error: None,
        }
    }
}

impl DoneView {
    pub(super) fn failed(target: &Target, error: &crate::Error) -> Self {
        Self {
            target: target.clone(),
            limits: Value::Null,
            applied: false,
            steps: Vec::new(),
            error: Some(error.one_line()),
        }
    }
}

pub(super) fn print_steps(steps: &[String], output: &Output) {
    if output.verbose {
        for step in steps {
            output.say(format!("  {step}"));
        }
    }
}

/// What a dry run prints.
pub(super) fn rehearsed(steps: &[String], output: &Output) {
    output.json(&json!({ "steps": steps }));
    if steps.is_empty() {
        output.print("There is nothing to do.");
    }
    for step in steps {
        output.print(format!("  {step}"));
    }
}

fn limits(settings: Option<&Settings>) -> Value {
    settings.map_or(Value::Null, |it| json!(it.bandwidth))
}

fn origin(origin: &Origin) -> Value {
    match origin {
        Origin::Persistent => json!({ "kind": "persistent" }),
        Origin::Transient => json!({ "kind": "transient" }),
        Origin::Network(name) => json!({ "kind": "network", "name": name }),
        Origin::Port(name) => json!({ "kind": "port", "name": name }),
    }
}

fn counters(counters: &Counters) -> Value {
    json!({
        "bytes": counters.bytes,
        "packets": counters.packets,
        "drops": counters.drops,
        "overlimits": counters.overlimits,
        "backlog_bytes": counters.backlog,
        "backlog_packets": counters.queued,
    })
}

fn class(class: &ShownClass) -> Value {
    json!({
        "class": class.handle.to_string(),
        "rate": class.htb.rate,
        "ceil": class.htb.ceil,
        "burst": class.htb.burst,
        "cburst": class.htb.cburst,
        "quantum": class.htb.quantum,
        "mac": class.mac,
        "leaf": class.leaf,
        "counters": counters(&class.counters),
    })
}

fn side(side: &ShownSide) -> Value {
    let police = side.police.map(|police| {
        json!({
            "rate": police.rate,
            "burst": police.burst,
            "peak": police.peak,
            "mtu": police.mtu,
        })
    });
    json!({
        "direction": side.direction.to_string(),
        "side": side.side.to_string(),
        "how": side.how,
        "limit": side.limit,
        "classes": side.classes.iter().map(class).collect::<Vec<_>>(),
        "police": police,
        "counters": counters(&side.counters),
    })
}

/// One target of `qos show`, as in JSON.
pub(super) fn shown(shown: &Shown) -> Value {
    let rate = shown.rate.map(|rate| {
        let min = u64::from(rate.min) * 125_000;
        json!({ "min": min, "max": u64::from(rate.max) * 125_000 })
    });
    json!({
        "device": shown.target.device,
        "function": shown.target.function,
        "present": shown.link.is_some(),
        "kind": shown.link.as_ref().map(kind_name),
        "view": shown.view,
        "origin": shown.origin.as_ref().map(origin),
        "limits": limits(shown.settings.as_ref()),
        "shape": shown.settings.as_ref().is_some_and(|it| it.shape),
        "applied": shown.agrees,
        "directions": shown.sides.iter().map(side).collect::<Vec<_>>(),
        "function_rate": rate,
    })
}

/// One target of `qos show`, as lines for people.
pub(super) fn lines(shown: &Shown) -> Vec<String> {
    let kind = match &shown.link {
        Some(link) => kind_name(link).to_owned(),
        None => "not there now".to_owned(),
    };
    let origin = match (&shown.origin, &shown.settings) {
        (Some(origin), _) => origin.to_string(),
        (None, _) if shown.sides.is_empty() => "no limit".to_owned(),
        (None, _) => "not recorded".to_owned(),
    };
    let mut lines = vec![format!("{} ({kind}): {origin}", shown.target)];
    if let Some(settings) = &shown.settings {
        let both = [
            ("inbound", settings.bandwidth.inbound),
            ("outbound", settings.bandwidth.outbound),
        ];
        for (name, limit) in both {
            let Some(limit) = limit else { continue };
            lines.push(format!("  {name:8} {limit}"));
            let side = shown
                .sides
                .iter()
                .find(|it| it.direction.to_string() == name);
            lines.extend(side.into_iter().flat_map(side_lines));
        }
    } else {
        for side in &shown.sides {
            lines.push(format!("  {:8}", side.direction.to_string()));
            lines.extend(side_lines(side));
        }
    }
    if let Some(rate) = shown.rate {
        let (min, max) = (rate.min, rate.max);
        lines.push(format!(
            "           the card lets it send {max} Mbit/s, and at least {min}"
        ));
    }
    if shown.link.is_some() && shown.settings.is_some() && !shown.agrees {
        let device = &shown.target.device;
        lines.push(format!(
            "  The kernel does not have this: 'ncf qos apply {device}' makes it agree."
        ));
    }
    lines
}

fn side_lines(side: &ShownSide) -> Vec<String> {
    let passes = match side.side {
        Side::Egress => "leaves the device",
        Side::Ingress => "enters the device",
    };
    let how = match side.how {
        "htb" => "through HTB",
        "ifb" => "through HTB in an ifb",
        _ => "past a policer",
    };
    let counted = &side.counters;
    let mut lines = vec![
        format!("           {passes} {how}"),
        format!(
            "           {}, {} packets, {} dropped, {} waiting",
            bytes(counted.bytes),
            counted.packets,
            counted.drops,
            bytes(counted.backlog.into())
        ),
    ];
    for class in side.classes.iter().filter(|_| side.classes.len() > 1) {
        let whose = match (class.mac, class.handle.minor()) {
            (Some(mac), _) => mac.to_string(),
            (None, 1) => "all".to_owned(),
            (None, _) => "the rest".to_owned(),
        };
        let rate = Rate::from_bytes(class.htb.rate).map_or_else(String::new, |it| it.to_string());
        lines.push(format!(
            "           {whose:17} has {rate}; {}, {} dropped",
            bytes(class.counters.bytes),
            class.counters.drops
        ));
    }
    lines
}

/// A number of bytes, to three digits.
pub(super) fn bytes(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    let number = bytes as f64;
    for (factor, unit) in [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")] {
        if number >= factor {
            return format!("{:.1} {unit}", number / factor);
        }
    }
    format!("{bytes} B")
}
