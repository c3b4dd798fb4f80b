//! netcf's own pairs of interfaces and files, in both directions. They are not part of the project.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use ncf::iface::xml;
use ncf::xml::{Element, Source};
use support::memory::Memory;
use support::need;

const PAIRS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/netcf");

/// A file's name with its keys and values, in order.
type FileKeys = (String, Vec<(String, String)>);

/// The pairs: the name, the interface's XML, and the files.
fn pairs() -> Vec<(String, String, Vec<FileKeys>)> {
    let dir = Path::new(PAIRS);
    if !dir.exists() {
        need::say(&format!(
            "SKIPPED: {PAIRS} is not there, with netcf's pairs"
        ));
        return Vec::new();
    }
    let mut names: Vec<_> = fs::read_dir(dir.join("redhat"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    let pair = |name: String| {
        let interface = read(dir.join("interface").join(&name));
        let forest = Source::new(&name, read(dir.join("redhat").join(&name)));
        let document = forest.parse().unwrap();
        let files = document.root().children_named("tree").map(file).collect();
        (name, interface, files)
    };
    names.into_iter().map(pair).collect()
}

fn file(tree: Element<'_>) -> FileKeys {
    let path = tree.attribute("path").unwrap();
    let (_, name) = path.rsplit_once('/').unwrap();
    let value = |node: Element<'_>, name| node.attribute(name).unwrap().to_owned();
    let nodes = tree.children_named("node");
    let keys = nodes.map(|node| (value(node, "label"), value(node, "value")));
    (name.to_owned(), keys.collect())
}

fn text((_, keys): &FileKeys) -> String {
    let lines = keys.iter().map(|(key, value)| format!("{key}={value}\n"));
    lines.collect()
}

/// With everything that files cannot keep made the same: white space, comments, the order of ports.
fn normal(name: &str, text: &str) -> String {
    let mut interface = xml::read(&Source::new(name, text)).unwrap();
    support::memory::sort_ports(&mut interface);
    xml::write(&interface).to_string()
}

#[test]
fn a_definition_writes_the_keys_that_netcf_writes() {
    for (name, interface, files) in pairs() {
        let mut memory = Memory::default();
        memory.define_xml(&interface).unwrap();
        let written = memory.0.len();
        assert_eq!(written, files.len(), "{name}");
        for file in &files {
            assert_eq!(memory.text(&file.0), text(file), "{name}: {}", file.0);
        }
    }
}

#[test]
fn files_are_shown_as_netcf_shows_them() {
    for (name, interface, files) in pairs() {
        let texts: Vec<_> = files
            .iter()
            .map(|file| (file.0.as_str(), text(file)))
            .collect();
        let texts: Vec<_> = texts
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        let memory = Memory::with(&texts);
        let wanted = xml::read(&Source::new(&name, interface.as_str())).unwrap();
        let described = memory.describe(wanted.name.as_str()).unwrap();
        assert!(described.warnings.is_empty(), "{name}: {described:?}");
        let shown = xml::write(&described.interface).to_string();
        assert_eq!(normal(&name, &shown), normal(&name, &interface), "{name}");
        assert_eq!(memory.interfaces(), [wanted.name.as_str()], "{name}");
    }
}

#[test]
fn a_definition_over_itself_changes_no_byte() {
    for (name, interface, _) in pairs() {
        let mut memory = Memory::default();
        memory.define_xml(&interface).unwrap();
        let again = memory.define_xml(&interface).unwrap();
        assert_eq!(again.files, [], "{name}");
        assert_eq!(
            memory.redefine_all().unwrap(),
            Vec::<OsString>::new(),
            "{name}"
        );
    }
}
