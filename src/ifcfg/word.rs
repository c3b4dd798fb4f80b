//! One word of the shell's language: where it ends, and what it says if that can be known.
//!
//! The rules are those of bash (`QUOTING` and `EXPANSION` in `bash(1)`) for the right side of an
//! assignment: no splitting, no pathname expansion, a tilde is expanded at the beginning and after each
//! unquoted colon. The property test in `tests/properties_ifcfg.rs` compares them with a real bash.

use super::cursor::Cursor;
use super::skip::{self, Unterminated};

/// What a word says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// The bytes after quote removal; `None` where an expansion or a NUL makes them unknown.
    pub(super) bytes: Option<Vec<u8>>,
    /// Whether a quotation character or a backslash was in it.
    pub(super) quoted: bool,
    /// Whether an unquoted brace was in it, which some places expand.
    pub(super) braces: bool,
}

/// The characters that end a word outside quotation ("metacharacter" in `bash(1)`).
pub(super) fn is_metacharacter(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')'
    )
}

/// Whether `name` can be a variable.
pub(super) fn is_name(name: &[u8]) -> bool {
    name.first()
        .is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// Reads from the cursor to the end of the word.
pub(super) fn scan(cursor: &mut Cursor<'_>) -> Result<Text, Unterminated> {
    let mut scanner = Scanner {
        bytes: Vec::new(),
        is_static: true,
        quoted: false,
        braces: false,
    };
    scanner.word(cursor)?;
    Ok(Text {
        bytes: scanner.is_static.then_some(scanner.bytes),
        quoted: scanner.quoted,
        braces: scanner.braces,
    })
}

/// What has been read of a word.
struct Scanner {
    bytes: Vec<u8>,
    is_static: bool,
    quoted: bool,
    braces: bool,
}

impl Scanner {
    fn word(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Unterminated> {
        let mut tilde_expands = true;
        while let Some(byte) = cursor.peek() {
            if is_metacharacter(byte) {
                break;
            }
            cursor.advance(1);
            if byte == b'\\' && cursor.peek() == Some(b'\n') {
                cursor.advance(1);
                continue;
            }
            match byte {
                b'\\' => {
                    self.quoted = true;
                    match cursor.bump() {
                        Some(next) => self.push(next),
                        // At the very end of a file bash sometimes keeps it and sometimes does not.
                        None => self.is_static = false,
                    }
                }
                b'\'' => self.single(cursor)?,
                b'"' => self.double(cursor)?,
                b'$' => self.dollar(cursor, false)?,
                b'`' => {
                    self.is_static = false;
                    skip::backtick(cursor)?;
                }
                b'~' if tilde_expands => self.is_static = false,
                b'{' => {
                    self.braces = true;
                    self.push(byte);
                }
                _ => self.push(byte),
            }
            tilde_expands = byte == b':';
        }
        Ok(())
    }

    /// A byte of the value. Bash drops a NUL with a warning or refuses the file; neither is a value.
    fn push(&mut self, byte: u8) {
        if byte == 0 {
            self.is_static = false;
        }
        self.bytes.push(byte);
    }

    fn single(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Unterminated> {
        self.quoted = true;
        let start = cursor.pos();
        skip::single(cursor)?;
        for byte in cursor.slice(start..cursor.pos().saturating_sub(1)) {
            self.push(*byte);
        }
        Ok(())
    }

    fn double(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Unterminated> {
        self.quoted = true;
        loop {
            match cursor.bump() {
                None => return Err(Unterminated),
                Some(b'"') => return Ok(()),
                Some(b'\\') => match cursor.peek() {
                    Some(b'\n') => cursor.advance(1),
                    Some(next @ (b'$' | b'`' | b'"' | b'\\')) => {
                        cursor.advance(1);
                        self.push(next);
                    }
                    _ => self.push(b'\\'),
                },
                Some(b'`') => {
                    self.is_static = false;
                    skip::backtick(cursor)?;
                }
                Some(b'$') => self.dollar(cursor, true)?,
                Some(byte) => self.push(byte),
            }
        }
    }

    /// Behind a dollar sign.
    fn dollar(&mut self, cursor: &mut Cursor<'_>, in_double: bool) -> Result<(), Unterminated> {
        match cursor.peek() {
            Some(b'\'') if !in_double => {
                cursor.advance(1);
                self.quoted = true;
                self.ansi(cursor)
            }
            // What follows is an expansion, a translated string (`$"…"`), or becomes one of these when
            // bash has taken the line continuation out.
            Some(b'"') if in_double => {
                self.push(b'$');
                Ok(())
            }
            Some(byte) if begins_expansion(byte) => {
                self.is_static = false;
                skip::dollar(cursor, in_double, 0)
            }
            Some(b'\\') if cursor.peek_at(1) == Some(b'\n') => {
                self.is_static = false;
                Ok(())
            }
            _ => {
                self.push(b'$');
                Ok(())
            }
        }
    }

    /// Behind `$'`: the escapes of "Words of the form $'string'" in `bash(1)`.
    fn ansi(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Unterminated> {
        loop {
            match cursor.bump() {
                None => return Err(Unterminated),
                Some(b'\'') => return Ok(()),
                Some(b'\\') => self.escape(cursor)?,
                Some(byte) => self.push(byte),
            }
        }
    }

    /// Behind the backslash of an escape in `$'…'`.
    fn escape(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Unterminated> {
        let Some(byte) = cursor.bump() else {
            return Err(Unterminated);
        };
        match byte {
            b'a' => self.push(0x07),
            b'b' => self.push(0x08),
            b'e' | b'E' => self.push(0x1b),
            b'f' => self.push(0x0c),
            b'n' => self.push(b'\n'),
            b'r' => self.push(b'\r'),
            b't' => self.push(b'\t'),
            b'v' => self.push(0x0b),
            b'\\' | b'\'' | b'"' | b'?' => self.push(byte),
            b'0'..=b'7' => {
                let more = digits(cursor, 2, 8).unwrap_or((0, 0));
                let value = u32::from(byte - b'0') * 8_u32.pow(more.1) + more.0;
                // Bash keeps the low eight bits of `\400` and above.
                self.push(u8::try_from(value & 0xff).unwrap_or_default());
            }
            b'x' if cursor.peek() == Some(b'{') => self.is_static = false,
            b'x' => match digits(cursor, 2, 16) {
                Some((value, _)) => self.push(u8::try_from(value).unwrap_or_default()),
                None => self.bytes.extend_from_slice(b"\\x"),
            },
            b'u' => self.unicode(cursor, 4, byte),
            b'U' => self.unicode(cursor, 8, byte),
            b'c' => self.control(cursor)?,
            _ => {
                self.push(b'\\');
                self.push(byte);
            }
        }
        Ok(())
    }

    /// `\uHHHH`: written as UTF-8, the encoding of every locale such a host runs in.
    fn unicode(&mut self, cursor: &mut Cursor<'_>, most: u32, letter: u8) {
        match digits(cursor, most, 16) {
            None => self.bytes.extend_from_slice(&[b'\\', letter]),
            Some((value, _)) => match char::from_u32(value).filter(|it| *it != '\0') {
                Some(it) => {
                    let mut buffer = [0; 4];
                    self.bytes
                        .extend_from_slice(it.encode_utf8(&mut buffer).as_bytes());
                }
                None => self.is_static = false,
            },
        }
    }

    /// `\cx`, a control character.
    fn control(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Unterminated> {
        match cursor.bump() {
            None | Some(b'\'') => Err(Unterminated),
            Some(letter) if letter.is_ascii_alphabetic() => {
                self.push(letter & 0x1f);
                Ok(())
            }
            // Versions of bash differ in the others; only the end of the word matters here.
            Some(other) => {
                self.is_static = false;
                cursor.advance(usize::from(other == b'\\'));
                Ok(())
            }
        }
    }
}

/// Whether `byte` behind a dollar sign begins an expansion, rather than leaving the sign as it is.
fn begins_expansion(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'_' | b'{' | b'(' | b'[' | b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!' | b'"'
        )
}

/// Up to `most` digits of `base`: their value and how many there were; `None` for none.
fn digits(cursor: &mut Cursor<'_>, most: u32, base: u32) -> Option<(u32, u32)> {
    let mut value = 0_u32;
    let mut count = 0;
    while count < most {
        let Some(digit) = cursor
            .peek()
            .and_then(|byte| char::from(byte).to_digit(base))
        else {
            break;
        };
        value = value.wrapping_mul(base).wrapping_add(digit);
        count += 1;
        cursor.advance(1);
    }
    (count > 0).then_some((value, count))
}
