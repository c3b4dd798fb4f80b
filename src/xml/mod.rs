//! XML from outside: read with limits, and with errors that say where and what is allowed there.
//!
//! Definitions come from files, pipes and other hosts, so a document is read as if an enemy had written it:
//! at most [`MAX_SIZE`] bytes, [`MAX_DEPTH`] levels and [`MAX_ATTRIBUTES`] to an element, UTF-8, and no document type, hence no entities that
//! could grow or read files. `roxmltree` does the parsing; this adds the limits, and errors in the form
//! `file:line:column` with the line itself and a mark under the place. Deriving a deserializer from the types was
//! rejected: it loses the positions and all that it does not know.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | [`Source`], a text with its name; [`Document`] |
//! | `limits` | what is refused before it is parsed |
//! | `element` | [`Element`]: attributes, children, what is allowed |
//! | `write` | [`Tree`]: elements to be printed |

mod element;
mod limits;
mod write;

use std::fmt::Display;
use std::io::Read;

pub use element::Element;
pub use limits::{MAX_ATTRIBUTES, MAX_DEPTH};
pub use write::Tree;

use crate::error::Context;
use crate::{Error, Result};

/// The most bytes that a document may have: room for ten thousand devices or a guest with hundreds of disks.
pub const MAX_SIZE: usize = 1 << 20;

/// The most elements, attributes not counted, texts and comments included.
const MAX_NODES: u32 = 100_000;

/// The longest part of a line that an error shows.
const MAX_EXCERPT: usize = 100;

/// The text of a document, with the name that errors call it by.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    text: String,
}

impl Source {
    /// A text; `name` is its file's, or says where it came from.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// Reads a text to its end.
    ///
    /// Fails where it cannot be read, is longer than [`MAX_SIZE`] or not UTF-8.
    pub fn read(name: impl Into<String>, from: impl Read) -> Result<Self> {
        let name = name.into();
        let mut bytes = Vec::new();
        from.take(MAX_SIZE as u64 + 1)
            .read_to_end(&mut bytes)
            .context(|| format!("cannot read {name}"))?;
        if bytes.len() > MAX_SIZE {
            return Err(too_large(&name));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let valid = error.as_bytes().get(..at).unwrap_or_default();
                let source = Self::new(name, String::from_utf8_lossy(valid));
                Err(source.error_at(at, "only UTF-8 is allowed here"))
            }
        }
    }

    /// The text's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Parses the text.
    ///
    /// Fails where it is not well-formed XML, has a document type (`<!DOCTYPE>`), or is larger or deeper than
    /// the limits.
    pub fn parse(&self) -> Result<Document<'_>> {
        if self.text.len() > MAX_SIZE {
            return Err(too_large(&self.name));
        }
        if let Some((at, message)) = limits::exceeded(&self.text) {
            return Err(self.error_at(at, message));
        }
        let options = roxmltree::ParsingOptions {
            allow_dtd: false,
            nodes_limit: MAX_NODES,
            ..roxmltree::ParsingOptions::default()
        };
        let tree = roxmltree::Document::parse_with_options(&self.text, options)
            .map_err(|error| self.malformed(&error))?;
        Ok(Document { source: self, tree })
    }

    /// The error for a place in the text.
    pub fn error_at(&self, byte: usize, message: impl Display) -> Error {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line = 1 + before.matches('\n').count();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let prefix = before.get(start..).unwrap_or_default();
        let whole = self.text.get(start..).unwrap_or_default();
        let whole = whole.lines().next().unwrap_or_default();
        let column = 1 + prefix.chars().count();
        let error = Error::failed(format!("{}:{line}:{column}: {message}", self.name));
        match excerpt(whole, column - 1) {
            Some(excerpt) => error.excerpt(excerpt),
            None => error,
        }
    }

    fn malformed(&self, error: &roxmltree::Error) -> Error {
        use roxmltree::Error as E;
        match error {
            E::DtdDetected => {
                let at = self.text.find("<!DOCTYPE").unwrap_or_default();
                self.error_at(
                    at,
                    "a document type is not allowed, nor are entities of one's own",
                )
            }
            E::NoRootNode => Error::failed(format!("{}: there is no element in it", self.name)),
            E::UnclosedRootNode => self.error_at(
                self.text.len(),
                "it ends before the last element is closed: is the file complete?",
            ),
            E::NodesLimitReached | E::AttributesLimitReached | E::NamespacesLimitReached => {
                Error::failed(format!(
                    "{}: too many elements: {MAX_NODES} are allowed",
                    self.name
                ))
            }
            E::UnexpectedCloseTag(expected, actual, _) => {
                let message = format!("</{actual}> closes nothing: </{expected}> is due first");
                self.error_at(self.byte_of(error.pos()), message)
            }
            E::UnknownEntityReference(name, _) => {
                let message = format!(
                    "the entity &{name}; is not known: &amp; &lt; &gt; &quot; &apos; and numbers as in &#38; are"
                );
                self.error_at(self.byte_of(error.pos()), message)
            }
            E::MalformedEntityReference(_) => self.error_at(
                self.byte_of(error.pos()),
                "a '&' that stands for itself is written &amp;",
            ),
            E::DuplicatedAttribute(name, _) => {
                let message = format!("the attribute {name} is given twice");
                self.error_at(self.byte_of(error.pos()), message)
            }
            other => {
                // Their words end in the position, which stands in front already.
                let text = other.to_string();
                let text = text.split(" at ").next().unwrap_or(&text);
                self.error_at(
                    self.byte_of(error.pos()),
                    format!("this is not XML: {text}"),
                )
            }
        }
    }

    /// The byte at a line and column, both counted from 1, the column in characters.
    fn byte_of(&self, at: roxmltree::TextPos) -> usize {
        let mut start = 0;
        for _ in 1..at.row {
            let rest = self.text.get(start..).unwrap_or_default();
            start += rest.find('\n').map_or(rest.len(), |end| end + 1);
        }
        let rest = self.text.get(start..).unwrap_or_default();
        let column = usize::try_from(at.col)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let offset = rest.char_indices().nth(column);
        start + offset.map_or(rest.len(), |(offset, _)| offset)
    }
}

