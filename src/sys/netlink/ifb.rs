//! Intermediate functional blocks: devices that what another receives is sent through, to be shaped there.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};

use super::Socket;
use crate::error::Result;
use crate::sys::name::InterfaceName;

impl Socket {
    /// Creates an ifb and sets it up. `alias` says to whoever lists devices what it is for; `queue` is the most
    /// packets that wait in it.
    pub fn create_ifb(&mut self, name: &InterfaceName, alias: &str, queue: u32) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        message.attributes = vec![
            LinkAttribute::IfName(name.as_str().to_owned()),
            LinkAttribute::TxQueueLen(queue),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Ifb)]),
        ];
        self.change(
            RouteNetlinkMessage::NewLink(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .map_err(|refusal| refusal.during(format!("cannot create the ifb {name}")))?;
        // The kernel leaves out an alias in the message that creates a device (rtnl_create_link()).
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.as_str().to_owned()),
            LinkAttribute::IfAlias(alias.to_owned()),
        ];
        self.change(RouteNetlinkMessage::SetLink(message), 0)
            .map_err(|refusal| refusal.during(format!("cannot describe the ifb {name}")))
    }
}
