//! Routes: the default ones of `ifcfg-*`, and the files `route-*` and `route6-*`.

use std::net::IpAddr;

use super::addresses;
use super::config::{self, Config};
use super::naming::file_name;
use super::refuse;
use crate::Result;
use crate::apply::desired::{Address, Route};
use crate::iface::backend::Files;
use crate::ifcfg::Place;
use crate::ifcfg::address::{Family, number};
use crate::ifcfg::routes as files_routes;
use crate::sys::name::InterfaceName;

/// The routes through `name`, which has `config` and `own` addresses, in the order in which the scripts
/// add them.
pub(super) fn of(
    name: &InterfaceName,
    config: &Config,
    own: &[Address],
    files: &dyn Files,
) -> Result<Vec<Route>> {
    let mut routes = Vec::new();
    if let Some(route) = default_ipv4(name, config, own)? {
        replace(&mut routes, route);
    }
    let with_ipv6 = config.yes("IPV6INIT")? != Some(false);
    if let Some(route) = default_ipv6(name, config)?.filter(|_| with_ipv6) {
        replace(&mut routes, route);
    }
    for part in config.parts(name) {
        for (prefix, family) in [("route-", Family::V4), ("route6-", Family::V6)] {
            let file = file_name(prefix, &part);
            let Some(bytes) = config::read(&file, files)? else {
                continue;
            };
            let path = config::path_of(&file);
            for route in files_routes::parse(&path, &bytes, family)? {
                let route = of_file(name, &path, &route)?;
                if with_ipv6 || family == Family::V4 {
                    replace(&mut routes, route);
                }
            }
        }
    }
    Ok(routes)
}

/// Adds `route` in place of one that the kernel takes for the same, as the scripts do with `ip route
/// replace` where `ip route add` fails.
pub(super) fn replace(routes: &mut Vec<Route>, route: Route) {
    let key = |route: &Route| {
        let kernels_metric = match route.destination {
            ipnet::IpNet::V4(_) => 0,
            ipnet::IpNet::V6(_) => 1024,
        };
        (
            route.destination,
            route.metric.unwrap_or(kernels_metric),
            route.table.unwrap_or(254),
        )
    };
    routes.retain(|there| key(there) != key(&route));
    routes.push(route);
}

fn plain(destination: ipnet::IpNet, gateway: Option<IpAddr>) -> Route {
    Route {
        destination,
        gateway,
        metric: None,
        table: None,
        source: None,
        mtu: None,
        on_link: false,
    }
}

/// The default route by `GATEWAY`, else the first of `GATEWAY0` and up (NetworkManager's keys).
///
/// As in `ifup-eth`, none where `DEFROUTE` is no, where `GATEWAYDEV` is another device, or where the gateway is
/// no neighbour by the interface's addresses: the kernel would refuse it.
fn default_ipv4(name: &InterfaceName, config: &Config, own: &[Address]) -> Result<Option<Route>> {
    let metric = config.parsed("METRIC", |text| {
        number(text).ok_or("a number from 0 to 4294967295 is allowed")
    })?;
    let source = config.parsed("SRCADDR", |text| Family::V4.address(text))?;
    let by_device = config.text("GATEWAYDEV")?;
    let by_default = config.yes("DEFROUTE")? != Some(false);
    let route = |gateway| Route {
        metric,
        source,
        ..plain(Family::V4.default_route(), gateway)
    };
    let gateway = gateway(config)?;
    let is_neighbour = |gateway: &IpAddr| own.iter().any(|it| it.net.contains(gateway));
    let device = name.device();
    let is_this = by_device.as_deref() == Some(device.as_str());
    if !by_default || by_device.is_some() && !is_this {
        return Ok(None);
    }
    match gateway.filter(is_neighbour) {
        Some(gateway) => Ok(Some(route(Some(gateway)))),
        None if is_this && !own.is_empty() => Ok(Some(route(None))),
        None => Ok(None),
    }
}

/// The first gateway that the file names; all are checked.
fn gateway(config: &Config) -> Result<Option<IpAddr>> {
    let mut first = None;
    let numbered = (0..=addresses::LAST).map(|number| format!("GATEWAY{number}"));
    for key in std::iter::once("GATEWAY".to_owned()).chain(numbered) {
        let gateway = config.parsed(&key, |text| Family::V4.address(text))?;
        first = first.or(gateway);
    }
    Ok(first)
}

/// The default route by `IPV6_DEFAULTGW` and `IPV6_DEFAULTDEV`.
///
/// None where they name another device: then it is that one's.
fn default_ipv6(name: &InterfaceName, config: &Config) -> Result<Option<Route>> {
    let device = name.device();
    let gateway = config.parsed("IPV6_DEFAULTGW", |text| {
        let (address, by) = match text.split_once('%') {
            Some((address, by)) => (address, Some(by.to_owned())),
            None => (text, None),
        };
        Family::V6.address(address).map(|address| (address, by))
    })?;
    let by_device = config.text("IPV6_DEFAULTDEV")?;
    let (gateway, by_gateway) = match gateway {
        Some((gateway, by)) => (Some(gateway), by),
        None => (None, None),
    };
    let is_other = |by: &Option<String>| by.as_ref().is_some_and(|by| by != device.as_str());
    if config.yes("IPV6_DEFROUTE")? == Some(false)
        || is_other(&by_device)
        || is_other(&by_gateway)
        || gateway.is_none() && by_device.is_none()
    {
        return Ok(None);
    }
    Ok(Some(plain(Family::V6.default_route(), gateway)))
}

/// A route of a file, which must go through `name`.
fn of_file(name: &InterfaceName, path: &str, route: &files_routes::Route) -> Result<Route> {
    if let Some(device) = &route.device
        && device.device() != name.device()
    {
        let place = Place {
            file: path,
            line: Some(route.line),
        };
        let what = format!("a route through another interface than {name}");
        return Err(refuse::unsupported(place, "dev", device.as_str(), &what));
    }
    Ok(Route {
        destination: route.destination,
        gateway: route.gateway,
        metric: route.metric,
        table: route.table,
        source: route.source,
        mtu: route.mtu,
        on_link: route.on_link,
    })
}
