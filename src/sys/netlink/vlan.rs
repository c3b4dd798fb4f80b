//! VLANs: links that tag what they send with a number, over a lower device.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVlan, LinkAttribute, LinkInfo, LinkMessage,
};
pub use netlink_packet_route::link::{VlanFlags, VlanProtocol};

use super::Socket;
use super::link::{Link, about};
use crate::error::Result;
use crate::sys::name::InterfaceName;

/// What makes a link a VLAN. Its lower device is [`Link::lower`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vlan {
    /// The tag's number, 1 to 4094. The kernel also takes 0 and 4095.
    pub id: u16,
    /// 802.1Q, or 802.1ad for the outer of two tags.
    pub protocol: VlanProtocol,
    /// `ReorderHdr` (the kernel's default), `Gvrp`, `Mvrp`, `LooseBinding`, `BridgeBinding`.
    pub flags: VlanFlags,
}

impl Vlan {
    pub(super) fn from_attributes(attributes: &[InfoVlan]) -> Self {
        let mut vlan = Self {
            id: 0,
            protocol: VlanProtocol::Ieee8021Q,
            flags: VlanFlags::empty(),
        };
        for attribute in attributes {
            match attribute {
                InfoVlan::Id(id) => vlan.id = *id,
                InfoVlan::Protocol(protocol) => vlan.protocol = *protocol,
                InfoVlan::Flags((flags, _)) => vlan.flags = *flags,
                _ => {}
            }
        }
        vlan
    }
}

impl Socket {
    /// Creates a VLAN over `lower`, set down. Of its flags those in `mask` are set, the kernel's defaults stay
    /// for the rest.
    pub fn create_vlan(
        &mut self,
        name: &InterfaceName,
        lower: &Link,
        vlan: Vlan,
        mask: VlanFlags,
    ) -> Result<()> {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.as_str().to_owned()),
            LinkAttribute::Link(lower.index),
            info(vec![
                InfoVlan::Id(vlan.id),
                InfoVlan::Protocol(vlan.protocol),
                InfoVlan::Flags((vlan.flags, mask)),
            ]),
        ];
        self.change(
            RouteNetlinkMessage::NewLink(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .map_err(|refusal| {
            let id = vlan.id;
            refusal.during(format!(
                "cannot create {name}, VLAN {id} over {}",
                lower.name
            ))
        })
    }

    /// Sets those flags of a VLAN that are in `mask`.
    pub fn set_vlan_flags(&mut self, link: &Link, flags: VlanFlags, mask: VlanFlags) -> Result<()> {
        let message = about(link, vec![info(vec![InfoVlan::Flags((flags, mask))])]);
        self.change(RouteNetlinkMessage::NewLink(message), 0)
            .map_err(|refusal| {
                refusal.during(format!("cannot set the VLAN flags of {}", link.name))
            })
    }
}

fn info(attributes: Vec<InfoVlan>) -> LinkAttribute {
    LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Vlan),
        LinkInfo::Data(InfoData::Vlan(attributes)),
    ])
}
