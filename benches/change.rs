//! What a change costs: whole processes of the release binary, against what people did before.
//!
//! The references run in the same run, taking turns with ncf, so that another load on the machine weighs
//! on all of them; what counts is the ratio of medians. The *loop* does to the files what netcf's script
//! did, a process for each file, and makes nothing durable. *cp* is `cp -a` of the directory and `sync -f`,
//! which is as durable as ncf, but neither verifies anything nor is it whole or absent after a crash.
//!
//! Everything happens in the target directory, which must be on a disk: on a tmpfs durability is free.
//!
//! Nothing is deleted before all begins and rollbacks are measured, and each round has a state directory
//! of its own: ext4 passes over inodes that were deleted in the last minutes one by one, which makes every
//! creation in the same part of the disk slower, for all three alike, the more was deleted. For that reason
//! let some minutes pass between two runs.

#[path = "bench/table.rs"]
mod table;
#[path = "bench/tree.rs"]
mod tree;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::unistd::syncfs;

use table::{Row, median};
use tree::Tree;

const NCF: &str = env!("CARGO_BIN_EXE_ncf");

/// $1 is the directory with the files, $2 that of the copies.
const LOOP_BEGIN: &str = r#"mkdir "$2" && for f in "$1"/ifcfg-*; do cp -p "$f" "$2/"; done"#;
const LOOP_COMMIT: &str = r#"rm -rf "$2""#;
const LOOP_ROLLBACK: &str = r#"
for f in "$1"/ifcfg-*; do [ -e "$2/${f##*/}" ] || rm -f "$f"; done
for f in "$2"/ifcfg-*; do cmp -s "$f" "$1/${f##*/}" || cp -p "$f" "$1/"; done"#;
const CP_BEGIN: &str = r#"cp -a "$1" "$2" && sync -f "$2""#;
const CP_ROLLBACK: &str = r#"cp -a "$2/." "$1/" && sync -f "$1""#;

/// The state directories or copies of one round: one that is rolled back, one that is committed at the end.
const ROLLED_BACK: &str = "rolled-back";
const COMMITTED: &str = "committed";

/// How often each thing is done for one figure.
#[derive(Clone, Copy)]
struct Rounds {
    ncf: usize,
    /// The loop takes so long with many files that doing it again tells nothing new.
    shell: usize,
}

/// What one kind of step took, by whom.
#[derive(Default)]
struct Times {
    ncf: Vec<Duration>,
    shell: Vec<Duration>,
    cp: Vec<Duration>,
}

#[derive(Default)]
struct Figures {
    begin: Times,
    commit: Times,
    rollback: Times,
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let mut out = io::stdout();
    match arguments.split_first() {
        Some((first, command)) if first == "--peak" => {
            writeln!(out, "{}", peak_of_only_child(command)?)?;
        }
        _ if table::is_wanted(&mut out)? => table::print(&measure()?, &mut out)?,
        _ => {}
    }
    Ok(())
}

fn measure() -> Result<Vec<Row>> {
    let target = Path::new(NCF).parent().context("no target directory")?;
    if statfs(target)?.filesystem_type() == TMPFS_MAGIC {
        bail!(
            "{} is on a tmpfs: set CARGO_TARGET_DIR to a directory on a disk",
            target.display()
        );
    }
    let work = tempfile::tempdir_in(target)?;
    let mut rows = Vec::new();
    for (files, ncf, shell) in [(10, 25, 25), (1_000, 11, 5), (10_000, 3, 1)] {
        let tree = Tree::make(&work.path().join(files.to_string()), files)?;
        let figures = change(&tree, Rounds { ncf, shell })?;
        rows.extend(rows_of(files, &figures));
        if files == 10_000 {
            rows.extend(memory(&tree)?);
        }
    }
    rows.push(status(&work.path().join("10"))?);
    rows.push(size()?);
    Ok(rows)
}

/// Takes turns: ncf, cp, the loop.
fn change(tree: &Tree, rounds: Rounds) -> Result<Figures> {
    let mut figures = Figures::default();
    for round in 0..rounds.ncf {
        note(tree.files, round, rounds.ncf)?;
        ncf_round(tree, round, &mut figures)?;
        cp_round(tree, round, &mut figures)?;
        if round < rounds.shell {
            shell_round(tree, round, &mut figures)?;
        }
    }
    for round in 0..rounds.shell {
        let commit = &mut figures.commit;
        let state = tree.beside(&format!("ncf-{COMMITTED}-{round}"));
        commit
            .ncf
            .push(timed(tree, &mut ncf(&tree.root, &state, "change-commit"))?);
        let copies = tree.beside(&format!("loop-{COMMITTED}-{round}"));
        commit
            .shell
            .push(timed(tree, &mut shell(LOOP_COMMIT, tree, &copies))?);
    }
    Ok(figures)
}

fn ncf_round(tree: &Tree, round: usize, figures: &mut Figures) -> Result<()> {
    let ncf = |what: &str, command: &str| {
        let state = tree.beside(&format!("ncf-{what}-{round}"));
        timed(tree, &mut ncf(&tree.root, &state, command))
    };
    figures.begin.ncf.push(ncf(COMMITTED, "change-begin")?);
    figures.begin.ncf.push(ncf(ROLLED_BACK, "change-begin")?);
    tree.edit()?;
    figures
        .rollback
        .ncf
        .push(ncf(ROLLED_BACK, "change-rollback")?);
    tree.check()
}

