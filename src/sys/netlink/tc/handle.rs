//! The names of qdiscs and classes, and the kernel's unit of time for them.

use std::fmt;

use crate::error::Result;

/// The name of a qdisc (`major:`) or of a class in it (`major:minor`), printed in hexadecimal like `tc(8)` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u32);

impl Handle {
    /// No handle: that of a default qdisc, or "choose one".
    pub const NONE: Self = Self(0);
    /// The parent of a device's root qdisc (`TC_H_ROOT` in `<linux/pkt_sched.h>`).
    pub const ROOT: Self = Self(0xffff_ffff);
    /// The parent of the ingress qdisc, and of clsact (`TC_H_INGRESS`, `TC_H_CLSACT`).
    pub const INGRESS: Self = Self(0xffff_fff1);
    /// The handle of the ingress qdisc, and the parent of its filters.
    pub const INGRESS_FILTERS: Self = Self(0xffff_0000);

    /// `major:minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self((major as u32) << 16 | minor as u32)
    }

    /// The qdisc's number.
    pub fn major(self) -> u16 {
        u16::try_from(self.0 >> 16).unwrap_or_default()
    }

    /// The class's number; 0 for the qdisc itself.
    pub fn minor(self) -> u16 {
        u16::try_from(self.0 & 0xffff).unwrap_or_default()
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.minor()) {
            (Self::ROOT, _) => f.write_str("root"),
            (_, 0) => write!(f, "{:x}:", self.major()),
            (_, minor) => write!(f, "{:x}:{minor:x}", self.major()),
        }
    }
}

/// Nanoseconds in a tick, on every Linux since 2.6.31 (`PSCHED_SHIFT` in `include/net/pkt_sched.h`).
///
/// `/proc/net/psched` would tell it, in its first two fields, but is not there in every container.
const NANOSECONDS: u128 = 64;

/// How many ticks `bytes` take at `rate` bytes a second, rounded up as `tc(8)` does. At least one; `None` where
/// it is more than the kernel's 32 bits hold, which is some 274 seconds.
pub fn ticks(bytes: u64, rate: u64) -> Option<u32> {
    let nanoseconds = u128::from(bytes) * 1_000_000_000;
    let ticks = nanoseconds.div_ceil(u128::from(rate.max(1)) * NANOSECONDS);
    u32::try_from(ticks.max(1)).ok()
}

/// How many bytes go by in so many ticks at `rate` bytes a second.
pub fn bytes(ticks: u32, rate: u64) -> u64 {
    let bytes = u128::from(ticks) * NANOSECONDS * u128::from(rate) / 1_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What is not there is no error for who wants it gone.
pub(super) fn gone_is_done(done: Result<()>) -> Result<()> {
    use nix::errno::Errno;
    match done {
        Err(error)
            if super::super::Refusal::of(&error)
                .is_some_and(|it| it.is_any(&[Errno::ENOENT, Errno::ENODEV])) =>
        {
            Ok(())
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_printed_as_tc_does() {
        assert_eq!(Handle::new(1, 0).to_string(), "1:");
        assert_eq!(Handle::new(0x6e63, 31).to_string(), "6e63:1f");
        assert_eq!(Handle::ROOT.to_string(), "root");
        assert_eq!(Handle::INGRESS_FILTERS.to_string(), "ffff:");
    }

    #[test]
    fn ticks_are_those_of_tc() {
        // tc class add … htb rate 1000kbps ceil 2000kbps burst 64kb: 64 KiB in 65536 us, 15.625 ticks each.
        assert_eq!(ticks(65536, 1_000_000), Some(1_024_000));
        assert_eq!(ticks(1600, 2_000_000), Some(12_500));
        assert_eq!(bytes(1_024_000, 1_000_000), 65536);
        assert_eq!(ticks(1, 4_294_967_295_000), Some(1));
        assert_eq!(ticks(275_000, 1000), None);
        assert_eq!(ticks(u64::MAX, 1), None);
    }
}
