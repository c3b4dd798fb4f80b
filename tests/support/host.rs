//! A host in a directory, with a configuration and a state directory of its own, and ncf run on it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::picture::Picture;

/// Where the configuration is in a root.
pub const CONFIG: &str = "etc/sysconfig/network-scripts";

/// A directory that is taken for a host's root; it goes away with this value.
pub struct Host {
    dir: TempDir,
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// `None` where a signal ended it.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Host {
    /// An empty configuration directory.
    pub fn new() -> Self {
        let host = Self { dir: scratch() };
        fs::create_dir_all(host.config()).unwrap();
        fs::create_dir_all(host.path("var/lib")).unwrap();
        host
    }

    /// A configuration with these files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let host = Self::new();
        for (name, content) in files {
            host.write(name, content);
        }
        host
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.root().join(inside)
    }

    /// The configuration directory.
    pub fn config(&self) -> PathBuf {
        self.path(CONFIG)
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.path("var/lib/ncf")
    }

    pub fn transaction(&self) -> PathBuf {
        self.state().join("transaction")
    }

    /// Writes a file of the configuration directory.
    pub fn write(&self, name: &str, content: &str) {
        fs::write(self.config().join(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.config().join(name)).unwrap()
    }

    /// The tree without the state directory.
    pub fn picture(&self) -> Picture {
        Picture::of(self.root(), &self.state(), &self.config())
    }

    /// The names in the state directory.
    pub fn state_names(&self) -> Vec<String> {
        names(&self.state())
    }

    /// ncf with this host as `--root`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--root").arg(self.root()).args(arguments);
        isolate(&mut command);
        command
    }

    /// Runs ncf on this host.
    pub fn ncf(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    /// Runs ncf on this host; fails unless it succeeds.
    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> Ran {
        let ran = self.ncf(arguments);
        assert_eq!(ran.status, Some(0), "{arguments:?}: {ran:?}");
        ran
    }

    /// Runs ncf with `--json`; fails unless it succeeds and prints JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.done(&[&["--json"], arguments].concat());
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Whether a change is open.
    pub fn is_open(&self) -> bool {
        self.transaction().exists()
    }

    /// Reboots the machine, as far as the open change can tell: this boot is another one than those that it has seen.
    pub fn reboot(&self) {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let another = uuid::Uuid::new_v4().to_string();
        let swap = |path: &Path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.replace(boot_id.trim(), &another)).unwrap();
        };
        let manifest = self.transaction().join("manifest.json");
        swap(&manifest);
        write_digest(&manifest);
        let boots = self.transaction().join("boots");
        if boots.exists() {
            swap(&boots);
        }
    }

    /// Writes a shell script into the root, which finds that in `$here`, and returns its path.
    pub fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path(name);
        let here = self.root().display();
        fs::write(&path, format!("#!/bin/sh\nhere={here}\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Ran {
    /// Fails unless it ended with `status`, says each of `words` on standard error, and does so in one sentence:
    /// one line and its hints.
    #[track_caller]
    pub fn refused(&self, status: i32, words: &[&str]) {
        assert_eq!(self.status, Some(status), "{self:?}");
        for word in words {
            assert!(
                self.stderr.contains(word),
                "no {word:?} in: {}",
                self.stderr
            );
        }
        let hint = |line: &&str| !line.starts_with("hint: ");
        let lines: Vec<_> = self.stderr.lines().filter(hint).collect();
        assert_eq!(lines.len(), 1, "{}", self.stderr);
        assert!(lines[0].starts_with("ncf: "), "{}", self.stderr);
    }

    /// Fails where the program came to a place that it should not.
    #[track_caller]
    pub fn assert_orderly(&self, when: &str) {
        let text = format!("{}{}", self.stdout, self.stderr);
        assert!(!text.contains("panicked"), "{when}: {text}");
        assert!(!matches!(self.status, Some(101 | 134)), "{when}: {self:?}");
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The manifest has its digest beside it.
fn write_digest(manifest: &Path) {
    use std::fmt::Write as _;

    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(fs::read(manifest).unwrap());
    let mut line = String::new();
    for byte in digest {
        write!(line, "{byte:02x}").unwrap();
    }
    line.push_str("  manifest.json\n");
    fs::write(manifest.with_extension("sha256"), line).unwrap();
}

/// The program under test.
pub fn program() -> &'static Path {
    assert_cmd::cargo::cargo_bin!("ncf")
}

/// Takes away what the tester's own environment would tell ncf.
pub fn isolate(command: &mut Command) {
    for name in [
        "NCF_ROOT",
        "NCF_STATE_DIR",
        "NCF_CONFIG",
        "NCF_APPLIER",
        "SSH_CONNECTION",
    ] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
}

/// A directory for a test: in memory where that keeps extended attributes, since a test that syncs a thousand
/// times otherwise measures a disk.
pub fn scratch() -> TempDir {
    let memory = tempfile::tempdir_in("/dev/shm");
    match memory {
        Ok(dir) if xattr::set(dir.path(), OsStr::new("user.ncf"), b"x").is_ok() => {
            xattr::remove(dir.path(), "user.ncf").unwrap();
            dir
        }
        _ => tempfile::tempdir().unwrap(),
    }
}

/// The names in a directory, sorted; none where it is not there.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
