//! `diff`, and how a difference looks.

use std::fmt::Write as _;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::Done;
use super::output::{Output, Tone};
use super::setup::Session;
use super::view::count;
use crate::change::content::{Body, Pair, Version, since};
use crate::change::rollback::plan;
use crate::change::transaction::Snapshot;
use crate::sys::escape::escape;

/// Show what has changed in the files since the change began
///
/// A unified diff, and a line for each change of mode, owner, attributes or link target. Keys are not shown.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print only how many lines of each file were added and removed
    #[arg(long)]
    stat: bool,
}

/// Runs `diff`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let host = &session.host;
    let snapshot = Snapshot::must_be_open(host)?;
    let difference = plan(host, &snapshot)?;
    let pairs = since(host, &snapshot, &difference.changes)?;
    print(&pairs, args.stat, output);
    Ok(None)
}

#[derive(Serialize)]
struct DiffView {
    path: String,
    change: &'static str,
    added: usize,
    removed: usize,
    metadata: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

#[derive(Serialize)]
struct Diffs {
    files: Vec<DiffView>,
}

/// Prints the differences.
pub(super) fn print(pairs: &[Pair], stat: bool, output: &Output) {
    let files: Vec<_> = pairs.iter().map(|pair| view(pair, stat)).collect();
    for (file, pair) in files.iter().zip(pairs) {
        if stat {
            print_stat(file, output);
        } else {
            print_diff(file, pair, output);
        }
    }
    if stat {
        let (added, removed) = files
            .iter()
            .fold((0, 0), |(a, r), file| (a + file.added, r + file.removed));
        let (added, removed) = (count(added, "line"), count(removed, "line"));
        output.print(format!(
            "{}: {added} added, {removed} removed",
            count(files.len(), "file")
        ));
    } else if files.is_empty() {
        output.say("Nothing differs from the snapshot.");
    }
    output.json(&Diffs { files });
}

fn print_stat(file: &DiffView, output: &Output) {
    let added = output.paint(Tone::Good, format!("+{}", file.added));
    let removed = output.paint(Tone::Bad, format!("-{}", file.removed));
    output.print(format!(
        "  {:8}  {} {added} {removed}",
        file.change, file.path
    ));
}

fn print_diff(file: &DiffView, pair: &Pair, output: &Output) {
    if file.diff.as_deref().is_none_or(str::is_empty) {
        output.print(output.paint(
            Tone::Strong,
            format!("{} {}", pair.kind.as_str(), pair.full_path),
        ));
    }
    for line in file.diff.iter().flat_map(|diff| diff.lines()) {
        let tone = match line.as_bytes() {
            [b'-', b'-', b'-', ..] | [b'+', b'+', b'+', ..] => Some(Tone::Strong),
            [b'+', ..] => Some(Tone::Good),
            [b'-', ..] => Some(Tone::Bad),
            [b'@', ..] => Some(Tone::Place),
            _ => None,
        };
        match tone {
            Some(tone) => output.print(output.paint(tone, line)),
            None => output.print(line),
        }
    }
    for line in &file.metadata {
        output.print(format!("# {line}"));
    }
}

fn view(pair: &Pair, stat: bool) -> DiffView {
    let (before, after) = (text(&pair.before), text(&pair.after));
    let diff = TextDiff::from_lines(before.as_str(), after.as_str());
    let tagged = |tag| {
        diff.iter_all_changes()
            .filter(|change| change.tag() == tag)
            .count()
    };
    let shown = !stat && !pair.secret && before != after;
    DiffView {
        path: pair.path.display(),
        change: pair.kind.as_str(),
        added: tagged(ChangeTag::Insert),
        removed: tagged(ChangeTag::Delete),
        metadata: metadata(pair),
        diff: shown.then(|| unified(pair, &diff)),
    }
}

fn unified(pair: &Pair, diff: &TextDiff<'_, '_, str>) -> String {
    let name = |version: &Version, side| match version.body {
        Body::Absent => "/dev/null".to_owned(),
        _ => format!("{side}{}", pair.full_path),
    };
    let header = (name(&pair.before, "a"), name(&pair.after, "b"));
    diff.unified_diff()
        .context_radius(3)
        .header(&header.0, &header.1)
        .to_string()
}

/// A version's lines. What could speak to the terminal is escaped.
fn text(version: &Version) -> String {
    let Body::File(bytes) = &version.body else {
        return String::new();
    };
    let mut text = String::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (line, end) = match line {
            [line @ .., b'\n'] => (line, "\n"),
            line => (line, ""),
        };
        let pieces: Vec<_> = line.split(|byte| *byte == b'\t').map(plain).collect();
        text.push_str(&pieces.join("\t"));
        text.push_str(end);
    }
    text
}

/// Valid text is left as it is: a backslash in a file is one backslash in its diff.
fn plain(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => escape(bytes),
    }
}

/// What differs beside the lines, in words.
fn metadata(pair: &Pair) -> Vec<String> {
    let mut lines = Vec::new();
    if pair.secret && pair.before.body != pair.after.body {
        lines.push("the content has changed; keys are not shown".to_owned());
    }
    let (before, after) = (kind(&pair.before), kind(&pair.after));
    if before != after && !(before.is_empty() || after.is_empty()) {
        lines.push(format!("{before} -> {after}"));
    }
    let (Some(before), Some(after)) = (&pair.before.meta, &pair.after.meta) else {
        return lines;
    };
    if before.mode != after.mode {
        lines.push(format!("mode {:04o} -> {:04o}", before.mode, after.mode));
    }
    if (before.uid, before.gid) != (after.uid, after.gid) {
        let owners = (before.uid, before.gid, after.uid, after.gid);
        lines.push(format!(
            "owner {}:{} -> {}:{}",
            owners.0, owners.1, owners.2, owners.3
        ));
    }
    if before.xattrs != after.xattrs {
        lines.push(format!(
            "attributes {} -> {}",
            xattrs(&before.xattrs),
            xattrs(&after.xattrs)
        ));
    }
    if lines.is_empty() && pair.before.body == pair.after.body {
        lines.push("only the modification time or a hard link has changed".to_owned());
    }
    lines
}

fn kind(version: &Version) -> String {
    match &version.body {
        Body::Absent => String::new(),
        Body::File(_) => "file".to_owned(),
        Body::Large(size) => format!("file of {size} bytes, too large to be shown"),
        Body::Link(target) => format!("link to {}", escape(target.as_os_str().as_encoded_bytes())),
        Body::Directory => "directory".to_owned(),
        Body::Special => "neither file, directory nor link".to_owned(),
    }
}

fn xattrs(xattrs: &[crate::sys::node::Xattr]) -> String {
    let mut text = String::new();
    for (name, value) in xattrs {
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(
            text,
            "{separator}{}={}",
            escape(name.as_encoded_bytes()),
            escape(value)
        );
    }
    if text.is_empty() {
        "none".to_owned()
    } else {
        text
    }
}
