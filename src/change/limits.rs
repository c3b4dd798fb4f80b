//! Traffic limits after interfaces were taken down and up, or their records were restored.
//!
//! A bridge that was made anew has lost its limits, a restored record says what a device is to have, and a restored
//! definition what a network is to have. So all that is recorded is made to hold once more: what already does is not
//! touched. It comes before a change is closed, so that
//! a rollback that is cut short does it when it is run again.

use super::host::Host;
use crate::error::{Context as _, Error};
use crate::qos::Qos;
use crate::state::Lock;
use crate::vnet::limits;

/// Makes the kernel agree with what is recorded. Returns what failed: it is no reason to stop.
pub(super) fn settle(host: &Host, lock: &Lock) -> Vec<Error> {
    if host.applier.is_idle() {
        return Vec::new();
    }
    let failed = || "cannot bring traffic limits back";
    let settled = Qos::open(&host.state, lock, true).and_then(|mut qos| {
        let applied = qos.apply_all()?;
        qos.close()?;
        Ok(applied)
    });
    let mut errors: Vec<_> = match settled.context(failed) {
        Err(error) => vec![error],
        Ok(applied) => applied
            .into_iter()
            .filter_map(|(_, done)| done.context(failed).err())
            .collect(),
    };
    match limits::settle(&host.state, lock, None) {
        Err(error) => errors.push(error),
        Ok(settled) => errors.extend(settled.into_iter().filter_map(|(_, done)| done.err())),
    }
    errors
}
