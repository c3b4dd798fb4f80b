//! A link's alias (`IFLA_IFALIAS`): a text about it that `ip link` shows. ncf marks what it made.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};

use super::Socket;
use super::link::Link;
use crate::error::Result;

impl Socket {
    /// Sets the alias, at most 255 bytes (`IFALIASZ`).
    pub fn set_alias(&mut self, link: &Link, alias: &str) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = link.index;
        message.attributes = vec![LinkAttribute::IfAlias(alias.to_owned())];
        self.change(RouteNetlinkMessage::SetLink(message), 0)
            .map_err(|refusal| refusal.during(format!("cannot set the alias of {}", link.name)))
    }

    /// The alias; `None` where it has none.
    pub fn alias(&mut self, link: &Link) -> Result<Option<String>> {
        let mut request = LinkMessage::default();
        request.header.index = link.index;
        request
            .attributes
            .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let answer = self
            .get(RouteNetlinkMessage::GetLink(request))
            .map_err(|refusal| refusal.during(format!("cannot look up {}", link.name)))?;
        let Some(RouteNetlinkMessage::NewLink(message)) = answer else {
            return Ok(None);
        };
        let alias = message
            .attributes
            .into_iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::IfAlias(alias) => Some(alias),
                _ => None,
            });
        Ok(alias)
    }
}
