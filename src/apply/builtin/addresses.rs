//! Which addresses have to change: a pure function of those that are and those that are wanted.
//!
//! What is right already is not touched, and what is missing is added before the rest is removed, so that the
//! device is never without an address in between: with the last one the kernel drops all routes.
//!
//! IPv4 makes that harder. The first address of a subnet is its primary, the source of this host's packets
//! there; the others are secondaries. Deleting the primary deletes the secondaries with it (or promotes one,
//! where `promote_secondaries` is set). So where a primary has to go or is the wrong one, the subnet's addresses
//! are all removed, secondaries first, and added again in order. Those that were not to be removed come back too.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::apply::desired;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::address::{Address, LinkAddress};

/// One change to the addresses of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AddressOp {
    Add(Address),
    /// Make one that was learned with a lifetime permanent.
    Keep(Address),
    Delete(Address),
}

/// What is wanted of a device's addresses.
pub(super) struct Wish<'a> {
    /// The device, whose name is the label of an address that names none.
    pub(super) device: &'a InterfaceName,
    /// The addresses to have, in order.
    pub(super) wanted: Vec<&'a desired::Address>,
    /// Whether the first of the wanted addresses of a subnet must be its primary.
    pub(super) ordered: bool,
    /// Which of the others to remove.
    pub(super) unwanted: &'a dyn Fn(&LinkAddress) -> bool,
}

/// What to do, in order.
pub(super) fn plan(kernel: &[LinkAddress], wish: &Wish) -> Vec<AddressOp> {
    let wanted = distinct(&wish.wanted);
    let mut ops = Ops::default();
    let mut subnets: Vec<(u8, IpAddr)> = Vec::new();
    let all = kernel
        .iter()
        .map(|it| subnet(it.address.net, it.address.peer))
        .chain(wanted.iter().map(|it| subnet(it.net, it.peer)));
    for subnet in all {
        if subnet.1.is_ipv4() && !subnets.contains(&subnet) {
            subnets.push(subnet);
        }
    }
    for of in subnets {
        let kernel: Vec<_> = kernel
            .iter()
            .filter(|it| subnet(it.address.net, it.address.peer) == of)
            .collect();
        let wanted: Vec<_> = wanted
            .iter()
            .copied()
            .filter(|it| subnet(it.net, it.peer) == of)
            .collect();
        ops.subnet(&kernel, &wanted, wish);
    }
    ops.ipv6(kernel, &wanted, wish);
    ops.in_order()
}

/// An address of a configuration that belongs to the host as such and is never taken away.
pub(super) fn is_essential(address: &Address) -> bool {
    address.net.addr().is_loopback()
}

/// Whether an administrator may have put it there: not the kernel, not DHCP, not a router, not a
/// daemon that marks its addresses.
pub(super) fn is_configured(address: &LinkAddress) -> bool {
    let link_local = match address.address.net.addr() {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    address.permanent && !address.claimed && !link_local && !is_essential(&address.address)
}

/// Whether the kernel's address is the one that `wanted` names, whatever its label.
pub(super) fn is_named(kernel: &LinkAddress, wanted: &desired::Address) -> bool {
    kernel.address.net == wanted.net && kernel.address.peer == peer(wanted)
}

/// A far end that is the address itself is none; the kernel reports it so.
fn peer(wanted: &desired::Address) -> Option<IpAddr> {
    wanted.peer.filter(|peer| *peer != wanted.net.addr())
}

/// The first of each address that is wanted more than once.
fn distinct<'a>(wanted: &[&'a desired::Address]) -> Vec<&'a desired::Address> {
    let mut distinct: Vec<&desired::Address> = Vec::new();
    for address in wanted {
        let same = |it: &&desired::Address| it.net == address.net && it.peer == address.peer;
        if !distinct.iter().any(same) {
            distinct.push(address);
        }
    }
    distinct
}

