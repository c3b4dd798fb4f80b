//! Routing rules: which table a packet is looked up in.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{
    RuleAction, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::Socket;
use super::options::content;
use super::route::MAIN_TABLE;
use crate::error::Result;
use crate::sys::name::InterfaceName;

/// `FRA_IP_PROTO` in `<linux/fib_rules.h>`; the library does not let others make its type.
const IP_PROTOCOL: u16 = 22;

/// One rule; `ip-rule(8)` describes the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whether it is one for IPv6.
    pub is_ipv6: bool,
    /// The rule applies to what does not match the rest (`not`).
    pub inverted: bool,
    /// The prefix that the source is in; `None` is any.
    pub from: Option<IpNet>,
    /// The prefix that the destination is in; `None` is any.
    pub to: Option<IpNet>,
    /// The interface that the packet came in by; `lo` is this host itself.
    pub iif: Option<InterfaceName>,
    /// The interface that the sending socket is bound to.
    pub oif: Option<InterfaceName>,
    /// The packet's mark, and which bits of it count.
    pub mark: Option<(u32, u32)>,
    /// Type of service; 0 is any.
    pub tos: u8,
    /// When its turn comes, a lower one is earlier. Without, the kernel puts it before the others.
    pub priority: Option<u32>,
    /// The protocol above IP, by number.
    pub protocol: Option<u8>,
    /// The first and last source port.
    pub source_ports: Option<(u16, u16)>,
    /// The first and last destination port.
    pub destination_ports: Option<(u16, u16)>,
    /// The first and last user that sends.
    pub users: Option<(u32, u32)>,
    /// Routes whose prefix is not longer than this are passed over.
    pub suppress_prefix: Option<u32>,
    /// What becomes of a packet that matches.
    pub action: Action,
}

/// What becomes of a packet that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is looked up in this routing table.
    Table(u32),
    /// It is dropped without a word.
    Blackhole,
    /// It is dropped, and the network is said to be unreachable.
    Unreachable,
    /// It is dropped, and that is said to be forbidden.
    Prohibit,
    /// Something that ncf never asks for.
    Other,
}

impl Rule {
    /// For every packet of its family, the main table, with no priority of its own.
    pub fn any(is_ipv6: bool) -> Self {
        Self {
            is_ipv6,
            inverted: false,
            from: None,
            to: None,
            iif: None,
            oif: None,
            mark: None,
            tos: 0,
            priority: None,
            protocol: None,
            source_ports: None,
            destination_ports: None,
            users: None,
            suppress_prefix: None,
            action: Action::Table(MAIN_TABLE),
        }
    }

    /// Whether this one, of the kernel, is what `wanted` asks for.
    pub fn satisfies(&self, wanted: &Self) -> bool {
        let priority = wanted.priority.or(self.priority);
        *self
            == Self {
                priority,
                ..wanted.clone()
            }
    }

