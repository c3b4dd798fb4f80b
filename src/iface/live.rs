//! What the kernel has, in netcf's terms. Pure: the links and addresses are the caller's.

use ipnet::IpNet;

use super::model::live::{LinkState, Live, LiveKind};
use super::model::{
    ArpMonitor, Bond, Bridge, Carrier, Delay, MiiMonitor, Mode, Monitor, Validate, VlanId,
};
use crate::sys::name::InterfaceName;
use crate::sys::netlink::address::LinkAddress;
use crate::sys::netlink::link::Link;
use crate::sys::netlink::options::Settings;

/// How deep links are followed: a bridge over VLANs over bonds over cards is four. A circle cannot be, but a list of
/// links is not of one moment.
const DEPTH: usize = 8;

/// The link `name` with what is in it or below it; `None` where there is none of that name.
///
/// `speed` tells a link's speed in megabits a second.
pub fn live(
    name: &InterfaceName,
    links: &[Link],
    addresses: &[LinkAddress],
    speed: &dyn Fn(&Link) -> Option<u32>,
) -> Option<Live> {
    let link = links.iter().find(|link| link.name == *name)?;
    let mut live = bare(link, links, speed, DEPTH);
    live.mtu = Some(link.mtu);
    let own = addresses.iter().filter(|it| it.index == link.index);
    live.addresses = own
        .map(|it| it.address.net)
        .filter(|net: &IpNet| net.prefix_len() <= net.max_prefix_len())
        .collect();
    Some(live)
}

/// A link without what only the outermost has: MTU and addresses.
fn bare(link: &Link, links: &[Link], speed: &dyn Fn(&Link) -> Option<u32>, depth: usize) -> Live {
    let inside = |of: &Link| -> Vec<Live> {
        let ports = links
            .iter()
            .filter(|port| port.master == Some(of.index) && depth > 0);
        let mut ports: Vec<_> = ports.collect();
        ports.sort_by(|a, b| a.name.cmp(&b.name));
        let ports = ports.into_iter();
        ports
            .map(|port| bare(port, links, speed, depth - 1))
            .collect()
    };
    let lower = link.lower.filter(|_| depth > 0);
    let lower = links.iter().find(|other| Some(other.index) == lower);
    let vlan = link
        .vlan
        .as_ref()
        .and_then(|vlan| VlanId::new(u32::from(vlan.id)).ok());
    let kind = if let Some(options) = &link.bridge {
        let bridge = Bridge {
            stp: Some(options.stp),
            delay: Some(Delay::from_hundredths(options.forward_delay)),
            ports: Vec::new(),
        };
        LiveKind::Bridge(bridge, inside(link))
    } else if let Some(bond) = &link.bond {
        let mut ports = inside(link);
        let is_primary = |port: &Live| {
            let primary = links.iter().find(|link| Some(link.index) == bond.primary);
            primary.is_some_and(|primary| primary.name == port.name)
        };
        ports.sort_by_key(|port| !is_primary(port));
        LiveKind::Bond(bond_options(&bond.settings), ports)
    } else if let (Some(tag), Some(lower)) = (vlan, lower) {
        LiveKind::Vlan(tag, Box::new(bare(lower, links, speed, depth - 1)))
    } else {
        // netcf prints no address that is all zeros.
        LiveKind::Ethernet(link.mac.filter(|mac| mac.0 != [0; 6]))
    };
    Live {
        name: link.name.clone(),
        link: link.bridge.is_none().then(|| state(link, speed)),
        mtu: None,
        addresses: Vec::new(),
        kind,
    }
}

fn state(link: &Link, speed: &dyn Fn(&Link) -> Option<u32>) -> LinkState {
    // The names of netlink-packet-route are those of /sys/class/net/*/operstate in camel case.
    let state = format!("{:?}", link.operational).to_ascii_lowercase();
    let known = [
        "unknown",
        "notpresent",
        "down",
        "lowerlayerdown",
        "testing",
        "dormant",
        "up",
    ];
    let state = if known.contains(&state.as_str()) {
        state
    } else {
        "unknown".to_owned()
    };
    let speed = if state == "up" {
        speed(link).unwrap_or(0)
    } else {
        0
    };
    LinkState { state, speed }
}

fn bond_options(settings: &Settings) -> Bond {
    let number = |name| settings.number(name).and_then(|it| u32::try_from(it).ok());
    let numbered = |name| usize::try_from(settings.number(name)?).ok();
    let milliseconds = |name| number(name).filter(|time| *time > 0);
    let mode = numbered("mode").and_then(|at| Mode::WORDS.get(at));
    let carrier = numbered("use_carrier").and_then(|at| Carrier::WORDS.get(at));
    let validate = numbered("arp_validate").and_then(|at| Validate::WORDS.get(at));
    let targets = settings.text("arp_ip_target").unwrap_or_default();
    let target = targets.split(',').next().unwrap_or_default().parse().ok();
    let arp = milliseconds("arp_interval").zip(target);
    let monitor = match (milliseconds("miimon"), arp) {
        (Some(freq), _) => Some(Monitor::Mii(MiiMonitor {
            freq,
            down_delay: milliseconds("downdelay"),
            up_delay: milliseconds("updelay"),
            carrier: carrier.map(|word| word.1),
        })),
        (None, Some((interval, target))) => Some(Monitor::Arp(ArpMonitor {
            interval,
            target,
            validate: validate.map(|word| word.1),
        })),
        (None, None) => None,
    };
    Bond {
        mode: mode.map(|word| word.1),
        monitor,
        ports: Vec::new(),
    }
}
