//! Which routes have to change: a pure function of those that are and those that are wanted.
//!
//! Planned after the addresses are in place, for changing those makes and drops routes. A route is added by
//! replacing: on a host that moves its address from `eth0` to `br0`, the default route through `eth0` must not
//! keep the new one out. `ifup` does the same (`ip route replace`).

use std::net::IpAddr;

use crate::Error;
use crate::apply::desired;
use crate::sys::netlink::route::{MAIN_TABLE, Origin, Route};

/// What an IPv6 route gets that names no metric (`IP6_RT_PRIO_USER` in `<net/ip6_route.h>`).
const IPV6_METRIC: u32 = 1024;

/// One change to the routes through a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RouteOp {
    Replace(Route),
    Delete(Route),
}

/// What to do, in order: directly connected destinations first, since gateways must be reachable when their
/// routes are added, then the rest; then, if `exact`, what an administrator could have added to the main table or
/// to one of those wanted, and is not wanted, goes.
pub(super) fn plan(kernel: &[Route], wanted: &[desired::Route], exact: bool) -> Vec<RouteOp> {
    let wanted = distinct(wanted);
    let (direct, by_gateway): (Vec<Route>, Vec<Route>) =
        wanted.into_iter().partition(|it| it.gateway.is_none());
    let wanted: Vec<Route> = direct.into_iter().chain(by_gateway).collect();
    let missing: Vec<&Route> = wanted
        .iter()
        .filter(|want| !kernel.iter().any(|it| satisfies(it, want)))
        .collect();
    let mut ops: Vec<RouteOp> = missing
        .iter()
        .map(|it| RouteOp::Replace((*it).clone()))
        .collect();
    if exact {
        let gone = kernel.iter().filter(|it| {
            it.origin == Origin::Admin
                && (it.table == MAIN_TABLE || wanted.iter().any(|want| want.table == it.table))
                && !wanted.iter().any(|want| satisfies(it, want))
                && !missing.iter().any(|want| takes_the_place_of(want, it))
        });
        ops.extend(gone.cloned().map(RouteOp::Delete));
    }
    ops
}

/// What to do to take away the routes that `named` names, or all that an administrator could have added to the
/// main table.
pub(super) fn plan_removal(kernel: &[Route], named: Option<&[desired::Route]>) -> Vec<RouteOp> {
    let named = named.map(|it| it.iter().map(to_kernel).collect::<Vec<_>>());
    kernel
        .iter()
        .filter(|it| it.origin == Origin::Admin)
        .filter(|it| match &named {
            Some(named) => named.iter().any(|name| satisfies(it, name)),
            None => it.table == MAIN_TABLE,
        })
        .cloned()
        .map(RouteOp::Delete)
        .collect()
}

/// Refuses routes of which only one can be: same destination, metric and table, different ways.
pub(super) fn contradiction(wanted: &[desired::Route]) -> Option<Error> {
    let wanted: Vec<Route> = wanted.iter().map(to_kernel).collect();
    wanted.iter().enumerate().find_map(|(at, route)| {
        let other = wanted
            .iter()
            .take(at)
            .find(|it| *it != route && is_same_place(it, route))?;
        Some(Error::failed(format!(
            "the routes '{other}' and '{route}' exclude each other: give them different metrics"
        )))
    })
}

/// The first of those that exclude each other, as with `ip route add` in a script.
fn distinct(wanted: &[desired::Route]) -> Vec<Route> {
    let mut distinct: Vec<Route> = Vec::new();
    for route in wanted.iter().map(to_kernel) {
        if !distinct.iter().any(|it| is_same_place(it, &route)) {
            distinct.push(route);
        }
    }
    distinct
}

fn to_kernel(wanted: &desired::Route) -> Route {
    let metric = wanted.metric.unwrap_or_default();
    let is_ipv6 = wanted.destination.addr().is_ipv6();
    Route {
        destination: wanted.destination.trunc(),
        gateway: wanted.gateway,
        metric: if is_ipv6 && metric == 0 {
            IPV6_METRIC
        } else {
            metric
        },
        table: wanted.table.filter(|it| *it != 0).unwrap_or(MAIN_TABLE),
        source: wanted.source,
        mtu: wanted.mtu,
        on_link: wanted.on_link,
        origin: Origin::Admin,
    }
}

/// Of two routes that are the same in this, the kernel keeps one.
fn is_same_place(one: &Route, other: &Route) -> bool {
    one.destination == other.destination && one.metric == other.metric && one.table == other.table
}

/// Whether adding `new` removes `old`. An IPv6 route takes the place only of one that has a gateway too, or has
/// none too (`fib6_add_rt2node()` in `net/ipv6/ip6_fib.c`).
fn takes_the_place_of(new: &Route, old: &Route) -> bool {
    let same_sort = new.gateway.is_some() == old.gateway.is_some();
    is_same_place(new, old) && (same_sort || new.destination.addr().is_ipv4())
}

