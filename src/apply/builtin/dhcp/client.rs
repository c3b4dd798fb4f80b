//! The DHCP clients that hosts have: how each is started, found again and ended.
//!
//! dhclient's files are where network-scripts have them. So a client that `ifup` has started is known here, one
//! that ncf has started is known to `ifdown`, and both are where SELinux and `AppArmor` let dhclient write.
//! dhcpcd chooses its files itself. udhcpc's is in `/run/ncf`.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::Family;
use crate::apply::desired::Dhcp;
use crate::error::{Context, Error, Result};
use crate::sys::conf::DhcpClient;
use crate::sys::daemon::Daemon;
use crate::sys::name::InterfaceName;
use crate::sys::process::{self, Invocation, SEARCH_PATH};

/// Between asking a client to end and ending it.
const GRACE: Duration = Duration::from_secs(5);

/// What a client may take beyond the time for its lease, to give up by itself.
const SPARE: Duration = Duration::from_secs(5);

/// How many of the last lines of a failed client's output are shown.
const SHOWN_LINES: usize = 4;

/// Where a client that has no place of its own keeps its process id.
const RUN: &str = "/run/ncf";

/// Where dhclient may keep leases, by distribution.
const LEASES: [&str; 2] = ["/var/lib/dhclient", "/var/lib/dhcp"];

/// What to ask a server for where its default route is not wanted.
const NO_ROUTERS: &str = "subnet-mask, broadcast-address, domain-name, domain-name-servers, \
                          domain-search, host-name, interface-mtu, ntp-servers";

/// A client that this host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Dhclient,
    Dhcpcd,
    Udhcpc,
    Udhcpc6,
}

/// A client that runs for one device and family.
pub(super) struct Running {
    client: Client,
    family: Family,
    device: InterfaceName,
    daemon: Daemon,
}

impl Client {
    /// Those for a family, the first choice first.
    fn all(family: Family) -> [Self; 3] {
        match family {
            Family::V4 => [Self::Dhclient, Self::Dhcpcd, Self::Udhcpc],
            Family::V6 => [Self::Dhclient, Self::Dhcpcd, Self::Udhcpc6],
        }
    }

    /// Those of them that may be used.
    fn allowed(family: Family, choice: DhcpClient) -> impl Iterator<Item = Self> {
        let is_allowed = move |client: &Self| match choice {
            DhcpClient::Auto => true,
            DhcpClient::Dhclient => *client == Self::Dhclient,
            DhcpClient::Dhcpcd => *client == Self::Dhcpcd,
            DhcpClient::Udhcpc => matches!(client, Self::Udhcpc | Self::Udhcpc6),
        };
        Self::all(family).into_iter().filter(is_allowed)
    }

    /// The names of those for a family that may be used.
    pub(super) fn known(family: Family, choice: DhcpClient) -> String {
        let programs: Vec<_> = Self::allowed(family, choice).map(Self::program).collect();
        programs.join(", ")
    }

    /// The first of them that is there.
    pub(super) fn find(family: Family, choice: DhcpClient) -> Option<Self> {
        Self::allowed(family, choice)
            .find(|client| process::find(Path::new(client.program()), SEARCH_PATH).is_some())
    }

