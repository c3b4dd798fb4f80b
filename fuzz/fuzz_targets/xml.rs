//! Any bytes as an XML document: refused with a place, or read; then what is written of it is read back the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ncf::xml::{Element, Source, Tree};

fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = Source::read("fuzz.xml", bytes) else {
        return;
    };
    match source.parse() {
        Ok(document) => {
            let written = rewritten(document.root()).to_string();
            let source = Source::new("again.xml", written.clone());
            let again = source
                .parse()
                .unwrap_or_else(|error| panic!("{error}: {written}"));
            assert_eq!(rewritten(again.root()).to_string(), written);
        }
        Err(error) => assert!(error.to_string().starts_with("fuzz.xml"), "{error}"),
    }
});

/// The elements and their texts, without attributes.
fn rewritten(element: Element<'_>) -> Tree {
    let tree = Tree::new(element.name()).and_all(element.children().map(rewritten));
    match element.text() {
        text if text.is_empty() => tree,
        text => tree.and_text(text),
    }
}
