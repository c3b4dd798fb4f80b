//! `qos show`.

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::{network, view};
use crate::error::Error;
use crate::qos::show::show;
use crate::sys::name::InterfaceName;
use crate::vnet::name::NetworkName;
use crate::vnet::ports::PortId;

/// Show limits, where they come from, and what the kernel counts
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this device
    #[arg(value_name = "DEV", conflicts_with_all = ["network", "port"])]
    device: Option<InterfaceName>,

    /// Only the logical network N and its ports
    #[arg(long, value_name = "N", conflicts_with = "port")]
    network: Option<NetworkName>,

    /// Only the port P
    #[arg(long, value_name = "P")]
    port: Option<PortId>,
}

/// Runs `qos show`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let host = &session.host;
    let mut shown = show(&host.state, args.device.as_ref(), host.has_interfaces())?;
    if let Some(device) = args.device.as_ref().filter(|_| shown.is_empty()) {
        return Err(
            Error::failed(format!("there is no device {device}, nor a limit for it")).into(),
        );
    }
    if let Some(name) = &args.network {
        network::retain_network(&mut shown, name, session)?;
    }
    if let Some(id) = args.port {
        network::retain_port(&mut shown, id, session)?;
    }
    output.json(&shown.iter().map(view::shown).collect::<Vec<_>>());
    match (&args.network, args.port) {
        _ if !shown.is_empty() => {}
        (Some(name), _) => output.print(network::none_now(name, session)?),
        (None, Some(id)) => output.print(format!("The port {id} has no limits.")),
        (None, None) => output.print("There are no limits."),
    }
    for line in shown.iter().flat_map(view::lines) {
        output.print(line);
    }
    Ok(None)
}
