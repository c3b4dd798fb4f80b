//! Running another program with a time limit, in a known environment, with its output kept.
//!
//! What runs here are the host's `ifup`, `ifdown` and an operator's probe, at a moment when the
//! network may be gone and nobody can press Ctrl-C. Hence:
//!
//! - **A file for the output, not a pipe.** `ifup` leaves daemons such as dhclient behind, and they
//!   keep its standard output open. Reading a pipe to its end would wait for as long as the lease
//!   lasts. The output goes to an anonymous file in memory and only the direct child is waited for.
//!   A daemon that goes on writing must not fill the memory either, so the file is sealed against
//!   growing once the child has ended, or once it is larger than anyone will read.
//! - **A process group of its own.** A script's helpers are killed along with it, and the hang-up
//!   that ends the operator's terminal session does not reach them.
//! - **A cleared environment.** What an operator exported (`LD_PRELOAD`, a translated `LC_ALL`,
//!   `DEVICE`, which `ifup` would take for its own) must not decide whether the host comes back. Nor
//!   must the working directory, the file mode creation mask or blocked signals: see `spawn.rs`.
//! - **A waiting thread** rather than a poll of `try_wait`: no latency, no wake-ups; rather than a
//!   `SIGCHLD` handler: those belong to the process and not to a library. The thread leaves the child
//!   unreaped (`WNOWAIT`), so that its process id cannot be another's by the time it is killed.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::spawn::{Image, spawn};
use crate::error::{Context, Error, Result};

/// Where programs are looked for, and their own `PATH`.
pub const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of the output is kept, in bytes: its end.
pub const KEPT_OUTPUT: u64 = 64 * 1024;

/// Between `SIGTERM` and `SIGKILL`, and again until the killed child is given up.
pub const GRACE: Duration = Duration::from_secs(2);

/// How much a command may write in all, in bytes; from then on its writes fail with `EPERM`.
const WRITTEN_OUTPUT: u64 = 16 * 1024 * 1024;

/// How often the amount written is looked at while the command runs.
const TICK: Duration = Duration::from_millis(500);

/// A program to run, with its arguments and its time limit.
#[derive(Debug, Clone)]
pub struct Invocation {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    limit: Duration,
}

/// How a program ended, and what it wrote.
#[derive(Debug, Clone)]
pub struct Ended {
    /// How it ended.
    pub how: How,
    /// The last [`KEPT_OUTPUT`] bytes of standard output and standard error together, in the order
    /// in which they were written; what is not UTF-8 is replaced.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It ended by itself, with this status, 0 to 255.
    Exited(i32),
    /// A signal ended it; `signal(7)` names the numbers.
    Killed(i32),
    /// It was ended because it ran for longer than this limit.
    TimedOut(Duration),
}

impl How {
    /// Whether it ended by itself with status 0.
    pub fn success(self) -> bool {
        self == Self::Exited(0)
    }

    fn from_status(status: WaitStatus) -> Self {
        match status {
            WaitStatus::Signaled(_, signal, _) => Self::Killed(signal as i32),
            WaitStatus::Exited(_, code) => Self::Exited(code),
            // Not without WUNTRACED or ptrace; 255 is what a status out of range reads as.
            _ => Self::Exited(255),
        }
    }
}

impl std::fmt::Display for How {
    /// A clause to follow the command's name: "exited with status 1".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Killed(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {number}"),
            },
            Self::TimedOut(limit) => {
                write!(
                    f,
                    "was ended after its time limit of {} s",
                    limit.as_secs_f64()
                )
            }
        }
    }
}

impl Ended {
    /// The output for a person to read on one line: without terminal escapes and other control
    /// characters, without blank lines, the last `lines` of it joined by "; ". `None` if there is
    /// nothing left.
    pub fn summary(&self, lines: usize) -> Option<String> {
        let plain = without_escapes(&self.output);
        let all: Vec<&str> = plain
            .split(['\n', '\r'])
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let last = all.get(all.len().saturating_sub(lines)..)?;
        (!last.is_empty()).then(|| last.join("; "))
    }
}

