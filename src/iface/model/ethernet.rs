//! Network cards.

use crate::sys::name::MacAddress;

/// What only a network card has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ethernet {
    /// The address that the card must have; `None` for whichever has the name.
    pub mac: Option<MacAddress>,
}
