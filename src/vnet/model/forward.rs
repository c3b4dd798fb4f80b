//! What the guests of a network are connected to: the forward mode and what goes with it.

use std::collections::HashSet;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::attribute::{device, required_device, yes_no};
use super::bridge::{Isolation, VirtualBridge};
use super::network::Fill;
use super::pci;
use crate::error::{Error, Result};
use crate::sys::name::InterfaceName;
use crate::sys::pci::PciAddress;
use crate::xml::Element;

/// What the guests are connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forward {
    /// A bridge of ncf's own: isolated (no `<forward>`), `route`, `open`, `nat`.
    Virtual(VirtualBridge),
    /// A bridge that the host has: `bridge` with `<bridge name=…>`.
    HostBridge(InterfaceName),
    /// Macvtaps over devices of the host: `bridge` without a bridge, `private`, `vepa`, `passthrough`.
    Macvtap(Macvtap),
    /// PCI devices that are handed to the guest whole: `hostdev`.
    Hostdev {
        /// Whether the device is unbound from its driver and bound again by whoever starts the guest.
        managed: bool,
        /// What the device is bound to in between.
        driver: Option<HostdevDriver>,
        /// By address, or the virtual functions of a physical one.
        devices: Devices,
    },
}

/// Macvtaps over devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Macvtap {
    /// The mode of each macvtap.
    pub mode: MacvtapMode,
    /// By name, or the virtual functions of a physical one.
    pub devices: Devices,
}

impl Macvtap {
    /// Whether a port may be in a VLAN. `passthrough` may be over a virtual function; whether it is, only the host knows
    /// when a guest comes. With a virtual port it is the switch that is told.
    pub fn takes_vlans(&self, has_virtual_port: bool) -> bool {
        self.mode == MacvtapMode::Passthrough || has_virtual_port
    }
}

/// How the macvtaps of one device reach each other (`enum macvlan_mode` in `<linux/if_link.h>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacvtapMode {
    /// Directly.
    Bridge,
    /// Not at all.
    Private,
    /// Through the switch, which must send frames back where they came from.
    Vepa,
    /// There is only one: it takes the device over.
    Passthrough,
}

impl MacvtapMode {
    /// As libvirt and `ip-link(8)` (which says `passthru`) call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Private => "private",
            Self::Vepa => "vepa",
            Self::Passthrough => "passthrough",
        }
    }
}

/// The devices of a pool, in the order of the definition, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Devices {
    /// Network devices; may be none yet.
    Interfaces(Vec<InterfaceName>),
    /// PCI devices.
    Addresses(Vec<PciAddress>),
    /// All virtual functions of this physical one.
    VirtualFunctions(InterfaceName),
}

/// What a PCI device is bound to while a guest has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostdevDriver {
    /// The only one that is left.
    Vfio,
    /// Of old; gone from Linux since 4.12.
    Kvm,
}

/// The values of `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Isolated(Isolation),
    Macvtap(MacvtapMode),
    Hostdev,
}

const MODES: [(&str, Mode); 8] = [
    ("nat", Mode::Isolated(Isolation::Nat)),
    ("route", Mode::Isolated(Isolation::Route)),
    ("open", Mode::Isolated(Isolation::Open)),
    ("bridge", Mode::Macvtap(MacvtapMode::Bridge)),
    ("private", Mode::Macvtap(MacvtapMode::Private)),
    ("vepa", Mode::Macvtap(MacvtapMode::Vepa)),
    ("passthrough", Mode::Macvtap(MacvtapMode::Passthrough)),
    ("hostdev", Mode::Hostdev),
];

impl Forward {
    /// From the `<network>`. Fails where the parts do not go together in the mode.
    ///
    /// Source of the rules: `virNetworkDefParseXML()` in libvirt's `network_conf.c` and `networkValidate()` in its
    /// `bridge_driver.c`.
    pub fn from_xml(network: Element<'_>, fill: &Fill) -> Result<Self> {
        let Some(forward) = network.child("forward")? else {
            let bridge = VirtualBridge::from_xml(network, Isolation::Isolated, None, fill)?;
            return Ok(Self::Virtual(bridge));
        };
        // libvirt's default, of the time when there was nothing else.
        let mode = forward
            .one_of("mode", &MODES)?
            .unwrap_or(Mode::Isolated(Isolation::Nat));
        let pool = Pool::from_xml(forward)?;
        if mode != Mode::Isolated(Isolation::Nat)
            && let Some(nat) = forward.child("nat")?
        {
            return Err(nat.error("<nat> is only for the mode nat"));
        }
        match mode {
            Mode::Isolated(isolation) => {
                let dev = pool.outgoing(forward, isolation)?;
                VirtualBridge::from_xml(network, isolation, dev, fill).map(Self::Virtual)
            }
            Mode::Macvtap(mode) => macvtap(network, mode, pool),
            Mode::Hostdev => {
                no_bridge(network, "hostdev")?;
                Ok(Self::Hostdev {
                    managed: yes_no(forward, "managed")?.unwrap_or(false),
                    driver: driver(forward)?,
                    devices: pool.pci(forward)?,
                })
            }
        }
    }

