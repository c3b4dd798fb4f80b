//! Values of attributes, as libvirt's `basictypes.rng` has them.

use std::fmt::Display;
use std::str::FromStr;

use crate::error::Result;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::xml::Element;

/// `yes` or `no`.
pub(super) fn yes_no(element: Element<'_>, name: &str) -> Result<Option<bool>> {
    element.one_of(name, &[("yes", true), ("no", false)])
}

/// The name of a device: no alias, which is none.
pub(super) fn device(element: Element<'_>, name: &str) -> Result<Option<InterfaceName>> {
    element.parsed(name, parse_device)
}

/// The name of a device that must be there.
pub(super) fn required_device(element: Element<'_>, name: &str) -> Result<InterfaceName> {
    element.parsed_required(name, parse_device)
}

fn parse_device(text: &str) -> Result<InterfaceName, String> {
    match text.parse::<InterfaceName>() {
        Ok(name) if name.is_alias() => {
            Err("an alias is no device: a device's name is allowed".into())
        }
        Ok(name) => Ok(name),
        Err(_) => Err(format!(
            "a device's name is allowed: 1 to {} visible ASCII characters without '/', not beginning with '-'",
            crate::sys::name::MAX_NAME
        )),
    }
}

/// A unicast MAC address.
pub(super) fn mac(element: Element<'_>, name: &str) -> Result<MacAddress> {
    element.parsed_required(name, |text| match text.parse::<MacAddress>() {
        Ok(MacAddress([first, ..])) if first & 1 == 1 => {
            Err("it is a multicast address: a unicast one is allowed")
        }
        Ok(MacAddress([0, 0, 0, 0, 0, 0])) => Err("it is all zeros: a unicast address is allowed"),
        Ok(mac) => Ok(mac),
        Err(_) => Err("six pairs of hexadecimal digits with colons between are allowed"),
    })
}

/// A decimal number from `low` to `high`.
pub(super) fn number(element: Element<'_>, name: &str, low: u32, high: u32) -> Result<Option<u32>> {
    element.parsed(name, |text| {
        decimal(text)
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| format!("a number from {low} to {high} is allowed"))
    })
}

/// A number from 0 to `high`, decimal or, with `0x`, hexadecimal.
pub(super) fn any_base(element: Element<'_>, name: &str, high: u32) -> Result<Option<u32>> {
    element.parsed(name, |text| {
        hexadecimal(text)
            .or_else(|| decimal(text))
            .filter(|number| *number <= high)
            .ok_or_else(|| {
                format!("a number from 0 to {high} is allowed, in hexadecimal with 0x before it")
            })
    })
}

/// Digits alone: no sign, no white space inside.
fn decimal(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// `0x` and digits.
pub(super) fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text.trim().strip_prefix("0x")?;
    let good = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// A UUID, with or without hyphens.
pub(super) fn uuid(element: Element<'_>, name: &str) -> Result<Option<uuid::Uuid>> {
    element.parsed(name, parse_uuid)
}

/// A UUID as libvirt takes it: 32 hexadecimal digits, all hyphens or none.
pub(super) fn parse_uuid(text: &str) -> Result<uuid::Uuid, &'static str> {
    let text = text.trim();
    let good = matches!(text.len(), 32 | 36);
    good.then(|| uuid::Uuid::from_str(text).ok())
        .flatten()
        .ok_or(
            "a UUID is allowed, 32 hexadecimal digits as in 81ff0d90-c91e-6742-64da-4a736edb9a9b",
        )
}

/// A value that its own type parses, which says what is wrong.
pub(super) fn own<T: FromStr<Err: Display>>(
    element: Element<'_>,
    name: &str,
    allowed: &str,
) -> Result<Option<T>> {
    element.parsed(name, |text| {
        text.trim()
            .parse()
            .map_err(|_| format!("{allowed} is allowed"))
    })
}