impl Invocation {
    /// `program` with no arguments. A name without a slash is looked for in [`SEARCH_PATH`].
    pub fn new(program: impl Into<PathBuf>, limit: Duration) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            limit,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to the environment, which otherwise is `PATH`, `LC_ALL=C` and `HOME=/`.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs it in `/` and waits for it, for its limit and twice [`GRACE`] at the longest.
    ///
    /// That it fails or is timed out is no error here: [`Ended::how`] says so. An error is
    /// that it could not be started, or (out of memory) that its output could not be kept.
    pub fn run(&self) -> Result<Ended> {
        let named = || format!("cannot run {}", self.program.display());
        let program = find(&self.program, SEARCH_PATH)
            .ok_or_else(|| Error::failed(named()).because("it is not there or not executable"))?;
        let output = OutputFile::new().context(named)?;
        let begun = Instant::now();
        let image = self.image(program).context(named)?;
        let (child, ended) = spawn(image, output.0.as_fd()).context(named)?;
        let how = Running { child, ended }
            .wait(begun, self.limit, &output)
            .context(|| format!("cannot wait for {}", self.program.display()))?;
        output.seal();
        Ok(Ended {
            how,
            output: output.end().context(named)?,
            took: begun.elapsed(),
        })
    }

    /// The arguments and the environment as the kernel takes them; a NUL in one is an error.
    fn image(&self, program: PathBuf) -> std::io::Result<Image> {
        let own = [self.program.as_os_str()];
        let arguments = own
            .into_iter()
            .chain(self.arguments.iter().map(OsString::as_os_str))
            .map(|argument| CString::new(argument.as_bytes()))
            .collect::<Result<_, _>>()?;
        let fixed = [("PATH", SEARCH_PATH), ("LC_ALL", "C"), ("HOME", "/")];
        let fixed = fixed.map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
        let added = self.environment.iter();
        let environment = fixed
            .into_iter()
            .chain(added.map(|(name, value)| (name.as_os_str(), value.as_os_str())))
            .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect::<Result<_, _>>()?;
        Ok(Image {
            program,
            arguments,
            environment,
        })
    }
}

/// Finds an executable file, as an absolute path: `program` itself if it has a slash, else in the
/// directories of `search`, colon-separated; relative ones are passed over.
pub fn find(program: &Path, search: &str) -> Option<PathBuf> {
    if program.as_os_str().is_empty() {
        return None;
    }
    if program.as_os_str().as_bytes().contains(&b'/') {
        let path = std::path::absolute(program).ok()?;
        return is_executable(&path).then_some(path);
    }
    search
        .split(':')
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| Path::new(directory).join(program))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// A child that leads a process group, and word of its end.
struct Running {
    child: Pid,
    ended: Receiver<()>,
}

impl Running {
    /// Waits until `limit` after `begun`, then ends the group.
    fn wait(self, begun: Instant, limit: Duration, output: &OutputFile) -> nix::Result<How> {
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            if self.ends_within(left.min(TICK)) {
                return waitpid(self.child, None).map(How::from_status);
            }
            if output.written() > WRITTEN_OUTPUT {
                output.seal();
            }
            if left.is_zero() {
                break;
            }
        }
        let _ = killpg(self.child, Signal::SIGTERM);
        self.ends_within(GRACE);
        // The helpers of a script that ended on the first signal may not have.
        let _ = killpg(self.child, Signal::SIGKILL);
        if self.ends_within(GRACE) {
            waitpid(self.child, None)?;
        }
        Ok(How::TimedOut(limit))
    }

    /// Whether the child has ended, after waiting at most `time` for that. It is not yet reaped.
    fn ends_within(&self, time: Duration) -> bool {
        // The sender is gone when the message was received before.
        !matches!(
            self.ended.recv_timeout(time),
            Err(RecvTimeoutError::Timeout)
        )
    }
}

/// An anonymous file in memory (`memfd_create(2)`) that takes a command's output.
struct OutputFile(File);

