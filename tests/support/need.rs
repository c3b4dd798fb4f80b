//! What a test needs of the machine. Without it the test fails in continuous integration, and otherwise says
//! that it skipped and why: it never passes silently.

use std::io::{self, Write as _};
use std::path::Path;

use nix::unistd::geteuid;

/// Whether all `programs` are there and, if `root`, this is root. Where not, the test ends by returning.
pub fn met(root: bool, programs: &[&str]) -> bool {
    match missing(root, programs) {
        None => true,
        Some(why) => {
            skip(&why);
            false
        }
    }
}

/// Fails where the environment has `CI=true`, and otherwise says past the harness, which would keep what a
/// passing test prints to itself, that this test is skipped and why.
pub fn skip(why: &str) {
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "cannot test here: {why}");
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    say(&format!("SKIPPED {name}: {why}"));
}

/// Prints a line on standard error, past the harness.
pub fn say(line: &str) {
    writeln!(io::stderr(), "{line}").expect("standard error is there");
}

fn missing(root: bool, programs: &[&str]) -> Option<String> {
    if root && !geteuid().is_root() {
        return Some("this is not root; run it as root".to_owned());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let found = |program: &str| {
        path.split(':')
            .any(|dir| Path::new(dir).join(program).exists())
    };
    let program = programs.iter().find(|program| !found(program))?;
    Some(format!(
        "there is no {program} here; 'tests/setup' installs it"
    ))
}
