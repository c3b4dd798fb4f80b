//! Bonds: what the kernel's bonding driver calls its options, and setting them.
//!
//! Names, words and ranges are those of `drivers/net/bonding/bond_options.c`; `bonding.rst` in the kernel's
//! documentation says what they do.

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBond, InfoData, InfoKind, LinkAttribute, LinkInfo, LinkMessage,
};

use super::Socket;
use super::link::{Link, about};
use super::options::{Form, Settings, Spec};
use crate::error::Result;
use crate::sys::name::InterfaceName;

const OFF_ON: &[&str] = &["off", "on"];
/// The largest of the driver's numbers (`INT_MAX`); most are milliseconds.
const MOST: u64 = 0x7fff_ffff;

/// The modes, by their numbers.
pub const MODES: &[&str] = &[
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
];

/// The options, in the order in which the kernel takes those of one request (`bond_changelink()`).
pub const OPTIONS: &[Spec] = &[
    Spec::words("mode", 1, 1, MODES),
    Spec::other("active_slave", 2, Form::Port),
    Spec::number("miimon", 3, 4, MOST),
    Spec::number("updelay", 4, 4, MOST),
    Spec::number("downdelay", 5, 4, MOST),
    Spec::number("peer_notif_delay", 28, 4, 300_000),
    Spec::words("use_carrier", 6, 1, OFF_ON),
    Spec::number("arp_interval", 7, 4, MOST),
    Spec::other("arp_ip_target", 8, Form::Ipv4s),
    Spec::other("ns_ip6_target", 31, Form::Ipv6s),
    Spec::words(
        "arp_validate",
        9,
        4,
        &[
            "none",
            "active",
            "backup",
            "all",
            "filter",
            "filter_active",
            "filter_backup",
        ],
    ),
    Spec::words("arp_all_targets", 10, 4, &["any", "all"]),
    Spec::other("primary", 11, Form::Port),
    Spec::words("primary_reselect", 12, 1, &["always", "better", "failure"]),
    Spec::words("fail_over_mac", 13, 1, &["none", "active", "follow"]),
    Spec::words(
        "xmit_hash_policy",
        14,
        1,
        &[
            "layer2",
            "layer3+4",
            "layer2+3",
            "encap2+3",
            "encap3+4",
            "vlan+srcmac",
        ],
    ),
    Spec::number("resend_igmp", 15, 4, 255),
    Spec::number("num_grat_arp", 16, 1, 255),
    Spec::words("all_slaves_active", 17, 1, OFF_ON),
    Spec::number("min_links", 18, 4, MOST),
    Spec::number("lp_interval", 19, 4, MOST),
    Spec::number("packets_per_slave", 20, 4, 65_535),
    Spec::words("lacp_active", 29, 1, OFF_ON),
    Spec::words("lacp_rate", 21, 1, &["slow", "fast"]),
    Spec::words(
        "ad_select",
        22,
        1,
        &["stable", "bandwidth", "count", "actor_port_prio"],
    ),
    Spec::number("ad_actor_sys_prio", 24, 2, 65_535),
    Spec::number("ad_user_port_key", 25, 2, 1023),
    Spec::other("ad_actor_system", 26, Form::Mac),
    Spec::words("tlb_dynamic_lb", 27, 1, OFF_ON),
    Spec::number("missed_max", 30, 1, 255),
    Spec::words("coupled_control", 32, 1, OFF_ON),
    Spec::words("broadcast_neighbor", 33, 1, OFF_ON),
];

