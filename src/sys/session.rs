//! Who runs this, and from where.
//!
//! A transaction records it for the next administrator ("open since 14:02, by anna, from 10.0.0.7"), and
//! a rollback brings back the interface towards the operator's own address first. It is a hint and is never
//! trusted for more: an environment can say anything.
//!
//! `sudo` and `su -` take `SSH_CONNECTION` out of the environment, and a network change needs root, so
//! most of the time it is not there. It is in the environment of the login shell that `sudo` was typed
//! into, which is an ancestor of this process and whose `/proc/PID/environ` root may read. Asking `who` (utmp)
//! was rejected: it is absent on newer systems, knows names instead of addresses,
//! and does not tell which of an operator's several sessions this one is.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};

use crate::sys::name::InterfaceName;

/// How far up the processes are followed. A shell within sudo within tmux within a login is 6.
const MAX_ANCESTORS: usize = 32;

/// How much of a file below `/proc` is read, in bytes. An environment may be larger
/// (`ARG_MAX` is 2 MiB as a rule); one that is says nothing here.
const MAX_READ: u64 = 4 * 1024 * 1024;

/// What `/proc/PID/loginuid` holds where nobody logged in: -1 as unsigned.
const NO_LOGIN: u32 = u32::MAX;

/// Who runs this process, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The real user id; 0 under `sudo`.
    pub uid: u32,
    /// That user's name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The name of the user who logged in, where it is another: the one behind `sudo` or `su`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The SSH connection that this session came over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshConnection>,
}

/// The two ends of an SSH connection, as `SSH_CONNECTION` has them (`ssh(1)`, ENVIRONMENT).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshConnection {
    /// The operator's address.
    pub client: ZonedAddress,
    /// The operator's TCP port.
    pub client_port: u16,
    /// This host's address.
    pub server: ZonedAddress,
    /// This host's TCP port.
    pub server_port: u16,
}

/// An IP address, with its zone where it is link-local: `fe80::1%eth0`.
///
/// An IPv4 address that is written as an IPv6 one (`::ffff:10.0.0.7`) is taken as the IPv4 address: that is
/// what the packets and the routes carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZonedAddress {
    /// The address.
    pub address: IpAddr,
    /// The interface on which it is valid; only for IPv6.
    pub zone: Option<InterfaceName>,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IP address")]
pub struct BadAddress(String);

