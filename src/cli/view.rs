//! What commands show of the library's values: the JSON fields, which are stable, and the words.

use jiff::Timestamp;
use serde::Serialize;

use crate::apply::schedule::{StepReport, Verb};
use crate::change::bounce::Mended;
use crate::change::plan::{Action, FileChange};
use crate::sys::name::InterfaceName;
use crate::sys::session::Who;

/// Who began a change, as in JSON.
#[derive(Debug, Serialize)]
pub(super) struct WhoView {
    uid: u32,
    user: Option<String>,
    login: Option<String>,
    ssh_client: Option<String>,
}

impl From<&Who> for WhoView {
    fn from(who: &Who) -> Self {
        Self {
            uid: who.uid,
            user: who.user.clone(),
            login: who.login.clone(),
            ssh_client: who.ssh.as_ref().map(|ssh| ssh.client.to_string()),
        }
    }
}

/// One path that differs, as in JSON.
#[derive(Debug, Serialize)]
pub(super) struct ChangeView {
    path: String,
    change: &'static str,
    interface: Option<InterfaceName>,
}

impl From<&FileChange> for ChangeView {
    fn from(change: &FileChange) -> Self {
        Self {
            path: change.change.path.display(),
            change: change.change.kind.as_str(),
            interface: change.interface().cloned(),
        }
    }
}

/// One step of a plan, as in JSON.
#[derive(Debug, Serialize)]
pub(super) struct ActionView {
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<InterfaceName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl From<&Action<'_>> for ActionView {
    fn from(action: &Action<'_>) -> Self {
        let (op, interface, path) = match action {
            Action::IfDown(name) => ("ifdown", Some((*name).clone()), None),
            Action::Restore(path) => ("restore", None, Some(path.display())),
            Action::Remove(path) => ("remove", None, Some(path.display())),
            Action::IfUp(name) => ("ifup", Some((*name).clone()), None),
        };
        Self {
            op,
            interface,
            path,
        }
    }
}

impl ActionView {
    /// Whether it is about an interface.
    pub(super) fn is_bounce(&self) -> bool {
        self.interface.is_some()
    }

    /// As a line for people.
    pub(super) fn line(&self) -> String {
        let what = self
            .interface
            .as_ref()
            .map(InterfaceName::as_str)
            .or(self.path.as_deref());
        format!("  {:8} {}", self.op, what.unwrap_or_default())
    }
}

/// One step that was taken, as in JSON.
#[derive(Debug, Serialize)]
pub(super) struct StepView {
    op: &'static str,
    interface: InterfaceName,
    ok: bool,
    error: Option<String>,
    seconds: f64,
    notes: Vec<String>,
}

impl From<&StepReport> for StepView {
    fn from(report: &StepReport) -> Self {
        Self {
            op: op(report.verb),
            interface: report.name.clone(),
            ok: report.result.is_ok(),
            error: report.result.as_ref().err().map(crate::Error::one_line),
            seconds: report.took.as_secs_f64(),
            notes: report.notes.clone(),
        }
    }
}

/// `ifdown` or `ifup`.
pub(super) fn op(verb: Verb) -> &'static str {
    match verb {
        Verb::Down => "ifdown",
        Verb::Up => "ifup",
    }
}

/// What was done for interfaces that were not bounced, as lines for people.
pub(super) fn mended_lines(mended: &Mended) -> Vec<String> {
    let put_back = mended.put_back.iter();
    put_back
        .map(|port| format!("  put back {} into {}", port.port, port.bridge))
        .collect()
}

/// Says what became of a directory that was in the way.
pub(super) fn moved_aside(name: &str) -> String {
    format!("A directory stood where a file belongs; it is now called {name}.")
}

/// How long ago, in the unit that says most.
pub(super) fn ago(time: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(time).as_secs();
    let (number, unit) = match seconds {
        ..0 => return "in the future: has the clock been set?".to_owned(),
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{} ago", count(usize::try_from(number).unwrap_or(0), unit))
}

/// "1 file", "2 files".
pub(super) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Names with commas between, or "none".
pub(super) fn names(names: &[InterfaceName]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names
        .iter()
        .map(InterfaceName::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
