//! One element of a document: what it holds, and errors at its place.

use std::fmt::Display;
use std::ops::Range;

use super::Source;
use crate::{Error, Result};

/// An element and where it stands. Copies are cheap: it points into the document.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a> {
    source: &'a Source,
    node: roxmltree::Node<'a, 'a>,
}

impl<'a> Element<'a> {
    pub(super) fn new(source: &'a Source, node: roxmltree::Node<'a, 'a>) -> Self {
        Self { source, node }
    }

    /// Its name, without a prefix.
    pub fn name(self) -> &'a str {
        self.node.tag_name().name()
    }

    /// Its name as it is written, with its prefix: an empty one too, as in `<:network>`, which the parser lets pass.
    pub(super) fn written_name(self) -> &'a str {
        let inside = self.written().strip_prefix('<').unwrap_or_default();
        let ends = |it: char| it.is_ascii_whitespace() || it == '/' || it == '>';
        inside.split(ends).next().unwrap_or_default()
    }

    /// Its namespace; `None` for the elements of netcf and libvirt themselves.
    pub fn namespace(self) -> Option<&'a str> {
        self.node.tag_name().namespace()
    }

    /// Whether it has this name and no namespace.
    pub fn is(self, name: &str) -> bool {
        self.namespace().is_none() && self.name() == name
    }

    /// Where it stands in the text, in bytes: from its `<` to behind its last `>`.
    pub fn range(self) -> Range<usize> {
        self.node.range()
    }

    /// The element as it is written.
    pub fn written(self) -> &'a str {
        self.source.text().get(self.range()).unwrap_or_default()
    }

    /// The value of an attribute without namespace.
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        self.node.attribute(name)
    }

    /// Where an attribute without namespace stands in the text, in bytes: its name, its value, the quotes.
    pub fn attribute_range(self, name: &str) -> Option<Range<usize>> {
        self.node.attribute_node(name).map(|it| it.range())
    }

    /// The value of an attribute that must be there.
    pub fn required(self, name: &str) -> Result<&'a str> {
        self.attribute(name)
            .ok_or_else(|| self.error(format!("<{}> needs the attribute {name}", self.name())))
    }

    /// The value of an attribute, converted. What `parse` says of a wrong value is what is allowed, a clause
    /// such as "a number from 1 to 4094 is allowed".
    pub fn parsed<T, E: Display>(
        self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>> {
        self.attribute(name)
            .map(|text| parse(text).map_err(|allowed| self.wrong(name, allowed)))
            .transpose()
    }

    /// As [`Element::parsed`], of an attribute that must be there.
    pub fn parsed_required<T, E: Display>(
        self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T> {
        let text = self.required(name)?;
        parse(text).map_err(|allowed| self.wrong(name, allowed))
    }

    /// The value of an attribute that is one of a few words.
    pub fn one_of<T: Copy>(self, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        self.parsed(name, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                format!("{} allowed", are(&words))
            })
        })
    }

    /// The elements directly in it, in order.
    pub fn children(self) -> impl Iterator<Item = Element<'a>> {
        let source = self.source;
        self.node
            .children()
            .filter(roxmltree::Node::is_element)
            .map(move |node| Element { source, node })
    }

    /// The elements of a name directly in it, in order.
    pub fn children_named(self, name: &str) -> impl Iterator<Item = Element<'a>> {
        self.children().filter(move |child| child.is(name))
    }

    /// The element of a name directly in it. Fails where there is more than one.
    pub fn child(self, name: &str) -> Result<Option<Element<'a>>> {
        let mut children = self.children_named(name);
        let first = children.next();
        match children.next() {
            Some(second) => Err(second.error(format!(
                "a second <{name}>: only one is allowed in <{}>",
                self.name()
            ))),
            None => Ok(first),
        }
    }

    /// The text directly in it, without white space around; empty where there is none.
    pub fn text(self) -> String {
        let texts = self.node.children().filter(roxmltree::Node::is_text);
        let text: String = texts.filter_map(|node| node.text()).collect();
        text.trim().to_owned()
    }

    /// Fails where it has attributes other than these, or in a namespace.
    pub fn allow_attributes(self, allowed: &[&str]) -> Result<()> {
        for attribute in self.node.attributes() {
            let known = attribute.namespace().is_none() && allowed.contains(&attribute.name());
            if !known {
                let message = format!(
                    "<{}> has no attribute {}: {}",
                    self.name(),
                    attribute.name(),
                    only(allowed, |it| (*it).to_owned())
                );
                return Err(self.source.error_at(attribute.range().start, message));
            }
        }
        Ok(())
    }

    /// Fails where there are elements in it other than these, or text.
    pub fn allow_children(self, allowed: &[&str]) -> Result<()> {
        for child in self.children() {
            if child.namespace().is_some() || !allowed.contains(&child.name()) {
                return Err(child.error(format!(
                    "<{}> is not allowed in <{}>: {}",
                    child.name(),
                    self.name(),
                    only(allowed, |it| format!("<{it}>"))
                )));
            }
        }
        let text = self
            .node
            .children()
            .find(|node| node.is_text() && node.text().is_some_and(|text| !text.trim().is_empty()));
        match text {
            Some(node) => {
                let lead = node.text().unwrap_or_default();
                let lead = lead.len() - lead.trim_start().len();
                let at = node.range().start + lead;
                Err(self
                    .source
                    .error_at(at, format!("text is not allowed in <{}>", self.name())))
            }
            None => Ok(()),
        }
    }

    /// The error for the element as a whole.
    pub fn error(self, message: impl Display) -> Error {
        self.source.error_at(self.range().start, message)
    }

    /// The error for the value of an attribute: "`vlan tag="5000" is wrong: a number from 1 to 4094 is allowed`".
    pub fn wrong(self, attribute: &str, allowed: impl Display) -> Error {
        match self.node.attribute_node(attribute) {
            Some(node) => self.source.error_at(
                node.range_value().start,
                format!(
                    "{} {attribute}={:?} is wrong: {allowed}",
                    self.name(),
                    node.value()
                ),
            ),
            None => self.error(allowed),
        }
    }
}

