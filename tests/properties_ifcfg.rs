//! The reader of shell-variable files agrees with real shells, and loses nothing; what is built on it takes any
//! bytes without panicking.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that cannot go on fails the test"
)]

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};

use ncf::iface::backend::{Backend, Dependencies, Files};
use ncf::iface::network_scripts::NetworkScripts;
use ncf::iface::order;
use ncf::ifcfg::{Content, File};
use ncf::sys::name::InterfaceName;
use proptest::prelude::*;

/// What a shell says `$A` is after each of `files`; `None` where it is not set.
///
/// One shell for all of them, each in a subshell of its own. `PATH` is empty: a sample that happens to be
/// a command runs nothing.
fn ask(shell: &str, files: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    let dir = tempfile::tempdir().unwrap();
    for (at, file) in files.iter().enumerate() {
        std::fs::write(dir.path().join(format!("{at}.in")), file).unwrap();
    }
    let script = "at=0; while [ $at -lt $1 ]; do \
        (unset A B; . ./$at.in; printf '%s' \"${A+=}${A}\" >./$at.out); at=$((at+1)); done";
    Command::new(shell)
        .args(["-c", script, "ask", &files.len().to_string()])
        .current_dir(dir.path())
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/home")
        .env("PATH", "/nonexistent")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    (0..files.len())
        .map(|at| answer(&dir.path().join(format!("{at}.out"))))
        .collect()
}

fn answer(path: &Path) -> Option<Vec<u8>> {
    let said = std::fs::read(path).unwrap_or_default();
    said.split_first().map(|(_, value)| value.to_vec())
}

/// Whether no comparison can be made: an expansion that fails or is malformed ends the file, and quotations with a dollar sign are
/// bash's alone.
fn is_beyond(shell: &str, file: &[u8]) -> bool {
    let has = |text: &[u8]| file.windows(text.len()).any(|window| window == text);
    has(b"${") || has(b"$(") || shell == "/bin/sh" && (has(b"$'") || has(b"$\"") || has(b"$\\"))
}

/// Compares what is known of `$A` without executing anything with what the shell says. Says how many
/// samples had a known value.
fn compare(shell: &str, files: &[Vec<u8>]) -> Result<usize, TestCaseError> {
    let mut known = 0;
    for (file, said) in files.iter().zip(ask(shell, files)) {
        let parsed = File::parse(file);
        prop_assert_eq!(&parsed.to_bytes(), file);
        if !parsed.code().is_empty() || is_beyond(shell, file) {
            continue;
        }
        let ours = match parsed.get("A").map(|value| value.content) {
            Some(Content::Dynamic(_)) => continue,
            Some(Content::Static(bytes)) => Some(bytes),
            None => None,
        };
        known += usize::from(ours.is_some());
        prop_assert_eq!(
            ours.as_deref().map(String::from_utf8_lossy),
            said.as_deref().map(String::from_utf8_lossy),
            "{} reads {:?} otherwise",
            shell,
            String::from_utf8_lossy(file)
        );
    }
    Ok(known)
}

/// Files out of pieces that mean something to a shell.
///
/// Backquotes are extra: what is malformed inside them spoils the file for dash, for bash only the command.
fn soup(extra: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let mut pieces = vec![
        "A=",
        "\nA=",
        " A=",
        ";A=",
        "B=",
        "'",
        "'",
        "\"",
        "\"",
        "\\",
        "$",
        " ",
        "\n",
        ";",
        "#",
        " #",
        "~",
        ":",
        "a",
        "b",
        "b",
        "{",
        "}",
        ",",
        "=",
        "unset A\n",
        "é",
        "\t",
        "(",
        ")",
        "&",
        "|",
        "\\\n",
        "*",
        "\r",
        "!",
    ];
    pieces.extend(extra);
    proptest::collection::vec(proptest::sample::select(pieces), 0..14)
        .prop_map(|pieces| format!("A={}", pieces.concat()).into_bytes())
}

