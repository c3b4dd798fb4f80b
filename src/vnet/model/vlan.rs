//! Vlan tags: `<vlan>` of a network, a portgroup or an interface.

use serde::{Deserialize, Serialize};

use super::attribute::number;
use crate::error::Result;
use crate::xml::Element;

/// The tags of a port. There is at least one; more than one, or a native mode, makes it a trunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vlan {
    /// Whether the guest sees tags.
    pub trunk: bool,
    /// The tags, in the order of the definition.
    pub tags: Vec<Tag>,
}

/// One tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// Its number, 0 to 4095. 0 and 4095 are reserved, and a Linux bridge takes neither.
    pub id: u16,
    /// What the guest's untagged frames belong to, for at most one tag of a trunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<NativeMode>,
}

/// How a trunk's native vlan is sent to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NativeMode {
    /// With its tag.
    Tagged,
    /// Without.
    Untagged,
}

impl Vlan {
    /// From a `<vlan>` element.
    ///
    /// Source of the rules: `virNetDevVlanParse()` in libvirt's `netdev_vlan_conf.c`.
    pub fn from_xml(element: Element<'_>) -> Result<Self> {
        let mut tags: Vec<Tag> = Vec::new();
        for child in element.children_named("tag") {
            let id = number(child, "id", 0, 4095)?;
            let id = id.ok_or_else(|| child.error("<tag> needs the attribute id"))?;
            let native = child.one_of(
                "nativeMode",
                &[
                    ("tagged", NativeMode::Tagged),
                    ("untagged", NativeMode::Untagged),
                ],
            )?;
            if native.is_some() && tags.iter().any(|tag| tag.native.is_some()) {
                return Err(
                    child.error("a second nativeMode: only one tag of a <vlan> may have it")
                );
            }
            let id = u16::try_from(id).unwrap_or(u16::MAX);
            if tags.iter().any(|tag| tag.id == id) {
                return Err(child.error(format!("the tag {id} is there twice")));
            }
            tags.push(Tag { id, native });
        }
        if tags.is_empty() {
            return Err(element.error("<vlan> needs at least one <tag id='…'/>"));
        }
        let said = element.one_of("trunk", &[("yes", true), ("no", false)])?;
        let implied = tags.len() > 1 || tags.iter().any(|tag| tag.native.is_some());
        if implied && said == Some(false) {
            return Err(element.wrong("trunk", "with several tags or a nativeMode, yes is allowed"));
        }
        Ok(Self {
            trunk: implied || said == Some(true),
            tags,
        })
    }

    /// The one tag of a port whose guest sees no tags; `None` for a trunk.
    pub fn access(&self) -> Option<u16> {
        match self.tags.as_slice() {
            [tag] if !self.trunk => Some(tag.id),
            _ => None,
        }
    }
}
