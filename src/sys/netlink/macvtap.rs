//! Macvtap devices: a tap device on top of a network card, its lower device.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoMacVtap, LinkAttribute, LinkInfo, LinkMessage, MacVtapMode,
};

use super::Socket;
use super::link::Link;
use crate::error::Result;
use crate::sys::name::{InterfaceName, MacAddress};

/// How the macvtap devices on one lower device reach each other (`IFLA_MACVLAN_MODE` in `<linux/if_link.h>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Directly.
    Bridge,
    /// Not at all.
    Private,
    /// Through a switch that sends frames back where they came from (hairpin, reflective relay).
    Vepa,
    /// There is only one, which has the lower device to itself, with its MAC address.
    Passthrough,
}

impl Mode {
    /// As libvirt's `mode` of `<source>` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Private => "private",
            Self::Vepa => "vepa",
            Self::Passthrough => "passthrough",
        }
    }

    fn to_kernel(self) -> MacVtapMode {
        match self {
            Self::Bridge => MacVtapMode::Bridge,
            Self::Private => MacVtapMode::Private,
            Self::Vepa => MacVtapMode::Vepa,
            Self::Passthrough => MacVtapMode::Passthrough,
        }
    }
}

impl Socket {
    /// Creates a macvtap device on `lower`, set down, with the MTU of it.
    ///
    /// In passthrough mode the kernel gives it the lower device's MAC address; `mac` is set afterwards, and the lower device then
    /// has it too until the macvtap is deleted. The kernel refuses with `EBUSY` a lower device that is a port of a
    /// bridge or bond, and with `EINVAL` one in passthrough mode that has other macvlan or macvtap devices.
    pub fn create_macvtap(
        &mut self,
        name: &InterfaceName,
        lower: &Link,
        mode: Mode,
        mac: MacAddress,
    ) -> Result<()> {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.as_str().to_owned()),
            LinkAttribute::Link(lower.index),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::MacVtap),
                LinkInfo::Data(InfoData::MacVtap(vec![InfoMacVtap::Mode(mode.to_kernel())])),
            ]),
        ];
        if mode != Mode::Passthrough {
            message
                .attributes
                .push(LinkAttribute::Address(mac.0.to_vec()));
        }
        self.change(
            RouteNetlinkMessage::NewLink(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .map_err(|refusal| {
            refusal.during(format!(
                "cannot create the macvtap device {name} on {} in {} mode",
                lower.name,
                mode.as_str()
            ))
        })
    }
}
