//! Programs that run in the background and are known by a file with their process id.
//!
//! A number in a file is worth little: the process may be gone and the number another's, or the file may be
//! of another network namespace, in which a device has the same name. So what is found is asked for its name, its
//! arguments and its namespace before it is taken for the daemon, let alone ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Context, Error, Result};

/// How often to look whether a daemon has ended.
const POLL: Duration = Duration::from_millis(20);

/// A process id file is a number and the end of a line.
const LONGEST: usize = 32;

/// A daemon that runs, in the network namespace of the thread that found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Daemon(Pid);

impl Daemon {
    /// The process that `file` names, if it runs, is called `program`, and has `argument` among its arguments
    /// where one is given.
    pub fn find(file: &Path, program: &str, argument: Option<&str>) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let number = text.get(..text.len().min(LONGEST))?.trim().parse().ok()?;
        let daemon = Self(Pid::from_raw(number));
        let is_it = number > 1
            && daemon.text("comm")?.trim() == program
            && is_here(&daemon.path("ns/net"))
            && argument.is_none_or(|argument| daemon.has_argument(argument));
        is_it.then_some(daemon)
    }

    /// Sends it a signal. One that has ended is no error.
    pub fn signal(self, signal: Signal) -> Result<()> {
        match kill(self.0, signal) {
            Err(Errno::ESRCH) | Ok(()) => Ok(()),
            Err(error) => {
                Err(error).context(|| format!("cannot send {signal} to process {}", self.0))
            }
        }
    }

    /// Asks it to end (`SIGTERM`), and ends it (`SIGKILL`) if it has not after `grace`.
    pub fn end(self, grace: Duration) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        if self.ends_within(grace) {
            return Ok(());
        }
        self.signal(Signal::SIGKILL)?;
        if self.ends_within(grace) {
            Ok(())
        } else {
            Err(Error::failed(format!("process {} does not end", self.0)))
        }
    }

    /// Whether it has ended, after waiting for that at most this long.
    pub fn ends_within(self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while self.is_running() {
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    /// Whether it runs; one that has ended and that nobody has waited for does not.
    fn is_running(self) -> bool {
        let stat = self.text("stat").unwrap_or_default();
        // The name may have blanks and parentheses in it; the state follows the last one.
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        !matches!(state, None | Some('Z' | 'X'))
    }

    fn has_argument(self, argument: &str) -> bool {
        let line = fs::read(self.path("cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        words.any(|word| word == argument.as_bytes())
    }

    fn text(self, file: &str) -> Option<String> {
        fs::read_to_string(self.path(file)).ok()
    }

    fn path(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.0)).join(file)
    }
}

/// Whether a process's network namespace is that of this thread.
fn is_here(namespace: &Path) -> bool {
    let ours = fs::read_link("/proc/thread-self/ns/net");
    let its = fs::read_link(namespace);
    matches!((ours, its), (Ok(ours), Ok(its)) if ours == its)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn sleeper() -> (Child, tempfile::NamedTempFile) {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("{}\n", child.id())).unwrap();
        // Until it is no longer this program's copy: the kernel changes the name first, the arguments a little later.
        while Daemon::find(file.path(), "sleep", Some("1000")).is_none() {
            thread::sleep(POLL);
        }
        (child, file)
    }

    #[test]
    fn a_daemon_is_found_by_its_name_and_argument_and_is_ended() {
        let (mut child, file) = sleeper();
        let find = |program, argument| Daemon::find(file.path(), program, argument);
        assert!(find("dhclient", None).is_none());
        assert!(find("sleep", Some("eth0")).is_none());
        let daemon = find("sleep", Some("1000")).unwrap();
        daemon.end(Duration::from_secs(60)).unwrap();
        assert!(daemon.ends_within(Duration::ZERO));
        child.wait().unwrap();
        assert!(find("sleep", None).is_none());
        daemon.signal(Signal::SIGTERM).unwrap();
    }

    #[test]
    fn a_file_that_names_no_process_finds_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in [
            "",
            "x",
            "-1",
            "0",
            "1",
            "99999999999999999999",
            "4194304999",
        ] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(Daemon::find(file.path(), "sleep", None), None, "{text:?}");
        }
        assert_eq!(Daemon::find(Path::new("/nonexistent"), "sleep", None), None);
    }
}
