//! `/etc/ncf/ncf.conf`: what a snapshot holds beyond the usual, how interfaces are brought up, how much
//! is kept. `ncf.conf(5)` describes it.
//!
//! Every key has a default and the file need not be there. Anything in it that is not understood is an
//! error, with its line: a misspelt `include` that is passed over would be found out in the rollback
//! that did not restore the file. For the same reason a value that is out of range is
//! refused rather than brought into it.
//!
//! rust-ini reads it, without escapes and quotes: a backslash in a pattern stays one. It does not tell where
//! a key was, so the line is looked for afterwards, when there is an error to report.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read};
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use ini::{Ini, ParseOption};

use crate::error::{Context, Error, Result};

/// Where it is, unless `--config` or `NCF_CONFIG` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/ncf/ncf.conf";

/// The largest file that is read, in bytes.
const MAX_SIZE: u64 = 64 * 1024;

/// Directories that no snapshot may reach into: what is in them is the kernel's, is gone after a
/// reboot, belongs to packages (which an update during a change may replace; the boot unit cannot
/// write there), or is ncf's own.
const NOT_INCLUDED: [&str; 7] = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/usr",
    "/boot",
    "/var/lib/ncf",
];

/// The settings, with defaults for what the file does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conf {
    /// `[snapshot] include`: more files that a snapshot holds, in the order of the file.
    pub include: Vec<Include>,
    /// `[apply]`.
    pub apply: ApplyConf,
    /// `[history]`.
    pub history: HistoryConf,
}

/// How interfaces are brought up and down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyConf {
    /// `applier`: which applier; `--applier` overrides it.
    pub applier: ApplierChoice,
    /// `ifup`: the command and its arguments, before the interface's name. Never empty.
    pub ifup: Option<Vec<String>>,
    /// `ifdown`: likewise.
    pub ifdown: Option<Vec<String>>,
    /// `timeout`: how long one `ifup` or `ifdown` may take, 1 s to 3600 s.
    pub timeout: Duration,
    /// `parallel`: how many run at once, 1 to 64.
    pub parallel: usize,
    /// `dhcp-client`: what the built-in applier gets addresses by DHCP with.
    pub dhcp_client: DhcpClient,
}

impl Default for ApplyConf {
    fn default() -> Self {
        Self {
            applier: ApplierChoice::Auto,
            ifup: None,
            ifdown: None,
            // dhclient gives up after 60 s; it should be what ends, not ifup.
            timeout: Duration::from_secs(90),
            parallel: 4,
            dhcp_client: DhcpClient::Auto,
        }
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryConf {
    /// `keep`: how many archived changes, 1 to 1000.
    pub keep: usize,
}

impl Default for HistoryConf {
    fn default() -> Self {
        Self { keep: 20 }
    }
}

/// Which applier to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApplierChoice {
    /// `system` if the host has both `ifup` and `ifdown`, else `builtin`.
    #[default]
    Auto,
    /// The host's `ifup` and `ifdown`.
    System,
    /// Netlink.
    Builtin,
    /// Files alone.
    None,
}

impl std::str::FromStr for ApplierChoice {
    type Err = &'static str;

    /// The error says what is allowed.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "auto" => Ok(Self::Auto),
            "system" => Ok(Self::System),
            "builtin" => Ok(Self::Builtin),
            "none" => Ok(Self::None),
            _ => Err("auto, system, builtin or none"),
        }
    }
}

/// Which DHCP client to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DhcpClient {
    /// The first of the others that the host has.
    #[default]
    Auto,
    /// dhclient of ISC DHCP.
    Dhclient,
    /// dhcpcd.
    Dhcpcd,
    /// udhcpc and udhcpc6 of busybox.
    Udhcpc,
}

impl std::str::FromStr for DhcpClient {
    type Err = &'static str;

    /// The error says what is allowed.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "auto" => Ok(Self::Auto),
            "dhclient" => Ok(Self::Dhclient),
            "dhcpcd" => Ok(Self::Dhcpcd),
            "udhcpc" => Ok(Self::Udhcpc),
            _ => Err("auto, dhclient, dhcpcd or udhcpc"),
        }
    }
}

/// A file, or with a pattern as its last component several files of a directory, as an absolute path
/// inside the root (see `--root`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Include(PathBuf);

impl Include {
    /// The absolute path. Only its last component may have the pattern characters `*`, `?` and `[`.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether the last component is a pattern.
    pub fn is_pattern(&self) -> bool {
        self.0
            .file_name()
            .is_some_and(|name| has_pattern(&name.to_string_lossy()))
    }
}

impl std::str::FromStr for Include {
    type Err = String;