fn cp_round(tree: &Tree, round: usize, figures: &mut Figures) -> Result<()> {
    let copies = tree.beside(&format!("cp-{ROLLED_BACK}-{round}"));
    let cp = |script: &str| timed(tree, &mut shell(script, tree, &copies));
    figures.begin.cp.push(cp(CP_BEGIN)?);
    tree.edit()?;
    figures.rollback.cp.push(cp(CP_ROLLBACK)?);
    tree.remove_added()?;
    tree.check()
}

fn shell_round(tree: &Tree, round: usize, figures: &mut Figures) -> Result<()> {
    let shell = |what: &str, script: &str| {
        let copies = tree.beside(&format!("loop-{what}-{round}"));
        timed(tree, &mut shell(script, tree, &copies))
    };
    figures.begin.shell.push(shell(COMMITTED, LOOP_BEGIN)?);
    figures.begin.shell.push(shell(ROLLED_BACK, LOOP_BEGIN)?);
    tree.edit()?;
    figures
        .rollback
        .shell
        .push(shell(ROLLED_BACK, LOOP_ROLLBACK)?);
    tree.check()
}

fn ncf(root: &Path, state: &Path, command: &str) -> Command {
    let mut ncf = Command::new(NCF);
    for variable in ["NCF_ROOT", "NCF_STATE_DIR", "NCF_CONFIG", "NCF_APPLIER"] {
        ncf.env_remove(variable);
    }
    ncf.env("NCF_ROOT", root).env("NCF_STATE_DIR", state);
    ncf.arg(command);
    ncf
}

fn shell(script: &str, tree: &Tree, copies: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-ec", script, "sh"]).arg(&tree.dir).arg(copies);
    shell
}

/// How long the command takes as a whole process, from a disk at rest.
fn timed(tree: &Tree, command: &mut Command) -> Result<Duration> {
    syncfs(File::open(&tree.root)?.as_fd())?;
    run(command)
}

fn run(command: &mut Command) -> Result<Duration> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status();
    let took = began.elapsed();
    let status = status.with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(took)
}

fn rows_of(files: usize, figures: &Figures) -> Vec<Row> {
    let aim = |factor: f64| (files == 1_000).then_some(factor);
    let row = |step: &str, whose: &str, ncf: &[Duration], other: &[Duration], aim| {
        let figure = format!("{step}, {files} files, against {whose}");
        Row::times(figure, median(ncf), median(other), aim)
    };
    let Figures {
        begin,
        commit,
        rollback,
    } = figures;
    vec![
        row("begin", "the loop", &begin.ncf, &begin.shell, aim(30.0)),
        row("begin", "cp -a, sync -f", &begin.ncf, &begin.cp, aim(1.0)),
        row("commit", "the loop", &commit.ncf, &commit.shell, None),
        row(
            "rollback",
            "the loop",
            &rollback.ncf,
            &rollback.shell,
            aim(100.0),
        ),
        row(
            "rollback",
            "cp -a, sync -f",
            &rollback.ncf,
            &rollback.cp,
            aim(1.0),
        ),
    ]
}

/// The peak of each command's resident memory.
fn memory(tree: &Tree) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for command in ["change-begin", "status", "change-rollback"] {
        if command == "status" {
            tree.edit()?;
        }
        let peak = peak(&ncf(&tree.root, &tree.beside("memory"), command))?;
        let figure = format!("memory of {command}, {} files", tree.files);
        rows.push(Row::size(figure, peak, 32 << 20));
    }
    tree.check()?;
    Ok(rows)
}

/// Runs the command from a fresh, small process, for the kernel's peak of a child begins with that of
/// the process that it was forked from.
fn peak(command: &Command) -> Result<u64> {
    let mut fresh = Command::new(std::env::current_exe()?);
    fresh.arg("--peak").arg(command.get_program());
    fresh.args(command.get_args()).stderr(Stdio::inherit());
    let output = fresh.output()?;
    ensure!(output.status.success(), "{command:?} failed");
    let text = String::from_utf8(output.stdout)?;
    Ok(text.trim().parse()?)
}

/// Runs the command and returns its peak of resident memory in bytes.
fn peak_of_only_child<S: AsRef<OsStr>>(command: &[S]) -> Result<u64> {
    let (program, arguments) = command.split_first().context("--peak takes a command")?;
    run(Command::new(program).args(arguments))?;
    // getrusage(2): in kibibytes.
    let kibibytes = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    Ok(u64::try_from(kibibytes)? * 1024)
}

/// `status` where nothing is open, against a process that does nothing.
fn status(root: &Path) -> Result<Row> {
    let state = root.join("var/lib/ncf");
    let (mut ours, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..51 {
        ours.push(run(&mut ncf(root, &state, "status"))?);
        nothing.push(run(&mut Command::new("true"))?);
    }
    let limit = Duration::from_millis(3);
    let figure = "status, nothing open, against true".to_owned();
    Ok(Row::within(figure, median(&ours), median(&nothing), limit))
}

fn size() -> Result<Row> {
    let bytes = std::fs::metadata(PathBuf::from(NCF))?.len();
    Ok(Row::size("size of the program".to_owned(), bytes, 4 << 20))
}

fn note(files: usize, round: usize, of: usize) -> Result<()> {
    let mut err = io::stderr();
    write!(err, "\r{files} files, round {} of {of} ", round + 1)?;
    if round + 1 == of {
        writeln!(err)?;
    }
    Ok(())
}
