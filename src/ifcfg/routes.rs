//! `route-*` and `route6-*`: routes in either of two syntaxes.
//!
//! `ifup-routes` of network-scripts decides by a line that begins with `ADDRESS` and a number: then the
//! file is shell variables (`ADDRESS0= NETMASK0= GATEWAY0=`), else each line is the arguments of one
//! `ip route add`. The same is done here, in the same way, since a file that is read
//! in the other syntax than the host reads it in gives other routes.
//!
//! As there, numbering begins at 0 and ends at the first number that has no `ADDRESS`: what comes behind a gap
//! has never been a route on this host.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::address::{Family, class_prefix, netmask, number};
use super::arguments::{Arguments, argument_lines};
use super::file::{File, Value};
use super::place::Place;
use crate::sys::name::InterfaceName;
use crate::{Error, Result};

/// One route as a file has it; `ip-route(8)` describes the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The line, counted from 1.
    pub line: usize,
    /// The destination; `0.0.0.0/0` or `::/0` is the default route.
    pub destination: IpNet,
    /// The next hop.
    pub gateway: Option<IpAddr>,
    /// The device that the line names.
    pub device: Option<InterfaceName>,
    /// Priority; a lower one is preferred.
    pub metric: Option<u32>,
    /// The routing table, by number.
    pub table: Option<u32>,
    /// The preferred source address.
    pub source: Option<IpAddr>,
    /// MTU along the route in bytes, 68 to 65535.
    pub mtu: Option<u32>,
    /// `onlink`
    pub on_link: bool,
}

impl Route {
    fn new(line: usize, destination: IpNet) -> Self {
        Self {
            line,
            destination,
            gateway: None,
            device: None,
            metric: None,
            table: None,
            source: None,
            mtu: None,
            on_link: false,
        }
    }
}

/// The routes of a file.
///
/// `file` is its name for errors; `family` is IPv4 for `route-*`, IPv6 for `route6-*`. Fails at the first word or value
/// that is not known, naming file, line, word and what is allowed.
pub fn parse(file: &str, bytes: &[u8], family: Family) -> Result<Vec<Route>> {
    if is_address_form(bytes) {
        from_variables(file, &File::parse(bytes), family)
    } else {
        from_lines(file, bytes, family)
    }
}

/// Whether a line is `ADDRESS`, a number and `=`: `grep -E '^[[:space:]]*ADDRESS[0-9]+='`.
fn is_address_form(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'\n').any(|line| {
        let space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
        let blanks = line.iter().take_while(|byte| space(byte)).count();
        let line = line.get(blanks..).unwrap_or_default();
        let Some(rest) = line.strip_prefix(b"ADDRESS") else {
            return false;
        };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        digits > 0 && rest.get(digits) == Some(&b'=')
    })
}

/// The routes of a file of variables.
fn from_variables(name: &str, file: &File, family: Family) -> Result<Vec<Route>> {
    if let Some(line) = file.code().first() {
        let place = Place {
            file: name,
            line: Some(*line),
        };
        return Err(Error::failed(format!(
            "{place}: only assignments such as ADDRESS0=192.0.2.0 are allowed here"
        )));
    }
    let mut routes = Vec::new();
    for index in 0_u32.. {
        let variables = Variables {
            name,
            file,
            family,
            index,
        };
        match variables.route()? {
            Some(route) => routes.push(route),
            None => break,
        }
    }
    Ok(routes)
}

/// The variables of one number.
struct Variables<'a> {
    name: &'a str,
    file: &'a File,
    family: Family,
    index: u32,
}

