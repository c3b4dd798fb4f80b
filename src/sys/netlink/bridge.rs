//! Bridges: what the kernel calls their options, and setting them.

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo, LinkMessage,
};

use super::Socket;
use super::link::{Link, about};
use super::options::{Setting, Settings, Spec};
use super::refusal::Outcome;
use crate::error::Result;
use crate::sys::name::InterfaceName;

const OFF_ON: &[&str] = &["0", "1"];
/// The largest 32-bit number; times are in hundredths of a second.
const MOST: u64 = 0xffff_ffff;

/// Options beside `stp_state` and `forward_delay`, by their names in `/sys/class/net/br0/bridge`, with the
/// attributes of `<linux/if_link.h>`.
pub const OPTIONS: &[Spec] = &[
    Spec::number("hello_time", 2, 4, MOST),
    Spec::number("max_age", 3, 4, MOST),
    Spec::number("ageing_time", 4, 4, MOST),
    Spec::number("priority", 6, 2, 65_535),
    Spec::words("vlan_filtering", 7, 1, OFF_ON),
    Spec::number("group_fwd_mask", 9, 2, 65_535),
    Spec::number("multicast_router", 22, 1, 2),
    Spec::words("multicast_snooping", 23, 1, OFF_ON),
    Spec::words("multicast_query_use_ifaddr", 24, 1, OFF_ON),
    Spec::words("multicast_querier", 25, 1, OFF_ON),
    Spec::number("hash_elasticity", 26, 4, MOST),
    Spec::number("hash_max", 27, 4, MOST),
    Spec::number("multicast_last_member_count", 28, 4, MOST),
    Spec::number("multicast_startup_query_count", 29, 4, MOST),
    Spec::number("multicast_last_member_interval", 30, 8, MOST),
    Spec::number("multicast_membership_interval", 31, 8, MOST),
    Spec::number("multicast_querier_interval", 32, 8, MOST),
    Spec::number("multicast_query_interval", 33, 8, MOST),
    Spec::number("multicast_query_response_interval", 34, 8, MOST),
    Spec::number("multicast_startup_query_interval", 35, 8, MOST),
    Spec::words("nf_call_iptables", 36, 1, OFF_ON),
    Spec::words("nf_call_ip6tables", 37, 1, OFF_ON),
    Spec::words("nf_call_arptables", 38, 1, OFF_ON),
    Spec::number("default_pvid", 39, 2, 4094),
    Spec::number("multicast_igmp_version", 43, 1, 3),
    Spec::number("multicast_mld_version", 44, 1, 2),
];

/// What a bridge is set to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BridgeOptions {
    /// Whether a spanning tree is kept, by the kernel or by a program.
    pub stp: bool,
    /// Forward delay in hundredths of a second.
    pub forward_delay: u32,
    /// The rest of its options.
    pub settings: Settings,
}

/// The option of that name, beside `stp_state` and `forward_delay`.
pub fn option(name: &str) -> Option<&'static Spec> {
    OPTIONS.iter().find(|option| option.name == name)
}

impl BridgeOptions {
    pub(super) fn from_attributes(attributes: &[InfoBridge]) -> Self {
        let mut options = Self {
            settings: Settings::decode(OPTIONS, attributes),
            ..Self::default()
        };
        for attribute in attributes {
            match attribute {
                InfoBridge::StpState(state) => options.stp = *state != BridgeStpState::Disabled,
                InfoBridge::ForwardDelay(delay) => options.forward_delay = *delay,
                _ => {}
            }
        }
        options
    }
}

impl Socket {
    /// Creates a bridge, set down, with the kernel's default options.
    pub fn create_bridge(&mut self, name: &InterfaceName) -> Result<()> {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.as_str().to_owned()),
            info(Vec::new()),
        ];
        self.change(
            RouteNetlinkMessage::NewLink(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .map_err(|refusal| refusal.during(format!("cannot create the bridge {name}")))
    }

    /// Switches a bridge's spanning tree on or off. On, the kernel raises a forward delay below two seconds
    /// to two.
    pub fn set_stp(&mut self, bridge: &Link, on: bool) -> Result<()> {
        let state = if on {
            BridgeStpState::KernelStp
        } else {
            BridgeStpState::Disabled
        };
        self.set_bridge(bridge, InfoBridge::StpState(state))
            .map_err(|refusal| {
                refusal.during(format!("cannot set the spanning tree of {}", bridge.name))
            })
    }

    /// Sets a bridge's forward delay in hundredths of a second: 0 to 3000, with spanning tree from 200
    /// (`br_set_forward_delay()` in `net/bridge/br_stp.c`).
    pub fn set_forward_delay(&mut self, bridge: &Link, hundredths: u32) -> Result<()> {
        self.set_bridge(bridge, InfoBridge::ForwardDelay(hundredths))
            .map_err(|refusal| {
                refusal.during(format!("cannot set the forward delay of {}", bridge.name))
            })
    }

    /// Sets one of a bridge's other options.
    pub fn set_bridge_option(&mut self, bridge: &Link, setting: &Setting) -> Result<()> {
        let content = setting.encode().unwrap_or_default();
        let attribute = InfoBridge::Other(DefaultNla::new(setting.spec.attribute, content));
        self.set_bridge(bridge, attribute).map_err(|refusal| {
            refusal.during(format!(
                "cannot set {}={setting} of {}",
                setting.spec.name, bridge.name
            ))
        })
    }

    /// Options of a kind go with `RTM_NEWLINK`; without `NLM_F_CREATE` it changes what exists.
    fn set_bridge(&mut self, bridge: &Link, option: InfoBridge) -> Outcome<()> {
        let message = about(bridge, vec![info(vec![option])]);
        self.change(RouteNetlinkMessage::NewLink(message), 0)
    }
}

/// What the kind of a link and its options are sent as.
fn info(data: Vec<InfoBridge>) -> LinkAttribute {
    let mut infos = vec![LinkInfo::Kind(InfoKind::Bridge)];
    if !data.is_empty() {
        infos.push(LinkInfo::Data(InfoData::Bridge(data)));
    }
    LinkAttribute::LinkInfo(infos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_decoder_of_the_library() {
        let options = BridgeOptions::from_attributes(&[
            InfoBridge::Priority(4096),
            InfoBridge::MulticastSnooping(true),
            InfoBridge::MulticastQueryInterval(12_500),
            InfoBridge::GroupFwdMask(16),
            InfoBridge::ForwardDelay(200),
        ]);
        let wanted = [
            ("priority", "4096"),
            ("multicast_snooping", "1"),
            ("multicast_query_interval", "12500"),
            ("group_fwd_mask", "0x10"),
        ];
        let wanted = wanted.map(|(name, value)| option(name).unwrap().parse(value).unwrap());
        assert_eq!(options.settings, wanted.into_iter().collect());
        assert_eq!(options.forward_delay, 200);
    }
}