/// What the kernel compares to find an address's primary: the prefix, of the far end if there is one.
fn subnet(net: IpNet, peer: Option<IpAddr>) -> (u8, IpAddr) {
    let length = net.prefix_len();
    let far = IpNet::new(peer.unwrap_or(net.addr()), length).unwrap_or(net);
    (length, far.network())
}

/// The changes, by when they are made.
#[derive(Default)]
struct Ops {
    first: Vec<AddressOp>,
    then: Vec<AddressOp>,
    last: Vec<AddressOp>,
}

impl Ops {
    fn in_order(mut self) -> Vec<AddressOp> {
        self.first.append(&mut self.then);
        self.first.append(&mut self.last);
        self.first
    }

    /// One IPv4 subnet.
    fn subnet(&mut self, kernel: &[&LinkAddress], wanted: &[&desired::Address], wish: &Wish) {
        let stays = |it: &LinkAddress| match wanted.iter().find(|want| is_named(it, want)) {
            Some(want) => is_right(it, want, wish.device),
            None => !(wish.unwanted)(it),
        };
        let primary_is_right = kernel
            .iter()
            .find(|it| !it.secondary)
            .is_none_or(|primary| {
                let is_first = wanted.first().is_none_or(|first| is_named(primary, first));
                let is_wanted = wanted.iter().any(|want| is_named(primary, want));
                stays(primary) && (is_first || !is_wanted || !wish.ordered)
            });
        if primary_is_right {
            self.one_by_one(kernel, wanted, wish);
            return;
        }
        let others = kernel
            .iter()
            .filter(|it| stays(it) && !wanted.iter().any(|want| is_named(it, want)));
        let again: Vec<_> = wanted
            .iter()
            .map(|want| to_kernel(want, wish.device))
            .chain(others.map(|it| it.address.clone()))
            .map(AddressOp::Add)
            .collect();
        let (secondaries, primaries): (Vec<&LinkAddress>, Vec<_>) =
            kernel.iter().copied().partition(|it| it.secondary);
        let gone = secondaries.into_iter().chain(primaries);
        let gone = gone.map(|it| AddressOp::Delete(it.address.clone()));
        if again.is_empty() {
            self.last.extend(gone);
        } else {
            self.then.extend(gone);
            self.then.extend(again);
        }
    }

    /// IPv6, where no address depends on another; but one host address can be there only once, with whatever
    /// prefix length.
    fn ipv6(&mut self, kernel: &[LinkAddress], wanted: &[&desired::Address], wish: &Wish) {
        let kernel: Vec<_> = kernel
            .iter()
            .filter(|it| it.address.net.addr().is_ipv6())
            .collect();
        let wanted: Vec<_> = wanted
            .iter()
            .copied()
            .filter(|it| it.net.addr().is_ipv6())
            .collect();
        self.one_by_one(&kernel, &wanted, wish);
    }

    fn one_by_one(&mut self, kernel: &[&LinkAddress], wanted: &[&desired::Address], wish: &Wish) {
        for want in wanted {
            let add = to_kernel(want, wish.device);
            let in_the_way = kernel.iter().find(|it| {
                it.address.net.addr() == want.net.addr()
                    && (want.net.addr().is_ipv6() || is_named(it, want))
            });
            match in_the_way {
                None => self.first.push(AddressOp::Add(add)),
                Some(it) if !is_named(it, want) || !is_right(it, want, wish.device) => {
                    self.then.push(AddressOp::Delete(it.address.clone()));
                    self.then.push(AddressOp::Add(add));
                }
                Some(it) if !it.permanent => self.first.push(AddressOp::Keep(add)),
                Some(_) => {}
            }
        }
        let replaced = |it: &LinkAddress| {
            wanted.iter().any(|want| {
                is_named(it, want)
                    || want.net.addr().is_ipv6() && want.net.addr() == it.address.net.addr()
            })
        };
        let gone = kernel
            .iter()
            .filter(|it| !replaced(it) && (wish.unwanted)(it));
        self.last
            .extend(gone.map(|it| AddressOp::Delete(it.address.clone())));
    }
}

