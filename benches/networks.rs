//! What it costs to list networks: whole processes of the release binary. The reference is `cat` of all definitions,
//! which nobody can list them faster than by reading.

#[path = "bench/table.rs"]
mod table;

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use table::{Row, median};

const NCF: &str = env!("CARGO_BIN_EXE_ncf");

/// How often each is measured.
const ROUNDS: usize = 51;

/// The numbers of networks, and what to list them may take.
const SIZES: [(usize, Option<Duration>); 3] = [
    (10, None),
    (100, None),
    (1000, Some(Duration::from_millis(20))),
];

fn main() -> Result<()> {
    if !table::is_wanted(&mut io::stdout())? {
        return Ok(());
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut rows = Vec::new();
    for (number, limit) in SIZES {
        let state = dir.path().join(number.to_string());
        make(&state, number)?;
        let mut list = Vec::new();
        let mut cat = Vec::new();
        for _ in 0..ROUNDS {
            list.push(time(
                Command::new(NCF)
                    .env("NCF_STATE_DIR", &state)
                    .args(["net", "list", "--all"]),
            )?);
            let all = fs::read_dir(state.join("networks"))?.map(|entry| entry.map(|it| it.path()));
            let all = all.collect::<io::Result<Vec<_>>>()?;
            cat.push(time(Command::new("cat").args(all))?);
        }
        let figure = format!("net list, {number} networks");
        let (list, cat) = (median(&list), median(&cat));
        rows.push(match limit {
            Some(limit) => Row::within(figure, list, cat, limit),
            None => Row::times(figure, list, cat, None),
        });
    }
    table::print(&rows, &mut io::stdout())?;
    Ok(())
}

/// A state directory with that many networks, every second over a pool of two devices, the others with a bridge.
fn make(state: &Path, number: usize) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let dir = state.join("networks");
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&dir)?;
    for at in 0..number {
        let inside = if at % 2 == 0 {
            format!(
                "  <forward mode='private'>\n    <interface dev='eth{at}'/>\n    <interface dev='enp{at}'/>\n  </forward>\n"
            )
        } else {
            let (high, low) = (at / 250, at % 250);
            format!(
                "  <bridge name='virbr{at}' stp='on' delay='0'/>\n  <mac address='52:54:00:00:{high:02x}:{low:02x}'/>\n  \
                 <ip address='10.{high}.{low}.1' netmask='255.255.255.0'>\n    <dhcp>\n      \
                 <range start='10.{high}.{low}.2' end='10.{high}.{low}.254'/>\n    </dhcp>\n  </ip>\n"
            )
        };
        let text = format!(
            "<network>\n  <name>net{at}</name>\n  <uuid>00000000-0000-0000-0000-{at:012}</uuid>\n{inside}</network>\n"
        );
        fs::write(dir.join(format!("net{at}.xml")), text)?;
    }
    Ok(())
}

/// How long a process took, which must succeed.
fn time(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    let took = begun.elapsed();
    ensure!(status.success(), "{command:?}: {status}");
    Ok(took)
}
