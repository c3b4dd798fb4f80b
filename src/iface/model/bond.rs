//! Bonds: several links as one.
//!
//! Source: the kernel's `Documentation/networking/bonding.rst`.

use std::fmt;
use std::net::Ipv4Addr;

use super::{Ethernet, word};
use crate::sys::name::InterfaceName;

/// What only a bond has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bond {
    /// How it spreads traffic; `None` leaves the kernel's default, `balance-rr`.
    pub mode: Option<Mode>,
    /// How it finds out that a link is gone.
    pub monitor: Option<Monitor>,
    /// The links. In the mode `active-backup` the first is the primary one.
    pub ports: Vec<BondPort>,
}

impl Bond {
    /// The port that is used as long as it works: the first, in the one mode that has such a port.
    pub fn primary(&self) -> Option<&InterfaceName> {
        let first = self
            .ports
            .first()
            .filter(|_| self.mode == Some(Mode::ActiveBackup));
        first.map(|port| &port.name)
    }
}

/// One of a bond's links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BondPort {
    /// Its name.
    pub name: InterfaceName,
    /// The rest of it.
    pub ethernet: Ethernet,
}

/// How a bond spreads traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 0: packets in turn over all.
    BalanceRr,
    /// 1: one works, the others wait.
    ActiveBackup,
    /// 2: by a hash of addresses.
    BalanceXor,
    /// 3: everything over all.
    Broadcast,
    /// 4: IEEE 802.3ad, LACP.
    Lacp,
    /// 5: outgoing by load.
    BalanceTlb,
    /// 6: both directions by load.
    BalanceAlb,
}

impl Mode {
    /// All, with the kernel's words, in the order of the kernel's numbers.
    pub const WORDS: [(&'static str, Self); 7] = [
        ("balance-rr", Self::BalanceRr),
        ("active-backup", Self::ActiveBackup),
        ("balance-xor", Self::BalanceXor),
        ("broadcast", Self::Broadcast),
        ("802.3ad", Self::Lacp),
        ("balance-tlb", Self::BalanceTlb),
        ("balance-alb", Self::BalanceAlb),
    ];

    /// Whether links can be watched by ARP in it.
    pub fn takes_arp_monitor(self) -> bool {
        !matches!(self, Self::Lacp | Self::BalanceTlb | Self::BalanceAlb)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(&Self::WORDS, self))
    }
}

/// How a bond watches its links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Monitor {
    /// By what the cards say.
    Mii(MiiMonitor),
    /// By asking another host.
    Arp(ArpMonitor),
}

/// Watching the state that the cards report. Times are in milliseconds, up to 2147483647.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MiiMonitor {
    /// Between two looks; 0 is not to look.
    pub freq: u32,
    /// From when a link fails until it is no longer used.
    pub down_delay: Option<u32>,
    /// From when a link works until it is used.
    pub up_delay: Option<u32>,
    /// Whom to ask; `None` leaves the kernel's default, `netif`.
    pub carrier: Option<Carrier>,
}

/// Whom the kernel asks whether a link works (`use_carrier`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// The card, by MII or ethtool: 0.
    Ioctl,
    /// The driver, `netif_carrier_ok()`: 1.
    Netif,
}

impl Carrier {
    /// All, with the schema's words, in the order of the kernel's numbers.
    pub const WORDS: [(&'static str, Self); 2] = [("ioctl", Self::Ioctl), ("netif", Self::Netif)];
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(&Self::WORDS, self))
    }
}

/// Watching whether another host answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArpMonitor {
    /// Between two questions, in milliseconds, up to 2147483647.
    pub interval: u32,
    /// Who is asked.
    pub target: Ipv4Addr,
    /// On which links answers are checked; `None` leaves the kernel's default, none.
    pub validate: Option<Validate>,
}

/// On which links answers to ARP are checked (`arp_validate`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validate {
    /// 0
    None,
    /// 1: the active one.
    Active,
    /// 2: those that wait.
    Backup,
    /// 3
    All,
}

impl Validate {
    /// All, with the schema's words, in the order of the kernel's numbers.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("none", Self::None),
        ("active", Self::Active),
        ("backup", Self::Backup),
        ("all", Self::All),
    ];
}

impl fmt::Display for Validate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(&Self::WORDS, self))
    }
}
