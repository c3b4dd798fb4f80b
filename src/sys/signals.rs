//! Not dying of the signals that a network change brings about.
//!
//! A rollback takes down the interface that carries the operator's own session. The terminal then
//! hangs up, and `SIGHUP` would end the rollback halfway, which is the worst moment there is; so
//! would an impatient Ctrl-C. The signals are blocked rather than ignored or handled: blocking needs no
//! handler (and so no unsafe code), does not depend on which thread is hit, and what arrived
//! meanwhile is delivered when the guard goes. A child would inherit the mask;
//! [`process`](super::process) clears it.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use crate::error::{Context, Result};

/// The blocked ones. `SIGTTOU` and `SIGTSTP` would stop rather than end the process,
/// with the same result on a host that nobody reaches any more. With `SIGTTIN` blocked, a read from a
/// terminal that is another's fails instead. `SIGKILL` and `SIGSTOP` cannot be blocked.
const BLOCKED: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGTTOU,
    Signal::SIGTTIN,
];

/// Blocks the signals that would end or stop this process, until it is dropped.
///
/// A signal mask belongs to a thread and is inherited by the threads it starts. Take the guard before
/// any other thread is there: a signal to the process goes to whichever thread has not blocked it.
#[derive(Debug)]
#[must_use = "the signals are let through again when the guard is dropped"]
pub struct SignalGuard {
    before: SigSet,
    // A mask is this thread's: the guard must be dropped in it.
    _thread: std::marker::PhantomData<*const ()>,
}

impl SignalGuard {
    /// Blocks them in this thread.
    pub fn block() -> Result<Self> {
        let set: SigSet = BLOCKED.into_iter().collect();
        let before = set
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .context(|| "cannot block signals")?;
        Ok(Self {
            before,
            _thread: std::marker::PhantomData,
        })
    }
}

impl Drop for SignalGuard {
    /// What arrived meanwhile takes effect here.
    fn drop(&mut self) {
        // Only an invalid argument makes this fail, and the mask was the kernel's own.
        let _ = self.before.thread_set_mask();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_is_as_before_once_the_guard_is_gone() {
        let before = SigSet::thread_get_mask().unwrap();
        let guard = SignalGuard::block().unwrap();
        let during = SigSet::thread_get_mask().unwrap();
        for signal in BLOCKED {
            assert!(during.contains(signal), "{signal} is not blocked");
        }
        drop(guard);
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }

    #[test]
    fn threads_started_under_the_guard_are_guarded_too() {
        let _guard = SignalGuard::block().unwrap();
        let mask = std::thread::spawn(|| SigSet::thread_get_mask().unwrap());
        assert!(mask.join().unwrap().contains(Signal::SIGHUP));
    }

    #[test]
    fn a_hang_up_under_the_guard_is_survived() {
        // A signal that is still pending when its thread ends is dropped: this one ends
        // without letting it through. Were it not blocked, it would end the whole test run.
        let thread = std::thread::spawn(|| {
            let guard = SignalGuard::block().unwrap();
            for signal in BLOCKED {
                nix::sys::signal::raise(signal).unwrap();
            }
            std::mem::forget(guard);
        });
        thread.join().unwrap();
    }
}
