//! Setting and removing a key, touching nothing else.
//!
//! Each edit splices the bytes and parses them again; before it is kept, the key is looked up in the result.
//! A file whose last line is an open quotation would swallow what is appended: then the edit fails and the file is
//! as it was.

use std::ops::Range;

use super::file::{Action, File};
use super::lexer::Assignment;
use super::word;
use crate::{Error, Result};

/// How often a key may be assigned in a file that it is to be removed from: each time takes a pass over the file.
const MAX_ASSIGNMENTS: usize = 100;

impl File {
    /// Gives `key` the value `value`, where it is assigned last, in that place's quoting style as far
    /// as the value allows; at the end of the file if nothing assigns it.
    ///
    /// A key that has the value already stays as it is written. Fails for a key that no variable can have, for a
    /// value with a NUL byte, and, with nothing changed, where the file's end cannot take another line or another key would
    /// then be read otherwise: a backslash at the very end joins what follows to it.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<()> {
        if !word::is_name(key.as_bytes()) {
            return Err(Error::usage(format!(
                "{key:?} is not a key: letters, digits and underscores are allowed, the first not a digit"
            )));
        }
        if value.contains(&0) {
            return Err(Error::usage(format!(
                "the value for {key} has a NUL byte, which no shell variable can hold"
            )));
        }
        let now = self.get(key);
        if now.as_ref().and_then(|now| now.bytes()) == Some(value) {
            return Ok(());
        }
        let mut bytes = self.bytes.clone();
        match self.last_assignment(key).filter(|_| now.is_some()) {
            Some(item) => {
                let old = bytes.get(item.value.clone()).unwrap_or_default();
                let mut word = key.as_bytes().to_vec();
                word.push(b'=');
                word.extend(quote(value, Style::of(old)));
                bytes.splice(item.word.clone(), word);
            }
            None => append(&mut bytes, key, value),
        }
        let edited = Self::parse(&bytes);
        if edited.get(key).as_ref().and_then(|now| now.bytes()) != Some(value) {
            return Err(Error::failed(format!(
                "cannot set {key}: the file ends inside a quotation or a command"
            )));
        }
        self.others_are_as_in(key, &edited)
            .map_err(|()| read_otherwise("set", key))?;
        *self = edited;
        Ok(())
    }

    /// Takes out every assignment of `key`, with its line where nothing else is on it; comments stay.
    /// Says whether there was one.
    ///
    /// Fails, with nothing changed, where another key would then be read otherwise: the shell takes what
    /// follows a pipe that leads nowhere for its other end.
    pub fn remove(&mut self, key: &str) -> Result<bool> {
        let mut edited = self.clone();
        let assignments = self.assignments(key);
        let found = !assignments.is_empty();
        if assignments.len() > MAX_ASSIGNMENTS {
            return Err(Error::failed(format!(
                "cannot remove {key}: it is assigned more than {MAX_ASSIGNMENTS} times"
            )));
        }
        // From the end, so that the ranges of the ones before stay valid.
        for (statement, item) in assignments.into_iter().rev() {
            let range = edited.range_to_remove(statement, &item);
            edited.bytes.drain(range);
            edited = Self::parse(&edited.bytes);
        }
        if edited.get(key).is_some() {
            return Err(read_otherwise("remove", key));
        }
        self.others_are_as_in(key, &edited)
            .map_err(|()| read_otherwise("remove", key))?;
        *self = edited;
        Ok(found)
    }

    /// Fails where a key other than `key` has another value in `edited`, or there is more shell code in it.
    fn others_are_as_in(&self, key: &str, edited: &Self) -> Result<(), ()> {
        let (mut before, mut after) = (self.contents(), edited.contents());
        before.remove(key.as_bytes());
        after.remove(key.as_bytes());
        let more_code = edited.code().len() > self.code().len();
        if more_code || before != after {
            return Err(());
        }
        Ok(())
    }

    /// All assignments of `key`, each with the index of its statement.
    fn assignments(&self, key: &str) -> Vec<(usize, Assignment)> {
        let mut found = Vec::new();
        for (at, statement) in self.statements.iter().enumerate() {
            if let Action::Assign { items, .. } = &statement.action {
                let of_key = items.iter().filter(|item| item.key == key.as_bytes());
                found.extend(of_key.map(|item| (at, item.clone())));
            }
        }
        found
    }

    fn last_assignment(&self, key: &str) -> Option<Assignment> {
        self.assignments(key).pop().map(|(_, item)| item)
    }

    /// What goes with `item`: the blanks before it, the statement if it is empty then, the line likewise.
    fn range_to_remove(&self, statement: usize, item: &Assignment) -> Range<usize> {
        let Some(statement) = self.statements.get(statement) else {
            return item.word.clone();
        };
        let is_whole = match &statement.action {
            Action::Assign { items, others } => items.len() == 1 && *others <= 1,
            Action::Unset(_) | Action::Code => false,
        };
        if !is_whole {
            return self.with_blanks(&item.word, statement.range.start);
        }
        let mut range = statement.range.clone();
        let line_start = self.line_start(range.start);
        let behind = self.skip_forward(range.end);
        if self.bytes.get(behind) == Some(&b';') {
            range.end = self.skip_forward(behind + 1);
        } else if let Some(before) = self.skip_back(range.start, line_start)
            && self.bytes.get(before) == Some(&b';')
        {
            range.start = before;
        }
        let alone = self
            .bytes
            .get(line_start..range.start)
            .is_some_and(|before| before.iter().all(|byte| matches!(byte, b' ' | b'\t')));
        match self.bytes.get(self.skip_forward(range.end)) {
            Some(b'\n') if alone => line_start..self.skip_forward(range.end) + 1,
            None if alone => line_start..self.bytes.len(),
            Some(b'#') if alone => range.start..self.skip_forward(range.end),
            _ => range,
        }
    }

    /// `word` and the blanks that part it from its neighbour in the statement that begins at `start`.
    fn with_blanks(&self, word: &Range<usize>, start: usize) -> Range<usize> {
        if word.start == start {
            word.start..self.skip_forward(word.end)
        } else {
            let before = self.skip_back(word.start, start);
            before.map_or(word.start, |before| before + 1)..word.end
        }
    }

    /// The beginning of the line that `position` is on.
    fn line_start(&self, position: usize) -> usize {
        let before = self.bytes.get(..position).unwrap_or_default();
        let newline = before.iter().rposition(|byte| *byte == b'\n');
        newline.map_or(0, |newline| newline + 1)
    }

    /// The first position from `position` on that is no blank.
    fn skip_forward(&self, position: usize) -> usize {
        let rest = self.bytes.get(position..).unwrap_or_default();
        let blanks = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        position + blanks
    }

    /// The last position before `position`, and not before `limit`, that is no blank.
    fn skip_back(&self, position: usize, limit: usize) -> Option<usize> {
        let before = self.bytes.get(limit..position)?;
        let at = before
            .iter()
            .rposition(|byte| !matches!(byte, b' ' | b'\t'))?;
        Some(limit + at)
    }
}

