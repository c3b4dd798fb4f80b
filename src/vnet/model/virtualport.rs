//! What a switch must be told of a port: `<virtualport>` of a network, a portgroup or an interface.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::attribute::{any_base, uuid};
use crate::error::{Error, Result};
use crate::xml::Element;

/// The longest profile's name in bytes (`virtualPortProfileID` in libvirt's `networkcommon.rng`; with its NUL it is
/// the kernel's `PORT_PROFILE_MAX`).
const MAX_PROFILE: usize = 39;

/// The kind of switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VirtualPortKind {
    /// IEEE 802.1Qbg, VEPA: a manager is told by LLDP.
    #[serde(rename = "802.1Qbg")]
    Qbg,
    /// IEEE 802.1Qbh, VM-FEX: the card's driver is told.
    #[serde(rename = "802.1Qbh")]
    Qbh,
    /// Open vSwitch.
    #[serde(rename = "openvswitch")]
    OpenVswitch,
    /// `MidoNet`.
    #[serde(rename = "midonet")]
    Midonet,
}

impl VirtualPortKind {
    const WORDS: [(&str, Self); 4] = [
        ("802.1Qbg", Self::Qbg),
        ("802.1Qbh", Self::Qbh),
        ("openvswitch", Self::OpenVswitch),
        ("midonet", Self::Midonet),
    ];

    /// As it is written in `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Qbg => "802.1Qbg",
            Self::Qbh => "802.1Qbh",
            Self::OpenVswitch => "openvswitch",
            Self::Midonet => "midonet",
        }
    }

    /// The parameters that it may have.
    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Qbg => &["managerid", "typeid", "typeidversion", "instanceid"],
            Self::Qbh => &["profileid"],
            Self::OpenVswitch => &["profileid", "interfaceid"],
            Self::Midonet => &["interfaceid"],
        }
    }
}

/// A virtual port. Each part may come from another place, so all are optional until they are merged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VirtualPort {
    /// The kind of switch.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<VirtualPortKind>,
    /// The manager that knows the type (Qbg).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managerid: Option<u8>,
    /// The type, 24 bits (Qbg).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typeid: Option<u32>,
    /// The type's version (Qbg).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typeidversion: Option<u8>,
    /// The port's own identity (Qbg).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instanceid: Option<Uuid>,
    /// The name of the profile, 1 to 39 bytes (Qbh, Open vSwitch).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profileid: Option<String>,
    /// The port's own identity (Open vSwitch, `MidoNet`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interfaceid: Option<Uuid>,
}

impl VirtualPort {
    /// From a `<virtualport>` element. Fails where a parameter is not one of its type.
    pub fn from_xml(element: Element<'_>) -> Result<Self> {
        let kind = element.one_of("type", &VirtualPortKind::WORDS)?;
        let Some(parameters) = element.child("parameters")? else {
            return Ok(Self {
                kind,
                ..Self::default()
            });
        };
        if let Some(kind) = kind {
            for name in [
                "managerid",
                "typeid",
                "typeidversion",
                "instanceid",
                "profileid",
                "interfaceid",
            ] {
                if parameters.attribute(name).is_some() && !kind.parameters().contains(&name) {
                    let allowed = kind.parameters().join(", ");
                    return Err(parameters.wrong(
                        name,
                        format!("a virtual port of type {} has {allowed}", kind.as_str()),
                    ));
                }
            }
        }
        let byte = |name| {
            let value = any_base(parameters, name, 0xff)?;
            Ok::<_, Error>(value.map(|it| u8::try_from(it).unwrap_or(u8::MAX)))
        };
        Ok(Self {
            kind,
            managerid: byte("managerid")?,
            typeid: any_base(parameters, "typeid", 0x00ff_ffff)?,
            typeidversion: byte("typeidversion")?,
            instanceid: uuid(parameters, "instanceid")?,
            profileid: parameters.parsed("profileid", parse_profile)?,
            interfaceid: uuid(parameters, "interfaceid")?,
        })
    }

    /// What is here, and what `below` adds to it, as libvirt merges them: where both say something of one
    /// parameter it must be the same.
    ///
    /// Source: `virNetDevVPortProfileMerge3()` in libvirt's `netdev_vport_profile_conf.c`.
    pub fn over(&self, below: &Self) -> Result<Self> {
        let clash = |name: &str| {
            Error::failed(format!(
                "the virtual ports that are to be merged have different values of {name}"
            ))
        };
        let kind = merged(self.kind.as_ref(), below.kind.as_ref()).ok_or_else(|| clash("type"))?;
        let merged = Self {
            kind,
            managerid: merged(self.managerid.as_ref(), below.managerid.as_ref())
                .ok_or_else(|| clash("managerid"))?,
            typeid: merged(self.typeid.as_ref(), below.typeid.as_ref())
                .ok_or_else(|| clash("typeid"))?,
            typeidversion: merged(self.typeidversion.as_ref(), below.typeidversion.as_ref())
                .ok_or_else(|| clash("typeidversion"))?,
            instanceid: merged(self.instanceid.as_ref(), below.instanceid.as_ref())
                .ok_or_else(|| clash("instanceid"))?,
            profileid: merged(self.profileid.as_ref(), below.profileid.as_ref())
                .ok_or_else(|| clash("profileid"))?,
            interfaceid: merged(self.interfaceid.as_ref(), below.interfaceid.as_ref())
                .ok_or_else(|| clash("interfaceid"))?,
        };
        Ok(merged)
    }
}

/// Either or both where they agree; `None` where they do not.
#[allow(
    clippy::option_option,
    reason = "that they disagree is not that neither says anything"
)]
fn merged<T: Clone + PartialEq>(above: Option<&T>, below: Option<&T>) -> Option<Option<T>> {
    match (above, below) {
        (Some(a), Some(b)) if a != b => None,
        (Some(value), _) | (None, Some(value)) => Some(Some(value.clone())),
        (None, None) => Some(None),
    }
}

fn parse_profile(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > MAX_PROFILE || text.chars().any(char::is_control) {
        return Err(format!("1 to {MAX_PROFILE} bytes are allowed"));
    }
    Ok(text.to_owned())
}