/// Pieces of `"…"`.
const IN_DOUBLE: &[&str] = &[
    "a", " ", "\\\\", "\\\"", "\\$", "\\`", "\\a", "\\\n", "'", "#", "~", "\n", "$ ", "\\'",
];

/// Pieces without quotation.
const BARE: &[&str] = &[
    "a", "0", "\\ ", "\\'", "\\\\", "\\$", "\\\n", "#", "a~", "=", ",", "*", "[", "]", "%", "\\a",
    "$.",
];

/// Pieces of `$'…'`.
const IN_ANSI: &[&str] = &[
    "a",
    "\\n",
    "\\'",
    "\\\\",
    "\\x41",
    "\\x4g",
    "\\xg",
    "\\101",
    "\\7z",
    "\\777",
    "\\u00e9",
    "\\u41z",
    "\\U0001f600",
    "\\e",
    "\\q",
    "\"",
    "\\\"",
    "\\?",
    "\\cA",
    "\\cz",
    "\\\n",
    "$",
    "`",
    " ",
    "\\u",
    "\\t",
];

/// Values that are well formed: pieces of each quotation, put together.
fn quoted(bash: bool) -> impl Strategy<Value = Vec<u8>> {
    let inside = "[a-c0-9 #~:$;&()=*!\n\t{},é-]{0,5}";
    let single = inside.prop_map(|text| format!("'{text}'"));
    let double = proptest::collection::vec(proptest::sample::select(IN_DOUBLE), 0..5)
        .prop_map(|pieces| format!("\"{}\"", pieces.concat()));
    let bare = proptest::collection::vec(proptest::sample::select(BARE), 0..5)
        .prop_map(|pieces| pieces.concat());
    let ansi = proptest::collection::vec(proptest::sample::select(IN_ANSI), 0..5).prop_map(
        move |pieces| {
            if bash {
                format!("$'{}'", pieces.concat())
            } else {
                "x".to_owned()
            }
        },
    );
    let ends = proptest::sample::select(vec!["\n", " # c\n", "", " B=2", "; B=2\n", "\nA+=z\n"]);
    (
        proptest::collection::vec(prop_oneof![single, double, bare, ansi], 0..5),
        ends,
    )
        .prop_map(move |(pieces, end)| {
            let end = if bash {
                end
            } else {
                end.trim_end_matches("A+=z\n")
            };
            format!("A={}{end}", pieces.concat()).into_bytes()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bash_reads_well_formed_values_the_same(
        files in proptest::collection::vec(quoted(true), 150)
    ) {
        let known = compare("/bin/bash", &files)?;
        prop_assert!(known > 100, "only {} of 150 values were known", known);
    }

    #[test]
    fn sh_reads_well_formed_values_the_same(
        files in proptest::collection::vec(quoted(false), 150)
    ) {
        let known = compare("/bin/sh", &files)?;
        prop_assert!(known > 100, "only {} of 150 values were known", known);
    }

    #[test]
    fn bash_reads_any_soup_the_same_or_it_is_called_unknown(
        files in proptest::collection::vec(
            soup(&["`", "$'", "$\"", "\\x41", "\\101", "\\u41", "export ", "A+=", "\nexport A=", "${", "$(", "<<a\n"]),
            200,
        )
    ) {
        compare("/bin/bash", &files)?;
    }

    #[test]
    fn sh_reads_any_soup_the_same_or_it_is_called_unknown(
        files in proptest::collection::vec(soup(&[]), 200)
    ) {
        compare("/bin/sh", &files)?;
    }
}

proptest! {
    #[test]
    fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(File::parse(&bytes).to_bytes(), bytes);
    }

    #[test]
    fn what_is_set_is_read_back_and_other_keys_stay(
        before in soup(&["$'", "export ", "\nC=1\n", "\nC='2' # c\n"]),
        value in proptest::collection::vec(1_u8..=255, 0..12),
    ) {
        let mut file = File::parse(&before);
        let others = |file: &File| file.get("C");
        let kept = others(&file).map(|value| value.content);
        if file.set("A", &value).is_ok() {
            let now = file.get("A").unwrap();
            prop_assert_eq!(now.bytes(), Some(value.as_slice()));
            prop_assert_eq!(others(&file).map(|value| value.content), kept);
            prop_assert_eq!(File::parse(&file.to_bytes()).get("A"), file.get("A"));
        } else {
            prop_assert_eq!(file.to_bytes(), before);
        }
    }

    #[test]
    fn what_is_removed_is_gone_and_other_keys_stay(
        before in soup(&["export ", "\nC=1\n", "\nC='2' # c\n", " C=3 "]),
    ) {
        let mut file = File::parse(&before);
        let kept = file.get("C").map(|value| value.content);
        let code = file.code().len();
        if file.remove("A").is_err() {
            prop_assert_eq!(file.to_bytes(), before);
            return Ok(());
        }
        prop_assert_eq!(file.get("A"), None);
        prop_assert_eq!(file.get("C").map(|value| value.content), kept);
        prop_assert!(file.code().len() <= code, "{:?}", String::from_utf8_lossy(&file.to_bytes()));
    }
}

/// One `ifcfg` file and one `route` file, whatever is asked for.
struct Two<'a>(&'a [u8], &'a [u8]);

impl Files for Two<'_> {
    fn names(&self) -> ncf::Result<Vec<OsString>> {
        Ok(vec!["ifcfg-eth0".into(), "route-eth0".into()])
    }

    fn read(&self, name: &OsStr) -> ncf::Result<Option<Vec<u8>>> {
        Ok(match name.to_str() {
            Some("ifcfg-eth0") => Some(self.0.to_vec()),
            Some("route-eth0") => Some(self.1.to_vec()),
            _ => None,
        })
    }
}

