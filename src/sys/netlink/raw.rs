//! Messages as bytes, for what `netlink-packet-route` leaves untyped or cannot decode: a filter that it does not
//! know must not look like no filter at all.

use std::convert::Infallible;

use netlink_packet_core::{
    NetlinkDeserializable, NetlinkHeader, NetlinkPayload, NetlinkSerializable, NlasIterator,
};

/// Bytes of an attribute's header: its length and its kind (`struct nlattr` in `<linux/netlink.h>`).
const HEADER: usize = 4;

/// One message without its netlink header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) kind: u16,
    pub(super) payload: Vec<u8>,
}

impl NetlinkSerializable for Raw {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.payload.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        for (to, from) in buffer.iter_mut().zip(&self.payload) {
            *to = *from;
        }
    }
}

impl NetlinkDeserializable for Raw {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        Ok(Self {
            kind: header.message_type,
            payload: payload.to_vec(),
        })
    }
}

impl From<Raw> for NetlinkPayload<Raw> {
    fn from(message: Raw) -> Self {
        Self::InnerMessage(message)
    }
}

/// Attributes that are put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes(pub(super) Vec<u8>);

impl Attributes {
    /// With one more. One longer than 65531 bytes is left out: none here comes near that.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        if let Ok(length) = u16::try_from(HEADER + value.len()) {
            self.0.extend(length.to_ne_bytes());
            self.0.extend(kind.to_ne_bytes());
            self.0.extend(value);
            self.0.resize(self.0.len().next_multiple_of(HEADER), 0);
        }
        self
    }

    /// With a number of 32 bits.
    pub(super) fn with_u32(self, kind: u16, value: u32) -> Self {
        self.with(kind, &value.to_ne_bytes())
    }

    /// With a number of 64 bits.
    pub(super) fn with_u64(self, kind: u16, value: u64) -> Self {
        self.with(kind, &value.to_ne_bytes())
    }

    /// With a text and its NUL.
    pub(super) fn with_text(self, kind: u16, value: &str) -> Self {
        let bytes: Vec<_> = value.bytes().chain([0]).collect();
        self.with(kind, &bytes)
    }

    /// With attributes inside.
    pub(super) fn with_nest(self, kind: u16, inner: &Self) -> Self {
        self.with(kind, &inner.0)
    }
}

/// The attributes in `bytes` with their kinds. What is malformed ends them.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes)
        .map_while(Result::ok)
        .filter_map(|attribute| {
            let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
            let value = attribute.into_inner().get(HEADER..length)?;
            Some((kind, value))
        })
}

/// The value of the first attribute of `kind`.
pub(super) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// The number of 32 bits at an offset.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

/// The number of 64 bits at an offset.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u64::from_ne_bytes(*bytes))
}

/// The text of an attribute, without its NUL.
pub(super) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0);
    let value = value.get(..end.unwrap_or(value.len()));
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_is_found_again() {
        let inner = Attributes::default().with_u64(3, 5).with_text(4, "htb");
        let bytes = Attributes::default()
            .with_u32(1, 7)
            .with(2, &[1])
            .with_nest(9, &inner);
        assert_eq!(bytes.0.len() % 4, 0);
        assert_eq!(find(&bytes.0, 1).and_then(|it| u32_at(it, 0)), Some(7));
        let inner = find(&bytes.0, 9).unwrap();
        assert_eq!(find(inner, 3).and_then(|it| u64_at(it, 0)), Some(5));
        assert_eq!(find(inner, 4).map(text).as_deref(), Some("htb"));
        assert_eq!(find(inner, 5), None);
    }

    #[test]
    fn bytes_that_are_no_attributes_are_no_panic() {
        for bytes in [&[1_u8][..], &[0; 3], &[0; 9], &[255; 40], &[3, 0, 0, 0]] {
            assert_eq!(attributes(bytes).count(), 0);
            assert_eq!(u32_at(bytes, 1000), None);
        }
    }
}
