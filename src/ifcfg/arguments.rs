//! Files whose lines are the arguments of `ip(8)`: `route-*` in one of its two syntaxes, and `rule-*`.

use std::str::SplitWhitespace;

use super::address::Family;
use super::place::Place;
use crate::{Error, Result};

/// The lines of a file that are neither blank nor comments, each with its number. One that is not UTF-8 is an
/// error, which names the file.
pub(super) fn argument_lines(
    file: &str,
    bytes: &[u8],
) -> impl Iterator<Item = Result<(usize, String)>> {
    logical_lines(bytes)
        .into_iter()
        .filter_map(move |(line, bytes)| match String::from_utf8(bytes) {
            Ok(text) => {
                let text = text.trim_start();
                let counts = !text.is_empty() && !text.starts_with('#');
                counts.then(|| Ok((line, text.to_owned())))
            }
            Err(bad) => {
                let place = Place {
                    file,
                    line: Some(line),
                };
                let text = String::from_utf8_lossy(bad.as_bytes());
                let message = format!("{place}: {text:?} is not UTF-8");
                Some(Err(Error::failed(message)))
            }
        })
}

/// The lines as the shell's `read` gives them, which takes backslashes out and joins a line that ends
/// with one to the next; each with the number of its first line.
fn logical_lines(bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut lines = Vec::new();
    let mut joined: Option<(usize, Vec<u8>)> = None;
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let (number, mut text) = joined.take().unwrap_or((at + 1, Vec::new()));
        let mut escaped = false;
        for byte in line {
            if *byte == b'\\' && !escaped {
                escaped = true;
            } else {
                escaped = false;
                text.push(*byte);
            }
        }
        if escaped {
            joined = Some((number, text));
        } else {
            lines.push((number, text));
        }
    }
    lines.extend(joined);
    lines
}

/// The arguments on one line.
pub(super) struct Arguments<'a> {
    pub(super) place: Place<'a>,
    pub(super) family: Family,
    pub(super) words: SplitWhitespace<'a>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(place: Place<'a>, family: Family, text: &'a str) -> Self {
        let words = text.split_whitespace();
        Self {
            place,
            family,
            words,
        }
    }

    /// The word behind `keyword`, as `parse` has it, whose error says what is allowed.
    pub(super) fn value<T>(
        &mut self,
        keyword: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T> {
        let text = self.following(keyword, "a value")?;
        parse(text).map_err(|allowed| self.wrong(keyword, text, &allowed))
    }

    /// The word behind `keyword`; `what` says what it is.
    pub(super) fn following(&mut self, keyword: &str, what: &str) -> Result<&'a str> {
        let place = self.place;
        self.words.next().ok_or_else(|| {
            Error::failed(format!(
                "{place}: {keyword:?} ends the line: {what} is to follow"
            ))
        })
    }

    pub(super) fn wrong(&self, keyword: &str, value: &str, allowed: &str) -> Error {
        let place = self.place;
        Error::failed(format!("{place}: {keyword} {value:?} is wrong: {allowed}"))
    }

    pub(super) fn unknown(&self, word: &str, allowed: &str) -> Error {
        let place = self.place;
        Error::failed(format!(
            "{place}: the word {word:?} is not known: {allowed}"
        ))
    }
}
