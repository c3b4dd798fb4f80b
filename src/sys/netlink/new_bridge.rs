//! Bridges that come into being with all their options.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo, LinkMessage,
};

use super::Socket;
use crate::error::Result;
use crate::sys::name::{InterfaceName, MacAddress};

/// What a bridge is created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewBridge {
    /// Its hardware address. It keeps it: only one that was not given follows the ports.
    pub mac: MacAddress,
    /// Maximum transmission unit in bytes; `None` leaves it to the kernel, which follows the ports.
    pub mtu: Option<u32>,
    /// Whether the kernel keeps a spanning tree.
    pub stp: bool,
    /// Forward delay in hundredths of a second, 0 to 3000. With a spanning tree the kernel takes at least 200.
    pub forward_delay: u32,
    /// Whether frames are kept apart by their vlan.
    pub vlan_filtering: bool,
}

impl Socket {
    /// Creates a bridge, set down, in one step: it is there with its address and options or not at all.
    ///
    /// Fails where there is a link of that name.
    pub fn create_bridge_with(&mut self, name: &InterfaceName, new: &NewBridge) -> Result<()> {
        let state = if new.stp {
            BridgeStpState::KernelStp
        } else {
            BridgeStpState::Disabled
        };
        // The delay first: with the spanning tree on, one below two seconds is refused rather than raised.
        let mut data = vec![
            InfoBridge::ForwardDelay(new.forward_delay),
            InfoBridge::StpState(state),
        ];
        if new.vlan_filtering {
            // A kernel without it refuses to be told that it is off, too.
            data.push(InfoBridge::VlanFiltering(true));
        }
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.as_str().to_owned()),
            LinkAttribute::Address(new.mac.0.to_vec()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Bridge),
                LinkInfo::Data(InfoData::Bridge(data)),
            ]),
        ];
        message.attributes.extend(new.mtu.map(LinkAttribute::Mtu));
        self.change(
            RouteNetlinkMessage::NewLink(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .map_err(|refusal| refusal.during(format!("cannot create the bridge {name}")))
    }
}
