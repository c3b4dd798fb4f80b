//! What is looked at before a text is parsed: depth, and the number of attributes of one element.
//!
//! The parser compares each attribute and each namespace of an element with all others, and takes minutes
//! for a mebibyte of them. This finds tags well enough to count; whether the text is XML is not its concern.

/// How deep elements may be nested. libvirt's own documents need about ten.
pub const MAX_DEPTH: usize = 64;

/// The most attributes that an element may have, namespaces counted.
pub const MAX_ATTRIBUTES: usize = 100;

/// Where the text goes beyond the limits, in bytes, and how; `None` where it does not.
pub(super) fn exceeded(text: &str) -> Option<(usize, String)> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(offset) = text.get(at..)?.find('<') {
        let start = at + offset;
        let rest = text.get(start..)?;
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
        if let Some((open, close)) = skipped.iter().find(|(open, _)| rest.starts_with(open)) {
            let end = rest.get(open.len()..)?.find(close)?;
            at = start + open.len() + end + close.len();
            continue;
        }
        let tag = Tag::of(rest);
        if tag.attributes > MAX_ATTRIBUTES {
            let message = format!("too many attributes: {MAX_ATTRIBUTES} are allowed");
            return Some((start, message));
        }
        if rest.starts_with("</") {
            depth = depth.saturating_sub(1);
        } else {
            if depth >= MAX_DEPTH {
                let message = format!("too deep: {MAX_DEPTH} levels are allowed");
                return Some((start, message));
            }
            depth += usize::from(!tag.is_empty);
        }
        at = start + tag.length;
    }
    None
}

/// A tag, as far as it counts.
struct Tag {
    /// From its `<` to behind its `>`, in bytes.
    length: usize,
    attributes: usize,
    /// Whether it ends with `/>`.
    is_empty: bool,
}

impl Tag {
    /// The tag that the text begins with.
    fn of(text: &str) -> Self {
        let mut quote = None;
        let mut attributes = 0;
        let mut before = b'<';
        for (at, byte) in text.bytes().enumerate().skip(1) {
            match (quote, byte) {
                (Some(open), _) if byte == open => quote = None,
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'=') => attributes += 1,
                (None, b'>') => {
                    return Self {
                        length: at + 1,
                        attributes,
                        is_empty: before == b'/',
                    };
                }
                _ => {}
            }
            before = byte;
        }
        Self {
            length: text.len(),
            attributes,
            is_empty: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tags_count() {
        let inner =
            "<!-- <a b='1' > --><![CDATA[<c><c>]]><?p <c>?><d e='>' f=\"/>\"/>text = <g></g>";
        let text = format!("<a>{}</a>", inner.repeat(100));
        assert_eq!(exceeded(&text), None);
    }

    #[test]
    fn depth_and_attributes_are_limited() {
        let nested = |depth| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert_eq!(exceeded(&nested(MAX_DEPTH)), None);
        let (at, message) = exceeded(&nested(MAX_DEPTH + 1)).unwrap();
        assert_eq!(at, MAX_DEPTH * 3);
        assert!(message.starts_with("too deep"), "{message}");
        let wide = |count: usize| {
            let attributes: Vec<_> = (0..count).map(|n| format!(" a{n}='='")).collect();
            let attributes = attributes.concat();
            format!("<a{attributes}/>")
        };
        assert_eq!(exceeded(&wide(MAX_ATTRIBUTES)), None);
        let (_, message) = exceeded(&wide(MAX_ATTRIBUTES + 1)).unwrap();
        assert!(message.starts_with("too many attributes"), "{message}");
    }
}
