//! Virtual functions of an SR-IOV card, set through the physical function that they belong to.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    LinkAttribute, LinkExtentMask, LinkMessage, LinkVfInfo, VfInfo, VfInfoRate,
};

use super::Socket;
use super::link::Link;
use crate::error::Result;

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

impl Socket {
    /// What the virtual functions of a card may send, in order of their numbers. Empty for a card without any.
    pub fn function_rates(&mut self, card: &Link) -> Result<Vec<FunctionRate>> {
        let mut request = LinkMessage::default();
        request.header.index = card.index;
        request.attributes.push(LinkAttribute::ExtMask(vec![
            LinkExtentMask::Vf,
            LinkExtentMask::SkipStats,
        ]));
        let answer = self
            .get(RouteNetlinkMessage::GetLink(request))
            .map_err(|refusal| {
                refusal.during(format!(
                    "cannot list the virtual functions of {}",
                    card.name
                ))
            })?;
        let Some(RouteNetlinkMessage::NewLink(message)) = answer else {
            return Ok(Vec::new());
        };
        let functions = message
            .attributes
            .iter()
            .flat_map(|attribute| match attribute {
                LinkAttribute::VfInfoList(functions) => functions.as_slice(),
                _ => &[],
            });
        let rate = |info: &VfInfo| match info {
            VfInfo::Rate(rate) => Some(FunctionRate {
                function: rate.vf_id,
                min: rate.min_tx_rate,
                max: rate.max_tx_rate,
            }),
            _ => None,
        };
        Ok(functions
            .filter_map(|function| function.0.iter().find_map(rate))
            .collect())
    }

    /// Sets what a virtual function may send.
    pub fn set_function_rate(&mut self, card: &Link, rate: FunctionRate) -> Result<()> {
        let info = VfInfo::Rate(VfInfoRate::new(rate.function, rate.min, rate.max));
        let mut message = LinkMessage::default();
        message.header.index = card.index;
        message.attributes = vec![LinkAttribute::VfInfoList(vec![LinkVfInfo(vec![info])])];
        self.change(RouteNetlinkMessage::SetLink(message), 0)
            .map_err(|refusal| {
                let function = rate.function;
                refusal.during(format!("cannot limit function {function} of {}", card.name))
            })
    }
}
