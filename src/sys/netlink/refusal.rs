//! Why the kernel refused a request.

use std::error::Error as StdError;
use std::fmt;

use netlink_packet_core::{NLM_F_ACK_TLVS, NLM_F_CAPPED, NlasIterator};
use nix::errno::Errno;

use crate::error::Error;

/// The result of one request, before it is said what the request was for.
pub(super) type Outcome<T> = Result<T, Refusal>;

/// `NLMSGERR_ATTR_MSG` of `<linux/netlink.h>`: a text for people.
const ATTR_MSG: u16 = 1;

/// Bytes of the error code in front of the rest.
const CODE: usize = 4;

/// Bytes of the request's header, which the kernel repeats in its error.
const HEADER: usize = 16;

/// The kernel's error number and, where it gave one, its explanation.
///
/// Printed as in "File exists" or "Invalid argument (Nexthop has invalid gateway)".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    errno: Errno,
    detail: Option<String>,
}

impl Refusal {
    /// The refusal that caused `error`, if one did.
    pub fn of(error: &Error) -> Option<&Self> {
        let mut cause = error.source();
        while let Some(error) = cause {
            if let Some(refusal) = error.downcast_ref() {
                return Some(refusal);
            }
            cause = error.source();
        }
        None
    }

    /// The error number.
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// Whether the error number is one of these.
    pub fn is_any(&self, numbers: &[Errno]) -> bool {
        numbers.contains(&self.errno)
    }

    pub(super) fn new(errno: Errno, detail: &str) -> Self {
        Self {
            errno,
            detail: Some(detail.to_owned()),
        }
    }

    /// From an `NLMSG_ERROR`: `code` is negative, `payload` what follows it, `flags` the message's.
    pub(super) fn from_error(code: i32, payload: &[u8], flags: u16) -> Self {
        let mut refusal = Self::from(Errno::from_raw(code.wrapping_neg()));
        if flags & NLM_F_ACK_TLVS != 0 {
            let request = if flags & NLM_F_CAPPED != 0 {
                HEADER
            } else {
                let length = payload.first_chunk().copied().map_or(0, u32::from_ne_bytes);
                usize::try_from(length).unwrap_or(usize::MAX)
            };
            refusal.detail = detail(payload.get(aligned(request)..).unwrap_or_default());
        }
        refusal
    }

    /// From an `NLMSG_DONE` whose `code` is negative; `payload` begins with the code.
    pub(super) fn from_done(code: i32, payload: &[u8]) -> Self {
        Self {
            errno: Errno::from_raw(code.wrapping_neg()),
            detail: detail(payload.get(CODE..).unwrap_or_default()),
        }
    }

    /// Says what was being done.
    pub(super) fn during(self, doing: impl Into<String>) -> Error {
        let error = Error::failed(doing);
        let error = if self.is_any(&[Errno::EPERM]) {
            error.hint("run it as root")
        } else {
            error
        };
        error.because(self)
    }
}

/// Rounds up to the alignment of netlink attributes.
fn aligned(length: usize) -> usize {
    length.checked_next_multiple_of(4).unwrap_or(length)
}

/// The text among the extended acknowledgement's attributes.
fn detail(attributes: &[u8]) -> Option<String> {
    NlasIterator::new(attributes)
        .filter_map(Result::ok)
        .find(|attribute| attribute.kind() == ATTR_MSG)
        .map(|attribute| {
            String::from_utf8_lossy(attribute.value())
                .trim_end_matches(['\0', '.'])
                .to_owned()
        })
        .filter(|text| !text.is_empty())
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            detail: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.errno.desc())?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl StdError for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attribute with the text `gone`.
    const GONE: [u8; 12] = [9, 0, 1, 0, b'g', b'o', b'n', b'e', 0, 0, 0, 0];

    #[test]
    fn the_kernels_words_are_found_behind_a_capped_request() {
        let mut payload = vec![0; HEADER];
        payload.extend(GONE);
        let refusal = Refusal::from_error(-19, &payload, NLM_F_ACK_TLVS | NLM_F_CAPPED);
        assert_eq!(refusal.to_string(), "No such device (gone)");
    }

    #[test]
    fn and_behind_a_whole_one() {
        let mut payload = vec![0; 24];
        payload[..4].copy_from_slice(&22_u32.to_ne_bytes());
        payload.extend(GONE);
        let refusal = Refusal::from_error(-17, &payload, NLM_F_ACK_TLVS);
        assert_eq!(refusal.to_string(), "File exists (gone)");
    }

    #[test]
    fn a_length_that_lies_is_no_panic() {
        for length in [0, 7, u32::MAX] {
            let refusal = Refusal::from_error(-22, &length.to_ne_bytes(), NLM_F_ACK_TLVS);
            assert_eq!(refusal.to_string(), "Invalid argument");
        }
    }

    #[test]
    fn the_refusal_is_found_again_in_an_error() {
        let error = Refusal::from(Errno::EEXIST).during("cannot add it");
        assert_eq!(error.one_line(), "cannot add it: File exists");
        assert_eq!(Refusal::of(&error).map(Refusal::errno), Some(Errno::EEXIST));
    }
}
