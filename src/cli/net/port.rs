//! `net plug`, `net unplug`, `net ports`, `net repair`.

use clap::ValueEnum;
use nix::unistd::{Group, User};

use super::PATIENCE;
use super::port_view::{PortView, ReservationView, described, table};
use crate::cli::Done;
use crate::cli::output::Output;
use crate::cli::setup::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::qos::{Bandwidth, Limit};
use crate::state::Lock;
use crate::sys::boot;
use crate::sys::name::MacAddress;
use crate::sys::signals::SignalGuard;
use crate::vnet::active::Running;
use crate::vnet::lifecycle;
use crate::vnet::model::PortRequest;
use crate::vnet::name::NetworkName;
use crate::vnet::plug::{Deleting, Plugged, Plugger, Repaired, Request};
use crate::vnet::pool::Skipped;
use crate::vnet::ports::{Owner, PortId, Ports, QemuOptions, Read, Reserved};
use crate::vnet::store::Store;

/// Plug a guest into a network
///
/// Makes what the network is on this host: a tap device in a bridge, a macvtap device on the network's next device, or a
/// virtual function set up for the guest. Prints what a hypervisor needs to use it.
#[derive(Debug, clap::Args)]
pub(super) struct PlugArgs {
    /// The network
    network: NetworkName,

    /// The guest's name
    #[arg(long, value_name = "GUEST")]
    owner: Owner,

    /// The guest's MAC address; without it one is made up
    #[arg(long, value_parser = parse_mac)]
    mac: Option<MacAddress>,

    /// The portgroup, instead of the network's default one
    #[arg(long, value_name = "NAME")]
    portgroup: Option<String>,

    /// What the guest may receive: average[,peak[,burst[,floor]]]
    #[arg(long, value_name = "LIMIT")]
    inbound: Option<Limit>,

    /// What the guest may send: average[,peak[,burst]]
    #[arg(long, value_name = "LIMIT")]
    outbound: Option<Limit>,

    /// The user who runs the hypervisor, by name or number, if it is not root
    #[arg(long, value_parser = parse_user)]
    user: Option<u32>,

    /// Its group, by name or number
    #[arg(long, value_parser = parse_group)]
    group: Option<u32>,

    /// How many queues the guest may use, 1 to 256. With more than one, the guest must ask for several
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    queues: u16,

    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "json")]
    format: Format,

    /// In QEMU's arguments, use vhost
    #[arg(long)]
    vhost: bool,

    /// In QEMU's arguments, the first file descriptor for a macvtap device
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(3..=999))]
    fd: u16,
}

/// What `plug` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// QEMU's arguments, for a shell's eval
    Qemu,
    /// libvirt's <interface>
    Libvirt,
}

/// Unplug a guest
///
/// Takes away what plug made, and puts a virtual function back as it was. It is done once nobody can see the device any
/// more; the kernel frees it a little later.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(super) struct UnplugArgs {
    /// The port, as plug named it
    #[arg(group = "what")]
    port: Option<PortId>,

    /// All ports of this guest
    #[arg(long, value_name = "GUEST", group = "what")]
    owner: Option<Owner>,
}

/// List the ports of guests, and the devices that are reserved for guests
#[derive(Debug, clap::Args)]
pub(super) struct PortsArgs {
    /// Only those of this network
    network: Option<NetworkName>,

    /// Only those of this guest
    #[arg(long, value_name = "GUEST")]
    owner: Option<Owner>,
}

/// Make networks, ports and kernel agree
///
/// Undoes what a killed command left half-made, forgets ports whose device is gone, and puts ports back into a bridge that
/// they fell out of. Every command that plugs or unplugs does the first of these anyway.
#[derive(Debug, clap::Args)]
pub(super) struct RepairArgs {}