fn too_large(name: &str) -> Error {
    Error::failed(format!(
        "{name} is too large: at most {MAX_SIZE} bytes are allowed"
    ))
}

/// The line with a mark under the character at `at`; `None` where there is nothing to show.
fn excerpt(line: &str, at: usize) -> Option<String> {
    if line.trim().is_empty() {
        return None;
    }
    // Of a long line, what is around the place.
    let skip = if at >= MAX_EXCERPT {
        at - MAX_EXCERPT / 2
    } else {
        0
    };
    let shown = line.chars().skip(skip).take(MAX_EXCERPT);
    let shown: String = shown
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect();
    let mark = format!("{}^", " ".repeat(at - skip));
    Some(format!("  {}\n  {mark}", shown.trim_end()))
}

/// A parsed document.
#[derive(Debug)]
pub struct Document<'a> {
    source: &'a Source,
    tree: roxmltree::Document<'a>,
}

impl Document<'_> {
    /// The outermost element.
    pub fn root(&self) -> Element<'_> {
        Element::new(self.source, self.tree.root_element())
    }

    /// What was parsed.
    pub fn source(&self) -> &Source {
        self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Error {
        Source::new("net.xml", text).parse().err().unwrap()
    }

    #[test]
    fn a_document_that_is_no_xml_is_refused_with_its_place() {
        for (text, expected) in [
            ("", "net.xml: there is no element in it"),
            (
                "<a>\n <b></a>",
                "net.xml:2:5: </a> closes nothing: </b> is due first",
            ),
            ("<a>\n <b>", "net.xml:2:5: it ends before"),
            ("<a b='&x;'/>", "net.xml:1:7: the entity &x; is not known"),
            (
                "<a b='1' b='2'/>",
                "net.xml:1:10: the attribute b is given twice",
            ),
            ("<a>é&</a>", "net.xml:1:5: a '&' that stands for itself"),
            ("<a b=1/>", "net.xml:1:6: this is not XML: "),
        ] {
            let error = error(text).to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn document_types_and_their_entities_are_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"cc\">]>\n<a>&b;</a>";
        let error = error(bomb);
        assert!(
            error
                .to_string()
                .starts_with("net.xml:1:1: a document type"),
            "{error}"
        );
    }

    #[test]
    fn size_depth_and_number_are_limited() {
        // As deep as the size allows: the stack must not be what limits it.
        let open = MAX_SIZE / 7;
        let abyss = format!("{}{}", "<a>".repeat(open), "</a>".repeat(open));
        assert!(error(&abyss).to_string().contains("too deep"));
        let many = format!("<a>{}</a>", "<b/>".repeat(100_001));
        assert!(error(&many).to_string().contains("too many"));
        let large = vec![b' '; MAX_SIZE + 1];
        let error = Source::read("x", large.as_slice()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "x is too large: at most 1048576 bytes are allowed"
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused_with_their_place() {
        let error = Source::read("x", &b"<a>\n  \xff</a>"[..]).unwrap_err();
        assert_eq!(error.to_string(), "x:2:3: only UTF-8 is allowed here");
    }

    #[test]
    fn an_error_shows_the_line_and_marks_the_place() {
        let source = Source::new("x", "<a>\n\t<b c='d'/>\n</a>");
        let error = source.error_at(source.text().find("c=").unwrap(), "bad");
        assert_eq!(error.to_string(), "x:2:5: bad");
        assert_eq!(error.excerpt_lines(), Some("   <b c='d'/>\n      ^"));
    }
}