    /// The mode's name as in libvirt; `isolated` where there is no `<forward>`.
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Virtual(bridge) => bridge.isolation.as_str(),
            Self::HostBridge(_) => "bridge",
            Self::Macvtap(macvtap) => macvtap.mode.as_str(),
            Self::Hostdev { .. } => "hostdev",
        }
    }

    /// The bridge that guests are connected to, the host's or ncf's own.
    pub fn bridge(&self) -> Option<&InterfaceName> {
        match self {
            Self::Virtual(bridge) => Some(&bridge.name),
            Self::HostBridge(name) => Some(name),
            Self::Macvtap(_) | Self::Hostdev { .. } => None,
        }
    }

    /// The pool of devices, where there is one.
    pub fn devices(&self) -> Option<&Devices> {
        match self {
            Self::Macvtap(macvtap) => Some(&macvtap.devices),
            Self::Hostdev { devices, .. } => Some(devices),
            Self::Virtual(_) | Self::HostBridge(_) => None,
        }
    }
}

fn driver(forward: Element<'_>) -> Result<Option<HostdevDriver>> {
    let words = [("vfio", HostdevDriver::Vfio), ("kvm", HostdevDriver::Kvm)];
    match forward.child("driver")? {
        Some(driver) => driver.one_of("name", &words),
        None => Ok(None),
    }
}

fn macvtap(network: Element<'_>, mode: MacvtapMode, pool: Pool<'_>) -> Result<Forward> {
    if mode != MacvtapMode::Bridge {
        no_bridge(network, mode.as_str())?;
    }
    only_with_own_bridge(network, mode.as_str())?;
    let bridge = network.child("bridge")?;
    let name = bridge.map(|it| device(it, "name")).transpose()?.flatten();
    let Some(name) = name else {
        return Ok(Forward::Macvtap(Macvtap {
            mode,
            devices: pool.interfaces()?,
        }));
    };
    match pool.first() {
        Some(element) => Err(element.error(
            "a network over the host's bridge has no devices of its own: either <bridge name='…'/> or devices are allowed",
        )),
        None => Ok(Forward::HostBridge(name)),
    }
}

/// Fails where there is a bridge, which this mode has none of.
fn no_bridge(network: Element<'_>, mode: &str) -> Result<()> {
    only_with_own_bridge(network, mode)?;
    match network.child("bridge")? {
        Some(bridge)
            if ["name", "zone", "macTableManager"]
                .iter()
                .any(|it| bridge.attribute(it).is_some()) =>
        {
            Err(bridge.error(format!("a network of mode {mode} has no bridge")))
        }
        _ => Ok(()),
    }
}

/// Fails where something is asked of a bridge that ncf does not make.
fn only_with_own_bridge(network: Element<'_>, mode: &str) -> Result<()> {
    let error = |element: Element<'_>, what: &str| {
        Err(element.error(format!(
            "{what} only for a bridge of ncf's own: isolated, route, open and nat, not {mode}"
        )))
    };
    if let Some(bridge) = network.child("bridge")? {
        for name in ["stp", "delay"] {
            if bridge.attribute(name).is_some() {
                return error(bridge, &format!("{name} is"));
            }
        }
    }
    match (network.child("mtu")?, network.child("mac")?) {
        (Some(mtu), _) => error(mtu, "<mtu> is"),
        (None, Some(mac)) => error(mac, "<mac> is"),
        (None, None) => Ok(()),
    }
}

