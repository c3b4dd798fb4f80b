//! What a definition says, as far as ncf acts on it.
//!
//! A model is read from libvirt's `<network>` and never printed: the definition's own text is what is kept and
//! printed back (see [`crate::vnet::definition`]). So a part that is not here is not lost, it is only not acted on.
//!
//! | file | what it holds |
//! |---|---|
//! | `network` | [`Network`], the whole |
//! | `forward` | [`Forward`]: what the guests are connected to, by forward mode |
//! | `bridge` | [`VirtualBridge`]: a bridge of ncf's own, for isolated, `route`, `open` and `nat` |
//! | `address` | addresses of that bridge, static routes |
//! | `pci` | PCI addresses in XML |
//! | `vlan` | [`Vlan`] |
//! | `virtualport` | [`VirtualPort`] |
//! | `port` | [`PortGroup`], and what a port gets from interface, portgroup and network |
//! | `attribute` | values of attributes that several of them have |

mod address;
mod attribute;
mod bridge;
mod forward;
mod network;
pub mod pci;
mod port;
mod virtualport;
mod vlan;

pub use address::{BridgeAddress, StaticRoute};
pub use bridge::{Isolation, MacTable, Services, VirtualBridge};
pub use forward::{Devices, Forward, HostdevDriver, Macvtap, MacvtapMode};
pub use network::{Fill, Network};
pub use port::{PortGroup, PortRequest, PortSettings};
pub use virtualport::{VirtualPort, VirtualPortKind};
pub use vlan::{NativeMode, Tag, Vlan};

#[cfg(test)]
mod tests;
