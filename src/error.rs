//! The library's error: what was being done, to what, why it failed and what to do next.
//!
//! There is one type rather than an enum per module because callers act on only one thing, the
//! [`ErrorKind`], which decides the exit status. Everything else is for a person to read: a message,
//! the chain of causes, and hints.

use std::error::Error as StdError;
use std::fmt::Display;

/// The result of the library's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error means for the caller; see "EXIT STATUS" in `ncf(8)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The operation failed. Nothing changed, or the message says what did.
    Failed,
    /// The command line or a configuration file is wrong.
    Usage,
    /// Not valid in the present state: no open change, one open already, locked by another.
    State,
    /// The configuration was restored, but an interface or a check failed.
    Partial,
}

impl ErrorKind {
    /// The process exit status for this kind.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::State => 3,
            Self::Partial => 4,
        }
    }
}

/// An error with a kind, a cause and hints.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    excerpt: Option<String>,
    hints: Vec<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`. The message is a sentence without a full stop: "cannot read /etc/x".
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            excerpt: None,
            hints: Vec::new(),
            source: None,
        }
    }

    /// An error of kind [`ErrorKind::Failed`].
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// An error of kind [`ErrorKind::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// An error of kind [`ErrorKind::State`].
    pub fn state(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::State, message)
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds the lines of the input that it is about, with a mark under the place.
    #[must_use]
    pub fn excerpt(mut self, lines: impl Into<String>) -> Self {
        self.excerpt = Some(lines.into());
        self
    }

    /// Adds what the reader may do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What the error means for the caller.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The lines of the input that it is about, with a mark under the place.
    pub fn excerpt_lines(&self) -> Option<&str> {
        self.excerpt.as_deref()
    }

    /// What the reader may do next, the most useful first.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The message and all its causes on one line, as in "cannot read x: Permission denied".
    pub fn one_line(&self) -> String {
        let mut line = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&plain(error));
            cause = error.source();
        }
        line
    }
}

/// An error's own words, without Rust's "(os error 13)".
pub fn plain(error: &(dyn StdError + 'static)) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) if text.ends_with(')') => text.get(..at).unwrap_or(&text).to_owned(),
        _ => text,
    }
}

/// Says what was being done when something below failed.
pub trait Context<T> {
    /// Wraps the error as the cause of "`doing`", a clause such as "cannot read /etc/x".
    fn context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    /// Keeps the kind, the excerpt and the hints of the error below.
    fn context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|below| Error {
            kind: below.kind,
            message: doing().to_string(),
            excerpt: below.excerpt.clone(),
            hints: below.hints.clone(),
            source: Some(Box::new(below)),
        })
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|below| Error::failed(doing().to_string()).because(below))
    }
}

impl<T> Context<T> for nix::Result<T> {
    fn context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(std::io::Error::from).context(doing)
    }
}
