//! What a port of a bridge has: isolation, the VLANs that it is in, and who fills the table of addresses behind it.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::link::{
    AfSpecBridge, BridgeFlag, BridgeVlanInfo, BridgeVlanInfoFlags, InfoBridge, InfoBridgePort,
    InfoData, InfoPortData, InfoPortKind, LinkAttribute, LinkExtentMask, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Socket;
use super::link::Link;
use crate::error::Result;
use crate::sys::name::MacAddress;

/// One VLAN of a port of a bridge that filters by VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortVlan {
    /// 1 to 4094.
    pub id: u16,
    /// Frames that come in without a tag belong to it (`BRIDGE_VLAN_INFO_PVID`).
    pub native: bool,
    /// Its frames leave without a tag (`BRIDGE_VLAN_INFO_UNTAGGED`).
    pub untagged: bool,
}

impl PortVlan {
    /// The VLAN that an access port is in: untagged both ways.
    pub fn access(id: u16) -> Self {
        Self {
            id,
            native: true,
            untagged: true,
        }
    }

    fn to_kernel(self) -> BridgeVlanInfo {
        let mut flags = BridgeVlanInfoFlags::empty();
        flags.set(BridgeVlanInfoFlags::Pvid, self.native);
        flags.set(BridgeVlanInfoFlags::Untagged, self.untagged);
        BridgeVlanInfo {
            flags,
            vid: self.id,
        }
    }

    fn of(info: BridgeVlanInfo) -> Self {
        Self {
            id: info.vid,
            native: info.flags.contains(BridgeVlanInfoFlags::Pvid),
            untagged: info.flags.contains(BridgeVlanInfoFlags::Untagged),
        }
    }
}

impl Socket {
    /// Sets whether a port of a bridge is isolated: isolated ports reach only those that are not
    /// (`IFLA_BRPORT_ISOLATED`, Linux 4.18).
    pub fn set_isolated(&mut self, port: &Link, isolated: bool) -> Result<()> {
        let options = vec![InfoBridgePort::Isolated(isolated)];
        self.set_port(
            port,
            options,
            &format!("cannot isolate the port {}", port.name),
        )
    }

    /// Keeps the bridge from learning addresses from a port's frames, and from sending it those for addresses that it
    /// does not know (`IFLA_BRPORT_LEARNING`, `IFLA_BRPORT_UNICAST_FLOOD`): what a guest gets and may be is in the table.
    pub fn stop_learning(&mut self, port: &Link) -> Result<()> {
        let options = vec![
            InfoBridgePort::Learning(false),
            InfoBridgePort::UnicastFlood(false),
        ];
        let failed = format!("cannot switch off learning on the port {}", port.name);
        self.set_port(port, options, &failed)
    }

    /// Enters an address behind a port into the bridge's table, as `bridge fdb replace … master static` does: it does
    /// not age, and goes with the port. On a bridge that filters by VLAN it is in each VLAN that the port is in now.
    pub fn enter_address(&mut self, port: &Link, mac: MacAddress) -> Result<()> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Bridge;
        message.header.ifindex = port.index;
        message.header.state = NeighbourState::Noarp;
        message.header.flags = NeighbourFlags::Controller;
        message
            .attributes
            .push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
        self.change(
            RouteNetlinkMessage::NewNeighbour(message),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
        .map_err(|refusal| {
            let name = &port.name;
            refusal.during(format!("cannot enter {mac} behind the port {name}"))
        })
    }

    fn set_port(&mut self, port: &Link, options: Vec<InfoBridgePort>, failed: &str) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = port.index;
        message.attributes = vec![LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(options)),
        ])];
        self.change(RouteNetlinkMessage::NewLink(message), 0)
            .map_err(|refusal| refusal.during(failed))
    }

    /// Whether a bridge filters by VLAN (`vlan_filtering`).
    pub fn filters_vlans(&mut self, bridge: &Link) -> Result<bool> {
        let message = self
            .message_of(bridge.index)
            .map_err(|refusal| refusal.during(format!("cannot look up {}", bridge.name)))?;
        let attributes = message.into_iter().flat_map(|message| message.attributes);
        let infos = attributes.filter_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => Some(infos),
            _ => None,
        });
        let data = infos.flatten().filter_map(|info| match info {
            LinkInfo::Data(InfoData::Bridge(data)) => Some(data),
            _ => None,
        });
        Ok(data
            .flatten()
            .any(|option| matches!(option, InfoBridge::VlanFiltering(true))))
    }

    /// The VLANs that a port of a bridge is in; none where its kernel does not filter by VLAN.
    pub fn port_vlans(&mut self, port: &Link) -> Result<Vec<PortVlan>> {
        let mut request = LinkMessage::default();
        request.header.interface_family = AddressFamily::Bridge;
        request
            .attributes
            .push(LinkAttribute::ExtMask(vec![LinkExtentMask::Brvlan]));
        let answers = self
            .dump(&RouteNetlinkMessage::GetLink(request))
            .map_err(|refusal| {
                refusal.during(format!("cannot list the VLANs of the port {}", port.name))
            })?;
        let mut vlans = Vec::new();
        for answer in answers {
            if let RouteNetlinkMessage::NewLink(message) = answer
                && message.header.index == port.index
            {
                vlans.extend(message.attributes.into_iter().flat_map(vlans_in));
            }
        }
        Ok(vlans)
    }

    /// Puts a port of a bridge into a VLAN.
    pub fn add_port_vlan(&mut self, port: &Link, vlan: PortVlan) -> Result<()> {
        self.change(
            RouteNetlinkMessage::SetLink(vlan_message(port, vlan)),
            0,
        )
        .map_err(|refusal| {
            let (name, id) = (&port.name, vlan.id);
            refusal
                .during(format!("cannot put the port {name} into VLAN {id}"))
                .hint("the bridge must filter by VLAN: 'ip link set BRIDGE type bridge vlan_filtering 1'")
        })
    }

    /// Takes a port of a bridge out of a VLAN.
    pub fn delete_port_vlan(&mut self, port: &Link, vlan: PortVlan) -> Result<()> {
        self.change(RouteNetlinkMessage::DelLink(vlan_message(port, vlan)), 0)
            .map_err(|refusal| {
                let (name, id) = (&port.name, vlan.id);
                refusal.during(format!("cannot take the port {name} out of VLAN {id}"))
            })
    }
}

fn vlan_message(port: &Link, vlan: PortVlan) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.interface_family = AddressFamily::Bridge;
    message.header.index = port.index;
    message.attributes = vec![LinkAttribute::AfSpecBridge(vec![
        AfSpecBridge::Flags(BridgeFlag::Controller),
        AfSpecBridge::VlanInfo(vlan.to_kernel()),
    ])];
    message
}

fn vlans_in(attribute: LinkAttribute) -> Vec<PortVlan> {
    let LinkAttribute::AfSpecBridge(parts) = attribute else {
        return Vec::new();
    };
    let vlans = parts.into_iter().filter_map(|part| match part {
        AfSpecBridge::VlanInfo(info) => Some(PortVlan::of(info)),
        _ => None,
    });
    vlans.collect()
}
