//! Any edits between begin and rollback are undone whole, and any bytes in a state file are survived.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use ncf::change::manifest::Manifest;
use ncf::sys::escape::hex;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use support::host::{Host, Ran};
use support::picture::Picture;

/// The names that edits choose from, by number: few, so that edits meet.
const NAMES: [&[u8]; 14] = [
    b"ifcfg-eth0",
    b"ifcfg-eth1",
    b"ifcfg-br0",
    b"route-eth0",
    b"route6-eth0",
    b"rule-eth1",
    b"keys-wlan0",
    b"ifcfg-\xff\xfe",
    b"ifcfg-with space\n",
    b"sub/ifcfg-deep",
    b"sub/route-deep",
    b"ifcfg-dir",
    b"ifcfg-dir/ifcfg-inside",
    b"sub",
];

#[derive(Debug, Clone)]
enum Edit {
    Write(usize, Vec<u8>),
    Append(usize, Vec<u8>),
    Delete(usize),
    Rename(usize, usize),
    Mode(usize, u32),
    Owner(usize, u32),
    Touch(usize, u32, u32),
    Label(usize, bool),
    Link(usize, usize),
    HardLink(usize, usize),
    Unlink(usize),
    Directory(usize),
    Fifo(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = || 0..NAMES.len();
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        (name(), bytes()).prop_map(|(name, bytes)| Edit::Write(name, bytes)),
        (name(), bytes()).prop_map(|(name, bytes)| Edit::Append(name, bytes)),
        name().prop_map(Edit::Delete),
        (name(), name()).prop_map(|(from, to)| Edit::Rename(from, to)),
        (name(), 0..0o10000_u32).prop_map(|(name, mode)| Edit::Mode(name, mode)),
        (name(), 0..3_u32).prop_map(|(name, owner)| Edit::Owner(name, owner)),
        (name(), any::<u32>(), 0..1_000_000_000_u32).prop_map(|(n, s, ns)| Edit::Touch(n, s, ns)),
        (name(), any::<bool>()).prop_map(|(name, set)| Edit::Label(name, set)),
        (name(), name()).prop_map(|(name, target)| Edit::Link(name, target)),
        (name(), name()).prop_map(|(name, other)| Edit::HardLink(name, other)),
        name().prop_map(Edit::Unlink),
        name().prop_map(Edit::Directory),
        name().prop_map(Edit::Fifo),
    ]
}

fn path(host: &Host, name: usize) -> PathBuf {
    let name = NAMES.get(name).copied().unwrap_or(b"ifcfg-eth0");
    host.config().join(OsStr::from_bytes(name))
}

impl Edit {
    /// Does it, as far as that is possible: an edit that the file system refuses is none.
    fn apply(&self, host: &Host) -> io::Result<()> {
        let at = |name: &usize| path(host, *name);
        match self {
            Self::Write(name, bytes) => write(&at(name), bytes, false),
            Self::Append(name, bytes) => write(&at(name), bytes, true),
            Self::Delete(name) => remove(&at(name)),
            Self::Rename(from, to) => fs::rename(at(from), at(to)),
            Self::Mode(name, mode) => {
                fs::set_permissions(at(name), Permissions::from_mode(*mode | 0o200))
            }
            Self::Owner(name, owner) => chown(at(name), Some(*owner), Some(*owner)),
            Self::Touch(name, seconds, nanoseconds) => {
                let time = UNIX_EPOCH + Duration::new(u64::from(*seconds), *nanoseconds);
                File::open(regular(&at(name))?)?.set_times(FileTimes::new().set_modified(time))
            }
            Self::Label(name, true) => xattr::set(at(name), "user.note", b"edited"),
            Self::Label(name, false) => xattr::remove(at(name), "user.note"),
            Self::Link(name, target) => {
                remove(&at(name))?;
                symlink(at(target), at(name))
            }
            Self::HardLink(name, other) => {
                regular(&at(other))?;
                if name != other {
                    remove(&at(name))?;
                }
                fs::hard_link(at(other), at(name))
            }
            Self::Unlink(name) => {
                let content = fs::read(regular(&at(name))?)?;
                fs::remove_file(at(name))?;
                fs::write(at(name), content)
            }
            Self::Directory(name) => {
                remove(&at(name))?;
                fs::create_dir(at(name))
            }
            Self::Fifo(name) => {
                remove(&at(name))?;
                Ok(nix::unistd::mkfifo(
                    &at(name),
                    nix::sys::stat::Mode::S_IRWXU,
                )?)
            }
        }
    }
}

