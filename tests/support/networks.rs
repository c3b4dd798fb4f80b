//! Networks of a host in a namespace, and ncf run there.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::host::{Ran, isolate, names, program, scratch};

/// A state directory of its own.
pub struct Nets {
    dir: TempDir,
}

impl Nets {
    pub fn new() -> Self {
        Self { dir: scratch() }
    }

    pub fn state(&self) -> std::path::PathBuf {
        self.dir.path().join("ncf")
    }

    /// `ncf net` with these arguments, separated by blanks.
    pub fn command(&self, arguments: &str) -> Command {
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        self.command_of(&arguments)
    }

    /// `ncf net` with these arguments, which may have blanks in them.
    pub fn command_of(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--state-dir").arg(self.state()).arg("net");
        command.args(arguments);
        isolate(&mut command);
        command
    }

    pub fn ncf(&self, arguments: &str) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    #[track_caller]
    pub fn done(&self, arguments: &str) -> Ran {
        let ran = self.ncf(arguments);
        assert_eq!(ran.status, Some(0), "{arguments}: {ran:?}");
        ran
    }

    #[track_caller]
    pub fn json(&self, arguments: &str) -> Value {
        let ran = self.done(&format!("--json {arguments}"));
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Defines and starts a network.
    #[track_caller]
    pub fn network(&self, name: &str, inside: &str) {
        self.define(&format!("<network><name>{name}</name>{inside}</network>\n"));
        self.done(&format!("start {name}"));
    }

    #[track_caller]
    pub fn define(&self, xml: &str) {
        let file = self.dir.path().join("network.xml");
        fs::write(&file, xml).unwrap();
        self.done(&format!("define {}", file.display()));
    }

    /// `net list --all`.
    pub fn list(&self) -> Value {
        self.json("list --all")
    }

    /// The records of networks that run, by their files' names.
    pub fn records(&self) -> Vec<String> {
        names(
            &self
                .state()
                .join("run/networks")
                .join(ncf::sys::boot::id().unwrap()),
        )
    }

    /// A pool of macvtap devices.
    #[track_caller]
    pub fn pool(&self, name: &str, mode: &str, devices: &[&str]) {
        let devices = devices
            .iter()
            .map(|dev| format!("<interface dev='{dev}'/>"));
        let devices: String = devices.collect();
        self.network(name, &format!("<forward mode='{mode}'>{devices}</forward>"));
    }

    /// The names of the ports there are.
    pub fn ports(&self) -> Vec<String> {
        let listed = self.json("ports");
        let ports = listed["ports"].as_array().unwrap();
        let name = |port: &Value| port["port"].as_str().unwrap().to_owned();
        ports.iter().map(name).collect()
    }
}
