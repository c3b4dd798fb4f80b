//! The structure that `DESIGN.md` asks for, checked in the source text: modules import only from layers
//! below their own, one file prints, and no file grows beyond what can be read in one go.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the top. A module may import from its own row and from those below.
const LAYERS: [&[&str]; 9] = [
    &["main", "cli"],
    &["change"],
    &["vnet", "qos"],
    &["iface"],
    &["apply"],
    &["ifcfg", "xml"],
    &["state"],
    &["sys"],
    // The error's types are re-exported by the crate's root.
    &["error", "Error", "ErrorKind", "Result", "Context"],
];

/// The most lines of code that a file may have, without its tests, comments and blank lines.
const MAX_LINES: usize = 420;

/// The only file that may write to standard output.
const PRINTS: &str = "src/cli/output.rs";

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// The top-level module that a file below `src` belongs to; `None` for `lib.rs`, which names them all.
fn module_of(file: &Path) -> Option<String> {
    let below = file.strip_prefix("src").unwrap_or(file);
    let first = below.components().next()?.as_os_str().to_str()?;
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (module != "lib").then(|| module.to_owned())
}

/// The text without comments. What is in string literals stays; none here has a `//` that matters.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let comment = line.trim_start().starts_with("//");
        if comment { "" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules named in `crate::x` and `crate::{x, y::z}`, with their line numbers.
fn imports(text: &str) -> Vec<(usize, String)> {
    let code = code(text);
    let mut found = Vec::new();
    for prefix in ["crate::", "ncf::"] {
        for (at, _) in code.match_indices(prefix) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let rest = &code[at + prefix.len()..];
            let names = match rest.strip_prefix('{') {
                Some(group) => group_members(group),
                None => vec![identifier(rest)],
            };
            found.extend(names.into_iter().map(|name| (line, name)));
        }
    }
    found
}

/// The first identifiers of a brace group's members: `a` and `b` of `a::{x, y}, b::z}`.
fn group_members(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut members = vec![String::new()];
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(String::new()),
            _ if depth == 0 => members.last_mut().unwrap().push(character),
            _ => {}
        }
    }
    let names = members.iter().map(|member| identifier(member.trim()));
    names.filter(|name| !name.is_empty()).collect()
}

fn identifier(text: &str) -> String {
    let word = text.chars();
    word.take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// What is wrong with a file's imports.
fn violations(file: &Path, text: &str) -> Vec<String> {
    let Some(module) = module_of(file) else {
        return Vec::new();
    };
    let Some(own) = layer_of(&module) else {
        return vec![format!("{}: {module} is in no layer", file.display())];
    };
    let wrong = imports(text).into_iter().filter_map(|(line, imported)| {
        let at = format!("{}:{line}", file.display());
        match layer_of(&imported) {
            Some(layer) if layer >= own => None,
            Some(_) => Some(format!(
                "{at}: {module} imports {imported}, which is above it"
            )),
            None => Some(format!("{at}: {imported} is in no layer")),
        }
    });
    wrong.collect()
}

/// The lines that print to standard output.
fn prints(file: &Path, text: &str) -> Vec<String> {
    let code = code(text);
    let printing = code.lines().enumerate().filter(|(_, line)| {
        ["println!", "print!"].iter().any(|name| {
            line.match_indices(name).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            })
        })
    });
    let printing = printing.map(|(index, _)| format!("{}:{} prints", file.display(), index + 1));
    printing.collect()
}

/// Lines of code before the tests, which begin at the first `#[cfg(test)]` on a module.
fn lines_of_code(text: &str) -> usize {
    let lines = text.lines().map(str::trim);
    lines
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

/// All Rust files below `src`, relative to the package, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = walkdir::WalkDir::new(root.join("src")).sort_by_file_name();
    let files = files.into_iter().map(|entry| entry.unwrap().into_path());
    let sources: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(root).unwrap().to_owned(), text)
        })
        .collect();
    assert!(sources.len() > 5, "the sources were not found");
    sources
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn modules_import_only_from_below() {
    let found: Vec<String> = sources()
        .iter()
        .flat_map(|(file, text)| violations(file, text))
        .collect();
    assert_none(&found);
}

#[test]
fn one_file_prints() {
    let found: Vec<String> = sources()
        .iter()
        .filter(|(file, _)| file != Path::new(PRINTS))
        .flat_map(|(file, text)| prints(file, text))
        .collect();
    assert_none(&found);
}

#[test]
fn files_stay_readable_in_one_go() {
    let found: Vec<String> = sources()
        .iter()
        .map(|(file, text)| (file, lines_of_code(text)))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(file, lines)| format!("{}: {lines} lines of code", file.display()))
        .collect();
    assert_none(&found);
}

#[test]
fn these_checks_find_what_they_look_for() {
    let file = Path::new("src/sys/x.rs");
    for bad in [
        "use crate::apply::Target;",
        "fn f() {\n    crate::change::begin();\n}",
        "use crate::{error::{Error, Result}, apply::Target};",
        "use crate::{\n    error::Error,\n    state::Paths,\n};",
        "pub(crate) use crate::nowhere::X;",
        "let x = ncf::cli::command();",
    ] {
        assert_eq!(violations(file, bad).len(), 1, "{bad}");
    }
    for good in [
        "use crate::error::{Context, Result};",
        "use crate::{Result, sys::name::InterfaceName};",
        "//! [`crate::apply`]\n/// [`crate::change`]\n    // crate::cli",
        "pub(crate) fn f() {}",
    ] {
        assert_none(&violations(file, good));
    }
    assert_eq!(violations(Path::new("src/common.rs"), "").len(), 1);
    assert_none(&violations(Path::new("src/lib.rs"), "use crate::cli::x;"));
    assert_none(&violations(Path::new("src/main.rs"), "use ncf::cli::x;"));

    let text = "// println!\neprintln!();\nprint!(\"\");\n(println!())";
    assert_eq!(prints(file, text).len(), 2);

    let text = "//! Doc\n\nfn f() {\n    // why\n}\n#[cfg(test)]\nmod tests {}\n";
    assert_eq!(lines_of_code(text), 2);
}
