//! Links: network cards, bridges, tap devices and what else `ip link` lists.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage, State,
};
use nix::errno::Errno;

use super::Socket;
use super::bond::Bond;
use super::bridge::BridgeOptions;
use super::refusal::Outcome;
use super::vlan::Vlan;
use crate::error::Result;
use crate::sys::name::{InterfaceName, MacAddress};

/// One link as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it, unique in its namespace and not used again soon.
    pub index: u32,
    /// Its name.
    pub name: InterfaceName,
    /// `bridge`, `veth`, `tun` and so on (`IFLA_INFO_KIND`); `None` for a network card and the loopback.
    pub kind: Option<String>,
    /// The index of the bridge or bond that it is a port of.
    pub master: Option<u32>,
    /// The index of its lower device in this namespace. A veth's peer is none, though the kernel reports
    /// it in the same attribute (`IFLA_LINK`).
    pub lower: Option<u32>,
    /// The hardware address in use, if it is of six bytes.
    pub mac: Option<MacAddress>,
    /// The address burnt into the card, where the driver gives one.
    pub permanent_mac: Option<MacAddress>,
    /// Maximum transmission unit in bytes.
    pub mtu: u32,
    /// The smallest MTU that it takes, where the kernel tells.
    pub min_mtu: Option<u32>,
    /// The largest MTU that it takes, where the kernel tells.
    pub max_mtu: Option<u32>,
    /// Set up by the administrator (`IFF_UP`).
    pub up: bool,
    /// The wire, or what stands for it, is there (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// RFC 2863's operational state: `Up`, `Down`, `LowerLayerDown`, ...
    pub operational: State,
    /// The loopback.
    pub loopback: bool,
    /// What only a bridge has.
    pub bridge: Option<BridgeOptions>,
    /// What only a bond has.
    pub bond: Option<Bond>,
    /// What only a VLAN has.
    pub vlan: Option<Vlan>,
}

impl Link {
    /// Whether it is a bond.
    pub fn is_bond(&self) -> bool {
        self.kind.as_deref() == Some("bond")
    }

    /// Whether it is a VLAN.
    pub fn is_vlan(&self) -> bool {
        self.kind.as_deref() == Some("vlan")
    }

    /// Whether it is a bridge.
    pub fn is_bridge(&self) -> bool {
        self.kind.as_deref() == Some("bridge")
    }

    /// The address that identifies the card: the permanent one, else the one in use.
    pub fn card(&self) -> Option<MacAddress> {
        self.permanent_mac.or(self.mac)
    }

    /// `None` for a name that ncf does not accept, such as one with bytes outside ASCII.
    fn from_message(message: &LinkMessage) -> Option<Self> {
        let flags = message.header.flags;
        let name = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => name.parse().ok(),
                _ => None,
            })?;
        let mut link = Self {
            index: message.header.index,
            name,
            kind: None,
            master: None,
            lower: None,
            mac: None,
            permanent_mac: None,
            mtu: 0,
            min_mtu: None,
            max_mtu: None,
            up: flags.contains(LinkFlags::Up),
            carrier: flags.contains(LinkFlags::LowerUp),
            operational: State::Unknown,
            loopback: flags.contains(LinkFlags::Loopback),
            bridge: None,
            bond: None,
            vlan: None,
        };
        let mut elsewhere = false;
        for attribute in &message.attributes {
            elsewhere |= matches!(attribute, LinkAttribute::LinkNetNsId(_));
            link.take(attribute);
        }
        if elsewhere || link.lower == Some(0) || link.kind.as_deref() == Some("veth") {
            link.lower = None;
        }
        Some(link)
    }

    fn take(&mut self, attribute: &LinkAttribute) {
        match attribute {
            LinkAttribute::Controller(index) => self.master = Some(*index).filter(|it| *it != 0),
            LinkAttribute::Link(index) => self.lower = Some(*index),
            LinkAttribute::Address(bytes) => self.mac = mac(bytes),
            LinkAttribute::PermAddress(bytes) => self.permanent_mac = mac(bytes),
            LinkAttribute::Mtu(mtu) => self.mtu = *mtu,
            LinkAttribute::MinMtu(mtu) => self.min_mtu = Some(*mtu),
            LinkAttribute::MaxMtu(mtu) => self.max_mtu = Some(*mtu).filter(|it| *it != 0),
            LinkAttribute::OperState(state) => self.operational = *state,
            LinkAttribute::LinkInfo(infos) => self.take_infos(infos),
            _ => {}
        }
    }

    fn take_infos(&mut self, infos: &[LinkInfo]) {
        for info in infos {
            match info {
                LinkInfo::Kind(kind) => self.kind = Some(kind.to_string()),
                LinkInfo::Data(InfoData::Bridge(data)) => {
                    self.bridge = Some(BridgeOptions::from_attributes(data));
                }
                LinkInfo::Data(InfoData::Bond(data)) => {
                    self.bond = Some(Bond::from_attributes(data));
                }
                LinkInfo::Data(InfoData::Vlan(data)) => {
                    self.vlan = Some(Vlan::from_attributes(data));
                }
                _ => {}
            }
        }
    }
}

fn mac(bytes: &[u8]) -> Option<MacAddress> {
    <[u8; 6]>::try_from(bytes).ok().map(MacAddress)
}

/// Asks the kernel to leave out counters, which are most of a link's message.
fn without_counters() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

/// A message about one link, named by its index.
pub(super) fn about(link: &Link, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = link.index;
    message.attributes = attributes;
    message
}