fn name(index: u8) -> InterfaceName {
    format!("eth{index}").parse().unwrap()
}

proptest! {
    #[test]
    fn any_configuration_is_understood_or_refused(
        ifcfg in soup(&["\nIPADDR=", "\nPREFIX=", "\nTYPE=Bridge\n", "\nDELAY=", "1.2.3.4", "9", "\nDEVICE="]),
        route in soup(&["ADDRESS0=", "1.2.3.4", "/8", " via ", " metric ", "default"]),
        random in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        for (ifcfg, route) in [(&ifcfg, &route), (&random, &random)] {
            let _ = NetworkScripts.desired(&name(0), &Two(ifcfg, route));
            let _ = NetworkScripts.interface_of(Path::new("ifcfg-eth0"), &Two(ifcfg, route));
        }
    }

    #[test]
    fn every_name_comes_up_once_and_after_what_it_depends_on(
        names in proptest::collection::btree_set(0_u8..30, 0..20),
        edges in proptest::collection::vec((0_u8..30, 0_u8..30), 0..40),
        first in 0_u8..30,
        circles in any::<bool>(),
    ) {
        let names: BTreeSet<_> = names.into_iter().map(name).collect();
        let mut deps = Dependencies::new();
        // Without circles, every edge leads to a lower number.
        for (a, b) in edges.into_iter().filter(|(a, b)| circles || a > b) {
            deps.entry(name(a)).or_default().insert(name(b));
        }
        let order = order::up_order(&names, &deps, &[name(first)]);
        prop_assert_eq!(&order.iter().cloned().collect::<BTreeSet<_>>(), &names);
        prop_assert_eq!(order.len(), names.len());
        let down = order::down_order(&names, &deps, &[name(first)]);
        prop_assert!(down.iter().rev().eq(order.iter()));
        let after = order::up_after(&order, &deps);
        for (step, upper) in order.iter().enumerate() {
            let lowers = deps.get(upper).into_iter().flatten();
            let lowers = lowers.filter(|lower| names.contains(*lower)).count();
            prop_assert!(after[step].iter().all(|before| *before < step));
            prop_assert!(circles || after[step].len() == lowers);
        }
    }
}
