//! Changes to a document's text that leave everything else byte for byte as it was.
//!
//! A definition is somebody's text, with comments and an order of its own, and elements that ncf knows nothing
//! of. So a change is a list of places and what stands there afterwards, not a tree that is printed anew.

use std::ops::Range;

use super::{Element, Source};

/// Changes to one text, collected and then made at once.
#[derive(Debug)]
pub struct Edit<'a> {
    source: &'a Source,
    changes: Vec<(Range<usize>, String)>,
}

impl<'a> Edit<'a> {
    /// No change yet to the text of `source`.
    pub fn new(source: &'a Source) -> Self {
        Self {
            source,
            changes: Vec::new(),
        }
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Puts `written` on a line of its own behind `element`, indented as it is.
    pub fn insert_after(&mut self, element: Element<'_>, written: &str) {
        let at = element.range().end;
        let lead = self.lead(element.range().start);
        self.push(at..at, format!("{lead}{}", written.trim_end()));
    }

    /// Puts `written` on a line of its own before `element`, indented as it is.
    pub fn insert_before(&mut self, element: Element<'_>, written: &str) {
        let at = element.range().start;
        let lead = self.lead(at);
        self.push(at..at, format!("{}{lead}", written.trim_end()));
    }

    /// Puts `written` into `parent`, behind all that is in it.
    pub fn append(&mut self, parent: Element<'_>, written: &str) {
        if let Some(last) = parent.children().last() {
            return self.insert_after(last, written);
        }
        let range = parent.range();
        let outer = self.lead(range.start);
        let inner = if outer.is_empty() {
            String::new()
        } else {
            format!("{outer}  ")
        };
        let text = parent.written();
        let (written, name) = (written.trim_end(), parent.written_name());
        if text.ends_with("/>") {
            let head = text.strip_suffix("/>").unwrap_or_default().trim_end();
            let start = range.start + head.len();
            let content = format!(">{inner}{written}{outer}</{name}>");
            self.push(start..range.end, content);
        } else {
            // Empty but for white space or text: behind it, before the end tag.
            let close = text.rfind("</").unwrap_or(text.len());
            let kept = text.get(..close).unwrap_or_default().trim_end().len();
            let start = range.start + kept;
            self.push(
                start..range.start + close,
                format!("{inner}{written}{outer}"),
            );
        }
    }

    /// Puts `written` in the place of `element`.
    pub fn replace(&mut self, element: Element<'_>, written: &str) {
        self.push(element.range(), written.trim().to_owned());
    }

    /// Puts `written` in the place of these bytes, such as those of [`Element::attribute_range`].
    pub fn replace_range(&mut self, range: Range<usize>, written: &str) {
        self.push(range, written.to_owned());
    }

    /// The end of a line and the indentation that `element` stands behind; empty where something else is before it.
    pub fn indentation(&self, element: Element<'_>) -> String {
        self.lead(element.range().start)
    }

    /// Takes `element` out, and the line that it stood on where nothing else does.
    pub fn remove(&mut self, element: Element<'_>) {
        let range = element.range();
        let before = self.source.text().get(..range.start).unwrap_or_default();
        let start = before.trim_end_matches([' ', '\t']).len();
        let alone = before
            .get(..start)
            .is_some_and(|before| before.ends_with('\n'));
        let start = if alone {
            let line = before.get(..start).unwrap_or_default();
            let line = line.strip_suffix('\n').unwrap_or(line);
            line.strip_suffix('\r').unwrap_or(line).len()
        } else {
            range.start
        };
        self.push(start..range.end, String::new());
    }

    /// Gives `element` an attribute that it does not have, before the others.
    pub fn add_attribute(&mut self, element: Element<'_>, name: &str, value: &str) {
        let at = element.range().start + 1 + element.written_name().len();
        let quoted = super::Tree::new("a").with(name, value).to_string();
        let quoted = quoted.trim_start_matches("<a").trim_end();
        let quoted = quoted.strip_suffix("/>").unwrap_or(quoted);
        self.push(at..at, quoted.to_owned());
    }

    /// Takes an attribute and the white space before it away, if `element` has it.
    pub fn remove_attribute(&mut self, element: Element<'_>, name: &str) {
        let Some(range) = element.attribute_range(name) else {
            return;
        };
        let before = self.source.text().get(..range.start).unwrap_or_default();
        self.push(before.trim_end().len()..range.end, String::new());
    }

    /// The text with all changes made.
    pub fn finish(mut self) -> String {
        // Stable: what was inserted at one place stays in the order in which it was.
        // An insertion goes before what is taken away from there; a change inside what goes is moot.
        self.changes
            .sort_by_key(|(range, _)| (range.start, !range.is_empty()));
        let text = self.source.text();
        let mut out = String::with_capacity(text.len() + 256);
        let mut at = 0;
        for (range, written) in self.changes {
            if range.start >= at {
                out.push_str(text.get(at..range.start).unwrap_or_default());
                out.push_str(&written);
                at = range.end;
            }
        }
        out.push_str(text.get(at..).unwrap_or_default());
        out
    }

    fn push(&mut self, range: Range<usize>, written: String) {
        self.changes.push((range, written));
    }

    /// The end of a line and the indentation that stand before the byte `at`; empty where something else does.
    fn lead(&self, at: usize) -> String {
        let before = self.source.text().get(..at).unwrap_or_default();
        let line = before.trim_end_matches([' ', '\t']).len();
        let indent = before.get(line..).unwrap_or_default();
        match before.get(..line) {
            Some("") => format!("\n{indent}"),
            Some(before) if before.ends_with("\r\n") => format!("\r\n{indent}"),
            Some(before) if before.ends_with('\n') => format!("\n{indent}"),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, change: impl FnOnce(Element<'_>, &mut Edit<'_>)) -> String {
        let source = Source::new("x", text);
        let document = source.parse().unwrap();
        let mut edit = Edit::new(&source);
        change(document.root(), &mut edit);
        edit.finish()
    }

    fn named<'a>(root: Element<'a>, name: &str) -> Element<'a> {
        root.child(name).unwrap().unwrap()
    }

