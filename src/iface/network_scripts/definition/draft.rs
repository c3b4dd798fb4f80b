//! A file while it is being changed.

use std::ffi::OsString;
use std::fmt::Display;

use super::super::config::Config;
use super::reading::Reading;
use crate::error::Context;
use crate::iface::backend::FileEdit;
use crate::ifcfg::{Content, File};
use crate::{Error, Result};

/// One file, as it was and as it is to be.
pub(super) struct Draft {
    name: OsString,
    before: Option<Vec<u8>>,
    pub(super) config: Config,
}

impl Draft {
    /// A file that is there.
    pub(super) fn of(name: OsString, config: &Config) -> Self {
        Self {
            name,
            before: Some(config.file.to_bytes()),
            config: config.clone(),
        }
    }

    /// A file that is not there yet; `None` for a name that is taken for that of a backup.
    pub(super) fn new(name: OsString) -> Option<Self> {
        let config = Config::of(&name, b"")?;
        Some(Self {
            name,
            before: None,
            config,
        })
    }

    /// Whether the file is not there yet.
    pub(super) fn is_new(&self) -> bool {
        self.before.is_none()
    }

    /// The values as they are now.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading::of(&self.config)
    }

    /// Whether `key` is assigned, be it empty.
    pub(super) fn has(&self, key: &str) -> bool {
        self.config.file.get(key).is_some()
    }

    /// Gives `key` a value.
    ///
    /// Fails where only a shell can work out the present one, or where there is shell code in the file.
    pub(super) fn set(&mut self, key: &str, value: impl Display) -> Result<()> {
        self.must_be_plain(key)?;
        let failed = || format!("cannot change {}", self.config.path);
        let mut file = self.config.file.clone();
        file.set(key, value.to_string().as_bytes())
            .context(failed)?;
        self.config.file = file;
        Ok(())
    }

    /// Gives `key` a value, in single quotes where it is new, as netcf does for values that may have blanks.
    pub(super) fn set_quoted(&mut self, key: &str, value: &str) -> Result<()> {
        if self.has(key) || value.contains('\'') {
            return self.set(key, value);
        }
        self.must_be_plain(key)?;
        // What follows an open quotation is refused here.
        self.set(key, value)?;
        let mut bytes = self.config.file.to_bytes();
        let line = bytes.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
        let start = bytes.trim_ascii_end().len() - line.map_or(0, <[u8]>::len);
        bytes.truncate(start);
        bytes.extend(format!("{key}='{value}'\n").bytes());
        self.config.file = File::parse(&bytes);
        Ok(())
    }

    /// Takes `key` out.
    pub(super) fn unset(&mut self, key: &str) -> Result<()> {
        if !self.has(key) {
            return Ok(());
        }
        self.must_be_plain(key)?;
        let failed = || format!("cannot change {}", self.config.path);
        let mut file = self.config.file.clone();
        file.remove(key).context(failed)?;
        self.config.file = file;
        Ok(())
    }

    /// Takes `keys` out.
    pub(super) fn unset_all(&mut self, keys: &[&str]) -> Result<()> {
        keys.iter().try_for_each(|key| self.unset(key))
    }

    fn must_be_plain(&self, key: &str) -> Result<()> {
        let hint = "edit it by hand, or write plain assignments such as MTU=1500 into it first";
        if let Some(line) = self.config.file.code().first() {
            let path = &self.config.path;
            let message = format!(
                "{path}:{line}: there is shell code, which may set {key}: the file cannot be changed"
            );
            return Err(Error::failed(message).hint(hint));
        }
        let value = self.config.file.get(key);
        if let Some(Content::Dynamic(raw)) = value.map(|value| value.content) {
            let place = self.config.place(key);
            let raw = String::from_utf8_lossy(&raw).into_owned();
            let message = format!(
                "{place}: {key}={raw:?}: only a shell can work this value out: it cannot be changed"
            );
            return Err(Error::failed(message).hint(hint));
        }
        Ok(())
    }

    /// The change of the file, if there is one.
    pub(super) fn into_edit(self) -> Option<FileEdit> {
        let after = Some(self.config.file.to_bytes());
        (self.before != after).then_some(FileEdit {
            name: self.name,
            before: self.before,
            after,
        })
    }

    /// Its name.
    pub(super) fn name(&self) -> &OsString {
        &self.name
    }

    /// What it is to hold.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.config.file.to_bytes()
    }
}