/// What is written in `<forward>`: `dev`, `<interface>`, `<address>`, `<pf>`.
struct Pool<'a> {
    forward: Element<'a>,
    dev: Option<InterfaceName>,
    interfaces: Vec<(Element<'a>, InterfaceName)>,
    addresses: Vec<(Element<'a>, PciAddress)>,
    pf: Option<(Element<'a>, InterfaceName)>,
}

impl<'a> Pool<'a> {
    fn from_xml(forward: Element<'a>) -> Result<Self> {
        let dev = device(forward, "dev")?;
        let mut interfaces = Vec::with_capacity(forward.children_named("interface").count());
        for element in forward.children_named("interface") {
            interfaces.push((element, required_device(element, "dev")?));
        }
        let mut addresses = Vec::new();
        for element in forward.children_named("address") {
            element.required("type")?;
            element.one_of("type", &[("pci", ())])?;
            addresses.push((element, pci::from_xml(element)?));
        }
        let pf = match forward.child("pf")? {
            Some(element) => Some((element, required_device(element, "dev")?)),
            None => None,
        };
        let pool = Self {
            forward,
            dev,
            interfaces,
            addresses,
            pf,
        };
        pool.check()?;
        Ok(pool)
    }

    fn check(&self) -> Result<()> {
        let kinds = usize::from(!self.interfaces.is_empty())
            + usize::from(!self.addresses.is_empty())
            + usize::from(self.pf.is_some());
        if kinds > 1 {
            let what = "<interface>, <address> and <pf> exclude each other: only one kind is allowed in <forward>";
            return Err(self.forward.error(what));
        }
        if let (Some((pf, _)), Some(_)) = (&self.pf, &self.dev) {
            return Err(pf.error("<pf> and dev='…' exclude each other"));
        }
        if let (Some(dev), Some((element, first))) = (&self.dev, self.interfaces.first())
            && dev != first
        {
            return Err(element.error(format!(
                "the first <interface> must be the device that dev='{dev}' names"
            )));
        }
        twice(&self.interfaces)?;
        twice(&self.addresses)
    }

    /// The first element that names a device.
    fn first(&self) -> Option<Element<'a>> {
        let interface = self.interfaces.first().map(|(element, _)| *element);
        let address = self.addresses.first().map(|(element, _)| *element);
        let pf = self.pf.as_ref().map(|(element, _)| *element);
        let dev = self.dev.as_ref().map(|_| self.forward);
        interface.or(address).or(pf).or(dev)
    }

    /// The one device that traffic may leave by.
    fn outgoing(self, forward: Element<'_>, isolation: Isolation) -> Result<Option<InterfaceName>> {
        if let Some((element, _)) = &self.pf {
            return Err(element.error("<pf> is only for macvtap modes and hostdev"));
        }
        if let Some((element, _)) = self.addresses.first() {
            return Err(element.error("<address> is only for the mode hostdev"));
        }
        if let Some((element, _)) = self.interfaces.get(1) {
            return Err(element.error("only one device is allowed to forward to"));
        }
        let dev = self
            .dev
            .or(self.interfaces.into_iter().next().map(|(_, name)| name));
        match dev {
            Some(_) if isolation == Isolation::Open => {
                Err(forward.error("the mode open has no device: ncf leaves all forwarding to you"))
            }
            dev => Ok(dev),
        }
    }

    fn interfaces(self) -> Result<Devices> {
        if let Some((element, _)) = self.addresses.first() {
            return Err(element.error("<address> is only for the mode hostdev"));
        }
        if let Some((_, pf)) = self.pf {
            return Ok(Devices::VirtualFunctions(pf));
        }
        let mut names: Vec<_> = self.interfaces.into_iter().map(|(_, name)| name).collect();
        if names.is_empty() {
            names.extend(self.dev);
        }
        Ok(Devices::Interfaces(names))
    }

    fn pci(self, forward: Element<'_>) -> Result<Devices> {
        if let Some(element) = self.interfaces.first().map(|(element, _)| *element) {
            return Err(
                element.error("the mode hostdev takes PCI addresses or <pf>, no names of devices")
            );
        }
        if self.dev.is_some() {
            let allowed = "the mode hostdev takes PCI addresses or <pf>, no names of devices";
            return Err(forward.wrong("dev", allowed));
        }
        Ok(match self.pf {
            Some((_, pf)) => Devices::VirtualFunctions(pf),
            None => Devices::Addresses(self.addresses.into_iter().map(|(_, it)| it).collect()),
        })
    }
}

/// Fails where one is there twice: it would be counted as two, and given away twice.
fn twice<T: Eq + Hash + std::fmt::Display>(devices: &[(Element<'_>, T)]) -> Result<(), Error> {
    let mut seen = HashSet::with_capacity(devices.len());
    match devices.iter().find(|(_, device)| !seen.insert(device)) {
        Some((element, device)) => Err(element.error(format!("{device} is there twice"))),
        None => Ok(()),
    }
}