    /// The error says why it is refused.
    fn from_str(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err("it is not an absolute path".to_owned());
        }
        let mut path = PathBuf::from("/");
        for component in Path::new(text).components() {
            match component {
                Component::RootDir => {}
                Component::Normal(name) => path.push(name),
                _ => return Err("it has a '..'".to_owned()),
            }
        }
        let name = path.file_name().ok_or("it is the root directory")?;
        let name = name.to_string_lossy().into_owned();
        let directory = path.parent().unwrap_or(Path::new("/"));
        if has_pattern(&directory.to_string_lossy()) {
            return Err("only the last component may be a pattern".to_owned());
        }
        if text.ends_with('/') {
            return Err("it names a directory; add '*' for the files in it".to_owned());
        }
        if name.contains("**") {
            return Err("'**' is not a pattern here: directories are not searched".to_owned());
        }
        glob::Pattern::new(&name).map_err(|error| format!("not a pattern: {}", error.msg))?;
        if let Some(taken) = NOT_INCLUDED.iter().find(|taken| path.starts_with(taken)) {
            return Err(format!("a change cannot cover what is in {taken}"));
        }
        Ok(Self(path))
    }
}

fn has_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Reads the file. One that is not there is the defaults.
///
/// A file that cannot be read is an error of kind `Failed`; one that is wrong, too
/// large or not a file is one of kind `Usage`.
pub fn load(path: &Path) -> Result<Conf> {
    let doing = || format!("cannot read {}", path.display());
    match path.metadata() {
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(Conf::default()),
        Err(error) => return Err(error).context(doing),
        // Opening a named pipe would wait for somebody to write into it.
        Ok(meta) if !meta.is_file() => {
            return Err(Error::usage(doing()).because("it is not a regular file"));
        }
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    let file = File::open(path).context(doing)?;
    file.take(MAX_SIZE + 1)
        .read_to_end(&mut bytes)
        .context(doing)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(Error::usage(doing()).because("it is larger than 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|error| Error::usage(doing()).because(error))?;
    parse(&text, path)
}

/// Parses the file's text. `path` is for the messages.
pub fn parse(text: &str, path: &Path) -> Result<Conf> {
    let at = |line: usize| format!("{}:{line}", path.display());
    // Without these a key without a "=" would be taken as one with the next line.
    let options = ParseOption {
        enabled_quote: false,
        enabled_escape: false,
        ..ParseOption::default()
    };
    let ini = Ini::load_from_str_opt(text, options).map_err(|error| {
        Error::usage(format!("{}: {}", at(error.line), error.msg))
            .hint("lines are [section], key = value, or a comment that begins with #")
    })?;
    let mut conf = Conf::default();
    let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
    for (section, properties) in &ini {
        let section = section.unwrap_or_default();
        known_section(section, properties.is_empty(), text, &at)?;
        for (key, value) in properties {
            let count = seen.entry((section, key)).or_default();
            *count += 1;
            let wrong = |message: String| {
                let line = line_of(text, section, key, *count);
                Error::usage(format!("{}: {message}", at(line)))
            };
            if *count > 1 && (section, key) != ("snapshot", "include") {
                return Err(wrong(format!("{key} is given twice")));
            }
            set(&mut conf, section, key, value.trim()).map_err(|bad| {
                let error = wrong(bad.message);
                match bad.allowed {
                    Some(allowed) => error.hint(format!("allowed: {allowed}")),
                    None => error,
                }
            })?;
        }
    }
    Ok(conf)
}

fn known_section(
    section: &str,
    empty: bool,
    text: &str,
    at: &dyn Fn(usize) -> String,
) -> Result<()> {
    match section {
        "snapshot" | "apply" | "history" => Ok(()),
        // What comes before the first section, which is usually nothing.
        "" if empty => Ok(()),
        "" => {
            let line = lines(text).find(|(_, _, key)| key.is_some());
            let line = line.map_or(1, |(line, _, _)| line);
            Err(Error::usage(format!(
                "{}: a key stands before any [section]",
                at(line)
            )))
        }
        other => {
            let line = lines(text).find(|(_, section, _)| *section == other);
            let line = line.map_or(1, |(line, _, _)| line);
            let error = Error::usage(format!("{}: unknown section [{other}]", at(line)));
            Err(error.hint("allowed: [snapshot], [apply], [history]"))
        }
    }
}

/// What is wrong with a value, and what would be right.
struct Bad {
    message: String,
    allowed: Option<String>,
}

impl Bad {
    fn value(key: &str, value: &str, allowed: impl Into<String>) -> Self {
        Self {
            message: format!("{key}: {value:?} is not allowed"),
            allowed: Some(allowed.into()),
        }
    }
}

fn set(conf: &mut Conf, section: &str, key: &str, value: &str) -> Result<(), Bad> {
    match (section, key) {
        ("snapshot", "include") => conf.include.push(value.parse().map_err(|reason| Bad {
            message: format!("include: {value:?}: {reason}"),
            allowed: Some("an absolute path whose last component may be a pattern".to_owned()),
        })?),
        ("apply", "applier") => {
            conf.apply.applier = value
                .parse()
                .map_err(|allowed| Bad::value(key, value, allowed))?;
        }
        ("apply", "ifup") => conf.apply.ifup = Some(command(key, value)?),
        ("apply", "ifdown") => conf.apply.ifdown = Some(command(key, value)?),
        ("apply", "timeout") => {
            let seconds = number(key, value, 1..=3600, " (seconds)")?;
            conf.apply.timeout = Duration::from_secs(u64::from(seconds));
        }
        ("apply", "parallel") => conf.apply.parallel = number(key, value, 1..=64, "")?.into(),
        ("apply", "dhcp-client") => {
            conf.apply.dhcp_client = value
                .parse()
                .map_err(|allowed| Bad::value(key, value, allowed))?;
        }
        ("history", "keep") => conf.history.keep = number(key, value, 1..=1000, "")?.into(),
        _ => return Err(unknown_key(section, key)),
    }
    Ok(())
}

fn unknown_key(section: &str, key: &str) -> Bad {
    let allowed = match section {
        "snapshot" => "include",
        "apply" => "applier, ifup, ifdown, timeout, parallel, dhcp-client",
        _ => "keep",
    };
    // rust-ini takes a line without "=" as the beginning of the next line's key.
    let message = match key.split_once('\n') {
        Some((line, _)) => format!("{:?} has no \"= value\"", line.trim()),
        None => format!("unknown key {key:?} in [{section}]"),
    };
    Bad {
        message,
        allowed: Some(allowed.to_owned()),
    }
}

fn number(key: &str, value: &str, range: RangeInclusive<u16>, unit: &str) -> Result<u16, Bad> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|_| digits);
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let allowed = format!("{} to {}{unit}", range.start(), range.end());
            Bad::value(key, value, allowed)
        })
}

