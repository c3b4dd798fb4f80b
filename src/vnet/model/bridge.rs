//! A bridge of ncf's own: what isolated, `route`, `open` and `nat` networks connect their guests to.

use super::address::{BridgeAddress, StaticRoute};
use super::attribute::{device, mac, number, yes_no};
use super::network::Fill;
use crate::error::Result;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::xml::Element;

/// The smallest and the largest MTU of a bridge (`ETH_MIN_MTU`, `ETH_MAX_MTU` in `<linux/if_ether.h>`).
const MTU: (u32, u32) = (68, 65_535);

/// The largest forward delay in seconds (`BR_MAX_FORWARD_DELAY` in `net/bridge/br_private_stp.h`).
const MAX_DELAY: u32 = 30;

/// A bridge of ncf's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualBridge {
    /// What leaves it.
    pub isolation: Isolation,
    /// The only device that traffic is forwarded to, where the definition names one.
    pub dev: Option<InterfaceName>,
    /// Its name.
    pub name: InterfaceName,
    /// Its hardware address.
    pub mac: MacAddress,
    /// Whether it keeps a spanning tree. libvirt's default is yes.
    pub stp: bool,
    /// Forward delay in seconds, 0 to 30.
    pub delay: u32,
    /// Maximum transmission unit in bytes; `None` leaves it to the kernel.
    pub mtu: Option<u32>,
    /// The host's addresses on it, in the order of the definition.
    pub addresses: Vec<BridgeAddress>,
    /// Routes through it.
    pub routes: Vec<StaticRoute>,
    /// Whether guests may talk IPv6 among themselves where the bridge has no IPv6 address.
    pub ipv6: bool,
    /// What the definition asks for and ncf does not do yet.
    pub services: Services,
}

/// What leaves a virtual bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Nothing: guests reach each other and the host's address on the bridge.
    Isolated,
    /// What is routed, with the guests' own addresses.
    Route,
    /// Whatever the host's own rules let through.
    Open,
    /// What is routed, with the host's address.
    Nat,
}

impl Isolation {
    /// As libvirt's `mode`; `isolated` where there is no `<forward>`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Isolated => "isolated",
            Self::Route => "route",
            Self::Open => "open",
            Self::Nat => "nat",
        }
    }
}

/// Who fills a bridge's forwarding table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MacTable {
    /// The kernel, by learning.
    #[default]
    Kernel,
    /// Whoever plugs: ports neither learn nor are flooded, and each port's address is entered.
    Managed,
}

impl MacTable {
    /// From a `<bridge>`.
    pub fn from_xml(bridge: Element<'_>) -> Result<Self> {
        let words = [("kernel", Self::Kernel), ("libvirt", Self::Managed)];
        Ok(bridge
            .one_of("macTableManager", &words)?
            .unwrap_or_default())
    }
}

/// What a definition asks for that ncf does not do yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Services {
    /// Addresses are to be handed out: a `<dhcp>` with ranges or hosts.
    pub dhcp: bool,
    /// Names are to be resolved: a `<dns>` that is not switched off and has something in it.
    pub dns: bool,
    /// Files are to be served for booting: `<tftp>`.
    pub tftp: bool,
}

impl Services {
    /// Whether nothing is asked for.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Their names, as in "DHCP and DNS".
    pub fn names(self) -> Vec<&'static str> {
        let all = [(self.dhcp, "DHCP"), (self.dns, "DNS"), (self.tftp, "TFTP")];
        all.iter()
            .filter(|(asked, _)| *asked)
            .map(|(_, name)| *name)
            .collect()
    }

    pub(super) fn from_xml(network: Element<'_>) -> Result<Self> {
        let ips = || network.children_named("ip");
        let asks = |dhcp: Element<'_>| dhcp.children().next().is_some();
        let dns = match network.child("dns")? {
            Some(dns) => yes_no(dns, "enable")? != Some(false) && dns.children().next().is_some(),
            None => false,
        };
        Ok(Self {
            dhcp: ips().any(|ip| ip.children_named("dhcp").any(asks)),
            dns,
            tftp: ips().any(|ip| ip.children_named("tftp").next().is_some()),
        })
    }
}

impl VirtualBridge {
    /// From the `<network>`; `fill` has what is generated where it is missing.
    pub(super) fn from_xml(
        network: Element<'_>,
        isolation: Isolation,
        dev: Option<InterfaceName>,
        fill: &Fill,
    ) -> Result<Self> {
        let mut it = Self {
            isolation,
            dev,
            name: fill.bridge.clone(),
            mac: fill.mac,
            stp: true,
            delay: 0,
            mtu: None,
            addresses: BridgeAddress::all_from_xml(network)?,
            routes: StaticRoute::all_from_xml(network)?,
            ipv6: yes_no(network, "ipv6")?.unwrap_or(false),
            services: Services::from_xml(network)?,
        };
        if let Some(bridge) = network.child("bridge")? {
            it.take_bridge(bridge)?;
        }
        if let Some(element) = network.child("mac")? {
            it.mac = mac(element, "address")?;
        }
        if let Some(mtu) = network.child("mtu")? {
            mtu.required("size")?;
            it.mtu = number(mtu, "size", MTU.0, MTU.1)?;
        }
        it.check(network)?;
        Ok(it)
    }

    /// Whether the host has an IPv4 address on it.
    pub fn has_ipv4(&self) -> bool {
        self.addresses.iter().any(|it| it.net.addr().is_ipv4())
    }

    /// Whether the host has an IPv6 address on it.
    pub fn has_ipv6(&self) -> bool {
        self.addresses.iter().any(|it| it.net.addr().is_ipv6())
    }

    /// Whether the host forwards between it and others.
    pub fn forwards(&self) -> bool {
        self.isolation != Isolation::Isolated
    }

    fn take_bridge(&mut self, bridge: Element<'_>) -> Result<()> {
        if let Some(name) = device(bridge, "name")?.filter(|name| !is_template(name)) {
            self.name = name;
        }
        self.stp = bridge
            .one_of("stp", &[("on", true), ("off", false)])?
            .unwrap_or(true);
        self.delay = number(bridge, "delay", 0, MAX_DELAY)?.unwrap_or(0);
        Ok(())
    }

    fn check(&self, network: Element<'_>) -> Result<()> {
        let forwards = matches!(self.isolation, Isolation::Route | Isolation::Nat);
        if forwards && self.addresses.is_empty() {
            let at = network.child("forward")?.unwrap_or(network);
            return Err(at.error(format!(
                "the mode {} needs an address on the bridge: an <ip address='…'>",
                self.isolation.as_str()
            )));
        }
        for (route, element) in self.routes.iter().zip(network.children_named("route")) {
            route.check(element, &self.addresses)?;
        }
        Ok(())
    }
}

/// Whether it stands for a name to be generated, as libvirt's `virbr%d` does.
pub(in crate::vnet) fn is_template(name: &InterfaceName) -> bool {
    name.as_str().contains("%d")
}
