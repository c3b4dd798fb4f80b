//! Single things of one link, where a list of all would take longer the more links there are.

use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::Socket;
use super::address::LinkAddress;
use super::link::Link;
use super::refusal::Outcome;
use crate::error::Result;

impl Socket {
    /// The link of that number; `None` where there is none.
    pub fn link_at(&mut self, index: u32) -> Result<Option<Link>> {
        match self.message_of(index) {
            Ok(message) => Ok(message.as_ref().and_then(Link::from_message)),
            Err(refusal) if refusal.is_any(&[Errno::ENODEV]) => Ok(None),
            Err(refusal) => Err(refusal.during(format!("cannot look up the link number {index}"))),
        }
    }

    /// The addresses of a link, IPv4, then IPv6.
    pub fn addresses_of(&mut self, link: &Link) -> Result<Vec<LinkAddress>> {
        let mut addresses = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut request = AddressMessage::default();
            request.header.family = family;
            // A filter where the kernel knows it (Linux 4.20); an older one sends all.
            request.header.index = link.index;
            let answers = self
                .dump(&RouteNetlinkMessage::GetAddress(request))
                .map_err(|refusal| {
                    refusal.during(format!("cannot list the addresses of {}", link.name))
                })?;
            addresses.extend(answers.iter().filter_map(|answer| match answer {
                RouteNetlinkMessage::NewAddress(message)
                    if message.header.family == family && message.header.index == link.index =>
                {
                    LinkAddress::from_message(message)
                }
                _ => None,
            }));
        }
        Ok(addresses)
    }

    /// Sets a link's alias (`IFLA_IFALIAS`), at most 255 bytes: a text about it that `ip link` shows.
    pub fn set_alias(&mut self, link: &Link, alias: &str) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = link.index;
        message.attributes = vec![LinkAttribute::IfAlias(alias.to_owned())];
        self.change(RouteNetlinkMessage::SetLink(message), 0)
            .map_err(|refusal| refusal.during(format!("cannot set the alias of {}", link.name)))
    }

    /// A link's alias; `None` where it has none.
    pub fn alias(&mut self, link: &Link) -> Result<Option<String>> {
        let message = self
            .message_of(link.index)
            .map_err(|refusal| refusal.during(format!("cannot look up {}", link.name)))?;
        let attributes = message.into_iter().flat_map(|message| message.attributes);
        let mut alias = attributes.filter_map(|attribute| match attribute {
            LinkAttribute::IfAlias(alias) => Some(alias),
            _ => None,
        });
        Ok(alias.next())
    }

    pub(super) fn message_of(&mut self, index: u32) -> Outcome<Option<LinkMessage>> {
        let mut request = LinkMessage::default();
        request.header.index = index;
        request
            .attributes
            .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let answer = self.get(RouteNetlinkMessage::GetLink(request))?;
        Ok(match answer {
            Some(RouteNetlinkMessage::NewLink(message)) => Some(message),
            _ => None,
        })
    }
}