impl FromStr for ZonedAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.to_owned());
        let (address, zone) = match text.split_once('%') {
            Some((address, zone)) => (address, Some(zone.parse().map_err(|_| bad())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        if zone.is_some() && address.is_ipv4() {
            return Err(bad());
        }
        Ok(Self {
            address: address.to_canonical(),
            zone,
        })
    }
}

impl TryFrom<String> for ZonedAddress {
    type Error = BadAddress;

    fn try_from(text: String) -> Result<Self, BadAddress> {
        text.parse()
    }
}

impl From<ZonedAddress> for String {
    fn from(address: ZonedAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for ZonedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            Some(zone) => write!(f, "{}%{zone}", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// Why a text is not a value of `SSH_CONNECTION`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a client's address and port and a server's")]
pub struct BadConnection(String);

impl FromStr for SshConnection {
    type Err = BadConnection;

    fn from_str(text: &str) -> Result<Self, BadConnection> {
        let bad = || BadConnection(text.to_owned());
        let mut words = text.split(' ');
        let mut next = || words.next().ok_or_else(bad);
        let (client, client_port, server, server_port) = (next()?, next()?, next()?, next()?);
        if words.next().is_some() {
            return Err(bad());
        }
        Ok(Self {
            client: client.parse().map_err(|_| bad())?,
            client_port: port(client_port).ok_or_else(bad)?,
            server: server.parse().map_err(|_| bad())?,
            server_port: port(server_port).ok_or_else(bad)?,
        })
    }
}

impl Who {
    /// Finds out. What cannot be found out is left out; nothing here fails.
    pub fn present() -> Self {
        Self::from_proc(Path::new("/proc"), std::process::id())
    }

    fn from_proc(proc: &Path, pid: u32) -> Self {
        let uid = Uid::current();
        let own = environment(proc, pid);
        let login = own
            .as_deref()
            .and_then(|block| variable(block, "SUDO_USER"))
            .filter(|name| is_user_name(name))
            .map(str::to_owned)
            .or_else(|| user_name(login_uid(proc, pid).filter(|login| *login != uid.as_raw())?));
        Self {
            uid: uid.as_raw(),
            user: user_name(uid.as_raw()),
            login,
            ssh: ssh_of_ancestors(proc, pid),
        }
    }

    /// The operator's address, if the session came over SSH.
    pub fn ssh_client(&self) -> Option<IpAddr> {
        self.ssh.as_ref().map(|ssh| ssh.client.address)
    }
}

impl fmt::Display for Who {
    /// "anna (as root) from 10.0.0.7"
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uid = format!("uid {}", self.uid);
        let user = self.user.as_deref().unwrap_or(&uid);
        match &self.login {
            Some(login) if login != user => write!(f, "{login} (as {user})")?,
            _ => f.write_str(user)?,
        }
        match &self.ssh {
            Some(ssh) => write!(f, " from {}", ssh.client),
            None => Ok(()),
        }
    }
}

/// The connection in the nearest environment that has a valid one, from `pid` upwards.
fn ssh_of_ancestors(proc: &Path, pid: u32) -> Option<SshConnection> {
    let mut pid = pid;
    for _ in 0..MAX_ANCESTORS {
        let found = environment(proc, pid)
            .as_deref()
            .and_then(|block| variable(block, "SSH_CONNECTION"))
            .and_then(|value| value.parse().ok());
        if found.is_some() {
            return found;
        }
        let status = read(&proc.join(pid.to_string()).join("status"))?;
        pid = parent(&status).filter(|parent| *parent > 1)?;
    }
    None
}

fn environment(proc: &Path, pid: u32) -> Option<Vec<u8>> {
    read(&proc.join(pid.to_string()).join("environ"))
}

fn login_uid(proc: &Path, pid: u32) -> Option<u32> {
    let text = read(&proc.join(pid.to_string()).join("loginuid"))?;
    let uid = std::str::from_utf8(&text).ok()?.trim().parse().ok()?;
    (uid != NO_LOGIN).then_some(uid)
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(MAX_READ).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A variable's value in a block of `NAME=value` entries that end with NUL (`proc(5)`); one that
/// is not UTF-8 is as good as none.
fn variable<'a>(block: &'a [u8], name: &str) -> Option<&'a str> {
    block
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .and_then(|value| OsStr::from_bytes(value).to_str())
}

/// `PPid` of `/proc/PID/status`. The line with the process's own name comes before it, but
/// the kernel escapes a line break in it.
fn parent(status: &[u8]) -> Option<u32> {
    status
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"PPid:"))
        .and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok())
}

/// A TCP port: digits only, without the sign that the standard library's parser would take.
fn port(text: &str) -> Option<u16> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|port| *port != 0)
}

