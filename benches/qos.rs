//! What a limit costs, against the `tc` processes that libvirt runs for it: in a program that runs and links ncf, as
//! libvirt itself runs when it starts `tc`, and as commands, whole processes of the release binary. Of a command half the
//! time is the start of a process, that of `/bin/true` alone a quarter.
//!
//! The sequence is that of `virNetDevBandwidthSet()` in libvirt's `src/util/virnetdevbandwidth.c`, started one after
//! the other as libvirt does, without its own overhead. A command that this kernel does not know (`sfq`, `fw`, `police`)
//! is run all the same: libvirt would run it, and it ends the sooner. Both sides take turns, so that another load on the
//! machine weighs on both; what counts is the ratio of medians.
//!
//! Everything is in a network namespace of its own, so it needs root.

#[path = "bench/table.rs"]
#[allow(dead_code, reason = "shared with the other benchmark")]
mod table;

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ncf::qos::record::Target;
use ncf::qos::{Bandwidth, Qos, Request};
use ncf::state::StateDir;
use nix::sched::{CloneFlags, unshare};

use table::{Row, median};

const NCF: &str = env!("CARGO_BIN_EXE_ncf");

/// How many devices a large host has.
const MANY: usize = 500;

/// What libvirt runs for `<inbound average='1000' peak='2000' burst='512'/>` on a tap.
const INBOUND: &[&str] = &[
    "qdisc del dev DEV root",
    "qdisc del dev DEV ingress",
    "qdisc add dev DEV root handle 1: htb default 1",
    "class add dev DEV parent 1: classid 1:1 htb rate 1000kbps ceil 2000kbps burst 512kb quantum 85",
    "qdisc add dev DEV parent 1:1 handle 2: sfq perturb 10",
    "filter add dev DEV parent 1:0 protocol all prio 1 handle 1 fw flowid 1",
];

/// And for `<outbound average='500'/>`.
const OUTBOUND: &[&str] = &[
    "qdisc add dev DEV ingress",
    "filter add dev DEV parent ffff: protocol all u32 match u32 0 0 \
     police rate 500kbps burst 500kb mtu 64kb drop flowid :1",
];

fn main() -> Result<()> {
    let mut out = io::stdout();
    if table::is_wanted(&mut out)? {
        unshare(CloneFlags::CLONE_NEWNET).context("no network namespace: run it as root")?;
        table::print(&measure()?, &mut out)?;
    }
    Ok(())
}

fn measure() -> Result<Vec<Row>> {
    let target = Path::new(NCF).parent().context("no target directory")?;
    let work = tempfile::tempdir_in(target)?;
    let state = work.path().join("state");
    make_devices()?;
    let mut rows = Vec::new();
    let transient = [
        "qos",
        "set",
        "d0",
        "--inbound",
        "1000,2000,512",
        "--transient",
    ];
    rows.push(one(
        &state,
        "one device, inbound, in a program that runs",
        || linked(&state),
        INBOUND,
        Some(20.0),
    )?);
    rows.push(one(
        &state,
        "one device, inbound, as a command",
        || ncf(&state, &transient),
        INBOUND,
        Some(20.0),
    )?);
    let both: Vec<_> = [&transient[..], &["--outbound", "500"]].concat();
    let sequence: Vec<_> = [INBOUND, OUTBOUND].concat();
    rows.push(one(
        &state,
        "one device, both ways",
        || ncf(&state, &both),
        &sequence,
        None,
    )?);
    let kept = ["qos", "set", "d0", "--inbound", "1000,2000,512"];
    rows.push(one(
        &state,
        "one device, inbound, kept over a boot",
        || ncf(&state, &kept),
        INBOUND,
        None,
    )?);
    rows.push(change(&state)?);
    rows.push(many(&state)?);
    Ok(rows)
}

fn make_devices() -> Result<()> {
    for number in 0..MANY {
        run(Command::new("ip").args([
            "link",
            "add",
            &format!("d{number}"),
            "up",
            "type",
            "bridge",
        ]))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{command:?} fails");
    Ok(())
}

fn ncf(state: &Path, arguments: &[&str]) -> Result<Duration> {
    let began = Instant::now();
    run(Command::new(NCF)
        .env("NCF_STATE_DIR", state)
        .args(arguments))?;
    Ok(began.elapsed())
}

/// What `qos set --transient` does, by a program that links ncf, as libvirt would be one.
fn linked(state: &Path) -> Result<Duration> {
    let began = Instant::now();
    let state = StateDir::new(state.to_owned());
    let lock = state.lock("qos bench")?;
    let mut qos = Qos::open(&state, &lock, true)?;
    let bandwidth = Bandwidth {
        inbound: Some("1000,2000,512".parse()?),
        outbound: None,
    };
    let request = Request {
        bandwidth,
        transient: true,
        ..Request::default()
    };
    qos.set(&Target::device("d0".parse()?), &request)?;
    qos.close()?;
    Ok(began.elapsed())
}

/// A process for each command. Those that fail are part of it: libvirt deletes what may not be there.
fn tc(device: &str, commands: &[&str]) -> Result<Duration> {
    let began = Instant::now();
    for command in commands {
        let arguments = command.split_whitespace();
        let arguments = arguments.map(|word| if word == "DEV" { device } else { word });
        let mut tc = Command::new("tc");
        tc.args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        tc.status()?;
    }
    Ok(began.elapsed())
}

/// Takes all limits off a device.
fn clean(state: &Path, device: &str) -> Result<()> {
    ncf(state, &["qos", "clear", device])?;
    tc(
        device,
        &["qdisc del dev DEV root", "qdisc del dev DEV ingress"],
    )?;
    Ok(())
}

fn one(
    state: &Path,
    figure: &str,
    mut limit: impl FnMut() -> Result<Duration>,
    commands: &[&str],
    target: Option<f64>,
) -> Result<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..25 {
        clean(state, "d0")?;
        ours.push(limit()?);
        clean(state, "d0")?;
        theirs.push(tc("d0", commands)?);
    }
    clean(state, "d0")?;
    Ok(Row::times(
        figure.to_owned(),
        median(&ours),
        median(&theirs),
        target,
    ))
}

/// A limit that is there already gets another value.
fn change(state: &Path) -> Result<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..25 {
        let spec = format!("{},2000,512", 1000 + round);
        ours.push(ncf(
            state,
            &["qos", "set", "d0", "--inbound", &spec, "--transient"],
        )?);
        theirs.push(tc("d1", INBOUND)?);
    }
    for device in ["d0", "d1"] {
        clean(state, device)?;
    }
    Ok(Row::times(
        "one device, another value".to_owned(),
        median(&ours),
        median(&theirs),
        None,
    ))
}

/// Every device of a large host, in one process.
fn many(state: &Path) -> Result<Row> {
    let names: Vec<_> = (0..MANY).map(|number| format!("d{number}")).collect();
    for name in &names {
        ncf(
            state,
            &[
                "--applier",
                "none",
                "--root",
                "/",
                "qos",
                "set",
                name,
                "--inbound",
                "1000,2000,512",
            ],
        )?;
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        for name in &names {
            tc(name, &["qdisc del dev DEV root"])?;
        }
        ours.push(ncf(state, &["qos", "apply", "--all"])?);
        let began = Instant::now();
        for name in &names {
            tc(name, INBOUND)?;
        }
        theirs.push(began.elapsed());
    }
    let figure = format!("{MANY} devices, inbound");
    Ok(Row::times(
        figure,
        median(&ours),
        median(&theirs),
        Some(50.0),
    ))
}
