//! What `net` shows of ports: the JSON fields, which are stable, and the words.

use std::path::Path;

use serde::Serialize;

use crate::sys::clock::local;
use crate::sys::escape::escape;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::pci::PciAddress;
use crate::vnet::name::NetworkName;
use crate::vnet::plug::Place;
use crate::vnet::pool::Skipped;
use crate::vnet::ports::{Connection, Owner, Port, PortId, Reservation};

/// A port, as in JSON.
#[derive(Debug, Serialize)]
pub(super) struct PortView<'a> {
    port: PortId,
    network: &'a NetworkName,
    owner: &'a Owner,
    mac: MacAddress,
    portgroup: Option<&'a str>,
    since: jiff::Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    /// The device on the host; none for a PCI function.
    device: Option<PortId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bridge: Option<&'a InterfaceName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower: Option<&'a InterfaceName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<PciAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queues: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<Vec<serde_json::Value>>,
}

impl PortView<'_> {
    /// With what was passed over.
    pub(super) fn with(mut self, skipped: &[Skipped]) -> Self {
        self.skipped = Some(skipped_view(skipped));
        self
    }
}

/// What was passed over, as in JSON.
fn skipped_view(skipped: &[Skipped]) -> Vec<serde_json::Value> {
    let skipped = skipped.iter();
    skipped
        .map(|it| serde_json::json!({ "device": it.device.to_string(), "reason": it.why }))
        .collect()
}

impl<'a> From<&'a Port> for PortView<'a> {
    fn from(port: &'a Port) -> Self {
        let mut view = Self {
            port: port.id,
            network: &port.network,
            owner: &port.owner,
            mac: port.mac,
            portgroup: port.portgroup.as_deref(),
            since: port.since,
            limits: port.bandwidth.map(|it| it.to_string()),
            kind: "tap",
            device: Some(port.id),
            bridge: None,
            mtu: None,
            lower: None,
            mode: None,
            node: None,
            address: None,
            queues: None,
            skipped: None,
        };
        match &port.connection {
            Connection::Tap(tap) => {
                view.bridge = Some(&tap.bridge);
                view.mtu = Some(tap.mtu);
                view.queues = Some(tap.queues);
            }
            Connection::Macvtap(macvtap) => {
                view.kind = "macvtap";
                view.lower = Some(&macvtap.lower);
                view.mode = Some(macvtap.mode.as_str());
                view.node = macvtap.node.as_deref();
                view.queues = Some(macvtap.queues);
            }
            Connection::Hostdev(hostdev) => {
                view.kind = "hostdev";
                view.device = None;
                view.address = Some(hostdev.address);
            }
        }
        view
    }
}

/// A reservation, as in JSON.
#[derive(Debug, Serialize)]
pub(super) struct ReservationView<'a> {
    network: &'a NetworkName,
    owner: &'a Owner,
    device: &'a str,
    since: jiff::Timestamp,
}

impl<'a> From<&'a Reservation> for ReservationView<'a> {
    fn from(reservation: &'a Reservation) -> Self {
        Self {
            network: &reservation.network,
            owner: &reservation.owner,
            device: &reservation.device,
            since: reservation.since,
        }
    }
}

/// A place in a network, as in JSON.
pub(super) fn placed(
    network: &NetworkName,
    place: Option<&Place>,
    skipped: &[Skipped],
) -> serde_json::Value {
    let skipped = skipped_view(skipped);
    match place {
        None => serde_json::json!({ "network": network, "type": "network" }),
        Some(Place::Bridge(bridge)) => {
            serde_json::json!({ "network": network, "type": "bridge", "bridge": bridge })
        }
        Some(Place::Macvtap { lower, mode, .. }) => serde_json::json!({
            "network": network,
            "type": "macvtap",
            "lower": lower,
            "mode": mode.as_str(),
            "skipped": skipped,
        }),
        Some(Place::Hostdev { address, .. }) => serde_json::json!({
            "network": network,
            "type": "hostdev",
            "address": address,
            "skipped": skipped,
        }),
    }
}

/// "tap device in br0".
fn place(port: &Port) -> String {
    match &port.connection {
        Connection::Tap(tap) => format!("tap device in {}", tap.bridge),
        Connection::Macvtap(macvtap) => {
            format!(
                "macvtap device on {}, {}",
                macvtap.lower,
                macvtap.mode.as_str()
            )
        }
        Connection::Hostdev(hostdev) => format!("PCI function {}", hostdev.address),
    }
}

/// What there is to know of a port, a line each.
pub(super) fn described(port: &Port) -> Vec<String> {
    let mut lines = vec![format!("  is    {}", place(port))];
    lines.push(format!("  MAC   {}", port.mac));
    lines.extend(port.bandwidth.map(|limits| format!("  has   {limits}")));
    match &port.connection {
        Connection::Macvtap(macvtap) => {
            let node = macvtap.node.iter();
            lines.extend(node.map(|node| format!("  open  {}", node.display())));
        }
        Connection::Hostdev(hostdev) => {
            let set = hostdev.function.iter();
            lines.extend(set.map(|it| {
                let (number, physical, vlan) = (it.number, &it.physical, it.wanted.vlan);
                match vlan {
                    0 => format!("  set   virtual function {number} of {physical}"),
                    vlan => format!("  set   virtual function {number} of {physical}, VLAN {vlan}"),
                }
            }));
        }
        Connection::Tap(_) => {}
    }
    lines
}

/// The table of `net ports`.
pub(super) fn table(ports: &[Port], reserved: &[Reservation]) -> Vec<String> {
    let mut rows = vec![["PORT", "NETWORK", "GUEST", "MAC", "IS", "LIMITS"].map(str::to_owned)];
    for port in ports {
        rows.push([
            port.id.to_string(),
            port.network.to_string(),
            escape(port.owner.as_str().as_bytes()),
            port.mac.to_string(),
            place(port),
            port.bandwidth.map_or_else(String::new, |it| it.to_string()),
        ]);
    }
    for reservation in reserved {
        rows.push([
            "-".to_owned(),
            reservation.network.to_string(),
            escape(reservation.owner.as_str().as_bytes()),
            "-".to_owned(),
            format!(
                "{} reserved since {}",
                reservation.device,
                local(reservation.since)
            ),
            String::new(),
        ]);
    }
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
