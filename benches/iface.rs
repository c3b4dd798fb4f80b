//! What the interface commands cost with many interfaces configured: whole processes of the release binary.
//!
//! The reference is `grep -l` over the same files, in the same run and taking turns: the least that anybody does who
//! looks for an interface by its `DEVICE`. `define` is measured with what it makes durable, so the target directory must
//! be on a disk.
//!
//! Each is to take at most [`TARGET`]: ncftool took 320, 450 and 800 ms for the three on a machine of this kind. Another
//! program that is at work takes its share of both columns, so run it alone. With `NCF_ROOT` the kernel is not asked for
//! links, which on a host with a few cards costs some tenths of a millisecond more. What a process costs that does
//! nothing is measured too.

#[path = "bench/table.rs"]
#[allow(dead_code, reason = "the other measurement uses the rest")]
mod table;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use table::median;

const NCF: &str = env!("CARGO_BIN_EXE_ncf");

/// How many interfaces are configured.
const INTERFACES: usize = 1000;

/// How often each command is run.
const ROUNDS: usize = 20;

/// What the median of each is to be at most.
const TARGET: Duration = Duration::from_millis(10);

const BRIDGE: &str = "<interface type='bridge' name='br0'><start mode='onboot'/><protocol family='ipv4'><dhcp/></protocol>\
    <bridge stp='off'><interface type='ethernet' name='eth7'/></bridge></interface>";

fn main() -> Result<()> {
    if !table::is_wanted(&mut io::stdout())? {
        return Ok(());
    }
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-iface");
    let _ = fs::remove_dir_all(&root);
    let dir = make(&root)?;
    ensure!(
        statfs(&root)?.filesystem_type() != TMPFS_MAGIC,
        "{} is in memory, where durability is free",
        root.display()
    );
    let definition = root.join("br0.xml");
    fs::write(&definition, BRIDGE)?;
    let definition = definition.display().to_string();
    let mut out = io::stdout();
    writeln!(
        out,
        "{INTERFACES} interfaces, {ROUNDS} rounds; median and least; target {} ms",
        TARGET.as_millis()
    )?;
    let none = |_: usize| Ok(());
    measure(&root, &dir, "(nothing)", &["--version"], &none)?;
    measure(&root, &dir, "list --all", &["list", "--all"], &none)?;
    measure(&root, &dir, "dumpxml eth500", &["dumpxml", "eth500"], &none)?;
    let before = |_: usize| {
        let _ = fs::remove_file(dir.join("ifcfg-br0"));
        fs::write(dir.join("ifcfg-eth7"), content(7))?;
        // What the round before has written is not this one's.
        File::open(&dir)?.sync_all()?;
        Ok(())
    };
    measure(&root, &dir, "define br0", &["define", &definition], &before)?;
    fs::remove_dir_all(&root)?;
    Ok(())
}

fn make(root: &Path) -> Result<PathBuf> {
    let dir = root.join("etc/sysconfig/network-scripts");
    fs::create_dir_all(&dir)?;
    fs::create_dir_all(root.join("var/lib"))?;
    for number in 0..INTERFACES {
        fs::write(dir.join(format!("ifcfg-eth{number}")), content(number))?;
    }
    Ok(dir)
}

fn content(number: usize) -> String {
    let (high, low) = (number / 256, number % 256);
    format!(
        "# guest network {number}\nDEVICE=eth{number}\nTYPE=Ethernet\nBOOTPROTO=none\nONBOOT=yes\n\
         NM_CONTROLLED=no\nIPADDR=10.{high}.{low}.1\nPREFIX=24\nMTU=1500\nHWADDR=52:54:00:00:{high:02x}:{low:02x}\n"
    )
}

/// Measures one command, and the reference between its rounds.
fn measure(
    root: &Path,
    dir: &Path,
    what: &str,
    arguments: &[&str],
    before: &dyn Fn(usize) -> Result<()>,
) -> Result<()> {
    let (mut ncf, mut grep) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        before(round)?;
        let mut command = Command::new(NCF);
        command.env("NCF_ROOT", root).args(arguments);
        ncf.push(time(&mut command)?);
        let mut command = Command::new("grep");
        command.args(["-r", "-l", "^DEVICE=eth500$"]).arg(dir);
        grep.push(time(&mut command)?);
    }
    let least = |times: &[Duration]| times.iter().min().copied().unwrap_or_default();
    let (ncf_least, grep_least) = (least(&ncf), least(&grep));
    let (ncf, grep) = (median(&ncf), median(&grep));
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let ratio = ncf.as_secs_f64() / grep.as_secs_f64();
    let verdict = if ncf > TARGET { ", too slow" } else { "" };
    writeln!(
        io::stdout(),
        "{what:16} ncf {:6.1} {:6.1} ms   grep {:6.1} {:6.1} ms   {ratio:.1} times grep{verdict}",
        ms(ncf),
        ms(ncf_least),
        ms(grep),
        ms(grep_least),
    )?;
    Ok(())
}

fn time(command: &mut Command) -> Result<Duration> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(begun.elapsed())
}
