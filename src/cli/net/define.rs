//! `net define`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::{lock, read, store, taken_names};
use crate::error::{Error, Result};
use crate::qos::{Bandwidth, Limit};
use crate::sys::name::InterfaceName;
use crate::sys::pci::PciAddress;
use crate::vnet::compose::Sketch;
use crate::vnet::define::Known;
use crate::vnet::definition::Definition;
use crate::vnet::name::NetworkName;
use crate::xml::Source;

/// Define a network, from XML or from a few words
///
/// What the definition leaves out is generated: the uuid, and for a bridge of ncf's own its name and MAC address. All
/// else is kept as it is written. A definition with the uuid of an existing network takes its place; where that
/// runs, it runs on by the old one until it is stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ncf net define net.xml
  ncf net define --name lan --bridge br0
  ncf net define --pool fast --mode private --dev eth1 --dev eth2
  ncf net define --name vfs --mode hostdev --pf eth0
  ncf net define --name lab --mode isolated --address 192.0.2.1/24")]
pub(super) struct Args {
    /// File with a <network>, or - for standard input
    #[arg(
        value_name = "FILE",
        required_unless_present = "name",
        conflicts_with = "name"
    )]
    file: Option<String>,

    #[command(flatten)]
    sketch: SketchArgs,

    /// Start it at boot
    #[arg(long)]
    autostart: bool,

    /// Print the definition, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The few words.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Instead of a file")]
struct SketchArgs {
    /// Name of the network
    #[arg(long, visible_alias = "pool", value_name = "NAME")]
    name: Option<NetworkName>,

    /// isolated, route, open, bridge, private, vepa, passthrough or hostdev; where it is left out: bridge with
    /// --bridge, hostdev with --pci, isolated with --address
    #[arg(long, requires = "name")]
    mode: Option<String>,

    /// Bridge of the host; with isolated, route and open the name for one of ncf's own
    #[arg(long, requires = "name", value_name = "BRIDGE")]
    bridge: Option<InterfaceName>,

    /// Device of the pool; with route the one to forward to. May be given several times
    #[arg(long, requires = "name", value_name = "DEVICE")]
    dev: Vec<InterfaceName>,

    /// Device whose virtual functions are the pool
    #[arg(long, requires = "name", value_name = "DEVICE", conflicts_with_all = ["dev", "pci"])]
    pf: Option<InterfaceName>,

    /// PCI device of the pool, as in 0000:03:00.1. May be given several times
    #[arg(long, requires = "name", value_name = "ADDRESS")]
    pci: Vec<PciAddress>,

    /// The host's address on a bridge of ncf's own, as in 192.0.2.1/24. May be given several times
    #[arg(long, requires = "name", value_name = "ADDRESS/PREFIX", value_parser = address)]
    address: Vec<IpNet>,

    /// VLAN tag of all ports
    #[arg(long, requires = "name", value_name = "TAG", value_parser = clap::value_parser!(u16).range(0..=4095))]
    vlan: Option<u16>,

    /// MTU of a bridge of ncf's own, in bytes
    #[arg(long, requires = "name", value_name = "BYTES")]
    mtu: Option<u32>,

    /// Let ports reach each other only through the host
    #[arg(long, requires = "name")]
    isolated_ports: bool,

    /// Limit of what all ports together receive: average[,peak[,burst]], as for 'ncf qos'
    #[arg(long, requires = "name", value_name = "LIMIT")]
    inbound: Option<Limit>,

    /// Limit of what all ports together send
    #[arg(long, requires = "name", value_name = "LIMIT")]
    outbound: Option<Limit>,
}

/// An address with its prefix length, which nothing is assumed for.
fn address(text: &str) -> Result<IpNet, String> {
    match text.parse::<IpNet>() {
        Ok(net) => Ok(net),
        Err(_) if text.parse::<IpAddr>().is_ok() => {
            Err("the prefix length is missing, as in 192.0.2.1/24".into())
        }
        Err(_) => Err("an address with its prefix length is allowed, as in 192.0.2.1/24".into()),
    }
}

impl SketchArgs {
    fn source(&self, name: &NetworkName) -> Result<Source> {
        let sketch = Sketch {
            name: name.clone(),
            mode: self.mode.clone(),
            bridge: self.bridge.clone(),
            devices: self.dev.clone(),
            pf: self.pf.clone(),
            pci: self.pci.clone(),
            addresses: self.address.clone(),
            vlan: self.vlan,
            mtu: self.mtu,
            isolated_ports: self.isolated_ports,
            bandwidth: Bandwidth {
                inbound: self.inbound,
                outbound: self.outbound,
            },
        };
        Ok(Source::new(
            "the definition of these options",
            sketch.to_xml()?.to_string(),
        ))
    }
}

impl Args {
    fn source(&self) -> Result<Source> {
        match (&self.file, &self.sketch.name) {
            (_, Some(name)) => self.sketch.source(name),
            (Some(file), None) => read(file),
            (None, None) => Err(Error::usage("a file is needed, or --name")),
        }
    }
}

#[derive(Serialize)]
struct Defined<'a> {
    name: &'a NetworkName,
    uuid: String,
    created: bool,
    autostart: bool,
    notes: &'a [String],
}

/// Runs `net define`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let source = args.source()?;
    if args.dry_run {
        let (definition, _) = prepare(session, &source)?;
        output.raw(definition.text());
        return Ok(None);
    }
    let lock = lock(session, output, "net define")?;
    let (definition, known) = prepare(session, &source)?;
    let network = definition.network();
    let created = !known.has(&network.name);
    store(session).save(&definition, &lock)?;
    if args.autostart {
        store(session).set_autostart(&network.name, true, &lock)?;
    }
    output.json(&Defined {
        name: &network.name,
        uuid: network.uuid.to_string(),
        created,
        autostart: store(session).is_autostarted(&network.name),
        notes: &network.notes,
    });
    let verb = if created { "defined" } else { "defined anew" };
    output.say(format!("The network {} is {verb}.", network.name));
    if !output.json {
        for note in &network.notes {
            output.say(format!("  note: {note}"));
        }
    }
    if !created && super::running(session).active(&network.name)?.is_some() {
        output.say("It runs, and does so by its old definition until it is stopped and started.");
    }
    Ok(None)
}

/// Reads and completes the definition, and looks whether it may stand beside the others.
pub(super) fn prepare(session: &Session, source: &Source) -> Result<(Definition, Known)> {
    let known = Known::of(&session.host.state)?;
    let taken = taken_names(session);
    let fill = known.fill(|name| taken.contains(name))?;
    let definition = known.read(source, &fill)?;
    known.admit(definition.network())?;
    Ok((definition, known))
}
