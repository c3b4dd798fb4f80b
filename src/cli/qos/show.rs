//! `qos show`.

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::view;
use crate::error::Error;
use crate::qos::show::show;
use crate::sys::name::InterfaceName;

/// Show limits, where they come from, and what the kernel counts
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this device
    #[arg(value_name = "DEV")]
    device: Option<InterfaceName>,
}

/// Runs `qos show`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let host = &session.host;
    let shown = show(&host.state, args.device.as_ref(), host.has_interfaces())?;
    if let Some(device) = args.device.as_ref().filter(|_| shown.is_empty()) {
        return Err(
            Error::failed(format!("there is no device {device}, nor a limit for it")).into(),
        );
    }
    output.json(&shown.iter().map(view::shown).collect::<Vec<_>>());
    if shown.is_empty() {
        output.print("There are no limits.");
    }
    for line in shown.iter().flat_map(view::lines) {
        output.print(line);
    }
    Ok(None)
}
