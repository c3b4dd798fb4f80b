//! `define` and `undefine` with every system call that changes something killed, or failing because the disk is full or
//! broken. Every file is whole, the old one or the new one; a failure leaves all of them old; and the same command
//! again does what one that was killed has not done.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use support::host::{Host, Ran, names};
use support::picture::Picture;
use support::sweep::{self, Fault, Verdict, require};

const XML: &str = "<interface type='bridge' name='br0'><start mode='onboot'/><protocol family='ipv4'>\
    <ip address='192.0.2.7' prefix='24'/><route gateway='192.0.2.1'/></protocol><bridge stp='off'>\
    <interface type='ethernet' name='eth0'/><interface type='ethernet' name='eth1'/>\
    <interface type='ethernet' name='eth9'/></bridge></interface>";

/// How names of files begin that are being made or thrown away.
const LITTER: &str = ".ncf-define-";

/// All files below `etc` but litter: what each is, but for when it was written.
type Files = BTreeMap<PathBuf, String>;

fn files(host: &Host) -> Files {
    fn add(dir: &Path, found: &mut Files) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if path.to_string_lossy().contains(LITTER) {
                continue;
            }
            if meta.is_dir() {
                add(&path, found);
                continue;
            }
            let content = if meta.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else {
                fs::read_to_string(&path).unwrap()
            };
            let label = xattr::get(&path, "user.note").unwrap_or_default();
            let shown = format!("{:o} {label:?} {content}", meta.mode());
            found.insert(path, shown);
        }
    }
    let mut found = Files::new();
    add(&host.path("etc"), &mut found);
    let inside = |path: PathBuf| path.strip_prefix(host.root()).unwrap().to_owned();
    found
        .into_iter()
        .map(|(path, shown)| (inside(path), shown))
        .collect()
}

/// All of the tree, but for when files were made beside others.
fn picture(host: &Host) -> Picture {
    Picture::of(host.root(), &host.state(), Path::new("/nowhere"))
}

/// The tree before, and the files after.
struct Sides {
    picture: Picture,
    before: Files,
    after: Files,
}

fn fixture(host: &Host) {
    host.write(
        "ifcfg-eth0",
        "# the uplink\nDEVICE=eth0\nIPADDR=192.0.2.7\nPREFIX=24\nGATEWAY=192.0.2.1\nZONE='a b'\n",
    );
    let eth0 = host.config().join("ifcfg-eth0");
    fs::set_permissions(&eth0, fs::Permissions::from_mode(0o600)).unwrap();
    xattr::set(&eth0, "user.note", b"one").unwrap();
    host.write("ifcfg-eth2", "DEVICE=eth2\n");
    // One that is kept elsewhere.
    fs::create_dir(host.path("etc/sysconfig/kept")).unwrap();
    fs::write(host.path("etc/sysconfig/kept/eth1"), "DEVICE=eth1\n").unwrap();
    symlink("../kept/eth1", host.config().join("ifcfg-eth1")).unwrap();
}

/// What `define` makes of it, and what belongs to an interface beside its file.
fn fixture_defined(host: &Host) {
    fixture(host);
    host.write(
        "ifcfg-br0",
        "DEVICE=br0\nTYPE=Bridge\nIPADDR=192.0.2.7\nPREFIX=24\n",
    );
    host.write("ifcfg-eth0", "DEVICE=eth0\nBRIDGE=br0\n");
    fs::write(
        host.path("etc/sysconfig/kept/eth1"),
        "DEVICE=eth1\nBRIDGE=br0\n",
    )
    .unwrap();
    host.write("route-br0", "192.0.2.0/24 via 192.0.2.1\n");
    symlink("../kept/nothing", host.config().join("rule-br0")).unwrap();
}

/// Every end of `command`: nothing is half-done, and doing it again makes it what it comes to undisturbed. `again` tells
/// the status of that, `first` what is in the names of the files whose edits come first.
fn sweep_over(command: &[&str], prepare: fn(&Host), first: &str, again: fn(&Host) -> i32) {
    let undisturbed = Host::new();
    prepare(&undisturbed);
    undisturbed.done(command);
    let after = files(&undisturbed);
    sweep::over(
        command,
        |host| {
            prepare(host);
            Sides {
                picture: picture(host),
                before: files(host),
                after: after.clone(),
            }
        },
        |host, sides, ran, fault| {
            check(host, sides, ran, fault, first)?;
            let expected = again(host);
            let ran = host.ncf(command);
            require(ran.status == Some(expected), &format!("again: {ran:?}"))?;
            let now = files(host);
            require(now == sides.after, &format!("and then: {now:#?}"))?;
            is_swept(host)
        },
    );
}

/// What one that was killed has left, the next that writes removes.
fn is_swept(host: &Host) -> Verdict {
    let lies_about = || {
        names(&host.config())
            .iter()
            .any(|name| name.starts_with(LITTER))
    };
    if lies_about() {
        let xml = host.path("eth7.xml");
        fs::write(
            &xml,
            "<interface type='ethernet' name='eth7'><start mode='none'/></interface>",
        )
        .unwrap();
        host.done(&["define", xml.to_str().unwrap()]);
    }
    require(!lies_about(), "something lies about")
}

/// What holds after any end; `first` are the paths whose edits come before all others.
fn check(host: &Host, sides: &Sides, ran: &Ran, fault: Fault, first: &str) -> Verdict {
    let now = files(host);
    if ran.status == Some(0) {
        return require(now == sides.after, &format!("done, it says: {now:#?}"));
    }
    if fault != Fault::Kill {
        let undone = sides.picture.differences(&picture(host));
        let is_late = ran.stderr.contains("may be lost if power fails");
        return require(
            undone.is_empty() || is_late && now == sides.after,
            &format!("a failure that is no such thing: {undone}"),
        );
    }
    let paths = sides.before.keys().chain(sides.after.keys());
    let (mut is_begun, mut is_first_done) = (false, true);
    for path in paths {
        let (old, new, is) = (sides.before.get(path), sides.after.get(path), now.get(path));
        require(
            is == old || is == new,
            &format!("{}: {is:?}", path.display()),
        )?;
        if old != new {
            let is_first = path.to_string_lossy().contains(first);
            is_begun |= is == new && !is_first;
            is_first_done &= is == new || !is_first;
        }
    }
    require(is_first_done || !is_begun, "not in their order")
}

#[test]
fn a_definition_is_made_as_a_whole_or_again() {
    let xml = tempfile::NamedTempFile::new().unwrap();
    fs::write(xml.path(), XML).unwrap();
    let command = ["define", xml.path().to_str().unwrap()];
    sweep_over(&command, fixture, "/ifcfg-br0", |_| 0);
}

#[test]
fn an_interface_is_undefined_as_a_whole_or_again() {
    let is_gone = |host: &Host| i32::from(!host.config().join("ifcfg-br0").exists());
    sweep_over(
        &["undefine", "br0"],
        fixture_defined,
        "network-scripts/r",
        is_gone,
    );
}
