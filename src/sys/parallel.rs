//! The same thing done to many items, on all processors.
//!
//! Reading and digesting thousands of small files is the kernel's and the processor's time, not the
//! disk's. For a few items a thread costs more than it saves.

use std::thread;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

/// What one thread is worth starting for.
const SHARE: usize = 64;

/// More threads than this find the disk or a lock in the kernel before they find more speed.
const MOST: usize = 8;

/// `each` of all items, in their order.
pub fn map<T: Sync, R: Send>(items: &[T], each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = processors().min(MOST).min(items.len() / SHARE);
    if threads < 2 {
        return items.iter().map(each).collect();
    }
    let each = &each;
    let part = |items: &[T]| items.iter().map(each).collect::<Vec<_>>();
    thread::scope(|scope| {
        let mut chunks = items.chunks(items.len().div_ceil(threads));
        let own = chunks.next().unwrap_or_default();
        let others: Vec<_> = chunks
            .map(|items| {
                let started = thread::Builder::new().spawn_scoped(scope, move || part(items));
                (items, started)
            })
            .collect();
        let mut results = part(own);
        for (items, started) in others {
            // Where no thread could be started, or one did not end well, it is done here.
            let theirs = started.ok().and_then(|thread| thread.join().ok());
            results.extend(theirs.unwrap_or_else(|| part(items)));
        }
        results
    })
}

/// The processors that this process may use. [`thread::available_parallelism`] also reads what share of them it has,
/// from half a dozen files of the control groups; for work of milliseconds that is too much.
fn processors() -> usize {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return 1;
    };
    let is_set = |at: &usize| set.is_set(*at).unwrap_or(false);
    (0..CpuSet::count()).filter(is_set).count()
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_are_done_in_order() {
        for many in [0, 1, 63, 64, 128, 1000, 1001] {
            let items: Vec<usize> = (0..many).collect();
            let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(super::map(&items, |item| item * 2), doubled);
        }
    }
}