impl Variables<'_> {
    fn route(&self) -> Result<Option<Route>> {
        let Some((text, line)) = self.text("ADDRESS")? else {
            return Ok(None);
        };
        let address = self
            .family
            .address(&text)
            .map_err(|allowed| self.wrong("ADDRESS", &text, line, &allowed))?;
        let prefix = self.prefix(address)?;
        let destination = IpNet::new(address, prefix)
            .map_err(|error| error.to_string())
            .and_then(whole)
            .map_err(|allowed| self.wrong("ADDRESS", &text, line, &allowed))?;
        let mut route = Route::new(line, destination);
        route.gateway = self.parsed("GATEWAY", |text| self.family.address(text))?;
        route.metric = self.parsed("METRIC", |text| {
            number(text).ok_or_else(|| "a number from 0 to 4294967295 is allowed".to_owned())
        })?;
        Ok(Some(route))
    }

    /// `PREFIXn`, else `NETMASKn`, else what `ipcalc` would take.
    fn prefix(&self, address: IpAddr) -> Result<u8> {
        if let Some(prefix) = self.parsed("PREFIX", |text| self.family.prefix(text))? {
            return Ok(prefix);
        }
        let mask = match address {
            IpAddr::V4(_) => self.parsed("NETMASK", netmask)?,
            IpAddr::V6(_) => self.parsed("NETMASK", |text| self.family.prefix(text))?,
        };
        Ok(mask.unwrap_or(match address {
            IpAddr::V4(address) => class_prefix(address),
            IpAddr::V6(_) => 128,
        }))
    }

    /// The value of `key` with the number, as `parse` has it.
    fn parsed<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> std::result::Result<T, String>,
    ) -> Result<Option<T>> {
        let Some((text, line)) = self.text(key)? else {
            return Ok(None);
        };
        parse(&text)
            .map(Some)
            .map_err(|allowed| self.wrong(key, &text, line, &allowed))
    }

    /// The value of `key` with the number, and its line; `None` if it is not set or empty.
    fn text(&self, key: &str) -> Result<Option<(String, usize)>> {
        let Some(value) = self.file.get(&format!("{key}{}", self.index)) else {
            return Ok(None);
        };
        let Some(text) = value.text() else {
            let shown = shown(&value);
            return Err(self.wrong(key, &shown, value.line, "only a plain value is allowed"));
        };
        Ok((!text.is_empty()).then(|| (text.to_owned(), value.line)))
    }

    fn wrong(&self, key: &str, value: &str, line: usize, allowed: &str) -> Error {
        Place {
            file: self.name,
            line: Some(line),
        }
        .wrong(&format!("{key}{}", self.index), value, allowed)
    }
}

/// A value for an error message, whatever it is.
fn shown(value: &Value) -> String {
    match &value.content {
        super::Content::Static(bytes) | super::Content::Dynamic(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
    }
}

/// The routes of a file that has the arguments of `ip route add` on each line.
fn from_lines(name: &str, bytes: &[u8], family: Family) -> Result<Vec<Route>> {
    let mut routes = Vec::new();
    for line in argument_lines(name, bytes) {
        let (line, text) = line?;
        let place = Place {
            file: name,
            line: Some(line),
        };
        let arguments = Arguments::new(place, family, &text);
        routes.push(arguments.route(line)?);
    }
    Ok(routes)
}

/// What may follow the destination, for errors.
const KNOWN: &str = "via, dev, metric, table, src, mtu, onlink, scope and proto are allowed";

impl Arguments<'_> {
    /// The route of one `ip route add`.
    fn route(mut self, line: usize) -> Result<Route> {
        let mut word = self.words.next().unwrap_or_default();
        for optional in ["unicast", "to"] {
            if word == optional {
                word = self.following(optional, "a destination")?;
            }
        }
        let destination =
            destination(word, self.family).map_err(|allowed| self.wrong("to", word, &allowed))?;
        let mut route = Route::new(line, destination);
        let mut seen = Vec::new();
        while let Some(word) = self.words.next() {
            if seen.contains(&word) {
                return Err(self.unknown(word, "each word is allowed once"));
            }
            seen.push(word);
            self.option(word, &mut route)?;
        }
        Ok(route)
    }

    /// Takes what belongs to the keyword `word`.
    fn option(&mut self, word: &str, route: &mut Route) -> Result<()> {
        let family = self.family;
        match word {
            "via" => route.gateway = Some(self.value(word, |text| family.address(text))?),
            "src" => route.source = Some(self.value(word, |text| family.address(text))?),
            "dev" => {
                let parse = |text: &str| text.parse().map_err(|bad| format!("{bad}"));
                route.device = Some(self.value(word, parse)?);
            }
            "metric" | "preference" | "priority" => {
                let allowed = "a number from 0 to 4294967295 is allowed";
                let parse = |text: &str| number(text).ok_or_else(|| allowed.to_owned());
                route.metric = Some(self.value(word, parse)?);
            }
            "table" => route.table = Some(self.value(word, table)?),
            "mtu" => {
                let parse = |text: &str| {
                    number(text)
                        .filter(|mtu| (68..=65535).contains(mtu))
                        .ok_or_else(|| "a number from 68 to 65535 is allowed".to_owned())
                };
                route.mtu = Some(self.value(word, parse)?);
            }
            "onlink" => route.on_link = true,
            // The kernel's own choice: a neighbour for a route without next hop, else the world.
            "scope" => {
                let parse = |text: &str| match text {
                    "link" | "global" | "universe" => Ok(()),
                    _ => Err("link and global are allowed".to_owned()),
                };
                self.value(word, parse)?;
            }
            // Who is said to have added the route. It changes nothing about where packets go.
            "proto" | "protocol" => self.value(word, |_| Ok(()))?,
            _ => return Err(self.unknown(word, KNOWN)),
        }
        Ok(())
    }
}

