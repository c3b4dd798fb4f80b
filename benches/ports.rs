//! What it costs to plug a guest and to unplug it: whole processes of the release binary, in a network namespace of
//! its own. Needs root.
//!
//! The reference for a tap in a bridge is what a script does: four runs of `ip`. That for a pool of a thousand devices,
//! nine hundred of them in use, is a pool of ten, in the same namespace.

#[allow(dead_code, reason = "the other benchmarks print sizes too")]
#[path = "bench/table.rs"]
mod table;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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

fn main() -> Result<()> {
    if std::env::args().any(|it| it == "--list" || it == "--test") {
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
        command.arg("--state-dir").arg(&self.state);
        command
            .args(["-q", "net"])
            .args(arguments.split_whitespace());
        command
    }
}

fn taps(dir: &Path) -> Result<Vec<Row>> {
    ip("link add br0 type bridge")?;
    ip("link set br0 up")?;
    let nets = Nets::new(
        dir.join("tap"),
        "<forward mode='bridge'/><bridge name='br0'/>",
    )?;
    let (mut plug, mut unplug) = (Vec::new(), Vec::new());
    let (mut make, mut delete) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plug.push(run(&mut nets.command("plug net --owner guest"))?);
        unplug.push(run(&mut nets.command("unplug --owner guest"))?);
        let began = Instant::now();
        for words in [
            "tuntap add dev tap0 mode tap vnet_hdr",
            "link set tap0 address fe:54:00:00:00:01",
            "link set tap0 master br0",
            "link set tap0 up",
        ] {
            ip(words)?;
        }
        make.push(began.elapsed());
        let began = Instant::now();
        ip("link delete tap0")?;
        delete.push(began.elapsed());
    }
    Ok(vec![
        Row::within(
            "plug a tap, against ip".into(),
            median(&plug),
            median(&make),
            LIMIT,
        ),
        Row::within(
            "unplug a tap, against ip".into(),
            median(&unplug),
            median(&delete),
            LIMIT,
        ),
    ])
}

fn pools(dir: &Path) -> Result<Vec<Row>> {
    let mut batch = String::new();
    for number in 0..LARGE {
        writeln!(
            batch,
            "link add large{number} type veth peer name far{number}"
        )?;
        writeln!(batch, "link set large{number} up")?;
    }
    for number in 0..SMALL {
        writeln!(
            batch,
            "link add small{number} type veth peer name near{number}"
        )?;
        writeln!(batch, "link set small{number} up")?;
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
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let [plug, unplug, small_plug, small_unplug] = &mut times;
        plug.push(run(&mut large.command("plug net --owner guest"))?);
        unplug.push(run(&mut large.command("unplug --owner guest"))?);
        small_plug.push(run(&mut small.command("plug net --owner guest"))?);
        small_unplug.push(run(&mut small.command("unplug --owner guest"))?);
    }
    let [plug, unplug, small_plug, small_unplug] = times.map(|times| median(&times));
    Ok(vec![
        Row::within(
            "plug, pool of 1000, against one of 10".into(),
            plug,
            small_plug,
            LIMIT,
        ),
        Row::within(
            "unplug, pool of 1000, against one of 10".into(),
            unplug,
            small_unplug,
            LIMIT,
        ),
    ])
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
