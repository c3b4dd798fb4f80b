//! Elements to be printed, indented by two as libxml2 does.

use std::fmt::{self, Display};

/// An element with its attributes and children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Child>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Child {
    Element(Tree),
    Text(String),
    Verbatim(String),
}

impl Tree {
    /// An element without attributes and children.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            attributes: Vec::new(),
            children: Vec::new(),
        }
    }

    /// With an attribute behind those that it has.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.attributes.push((name.to_owned(), value.to_string()));
        self
    }

    /// With an attribute, if there is a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds an element behind those that it has.
    pub fn push(&mut self, child: Self) {
        self.children.push(Child::Element(child));
    }

    /// With an element behind those that it has.
    #[must_use]
    pub fn and(mut self, child: Self) -> Self {
        self.push(child);
        self
    }

    /// With elements behind those that it has.
    #[must_use]
    pub fn and_all(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children
            .extend(children.into_iter().map(Child::Element));
        self
    }

    /// With text, which is escaped.
    #[must_use]
    pub fn and_text(mut self, text: impl Display) -> Self {
        self.children.push(Child::Text(text.to_string()));
        self
    }

    /// Adds an element as it was written elsewhere, byte for byte; only its first line is indented.
    pub fn push_verbatim(&mut self, written: impl Into<String>) {
        self.children.push(Child::Verbatim(written.into()));
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        write!(f, "{:indent$}<{}", "", self.name)?;
        for (name, value) in &self.attributes {
            write!(
                f,
                " {name}=\"{}\"",
                Escaped {
                    text: value,
                    quotes: true
                }
            )?;
        }
        if self.children.is_empty() {
            return writeln!(f, "/>");
        }
        f.write_str(">")?;
        let only_text = |child: &Child| matches!(child, Child::Text(_));
        if self.children.iter().all(only_text) {
            for child in &self.children {
                if let Child::Text(text) = child {
                    write!(
                        f,
                        "{}",
                        Escaped {
                            text,
                            quotes: false
                        }
                    )?;
                }
            }
            return writeln!(f, "</{}>", self.name);
        }
        f.write_str("\n")?;
        let inner = indent + 2;
        for child in &self.children {
            match child {
                Child::Element(tree) => tree.write(f, inner)?,
                Child::Text(text) => {
                    writeln!(
                        f,
                        "{:inner$}{}",
                        "",
                        Escaped {
                            text,
                            quotes: false
                        }
                    )?;
                }
                Child::Verbatim(text) => writeln!(f, "{:inner$}{text}", "")?,
            }
        }
        writeln!(f, "{:indent$}</{}>", "", self.name)
    }
}

/// The element and all in it, each on a line of its own; the last ends with a newline.
impl Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// Text with what XML gives a meaning escaped.
struct Escaped<'a> {
    text: &'a str,
    /// Whether it stands between quotes: then white space that a reader would turn into blanks is escaped too.
    quotes: bool,
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.text.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' if self.quotes => f.write_str("&quot;")?,
                '\n' | '\t' if self.quotes => write!(f, "&#{};", u32::from(character))?,
                '\r' => f.write_str("&#13;")?,
                _ => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Source;

    #[test]
    fn what_is_written_is_read_back_the_same() {
        let odd = "a<b>&\"'\n\t\r é";
        let tree = Tree::new("a")
            .with("b", odd)
            .and(Tree::new("c").and_text(odd));
        let source = Source::new("x", tree.to_string());
        let document = source.parse().unwrap();
        assert_eq!(document.root().attribute("b"), Some(odd));
        let c = document.root().child("c").unwrap().unwrap();
        assert_eq!(c.text(), odd.trim());
    }

    #[test]
    fn elements_are_indented() {
        let mut tree = Tree::new("a")
            .with("n", 1)
            .and(Tree::new("b").and(Tree::new("c")));
        tree.push_verbatim("<d>\n  </d>");
        assert_eq!(
            tree.to_string(),
            "<a n=\"1\">\n  <b>\n    <c/>\n  </b>\n  <d>\n  </d>\n</a>\n"
        );
    }
}
