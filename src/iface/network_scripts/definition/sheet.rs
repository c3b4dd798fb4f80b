//! What each of an interface's files is to say: one sheet for a file, in the order in which netcf writes them.

use super::present::Type;
use crate::iface::model::{
    Addressing, Bond, Bridge, Ethernet, Interface, Kind, Mtu, PortKind, StartMode, Vlan,
};
use crate::sys::name::InterfaceName;

/// What one file is to say.
#[derive(Debug, Clone)]
pub(super) struct Sheet<'a> {
    pub(super) name: &'a InterfaceName,
    pub(super) start: StartMode,
    pub(super) mtu: Option<Mtu>,
    /// `None` for a port, which has none of its own.
    pub(super) addressing: Option<&'a Addressing>,
    pub(super) kind: SheetKind<'a>,
    pub(super) upper: Option<(&'static str, &'a InterfaceName)>,
}

/// What is particular to a type, as far as it stands in its own file.
#[derive(Debug, Clone, Copy)]
pub(super) enum SheetKind<'a> {
    Ethernet(&'a Ethernet),
    Bridge(&'a Bridge),
    Bond(&'a Bond),
    Vlan(&'a Vlan),
}

impl SheetKind<'_> {
    pub(super) fn kind(self) -> Type {
        match self {
            Self::Ethernet(_) => Type::Ethernet,
            Self::Bridge(_) => Type::Bridge,
            Self::Bond(_) => Type::Bond,
            Self::Vlan(_) => Type::Vlan,
        }
    }
}

/// The sheets of `interface`: its own, then its ports', each followed by those of its own ports.
pub(super) fn sheets(interface: &Interface) -> Vec<Sheet<'_>> {
    let own = Sheet {
        name: &interface.name,
        start: interface.start,
        mtu: interface.mtu,
        addressing: Some(&interface.addressing),
        kind: match &interface.kind {
            Kind::Ethernet(it) => SheetKind::Ethernet(it),
            Kind::Bridge(it) => SheetKind::Bridge(it),
            Kind::Bond(it) => SheetKind::Bond(it),
            Kind::Vlan(it) => SheetKind::Vlan(it),
        },
        upper: None,
    };
    // As in netcf, ports start with what they are in, and have its MTU.
    let port = |name, kind, upper| Sheet {
        name,
        addressing: None,
        kind,
        upper: Some(upper),
        ..own.clone()
    };
    let mut sheets = vec![own.clone()];
    match &interface.kind {
        Kind::Bridge(bridge) => {
            for it in &bridge.ports {
                let upper = ("BRIDGE", &interface.name);
                match &it.kind {
                    PortKind::Ethernet(kind) => {
                        sheets.push(port(&it.name, SheetKind::Ethernet(kind), upper));
                    }
                    PortKind::Vlan(kind) => {
                        sheets.push(port(&it.name, SheetKind::Vlan(kind), upper));
                    }
                    PortKind::Bond(bond) => {
                        sheets.push(port(&it.name, SheetKind::Bond(bond), upper));
                        sheets.extend(bond.ports.iter().map(|below| {
                            let kind = SheetKind::Ethernet(&below.ethernet);
                            port(&below.name, kind, ("MASTER", &it.name))
                        }));
                    }
                }
            }
        }
        Kind::Bond(bond) => sheets.extend(bond.ports.iter().map(|below| {
            let kind = SheetKind::Ethernet(&below.ethernet);
            port(&below.name, kind, ("MASTER", &interface.name))
        })),
        Kind::Ethernet(_) | Kind::Vlan(_) => {}
    }
    sheets
}