/// Runs `net plug`.
pub(super) fn plug(args: PlugArgs, session: &Session, output: &Output) -> Done {
    super::must_run_here(session)?;
    let lock = session.host.state.lock_within("net plug", PATIENCE)?;
    let mut plugger = opened(session, &lock, output)?;
    let network = Running::new(&session.host.state).must_run(&args.network)?;
    let bandwidth = Bandwidth {
        inbound: args.inbound,
        outbound: args.outbound,
    };
    let request = Request {
        owner: args.owner,
        mac: args.mac,
        port: PortRequest {
            portgroup: args.portgroup,
            bandwidth: Some(bandwidth).filter(|it| !it.is_empty()),
            ..PortRequest::default()
        },
        user: args.user,
        group: args.group,
        queues: args.queues,
    };
    let unbroken = SignalGuard::block()?;
    let Plugged { port, skipped } = plugger.plug(&network, &request)?;
    drop(lock);
    warn_skipped(&skipped, output);
    output.json(&PortView::from(&port).with(&skipped));
    let options = QemuOptions {
        vhost: args.vhost,
        fd: args.fd,
    };
    match args.format {
        Format::Text => {
            let id = port.id;
            output.print(format!(
                "Plugged {} into {} as {id}.",
                port.owner, port.network
            ));
            for line in described(&port) {
                output.say(line);
            }
        }
        Format::Qemu => output.print(port.qemu(options)),
        Format::Libvirt => output.print(port.libvirt().to_string().trim_end()),
    }
    drop(unbroken);
    Ok(None)
}

/// Runs `net unplug`.
pub(super) fn unplug(args: &UnplugArgs, session: &Session, output: &Output) -> Done {
    super::must_run_here(session)?;
    let lock = session.host.state.lock_within("net unplug", PATIENCE)?;
    let mut plugger = opened(session, &lock, output)?;
    let _unbroken = SignalGuard::block()?;
    let (ports, failed) = match (args.port, &args.owner) {
        (Some(id), _) => (vec![plugger.unplug(id)?], Vec::new()),
        (None, Some(owner)) => plugger.unplug_all(owner)?,
        (None, None) => (Vec::new(), Vec::new()),
    };
    output.json(&ports.iter().map(PortView::from).collect::<Vec<_>>());
    for port in &ports {
        output.say(format!(
            "Unplugged {} of {} from {}.",
            port.id, port.owner, port.network
        ));
    }
    if let (true, true, Some(owner)) = (ports.is_empty(), failed.is_empty(), &args.owner) {
        output.say(format!("{owner} has no ports."));
    }
    for error in &failed {
        output.warn(error);
    }
    Ok((!failed.is_empty()).then_some(ErrorKind::Failed))
}

/// Runs `net ports`. Reads only.
pub(super) fn ports(args: &PortsArgs, session: &Session, output: &Output) -> Done {
    let ports = Ports::new(&session.host.state, &boot::id()?);
    let mut found = Vec::new();
    for read in ports.list()? {
        match read {
            Read::Port(port) => found.push(*port),
            Read::Broken(_, error) => output.warn(&error),
        }
    }
    let mut reserved = Reserved::beside(&ports).list()?;
    let wanted = |network: &NetworkName, owner: &Owner| {
        args.network.as_ref().is_none_or(|it| it == network)
            && args.owner.as_ref().is_none_or(|it| it == owner)
    };
    found.retain(|port| wanted(&port.network, &port.owner));
    reserved.retain(|it| wanted(&it.network, &it.owner));
    if let Some(network) = args
        .network
        .as_ref()
        .filter(|_| found.is_empty() && reserved.is_empty())
        && super::running(session).active(network)?.is_none()
    {
        Store::new(&session.host.state).must_have(network)?;
    }
    output.json(&serde_json::json!({
        "ports": found.iter().map(PortView::from).collect::<Vec<_>>(),
        "reservations": reserved.iter().map(ReservationView::from).collect::<Vec<_>>(),
    }));
    if found.is_empty() && reserved.is_empty() {
        output.say("There are no ports.");
        return Ok(None);
    }
    for line in table(&found, &reserved) {
        output.print(line);
    }
    Ok(None)
}

