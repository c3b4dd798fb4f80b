//! The applier that runs the host's own `ifup` and `ifdown`.
//!
//! They know what this package does not: DHCP clients, wireless keys, bonding modes, local hooks. Each
//! run has a time limit, because an `ifup` that waits for a link that will not come must not keep the
//! other interfaces from coming back. The argument is the bare name: network-scripts
//! take `ifcfg-NAME` too, Debian's ifupdown does not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Applier, Target};
use crate::error::{Context, Error, Result};
use crate::sys::conf::ApplyConf;
use crate::sys::process::{self, Invocation};

/// How many of the last lines of a failed command's output are shown.
const SHOWN_LINES: usize = 10;

/// Runs `ifup NAME` and `ifdown NAME`.
#[derive(Debug, Clone)]
pub struct System {
    ifup: Script,
    ifdown: Script,
    limit: Duration,
    parallel: usize,
}

/// A program with the arguments that precede the interface's name.
#[derive(Debug, Clone)]
struct Script {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Script {
    /// From the configured words, or `name` without any.
    fn find(configured: Option<&[String]>, name: &str, search: &str) -> Option<Self> {
        let (program, arguments) = match configured.and_then(<[String]>::split_first) {
            Some((program, arguments)) => (program.as_str(), arguments),
            None => (name, [].as_slice()),
        };
        Some(Self {
            program: process::find(Path::new(program), search)?,
            arguments: arguments.to_vec(),
        })
    }
}

impl System {
    /// With the commands found on `path_var` (the value of `PATH`) or in the standard directories,
    /// and default limits. `None` unless both are there.
    pub fn find(path_var: &str) -> Option<Self> {
        Self::configured(&ApplyConf::default(), path_var).ok()
    }

    /// As [`System::find`], with the commands and limits of `conf`. The error says which
    /// command is missing.
    pub fn configured(conf: &ApplyConf, path_var: &str) -> Result<Self> {
        let search = format!("{path_var}:{}", process::SEARCH_PATH);
        let script = |configured: &Option<Vec<String>>, name: &'static str| {
            let script = Script::find(configured.as_deref(), name, &search);
            script.ok_or_else(|| {
                let words = configured.as_deref().unwrap_or_default().join(" ");
                let error = match words.as_str() {
                    "" => Error::failed(format!("this host has no {name} command")),
                    words => Error::failed(format!("{name}: {words:?} cannot be run")),
                };
                error.hint("use --applier builtin, or name another command in ncf.conf")
            })
        };
        Ok(Self {
            ifup: script(&conf.ifup, "ifup")?,
            ifdown: script(&conf.ifdown, "ifdown")?,
            limit: conf.timeout,
            parallel: conf.parallel.max(1),
        })
    }

    fn run(&self, script: &Script, target: &Target) -> Result<()> {
        let command = script.program.file_name().unwrap_or_default();
        let command = format!("{} {}", command.to_string_lossy(), target.name);
        let ended = Invocation::new(&script.program, self.limit)
            .args(&script.arguments)
            .args([target.name.as_str()])
            .run()
            .context(|| format!("{command} failed"))?;
        if ended.how.success() {
            return Ok(());
        }
        let error = Error::failed(format!("{command} {}", ended.how));
        Err(match ended.summary(SHOWN_LINES) {
            Some(output) => error.because(output),
            None => error.because("it wrote nothing"),
        })
    }
}

impl Applier for System {
    fn name(&self) -> &'static str {
        "system"
    }

    fn needs_desired(&self) -> bool {
        false
    }

    fn parallel(&self) -> usize {
        self.parallel
    }

    /// What a script can do is not known before it has been tried.
    fn check(&self, _target: &Target) -> Result<()> {
        Ok(())
    }

    fn down(&self, target: &Target) -> Result<()> {
        self.run(&self.ifdown, target)
    }

    fn up(&self, target: &Target) -> Result<()> {
        self.run(&self.ifup, target)
    }
}
