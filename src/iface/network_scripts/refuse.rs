//! What the built-in applier does not do yet, refused before anything is touched.
//!
//! A key that is not listed here and that no other file of this module reads is ignored: the scripts leave most of
//! them to others (`UUID`, `ZONE`, `DNS1`), and refusing the unknown would refuse nearly every host.

use super::config::{self, Config};
use super::naming::file_name;
use crate::iface::backend::Files;
use crate::ifcfg::Place;
use crate::sys::name::InterfaceName;
use crate::{Error, Result};

/// Keys that must be empty, and what they ask for.
const NOT_EMPTY: [(&str, &str); 20] = [
    ("TEAM_MASTER", "teams"),
    ("TEAM_CONFIG", "teams"),
    ("TEAM_PORT_CONFIG", "teams"),
    ("OVS_BRIDGE", "Open vSwitch"),
    ("DEVICETYPE", "device types with scripts of their own"),
    ("VRF", "VRFs"),
    ("ESSID", "wireless networks"),
    ("KEY_MGMT", "wireless networks"),
    ("MY_INNER_IPADDR", "tunnels"),
    ("MY_OUTER_IPADDR", "tunnels"),
    ("PEER_INNER_IPADDR", "tunnels"),
    ("PEER_OUTER_IPADDR", "tunnels"),
    ("IPV6TUNNELIPV4", "tunnels"),
    ("REALDEVICE", "devices under another name"),
    ("PARENTDEVICE", "devices under another name"),
    (
        "IPADDR_START",
        "ranges of aliases in a file of another name",
    ),
    ("ARP", "switching ARP"),
    ("SCOPE", "address scopes"),
    ("WINDOW", "TCP windows of routes"),
    ("EXTRA_ROUTE_OPTS", "route options of other kinds"),
];

/// The error for what is not done, with the way out.
pub(super) fn unsupported(place: Place<'_>, key: &str, value: &str, what: &str) -> Error {
    with_hint(Error::failed(format!(
        "{place}: {key}={value:?}: the built-in applier does not support {what} yet"
    )))
}

fn with_hint(error: Error) -> Error {
    error
        .hint("use --applier system, which runs this host's ifup and ifdown")
        .hint("use --applier none to change files only")
}

/// Refuses what `config`, which is that of `name`, and the files beside it ask for in vain.
pub(super) fn check(name: &InterfaceName, config: &Config, files: &dyn Files) -> Result<()> {
    check_code(config)?;
    let refuse =
        |key: &str, value: &str, what: &str| Err(unsupported(config.place(key), key, value, what));
    let is_port = config.text("BRIDGE")?.is_some()
        || config.text("MASTER")?.is_some() && config.yes("SLAVE")? == Some(true);
    if let Some(kind) = config.text("TYPE")?
        && kind != "Bridge"
        && !["Ethernet", "Bond", "Vlan"]
            .iter()
            .any(|known| kind.eq_ignore_ascii_case(known))
    {
        return refuse("TYPE", &kind, "this type");
    }
    // A port's own addresses, by whatever protocol, are never asked for.
    if let Some(protocol) = config.text("BOOTPROTO")?
        && !is_port
        && !["none", "static", "dhcp", "bootp"].contains(&protocol.as_str())
    {
        return refuse("BOOTPROTO", &protocol, "this protocol");
    }
    let ignores_ipv6 = is_port || config.yes("IPV6INIT")? == Some(false);
    check_empty(config, |key| !(ignores_ipv6 && key.starts_with("IPV6")))?;
    check_beside(name, config, files)
}

/// Refuses what `config`, which is that of a range of aliases, asks for in vain.
pub(super) fn check_range(config: &Config) -> Result<()> {
    check_code(config)?;
    check_empty(config, |key| key != "IPADDR_START")
}

/// Refuses those of [`NOT_EMPTY`] that are `read`.
fn check_empty(config: &Config, read: impl Fn(&str) -> bool) -> Result<()> {
    for (key, what) in NOT_EMPTY.into_iter().filter(|(key, _)| read(key)) {
        if let Some(value) = config.text(key)? {
            return Err(unsupported(config.place(key), key, &value, what));
        }
    }
    Ok(())
}

/// Refuses commands: they may set any key.
fn check_code(config: &Config) -> Result<()> {
    let Some(line) = config.file.code().first().copied() else {
        return Ok(());
    };
    let place = Place {
        file: &config.path,
        line: Some(line),
    };
    Err(with_hint(Error::failed(format!(
        "{place}: the built-in applier does not support shell code yet: only assignments such as \
         MTU=1500 are"
    ))))
}

/// Refuses files beside the `ifcfg` file that the built-in applier does not read.
fn check_beside(name: &InterfaceName, config: &Config, files: &dyn Files) -> Result<()> {
    for part in config.parts(name) {
        let file = file_name("keys-", part);
        let text = config::read(&file, files)?.unwrap_or_default();
        if let Some(line) = first_line(&text) {
            let path = config::path_of(&file);
            return Err(with_hint(Error::failed(format!(
                "{path}:{line}: the built-in applier does not support keys yet"
            ))));
        }
    }
    Ok(())
}

/// The first line that is neither blank nor a comment, counted from 1.
fn first_line(text: &[u8]) -> Option<usize> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let counts = |line: &[u8]| {
        let mut rest = line.iter().skip_while(|byte| byte.is_ascii_whitespace());
        rest.next().is_some_and(|byte| *byte != b'#')
    };
    lines.position(counts).map(|at| at + 1)
}