/// Whether an address that is there under its name is also as wanted. A broadcast address is compared only
/// where the configuration names one. An IPv6 address that another host had is not right: it is tried again.
fn is_right(kernel: &LinkAddress, wanted: &desired::Address, device: &InterfaceName) -> bool {
    if wanted.net.addr().is_ipv6() {
        return !kernel.duplicate;
    }
    let label = kernel.address.label.as_deref();
    let broadcast = wanted.broadcast.is_none() || wanted.broadcast == kernel.address.broadcast;
    broadcast && label.is_none_or(|it| it == label_of(wanted, device).as_str())
}

fn label_of<'a>(wanted: &'a desired::Address, device: &'a InterfaceName) -> &'a InterfaceName {
    wanted.label.as_ref().unwrap_or(device)
}

/// What to add. The broadcast address that a configuration leaves out is the subnet's last, as `ifup` has it
/// (`brd +`); subnets of two addresses or one have none (RFC 3021).
fn to_kernel(wanted: &desired::Address, device: &InterfaceName) -> Address {
    let computed = match wanted.net {
        IpNet::V4(net) if net.prefix_len() < 31 && !net.addr().is_loopback() => {
            Some(net.broadcast())
        }
        _ => None,
    };
    let is_ipv4 = wanted.net.addr().is_ipv4();
    Address {
        net: wanted.net,
        peer: peer(wanted),
        label: is_ipv4.then(|| label_of(wanted, device).to_string()),
        broadcast: wanted.broadcast.or(computed).filter(|_| is_ipv4),
        lifetime: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::builtin::testing::{address, name};
    use netlink_packet_route::address::AddressScope;

    /// The addresses of eth0, of which the first of a subnet is its primary.
    fn kernel(nets: &[&str]) -> Vec<LinkAddress> {
        let mut seen = Vec::new();
        nets.iter()
            .map(|net| {
                let net: IpNet = net.parse().unwrap();
                let subnet = subnet(net, None);
                let secondary = seen.contains(&subnet) && net.addr().is_ipv4();
                seen.push(subnet);
                LinkAddress {
                    index: 2,
                    address: to_kernel(&address(&net.to_string()), &name("eth0")),
                    secondary,
                    permanent: true,
                    tentative: false,
                    duplicate: false,
                    temporary: false,
                    scope: AddressScope::Universe,
                    claimed: false,
                }
            })
            .collect()
    }

    /// The plan as text: `+` added, `=` kept, `-` deleted.
    fn change(kernel: &[LinkAddress], wanted: &[desired::Address]) -> Vec<String> {
        let device = name("eth0");
        let wish = Wish {
            device: &device,
            wanted: wanted.iter().collect(),
            ordered: true,
            unwanted: &is_configured,
        };
        text(&plan(kernel, &wish))
    }

    fn text(ops: &[AddressOp]) -> Vec<String> {
        let text = |op: &AddressOp| match op {
            AddressOp::Add(it) => format!("+{}", it.net),
            AddressOp::Keep(it) => format!("={}", it.net),
            AddressOp::Delete(it) => format!("-{}", it.net),
        };
        ops.iter().map(text).collect()
    }

    fn want(nets: &[&str]) -> Vec<desired::Address> {
        nets.iter().map(|net| address(net)).collect()
    }

    #[test]
    fn what_is_right_is_not_touched() {
        let nets = [
            "10.0.0.1/24",
            "10.0.0.2/24",
            "10.9.0.1/16",
            "2001:db8::1/64",
        ];
        assert!(change(&kernel(&nets), &want(&nets)).is_empty());
    }

    #[test]
    fn the_new_comes_before_the_old_goes() {
        let is = kernel(&["10.0.0.1/24", "2001:db8::1/64"]);
        assert_eq!(
            change(&is, &want(&["10.1.0.1/24", "2001:db8::2/64"])),
            [
                "+10.1.0.1/24",
                "+2001:db8::2/64",
                "-10.0.0.1/24",
                "-2001:db8::1/64"
            ]
        );
    }

    #[test]
    fn a_wrong_primary_is_removed_last_and_the_subnet_added_in_order() {
        let is = kernel(&["10.0.0.1/24", "10.0.0.2/24"]);
        assert_eq!(
            change(&is, &want(&["10.0.0.2/24", "10.0.0.1/24"])),
            [
                "-10.0.0.2/24",
                "-10.0.0.1/24",
                "+10.0.0.2/24",
                "+10.0.0.1/24"
            ]
        );
        assert_eq!(
            change(&is, &want(&["10.0.0.2/24"])),
            ["-10.0.0.2/24", "-10.0.0.1/24", "+10.0.0.2/24"]
        );
    }

    #[test]
    fn secondaries_come_and_go_without_a_touch_on_the_primary() {
        let is = kernel(&["10.0.0.1/24", "10.0.0.2/24"]);
        assert_eq!(
            change(&is, &want(&["10.0.0.1/24", "10.0.0.3/24"])),
            ["+10.0.0.3/24", "-10.0.0.2/24"]
        );
    }

    #[test]
    fn what_dhcp_or_a_router_gave_stays_and_comes_back_with_its_lifetime() {
        let mut is = kernel(&["10.0.0.1/24", "10.0.0.2/24", "2001:db8::5/64", "fe80::1/64"]);
        for dynamic in [1, 2] {
            is[dynamic].permanent = false;
            is[dynamic].address.lifetime = Some((50, 100));
        }
        let device = name("eth0");
        let wish = Wish {
            device: &device,
            wanted: Vec::new(),
            ordered: true,
            unwanted: &is_configured,
        };
        let ops = plan(&is, &wish);
        assert_eq!(text(&ops), ["-10.0.0.2/24", "-10.0.0.1/24", "+10.0.0.2/24"]);
        assert!(matches!(&ops[2], AddressOp::Add(it) if it.lifetime == Some((50, 100))));
    }

    #[test]
    fn a_learned_address_that_is_wanted_becomes_permanent_without_a_gap() {
        let mut is = kernel(&["10.0.0.1/24"]);
        is[0].permanent = false;
        assert_eq!(change(&is, &want(&["10.0.0.1/24"])), ["=10.0.0.1/24"]);
    }

    #[test]
    fn another_label_or_prefix_length_means_once_more() {
        let is = kernel(&["10.0.0.1/24", "10.0.0.2/24", "2001:db8::1/64"]);
        let mut wanted = want(&["10.0.0.1/24", "10.0.0.2/24", "2001:db8::1/48"]);
        wanted[1].label = Some(name("eth0:1"));
        assert_eq!(
            change(&is, &wanted),
            [
                "-10.0.0.2/24",
                "+10.0.0.2/24",
                "-2001:db8::1/64",
                "+2001:db8::1/48"
            ]
        );
    }

    #[test]
    fn the_loopbacks_own_addresses_stay() {
        let is = kernel(&["127.0.0.1/8", "::1/128", "10.5.5.5/32"]);
        assert_eq!(change(&is, &[]), ["-10.5.5.5/32"]);
    }

    #[test]
    fn an_alias_leaves_the_order_alone() {
        let is = kernel(&["10.0.0.1/24", "10.0.0.2/24"]);
        let wanted = want(&["10.0.0.2/24", "10.0.0.3/24"]);
        let device = name("eth0");
        let wish = Wish {
            device: &device,
            wanted: wanted.iter().collect(),
            ordered: false,
            unwanted: &|_| false,
        };
        assert_eq!(text(&plan(&is, &wish)), ["+10.0.0.3/24"]);
    }
}
