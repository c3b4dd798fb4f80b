//! Virtual functions, changed for a port and put back.

use super::{Kernel, Making};
use crate::error::{Error, Result};
use crate::sys::name::{InterfaceName, MacAddress};
use crate::sys::netlink::function::Function;
use crate::sys::netlink::link::Link;
use crate::sys::sriov::PciFunction;
use crate::vnet::ports::FunctionChange;

impl Kernel {
    /// What a port changes in the virtual function that a network device is; `None` where it is none.
    pub(super) fn function_of_link(
        &mut self,
        lower: &InterfaceName,
        making: &Making<'_>,
    ) -> Result<Option<FunctionChange>> {
        if let Some(function) = self.sysfs.function_of(lower)? {
            return self.function_change(&function, making);
        }
        making.no_vlan(&format!("{lower} is no virtual function and"))?;
        Ok(None)
    }

    /// What a port changes in a function; `None` where it is no virtual one: then there is nobody to tell.
    pub(super) fn function_change(
        &mut self,
        function: &PciFunction,
        making: &Making<'_>,
    ) -> Result<Option<FunctionChange>> {
        let address = function.address;
        let Some(physical) = &function.physical else {
            making.no_vlan(&format!("{address} is no virtual function and"))?;
            return Ok(None);
        };
        let Some(device) = &physical.device else {
            return Err(Error::failed(format!(
                "cannot set up {address}: its physical function has no network device on this host"
            )));
        };
        let link = self.existing(device)?;
        let before = self.read_function(&link, physical.number)?;
        let vlan = match &making.settings.vlan {
            None => 0,
            Some(vlan) => vlan.access().ok_or_else(|| {
                Error::failed(format!(
                    "cannot put {address} into several VLANs: a virtual function takes one"
                ))
            })?,
        };
        let trust = making.settings.trust_guest_rx_filters;
        Ok(Some(FunctionChange {
            physical: device.clone(),
            number: physical.number,
            before,
            wanted: Function {
                mac: making.mac,
                vlan,
                priority: 0,
                spoof_check: before.spoof_check,
                trust: if trust { Some(true) } else { before.trust },
            },
        }))
    }

    /// Makes a function as the port wants it, and reads it back.
    pub(super) fn set_function(&mut self, change: &FunctionChange) -> Result<()> {
        let link = self.existing(&change.physical)?;
        self.write_function(&link, change.number, &change.before, &change.wanted)?;
        let is = self.read_function(&link, change.number)?;
        let same = is.mac == change.wanted.mac && is.vlan == change.wanted.vlan;
        if same {
            return Ok(());
        }
        Err(Error::failed(format!(
            "virtual function {} of {} did not take its settings: it has the address {} and VLAN {}",
            change.number, change.physical, is.mac, is.vlan
        )))
    }

    /// Puts a function back. What somebody else has changed since stays as it is.
    pub(super) fn restore_function(&mut self, change: &FunctionChange) -> Result<()> {
        // A card that is gone has nothing to be put back.
        let Some(link) = self.socket.link(&change.physical)? else {
            return Ok(());
        };
        let Some(is) = self.socket.function(&link, change.number)? else {
            return Ok(());
        };
        let mut back = is;
        if is.mac == change.wanted.mac {
            back.mac = change.before.mac;
        }
        if is.vlan == change.wanted.vlan {
            (back.vlan, back.priority) = (change.before.vlan, change.before.priority);
        }
        if is.trust == change.wanted.trust {
            back.trust = change.before.trust;
        }
        self.write_function(&link, change.number, &is, &back)
    }

    fn write_function(
        &mut self,
        link: &Link,
        number: u32,
        from: &Function,
        to: &Function,
    ) -> Result<()> {
        if from.mac != to.mac {
            self.set_mac(link, number, to.mac)?;
        }
        if (from.vlan, from.priority) != (to.vlan, to.priority) {
            self.socket
                .set_function_vlan(link, number, to.vlan, to.priority)?;
        }
        if let Some(on) = to
            .spoof_check
            .filter(|_| from.spoof_check != to.spoof_check)
        {
            self.socket.set_function_spoof_check(link, number, on)?;
        }
        if let Some(on) = to.trust.filter(|_| from.trust != to.trust) {
            self.socket.set_function_trust(link, number, on)?;
        }
        Ok(())
    }

    /// Some drivers do not take "none" back. Then the function gets an address that nobody has, as libvirt gives it:
    /// what counts is that it no longer has the guest's.
    fn set_mac(&mut self, link: &Link, number: u32, mac: MacAddress) -> Result<()> {
        match self.socket.set_function_mac(link, number, mac) {
            Err(_) if mac == MacAddress::default() => {
                let last = u8::try_from(number.saturating_add(1)).unwrap_or(u8::MAX);
                let nobodys = MacAddress([0x02, 0, 0, 0, 0, last]);
                self.socket.set_function_mac(link, number, nobodys)
            }
            result => result,
        }
    }

    fn read_function(&mut self, link: &Link, number: u32) -> Result<Function> {
        let function = self.socket.function(link, number)?;
        function
            .ok_or_else(|| Error::failed(format!("{} has no virtual function {number}", link.name)))
    }
}
