//! The demonstration, run as `make demo` runs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Command;

use support::netns::in_namespace;

#[test]
fn everything_that_the_demonstration_claims_comes_true() {
    in_namespace(|| {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/run");
        let output = Command::new(demo)
            .arg(env!("CARGO_BIN_EXE_ncf"))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}{error}");
        for line in [
            "   ok: the operator is cut off",
            "   ok: the operator's machine reaches this one again",
            "   ok: same index, no carrier change, no error, nothing dropped",
            "   ok: not one ping was lost in all that time",
        ] {
            assert!(
                said.lines().any(|it| it == line),
                "{line:?} is not in {said}"
            );
        }
        let last = said.lines().last().unwrap();
        assert!(
            last.starts_with("demo: all ") && last.ends_with(" claims came true."),
            "{last}"
        );
        assert!(!said.contains('\x1b'), "colour without a terminal");
        assert_eq!(error, "");
    });
}