fn command(key: &str, value: &str) -> Result<Vec<String>, Bad> {
    let words: Vec<String> = value.split_ascii_whitespace().map(str::to_owned).collect();
    let program = words.first().map(String::as_str).unwrap_or_default();
    let named = !program.is_empty() && (program.starts_with('/') || !program.contains('/'));
    if named && !value.contains(['"', '\'']) {
        Ok(words)
    } else {
        let allowed = "a program's name or absolute path and its arguments, without quotes";
        Err(Bad::value(key, value, allowed))
    }
}

/// The line, from 1, of the `count`th `key` in `section`; 1 if it is not found.
fn line_of(text: &str, section: &str, key: &str, count: usize) -> usize {
    let first_line = key.lines().next().unwrap_or_default().trim();
    lines(text)
        .filter(|(_, in_section, found)| *in_section == section && *found == Some(first_line))
        .nth(count.saturating_sub(1))
        .map_or(1, |(line, _, _)| line)
}

/// For each line that is not blank and no comment: its number, its section, and its key
/// unless it begins a section.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str, Option<&str>)> {
    let mut section = "";
    text.lines().enumerate().filter_map(move |(index, line)| {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            return None;
        }
        if let Some(header) = line.strip_prefix('[') {
            section = header.split(']').next().unwrap_or_default().trim();
            return Some((index + 1, section, None));
        }
        let key = line.split(['=', ':']).next().unwrap_or_default().trim();
        Some((index + 1, section, Some(key)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn read(text: &str) -> Result<Conf> {
        parse(text, Path::new("ncf.conf"))
    }

    #[test]
    fn everything_can_be_set() {
        let conf = read(
            "# comment\n[snapshot]\ninclude = /etc/hosts\ninclude=/etc//iproute2/*.conf\n\
             [apply]\napplier = system\nifup = /opt/ifup --force\nifdown = ifdown\n\
             timeout = 3600\nparallel = 64\ndhcp-client = udhcpc\n; comment\n[history]\nkeep = 1000\n",
        )
        .unwrap();
        let paths: Vec<_> = conf.include.iter().map(Include::path).collect();
        assert_eq!(
            paths,
            [Path::new("/etc/hosts"), Path::new("/etc/iproute2/*.conf")]
        );
        assert!(!conf.include[0].is_pattern());
        assert!(conf.include[1].is_pattern());
        assert_eq!(conf.apply.applier, ApplierChoice::System);
        assert_eq!(conf.apply.ifup.unwrap(), ["/opt/ifup", "--force"]);
        assert_eq!(conf.apply.ifdown.unwrap(), ["ifdown"]);
        assert_eq!(conf.apply.timeout.as_secs(), 3600);
        assert_eq!((conf.apply.parallel, conf.history.keep), (64, 1000));
        assert_eq!(conf.apply.dhcp_client, DhcpClient::Udhcpc);
    }

    #[test]
    fn nothing_is_the_defaults() {
        for text in [
            "",
            "\n",
            "# only a comment\n",
            "[apply]\n",
            "[snapshot]\n[history]",
        ] {
            assert_eq!(read(text).unwrap(), Conf::default(), "{text:?}");
        }
        let absent = load(Path::new("/nonexistent/ncf.conf")).unwrap();
        assert_eq!(absent, Conf::default());
    }

    #[test]
    fn the_sample_shows_the_defaults() {
        let sample = include_str!("../../man/ncf.conf.sample");
        assert_eq!(read(sample).unwrap(), Conf::default());
        let set = sample.replace("\n#", "\n").replace("\n ", "\n# ");
        let conf = read(&set).unwrap();
        assert_eq!(conf.include.len(), 2);
        assert_eq!(conf.apply.timeout, ApplyConf::default().timeout);
        assert_eq!(conf.apply.parallel, ApplyConf::default().parallel);
        assert_eq!(conf.history, HistoryConf::default());
    }

    #[test]
    fn errors_name_the_line_and_the_value() {
        for (text, message) in [
            ("[apply]\n\ntimeout = 0\n", "ncf.conf:3: timeout: \"0\""),
            ("[apply]\ntimeout = 3601", "ncf.conf:2: timeout: \"3601\""),
            ("[apply]\ntimeout = +5", "ncf.conf:2: timeout: \"+5\""),
            ("[apply]\ntimeout = 90s", "ncf.conf:2: timeout: \"90s\""),
            ("[apply]\ntimeout =\n", "ncf.conf:2: timeout: \"\""),
            ("[apply]\nparallel = 65", "ncf.conf:2: parallel: \"65\""),
            ("[history]\nkeep = 1001", "ncf.conf:2: keep: \"1001\""),
            ("[apply]\napplier = nmcli", "ncf.conf:2: applier: \"nmcli\""),
            ("[apply]\nifup = \"/a b\"", "ncf.conf:2: ifup: "),
            ("[apply]\nifup = ./ifup", "ncf.conf:2: ifup: "),
            ("[apply]\nifup =", "ncf.conf:2: ifup: \"\""),
            (
                "[apply]\nkeep = 5",
                "ncf.conf:2: unknown key \"keep\" in [apply]",
            ),
            ("# x\n[aply]\n", "ncf.conf:2: unknown section [aply]"),
            (
                "# x\nkeep = 5\n",
                "ncf.conf:2: a key stands before any [section]",
            ),
            (
                "[history]\nkeep = 5\n[apply]\n[history]\nkeep = 6",
                "ncf.conf:5: keep is given twice",
            ),
            (
                "[apply]\nifup\ntimeout = 5",
                "ncf.conf:2: \"ifup\" has no \"= value\"",
            ),
            ("[apply\n", "ncf.conf:"),
        ] {
            let error = read(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().starts_with(message), "{text:?}: {error}");
        }
    }

    #[test]
    fn includes_that_cannot_be_restored_are_refused() {
        for bad in [
            "etc/hosts",
            "",
            "/",
            "/etc/../proc/x",
            "/etc/..",
            "/proc/net/dev",
            "/sys",
            "/dev/null",
            "/run/*",
            "/usr/lib/x",
            "//run/x",
            "/var/lib/ncf/lock",
            "/etc/*/hosts",
            "/etc/**",
            "/etc/[a",
            "/etc/sysconfig/",
        ] {
            let text = format!("[snapshot]\ninclude = /etc/hosts\ninclude = {bad}\n");
            let error = read(&text).expect_err(bad);
            assert!(
                error.to_string().starts_with("ncf.conf:3: include: "),
                "{error}"
            );
        }
        assert!(read("[snapshot]\ninclude = /runner/x\ninclude = /etc/a..b").is_ok());
    }

    #[test]
    fn a_file_that_is_too_large_or_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ncf.conf");
        std::fs::write(&path, "# comment\n".repeat(7000)).unwrap();
        assert_eq!(load(&path).unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!(load(directory.path()).unwrap_err().kind(), ErrorKind::Usage);
        std::fs::write(&path, b"[apply]\n\xff\n").unwrap();
        assert_eq!(load(&path).unwrap_err().kind(), ErrorKind::Usage);
        std::fs::write(&path, "[history]\nkeep = 3\n").unwrap();
        assert_eq!(load(&path).unwrap().history.keep, 3);
    }
}
