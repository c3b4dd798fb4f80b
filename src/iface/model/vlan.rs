//! VLANs.

use std::fmt;

use crate::sys::name::{BadName, InterfaceName};

/// What only a VLAN has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    /// Its number.
    pub tag: VlanId,
    /// The device that its frames go through.
    pub lower: InterfaceName,
}

impl Vlan {
    /// The name that netcf gives it: `eth0.42`. Fails where that is longer than a name may be.
    pub fn usual_name(&self) -> Result<InterfaceName, BadName> {
        format!("{}.{}", self.lower, self.tag).parse()
    }
}

/// The number of a VLAN, 1 to 4094: IEEE 802.1Q reserves 0 and 4095.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VlanId(u16);

impl VlanId {
    /// Fails for a number out of range; the error says what is allowed.
    pub fn new(id: u32) -> Result<Self, &'static str> {
        match u16::try_from(id) {
            Ok(id @ 1..=4094) => Ok(Self(id)),
            _ => Err("a number from 1 to 4094 is allowed"),
        }
    }

    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