/// The path of a regular file, a link followed; never a FIFO, which would keep its opener waiting.
fn regular(path: &Path) -> io::Result<&Path> {
    if fs::metadata(path)?.is_file() {
        Ok(path)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

fn write(path: &Path, bytes: &[u8], append: bool) -> io::Result<()> {
    use io::Write as _;
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut options = File::options();
    options
        .create(true)
        .append(append)
        .write(true)
        .truncate(!append);
    options.open(path)?.write_all(bytes)
}

/// Removes whatever is there; that nothing is there is fine.
fn remove(path: &Path) -> io::Result<()> {
    let gone = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A configuration made by edits of its own, without what a snapshot refuses.
fn configured(setup: &[Edit]) -> Host {
    let host = Host::new();
    fs::create_dir(host.config().join("sub")).unwrap();
    for name in [
        "ifcfg-eth0",
        "ifcfg-eth1",
        "route-eth0",
        "keys-wlan0",
        "sub/ifcfg-deep",
    ] {
        host.write(name, &format!("NAME={name}\n"));
    }
    for edit in setup.iter().filter(|edit| !matches!(edit, Edit::Fifo(_))) {
        let _ = edit.apply(&host);
    }
    // A file of this name would not be covered.
    let sub = host.config().join("sub");
    if !fs::symlink_metadata(&sub).is_ok_and(|metadata| metadata.is_dir()) {
        let _ = remove(&sub);
        fs::create_dir(&sub).unwrap();
    }
    host
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_edits_are_undone(
        setup in proptest::collection::vec(edit(), 0..8),
        edits in proptest::collection::vec(edit(), 0..16),
    ) {
        let host = configured(&setup);
        let before = host.picture();
        host.done(&["change-begin"]);
        for edit in &edits {
            let _ = edit.apply(&host);
        }
        host.done(&["change-rollback"]);
        host.picture().assert_is(&before, "after the rollback");
        host.ncf(&["change-rollback"]).refused(3, &["no change is open"]);
        host.picture().assert_is(&before, "after a second one");
    }
}

/// A host with an archived change and an open one, and the tree before and after the edits of that.
fn with_state() -> (Host, Picture, Picture) {
    let host = configured(&[]);
    host.done(&["change-begin"]);
    host.write("ifcfg-eth0", "DEVICE=first\n");
    host.done(&["change-rollback"]);
    let before = host.picture();
    host.done(&["change-begin"]);
    host.write("ifcfg-eth0", "DEVICE=second\n");
    let after = host.picture();
    (host, before, after)
}

/// What is done to a state file.
#[derive(Debug, Clone)]
enum Damage {
    Replace(Vec<u8>),
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..60);
    let place = any::<prop::sample::Index>;
    prop_oneof![
        bytes().prop_map(Damage::Replace),
        place().prop_map(Damage::Cut),
        (place(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (place(), bytes()).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

impl Damage {
    fn apply(&self, mut content: Vec<u8>) -> Vec<u8> {
        let at = |index: &prop::sample::Index| index.index(content.len() + 1);
        match self {
            Self::Replace(bytes) => return bytes.clone(),
            Self::Cut(index) => content.truncate(at(index)),
            Self::Flip(index, bits) => {
                let at = at(index);
                if let Some(byte) = content.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Self::Insert(index, bytes) => {
                let at = at(index);
                content.splice(at..at, bytes.iter().copied());
            }
        }
        content
    }
}

/// Damages the file and says whether that changed anything.
fn damage_file(path: &Path, damage: &Damage) -> bool {
    let content = fs::read(path).unwrap_or_default();
    let damaged = damage.apply(content.clone());
    fs::write(path, &damaged).unwrap();
    damaged != content
}

fn orderly(host: &Host, arguments: &[&str]) -> Ran {
    let ran = host.ncf(arguments);
    ran.assert_orderly(&format!("{arguments:?}"));
    ran
}

fn archived(host: &Host) -> PathBuf {
    let entry = fs::read_dir(host.state().join("archive")).unwrap().next();
    entry.unwrap().unwrap().path()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_snapshot_changes_nothing(file in 0..2_usize, damage in damage()) {
        let (host, before, after) = with_state();
        let name = if file == 0 { "manifest.json" } else { "manifest.sha256" };
        let damaged = damage_file(&host.transaction().join(name), &damage);
        orderly(&host, &["status"]);
        orderly(&host, &["diff"]);
        orderly(&host, &["change-rollback", "--dry-run"]);
        host.picture().assert_is(&after, "after looking");
        let ran = orderly(&host, &["change-rollback"]);
        if ran.status == Some(0) {
            // What follows the digest in its file is of no meaning.
            prop_assert!(!damaged || file == 1);
            host.picture().assert_is(&before, "after the rollback");
        } else {
            prop_assert_eq!(ran.status, Some(1));
            host.picture().assert_is(&after, "after the refusal");
            prop_assert_eq!(orderly(&host, &["boot-rollback"]).status, Some(1));
            host.picture().assert_is(&after, "after the refusal at boot");
        }
    }

    #[test]
    fn a_damaged_lock_or_journal_keeps_no_rollback_from_running(file in 0..2_usize, damage in damage()) {
        let (host, before, _) = with_state();
        let path = if file == 0 { host.state().join("lock") } else { host.transaction().join("journal") };
        damage_file(&path, &damage);
        orderly(&host, &["status"]);
        let ran = orderly(&host, &["change-rollback"]);
        prop_assert!(matches!(ran.status, Some(0 | 4)), "{ran:?}");
        host.picture().assert_is(&before, "after the rollback");
    }

    #[test]
    fn a_damaged_archive_changes_nothing(file in 0..4_usize, damage in damage()) {
        let (host, _, after) = with_state();
        let names = ["manifest.json", "manifest.sha256", "discarded/manifest.json", "discarded/manifest.sha256"];
        let name = names.get(file).copied().unwrap_or_default();
        damage_file(&archived(&host).join(name), &damage);
        for command in ["list", "show", "diff"] {
            let id = if command == "list" { &[][..] } else { &["last"] };
            orderly(&host, &[&["history", command], id].concat());
        }
        host.picture().assert_is(&after, "after looking");
        let ran = orderly(&host, &["history", "restore", "last"]);
        if ran.status == Some(0) {
            prop_assert_eq!(host.read("ifcfg-eth0"), "DEVICE=first\n");
        } else {
            host.picture().assert_is(&after, "after the refusal");
        }
    }

    /// Somebody who can also write the digest can say anything, but not make it panic.
    #[test]
    fn a_strange_manifest_with_the_right_digest_is_survived(damage in damage()) {
        let (host, ..) = with_state();
        let dir = host.transaction();
        damage_file(&dir.join("manifest.json"), &damage);
        sign(&dir);
        for command in ["status", "diff", "apply", "boot-rollback", "change-rollback", "history"] {
            orderly(&host, &[command]);
        }
    }
}

/// Writes the digest of the manifest as it is now.
fn sign(dir: &Path) {
    let json = fs::read(dir.join("manifest.json")).unwrap();
    let digest = hex(&Sha256::digest(&json));
    fs::write(
        dir.join("manifest.sha256"),
        format!("{digest}  manifest.json\n"),
    )
    .unwrap();
}

#[test]
fn a_manifest_that_ends_too_early_is_an_error_wherever_it_ends() {
    let (host, ..) = with_state();
    let dir = host.transaction();
    let json = fs::read(dir.join("manifest.json")).unwrap();
    let digest = fs::read(dir.join("manifest.sha256")).unwrap();
    Manifest::read(&dir).unwrap();
    for length in 0..json.len() {
        fs::write(dir.join("manifest.json"), &json[..length]).unwrap();
        fs::write(dir.join("manifest.sha256"), &digest).unwrap();
        assert!(Manifest::read(&dir).is_err(), "{length} bytes");
        sign(&dir);
        // Only the newline at the end may be missing.
        assert_eq!(
            Manifest::read(&dir).is_ok(),
            length == json.len() - 1,
            "{length} bytes, signed"
        );
    }
}
