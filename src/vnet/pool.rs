//! Which device of a pool a port gets. Values in, values out; whether a device can be had at all is asked of the caller,
//! one device at a time and only of those that matter, for to look at a thousand would take longer than to plug.
//!
//! The rules are libvirt's (`networkAllocatePort()` in `bridge_driver.c`): a mode that needs a device for itself takes
//! the first that nobody uses, the others the one with the fewest ports, and of equals the first in the definition.
//! Where libvirt fails for a device that is absent or used by somebody else, the next one is taken, and what was
//! passed over is said.

use std::collections::HashMap;
use std::fmt;

use crate::error::Result;
use crate::sys::name::InterfaceName;
use crate::sys::pci::PciAddress;

/// One device of a pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Device {
    /// A network device: a card, or a virtual function that the host's driver has.
    Link(InterfaceName),
    /// A PCI function that is given to a guest as it is.
    Pci(PciAddress),
}

impl Device {
    /// What its `Display` has printed; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        // The name of a network device has one colon at most, and a PCI address has two.
        if text.bytes().filter(|byte| *byte == b':').count() > 1 {
            text.parse().ok().map(Self::Pci)
        } else {
            text.parse().ok().map(Self::Link)
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name) => write!(f, "{name}"),
            Self::Pci(address) => write!(f, "{address}"),
        }
    }
}

/// Whether a device may have several ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// One port has it to itself: `passthrough`, `hostdev`, and `private` with 802.1Qbh.
    Exclusive,
    /// Any number.
    Shared,
}

/// What ncf's own ports and reservations use. Over all networks: one device may be in two pools.
#[derive(Debug, Default)]
pub struct Usage {
    used: HashMap<Device, Use>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Use {
    ports: usize,
    exclusive: bool,
}

impl Usage {
    /// Makes room for as many devices more.
    pub fn reserve(&mut self, more: usize) {
        self.used.reserve(more);
    }

    /// Counts one port.
    pub fn add(&mut self, device: Device, sharing: Sharing) {
        let used = self.used.entry(device).or_default();
        used.ports += 1;
        used.exclusive |= sharing == Sharing::Exclusive;
    }

    /// How many ports a device has.
    pub fn ports(&self, device: &Device) -> usize {
        self.used.get(device).map_or(0, |used| used.ports)
    }

    fn allows(&self, device: &Device, sharing: Sharing) -> bool {
        self.used.get(device).is_none_or(|used| match sharing {
            Sharing::Exclusive => used.ports == 0,
            Sharing::Shared => !used.exclusive,
        })
    }
}

/// A device that was passed over though none of ncf's ports stands in the way, and why: "it is a port of br0".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub device: Device,
    /// A clause.
    pub why: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.device, self.why)
    }
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<T> {
    /// What was made of the device that was found; `None` where there is none.
    pub found: Option<T>,
    /// What was passed over on the way, in the order in which it was looked at.
    pub skipped: Vec<Skipped>,
    /// The devices that ncf's own ports and reservations keep from being used.
    pub taken: Vec<Device>,
}

/// What came of trying one device.
#[derive(Debug)]
pub enum Tried<T> {
    /// It can be had.
    Good(T),
    /// It cannot, for the reason given as a clause.
    Unfit(String),
}

/// The devices that a port may get, the best first, and those that others keep from it.
pub fn candidates<'a>(
    devices: &'a [Device],
    sharing: Sharing,
    usage: &Usage,
) -> (Vec<&'a Device>, Vec<&'a Device>) {
    let (mut fit, taken): (Vec<_>, Vec<_>) = devices
        .iter()
        .partition(|device| usage.allows(device, sharing));
    if sharing == Sharing::Shared {
        // Stable: of equals the first in the definition stays first.
        fit.sort_by_key(|device| usage.ports(device));
    }
    (fit, taken)
}

