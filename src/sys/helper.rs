//! This program, started once more to do one thing that the kernel makes whoever asks for it wait for.
//!
//! A thread would not help: a process has not ended before all its threads have, and one that waits in the kernel cannot be
//! interrupted. Nor is a `fork(2)` needed: the program is started under another name, by which it knows what it is to do.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError};

use nix::sys::prctl::set_name;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::spawn::{Image, spawn};
use crate::error::{Context, Result};

/// The running program's file, even where an upgrade has put another in its place.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// A helper. It has no input, no outputs, no environment and none of this program's files; the network namespace is that
/// of the thread that started it.
///
/// Dropped, it goes on by itself.
#[derive(Debug)]
pub struct Helper {
    child: Pid,
    /// `None` once it has ended and has been reaped.
    ended: Option<Receiver<()>>,
}

impl Helper {
    /// Starts this program under the name `name`. An argument with a NUL in it is an error.
    pub fn start(name: &str, arguments: &[&str]) -> Result<Self> {
        Self::start_program(THIS_PROGRAM, name, arguments)
    }

    fn start_program(program: &str, name: &str, arguments: &[&str]) -> Result<Self> {
        let failed = || format!("cannot start {name}");
        let words = std::iter::once(&name).chain(arguments);
        let arguments = words.map(|word| CString::new(*word));
        let arguments: std::result::Result<_, _> = arguments.collect();
        let image = Image {
            program: PathBuf::from(program),
            arguments: arguments.map_err(std::io::Error::from).context(failed)?,
            environment: Vec::new(),
        };
        let output = OpenOptions::new().write(true).open("/dev/null");
        let output = output.context(failed)?;
        let (child, ended) = spawn(image, output.as_fd()).context(failed)?;
        Ok(Self {
            child,
            ended: Some(ended),
        })
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        let running = |ended: &Receiver<()>| ended.try_recv() == Err(TryRecvError::Empty);
        if self.ended.as_ref().is_some_and(running) {
            return false;
        }
        if self.ended.take().is_some() {
            let _ = waitpid(self.child, None);
        }
        true
    }

    /// Ends it. One that waits in the kernel does what it has begun there.
    pub fn end(&mut self) {
        // As long as it is not reaped, no other process has its number.
        if !self.has_ended() {
            let _ = kill(self.child, Signal::SIGKILL);
        }
    }
}

/// For the helper: has its process called `name` (`PR_SET_NAME`), of which the first 15 bytes count. The kernel would call it
/// `exe`, and whoever finds one that hangs should know what it is.
pub fn take_name(name: &str) {
    // No more than a comfort.
    if let Ok(name) = CString::new(name) {
        let _ = set_name(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn shell(script: &str) -> Helper {
        Helper::start_program("/bin/sh", "sh", &["-c", script]).unwrap()
    }

    fn wait_for(mut done: impl FnMut() -> bool) {
        while !done() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn is_there(process: Pid) -> bool {
        kill(process, None).is_ok()
    }

    #[test]
    fn one_that_ends_leaves_nothing() {
        let mut helper = shell("exit 3");
        wait_for(|| helper.has_ended());
        assert!(helper.has_ended());
        assert!(!is_there(helper.child));
        // Nobody asks this one.
        let child = shell("sleep 0.1").child;
        wait_for(|| !is_there(child));
    }

    #[test]
    fn one_that_does_not_end_is_ended() {
        let mut helper = shell("exec sleep 1000");
        assert!(!helper.has_ended());
        helper.end();
        wait_for(|| helper.has_ended());
        helper.end();
    }

    #[test]
    fn it_has_no_files_but_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list");
        // The shell has opened what it redirects to; of the others it has none.
        let script = format!("ls -l /proc/$$/fd > {}", list.display());
        let open = std::fs::File::open("/dev/zero").unwrap();
        // As one that a script has left open for ncf: it is not closed when another program is run.
        let open = nix::unistd::dup(&open).unwrap();
        let mut helper = shell(&script);
        wait_for(|| helper.has_ended());
        drop(open);
        let list = std::fs::read_to_string(list).unwrap();
        assert_eq!(list.matches("/dev/null").count(), 3, "{list}");
        assert!(!list.contains("/dev/zero"), "{list}");
    }

    #[test]
    fn what_cannot_be_started_is_an_error() {
        for program in ["/nonexistent", "/dev/null"] {
            assert!(Helper::start_program(program, "x", &[]).is_err());
        }
        assert!(Helper::start_program("/bin/sh", "sh", &["\0"]).is_err());
    }
}