    fn program(self) -> &'static str {
        match self {
            Self::Dhclient => "dhclient",
            Self::Dhcpcd => "dhcpcd",
            Self::Udhcpc => "udhcpc",
            Self::Udhcpc6 => "udhcpc6",
        }
    }

    /// Starts it and waits until it has a lease, has given up, or, if it is to be persistent, tries in the
    /// background.
    pub(super) fn start(
        self,
        family: Family,
        device: &InterfaceName,
        dhcp: &Dhcp,
        limit: Duration,
    ) -> Result<()> {
        make_run_directory()?;
        if self == Self::Dhclient {
            write_dhclient_settings(family, device, dhcp)?;
        }
        let program = self.program();
        let mut invocation = Invocation::new(program, limit + SPARE)
            .args(self.arguments(family, device, dhcp, limit));
        if let Some(metric) = dhcp.metric {
            invocation = invocation.env("IF_METRIC", metric.to_string());
        }
        let ended = invocation.run()?;
        if ended.how.success() {
            return Ok(());
        }
        let error = Error::failed(format!(
            "{device}: no {} address by DHCP: {program} {}",
            family.name(),
            ended.how
        ));
        Err(match ended.summary(SHOWN_LINES) {
            Some(output) => error.because(output),
            None => error,
        })
    }

    fn arguments(
        self,
        family: Family,
        device: &InterfaceName,
        dhcp: &Dhcp,
        limit: Duration,
    ) -> Vec<String> {
        let hostname = dhcp.hostname.clone().or_else(own_hostname);
        let hostname = hostname.filter(|_| family == Family::V4);
        let words = match self {
            Self::Dhclient => dhclient(family, device, dhcp),
            Self::Dhcpcd => dhcpcd(family, dhcp, hostname, limit),
            Self::Udhcpc | Self::Udhcpc6 => self.udhcpc(family, device, dhcp, hostname),
        };
        let named = match self {
            Self::Dhclient | Self::Dhcpcd => Some(device.to_string()),
            Self::Udhcpc | Self::Udhcpc6 => None,
        };
        words.into_iter().chain(named).collect()
    }

    fn udhcpc(
        self,
        family: Family,
        device: &InterfaceName,
        dhcp: &Dhcp,
        hostname: Option<String>,
    ) -> Vec<String> {
        let file = self.pid_files(family, device).into_iter().next();
        let file = file.unwrap_or_default().display().to_string();
        let mut words = words(&["-i", device.as_str(), "-p", &file, "-t", "15", "-T", "4"]);
        words.extend(words_if(dhcp.persistent, &["-b"], &["-n"]));
        if let Some(hostname) = hostname {
            words.extend(["-x".to_owned(), format!("hostname:{hostname}")]);
        }
        let some = [
            "-o",
            "-O",
            "subnet",
            "-O",
            "broadcast",
            "-O",
            "dns",
            "-O",
            "domain",
        ];
        words.extend(words_if(
            dhcp.default_route || family == Family::V6,
            &[],
            &some,
        ));
        words
    }

    /// Where its process id is, in any of its versions.
    fn pid_files(self, family: Family, device: &InterfaceName) -> Vec<PathBuf> {
        let six = six(family);
        let digit = if family == Family::V4 { "4" } else { "6" };
        match self {
            Self::Dhclient => vec![format!("/run/dhclient{six}-{device}.pid").into()],
            Self::Dhcpcd => vec![
                format!("/run/dhcpcd/{device}-{digit}.pid").into(),
                format!("/run/dhcpcd-{device}-{digit}.pid").into(),
            ],
            Self::Udhcpc | Self::Udhcpc6 => {
                vec![format!("{RUN}/{}-{device}.pid", self.program()).into()]
            }
        }
    }
}

impl Running {
    /// The clients that run for `device`.
    pub(super) fn all(family: Family, device: &InterfaceName) -> Vec<Self> {
        let mut found = Vec::new();
        for client in Client::all(family) {
            // dhcpcd writes over its arguments; that its file is the device's has to do.
            let argument = (client != Client::Dhcpcd).then_some(device.as_str());
            let files = client.pid_files(family, device);
            let find = |file: &PathBuf| Daemon::find(file, client.program(), argument);
            found.extend(files.iter().find_map(find).map(|daemon| Self {
                client,
                family,
                device: device.clone(),
                daemon,
            }));
        }
        found
    }

    /// Whether one runs for `device`.
    pub(super) fn any(family: Family, device: &InterfaceName) -> bool {
        !Self::all(family, device).is_empty()
    }

    /// Ends it, as `ifdown-eth` does; with `release` the lease is given back first.
    pub(super) fn end(self, release: bool) -> Result<()> {
        let program = self.client.program();
        let doing = || format!("cannot end {program} of {}", self.device);
        if release {
            // Whether the server hears of it or not, the client is to end.
            self.release();
        } else {
            self.daemon.signal(Signal::SIGTERM).context(doing)?;
        }
        if !self.daemon.ends_within(GRACE) {
            self.daemon.end(GRACE).context(doing)?;
        }
        if self.client == Client::Dhclient {
            for file in self.client.pid_files(self.family, &self.device) {
                let _ = fs::remove_file(file);
            }
            self.tell_script();
        }
        Ok(())
    }