    /// `None` for what ncf never makes: selectors that it does not know.
    fn from_message(message: &RuleMessage) -> Option<Self> {
        let header = &message.header;
        let mut rule = Self::any(header.family == AddressFamily::Inet6);
        rule.inverted = header.flags.contains(RuleFlags::Invert);
        rule.tos = header.tos;
        let mut table = u32::from(header.table);
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Source(ip) => rule.from = IpNet::new(*ip, header.src_len).ok(),
                RuleAttribute::Destination(ip) => rule.to = IpNet::new(*ip, header.dst_len).ok(),
                RuleAttribute::Iifname(name) => rule.iif = Some(name.parse().ok()?),
                RuleAttribute::Oifname(name) => rule.oif = Some(name.parse().ok()?),
                RuleAttribute::FwMark(mark) => rule.mark.get_or_insert((0, u32::MAX)).0 = *mark,
                RuleAttribute::FwMask(mask) => rule.mark.get_or_insert((0, 0)).1 = *mask,
                RuleAttribute::Priority(priority) => rule.priority = Some(*priority),
                RuleAttribute::IpProtocol(_) => {
                    rule.protocol = content(attribute).first().copied();
                }
                RuleAttribute::SourcePortRange(it) => rule.source_ports = Some((it.start, it.end)),
                RuleAttribute::DestinationPortRange(it) => {
                    rule.destination_ports = Some((it.start, it.end));
                }
                RuleAttribute::UidRange(it) => rule.users = Some((it.start, it.end)),
                // All ones is "none": the kernel reports it of every rule.
                RuleAttribute::SuppressPrefixLen(length) => {
                    rule.suppress_prefix = Some(*length).filter(|it| *it != u32::MAX);
                }
                RuleAttribute::Table(number) => table = *number,
                RuleAttribute::L3MDev(true)
                | RuleAttribute::TunId(_)
                | RuleAttribute::Realm(_)
                | RuleAttribute::SuppressIfGroup(0..=0x7fff_ffff) => return None,
                _ => {}
            }
        }
        rule.action = match header.action {
            RuleAction::ToTable => Action::Table(table),
            RuleAction::Blackhole => Action::Blackhole,
            RuleAction::Unreachable => Action::Unreachable,
            RuleAction::Prohibit => Action::Prohibit,
            _ => Action::Other,
        };
        // The kernel leaves out a priority of 0.
        rule.priority = rule.priority.or(Some(0));
        Some(rule)
    }

    fn to_message(&self) -> RuleMessage {
        let mut message = RuleMessage::default();
        let header = &mut message.header;
        header.family = if self.is_ipv6 {
            AddressFamily::Inet6
        } else {
            AddressFamily::Inet
        };
        header.tos = self.tos;
        if self.inverted {
            header.flags = RuleFlags::Invert;
        }
        header.src_len = self.from.map_or(0, |net| net.prefix_len());
        header.dst_len = self.to.map_or(0, |net| net.prefix_len());
        header.action = match self.action {
            Action::Table(_) => RuleAction::ToTable,
            Action::Blackhole => RuleAction::Blackhole,
            Action::Unreachable => RuleAction::Unreachable,
            Action::Prohibit => RuleAction::Prohibit,
            Action::Other => RuleAction::Nop,
        };
        if let Action::Table(table) = self.action {
            header.table = u8::try_from(table).unwrap_or_default();
        }
        message.attributes = self.attributes();
        message
    }

    fn attributes(&self) -> Vec<RuleAttribute> {
        let range = |(start, end): (u16, u16)| RulePortRange { start, end };
        let name = |name: &InterfaceName| name.as_str().to_owned();
        let protocol = |number| RuleAttribute::Other(DefaultNla::new(IP_PROTOCOL, vec![number]));
        let network = |net: IpNet| -> IpAddr { net.network() };
        let table = match self.action {
            Action::Table(table) => Some(RuleAttribute::Table(table)),
            _ => None,
        };
        [
            self.from.map(network).map(RuleAttribute::Source),
            self.to.map(network).map(RuleAttribute::Destination),
            self.iif.as_ref().map(name).map(RuleAttribute::Iifname),
            self.oif.as_ref().map(name).map(RuleAttribute::Oifname),
            self.mark.map(|(mark, _)| RuleAttribute::FwMark(mark)),
            self.mark.map(|(_, mask)| RuleAttribute::FwMask(mask)),
            self.priority.map(RuleAttribute::Priority),
            self.protocol.map(protocol),
            self.source_ports
                .map(range)
                .map(RuleAttribute::SourcePortRange),
            self.destination_ports
                .map(range)
                .map(RuleAttribute::DestinationPortRange),
            self.users
                .map(|(start, end)| RuleAttribute::UidRange(RuleUidRange { start, end })),
            self.suppress_prefix.map(RuleAttribute::SuppressPrefixLen),
            table,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// As `ip-rule(8)` writes it: "from 192.0.2.0/24 priority 100 table 7".
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.inverted {
            f.write_str("not ")?;
        }
        match self.from {
            Some(from) => write!(f, "from {from}")?,
            None => f.write_str("from all")?,
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        if let Some(iif) = &self.iif {
            write!(f, " iif {iif}")?;
        }
        if let Some((mark, mask)) = self.mark {
            write!(f, " fwmark {mark:#x}/{mask:#x}")?;
        }
        if let Some(priority) = self.priority {
            write!(f, " priority {priority}")?;
        }
        match self.action {
            Action::Table(table) => write!(f, " table {table}"),
            Action::Blackhole => f.write_str(" blackhole"),
            Action::Unreachable => f.write_str(" unreachable"),
            Action::Prohibit => f.write_str(" prohibit"),
            Action::Other => Ok(()),
        }
    }
}

impl Socket {
    /// All routing rules that ncf could have made: those for IPv4, then those for IPv6, in their order.
    pub fn rules(&mut self) -> Result<Vec<Rule>> {
        let mut rules = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut request = RuleMessage::default();
            request.header.family = family;
            let answers = self
                .dump(&RouteNetlinkMessage::GetRule(request))
                .map_err(|refusal| refusal.during("cannot list the routing rules"))?;
            rules.extend(answers.iter().filter_map(|answer| match answer {
                RouteNetlinkMessage::NewRule(message) if message.header.family == family => {
                    Rule::from_message(message)
                }
                _ => None,
            }));
        }
        Ok(rules)
    }

    /// Adds a rule. One that is there already with the same priority is no error.
    pub fn add_rule(&mut self, rule: &Rule) -> Result<()> {
        let mut message = rule.to_message();
        let owner = RuleAttribute::Protocol(RouteProtocol::Static);
        message.attributes.push(owner);
        let request = RouteNetlinkMessage::NewRule(message);
        match self.change(request, NLM_F_CREATE | NLM_F_EXCL) {
            Err(refusal) if !refusal.is_any(&[Errno::EEXIST]) => {
                Err(refusal.during(format!("cannot add the routing rule '{rule}'")))
            }
            _ => Ok(()),
        }
    }

    /// Deletes a rule, whoever made it. One that is gone already is no error.
    pub fn delete_rule(&mut self, rule: &Rule) -> Result<()> {
        let request = RouteNetlinkMessage::DelRule(rule.to_message());
        match self.change(request, 0) {
            Err(refusal) if !refusal.is_any(&[Errno::ENOENT]) => {
                Err(refusal.during(format!("cannot delete the routing rule '{rule}'")))
            }
            _ => Ok(()),
        }
    }
}
