//! Whether the next boot will undo a change that is not committed.

use std::path::Path;

use crate::sys::root::Root;

/// The unit and the script that run `ncf boot-rollback`.
const UNIT: &str = "ncf-rollback.service";
const SCRIPT: &str = "ncf-transaction";

/// Where enabled units are linked (`systemd.unit(5)`), and where run levels are.
const UNIT_DIRS: [&str; 3] = [
    "/etc/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
const RUN_LEVEL_DIRS: [&str; 2] = ["/etc/rc.d", "/etc"];

/// Whether something in the root is enabled that rolls back at boot.
pub fn is_enabled(root: &Root) -> bool {
    let units = UNIT_DIRS.iter().any(|dir| {
        any_in(root, dir, ".wants", |entry| entry == UNIT)
            || any_in(root, dir, ".requires", |entry| entry == UNIT)
    });
    let is_start = |entry: &str| entry.starts_with('S') && entry.ends_with(SCRIPT);
    units
        || RUN_LEVEL_DIRS
            .iter()
            .any(|dir| any_in(root, dir, ".d", is_start))
}

/// Whether a directory in `dir` whose name ends in `ending` has an entry that is `wanted`.
fn any_in(root: &Root, dir: &str, ending: &str, wanted: impl Fn(&str) -> bool) -> bool {
    let Ok(dir) = root.resolve_on_host(Path::new(dir)) else {
        return false;
    };
    let names = |path: &Path| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    names(&dir)
        .filter(|name| name.ends_with(ending))
        .any(|name| names(&dir.join(name)).any(|entry| wanted(&entry)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn an_enabled_unit_or_script_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        assert!(!is_enabled(&root));
        let wants = dir.path().join("etc/systemd/system/sysinit.target.wants");
        std::fs::create_dir_all(&wants).unwrap();
        assert!(!is_enabled(&root));
        symlink(
            "/usr/lib/systemd/system/ncf-rollback.service",
            wants.join(UNIT),
        )
        .unwrap();
        assert!(is_enabled(&root));
        std::fs::remove_dir_all(dir.path().join("etc")).unwrap();
        std::fs::create_dir_all(dir.path().join("etc/rc3.d")).unwrap();
        symlink(
            "../init.d/ncf-transaction",
            dir.path().join("etc/rc3.d/S09ncf-transaction"),
        )
        .unwrap();
        assert!(is_enabled(&root));
    }
}
