//! Which limits are shown or watched.

use super::super::setup::Session;
use super::network;
use crate::error::{Error, Result};
use crate::qos::show::{Shown, show};
use crate::sys::name::InterfaceName;
use crate::vnet::name::NetworkName;
use crate::vnet::ports::PortId;

/// All limits, or some of them.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
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

impl Selection {
    /// What is selected, as it is now; `running` says whether to look into the kernel.
    ///
    /// Fails where what is named is not there.
    pub(super) fn look(&self, session: &Session, running: bool) -> Result<Vec<Shown>> {
        let mut shown = show(&session.host.state, self.device.as_ref(), running)?;
        if let Some(device) = self.device.as_ref().filter(|_| shown.is_empty()) {
            return Err(Error::failed(format!(
                "there is no device {device}, nor a limit for it"
            )));
        }
        if let Some(name) = &self.network {
            network::retain_network(&mut shown, name, session)?;
        }
        if let Some(id) = self.port {
            network::retain_port(&mut shown, id, session)?;
        }
        Ok(shown)
    }

    /// What is said where nothing of it has a limit.
    pub(super) fn nothing(&self, session: &Session) -> Result<String> {
        match (&self.network, self.port) {
            (Some(name), _) => network::none_now(name, session),
            (None, Some(id)) => Ok(format!("The port {id} has no limits.")),
            (None, None) => Ok("There are no limits.".to_owned()),
        }
    }
}