/// Whether `kernel` is what `wanted` asks for. The route that the kernel made for an address does for a directly
/// connected destination; one that DHCP or a router gave does not: it goes when they say so.
fn satisfies(kernel: &Route, wanted: &Route) -> bool {
    let by_address = kernel.origin == Origin::Kernel
        && wanted.gateway.is_none()
        && is_same_place(kernel, wanted)
        && kernel.gateway.is_none()
        && wanted.mtu.is_none()
        && wanted
            .source
            .is_none_or(|source| kernel.source == Some(source));
    by_address || *kernel == *wanted
}

/// The IPv6 source addresses that the routes need: they must have passed duplicate address detection first.
pub(super) fn sources(ops: &[RouteOp]) -> Vec<IpAddr> {
    ops.iter()
        .filter_map(|op| match op {
            RouteOp::Replace(route) => route.source.filter(IpAddr::is_ipv6),
            RouteOp::Delete(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(destination: &str, gateway: Option<&str>) -> desired::Route {
        desired::Route {
            destination: destination.parse().unwrap(),
            gateway: gateway.map(|it| it.parse().unwrap()),
            metric: None,
            table: None,
            source: None,
            mtu: None,
            on_link: false,
        }
    }

    fn text(ops: &[RouteOp]) -> Vec<String> {
        ops.iter()
            .map(|op| match op {
                RouteOp::Replace(it) => format!("+{it}"),
                RouteOp::Delete(it) => format!("-{it}"),
            })
            .collect()
    }

    #[test]
    fn gateways_come_after_what_makes_them_reachable() {
        let wanted = [
            route("0.0.0.0/0", Some("192.0.2.1")),
            route("192.0.2.1/32", None),
        ];
        assert_eq!(
            text(&plan(&[], &wanted, true)),
            ["+192.0.2.1/32", "+default via 192.0.2.1"]
        );
    }

    #[test]
    fn what_is_right_is_not_touched_and_what_others_made_stays() {
        let wanted = [
            route("::/0", Some("2001:db8::1")),
            route("198.51.100.7/24", Some("192.0.2.1")),
        ];
        let mut kernel: Vec<Route> = wanted.iter().map(to_kernel).collect();
        for origin in [Origin::Kernel, Origin::Other] {
            let mut other = to_kernel(&route("203.0.113.0/24", None));
            other.origin = origin;
            kernel.push(other);
        }
        assert!(plan(&kernel, &wanted, true).is_empty());
    }

    #[test]
    fn a_changed_gateway_is_one_step_and_nothing_is_deleted_twice() {
        let kernel = [to_kernel(&route("0.0.0.0/0", Some("192.0.2.1")))];
        let wanted = [route("0.0.0.0/0", Some("192.0.2.2"))];
        assert_eq!(
            text(&plan(&kernel, &wanted, true)),
            ["+default via 192.0.2.2"]
        );
    }

    #[test]
    fn what_is_not_wanted_goes_from_the_main_table_and_from_wanted_ones() {
        let in_table = |table| Route {
            table,
            ..to_kernel(&route("203.0.113.0/24", None))
        };
        let kernel = [in_table(254), in_table(7), in_table(8)];
        let mut wanted = route("198.51.100.0/24", None);
        wanted.table = Some(7);
        assert_eq!(
            text(&plan(&kernel, &[wanted], true)),
            [
                "+198.51.100.0/24 table 7",
                "-203.0.113.0/24",
                "-203.0.113.0/24 table 7"
            ]
        );
    }

    #[test]
    fn the_kernels_route_for_an_address_does() {
        let mut kernel = to_kernel(&route("192.0.2.0/24", None));
        kernel.origin = Origin::Kernel;
        kernel.source = Some("192.0.2.5".parse().unwrap());
        assert!(plan(&[kernel], &[route("192.0.2.0/24", None)], true).is_empty());
    }

    #[test]
    fn two_ways_to_one_place_contradict_each_other_unless_metrics_differ() {
        let mut wanted = [
            route("0.0.0.0/0", Some("192.0.2.1")),
            route("0.0.0.0/0", Some("192.0.2.2")),
        ];
        assert!(contradiction(&wanted).is_some());
        wanted[1].metric = Some(5);
        assert!(contradiction(&wanted).is_none());
    }

    #[test]
    fn removal_takes_what_is_named_or_all() {
        let kernel = [
            to_kernel(&route("203.0.113.0/24", None)),
            to_kernel(&route("198.51.100.0/24", None)),
        ];
        let named = [route("203.0.113.0/24", None)];
        assert_eq!(
            text(&plan_removal(&kernel, Some(&named))),
            ["-203.0.113.0/24"]
        );
        assert_eq!(plan_removal(&kernel, None).len(), 2);
    }
}