/// Runs `net repair`.
pub(super) fn repair(_args: &RepairArgs, session: &Session, output: &Output) -> Done {
    super::must_run_here(session)?;
    let lock = session.host.state.lock_within("net repair", PATIENCE)?;
    let _unbroken = SignalGuard::block()?;
    let gone = lifecycle::repair(&session.host.state, &lock)?;
    let mut plugger = Plugger::open(&session.host.state, &lock, Deleting::ByHelper)?;
    plugger.repair()?;
    let mut repaired: Vec<_> = gone.iter().map(Repaired::network).collect();
    repaired.extend(plugger.repaired());
    let views: Vec<_> = repaired.iter().map(repaired_view).collect();
    output.json(&serde_json::json!({ "repaired": views }));
    for repaired in &repaired {
        match &repaired.error {
            None => output.print(format!("{}.", repaired.what)),
            Some(error) => output.warn(&not_repaired(repaired, error)),
        }
    }
    if repaired.is_empty() {
        output.say("Networks, ports and kernel agree.");
    }
    let failed = repaired.iter().any(|it| it.error.is_some());
    Ok(failed.then_some(ErrorKind::Failed))
}

fn repaired_view(repaired: &Repaired) -> serde_json::Value {
    serde_json::json!({
        "what": repaired.what,
        "error": repaired.error.as_ref().map(Error::one_line),
    })
}

fn not_repaired(repaired: &Repaired, error: &Error) -> Error {
    Error::failed(repaired.what.clone()).because(error.one_line())
}

/// Undoes what a killed command left of ports, and says so.
pub(super) fn undo_left(session: &Session, lock: &Lock, output: &Output) -> Result<()> {
    let index = Ports::new(&session.host.state, &boot::id()?).index()?;
    if !index.has_unfinished() {
        return Ok(());
    }
    opened(session, lock, output).map(drop)
}

/// Undoes what a killed process left, and says so.
pub(super) fn opened<'a>(
    session: &'a Session,
    lock: &'a Lock,
    output: &Output,
) -> Result<Plugger<'a>> {
    let mut plugger = Plugger::open(&session.host.state, lock, Deleting::ByHelper)?;
    say_repaired(&mut plugger, output);
    Ok(plugger)
}

fn say_repaired(plugger: &mut Plugger<'_>, output: &Output) {
    for repaired in plugger.repaired() {
        match &repaired.error {
            None => output.warn(&Error::failed(repaired.what)),
            Some(error) => output.warn(&not_repaired(&repaired, error)),
        }
    }
}

pub(super) fn warn_skipped(skipped: &[Skipped], output: &Output) {
    for skipped in skipped {
        let what = format!("{} was passed over: {}", skipped.device, skipped.why);
        output.warn(&Error::failed(what));
    }
}

fn parse_mac(text: &str) -> Result<MacAddress, String> {
    match text.parse::<MacAddress>() {
        Ok(MacAddress([first, ..])) if first & 1 == 1 => {
            Err("it is a multicast address: a unicast one is allowed".to_owned())
        }
        Ok(mac) if mac == MacAddress::default() => {
            Err("it is all zeros: a unicast address is allowed".to_owned())
        }
        Ok(mac) => Ok(mac),
        Err(error) => Err(error.to_string()),
    }
}

fn parse_user(text: &str) -> Result<u32, String> {
    let known = |name: &str| User::from_name(name).map(|user| user.map(|user| user.uid.as_raw()));
    number_or_name(text, "user", known)
}

fn parse_group(text: &str) -> Result<u32, String> {
    let known = |name: &str| Group::from_name(name).map(|group| group.map(|it| it.gid.as_raw()));
    number_or_name(text, "group", known)
}

fn number_or_name(
    text: &str,
    what: &str,
    known: impl Fn(&str) -> nix::Result<Option<u32>>,
) -> Result<u32, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text
            .parse::<u32>()
            .ok()
            .filter(|it| i32::try_from(*it).is_ok());
        return number.ok_or_else(|| format!("a number from 0 to {} is allowed", i32::MAX));
    }
    match known(text) {
        Ok(Some(number)) => Ok(number),
        Ok(None) => Err(format!("there is no {what} of that name")),
        Err(errno) => Err(format!("it cannot be looked up: {}", errno.desc())),
    }
}