/// A destination: `default`, an address, or a prefix, whose IPv4 address may leave out octets at its
/// end (`10.1/16`).
pub(super) fn destination(text: &str, family: Family) -> std::result::Result<IpNet, String> {
    if matches!(text, "default" | "all" | "any") {
        return Ok(family.default_route());
    }
    let allowed = || {
        let family = family.name();
        format!("default, an {family} address or an {family} prefix is allowed")
    };
    let Some((address, length)) = text.split_once('/') else {
        return family.address(text).map(IpNet::from).map_err(|_| allowed());
    };
    let address = match family {
        Family::V4 => abbreviated(address).map(IpAddr::from),
        Family::V6 => family.address(address).ok(),
    }
    .ok_or_else(allowed)?;
    let length = match family {
        Family::V4 if length.contains('.') => netmask(length)?,
        _ => family.prefix(length)?,
    };
    let net = IpNet::new(address, length).map_err(|error| error.to_string())?;
    whole(net)
}

/// An IPv4 address of one to four octets.
fn abbreviated(text: &str) -> Option<Ipv4Addr> {
    let given = text.split('.').count();
    let missing = 4_usize.checked_sub(given)?;
    format!("{text}{}", ".0".repeat(missing)).parse().ok()
}

/// Refuses an IPv4 destination with bits behind its prefix, as the kernel does; of an IPv6 one the
/// kernel clears them.
fn whole(net: IpNet) -> std::result::Result<IpNet, String> {
    let truncated = net.trunc();
    if net == truncated || matches!(net, IpNet::V6(_)) {
        Ok(truncated)
    } else {
        Err(format!(
            "it has bits behind its prefix; {truncated} is allowed"
        ))
    }
}

