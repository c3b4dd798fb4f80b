//! Starting a child that has nothing of this process but its name space.
//!
//! `std::process::Command` lets a child inherit the signal mask, the file mode creation mask and the
//! ignored signals; undoing that there takes unsafe code between fork and exec. With a rollback's
//! [`SignalGuard`](super::signals::SignalGuard) in force an `ifup`, and the dhclient it leaves behind, would
//! then be deaf to `SIGTERM`. So this uses `posix_spawn(3)`, which sets the masks itself, and starts
//! the child from a thread whose working directory and file mode creation mask are its own
//! (`unshare(2)`, `CLONE_FS`), for which no privilege is needed.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// What to start.
pub(super) struct Image {
    /// The executable file.
    pub(super) program: PathBuf,
    /// The arguments, from the program's own name on.
    pub(super) arguments: Vec<CString>,
    /// `NAME=value`, all of them.
    pub(super) environment: Vec<CString>,
}

/// Starts it as the leader of a new process group, in `/`, with umask 022, no input, and both
/// outputs going to `output`. The receiver gets one message once it has ended; it is not yet reaped then.
pub(super) fn spawn(image: Image, output: BorrowedFd<'_>) -> std::io::Result<(Pid, Receiver<()>)> {
    let output = output.try_clone_to_owned()?;
    let nothing = File::open("/dev/null")?;
    let (started, start) = mpsc::channel();
    let (sender, ended) = mpsc::channel();
    let waiter = thread::Builder::new().name("command".to_owned());
    waiter.spawn(move || {
        if unshare(CloneFlags::CLONE_FS).is_ok() {
            // Somewhere that needs no network: the operator's own directory may be on NFS.
            let _ = std::env::set_current_dir("/");
            // An operator's 077 would make the resolv.conf that dhclient writes unreadable.
            umask(Mode::S_IWGRP | Mode::S_IWOTH);
        }
        let spawned = start_now(&image, &nothing, &output);
        drop((nothing, output));
        let pid = spawned.ok();
        // Both receivers may be gone: nobody waits for a child that could not be killed in time.
        let _ = started.send(spawned);
        if let Some(pid) = pid {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            while waitid(Id::Pid(pid), flags) == Err(Errno::EINTR) {}
            let _ = sender.send(());
        }
    })?;
    let pid = start.recv().map_err(std::io::Error::other)??;
    Ok((pid, ended))
}

fn start_now(image: &Image, nothing: &File, output: &OwnedFd) -> nix::Result<Pid> {
    let mut files = PosixSpawnFileActions::init()?;
    files.add_dup2(nothing.as_raw_fd(), 0)?;
    files.add_dup2(output.as_raw_fd(), 1)?;
    files.add_dup2(output.as_raw_fd(), 2)?;
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    // 0: a new group, named after the child.
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&settable_signals())?;
    let (arguments, environment) = (&image.arguments, &image.environment);
    posix_spawn(&image.program, &files, &attributes, arguments, environment)
}

/// All signals but the two whose disposition cannot be set.
fn settable_signals() -> SigSet {
    Signal::iterator()
        .filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP))
        .collect()
}
