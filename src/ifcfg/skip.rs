//! Finding the end of what is not evaluated: expansions and command substitutions.
//!
//! Each function stands behind the opening and goes behind the closing character. They know
//! quotation, since `$(echo ')')` ends at its second parenthesis.

use super::cursor::Cursor;

/// The text ended inside a quotation or an expansion, or these were nested deeper than any file needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unterminated;

/// Levels of nesting that are followed; deeper ones would only exhaust the stack.
const MAX_DEPTH: u32 = 50;

/// Behind a single quote: to behind the next one.
pub(super) fn single(cursor: &mut Cursor<'_>) -> Result<(), Unterminated> {
    loop {
        match cursor.bump() {
            None => return Err(Unterminated),
            Some(b'\'') => return Ok(()),
            Some(_) => {}
        }
    }
}

/// Behind a double quote: to behind the one that ends it.
fn double(cursor: &mut Cursor<'_>, depth: u32) -> Result<(), Unterminated> {
    loop {
        match cursor.bump() {
            None => return Err(Unterminated),
            Some(b'"') => return Ok(()),
            Some(b'\\') => cursor.advance(1),
            Some(b'`') => backtick(cursor)?,
            Some(b'$') => dollar(cursor, true, depth)?,
            Some(_) => {}
        }
    }
}

/// Behind a backtick: to behind the next one that no backslash protects.
pub(super) fn backtick(cursor: &mut Cursor<'_>) -> Result<(), Unterminated> {
    loop {
        match cursor.bump() {
            None => return Err(Unterminated),
            Some(b'`') => return Ok(()),
            Some(b'\\') => cursor.advance(1),
            Some(_) => {}
        }
    }
}

/// Behind `$'`: to behind the single quote that no backslash protects.
pub(super) fn ansi(cursor: &mut Cursor<'_>) -> Result<(), Unterminated> {
    loop {
        match cursor.bump() {
            None => return Err(Unterminated),
            Some(b'\'') => return Ok(()),
            Some(b'\\') => cursor.advance(1),
            Some(_) => {}
        }
    }
}

/// Behind a dollar sign: to behind the expansion that begins there, if one does.
pub(super) fn dollar(
    cursor: &mut Cursor<'_>,
    in_double: bool,
    depth: u32,
) -> Result<(), Unterminated> {
    if depth > MAX_DEPTH {
        return Err(Unterminated);
    }
    match cursor.peek() {
        Some(b'(') => {
            cursor.advance(1);
            balanced(cursor, b'(', b')', false, depth + 1)
        }
        Some(b'{') => {
            cursor.advance(1);
            balanced(cursor, b'{', b'}', in_double, depth + 1)
        }
        Some(b'[') => {
            cursor.advance(1);
            balanced(cursor, b'[', b']', false, depth + 1)
        }
        Some(b'\'') if !in_double => {
            cursor.advance(1);
            ansi(cursor)
        }
        Some(b'"') if !in_double => {
            cursor.advance(1);
            double(cursor, depth + 1)
        }
        // `$$`, `$#` and `$?` are whole; anything else is a name or no expansion.
        Some(b'$' | b'#' | b'?') => {
            cursor.advance(1);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Behind `open`: to behind the `close` that matches it.
///
/// Inside `"${…}"` a single quote is an ordinary character (`in_double`).
pub(super) fn balanced(
    cursor: &mut Cursor<'_>,
    open: u8,
    close: u8,
    in_double: bool,
    depth: u32,
) -> Result<(), Unterminated> {
    let mut level = 1_u32;
    let mut word_start = true;
    loop {
        let Some(byte) = cursor.bump() else {
            return Err(Unterminated);
        };
        let comment_may_begin = word_start && open == b'(';
        word_start = matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(');
        match byte {
            b'\\' => cursor.advance(1),
            b'\'' if !in_double => single(cursor)?,
            b'"' => double(cursor, depth)?,
            b'`' => backtick(cursor)?,
            b'$' => dollar(cursor, in_double, depth)?,
            b'#' if comment_may_begin => {
                while cursor.peek().is_some_and(|next| next != b'\n') {
                    cursor.advance(1);
                }
            }
            // A brace inside `${…}` counts only behind a dollar sign.
            _ if byte == open && open != b'{' => level = level.saturating_add(1),
            _ if byte == close => {
                level -= 1;
                if level == 0 {
                    return Ok(());
                }
            }
            _ => {}
        }
    }
}
