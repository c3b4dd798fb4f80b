//! `initscripts/ncf-transaction`: netcf's verbs and exit statuses, on a root of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// What netcf exits with where a verb is not valid in the present state.
const INVALID_IN_THIS_STATE: i32 = 199;

/// The verbs that undo what was open when the host went down.
const STARTS: [&str; 6] = [
    "start",
    "restart",
    "condrestart",
    "try-restart",
    "reload",
    "force-reload",
];

/// A root with one interface file, and the script as `make install` puts it there.
struct Installed {
    root: tempfile::TempDir,
}

impl Installed {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let installed = Self { root };
        let config = installed.config();
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        fs::write(config, "BOOTPROTO=dhcp\n").unwrap();
        let script = include_str!("../initscripts/ncf-transaction");
        assert!(script.contains("ncf=/usr/sbin/ncf\n"));
        let script = script.replace("/usr/sbin/ncf", env!("CARGO_BIN_EXE_ncf"));
        fs::write(installed.script(), script).unwrap();
        fs::set_permissions(installed.script(), fs::Permissions::from_mode(0o755)).unwrap();
        installed
    }

    fn script(&self) -> PathBuf {
        self.root.path().join("ncf-transaction")
    }

    fn config(&self) -> PathBuf {
        let dir = self.root.path().join("etc/sysconfig/network-scripts");
        dir.join("ifcfg-eth0")
    }

    fn transaction(&self) -> PathBuf {
        self.root.path().join("var/lib/ncf/transaction")
    }

    /// Runs the script; its exit status and what it said.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = Command::new("sh")
            .arg(self.script())
            .args(arguments)
            .env("NCF_ROOT", self.root.path())
            .env_remove("NCF_STATE_DIR")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        (output.status.code().unwrap(), said)
    }

    fn status(&self, verb: &str) -> i32 {
        let (status, said) = self.run(&[verb]);
        println!("{verb}: {status}\n{said}");
        status
    }

    fn begin_and_break(&self) {
        assert_eq!(self.status("change-begin"), 0);
        fs::write(self.config(), "nonsense\n").unwrap();
    }

    /// Makes the open change one that was begun before this boot.
    fn reboot(&self) {
        let manifest = self.transaction().join("manifest.json");
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let another = "00000000-0000-4000-8000-000000000000";
        let text = fs::read_to_string(&manifest).unwrap();
        let text = text.replace(boot_id.trim(), another);
        assert!(text.contains(another), "{text}");
        fs::write(&manifest, &text).unwrap();
        write_digest(&manifest);
    }

    fn is_restored(&self) -> bool {
        fs::read_to_string(self.config()).unwrap() == "BOOTPROTO=dhcp\n"
    }
}

/// The manifest has its digest beside it.
fn write_digest(manifest: &Path) {
    use sha2::{Digest as _, Sha256};
    use std::fmt::Write as _;
    let digest = Sha256::digest(fs::read(manifest).unwrap());
    let hex = digest.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let beside = manifest.with_extension("sha256");
    let old = fs::read_to_string(&beside).unwrap();
    let rest = old.get(hex.len()..).unwrap();
    fs::write(beside, hex + rest).unwrap();
}

#[test]
fn a_change_begins_once_and_is_committed_once() {
    let installed = Installed::new();
    assert_eq!(installed.status("change-commit"), INVALID_IN_THIS_STATE);
    assert_eq!(installed.status("change-begin"), 0);
    assert_eq!(installed.status("change-begin"), INVALID_IN_THIS_STATE);
    fs::write(installed.config(), "BOOTPROTO=none\n").unwrap();
    assert_eq!(installed.status("change-commit"), 0);
    assert!(!installed.is_restored());
    assert!(!installed.transaction().exists());
}

#[test]
fn a_change_is_rolled_back_once() {
    let installed = Installed::new();
    assert_eq!(installed.status("change-rollback"), INVALID_IN_THIS_STATE);
    installed.begin_and_break();
    assert_eq!(installed.status("change-rollback"), 0);
    assert!(installed.is_restored());
    assert_eq!(installed.status("change-rollback"), INVALID_IN_THIS_STATE);
}

#[test]
fn each_start_undoes_the_change_of_an_earlier_boot() {
    for verb in STARTS {
        let installed = Installed::new();
        installed.begin_and_break();
        installed.reboot();
        assert_eq!(installed.status(verb), 0);
        assert!(installed.is_restored(), "{verb}");
        assert!(!installed.transaction().exists(), "{verb}");
    }
}

#[test]
fn no_start_fails_where_nothing_is_open() {
    for verb in STARTS {
        assert_eq!(Installed::new().status(verb), 0, "{verb}");
    }
}

#[test]
fn no_start_touches_a_change_of_this_boot() {
    for verb in STARTS {
        let installed = Installed::new();
        installed.begin_and_break();
        assert_eq!(installed.status(verb), 0);
        assert!(!installed.is_restored(), "{verb}");
        assert!(installed.transaction().exists(), "{verb}");
    }
}

#[test]
fn a_failed_rollback_is_a_failure() {
    for verb in STARTS.into_iter().chain(["change-rollback"]) {
        let installed = Installed::new();
        installed.begin_and_break();
        installed.reboot();
        fs::write(installed.transaction().join("manifest.json"), "{}").unwrap();
        assert_eq!(installed.status(verb), 1);
        assert!(installed.transaction().exists(), "{verb}");
    }
}

#[test]
fn status_and_stop_say_whether_a_change_is_open_and_never_fail() {
    let installed = Installed::new();
    for verb in ["status", "stop"] {
        let said = "No open transaction\n".to_owned();
        assert_eq!(installed.run(&[verb]), (0, said));
    }
    installed.begin_and_break();
    for verb in ["status", "stop"] {
        let said = "There is an open transaction\n".to_owned();
        assert_eq!(installed.run(&[verb]), (0, said));
    }
    assert!(installed.transaction().exists());
}

#[test]
fn snapshot_dir_is_where_the_snapshot_is() {
    let installed = Installed::new();
    let said = format!("{}\n", installed.transaction().display());
    assert_eq!(installed.run(&["snapshot-dir"]), (0, said));
}

#[test]
fn anything_else_is_a_usage_error() {
    let installed = Installed::new();
    for arguments in [&[][..], &["begin"], &["start", "now"]] {
        let (status, said) = installed.run(arguments);
        assert_eq!(status, 2);
        assert!(said.starts_with("Usage:"), "{said}");
    }
    assert_eq!(installed.run(&["--help"]).0, 0);
}
