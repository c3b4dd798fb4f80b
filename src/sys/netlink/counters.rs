//! What a device has counted by itself.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};

use super::Socket;
use super::link::Link;
use crate::error::Result;

/// Bytes and packets since the device was made (`IFLA_STATS64`). Packets that a driver joins count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkCounters {
    /// Bytes that entered it.
    pub received: u64,
    /// Bytes that left it.
    pub sent: u64,
    /// Packets that entered it.
    pub received_packets: u64,
    /// Packets that left it.
    pub sent_packets: u64,
}

impl Socket {
    /// The counters of a device.
    pub fn counters(&mut self, link: &Link) -> Result<LinkCounters> {
        let mut request = LinkMessage::default();
        request.header.index = link.index;
        let answer = self
            .get(RouteNetlinkMessage::GetLink(request))
            .map_err(|refusal| refusal.during(format!("cannot read counters of {}", link.name)))?;
        let Some(RouteNetlinkMessage::NewLink(message)) = answer else {
            return Ok(LinkCounters::default());
        };
        let stats = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::Stats64(stats) => Some(stats),
                _ => None,
            });
        Ok(
            stats.map_or_else(LinkCounters::default, |stats| LinkCounters {
                received: stats.rx_bytes,
                sent: stats.tx_bytes,
                received_packets: stats.rx_packets,
                sent_packets: stats.tx_packets,
            }),
        )
    }
}