/// Tries one device after the other, the best first, until one is good. An error ends the search. `first` are devices
/// that go before all others, where the port may have them: those that are kept for it.
pub fn choose<T>(
    devices: &[Device],
    sharing: Sharing,
    usage: &Usage,
    first: &[Device],
    mut attempt: impl FnMut(&Device) -> Result<Tried<T>>,
) -> Result<Choice<T>> {
    let (mut candidates, taken) = candidates(devices, sharing, usage);
    candidates.sort_by_key(|device| !first.contains(device));
    let mut choice = Choice {
        found: None,
        skipped: Vec::new(),
        taken: Vec::new(),
    };
    for device in candidates {
        match attempt(device)? {
            Tried::Good(found) => {
                choice.found = Some(found);
                return Ok(choice);
            }
            Tried::Unfit(why) => choice.skipped.push(Skipped {
                device: device.clone(),
                why,
            }),
        }
    }
    // Only who finds none asks what others have.
    choice.taken = taken.into_iter().cloned().collect();
    Ok(choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eth(number: usize) -> Device {
        Device::Link(format!("eth{number}").parse().unwrap())
    }

    fn pool(count: usize) -> Vec<Device> {
        (0..count).map(eth).collect()
    }

    fn first(devices: &[Device], sharing: Sharing, usage: &Usage) -> Option<Device> {
        candidates(devices, sharing, usage)
            .0
            .first()
            .copied()
            .cloned()
    }

    #[test]
    fn an_exclusive_port_gets_the_first_unused_device() {
        let mut usage = Usage::default();
        let devices = pool(3);
        assert_eq!(first(&devices, Sharing::Exclusive, &usage), Some(eth(0)));
        usage.add(eth(0), Sharing::Exclusive);
        usage.add(eth(1), Sharing::Shared);
        assert_eq!(first(&devices, Sharing::Exclusive, &usage), Some(eth(2)));
        usage.add(eth(2), Sharing::Exclusive);
        assert_eq!(first(&devices, Sharing::Exclusive, &usage), None);
    }

    #[test]
    fn shared_ports_spread_and_ties_go_by_the_definition() {
        let devices = pool(3);
        let mut usage = Usage::default();
        let mut order = Vec::new();
        for _ in 0..7 {
            let device = first(&devices, Sharing::Shared, &usage).unwrap();
            usage.add(device.clone(), Sharing::Shared);
            order.push(device.to_string());
        }
        assert_eq!(
            order,
            ["eth0", "eth1", "eth2", "eth0", "eth1", "eth2", "eth0"]
        );
    }

    #[test]
    fn a_device_that_one_port_has_to_itself_is_not_shared() {
        let mut usage = Usage::default();
        usage.add(eth(0), Sharing::Exclusive);
        assert_eq!(first(&pool(2), Sharing::Shared, &usage), Some(eth(1)));
    }

    #[test]
    fn what_is_unfit_is_passed_over_and_said() {
        let choice = choose(
            &pool(4),
            Sharing::Exclusive,
            &Usage::default(),
            &[],
            |device| {
                Ok(if *device == eth(2) {
                    Tried::Good(device.clone())
                } else {
                    Tried::Unfit("it is absent".to_owned())
                })
            },
        );
        let choice = choice.unwrap();
        assert_eq!(choice.found, Some(eth(2)));
        let said: Vec<_> = choice.skipped.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["eth0: it is absent", "eth1: it is absent"]);
    }

    #[test]
    fn of_a_thousand_with_nine_hundred_in_use_only_one_is_looked_at() {
        let devices = pool(1000);
        let mut usage = Usage::default();
        for number in 0..900 {
            usage.add(eth(number), Sharing::Exclusive);
        }
        let mut looked = 0;
        let choice = choose(&devices, Sharing::Exclusive, &usage, &[], |device| {
            looked += 1;
            Ok(Tried::Good(device.clone()))
        });
        let choice = choice.unwrap();
        assert_eq!((choice.found, looked), (Some(eth(900)), 1));
    }

    #[test]
    fn what_is_kept_for_a_port_goes_first_unless_it_is_taken() {
        let mut usage = Usage::default();
        let choice = |usage: &Usage| {
            let good = |device: &Device| Ok(Tried::Good(device.clone()));
            choose(&pool(3), Sharing::Exclusive, usage, &[eth(2)], good).unwrap()
        };
        assert_eq!(choice(&usage).found, Some(eth(2)));
        usage.add(eth(2), Sharing::Exclusive);
        assert_eq!(choice(&usage).found, Some(eth(0)));
        usage.add(eth(0), Sharing::Exclusive);
        usage.add(eth(1), Sharing::Exclusive);
        assert_eq!(choice(&usage).taken, pool(3));
    }
}
