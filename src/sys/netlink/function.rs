//! Virtual functions of an SR-IOV card, set through the physical function that they belong to.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, LinkVfInfo, VfInfo, VfInfoRate};

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
        let rate = |info: &VfInfo| match info {
            VfInfo::Rate(rate) => Some(FunctionRate {
                function: rate.vf_id,
                min: rate.min_tx_rate,
                max: rate.max_tx_rate,
            }),
            _ => None,
        };
        let functions = self.functions(card)?;
        Ok(functions
            .iter()
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