impl Socket {
    /// All links, in the kernel's order.
    pub fn links(&mut self) -> Result<Vec<Link>> {
        let mut request = LinkMessage::default();
        request.attributes.push(without_counters());
        let answers = self
            .dump(&RouteNetlinkMessage::GetLink(request))
            .map_err(|refusal| refusal.during("cannot list the network links"))?;
        Ok(answers.iter().filter_map(as_link).collect())
    }

    /// The link of that name; `None` where there is none. An alternative name (`altname`) is not one.
    pub fn link(&mut self, name: &InterfaceName) -> Result<Option<Link>> {
        let mut request = LinkMessage::default();
        request
            .attributes
            .push(LinkAttribute::IfName(name.as_str().to_owned()));
        request.attributes.push(without_counters());
        match self.get(RouteNetlinkMessage::GetLink(request)) {
            Ok(answer) => Ok(answer
                .as_ref()
                .and_then(as_link)
                .filter(|it| it.name == *name)),
            Err(refusal) if refusal.is_any(&[Errno::ENODEV]) => Ok(None),
            Err(refusal) => Err(refusal.during(format!("cannot look up {name}"))),
        }
    }

    /// Deletes a virtual link. One that is gone already is no error.
    pub fn delete_link(&mut self, link: &Link) -> Result<()> {
        match self.change(RouteNetlinkMessage::DelLink(about(link, Vec::new())), 0) {
            Err(refusal) if !refusal.is_any(&[Errno::ENODEV]) => {
                Err(refusal.during(format!("cannot delete {}", link.name)))
            }
            _ => Ok(()),
        }
    }

    /// Sets a link up or down.
    pub fn set_link_up(&mut self, link: &Link, up: bool) -> Result<()> {
        let mut message = about(link, Vec::new());
        message.header.change_mask = LinkFlags::Up;
        if up {
            message.header.flags = LinkFlags::Up;
        }
        let state = if up { "up" } else { "down" };
        self.set(message)
            .map_err(|refusal| refusal.during(format!("cannot set {} {state}", link.name)))
    }

    /// Sets the maximum transmission unit, in bytes.
    pub fn set_mtu(&mut self, link: &Link, mtu: u32) -> Result<()> {
        self.set(about(link, vec![LinkAttribute::Mtu(mtu)]))
            .map_err(|refusal| {
                refusal.during(format!("cannot set the MTU of {} to {mtu}", link.name))
            })
    }

    /// Sets the hardware address. Some drivers refuse it with `EBUSY` while the link is up.
    pub fn set_mac(&mut self, link: &Link, mac: MacAddress) -> Result<()> {
        self.set(about(link, vec![LinkAttribute::Address(mac.0.to_vec())]))
            .map_err(|refusal| {
                refusal.during(format!(
                    "cannot set the MAC address of {} to {mac}",
                    link.name
                ))
            })
    }

    /// Makes `port` a port of `master`, taking it out of another first.
    pub fn set_master(&mut self, port: &Link, master: &Link) -> Result<()> {
        self.set(about(port, vec![LinkAttribute::Controller(master.index)]))
            .map_err(|refusal| {
                refusal.during(format!(
                    "cannot make {} a port of {}",
                    port.name, master.name
                ))
            })
    }

    /// Takes a port out of its bridge or bond.
    pub fn release(&mut self, port: &Link) -> Result<()> {
        self.set(about(port, vec![LinkAttribute::Controller(0)]))
            .map_err(|refusal| {
                refusal.during(format!(
                    "cannot take {} out of its bridge or bond",
                    port.name
                ))
            })
    }

    /// Whether the kernel can make links of this kind; it loads the module for it if it has one.
    ///
    /// It is asked for a link whose name is none (`dev_valid_name()`), which it never makes, and says first if
    /// it does not know the kind.
    pub fn knows_kind(&mut self, kind: InfoKind) -> bool {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName("not/a/name".to_owned()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)]),
        ];
        let request = RouteNetlinkMessage::NewLink(message);
        match self.change(request, NLM_F_CREATE | NLM_F_EXCL) {
            Err(refusal) => !refusal.is_any(&[Errno::EOPNOTSUPP]),
            Ok(()) => true,
        }
    }

    fn set(&mut self, message: LinkMessage) -> Outcome<()> {
        self.change(RouteNetlinkMessage::SetLink(message), 0)
    }
}

fn as_link(message: &RouteNetlinkMessage) -> Option<Link> {
    match message {
        RouteNetlinkMessage::NewLink(message) => Link::from_message(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(attributes: Vec<LinkAttribute>) -> Link {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.attributes = attributes;
        message.attributes.push(LinkAttribute::IfName("x0".into()));
        Link::from_message(&message).unwrap()
    }

    #[test]
    fn a_veths_peer_is_no_lower_device() {
        let veth = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth)]);
        assert_eq!(link(vec![LinkAttribute::Link(3), veth]).lower, None);
        assert_eq!(link(vec![LinkAttribute::Link(3)]).lower, Some(3));
        assert_eq!(
            link(vec![LinkAttribute::Link(3), LinkAttribute::LinkNetNsId(0)]).lower,
            None
        );
    }

    #[test]
    fn the_permanent_address_identifies_a_card() {
        let in_use = LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]);
        let burnt_in = LinkAttribute::PermAddress(vec![2, 0, 0, 0, 0, 2]);
        assert_eq!(
            link(vec![in_use.clone()]).card(),
            Some(MacAddress([2, 0, 0, 0, 0, 1]))
        );
        assert_eq!(
            link(vec![in_use, burnt_in]).card(),
            Some(MacAddress([2, 0, 0, 0, 0, 2]))
        );
    }
}
