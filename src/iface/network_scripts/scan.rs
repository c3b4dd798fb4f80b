//! Passing over files that cannot be for an interface, without parsing them.
//!
//! Whose file it is that has another name, only reading all files tells; of thousands nearly all say plainly
//! that they are for something else.

use std::collections::BTreeSet;

const KEY: &[u8] = b"DEVICE";

/// Whether parsing could find one of `devices` as the value of `DEVICE`. Never false where it would; true
/// where only parsing can tell.
pub(super) fn may_be_for(file: &[u8], devices: &BTreeSet<&[u8]>) -> bool {
    // It may continue a line, in the middle of the key too.
    if file.contains(&b'\\') {
        return true;
    }
    let mut rest = file;
    while let Some(at) = rest.windows(KEY.len()).position(|found| found == KEY) {
        rest = rest.get(at + KEY.len()..).unwrap_or_default();
        match rest {
            [b'=', value @ ..] if may_be_one(value, devices) => return true,
            [b'+', ..] => return true,
            _ => {}
        }
    }
    false
}

/// The same of what stands behind one `DEVICE=`.
fn may_be_one(value: &[u8], devices: &BTreeSet<&[u8]>) -> bool {
    let (quote, value) = match value {
        [quote @ (b'"' | b'\''), value @ ..] => (Some(quote), value),
        value => (None, value),
    };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-:@".contains(byte);
    let length = value.iter().take_while(|byte| is_plain(byte)).count();
    let (word, mut rest) = value.split_at(length);
    if let (Some(quote), [end, tail @ ..]) = (quote, rest) {
        if quote != end {
            return true;
        }
        rest = tail;
    }
    match rest {
        [] | [b'\n' | b' ' | b'\t', ..] => devices.contains(word),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ifcfg::File;
    use proptest::prelude::*;

    fn may(file: &str) -> bool {
        may_be_for(file.as_bytes(), &[b"eth7".as_slice()].into())
    }

    #[test]
    fn plain_values_are_told_apart() {
        for no in [
            "",
            "TYPE=Ethernet\nDEVICETYPE=eth7\n",
            "DEVICE=eth0\nONBOOT=yes\n",
            "DEVICE=\"eth0\"\n",
            "DEVICE='eth0' # eth7",
            "export DEVICE=eth70",
        ] {
            assert!(!may(no), "{no:?}");
        }
    }

    #[test]
    fn what_only_parsing_can_tell_is_left_to_it() {
        for yes in [
            "DEVICE=eth7",
            "DEVICE=eth0\nDEVICE='eth7'\n",
            "DEVICE=et\"h7\"\n",
            "DEVICE='et'h7\n",
            "DEVICE=$'eth7'\n",
            "DEVICE=eth$N\n",
            "DEV\\\nICE=eth7\n",
            "DEVICE=eth\nDEVICE+=7\n",
        ] {
            assert!(may(yes), "{yes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_file_is_passed_over_that_parsing_finds(
            file in "(DEVICE[=+]|DEVICE=|eth7|eth|7|['\"\\\\ \n;#$`&]|A=|export ){0,9}"
        ) {
            let parsed = File::parse(file.as_bytes());
            if parsed.get("DEVICE").is_some_and(|value| value.text() == Some("eth7")) {
                prop_assert!(may(&file), "{file:?}");
            }
        }
    }
}
