//! What it costs to plug a guest and to unplug it: whole processes of the release binary, in a network namespace of
//! its own. Needs root.
//!
//! The reference is what a script does, in the same namespace and in turn with ncf: `ip` run for each step. To free a
//! device that was removed takes the kernel some 18 ms (`netdev_run_todo()` in `net/core/dev.c`), and whoever asked for it
//! waits that long: `ip link delete`, and of ncf a helper. What is measured of unplug is the command, until its process
//! ends; the device is gone then. A pool of a thousand devices, nine hundred of them in use, is held against one of ten.

#[allow(dead_code, reason = "the other benchmarks print sizes too")]
#[path = "bench/table.rs"]
mod table;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CloneFlags, unshare};

use table::{Row, median};

const NCF: &str = env!("CARGO_BIN_EXE_ncf");

/// How often each step is measured.
const ROUNDS: usize = 51;

/// The large pool, and how much of it is in use.
const LARGE: usize = 1000;
const IN_USE: usize = 900;
const SMALL: usize = 10;

/// What should not be exceeded.
const LIMIT: Duration = Duration::from_millis(10);

/// How long the kernel is given to free what was removed, so that each step begins with an idle one.
const SETTLE: Duration = Duration::from_millis(50);

/// How many times as fast as the small pool the large one should be, with room for what two runs of one differ by.
const NO_SLOWER: f64 = 0.9;

fn main() -> Result<()> {
    if !table::is_wanted(&mut io::stdout())? {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWNET).context("needs root, for a network namespace")?;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut rows = taps(dir.path())?;
    rows.extend(pools(dir.path())?);
    table::print(&rows, &mut io::stdout())?;
    Ok(())
}

/// A state directory with one network that runs.
struct Nets {
    state: PathBuf,
}

impl Nets {
    fn new(state: PathBuf, inside: &str) -> Result<Self> {
        let nets = Self { state };
        let text = format!("<network><name>net</name>{inside}</network>");
        let file = nets.state.with_extension("xml");
        std::fs::write(&file, text)?;
        let define = format!("define {}", file.display());
        run(&mut nets.command(&define))?;
        run(&mut nets.command("start net"))?;
        Ok(nets)
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(NCF);
        command.env("NCF_STATE_DIR", &self.state);
        command
            .arg("net")
            .args(arguments.split_whitespace())
            .arg("-q");
        command
    }
}

/// What was measured of one way to connect a guest.
#[derive(Default)]
struct Times {
    plug: Vec<Duration>,
    unplug: Vec<Duration>,
}

impl Times {
    fn of_ncf(&mut self, nets: &Nets) -> Result<()> {
        self.plug
            .push(run(&mut nets.command("plug net --owner guest"))?);
        self.unplug
            .push(run(&mut nets.command("unplug --owner guest"))?);
        thread::sleep(SETTLE);
        Ok(())
    }

    fn of_ip(&mut self, steps: &[&str]) -> Result<()> {
        let began = Instant::now();
        for words in steps {
            ip(words)?;
        }
        self.plug.push(began.elapsed());
        let began = Instant::now();
        ip("link delete guest")?;
        self.unplug.push(began.elapsed());
        thread::sleep(SETTLE);
        Ok(())
    }

    /// Against `ip`.
    fn rows(&self, what: &str, reference: &Self) -> [Row; 2] {
        let (plug, unplug) = (median(&self.plug), median(&self.unplug));
        let (made, deleted) = (median(&reference.plug), median(&reference.unplug));
        [
            Row::within(format!("plug, {what}, against ip"), plug, made, LIMIT),
            Row::within(
                format!("unplug, {what}, against ip"),
                unplug,
                deleted,
                LIMIT,
            ),
        ]
    }
}

fn taps(dir: &Path) -> Result<Vec<Row>> {
    ip("link add br0 type bridge")?;
    ip("link set br0 up")?;
    let nets = Nets::new(
        dir.join("tap"),
        "<forward mode='bridge'/><bridge name='br0'/>",
    )?;
    let (mut ncf, mut reference) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        ncf.of_ncf(&nets)?;
        reference.of_ip(&[
            "tuntap add dev guest mode tap vnet_hdr",
            "link set guest address fe:54:00:00:00:01",
            "link set guest master br0",
            "link set guest up",
        ])?;
    }
    Ok(ncf.rows("a tap", &reference).into())
}

fn pools(dir: &Path) -> Result<Vec<Row>> {
    let mut batch = String::new();
    for (name, far, count) in [("large", "far", LARGE), ("small", "near", SMALL)] {
        for number in 0..count {
            writeln!(
                batch,
                "link add {name}{number} type veth peer name {far}{number}"
            )?;
            writeln!(batch, "link set {name}{number} up")?;
        }
    }
    let file = dir.join("batch");
    std::fs::write(&file, batch)?;
    ip(&format!("-batch {}", file.display()))?;
    let pool = |name: &str, count: usize| {
        let devices: String = (0..count).fold(String::new(), |mut all, number| {
            let _ = write!(all, "<interface dev='{name}{number}'/>");
            all
        });
        let inside = format!("<forward mode='passthrough'>{devices}</forward>");
        Nets::new(dir.join(name), &inside)
    };
    let (large, small) = (pool("large", LARGE)?, pool("small", SMALL)?);
    for number in 0..IN_USE {
        run(&mut large.command(&format!("plug net --owner other{number}")))?;
    }
    let (mut of_large, mut of_small) = (Times::default(), Times::default());
    let mut reference = Times::default();
    let free = format!("small{}", SMALL - 1);
    for _ in 0..ROUNDS {
        of_large.of_ncf(&large)?;
        of_small.of_ncf(&small)?;
        reference.of_ip(&[
            &format!("link add guest link {free} type macvtap mode passthru"),
            "link set guest address 52:54:00:00:00:01",
            "link set guest up",
        ])?;
    }
    let mut rows = Vec::from(of_small.rows("pool of 10", &reference));
    rows.extend(of_large.rows("pool of 1000", &reference));
    for (what, large, small) in [
        ("plug", &of_large.plug, &of_small.plug),
        ("unplug", &of_large.unplug, &of_small.unplug),
    ] {
        rows.push(Row::times(
            format!("{what}, pool of 1000, against one of 10"),
            median(large),
            median(small),
            Some(NO_SLOWER),
        ));
    }
    Ok(rows)
}

fn ip(words: &str) -> Result<()> {
    run(Command::new("ip").args(words.split_whitespace())).map(drop)
}

fn run(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    let status = command.status();
    let took = began.elapsed();
    let status = status.with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(took)
}
