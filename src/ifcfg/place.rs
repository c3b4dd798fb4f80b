//! Where in the configuration something stands, for errors that an operator can act on.

use std::fmt;

use crate::Error;

/// A file and, where known, a line of it, counted from 1. Printed as `file:line`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file as the operator knows it.
    pub file: &'a str,
    /// The line.
    pub line: Option<usize>,
}

impl Place<'_> {
    /// The error for a wrong value: "`file:line: KEY="value" is wrong: what is allowed`".
    pub fn wrong(&self, key: &str, value: &str, allowed: impl fmt::Display) -> Error {
        Error::failed(format!("{self}: {key}={value:?} is wrong: {allowed}"))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(self.file),
        }
    }
}