    const TEXT: &str = "<a>\n  <!-- c -->\n  <b x='1'  y='2'/>\n  <c/>\n</a>\n";

    #[test]
    fn only_the_place_changes() {
        let after = edited(TEXT, |root, edit| {
            edit.insert_after(named(root, "b"), "<n/>\n");
        });
        assert_eq!(after, TEXT.replace("  <c/>", "  <n/>\n  <c/>"));
        let before = edited(TEXT, |root, edit| {
            edit.insert_before(named(root, "b"), "<n/>");
        });
        assert_eq!(before, TEXT.replace("  <b", "  <n/>\n  <b"));
        let gone = edited(TEXT, |root, edit| edit.remove(named(root, "b")));
        assert_eq!(gone, "<a>\n  <!-- c -->\n  <c/>\n</a>\n");
        let other = edited(TEXT, |root, edit| {
            edit.replace(named(root, "b"), "<n>\n</n>");
        });
        assert_eq!(other, TEXT.replace("<b x='1'  y='2'/>", "<n>\n</n>"));
    }

    #[test]
    fn attributes_come_and_go() {
        let more = edited(TEXT, |root, edit| {
            edit.add_attribute(named(root, "b"), "n", "<\"");
            edit.remove_attribute(named(root, "b"), "y");
            edit.remove_attribute(named(root, "b"), "z");
        });
        assert_eq!(
            more,
            TEXT.replace("<b x='1'  y='2'/>", "<b n=\"&lt;&quot;\" x='1'/>")
        );
    }

    #[test]
    fn a_name_is_what_is_written() {
        let more = edited("<:a><:b/></:a>", |root, edit| {
            edit.add_attribute(root, "n", "1");
            edit.append(named(root, "b"), "<c/>");
        });
        assert_eq!(more, "<:a n=\"1\"><:b><c/></:b></:a>");
        let prefixed = "<p:a xmlns:p='urn:p'/>";
        let more = edited(prefixed, |root, edit| edit.append(root, "<c/>"));
        assert_eq!(more, "<p:a xmlns:p='urn:p'>\n  <c/>\n</p:a>");
    }

    #[test]
    fn an_empty_element_is_opened() {
        for (text, expected) in [
            ("<a/>", "<a>\n  <n/>\n</a>"),
            ("<a />", "<a>\n  <n/>\n</a>"),
            ("<a>\n</a>", "<a>\n  <n/>\n</a>"),
            ("<a><b></b></a>", "<a><b></b><n/></a>"),
            ("<a>\n  <b/>\n</a>", "<a>\n  <b/>\n  <n/>\n</a>"),
        ] {
            let out = edited(text, |root, edit| edit.append(root, "<n/>"));
            assert_eq!(out, expected, "{text}");
        }
        let inner = edited("<a>\n  <b x='1'/>\n</a>", |root, edit| {
            edit.append(named(root, "b"), "<n/>");
        });
        assert_eq!(inner, "<a>\n  <b x='1'>\n    <n/>\n  </b>\n</a>");
    }

    #[test]
    fn the_ends_of_lines_are_those_of_the_text() {
        let out = edited("<a>\r\n  <b/>\r\n</a>", |root, edit| {
            edit.insert_after(named(root, "b"), "<n/>");
        });
        assert_eq!(out, "<a>\r\n  <b/>\r\n  <n/>\r\n</a>");
        let out = edited("<a>\r\n  <b/>\r\n</a>", |root, edit| {
            edit.remove(named(root, "b"));
        });
        assert_eq!(out, "<a>\r\n</a>");
    }
}
