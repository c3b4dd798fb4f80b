//! Starting a child that has nothing of this process but its name space.
//!
//! `std::process::Command` lets a child inherit the signal mask, the file mode creation mask and the
//! ignored signals; undoing that there takes unsafe code between fork and exec. With a rollback's
//! [`SignalGuard`](super::signals::SignalGuard) in force an `ifup`, and the dhclient it leaves behind, would
//! then be deaf to `SIGTERM`. So this uses `posix_spawn(3)`, which sets the masks itself, and starts
//! the child from a thread whose working directory and file mode creation mask are its own
//! (`unshare(2)`, `CLONE_FS`), for which no privilege is needed.
//!
//! Nor does the child get files that the caller of this program left open for it: a dhclient that stays behind, with a
//! script's lock or the end of its pipe, would keep that script waiting.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
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
/// outputs going to `output`. The receiver gets one message once it has ended; whoever takes that must reap it. Of a child
/// whose receiver is gone nobody else needs to think.
pub(super) fn spawn(image: Image, output: BorrowedFd<'_>) -> std::io::Result<(Pid, Receiver<()>)> {
    let output = output.try_clone_to_owned()?;
    let nothing = File::open("/dev/null")?;
    let (started, start) = mpsc::channel();
    // A message is taken or it is not: nothing is left in between that nobody would ever read.
    let (sender, ended) = mpsc::sync_channel(0);
    let waiter = thread::Builder::new().name("command".to_owned());
    waiter.spawn(move || {
        // This thread may be older than a `SignalGuard`, and signals go to whichever thread takes them.
        let _ = SigSet::all().thread_block();
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
            if sender.send(()).is_err() {
                let _ = waitpid(pid, None);
            }
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
    for file in inherited() {
        files.add_close(file)?;
    }
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

/// The files beyond the first three that a child would get. That one is closed already is no error there.
fn inherited() -> Vec<RawFd> {
    let open = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    open.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|file| *file > 2)
        .collect()
}

/// All signals but the two whose disposition cannot be set.
fn settable_signals() -> SigSet {
    Signal::iterator()
        .filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP))
        .collect()
}
