//! Runs of the program in which one system call fails, or is the last.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use super::host::{Host, Ran, isolate};
use super::need;

/// System calls that change something on disk, and locking. Opening is among them, for it may create. ncf opens
/// with `openat2` too, but only handles to paths.
const CALLS: [&str; 50] = [
    "open",
    "creat",
    "openat",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "sendfile",
    "splice",
    "copy_file_range",
    "ftruncate",
    "truncate",
    "fallocate",
    "mkdir",
    "mkdirat",
    "rmdir",
    "mknod",
    "mknodat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "fsync",
    "fdatasync",
    "syncfs",
    "sync",
    "sync_file_range",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "utimensat",
    "futimesat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "flock",
];

/// What happens at a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process ends before it.
    Kill,
    /// It fails: the file system is full.
    Full,
    /// It fails: the disk is broken.
    Broken,
}

impl Fault {
    pub const ALL: [Self; 3] = [Self::Kill, Self::Full, Self::Broken];

    /// As strace(1) wants it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "signal=SIGKILL",
            Self::Full => "error=ENOSPC",
            Self::Broken => "error=EIO",
        }
    }
}

/// A point at which a fault happens: the so-manieth system call of that name, from 1.
#[derive(Debug, Clone)]
pub struct Point {
    pub call: String,
    pub number: usize,
    pub fault: Fault,
}

/// The system calls of `command` that may change something: for each name those that do, in order. Opening a file
/// that is not created does not.
pub fn calls_of(command: &Command) -> BTreeMap<String, Vec<bool>> {
    calls_of_these(command, &CALLS.map(|call| format!("?{call}")).join(","))
}

/// As [`calls_of`], of these system calls, as strace(1) takes them.
pub fn calls_of_these(command: &Command, these: &str) -> BTreeMap<String, Vec<bool>> {
    let (ran, log) = traced(command, these, None);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let mut calls: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    // The kernel begins a write to a parameter of the network again for as long as another holds its lock.
    for line in log.lines().filter(|line| !line.contains("ERESTART")) {
        // "1234 fsync(5) = 0", with strace's -f.
        let call = line
            .split_once(' ')
            .map_or("", |(_, call)| call.trim_start());
        if let Some((name, arguments)) = call.split_once('(') {
            let changes = !name.starts_with("open") || arguments.contains("O_CREAT");
            calls.entry(name.to_owned()).or_default().push(changes);
        }
    }
    calls
}

/// How many system calls of that name `command` makes.
pub fn count(command: &Command, call: &str) -> usize {
    let (ran, log) = traced(command, call, None);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    log.lines()
        .filter(|line| line.contains(&format!(" {call}(")))
        .count()
}

/// Which of `command`'s system calls of the name `call`, from 1, is the first to have `part` in its arguments.
pub fn number_of(command: &Command, call: &str, part: &str) -> usize {
    let (_, log) = traced(command, call, None);
    let calls = log
        .lines()
        .filter(|line| line.contains(&format!(" {call}(")));
    let found = calls.enumerate().find(|(_, line)| line.contains(part));
    found
        .unwrap_or_else(|| panic!("no {call} of {part}: {log}"))
        .0
        + 1
}

/// Runs `command` with the fault at that point; and whether it came to that.
pub fn run(command: &Command, point: &Point) -> (Ran, bool) {
    let inject = format!(
        "inject={}:{}:when={}",
        point.call,
        point.fault.name(),
        point.number
    );
    let (ran, log) = traced(command, &point.call, Some(&inject));
    let fired = match point.fault {
        Fault::Kill => ran.status.is_none(),
        _ => log.contains("(INJECTED)"),
    };
    (ran, fired)
}

fn traced(command: &Command, calls: &str, inject: Option<&str>) -> (Ran, String) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(log.path());
    strace.arg("-e").arg(format!("trace={calls}"));
    if let Some(inject) = inject {
        strace.arg("-e").arg(inject);
    }
    // Faster, but signals are not injected then.
    if inject.is_none_or(|inject| !inject.contains("signal=")) {
        strace.arg("--seccomp-bpf");
    }
    strace.arg(command.get_program()).args(command.get_args());
    isolate(&mut strace);
    let ran = Ran::from(strace.output().unwrap());
    (ran, fs::read_to_string(log.path()).unwrap())
}

/// Whether what came of a run is good, and if not, why.
pub type Verdict = Result<(), String>;

pub fn require(good: bool, what: &str) -> Verdict {
    if good { Ok(()) } else { Err(what.to_owned()) }
}

/// Tries `command` with each fault at each point until one run gets through, each on a host that `prepare` has made, and
/// fails where `recover` is not content with what came of one.
pub fn over<S>(
    command: &[&str],
    prepare: impl Fn(&Host) -> S,
    recover: impl Fn(&Host, &S, &Ran, Fault) -> Verdict,
) {
    if !need::met(true, &["strace"]) {
        return;
    }
    let fresh = || {
        let host = Host::new();
        let sides = prepare(&host);
        (host, sides)
    };
    let calls = calls_of(&fresh().0.command(command));
    let mut violations = String::new();
    let mut tried = Vec::new();
    for fault in Fault::ALL {
        let mut points = 0;
        for (call, changes) in &calls {
            for number in 1.. {
                // To be killed before what only looks is to be killed before what comes next.
                if fault == Fault::Kill && changes.get(number - 1) == Some(&false) {
                    continue;
                }
                let (host, sides) = fresh();
                let point = Point {
                    call: call.clone(),
                    number,
                    fault,
                };
                let (ran, fired) = run(&host.command(command), &point);
                let verdict =
                    judge(&ran, fired, fault).and_then(|()| recover(&host, &sides, &ran, fault));
                if let Err(why) = verdict {
                    let _ = writeln!(
                        violations,
                        "{call} {number} {}: {why}\n  {ran:?}",
                        fault.name()
                    );
                }
                if !fired {
                    break;
                }
                points += 1;
            }
        }
        tried.push(format!("{points} with {}", fault.name()));
    }
    let kinds: Vec<_> = calls.into_keys().collect();
    need::say(&format!(
        "crash sweep of {}: {}; points are {}",
        command.join(" "),
        tried.join(", "),
        kinds.join(" ")
    ));
    assert!(violations.is_empty(), "{violations}");
}

fn judge(ran: &Ran, fired: bool, fault: Fault) -> Verdict {
    require(!ran.stderr.contains("panicked"), "it panicked")?;
    require(fired || ran.status == Some(0), "it failed by itself")?;
    require(
        fault != Fault::Kill || !fired || ran.status != Some(0),
        "killed, and yet a success",
    )
}
