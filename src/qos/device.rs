//! Which way is in: what "inbound" and "outbound" mean on a device.
//!
//! Limits are told as the one sees them whose traffic they limit. Whether what that one receives leaves the host's
//! device or enters it depends on the device's kind, as it does in libvirt (`virDomainNetTypeSharesHostView()`):
//!
//! | device | inbound is |
//! |---|---|
//! | tap, veth | what leaves it: a guest or a container is at the far end |
//! | bridge | what leaves it: towards the guests on it |
//! | macvtap, macvlan, ipvlan | what enters it: it is the guest's own end |
//! | a network card, bond, vlan, anything else | what enters it: what the host receives |

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sys::netlink::link::Link;

/// Whose inbound and outbound are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// That of a guest at the far end: its inbound is what leaves the device.
    Guest,
    /// That of the device itself: inbound is what enters it.
    Host,
}

/// A direction as the limited one sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What it receives.
    Inbound,
    /// What it sends.
    Outbound,
}

/// Where in a device packets are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What leaves the device.
    Egress,
    /// What enters it.
    Ingress,
}

impl View {
    /// The view that a limit on this device is meant in if nothing else is said.
    pub fn of(link: &Link) -> Self {
        match link.kind.as_deref() {
            Some("tun" | "veth" | "netkit" | "bridge") => Self::Guest,
            _ => Self::Host,
        }
    }

    /// Where in the device a direction passes.
    pub fn side(self, direction: Direction) -> Side {
        match (self, direction) {
            (Self::Guest, Direction::Inbound) | (Self::Host, Direction::Outbound) => Side::Egress,
            (Self::Guest, Direction::Outbound) | (Self::Host, Direction::Inbound) => Side::Ingress,
        }
    }

    /// The direction that passes at a side of the device.
    pub fn direction(self, side: Side) -> Direction {
        if self.side(Direction::Inbound) == side {
            Direction::Inbound
        } else {
            Direction::Outbound
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Guest => "guest",
            Self::Host => "host",
        })
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        })
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        })
    }
}

/// What a device is, in the words of those who administer it: `tap`, `macvtap`, `network card`, …
pub fn kind_name(link: &Link) -> &str {
    match link.kind.as_deref() {
        Some("tun") => "tap",
        Some(kind) => kind,
        None if link.loopback => "loopback",
        None => "network card",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_and_its_side_belong_together() {
        for view in [View::Guest, View::Host] {
            for direction in [Direction::Inbound, Direction::Outbound] {
                assert_eq!(view.direction(view.side(direction)), direction);
            }
        }
        assert_eq!(View::Guest.side(Direction::Inbound), Side::Egress);
        assert_eq!(View::Host.side(Direction::Inbound), Side::Ingress);
    }
}