impl OutputFile {
    fn new() -> nix::Result<Self> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        memfd_create(c"ncf-output", flags).map(|fd| Self(File::from(fd)))
    }

    fn written(&self) -> u64 {
        self.0.metadata().map_or(0, |meta| meta.len())
    }

    /// Makes any further write fail. That this cannot fail on a file of one's own, and
    /// that it is only a precaution, are why nothing is reported.
    fn seal(&self) {
        let _ = fcntl(&self.0, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW));
    }

    fn end(&self) -> std::io::Result<String> {
        let mut file = &self.0;
        file.seek(SeekFrom::Start(self.written().saturating_sub(KEPT_OUTPUT)))?;
        let mut bytes = Vec::new();
        file.take(KEPT_OUTPUT).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Takes out `ESC [ … letter` sequences, with which init scripts colour "FAILED", and
/// control characters other than the ends of lines; a tab becomes a space.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => {
                if characters.next_if_eq(&'[').is_some() {
                    // A sequence ends with a byte from @ to ~ (ECMA-48, 5.4).
                    for parameter in characters.by_ref() {
                        if ('@'..='~').contains(&parameter) {
                            break;
                        }
                    }
                }
            }
            '\t' => plain.push(' '),
            '\n' | '\r' => plain.push(character),
            _ if character.is_control() => {}
            _ => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Ended {
        Invocation::new("sh", limit)
            .args(["-c", script])
            .run()
            .unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn status_signal_and_both_outputs_are_reported() {
        let ended = shell("echo out; echo err >&2; exit 3", LONG);
        assert_eq!(ended.how, How::Exited(3));
        assert_eq!(ended.output, "out\nerr\n");
        assert_eq!(shell("kill -KILL $$", LONG).how, How::Killed(9));
        assert!(shell("true", LONG).how.success());
    }

    #[test]
    fn the_environment_is_cleared_and_may_be_added_to() {
        let ended = Invocation::new("env", LONG)
            .env("DEVICE", "eth0")
            .run()
            .unwrap();
        let mut lines: Vec<&str> = ended.output.lines().collect();
        lines.sort_unstable();
        let path = format!("PATH={SEARCH_PATH}");
        assert_eq!(lines, ["DEVICE=eth0", "HOME=/", "LC_ALL=C", path.as_str()]);
    }

    #[test]
    fn signals_blocked_here_are_not_blocked_in_the_child() {
        let _guard = crate::sys::signals::SignalGuard::block().unwrap();
        let ended = shell("kill -HUP $$; echo survived", LONG);
        assert_eq!(ended.how, How::Killed(Signal::SIGHUP as i32));
    }

    #[test]
    fn the_directory_and_the_mode_mask_are_the_childs_own() {
        let before = std::env::current_dir().unwrap();
        assert_eq!(shell("pwd; umask", LONG).output, "/\n0022\n");
        assert_eq!(std::env::current_dir().unwrap(), before);
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        for program in ["no-such-program-of-ncf", "/nonexistent/ifup", ""] {
            let error = Invocation::new(program, LONG).run().unwrap_err();
            assert!(error.to_string().starts_with("cannot run"), "{error}");
        }
    }

    #[test]
    fn only_the_end_of_a_long_output_is_kept() {
        let ended = shell("yes 0123456 | head -n 100000; echo end", LONG);
        assert_eq!(ended.output.len() as u64, KEPT_OUTPUT);
        assert!(ended.output.ends_with("end\n"));
    }

    #[test]
    fn an_endless_output_cannot_fill_the_memory() {
        let ended = shell("yes; echo failed $?; sleep 1000", Duration::from_secs(4));
        assert!(matches!(ended.how, How::TimedOut(_)));
    }

    #[test]
    fn how_it_ended_reads_as_a_clause() {
        assert_eq!(How::Exited(1).to_string(), "exited with status 1");
        assert_eq!(How::Killed(9).to_string(), "was killed by SIGKILL");
        assert_eq!(
            How::TimedOut(Duration::from_secs(90)).to_string(),
            "was ended after its time limit of 90 s"
        );
    }

    #[test]
    fn a_summary_has_no_escapes_and_no_blank_lines() {
        let ended = Ended {
            how: How::Exited(1),
            output: "one\n\n\x1b[60G[\x1b[0;31mFAILED\x1b[0;39m]\r\n\ttwo\x07\n".to_owned(),
            took: Duration::ZERO,
        };
        assert_eq!(ended.summary(9).as_deref(), Some("one; [FAILED]; two"));
        assert_eq!(ended.summary(1).as_deref(), Some("two"));
        assert_eq!(ended.summary(0), None);
    }
}
