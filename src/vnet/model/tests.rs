//! What is refused, and where; what is made of what is not said.

use super::*;
use crate::error::Result;
use crate::vnet::definition::Definition;
use crate::xml::Source;

fn fill() -> Fill {
    Fill {
        uuid: uuid::Uuid::from_u128(1),
        bridge: "virbr9".parse().unwrap(),
        mac: "52:54:00:01:02:03".parse().unwrap(),
    }
}

fn read(inner: &str) -> Result<Network> {
    let text = format!("<network>\n<name>n</name>\n{inner}</network>");
    let definition = Definition::read(&Source::new("x", text), &fill());
    definition.map(|it| it.network().clone())
}

#[track_caller]
fn refused(inner: &str, words: &str) {
    let error = read(inner)
        .err()
        .unwrap_or_else(|| panic!("{inner} was accepted"));
    let text = error.to_string();
    assert!(text.contains(words), "{inner}: {text}");
    assert!(
        text.starts_with("x:3:") || text.starts_with("x:1:"),
        "{inner}: {text}"
    );
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn parts_that_do_not_go_together_are_refused() {
    let forward = |mode: &str, inner: &str| format!("<forward mode='{mode}'>{inner}</forward>");
    let address = "<address type='pci' bus='3' slot='1' function='0'/>";
    let eth0 = "<interface dev='eth0'/>";
    let ip = "<ip address='192.0.2.1' netmask='255.255.255.0'/>";
    for (inner, words) in [
        (forward("natt", ""), "mode=\"natt\" is wrong: nat, route,"),
        (forward("route", ""), "the mode route needs an address"),
        ("<forward/>".to_owned(), "the mode nat needs an address"),
        (
            forward("route", &format!("{eth0}<interface dev='eth1'/>")) + ip,
            "only one device",
        ),
        (
            forward("route", "<pf dev='eth0'/>") + ip,
            "<pf> is only for",
        ),
        (forward("route", address) + ip, "<address> is only for"),
        (
            "<forward mode='open' dev='eth0'/>".to_owned() + ip,
            "the mode open has no device",
        ),
        (
            forward("private", eth0) + "<bridge name='b'/>",
            "has no bridge",
        ),
        (
            forward("bridge", eth0) + "<bridge name='b'/>",
            "no devices of its own",
        ),
        (
            "<forward mode='bridge' dev='eth0'/><bridge name='b'/>".to_owned(),
            "no devices of its own",
        ),
        (
            forward("bridge", "") + "<bridge name='b' stp='on'/>",
            "stp is only for a bridge of ncf's own",
        ),
        (
            forward("bridge", "") + "<bridge name='b'/><mtu size='1400'/>",
            "<mtu> is only for",
        ),
        (
            forward("vepa", eth0) + "<mac address='52:54:00:00:00:01'/>",
            "<mac> is only for",
        ),
        (
            forward("passthrough", address),
            "<address> is only for the mode hostdev",
        ),
        (forward("hostdev", eth0), "takes PCI addresses"),
        (
            "<forward mode='hostdev' dev='eth0'/>".to_owned(),
            "takes PCI addresses",
        ),
        (
            forward("hostdev", "<address bus='3'/>"),
            "needs the attribute type",
        ),
        (
            forward("hostdev", "<address type='pci'/>"),
            "needs domain, bus",
        ),
        (
            forward("hostdev", "<address type='pci' bus='0x100'/>"),
            "a number from 0 to 255",
        ),
        (
            forward("hostdev", &(address.to_owned() + address)),
            "0000:03:01.0 is there twice",
        ),
        (
            forward("vepa", &format!("{eth0}<pf dev='eth1'/>")),
            "exclude each other",
        ),
        (
            forward("vepa", "<pf dev='a'/><pf dev='b'/>"),
            "a second <pf>",
        ),
        (forward("vepa", "<pf/>"), "<pf> needs the attribute dev"),
        (
            "<forward mode='vepa' dev='a'><pf dev='b'/></forward>".to_owned(),
            "exclude each other",
        ),
        (
            "<forward mode='vepa' dev='a'><interface dev='b'/></forward>".to_owned(),
            "must be the device",
        ),
        (
            forward("vepa", "<interface/>"),
            "<interface> needs the attribute dev",
        ),
        (forward("vepa", &eth0.repeat(2)), "eth0 is there twice"),
        (
            forward("vepa", "<interface dev='../x'/>"),
            "a device's name is allowed",
        ),
        (
            forward("vepa", "<interface dev='eth0:1'/>"),
            "an alias is no device",
        ),
        (forward("vepa", "<nat/>"), "<nat> is only for the mode nat"),
        (
            forward("vepa", eth0) + "<bandwidth><inbound average='1'/></bandwidth>",
            "has no bridge that",
        ),
        (
            forward("vepa", eth0) + "<port isolated='yes'/>",
            "ports of a bridge can be isolated",
        ),
        (forward("route", "") + &ip.repeat(2), "is there twice"),
    ] {
        refused(&inner, words);
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn values_out_of_range_are_refused() {
    for (inner, words) in [
        ("<uuid>x</uuid>", "a UUID is allowed"),
        ("<bridge name='a/b'/>", "a device's name is allowed"),
        ("<bridge name='abcdefghijklmnop'/>", "1 to 15"),
        ("<bridge stp='yes'/>", "on and off are allowed"),
        ("<bridge delay='31'/>", "a number from 0 to 30"),
        ("<bridge delay='-1'/>", "a number from 0 to 30"),
        (
            "<bridge delay='99999999999999999999'/>",
            "a number from 0 to 30",
        ),
        ("<mtu size='67'/>", "a number from 68 to 65535"),
        ("<mtu/>", "<mtu> needs the attribute size"),
        ("<mac address='01:00:00:00:00:01'/>", "multicast"),
        ("<mac address='00:00:00:00:00:00'/>", "all zeros"),
        ("<mac address='52:54:00'/>", "six pairs"),
        (
            "<ip netmask='255.0.0.0'/>",
            "<ip> needs the attribute address",
        ),
        ("<ip address='300.0.0.1'/>", "an IPv4 address"),
        (
            "<ip address='2001:db8::1'/>",
            "with family='ipv6' an IPv6 address",
        ),
        ("<ip family='ipv6' address='192.0.2.1'/>", "an IPv6 address"),
        (
            "<ip address='192.0.2.1' netmask='255.0.255.0'/>",
            "ones, then zeros",
        ),
        ("<ip address='192.0.2.1' prefix='33'/>", "from 0 to 32"),
        (
            "<ip address='192.0.2.1' prefix='24' netmask='255.0.0.0'/>",
            "exclude each other",
        ),
        ("<ip address='224.0.0.1'/>", "the address of a host"),
        (
            "<ip family='ipv6' address='2001:db8::1' netmask='255.0.0.0'/>",
            "no netmask",
        ),
        (
            "<ip address='192.0.2.1'/><route address='198.51.100.0' prefix='24'/>",
            "needs the attribute gateway",
        ),
        (
            "<ip address='192.0.2.1'/><route address='198.51.100.0' prefix='24' gateway='203.0.113.1'/>",
            "in a subnet",
        ),
        (
            "<ip address='192.0.2.1'/><route address='198.51.100.1' prefix='24' gateway='192.0.2.2'/>",
            "198.51.100.0",
        ),
        (
            "<forward mode='vepa' dev='eth0'/><vlan><tag id='5'/></vlan>",
            "3:34: a port of a macvtap network of mode vepa cannot be in a VLAN",
        ),
        (
            "<forward mode='private' dev='eth0'/><portgroup name='p'><vlan><tag id='5'/></vlan></portgroup>",
            "mode private cannot be in a VLAN",
        ),
        ("<vlan/>", "at least one <tag"),
        ("<vlan><tag id='4096'/></vlan>", "from 0 to 4095"),
        ("<vlan><tag/></vlan>", "<tag> needs the attribute id"),
        (
            "<vlan trunk='no'><tag id='1'/><tag id='2'/></vlan>",
            "yes is allowed",
        ),
        ("<vlan><tag id='1'/><tag id='1'/></vlan>", "is there twice"),
        (
            "<vlan><tag id='1' nativeMode='tagged'/><tag id='2' nativeMode='tagged'/></vlan>",
            "a second nativeMode",
        ),
        ("<virtualport type='802.1Qxx'/>", "802.1Qbg, 802.1Qbh"),
        (
            "<virtualport type='802.1Qbh'><parameters typeid='1'/></virtualport>",
            "has profileid",
        ),
        (
            "<virtualport type='802.1Qbg'><parameters managerid='256'/></virtualport>",
            "from 0 to 255",
        ),
        (
            "<virtualport><parameters typeid='0x1000000'/></virtualport>",
            "from 0 to 16777215",
        ),
        ("<portgroup/>", "<portgroup> needs the attribute name"),
        (
            "<portgroup name='a'/><portgroup name='a'/>",
            "has that name",
        ),
        (
            "<portgroup name='a' default='yes'/><portgroup name='b' default='yes'/>",
            "only one portgroup",
        ),
        (
            "<portgroup name='a'><bandwidth><inbound average='0'/></bandwidth></portgroup>",
            "from 1 to",
        ),
        ("<bridge name='a'/><bridge name='b'/>", "a second <bridge>"),
        ("<port isolated='maybe'/>", "yes and no are allowed"),
    ] {
        refused(inner, words);
    }
    let nameless = Definition::read(&Source::new("x", "<network>\n</network>"), &fill());
    assert_eq!(
        nameless.unwrap_err().to_string(),
        "x:1:1: <network> needs a <name>"
    );
    let path = Definition::read(
        &Source::new("x", "<network><name>../a</name></network>"),
        &fill(),
    );
    assert!(
        path.unwrap_err()
            .to_string()
            .starts_with("x:1:10: \"../a\"")
    );
    let domain = Definition::read(&Source::new("x", "<domain/>"), &fill());
    assert!(
        domain
            .unwrap_err()
            .to_string()
            .contains("a <network> is needed")
    );
}

#[test]
fn what_is_not_said_is_as_in_libvirt() {
    let Forward::Virtual(bridge) = read("").unwrap().forward else {
        panic!("it is isolated");
    };
    assert_eq!(bridge.isolation, Isolation::Isolated);
    assert!(bridge.stp);
    let network = read("<ip address='10.24.10.1'/>").unwrap();
    let Forward::Virtual(bridge) = network.forward else {
        panic!("it is isolated");
    };
    assert_eq!(
        bridge.addresses.first().unwrap().net.to_string(),
        "10.24.10.1/8"
    );
}

#[test]
fn services_that_ncf_has_not_are_noted() {
    let dhcp =
        "<ip address='192.0.2.1'><dhcp><range start='192.0.2.2' end='192.0.2.9'/></dhcp></ip>";
    let Forward::Virtual(bridge) = read(dhcp).unwrap().forward else {
        panic!("it is isolated");
    };
    assert_eq!(bridge.services.names(), ["DHCP"]);
    assert_eq!(read(dhcp).unwrap().notes.len(), 1);
    for nothing in [
        "<dns enable='no'><txt name='a' value='b'/></dns>",
        "<dns/>",
        "<ip address='192.0.2.1'><dhcp/></ip>",
    ] {
        assert!(read(nothing).unwrap().notes.is_empty(), "{nothing}");
    }
}

const GROUPS: &str = "<forward mode='passthrough'><interface dev='eth0'/></forward><vlan><tag id='1'/></vlan>\
    <virtualport type='802.1Qbg'><parameters managerid='11'/></virtualport>\
    <portgroup name='a' default='yes' trustGuestRxFilters='yes'>\
    <virtualport><parameters typeid='0x12'/></virtualport>\
    <bandwidth><inbound average='1'/></bandwidth></portgroup>\
    <portgroup name='b'><vlan><tag id='2'/></vlan>\
    <virtualport><parameters managerid='12'/></virtualport></portgroup>";

#[test]
fn a_port_gets_what_is_nearest_to_it() {
    let network = read(GROUPS).unwrap();
    let settings = PortSettings::of(&network, &PortRequest::default()).unwrap();
    assert_eq!(settings.portgroup.as_deref(), Some("a"));
    assert_eq!(settings.vlan.unwrap().access(), Some(1));
    assert!(settings.trust_guest_rx_filters);
    let virtual_port = settings.virtual_port.unwrap();
    assert_eq!(
        (virtual_port.managerid, virtual_port.typeid),
        (Some(11), Some(0x12))
    );
    let own = PortRequest {
        trust_guest_rx_filters: Some(false),
        vlan: Some(Vlan {
            trunk: false,
            tags: vec![Tag {
                id: 3,
                native: None,
            }],
        }),
        ..PortRequest::default()
    };
    let settings = PortSettings::of(&network, &own).unwrap();
    assert_eq!(settings.vlan.unwrap().access(), Some(3));
    assert!(!settings.trust_guest_rx_filters);
}

#[test]
fn virtual_ports_that_contradict_each_other_are_refused() {
    let network = read(GROUPS).unwrap();
    let in_group = |name: &str| PortRequest {
        portgroup: Some(name.to_owned()),
        ..PortRequest::default()
    };
    let error = PortSettings::of(&network, &in_group("b")).unwrap_err();
    assert!(
        error.one_line().contains("managerid"),
        "{}",
        error.one_line()
    );
    let error = PortSettings::of(&network, &in_group("c")).unwrap_err();
    assert_eq!(error.hints(), ["it has a, b"]);
}
