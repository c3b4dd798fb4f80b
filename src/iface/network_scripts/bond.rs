//! Bonds: `BONDING_OPTS`, and the ports whose files name the bond.
//!
//! The scripts write each option to sysfs and go on where the kernel does not take it. So what means nothing in the
//! bond's mode is left out here, and said so, while a name or a value that no bond has is refused.

use super::config::{self, Config};
use super::link::{interface, pairs};
use super::notes::Notes;
use crate::Result;
use crate::apply::desired::Bond;
use crate::iface::backend::Files;
use crate::sys::name::InterfaceName;
use crate::sys::netlink::bond;
use crate::sys::netlink::options::{Settings, Value};

const KEY: &str = "BONDING_OPTS";

/// Whether the file is that of a bond: it says so, or it is named as bonds are.
pub(super) fn is(name: &InterfaceName, config: &Config) -> Result<bool> {
    let says_so = config
        .text("TYPE")?
        .is_some_and(|it| it.eq_ignore_ascii_case("Bond"))
        || config.yes("BONDING_MASTER")? == Some(true)
        || config.file.get(KEY).is_some();
    let digits = name.as_str().strip_prefix("bond").unwrap_or_default();
    let is_numbered = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    Ok(says_so || is_numbered)
}

/// The bond `name`.
pub(super) fn of(
    name: &InterfaceName,
    config: &Config,
    files: &dyn Files,
    notes: &mut Notes,
) -> Result<Bond> {
    let (settings, primary) = settings(config, notes)?;
    let ports = ports(name, files)?;
    Ok(Bond {
        settings,
        primary,
        ports,
    })
}

/// The settings that the file of the bond `name` asks for; none if there is no such file, or if it cannot be
/// understood, which is for the bond itself to say.
pub(super) fn settings_of(name: &InterfaceName, files: &dyn Files) -> Result<Settings> {
    let Some(config) = Config::find(name, files)? else {
        return Ok(Settings::default());
    };
    let understood = settings(&config, &mut Notes::default());
    Ok(understood.map(|(settings, _)| settings).unwrap_or_default())
}

/// The bond that `MASTER` names.
pub(super) fn name(text: &str) -> Result<InterfaceName, String> {
    let is_uuid = text.len() == 36 && text.matches('-').count() == 4;
    if is_uuid {
        let why = "a UUID is understood by NetworkManager only; the bond's name is allowed";
        return Err(why.to_owned());
    }
    interface(text)
}

/// What `BONDING_OPTS` sets, and the port that it prefers.
fn settings(config: &Config, notes: &mut Notes) -> Result<(Settings, Option<InterfaceName>)> {
    let mut settings = Settings::default();
    for (name, value) in pairs(config, KEY)? {
        let word = format!("{name}={value}");
        let Some(option) = bond::option(&name) else {
            let known: Vec<_> = bond::OPTIONS.iter().map(|it| it.name).collect();
            let allowed = format!("no bond has this option; {} are allowed", known.join(", "));
            return Err(config.wrong(KEY, &word, allowed));
        };
        let setting = option
            .parse(&value)
            .map_err(|allowed| config.wrong(KEY, &word, allowed))?;
        settings.set(setting);
    }
    for (option, why) in misfits(&settings) {
        if let Some(setting) = settings.get(option) {
            notes.add_value(config, KEY, &format!("{option}={setting}"), why);
            settings.unset(option);
        }
    }
    let primary = match settings.get("primary").map(|it| &it.value) {
        Some(Value::Port(name)) => Some(name.clone()),
        _ => None,
    };
    settings.unset("primary");
    Ok((settings, primary))
}

/// The options that the kernel would not take beside the others, and why they are left out.
fn misfits(settings: &Settings) -> Vec<(&'static str, &'static str)> {
    const NOT_IN_MODE: &str = "not applied: it means nothing in this mode";
    const OTHER_WAY: &str = "not applied: of two ways to watch the ports the last counts";
    let mode = settings.number("mode").unwrap_or(0);
    let mut misfits: Vec<_> = bond::OPTIONS
        .iter()
        .filter(|option| !bond::fits(option.name, mode))
        .map(|option| (option.name, NOT_IN_MODE))
        .collect();
    misfits.push(("active_slave", "not applied: the bond chooses"));
    let watches = |option: &&'static str| {
        bond::fits(option, mode) && settings.number(option).unwrap_or(0) > 0
    };
    let set = settings.iter().map(|it| it.spec.name);
    let mut ways =
        set.filter(|option| ["miimon", "arp_interval"].contains(option) && watches(option));
    let (first, last) = (ways.next(), ways.next());
    if let (Some(first), Some(_)) = (first, last) {
        misfits.push((first, OTHER_WAY));
    }
    // In the modes that cannot ask by ARP the kernel sets miimon by itself.
    let has_miimon = last.or(first) == Some("miimon") || !bond::fits("arp_interval", mode);
    if !has_miimon {
        let delays = ["updelay", "downdelay"];
        let set = delays.into_iter().filter(watches);
        misfits.extend(set.map(|option| (option, "not applied: it needs miimon")));
    }
    misfits
}

/// The interfaces whose files name the bond, in the order of their files, in which the scripts bring them up. Reads
/// all files.
fn ports(bond: &InterfaceName, files: &dyn Files) -> Result<Vec<InterfaceName>> {
    let mut ports = Vec::new();
    for config in config::all(files)? {
        let is_port = config.text("MASTER")?.as_deref() == Some(bond.as_str())
            && config.yes("SLAVE")? == Some(true);
        let name = config.interface().filter(|port| is_port && port != bond);
        ports.extend(name.filter(|port| !ports.contains(port)));
    }
    Ok(ports)
}
