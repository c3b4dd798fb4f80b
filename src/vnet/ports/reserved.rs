//! Devices that are kept for guests.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc;

use super::record::{Owner, Reservation};
use super::store::{Ports, named, parts};
use crate::error::{Context, Error, Result};
use crate::state::Lock;
use crate::state::sync::{sync_dir, write_durably};
use crate::vnet::pool::{Device, Sharing, Usage};

/// A record is far smaller; anything longer is not one.
const MAX_RECORD: u64 = 64 << 10;

/// The reservations.
#[derive(Debug, Clone)]
pub struct Reserved {
    dir: PathBuf,
}

impl Reserved {
    /// Those beside `ports`.
    pub fn beside(ports: &Ports) -> Self {
        Self {
            dir: ports.above().join("reserved"),
        }
    }

    /// All, the oldest first.
    ///
    /// Fails where one cannot be read, for a device that somebody has must not be given to another.
    pub fn list(&self) -> Result<Vec<Reservation>> {
        self.read(|_| true)
    }

    fn read(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Reservation>> {
        let mut found = Vec::new();
        for name in self.names()?.into_iter().filter(|name| wanted(name)) {
            let path = self.dir.join(&name);
            let failed = || format!("cannot read the reservation {}", path.display());
            let content = match read_limited(&path, MAX_RECORD) {
                Ok(content) => content,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).context(failed),
            };
            let reservation: Reservation = serde_json::from_slice(&content).map_err(|error| {
                Error::failed(failed())
                    .because(error)
                    .hint(format!("if no guest needs it: rm '{}'", path.display()))
            })?;
            found.push(reservation);
        }
        found.sort_by_key(|it| (it.since, it.id));
        Ok(found)
    }

    /// Adds what is reserved, but for what is in `without`.
    pub fn count(&self, usage: &mut Usage, without: &[Reservation]) -> Result<()> {
        let without: Vec<_> = without.iter().filter_map(file_name).collect();
        for name in self.names()? {
            if let Some(parts) = parts(&name).filter(|_| !without.contains(&name)) {
                usage.add(parts.device, parts.sharing);
            }
        }
        Ok(())
    }

    /// Keeps a device, durably.
    pub fn add(&self, _lock: &Lock, reservation: &Reservation) -> Result<()> {
        let failed = || {
            format!(
                "cannot reserve {} for {}",
                reservation.device, reservation.owner
            )
        };
        let name = file_name(reservation).ok_or_else(|| Error::failed(failed()))?;
        match DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&self.dir)
        {
            Ok(()) => {
                let above = self.dir.parent().unwrap_or(&self.dir);
                sync_dir(above).context(failed)?;
            }
            Err(error) => return Err(error).context(failed),
        }
        let json = serde_json::to_vec(reservation)
            .map_err(|error| Error::failed(failed()).because(error))?;
        write_durably(&self.dir, &name, &json).context(failed)
    }

    /// Gives a device back. One that is gone already is no error.
    pub fn remove(&self, _lock: &Lock, reservation: &Reservation) -> Result<()> {
        let failed = || {
            format!(
                "cannot release {} of {}",
                reservation.device, reservation.owner
            )
        };
        let name = file_name(reservation).ok_or_else(|| Error::failed(failed()))?;
        match fs::remove_file(self.dir.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.context(failed)?,
        }
        sync_dir(&self.dir).context(failed)
    }

    /// Those of a guest, by its name.
    pub fn of(&self, owner: &Owner) -> Result<Vec<Reservation>> {
        let mark = owner.mark();
        let mut found = self.read(|name| parts(name).is_none_or(|it| it.mark == mark))?;
        found.retain(|reservation| reservation.owner == *owner);
        Ok(found)
    }

    /// Those of a device.
    pub fn on(&self, device: &Device) -> Result<Vec<Reservation>> {
        self.read(|name| parts(name).is_none_or(|it| it.device == *device))
    }

    fn names(&self) -> Result<Vec<String>> {
        let failed = || format!("cannot read {}", self.dir.display());
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context(failed),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.context(failed)?.file_name();
            names.extend(
                name.into_string()
                    .ok()
                    .filter(|name| !name.starts_with('.')),
            );
        }
        Ok(names)
    }
}

impl Reservation {
    /// The device that it keeps; `None` where the record is not right.
    pub fn kept(&self) -> Option<Device> {
        Device::parse(&self.device)
    }
}

fn file_name(reservation: &Reservation) -> Option<String> {
    let id = reservation.id.to_string();
    let sharing = if reservation.exclusive {
        Sharing::Exclusive
    } else {
        Sharing::Shared
    };
    let mark = reservation.owner.mark();
    Some(named(&id, &mark, &reservation.kept()?, sharing))
}

/// The content of a regular file of at most `most` bytes; a link is not followed, a FIFO does not block.
pub(super) fn read_limited(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let mut content = Vec::new();
    file.take(most + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is too large",
        ));
    }
    Ok(content)
}
