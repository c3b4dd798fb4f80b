//! What a rollback set out to do, and how far it came.
//!
//! Once files are restored, nothing about them says which interfaces they had been changed for. So
//! the plan is on disk before the first file changes, and a rollback that is killed and
//! run again still brings up what it took down.
//!
//! One JSON object a line: the plan, then one for each step that ended. The plan is durable; the
//! progress need not be, for what a power cut takes with it is of a boot that is over.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::{FIRST_FORMAT, check_format};
use super::plan::Bounces;
use crate::apply::schedule::{StepReport, Verb};
use crate::error::{Context, Error, Result};
use crate::state::sync::write_durably;
use crate::sys::name::InterfaceName;

/// Two lines for each of 10,000 interfaces are less.
const SIZE_LIMIT: u64 = 16 << 20;

const NAME: &str = "journal";

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    format: u32,
    boot_id: String,
    down: Vec<InterfaceName>,
    up: Vec<InterfaceName>,
}

/// Every other line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ended {
    /// This interface was taken down, or could not be.
    Down(InterfaceName),
    /// This interface was brought up.
    Up(InterfaceName),
}

/// The journal of a rollback that is under way.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
}

/// What an earlier, unfinished rollback left to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Interfaces that it has not taken down yet.
    pub down: BTreeSet<InterfaceName>,
    /// Interfaces that it has not brought up yet.
    pub up: BTreeSet<InterfaceName>,
}

impl Journal {
    /// Writes the plan into the transaction directory `dir`, durably.
    pub fn write(dir: &Path, boot_id: &str, bounces: &Bounces) -> Result<Self> {
        let path = dir.join(NAME);
        let failed = || format!("cannot write {}", path.display());
        let plan = Plan {
            format: FIRST_FORMAT,
            boot_id: boot_id.to_owned(),
            down: bounces.down.clone(),
            up: bounces.up.clone(),
        };
        let mut line = serde_json::to_vec(&plan)
            .map_err(std::io::Error::from)
            .context(failed)?;
        line.push(b'\n');
        write_durably(dir, NAME, &line).context(failed)?;
        let file = File::options().append(true).open(&path).context(failed)?;
        Ok(Self {
            path,
            file: Some(file),
        })
    }

    /// A journal that nothing is written to, for when none can be.
    pub fn absent(dir: &Path) -> Self {
        Self {
            path: dir.join(NAME),
            file: None,
        }
    }

    /// Notes that a step ended. One that is not noted is done again, which does no harm; so an interface that
    /// did not come up is not noted.
    pub fn note(&mut self, report: &StepReport) {
        if report.verb == Verb::Up && report.result.is_err() {
            return;
        }
        let name = report.name.clone();
        let ended = match report.verb {
            Verb::Down => Ended::Down(name),
            Verb::Up => Ended::Up(name),
        };
        if let (Some(file), Ok(mut line)) = (&mut self.file, serde_json::to_vec(&ended)) {
            line.push(b'\n');
            let _ = file.write_all(&line);
        }
    }

    /// Reads what is left to do; `None` where no rollback has begun.
    ///
    /// A journal of an earlier boot leaves nothing: its interfaces are gone or came up with that boot.
    pub fn read(dir: &Path, boot_id: &str) -> Result<Option<Unfinished>> {
        let journal = Self::absent(dir);
        let failed = || format!("cannot read {}", journal.path.display());
        let file = match File::open(&journal.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.context(failed)?,
        };
        let mut content = Vec::new();
        file.take(SIZE_LIMIT)
            .read_to_end(&mut content)
            .context(failed)?;
        journal.parse(&content, boot_id).map(Some)
    }

    fn parse(&self, content: &[u8], boot_id: &str) -> Result<Unfinished> {
        let mut lines = content.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        check_format(&self.path, first)?;
        let plan: Plan = serde_json::from_slice(first).map_err(|error| {
            Error::failed(format!("{} is damaged: {error}", self.path.display()))
        })?;
        if plan.boot_id != boot_id {
            return Ok(Unfinished::default());
        }
        let (mut down, mut up): (BTreeSet<_>, BTreeSet<_>) = (
            plan.down.into_iter().collect(),
            plan.up.into_iter().collect(),
        );
        // A line cut short was being written when the writer was killed.
        for ended in lines.filter_map(|line| serde_json::from_slice(line).ok()) {
            match ended {
                Ended::Down(name) => down.remove(&name),
                Ended::Up(name) => up.remove(&name),
            };
        }
        Ok(Unfinished { down, up })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn name(text: &str) -> InterfaceName {
        text.parse().unwrap()
    }

    fn ended(text: &str, verb: Verb) -> StepReport {
        StepReport {
            name: name(text),
            verb,
            result: Ok(()),
            took: Duration::ZERO,
            notes: Vec::new(),
        }
    }

    #[test]
    fn what_did_not_end_is_left_to_do() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Journal::read(dir.path(), "b").unwrap(), None);
        let bounces = Bounces {
            down: vec![name("br0"), name("eth1")],
            up: vec![name("eth1"), name("br0")],
            first: 0,
        };
        let mut journal = Journal::write(dir.path(), "b", &bounces).unwrap();
        journal.note(&ended("br0", Verb::Down));
        journal.note(&ended("eth1", Verb::Down));
        journal.note(&ended("eth1", Verb::Up));
        let path = dir.path().join(NAME);
        let mut content = std::fs::read(&path).unwrap();
        content.extend(b"{\"up\":\"br");
        std::fs::write(&path, content).unwrap();
        let left = Journal::read(dir.path(), "b").unwrap().unwrap();
        assert_eq!(
            left,
            Unfinished {
                down: [].into(),
                up: [name("br0")].into()
            }
        );
        let other_boot = Journal::read(dir.path(), "c").unwrap().unwrap();
        assert_eq!(other_boot, Unfinished::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(content: Vec<u8>) {
            let _ = Journal::absent(Path::new("/x")).parse(&content, "b");
        }
    }
}