/// The numbers of the modes in which an option means nothing and the kernel refuses it (`unsuppmodes` in
/// `bond_options.c`).
const NOT_IN: &[(&str, &[u64])] = &[
    ("packets_per_slave", &[1, 2, 3, 4, 5, 6]),
    ("arp_validate", &[4, 5, 6]),
    ("arp_interval", &[4, 5, 6]),
    ("missed_max", &[4, 5, 6]),
    ("lacp_active", &[0, 1, 2, 3, 5, 6]),
    ("lacp_rate", &[0, 1, 2, 3, 5, 6]),
    ("ad_actor_sys_prio", &[0, 1, 2, 3, 5, 6]),
    ("ad_actor_system", &[0, 1, 2, 3, 5, 6]),
    ("ad_user_port_key", &[0, 1, 2, 3, 5, 6]),
    ("coupled_control", &[0, 1, 2, 3, 5, 6]),
    ("broadcast_neighbor", &[0, 1, 2, 3, 5, 6]),
    ("primary", &[0, 2, 3, 4]),
    ("active_slave", &[0, 2, 3, 4]),
    ("tlb_dynamic_lb", &[0, 1, 2, 3, 4]),
];

/// Options that the kernel takes only while the bond has no ports (`BOND_OPTFLAG_NOSLAVES`).
pub const NEED_NO_PORTS: &[&str] = &["mode", "fail_over_mac"];

/// Options that the kernel takes only while the bond is down (`BOND_OPTFLAG_IFDOWN`).
pub const NEED_DOWN: &[&str] = &[
    "mode",
    "lacp_active",
    "lacp_rate",
    "ad_select",
    "tlb_dynamic_lb",
    "coupled_control",
];

/// What a bond is set to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bond {
    /// Its options but for those that name ports. `settings.text("mode")` is `active-backup`.
    pub settings: Settings,
    /// The index of the port that is preferred (`primary`).
    pub primary: Option<u32>,
    /// The index of the port in use, in the modes that use one at a time (`active_slave`).
    pub active: Option<u32>,
}

/// The option of that name. Two of the kernel's have a second one.
pub fn option(name: &str) -> Option<&'static Spec> {
    let name = match name {
        "num_unsol_na" => "num_grat_arp",
        name => name,
    };
    OPTIONS.iter().find(|option| option.name == name)
}

/// Whether the option of that name means something in the mode of that number.
pub fn fits(name: &str, mode: u64) -> bool {
    !NOT_IN
        .iter()
        .any(|(option, modes)| *option == name && modes.contains(&mode))
}

impl Bond {
    pub(super) fn from_attributes(attributes: &[InfoBond]) -> Self {
        let mut bond = Self {
            settings: Settings::decode(OPTIONS, attributes),
            ..Self::default()
        };
        for attribute in attributes {
            match attribute {
                InfoBond::Primary(index) => bond.primary = Some(*index).filter(|it| *it != 0),
                InfoBond::ActivePort(index) => bond.active = Some(*index).filter(|it| *it != 0),
                _ => {}
            }
        }
        bond
    }
}

impl Socket {
    /// Creates a bond, set down, with these options and the kernel's defaults for the rest. Those that name
    /// ports are left out: see [`Socket::set_primary`].
    pub fn create_bond(&mut self, name: &InterfaceName, settings: &Settings) -> Result<()> {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.as_str().to_owned()),
            info(attributes(settings)),
        ];
        self.change(
            RouteNetlinkMessage::NewLink(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .map_err(|refusal| refusal.during(format!("cannot create the bond {name}")))
    }

    /// Sets options of a bond, all or none as far as the kernel can; those that name ports are left out.
    pub fn set_bond(&mut self, bond: &Link, settings: &Settings) -> Result<()> {
        let message = about(bond, vec![info(attributes(settings))]);
        self.change(RouteNetlinkMessage::NewLink(message), 0)
            .map_err(|refusal| {
                let options: Vec<String> = settings
                    .iter()
                    .map(|setting| format!("{}={setting}", setting.spec.name))
                    .collect();
                refusal.during(format!("cannot set {} of {}", options.join(" "), bond.name))
            })
    }

    /// Makes one of the bond's ports the preferred one.
    pub fn set_primary(&mut self, bond: &Link, port: &Link) -> Result<()> {
        let message = about(bond, vec![info(vec![InfoBond::Primary(port.index)])]);
        self.change(RouteNetlinkMessage::NewLink(message), 0)
            .map_err(|refusal| {
                refusal.during(format!("cannot set primary={} of {}", port.name, bond.name))
            })
    }
}