fn read_otherwise(verb: &str, key: &str) -> Error {
    let message = format!("cannot {verb} {key}: what stands beside it would be read otherwise");
    Error::failed(message).hint("the file has shell code beside it; edit it by hand")
}

/// Adds a line `key=value`.
fn append(bytes: &mut Vec<u8>, key: &str, value: &[u8]) {
    if bytes.last().is_some_and(|last| *last != b'\n') {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(key.as_bytes());
    bytes.push(b'=');
    bytes.extend(quote(value, Style::Bare));
    bytes.push(b'\n');
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bare,
    Single,
    Double,
}

impl Style {
    /// The style of a value as the file has it; the first character decides.
    fn of(raw: &[u8]) -> Self {
        match raw.first() {
            Some(b'\'') => Self::Single,
            Some(b'"') => Self::Double,
            _ => Self::Bare,
        }
    }
}

/// `value` as a shell word, in `style` if that can hold it.
///
/// Only bytes that no shell and no simple reader of these files takes for anything else stand bare.
fn quote(value: &[u8], style: Style) -> Vec<u8> {
    let is_plain = value.iter().all(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'_' | b'-' | b'.' | b'/' | b':' | b',' | b'+' | b'@' | b'%' | b'='
            )
    });
    match style {
        Style::Bare if is_plain => value.to_vec(),
        Style::Single if !value.contains(&b'\'') => [b"'", value, b"'"].concat(),
        _ => {
            let mut quoted = vec![b'"'];
            for byte in value {
                if matches!(byte, b'$' | b'`' | b'"' | b'\\') {
                    quoted.push(b'\\');
                }
                quoted.push(*byte);
            }
            quoted.push(b'"');
            quoted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(file: &str, key: &str, value: &str) -> String {
        let mut parsed = File::parse(file.as_bytes());
        parsed.set(key, value.as_bytes()).unwrap();
        String::from_utf8(parsed.to_bytes()).unwrap()
    }

    fn remove(file: &str, key: &str) -> String {
        let mut parsed = File::parse(file.as_bytes());
        parsed.remove(key).unwrap();
        assert_eq!(parsed.get(key), None);
        String::from_utf8(parsed.to_bytes()).unwrap()
    }

    #[test]
    fn setting_changes_the_value_and_nothing_else() {
        for (before, after) in [
            ("", "MTU=9000\n"),
            ("A=1", "A=1\nMTU=9000\n"),
            ("MTU=1500 # jumbo?\nA=1\n", "MTU=9000 # jumbo?\nA=1\n"),
            ("  export MTU=\"1500\" B=2", "  export MTU=\"9000\" B=2"),
            ("MTU='1500'; A=$x\n", "MTU='9000'; A=$x\n"),
            ("MTU=1\nMTU=2\n", "MTU=1\nMTU=9000\n"),
            ("MTU=1\nMTU+=2\n", "MTU=1\nMTU=9000\n"),
            ("MTU=1\nunset MTU\n", "MTU=1\nunset MTU\nMTU=9000\n"),
            ("MTU=$(id)\n", "MTU=9000\n"),
            ("MTU='90'00\n", "MTU='90'00\n"),
        ] {
            assert_eq!(set(before, "MTU", "9000"), after, "{before:?}");
        }
    }

    #[test]
    fn an_edit_that_would_change_another_key_is_refused() {
        // The backslash would join the new line to its own.
        let mut file = File::parse(b"A=1\nA= \\");
        assert!(file.set("MTU", b"9000").is_err());
        assert_eq!(file.to_bytes(), b"A=1\nA= \\");
    }

    #[test]
    fn any_value_is_quoted_so_that_it_comes_back() {
        for style in ["A=x", "A='x'", "A=\"x\"", "A=$'x'", ""] {
            for value in [
                "", "a b", "it's", "$x", "`x`", "\\", "\"", "~", "a\nb", "#", "é!", "a;b",
            ] {
                let text = set(style, "A", value);
                let parsed = File::parse(text.as_bytes());
                assert_eq!(parsed.get("A").unwrap().text(), Some(value), "{text:?}");
                assert!(parsed.code().is_empty());
            }
        }
    }

    #[test]
    fn removing_takes_the_line_only_if_nothing_else_is_on_it() {
        for (before, after) in [
            ("A=1\nB=2\nC=3\n", "A=1\nC=3\n"),
            ("A=1\nB=2", "A=1\n"),
            ("A=1 B=2 C=3\n", "A=1 C=3\n"),
            ("B=2 C=3\n", "C=3\n"),
            ("B=2; C=3\n", "C=3\n"),
            ("A=1; B=2\n", "A=1\n"),
            ("export B=2\nC=3\n", "C=3\n"),
            ("export B=2 C=3\n", "export C=3\n"),
            ("B=2 # why\n", "# why\n"),
            ("B=2\nA=1\nB+=3\n", "A=1\n"),
            ("B='2\n3'\nA=1\n", "A=1\n"),
        ] {
            assert_eq!(remove(before, "B"), after, "{before:?}");
        }
    }

    #[test]
    fn what_cannot_be_set_is_refused_and_changes_nothing() {
        let mut file = File::parse(b"A='open");
        assert!(file.set("B", b"1").is_err());
        assert!(file.set("B C", b"1").is_err());
        assert!(file.set("B", b"\0").is_err());
        assert_eq!(file.to_bytes(), b"A='open");
    }
}
