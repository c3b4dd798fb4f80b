//! What a port of a bridge has: isolation, and the VLANs that it is in.

use netlink_packet_route::link::{
    AfSpecBridge, BridgeFlag, BridgeVlanInfo, BridgeVlanInfoFlags, InfoBridge, InfoBridgePort,
    InfoData, InfoPortData, InfoPortKind, LinkAttribute, LinkExtentMask, LinkInfo, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Socket;
use super::link::Link;
use crate::error::Result;

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
        let mut message = LinkMessage::default();
        message.header.index = port.index;
        message.attributes = vec![LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::Isolated(
                isolated,
            )])),
        ])];
        self.change(RouteNetlinkMessage::NewLink(message), 0)
            .map_err(|refusal| refusal.during(format!("cannot isolate the port {}", port.name)))
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
