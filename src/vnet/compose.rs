//! Definitions from a few words, for those who would rather not write XML.

use ipnet::IpNet;

use super::model::pci;
use super::name::NetworkName;
use crate::error::{Error, Result};
use crate::qos::Bandwidth;
use crate::sys::name::InterfaceName;
use crate::sys::pci::PciAddress;
use crate::xml::Tree;

/// What a network is to be.
#[derive(Debug, Clone)]
pub struct Sketch {
    /// Its name.
    pub name: NetworkName,
    /// libvirt's forward mode, or `isolated`; `None` where the rest says it.
    pub mode: Option<String>,
    /// The host's bridge, or the name for one of ncf's own.
    pub bridge: Option<InterfaceName>,
    /// Devices: the pool, or the one that is routed to.
    pub devices: Vec<InterfaceName>,
    /// The physical device whose virtual functions are the pool.
    pub pf: Option<InterfaceName>,
    /// PCI devices.
    pub pci: Vec<PciAddress>,
    /// The host's addresses on a bridge of ncf's own.
    pub addresses: Vec<IpNet>,
    /// The tag of all ports.
    pub vlan: Option<u16>,
    /// The MTU of a bridge of ncf's own, in bytes.
    pub mtu: Option<u32>,
    /// Whether ports reach each other only through the host.
    pub isolated_ports: bool,
    /// The limits of all ports together.
    pub bandwidth: Bandwidth,
}

impl Sketch {
    /// The definition. Whether its parts go together is for whoever reads it to say.
    ///
    /// Fails where the parts do not tell the mode, or a limit cannot be written in XML.
    pub fn to_xml(&self) -> Result<Tree> {
        let mode = self.mode()?;
        let own = matches!(mode, "isolated" | "route" | "open" | "nat");
        let mut network = Tree::new("network").and(Tree::new("name").and_text(&self.name));
        if mode != "isolated" {
            network.push(self.forward(mode, own));
        }
        if let Some(bridge) = &self.bridge {
            network.push(Tree::new("bridge").with("name", bridge));
        }
        if let Some(mtu) = self.mtu {
            network.push(Tree::new("mtu").with("size", mtu));
        }
        if !self.bandwidth.is_empty() {
            network.push(self.bandwidth.to_xml()?);
        }
        if let Some(tag) = self.vlan {
            network.push(Tree::new("vlan").and(Tree::new("tag").with("id", tag)));
        }
        if self.isolated_ports {
            network.push(Tree::new("port").with("isolated", "yes"));
        }
        for net in &self.addresses {
            let family = net.addr().is_ipv6().then_some("ipv6");
            let ip = Tree::new("ip").with_some("family", family);
            network.push(
                ip.with("address", net.addr())
                    .with("prefix", net.prefix_len()),
            );
        }
        Ok(network)
    }

    fn forward(&self, mode: &str, own: bool) -> Tree {
        let forward = Tree::new("forward").with("mode", mode);
        if own {
            // The device that is routed to.
            return forward.with_some("dev", self.devices.first());
        }
        let managed = (mode == "hostdev").then_some("yes");
        let devices = self
            .devices
            .iter()
            .map(|dev| Tree::new("interface").with("dev", dev));
        let pf = self.pf.iter().map(|dev| Tree::new("pf").with("dev", dev));
        forward
            .with_some("managed", managed)
            .and_all(pf)
            .and_all(devices)
            .and_all(self.pci.iter().map(|address| pci::to_xml(*address)))
    }

    fn mode(&self) -> Result<&str> {
        if let Some(mode) = &self.mode {
            return Ok(mode);
        }
        if !self.pci.is_empty() {
            return Ok("hostdev");
        }
        if !self.addresses.is_empty() {
            return Ok("isolated");
        }
        if self.bridge.is_some() && self.devices.is_empty() && self.pf.is_none() {
            return Ok("bridge");
        }
        if self.devices.is_empty() && self.pf.is_none() {
            let what = "what the network is over is not said";
            return Err(Error::usage(what)
                .hint("--bridge, --dev, --pf, --pci, --address or --mode says it"));
        }
        let what = "which mode the devices are to be used in is not said";
        Err(Error::usage(what)
            .hint("--mode bridge, private, vepa or passthrough says it, with --pf also hostdev"))
    }
}
