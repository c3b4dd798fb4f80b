//! Virtual functions of an SR-IOV card, set and read back through their physical function.
//!
//! A guest that has a function may set only what the physical function lets it: so the address and the VLAN are set
//! there and not in the function, which the guest's driver owns (`IFLA_VFINFO_LIST` in `<linux/if_link.h>`).

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    LinkAttribute, LinkExtentMask, LinkMessage, LinkVfInfo, VfInfo, VfInfoMac, VfInfoRate,
    VfInfoSpoofCheck, VfInfoTrust, VfInfoVlan,
};

use super::Socket;
use super::link::Link;
use crate::error::Result;
use crate::sys::name::MacAddress;

/// What a physical function says of one of its virtual functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Function {
    /// The address that it must use; all zero where it chooses one itself.
    pub mac: MacAddress,
    /// The VLAN that its frames are put into; 0 for none.
    pub vlan: u16,
    /// The priority in that VLAN's tag, 0 to 7.
    pub priority: u8,
    /// Whether frames with another sender's address are dropped, where the driver tells.
    pub spoof_check: Option<bool>,
    /// Whether it may set promiscuous mode and its address, where the driver tells.
    pub trust: Option<bool>,
}

impl Function {
    fn of(infos: &[VfInfo]) -> Self {
        let mut function = Self::default();
        for info in infos {
            match info {
                VfInfo::Mac(mac) => {
                    let octets = mac.mac.first_chunk().copied();
                    function.mac = MacAddress(octets.unwrap_or_default());
                }
                VfInfo::Vlan(vlan) => {
                    function.vlan = u16::try_from(vlan.vlan_id).unwrap_or_default();
                    function.priority = u8::try_from(vlan.qos).unwrap_or_default();
                }
                VfInfo::SpoofCheck(check) => function.spoof_check = Some(check.enabled),
                VfInfo::Trust(trust) => function.trust = Some(trust.enabled),
                _ => {}
            }
        }
        function
    }
}

/// What a virtual function may send, in megabits a second; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionRate {
    /// Its number.
    pub function: u32,
    /// What it gets whatever the others do.
    pub min: u32,
    /// The most that it may send.
    pub max: u32,
}

impl FunctionRate {
    fn of(infos: &[VfInfo]) -> Option<Self> {
        infos.iter().find_map(|info| match info {
            VfInfo::Rate(rate) => Some(Self {
                function: rate.vf_id,
                min: rate.min_tx_rate,
                max: rate.max_tx_rate,
            }),
            _ => None,
        })
    }
}

fn number_of(infos: &[VfInfo]) -> Option<u32> {
    infos.iter().find_map(|info| match info {
        VfInfo::Mac(mac) => Some(mac.vf_id),
        _ => None,
    })
}

impl Socket {
    /// What `physical` says of its function `number`; `None` where it has no such function.
    pub fn function(&mut self, physical: &Link, number: u32) -> Result<Option<Function>> {
        let functions = self.functions(physical)?;
        let found = functions
            .iter()
            .find(|function| number_of(&function.0) == Some(number));
        Ok(found.map(|function| Function::of(&function.0)))
    }

    /// What the functions of `physical` may send, in order of their numbers; empty where it has none.
    pub fn function_rates(&mut self, physical: &Link) -> Result<Vec<FunctionRate>> {
        let functions = self.functions(physical)?;
        let rates = functions.iter();
        Ok(rates
            .filter_map(|function| FunctionRate::of(&function.0))
            .collect())
    }

    /// Everything that `physical` says of its functions, in order of their numbers; empty where it has none.
    fn functions(&mut self, physical: &Link) -> Result<Vec<LinkVfInfo>> {
        let mut request = LinkMessage::default();
        request.header.index = physical.index;
        request.attributes.push(LinkAttribute::ExtMask(vec![
            LinkExtentMask::Vf,
            LinkExtentMask::SkipStats,
        ]));
        let answer = self
            .get(RouteNetlinkMessage::GetLink(request))
            .map_err(|refusal| {
                let name = &physical.name;
                refusal.during(format!("cannot list the virtual functions of {name}"))
            })?;
        let Some(RouteNetlinkMessage::NewLink(message)) = answer else {
            return Ok(Vec::new());
        };
        let lists = message.attributes.into_iter();
        let lists = lists.filter_map(|attribute| match attribute {
            LinkAttribute::VfInfoList(functions) => Some(functions),
            _ => None,
        });
        Ok(lists.flatten().collect())
    }

    /// Sets the address that the function must use.
    pub fn set_function_mac(
        &mut self,
        physical: &Link,
        number: u32,
        mac: MacAddress,
    ) -> Result<()> {
        let info = VfInfo::Mac(VfInfoMac::new(number, &mac.0));
        self.set_function(physical, number, info, &format!("the MAC address to {mac}"))
    }

    /// Sets the VLAN that the function's frames are put into, 0 for none, and the priority in its tag.
    pub fn set_function_vlan(
        &mut self,
        physical: &Link,
        number: u32,
        vlan: u16,
        priority: u8,
    ) -> Result<()> {
        let info = VfInfo::Vlan(VfInfoVlan::new(number, vlan.into(), priority.into()));
        self.set_function(physical, number, info, &format!("the VLAN to {vlan}"))
    }

    /// Sets whether frames with another sender's address are dropped.
    pub fn set_function_spoof_check(
        &mut self,
        physical: &Link,
        number: u32,
        on: bool,
    ) -> Result<()> {
        let info = VfInfo::SpoofCheck(VfInfoSpoofCheck::new(number, on));
        self.set_function(physical, number, info, &format!("spoof checking to {on}"))
    }

    /// Sets whether the function may set promiscuous mode and its address.
    pub fn set_function_trust(&mut self, physical: &Link, number: u32, on: bool) -> Result<()> {
        let info = VfInfo::Trust(VfInfoTrust::new(number, on));
        self.set_function(physical, number, info, &format!("trust to {on}"))
    }

    /// Sets what a function may send.
    pub fn set_function_rate(&mut self, physical: &Link, rate: FunctionRate) -> Result<()> {
        let info = VfInfo::Rate(VfInfoRate::new(rate.function, rate.min, rate.max));
        let what = format!("the rate to {} to {} Mbit/s", rate.min, rate.max);
        self.set_function(physical, rate.function, info, &what)
    }

    fn set_function(
        &mut self,
        physical: &Link,
        number: u32,
        info: VfInfo,
        what: &str,
    ) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = physical.index;
        message.attributes = vec![LinkAttribute::VfInfoList(vec![LinkVfInfo(vec![info])])];
        self.change(RouteNetlinkMessage::SetLink(message), 0)
            .map_err(|refusal| {
                let name = &physical.name;
                refusal.during(format!(
                    "cannot set {what} of virtual function {number} of {name}"
                ))
            })
    }
}