fn info(attributes: Vec<InfoBond>) -> LinkAttribute {
    LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Bond),
        LinkInfo::Data(InfoData::Bond(attributes)),
    ])
}

fn attributes(settings: &Settings) -> Vec<InfoBond> {
    let attribute = |setting: &super::options::Setting| {
        let content = setting.encode()?;
        let attribute = DefaultNla::new(setting.spec.attribute, content);
        Some(InfoBond::Other(attribute))
    };
    settings.iter().filter_map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_route::link::BondMode;
    use std::net::Ipv4Addr;

    fn set(text: &str) -> Settings {
        let settings = text.split_whitespace().map(|word| {
            let (name, value) = word.split_once('=').unwrap();
            option(name).unwrap().parse(value).unwrap()
        });
        settings.collect()
    }

    #[test]
    fn a_word_and_its_number_are_the_same_and_are_printed_as_the_word() {
        assert_eq!(
            set("mode=4 lacp_rate=1"),
            set("mode=802.3ad lacp_rate=fast")
        );
        assert_eq!(set("mode=4").text("mode").as_deref(), Some("802.3ad"));
        assert_eq!(set("num_unsol_na=3"), set("num_grat_arp=3"));
        assert_eq!(set("miimon=1 miimon=2").number("miimon"), Some(2));
    }

    #[test]
    fn what_no_bond_takes_is_refused_with_what_is_allowed() {
        for (name, value) in [
            ("mode", "7"),
            ("mode", "round-robin"),
            ("miimon", "2147483648"),
            ("miimon", "-1"),
            ("miimon", ""),
            ("arp_ip_target", "192.0.2.300"),
            ("arp_ip_target", ""),
            ("ad_user_port_key", "1024"),
            ("ad_actor_system", "02:00"),
            ("primary", "../x"),
        ] {
            let error = option(name).unwrap().parse(value).unwrap_err();
            assert!(
                error.contains("allowed") || error.contains("not an"),
                "{error}"
            );
        }
        let many = vec!["192.0.2.1"; 17].join(",");
        assert!(option("arp_ip_target").unwrap().parse(&many).is_err());
        assert!(option("queue_id").is_none());
    }

    #[test]
    fn the_table_agrees_with_the_decoder_of_the_library() {
        let targets = vec![Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];
        let from_kernel = [
            InfoBond::Mode(BondMode::ActiveBackup),
            InfoBond::MiiMon(100),
            InfoBond::ArpIpTarget(targets),
            InfoBond::AdActorSysPrio(65_535),
            InfoBond::AdActorSystem([2, 0, 0, 0, 0, 1]),
            InfoBond::Primary(7),
            InfoBond::ActivePort(0),
        ];
        let bond = Bond::from_attributes(&from_kernel);
        let wanted = "mode=active-backup miimon=100 arp_ip_target=192.0.2.1,+192.0.2.2 \
                      ad_actor_sys_prio=65535 ad_actor_system=02:00:00:00:00:01";
        assert_eq!(bond.settings, set(wanted));
        assert_eq!((bond.primary, bond.active), (Some(7), None));
        let sent = attributes(&bond.settings);
        for (sent, got) in sent.iter().zip(&from_kernel) {
            use super::super::options::content;
            use netlink_packet_core::Nla as _;
            assert_eq!((sent.kind(), content(sent)), (got.kind(), content(got)));
        }
    }

    #[test]
    fn an_option_is_known_to_fit_a_mode() {
        assert!(fits("lacp_rate", 4) && !fits("lacp_rate", 1));
        assert!(fits("primary", 1) && fits("miimon", 6));
    }
}