/// Whether this may be shown as a user's name.
fn is_user_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn user_name(uid: u32) -> Option<String> {
    let user = User::from_uid(Uid::from_raw(uid)).ok()??;
    Some(user.name).filter(|name| is_user_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_parsed_strictly() {
        let parsed: SshConnection = "10.0.0.7 50022 192.0.2.1 22".parse().unwrap();
        assert_eq!(parsed.client.to_string(), "10.0.0.7");
        assert_eq!((parsed.client_port, parsed.server_port), (50022, 22));
        let zoned: SshConnection = "fe80::1%eth0 50022 fe80::2%eth0 22".parse().unwrap();
        assert_eq!(zoned.client.zone.as_ref().unwrap().as_str(), "eth0");
        assert_eq!(zoned.server.to_string(), "fe80::2%eth0");
        let mapped: SshConnection = "::ffff:10.0.0.7 1 ::1 22".parse().unwrap();
        assert_eq!(mapped.client.to_string(), "10.0.0.7");
        for bad in [
            "",
            "10.0.0.7",
            "10.0.0.7 50022 192.0.2.1",
            "10.0.0.7 50022 192.0.2.1 22 x",
            "10.0.0.7  50022 192.0.2.1 22",
            "10.0.0.7 0 192.0.2.1 22",
            "10.0.0.7 +1 192.0.2.1 22",
            "10.0.0.7 65536 192.0.2.1 22",
            "10.0.0.7%eth0 1 192.0.2.1 22",
            "fe80::1%../x 1 ::1 22",
            "fe80::1% 1 ::1 22",
            "UNKNOWN 65535 UNKNOWN 65535",
        ] {
            assert!(bad.parse::<SshConnection>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn variables_are_found_by_their_whole_name() {
        let block = b"XSSH_CONNECTION=a\0SSH_CONNECTION_X=b\0SSH_CONNECTION=c=d\0BAD=\xff\0";
        assert_eq!(variable(block, "SSH_CONNECTION"), Some("c=d"));
        assert_eq!(variable(block, "SSH_CLIENT"), None);
        assert_eq!(variable(block, "BAD"), None);
        assert_eq!(variable(b"", "A"), None);
    }

    /// A `/proc` in which 30 is sudo's child, 20 the login shell and 10 sshd.
    fn sample(shell_environ: &[u8]) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        for (pid, parent, environ) in [
            (
                30,
                20,
                b"SUDO_USER=anna\0SSH_CONNECTION=nonsense\0".as_slice(),
            ),
            (20, 10, shell_environ),
            (10, 1, b""),
        ] {
            let directory = proc.path().join(pid.to_string());
            std::fs::create_dir(&directory).unwrap();
            let status = format!("Name:\tPPid: 9\nPid:\t{pid}\nPPid:\t{parent}\n");
            std::fs::write(directory.join("status"), status).unwrap();
            std::fs::write(directory.join("environ"), environ).unwrap();
        }
        proc
    }

    #[test]
    fn the_connection_is_found_behind_sudo() {
        let proc = sample(b"TERM=x\0SSH_CONNECTION=10.0.0.7 1 192.0.2.1 22\0");
        let who = Who::from_proc(proc.path(), 30);
        assert_eq!(who.ssh_client().unwrap().to_string(), "10.0.0.7");
        assert_eq!(who.login.as_deref(), Some("anna"));
        let text = serde_json::to_string(&who).unwrap();
        assert!(text.contains(r#""client":"10.0.0.7""#), "{text}");
        assert_eq!(serde_json::from_str::<Who>(&text).unwrap(), who);
    }

    #[test]
    fn garbage_and_loops_are_no_connection() {
        let proc = sample(b"SSH_CONNECTION=\xff\0");
        assert_eq!(Who::from_proc(proc.path(), 30).ssh, None);
        std::fs::write(proc.path().join("10/status"), "PPid:\t30\n").unwrap();
        assert_eq!(Who::from_proc(proc.path(), 30).ssh, None);
        assert_eq!(Who::from_proc(proc.path(), 99).ssh, None);
    }

    #[test]
    fn this_process_is_somebodys() {
        assert_eq!(Who::present().uid, Uid::current().as_raw());
    }

    #[test]
    fn who_reads_as_a_phrase() {
        let mut who = Who {
            uid: 0,
            user: Some("root".to_owned()),
            login: Some("anna".to_owned()),
            ssh: "10.0.0.7 1 192.0.2.1 22".parse().ok(),
        };
        assert_eq!(who.to_string(), "anna (as root) from 10.0.0.7");
        who.login = None;
        who.ssh = None;
        assert_eq!(who.to_string(), "root");
    }
}