/// "only a, b and c are allowed".
fn only(allowed: &[&str], show: impl Fn(&&str) -> String) -> String {
    if allowed.is_empty() {
        return "none is allowed".to_owned();
    }
    let shown: Vec<_> = allowed.iter().map(show).collect();
    let shown: Vec<_> = shown.iter().map(String::as_str).collect();
    format!("only {} allowed", are(&shown))
}

/// "a is", "a and b are", "a, b and c are".
fn are(words: &[&str]) -> String {
    match words {
        [] => "nothing is".to_owned(),
        [one] => format!("{one} is"),
        [first @ .., last] => format!("{} and {last} are", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "<vlan tag='5000'>\n  <interface name='eth0'/>\n  <bad/>text\n</vlan>";

    #[test]
    fn wrong_values_are_named_with_what_is_allowed() {
        let source = Source::new("x", TEXT);
        let document = source.parse().unwrap();
        let root = document.root();
        let error = root
            .parsed("tag", |_| {
                Err::<(), _>("a number from 1 to 4094 is allowed")
            })
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "x:1:12: vlan tag=\"5000\" is wrong: a number from 1 to 4094 is allowed"
        );
        let error = root
            .one_of("tag", &[("on", true), ("off", false)])
            .unwrap_err();
        assert!(
            error.to_string().ends_with("on and off are allowed"),
            "{error}"
        );
        let error = root.required("id").unwrap_err();
        assert_eq!(error.to_string(), "x:1:1: <vlan> needs the attribute id");
    }

    #[test]
    fn what_is_not_allowed_is_refused_at_its_place() {
        let source = Source::new("x", TEXT);
        let document = source.parse().unwrap();
        let root = document.root();
        let error = root.allow_attributes(&["id", "mode"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "x:1:7: <vlan> has no attribute tag: only id and mode are allowed"
        );
        let error = root.allow_children(&["interface"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "x:3:3: <bad> is not allowed in <vlan>: only <interface> is allowed"
        );
        let error = root.allow_children(&["interface", "bad"]).unwrap_err();
        assert_eq!(error.to_string(), "x:3:9: text is not allowed in <vlan>");
        assert!(root.child("interface").unwrap().is_some());
    }
}
