//! ncf started under the name `ncftool`: its texts and exit statuses, which scripts know.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

mod support;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use support::host::{Host, Ran, isolate, program};

const STATIC: &str = "<interface type='ethernet' name='eth1'><start mode='onboot'/><protocol family='ipv4'>\
                      <ip address='192.0.2.5' prefix='24'/></protocol></interface>";

struct Tool {
    host: Host,
}

impl Tool {
    fn new() -> Self {
        let host = Host::new();
        std::os::unix::fs::symlink(program(), host.path("ncftool")).unwrap();
        fs::write(host.path("eth1.xml"), STATIC).unwrap();
        Self { host }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.host.path("ncftool"));
        isolate(&mut command);
        command.arg("--root").arg(self.host.root());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command().args(arguments).output().unwrap())
    }

    /// Runs with commands on standard input.
    fn typed(&self, lines: &str) -> Ran {
        let mut command = self.command();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(lines.as_bytes())
            .unwrap();
        Ran::from(child.wait_with_output().unwrap())
    }

    fn file(&self) -> String {
        self.host.path("eth1.xml").to_str().unwrap().to_owned()
    }
}

#[track_caller]
fn is(ran: &Ran, status: i32, stdout: &str, stderr: &str) {
    assert_eq!(
        (ran.status, ran.stdout.as_str(), ran.stderr.as_str()),
        (Some(status), stdout, stderr)
    );
}

#[test]
fn commands_say_what_ncftool_says() {
    let tool = Tool::new();
    let file = tool.file();
    is(
        &tool.run(&["define", &file]),
        0,
        "Defined interface eth1\n",
        "",
    );
    is(&tool.run(&["list", "--all"]), 0, "eth1\n", "");
    is(
        &tool.run(&["list", "--all", "--macs"]),
        0,
        "eth1     could not get MAC\n",
        "",
    );
    let dumped = tool.run(&["dumpxml", "eth1"]);
    let expected = "<?xml version=\"1.0\"?>\n<interface type=\"ethernet\" name=\"eth1\">\n  <start mode=\"onboot\"/>\n  \
        <protocol family=\"ipv4\">\n    <ip address=\"192.0.2.5\" prefix=\"24\"/>\n  </protocol>\n</interface>\n\n";
    is(&dumped, 0, expected, "");
    is(
        &tool.run(&["change-begin"]),
        0,
        "config change transaction started\n",
        "",
    );
    is(&tool.run(&["undefine", "eth1"]), 0, "eth1 undefined\n", "");
    is(
        &tool.run(&["change-rollback"]),
        0,
        "config change transaction rolled back\n",
        "",
    );
    is(&tool.run(&["list", "-all"]), 0, "eth1\n", "");
    is(
        &tool.run(&["change-begin"]),
        0,
        "config change transaction started\n",
        "",
    );
    is(
        &tool.run(&["change-commit"]),
        0,
        "config change transaction committed\n",
        "",
    );
}

#[test]
fn failures_are_status_1_and_said_as_there() {
    let tool = Tool::new();
    for command in ["dumpxml", "ifup", "ifdown", "undefine"] {
        let said = "Interface eth9 does not exist or is not a toplevel interface\n";
        is(&tool.run(&[command, "eth9"]), 1, "", said);
    }
    is(
        &tool.run(&["define", "/none.xml"]),
        1,
        "",
        "Failed to read /none.xml\n",
    );
    is(
        &tool.run(&["frobnicate"]),
        1,
        "",
        "Unknown command 'frobnicate'\n",
    );
    is(
        &tool.run(&["dumpxml"]),
        1,
        "",
        "Not enough arguments for dumpxml\n",
    );
    is(
        &tool.run(&["dumpxml", "a", "b"]),
        1,
        "",
        "Too many arguments. Command dumpxml takes only 1 arguments\n",
    );
    is(
        &tool.run(&["list", "--bogus"]),
        0,
        "",
        "Illegal option --bogus\n",
    );
    let refused = tool.run(&["change-commit"]);
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.stderr.starts_with("error: no change is open"),
        "{refused:?}"
    );
    assert_eq!(tool.run(&["--bogus"]).status, Some(1));
    assert_eq!(tool.run(&["--help"]).status, Some(1));
}

#[test]
fn commands_are_read_from_standard_input() {
    let tool = Tool::new();
    let ran = tool.typed(&format!(
        "define '{}'\nlist --all\nquit\nlist\n",
        tool.file()
    ));
    let expected = format!(
        "ncftool> define '{}'\nDefined interface eth1\nncftool> list --all\neth1\nncftool> quit\n",
        tool.file()
    );
    is(&ran, 0, &expected, "");
    assert_eq!(tool.typed("dumpxml eth9\n").status, Some(1));
    assert_eq!(tool.typed("dumpxml eth9\nlist\n").status, Some(0));
    let help = tool.run(&["help"]).stdout;
    for name in ["list", "dumpxml", "change-rollback", "quit"] {
        assert!(help.contains(&format!("    {name:<10} - ")), "{help}");
    }
    assert!(
        tool.run(&["help", "list"])
            .stdout
            .contains("[--macs] [--all] [--inactive]")
    );
}

#[test]
fn a_change_that_is_begun_ends_the_notice_of_what_a_boot_undid() {
    let tool = Tool::new();
    let undone = |boots: usize| {
        let status = tool.host.json(&["status"]);
        let told = status["at_boot"].as_array().map_or(0, Vec::len);
        assert_eq!(told, boots, "{status}");
    };
    tool.host.done(&["change-begin"]);
    tool.host.write("ifcfg-eth1", "DEVICE=eth1\n");
    tool.host.done(&["boot-rollback"]);
    undone(1);
    let begun = tool.run(&["change-begin"]);
    assert_eq!(begun.stdout, "config change transaction started\n");
    undone(0);
    let committed = tool.run(&["change-commit"]);
    assert_eq!(committed.stdout, "config change transaction committed\n");
}
