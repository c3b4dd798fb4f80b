//! Which interfaces an `apply` has taken down or brought up since the change began.
//!
//! The files do not tell: one that was edited, applied and put back by hand is as it was, and yet what
//! runs is the edit. So `apply` notes its interfaces, durably, before the first goes down, and every later
//! apply and the rollback take them for touched.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::manifest::{FIRST_FORMAT, check_format};
use crate::error::{Context, Error, Result};
use crate::state::sync::write_durably;
use crate::sys::name::InterfaceName;

const NAME: &str = "applied.json";

/// Names of at most 15 bytes, and an interface a line, of 10,000 interfaces are less.
const SIZE_LIMIT: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Applied {
    format: u32,
    interfaces: BTreeSet<InterfaceName>,
}

/// Adds `names` to those noted in the transaction directory `dir`.
pub fn note<'n>(dir: &Path, names: impl Iterator<Item = &'n InterfaceName>) -> Result<()> {
    let mut interfaces = read(dir)?;
    interfaces.extend(names.cloned());
    let failed = || format!("cannot note in {} what is applied", dir.display());
    let applied = Applied {
        format: FIRST_FORMAT,
        interfaces,
    };
    let json = serde_json::to_vec(&applied)
        .map_err(std::io::Error::from)
        .context(failed)?;
    write_durably(dir, NAME, &json).context(failed)
}

/// Those noted; none where nothing was applied.
pub fn read(dir: &Path) -> Result<BTreeSet<InterfaceName>> {
    use std::io::Read as _;
    let path = dir.join(NAME);
    let failed = || format!("cannot read {}", path.display());
    let file = match std::fs::File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        file => file.context(failed)?,
    };
    let mut json = Vec::new();
    file.take(SIZE_LIMIT)
        .read_to_end(&mut json)
        .context(failed)?;
    check_format(&path, &json)?;
    let applied: Applied = serde_json::from_slice(&json)
        .map_err(|error| Error::failed(format!("{} is damaged: {error}", path.display())))?;
    Ok(applied.interfaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_stays_noted() {
        let dir = tempfile::tempdir().unwrap();
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let (one, two): (BTreeSet<_>, BTreeSet<_>) = (names(&["eth0"]), names(&["br0", "eth0"]));
        assert!(read(dir.path()).unwrap().is_empty());
        note(dir.path(), one.iter()).unwrap();
        note(dir.path(), two.iter()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), two);
        std::fs::write(
            dir.path().join(NAME),
            b"{\"format\":1,\"interfaces\":[\"../x\"]}",
        )
        .unwrap();
        assert!(read(dir.path()).is_err());
    }
}
