//! `rule-*` and `rule6-*`: each line is the arguments of one `ip rule add` (`ifup-routes` of network-scripts).

use super::address::{Family, number};
use super::arguments::{Arguments, argument_lines};
use super::place::Place;
use super::routes;
use crate::Result;
use crate::sys::netlink::rule::{Action, Rule};

/// What may stand on a line, for errors.
const KNOWN: &str = "not, from, to, iif, oif, fwmark, tos, priority, table, ipproto, sport, dport, uidrange, \
                     suppress_prefixlength, blackhole, unreachable and prohibit are allowed";

/// The rules of a file.
///
/// `file` is its name for errors; `family` is IPv4 for `rule-*`, IPv6 for `rule6-*`. Fails at the first word or value
/// that is not known, naming file, line, word and what is allowed.
pub fn parse(file: &str, bytes: &[u8], family: Family) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for line in argument_lines(file, bytes) {
        let (line, text) = line?;
        let place = Place {
            file,
            line: Some(line),
        };
        rules.push(Arguments::new(place, family, &text).rule()?);
    }
    Ok(rules)
}

impl Arguments<'_> {
    /// The rule of one `ip rule add`.
    fn rule(mut self) -> Result<Rule> {
        let mut rule = Rule::any(self.family == Family::V6);
        let mut seen = Vec::new();
        while let Some(word) = self.words.next() {
            let meant = canonical(word);
            if seen.contains(&meant) {
                return Err(self.unknown(word, "each word is allowed once"));
            }
            seen.push(meant);
            if !self.selector(meant, &mut rule)? && !self.action(meant, &mut rule)? {
                return Err(self.unknown(word, KNOWN));
            }
        }
        Ok(rule)
    }

    /// Takes what belongs to the keyword `word`, if it says which packets the rule is about.
    fn selector(&mut self, word: &str, rule: &mut Rule) -> Result<bool> {
        let family = self.family;
        let prefix = |text: &str| {
            let net = routes::destination(text, family)?;
            Ok((net.prefix_len() > 0).then_some(net))
        };
        let name = |text: &str| text.parse().map_err(|bad| format!("{bad}"));
        match word {
            "not" => rule.inverted = true,
            "from" => rule.from = self.value(word, prefix)?,
            "to" => rule.to = self.value(word, prefix)?,
            "iif" => rule.iif = Some(self.value(word, name)?),
            "oif" => rule.oif = Some(self.value(word, name)?),
            "fwmark" => rule.mark = Some(self.value(word, mark)?),
            "tos" => rule.tos = self.value(word, tos)?,
            "ipproto" => rule.protocol = Some(self.value(word, protocol)?),
            "sport" => rule.source_ports = Some(self.value(word, ports)?),
            "dport" => rule.destination_ports = Some(self.value(word, ports)?),
            "uidrange" => rule.users = Some(self.value(word, users)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes what belongs to the keyword `word`, if it says what becomes of them and when.
    fn action(&mut self, word: &str, rule: &mut Rule) -> Result<bool> {
        let any = |text: &str| {
            hexadecimal(text).ok_or_else(|| "a number from 0 to 4294967295 is allowed".to_owned())
        };
        match word {
            "priority" => rule.priority = Some(self.value(word, any)?),
            "table" => rule.action = Action::Table(self.value(word, routes::table)?),
            "suppress_prefixlength" => rule.suppress_prefix = Some(self.value(word, any)?),
            // Who is said to have added the rule.
            "protocol" => self.value(word, |_| Ok(()))?,
            "blackhole" => rule.action = Action::Blackhole,
            "unreachable" => rule.action = Action::Unreachable,
            "prohibit" => rule.action = Action::Prohibit,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The first of the names that `ip rule` has for one thing.
fn canonical(word: &str) -> &str {
    match word {
        "preference" | "pref" | "order" | "prio" => "priority",
        "lookup" => "table",
        "dev" => "iif",
        "dsfield" => "tos",
        "sup_pl" | "suppress_prefixlen" => "suppress_prefixlength",
        word => word,
    }
}

/// Decimal, or hexadecimal behind `0x`.
fn hexadecimal(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            u32::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None => number(text),
    }
}

fn mark(text: &str) -> Result<(u32, u32), String> {
    let (value, bits) = match text.split_once('/') {
        Some((value, bits)) => (hexadecimal(value), hexadecimal(bits)),
        None => (hexadecimal(text), Some(u32::MAX)),
    };
    value
        .zip(bits)
        .ok_or_else(|| "a number, or two as in 0x10/0xff, are allowed".to_owned())
}

/// `ip` reads it as hexadecimal, with `0x` or without.
fn tos(text: &str) -> Result<u8, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_right = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16)
        .ok()
        .filter(|_| is_right)
        .ok_or_else(|| "a hexadecimal number from 0 to ff is allowed".to_owned())
}

fn protocol(text: &str) -> Result<u8, String> {
    match text {
        "icmp" => Ok(1),
        "tcp" => Ok(6),
        "udp" => Ok(17),
        "ipv6-icmp" => Ok(58),
        "sctp" => Ok(132),
        _ => number(text)
            .and_then(|number| u8::try_from(number).ok())
            .ok_or_else(|| {
                "icmp, tcp, udp, ipv6-icmp, sctp or a number from 0 to 255 is allowed".to_owned()
            }),
    }
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    range(text)
        .and_then(|(first, last)| Some((u16::try_from(first).ok()?, u16::try_from(last).ok()?)))
        // 65535 the kernel takes for none (fib_rule_port_range_valid() in <net/fib_rules.h>).
        .filter(|(first, last)| *first > 0 && first <= last && *last < 65_535)
        .ok_or_else(|| "a port from 1 to 65534, or two as in 1024-2047, are allowed".to_owned())
}

fn users(text: &str) -> Result<(u32, u32), String> {
    range(text)
        .filter(|(first, last)| first <= last)
        .ok_or_else(|| "two user numbers as in 1000-1999 are allowed".to_owned())
}

/// `5`, or `5-9`.
fn range(text: &str) -> Option<(u32, u32)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    number(first).zip(number(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Rule {
        parse("rule-eth0", text.as_bytes(), Family::V4)
            .unwrap()
            .remove(0)
    }

    #[test]
    fn a_rule_is_read_as_ip_reads_it() {
        let rule = one(
            "from 192.0.2.0/24 to 10.1/16 iif eth1 fwmark 0x10/0xff tos 0x10 pref 100 lookup 7\n",
        );
        assert_eq!(rule.from, Some("192.0.2.0/24".parse().unwrap()));
        assert_eq!(rule.to, Some("10.1.0.0/16".parse().unwrap()));
        assert_eq!(rule.iif.unwrap().as_str(), "eth1");
        assert_eq!((rule.mark, rule.tos), (Some((16, 255)), 16));
        assert_eq!((rule.priority, rule.action), (Some(100), Action::Table(7)));
        let rule =
            one("# comment\n\n not from all ipproto tcp dport 22-23 sport 5 uidrange 0-5 prohibit");
        assert!(rule.inverted && rule.from.is_none());
        assert_eq!(rule.destination_ports, Some((22, 23)));
        assert_eq!(rule.source_ports, Some((5, 5)));
        assert_eq!((rule.protocol, rule.users), (Some(6), Some((0, 5))));
        assert_eq!(rule.action, Action::Prohibit);
        assert_eq!(one("from 192.0.2.1").action, Action::Table(254));
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_place() {
        for (text, message) in [
            ("from", "rule-eth0:1: \"from\" ends the line"),
            ("\nfrom x table 5", "rule-eth0:2: from \"x\" is wrong"),
            ("from 192.0.2.1/24 table 5", "rule-eth0:1: from"),
            ("table mine", "rule-eth0:1: table \"mine\" is wrong"),
            ("goto 5", "rule-eth0:1: the word \"goto\" is not known"),
            ("from all pref 1 prio 2", "rule-eth0:1: the word \"prio\""),
            ("iif a/b table 5", "rule-eth0:1: iif"),
            ("dport 9-5 table 5", "rule-eth0:1: dport"),
            ("fwmark 0x table 5", "rule-eth0:1: fwmark"),
            ("from 2001:db8::1 table 5", "rule-eth0:1: from"),
        ] {
            let error = parse("rule-eth0", text.as_bytes(), Family::V4).unwrap_err();
            assert!(error.to_string().starts_with(message), "{text:?}: {error}");
        }
    }
}