/// A routing table by number, or by a name that every host has.
pub(super) fn table(text: &str) -> std::result::Result<u32, String> {
    match text {
        "default" => Ok(253),
        "main" => Ok(254),
        "local" => Ok(255),
        _ => number(text).filter(|table| *table > 0).ok_or_else(|| {
            "a number from 1 to 4294967295, main, default or local is allowed".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<Route> {
        parse("route-eth0", text.as_bytes(), Family::V4).unwrap()
    }

    fn error(text: &str) -> String {
        parse("route-eth0", text.as_bytes(), Family::V4)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn lines_are_arguments_of_ip_route_add() {
        let routes = parsed(
            "# office\n\n192.0.2.0/24 via 10.0.0.1 dev eth0 metric 5 table 100 src 10.0.0.2 onlink mtu 1400\n\
             default via 10.0.0.1\n  unicast to 10.1/16 via 10.0.0.1 table main\n198.51.100.7\n\
             203.0.113.0/255.255.255.0 \\\n  scope link proto static\n",
        );
        let first = &routes[0];
        assert_eq!(first.line, 3);
        assert_eq!(first.destination.to_string(), "192.0.2.0/24");
        assert_eq!(first.gateway, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(first.device.as_ref().unwrap().as_str(), "eth0");
        assert_eq!(
            (first.metric, first.table, first.mtu),
            (Some(5), Some(100), Some(1400))
        );
        assert_eq!(first.source, Some("10.0.0.2".parse().unwrap()));
        assert!(first.on_link);
        let destinations: Vec<_> = routes.iter().map(|it| it.destination.to_string()).collect();
        assert_eq!(
            destinations,
            [
                "192.0.2.0/24",
                "0.0.0.0/0",
                "10.1.0.0/16",
                "198.51.100.7/32",
                "203.0.113.0/24"
            ]
        );
        assert_eq!(routes[2].table, Some(254));
    }

    #[test]
    fn variables_are_numbered_from_0_to_the_first_gap() {
        let routes = parsed(
            "ADDRESS0=192.0.2.0\nNETMASK0=255.255.255.0\nGATEWAY0='10.0.0.1'\n\
             ADDRESS1=10.0.0.0\nADDRESS2=172.16.0.0\nPREFIX2=12\nMETRIC2=7\nADDRESS4=1.0.0.0\n",
        );
        let seen: Vec<_> = routes
            .iter()
            .map(|it| (it.destination.to_string(), it.gateway.is_some(), it.metric))
            .collect();
        assert_eq!(
            seen,
            [
                ("192.0.2.0/24".to_owned(), true, None),
                ("10.0.0.0/8".to_owned(), false, None),
                ("172.16.0.0/12".to_owned(), false, Some(7)),
            ]
        );
    }

    #[test]
    fn ipv6_files_take_ipv6_only() {
        let routes = parse(
            "route6-eth0",
            b"2001:db8::1/32 via fe80::1 dev eth0\n::/0",
            Family::V6,
        );
        assert_eq!(routes.unwrap()[0].destination.to_string(), "2001:db8::/32");
        assert!(parse("route6-eth0", b"10.0.0.0/8", Family::V6).is_err());
    }

    #[test]
    fn errors_name_the_place_and_the_word() {
        for (text, parts) in [
            (
                "\n10.0.0.0/8 vai 10.0.0.1",
                ["route-eth0:2", "\"vai\"", "via, dev"],
            ),
            ("10.0.0.0/33", ["route-eth0:1", "10.0.0.0/33", "0 to 32"]),
            ("10.0.0.1/8", ["route-eth0:1", "10.0.0.1/8", "10.0.0.0/8"]),
            ("default via", ["route-eth0:1", "\"via\"", "to follow"]),
            ("default via x", ["route-eth0:1", "\"x\"", "IPv4 address"]),
            (
                "default via ::1",
                ["route-eth0:1", "\"::1\"", "IPv4 address"],
            ),
            (
                "default via 1.1.1.1 via 1.1.1.1",
                ["route-eth0:1", "\"via\"", "once"],
            ),
            (
                "blackhole 10.0.0.0/8",
                ["route-eth0:1", "\"blackhole\"", "default, an"],
            ),
            (
                "default table office",
                ["route-eth0:1", "\"office\"", "main"],
            ),
            ("default mtu 67", ["route-eth0:1", "\"67\"", "68 to 65535"]),
            (
                "ADDRESS0=10.0.0.0\nNETMASK0=255.0.255.0",
                ["route-eth0:2", "NETMASK0", "ones"],
            ),
            ("ADDRESS0=$X", ["route-eth0:1", "$X", "plain"]),
            (
                "ADDRESS0=10.0.0.0\n. x",
                ["route-eth0:2", "assignments", "ADDRESS0"],
            ),
        ] {
            let said = error(text);
            for part in parts {
                assert!(said.contains(part), "{said:?} lacks {part:?}");
            }
        }
    }
}