    fn release(&self) {
        match self.client {
            Client::Dhclient => {
                let mut words = words_if(self.family == Family::V6, &["-6", "-r"], &["-4", "-r"]);
                words.extend(dhclient_files(self.family, &self.device));
                words.push(self.device.to_string());
                let _ = Invocation::new("dhclient", GRACE).args(words).run();
            }
            // Releases and ends (dhcpcd(8), "Signals").
            Client::Dhcpcd => {
                let _ = self.daemon.signal(Signal::SIGALRM);
            }
            Client::Udhcpc | Client::Udhcpc6 => {
                let _ = self.daemon.signal(Signal::SIGUSR2);
                // The packet is to be sent before the next signal is seen to.
                self.daemon.ends_within(Duration::from_millis(200));
                let _ = self.daemon.signal(Signal::SIGTERM);
            }
        }
    }

    /// Has dhclient's script take back what it has written of the lease, such as `/etc/resolv.conf`.
    fn tell_script(&self) {
        let reason = match self.family {
            Family::V4 => "STOP",
            Family::V6 => "STOP6",
        };
        let script = Invocation::new("dhclient-script", GRACE)
            .env("reason", reason)
            .env("interface", self.device.as_str());
        // Not every dhclient has one where programs are.
        let _ = script.run();
    }
}

fn dhclient(family: Family, device: &InterfaceName, dhcp: &Dhcp) -> Vec<String> {
    let mut words = words_if(family == Family::V6, &["-6", "-q"], &["-4", "-q"]);
    words.extend(words_if(dhcp.persistent, &["-nw"], &["-1"]));
    words.extend(dhclient_files(family, device));
    if dhclient_settings(dhcp).is_empty() {
        let own = dhclient_own_file(family, device);
        words.extend(own.into_iter().flat_map(|file| ["-cf".to_owned(), file]));
    } else {
        words.extend(["-cf".to_owned(), dhclient_settings_file(family, device)]);
    }
    if let Some(metric) = dhcp.metric {
        words.extend(["-e".to_owned(), format!("IF_METRIC={metric}")]);
    }
    words
}

/// What goes beyond the host's own settings. Red Hat's dhclient takes it as arguments, others do not.
fn dhclient_settings(dhcp: &Dhcp) -> String {
    let hostname = dhcp.hostname.as_ref();
    let name = hostname.map(|name| format!("send host-name \"{name}\";\n"));
    let request = (!dhcp.default_route).then(|| format!("request {NO_ROUTERS};\n"));
    name.into_iter().chain(request).collect()
}

fn dhclient_settings_file(family: Family, device: &InterfaceName) -> String {
    format!("{RUN}/dhclient{}-{device}.conf", six(family))
}

/// The settings that the host has for this device alone, as `generate_config_file_name` of `network-functions`
/// finds them.
fn dhclient_own_file(family: Family, device: &InterfaceName) -> Option<String> {
    let names =
        ["/etc/dhcp", "/etc"].map(|dir| format!("{dir}/dhclient{}-{device}.conf", six(family)));
    names.into_iter().find(|file| Path::new(file).exists())
}

/// Writes what goes beyond the host's settings into a file that includes those.
fn write_dhclient_settings(family: Family, device: &InterfaceName, dhcp: &Dhcp) -> Result<()> {
    let settings = dhclient_settings(dhcp);
    if settings.is_empty() {
        return Ok(());
    }
    let general = ["/etc/dhcp/dhclient.conf", "/etc/dhclient.conf"];
    let general = general.into_iter().find(|file| Path::new(file).exists());
    let host = dhclient_own_file(family, device).or(general.map(str::to_owned));
    let include = host.map_or_else(String::new, |file| format!("include \"{file}\";\n"));
    let file = dhclient_settings_file(family, device);
    fs::write(&file, include + &settings).context(|| format!("cannot write {file}"))
}

