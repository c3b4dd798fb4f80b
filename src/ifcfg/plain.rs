//! Values of files that are plain, without parsing them.
//!
//! To find one interface among a thousand, some values of a thousand files are needed, and nearly all of those files
//! are lines of `KEY=value` and comments. Of such a file this tells the values, in a tenth of the time and without
//! keeping anything but the bytes. A file with anything else in it, be it one backslash, is for [`File`](super::File)
//! to read: this only ever tells what that would.

/// What `keys` have at the end of the file, in their order, `None` for one that is not assigned; none at all where only
/// parsing can tell.
pub fn values<'a, const N: usize>(
    bytes: &'a [u8],
    keys: [&str; N],
) -> Option<[Option<&'a [u8]>; N]> {
    let mut found = [None; N];
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((key, value)) = assignment(line)? else {
            continue;
        };
        let known = keys.iter().zip(&mut found);
        if let Some((_, place)) = known.into_iter().find(|(known, _)| known.as_bytes() == key) {
            *place = Some(value);
        }
    }
    Some(found)
}

/// The key and the value of a line, `None` where it is empty or a comment; none at all where it is anything else.
#[allow(clippy::option_option, reason = "the outer one is for '?'")]
fn assignment(line: &[u8]) -> Option<Option<(&[u8], &[u8])>> {
    match line.first() {
        None => return Some(None),
        // Whether it ends with its line is not for this to know.
        Some(b'#') => return (!line.iter().any(|byte| b"\\\0\r".contains(byte))).then_some(None),
        Some(byte) if !is_word(*byte) || byte.is_ascii_digit() => return None,
        Some(_) => {}
    }
    let key = line.iter().take_while(|byte| is_word(**byte)).count();
    let (key, rest) = line.split_at(key);
    let value = rest.strip_prefix(b"=")?;
    let (value, rest) = match value.split_first() {
        Some((quote @ (b'"' | b'\''), inside)) => {
            let end = inside.iter().position(|byte| byte == quote)?;
            let (value, rest) = inside.split_at(end);
            (
                value
                    .iter()
                    .all(|byte| is_quotable(*byte))
                    .then_some(value)?,
                rest.get(1..)?,
            )
        }
        _ => value.split_at(value.iter().take_while(|byte| is_plain(**byte)).count()),
    };
    let is_end = rest.iter().all(|byte| matches!(byte, b' ' | b'\t'));
    is_end.then_some(Some((key, value)))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What stands for itself, in a value without quotes.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-:@%/,+".contains(&byte)
}

/// What stands for itself, in quotes of either kind.
fn is_quotable(byte: u8) -> bool {
    (byte.is_ascii_graphic() || byte == b' ') && !b"\"'\\$`!".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ifcfg::File;
    use proptest::prelude::*;

    fn one(file: &str) -> Option<[Option<&[u8]>; 1]> {
        values(file.as_bytes(), ["A"])
    }

    #[test]
    fn plain_files_are_told() {
        for (file, value) in [
            ("", None),
            ("# A=1\n\nB=2\nAA=3\nBA=A\n", None),
            ("A=1\nA=eth0.5 \n", Some("eth0.5")),
            ("A=\"1 2\"\t", Some("1 2")),
            ("A='x=#;y'\nB=1", Some("x=#;y")),
            ("A=", Some("")),
        ] {
            assert_eq!(one(file), Some([value.map(str::as_bytes)]), "{file:?}");
        }
    }

    #[test]
    fn what_only_parsing_can_tell_is_left_to_it() {
        for file in [
            "A=1 # one",
            "A=1 B=2",
            "A=$B",
            "A=1;B=2",
            "export A=1",
            " A=1",
            "A+=1",
            "A=1\\\n2",
            "# \\\nA=1",
            "A=~",
            "A='1",
            "A='1'2",
            "A=\"$B\"",
            "A=\"`b`\"",
            "unset A",
            "A",
            "1A=1",
            "A=1\r",
            "A=(1)",
            "A=\u{e9}",
            "# \0\nA=1",
        ] {
            assert_eq!(one(file), None, "{file:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_told_that_parsing_does_not_find(
            file in "([AB]=|A|B|[a~%@:/,+.-]{1,2}|['\"\\\\ \t\r\n;#$`&|<>(){}*?!=]|\u{0}|\u{e9}|export |unset A|<<A\n|if ){0,14}"
        ) {
            if let Some(found) = values(file.as_bytes(), ["A", "B"]) {
                let parsed = File::parse(file.as_bytes());
                prop_assert!(parsed.code().is_empty(), "{file:?}");
                for (key, value) in ["A", "B"].into_iter().zip(found) {
                    let parsed = parsed.get(key);
                    let parsed = parsed.as_ref().map(|it| it.bytes());
                    prop_assert_eq!(parsed, value.map(Some), "{} of {:?}", key, file);
                }
            }
        }
    }
}
