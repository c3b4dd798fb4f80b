//! What IPv6 does by itself on a device, as `ifup-ipv6` has it.

use super::check::wants_ipv6;
use super::run::Run;
use crate::apply::desired::{Desired, Ipv6};
use crate::sys::netlink::ipv6;

impl Run {
    /// Sets the switches that `desired` names, where they are not right. A device that is not there is passed over.
    pub(super) fn switches(&mut self, desired: &Desired) {
        let device = desired.name.device();
        if wants_ipv6(desired) {
            let outcome = ipv6::enable(&device);
            self.note(outcome);
        }
        let forwards = ipv6::value(&device, "forwarding") == Some(1);
        for (switch, value) in wanted(&desired.ipv6, forwards) {
            let outcome = ipv6::set(&device, switch, value);
            self.note(outcome);
        }
    }

    /// Gives the switches that `desired` names what a device has that nobody has configured.
    pub(super) fn switches_back(&mut self, desired: &Desired) {
        let device = desired.name.device();
        for (switch, _) in wanted(&desired.ipv6, false) {
            let default = ipv6::default_value(switch).filter(|_| switch != "mtu");
            if let Some(value) = default
                && ipv6::value(&device, switch).is_some()
            {
                let outcome = ipv6::set(&device, switch, value);
                self.note(outcome);
            }
        }
    }
}

/// The switches by their names, and what to set them to; `forwards` is whether the device forwards packets now.
///
/// Forwarding comes first: changing it sets others back. A device that forwards takes advertisements only if
/// `accept_ra` is 2.
fn wanted(ipv6: &Ipv6, forwards: bool) -> Vec<(&'static str, u32)> {
    let forwards = ipv6.forwarding.unwrap_or(forwards);
    let accept = |on| match (on, forwards) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => 2,
    };
    let switches = [
        ("forwarding", ipv6.forwarding.map(u32::from)),
        ("accept_ra", ipv6.autoconf.map(accept)),
        ("autoconf", ipv6.autoconf.map(u32::from)),
        (
            "use_tempaddr",
            ipv6.privacy.map(|on| if on { 2 } else { 0 }),
        ),
        ("mtu", ipv6.mtu),
    ];
    switches
        .into_iter()
        .filter_map(|(switch, value)| Some((switch, value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_forwards_takes_advertisements_only_if_told_twice() {
        let mut ipv6 = Ipv6 {
            autoconf: Some(true),
            ..Ipv6::default()
        };
        assert_eq!(wanted(&ipv6, true), [("accept_ra", 2), ("autoconf", 1)]);
        ipv6.forwarding = Some(false);
        let set = [("forwarding", 0), ("accept_ra", 1), ("autoconf", 1)];
        assert_eq!(wanted(&ipv6, true), set);
        assert!(wanted(&Ipv6::default(), true).is_empty());
    }
}