fn six(family: Family) -> &'static str {
    match family {
        Family::V4 => "",
        Family::V6 => "6",
    }
}

/// The files of dhclient's process id and leases.
fn dhclient_files(family: Family, device: &InterfaceName) -> Vec<String> {
    let six = six(family);
    let directory = LEASES.into_iter().find(|dir| Path::new(dir).is_dir());
    let leases = format!("{}/dhclient{six}-{device}.leases", directory.unwrap_or(RUN));
    let id = Client::Dhclient
        .pid_files(family, device)
        .into_iter()
        .next();
    let id = id.unwrap_or_default().display().to_string();
    words(&["-lf", &leases, "-pf", &id])
}

fn dhcpcd(family: Family, dhcp: &Dhcp, hostname: Option<String>, limit: Duration) -> Vec<String> {
    let mut words = words_if(family == Family::V6, &["-6", "-q"], &["-4", "-q", "-L"]);
    words.extend(["-t".to_owned(), limit.as_secs().to_string()]);
    words.extend(words_if(dhcp.persistent, &["-b"], &[]));
    words.extend(words_if(dhcp.default_route, &[], &["-G"]));
    if let Some(metric) = dhcp.metric {
        words.extend(["-m".to_owned(), metric.to_string()]);
    }
    if let Some(hostname) = hostname {
        words.extend(["-h".to_owned(), hostname]);
    }
    words
}

/// The host's name without its domain, which network-scripts send too.
fn own_hostname() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let first = name.trim().split('.').next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_name = first.bytes().all(is_plain) && !first.starts_with('-');
    (is_name && !["", "localhost"].contains(&first)).then(|| first.to_owned())
}

fn make_run_directory() -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(RUN)
        .context(|| format!("cannot make {RUN}"))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn words_if(condition: bool, then: &[&str], otherwise: &[&str]) -> Vec<String> {
    words(if condition { then } else { otherwise })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(client: Client, family: Family, dhcp: &Dhcp) -> String {
        let device = "eth0".parse().unwrap();
        client
            .arguments(family, &device, dhcp, Duration::from_secs(60))
            .join(" ")
    }

    #[test]
    fn each_client_is_asked_in_its_own_words() {
        let dhcp = Dhcp {
            hostname: Some("host".to_owned()),
            persistent: false,
            release: false,
            default_route: true,
            metric: Some(7),
        };
        let dhclient = line(Client::Dhclient, Family::V4, &dhcp);
        assert!(dhclient.starts_with("-4 -q -1 -lf "), "{dhclient}");
        let rest = "-pf /run/dhclient-eth0.pid -cf /run/ncf/dhclient-eth0.conf -e IF_METRIC=7 eth0";
        assert!(dhclient.ends_with(rest), "{dhclient}");
        assert_eq!(
            line(Client::Dhcpcd, Family::V4, &dhcp),
            "-4 -q -L -t 60 -m 7 -h host eth0"
        );
        assert_eq!(
            line(Client::Udhcpc, Family::V4, &dhcp),
            "-i eth0 -p /run/ncf/udhcpc-eth0.pid -t 15 -T 4 -n -x hostname:host"
        );
        let dhclient = line(Client::Dhclient, Family::V6, &dhcp);
        assert!(
            dhclient.contains("-pf /run/dhclient6-eth0.pid"),
            "{dhclient}"
        );
        assert!(!dhclient.contains("host"), "{dhclient}");
    }

    #[test]
    fn a_default_route_that_is_not_wanted_is_not_asked_for() {
        let dhcp = Dhcp {
            persistent: true,
            ..Dhcp::default()
        };
        assert!(line(Client::Dhclient, Family::V4, &dhcp).contains("-nw"));
        assert!(dhclient_settings(&dhcp).starts_with("request subnet-mask, "));
        assert!(line(Client::Dhcpcd, Family::V4, &dhcp).contains("-b -G"));
        assert!(line(Client::Udhcpc, Family::V4, &dhcp).contains("-o -O subnet"));
    }
}
