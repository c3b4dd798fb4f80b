//! Any definition at all: it is refused with a place, or kept byte for byte from then on; and what an update adds, an
//! update takes away again.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test's name says what it shows, and it fails by panicking"
)]

use ncf::vnet::definition::{Definition, generate};
use ncf::vnet::model::{PortRequest, PortSettings};
use ncf::vnet::update::{Action, Section, Update};
use ncf::xml::Source;
use proptest::prelude::*;
use proptest::sample::select;

/// Parts of a definition, most of them right, some wrong or unknown.
const PARTS: [&str; 30] = [
    "<name>n</name>",
    "<name>a b</name>",
    "<uuid>00000000-0000-0000-0000-00000000000a</uuid>",
    "<uuid/>",
    "<forward mode='bridge'/>",
    "<forward mode='vepa' dev='eth0'/>",
    "<forward mode='private'><interface dev='eth1'/><interface dev='eth2' connections='3'/></forward>",
    "<forward mode='hostdev' managed='yes'><pf dev='eth0'/></forward>",
    "<forward mode='hostdev'><address type='pci' bus='0x3' slot='1' function='0x1'/></forward>",
    "<forward mode='route' dev='eth9'/>",
    "<forward mode='open'/>",
    "<bridge name='br0'/>",
    "<bridge name='virbr%d' stp='on' delay='0'/>",
    "<bridge/>",
    "<mac address='52:54:00:ab:cd:ef'/>",
    "<mtu size='9000'/>",
    "<ip address='192.0.2.1' netmask='255.255.255.0'><dhcp><range start='192.0.2.2' end='192.0.2.9'/></dhcp></ip>",
    "<ip family='ipv6' address='2001:db8::1' prefix='64'>\n  </ip>",
    "<route address='198.51.100.0' prefix='24' gateway='192.0.2.9'/>",
    "<vlan trunk='yes'><tag id='1'/><tag id='2' nativeMode='untagged'/></vlan>",
    "<virtualport type='802.1Qbg'><parameters managerid='11' typeid='0x12'/></virtualport>",
    "<portgroup name='a' default='yes'><vlan><tag id='7'/></vlan></portgroup>",
    "<portgroup name='b'><bandwidth><inbound average='1000'/></bandwidth></portgroup>",
    "<bandwidth><outbound average='128' peak='256' burst='256'/></bandwidth>",
    "<port isolated='yes'/>",
    "<dns><txt name='x' value='y'/></dns>",
    "<metadata><m:a xmlns:m='urn:m'>&lt;<![CDATA[ ]] ]]></m:a></metadata>",
    "<!-- é -->",
    "<?target data?>",
    "text",
];

/// A document of such parts, in any order and with any white space.
fn document() -> impl Strategy<Value = String> {
    let space = select(vec!["", "\n", "\n  ", "\r\n\t", " "]);
    let parts = prop::collection::vec((space, select(PARTS.to_vec())), 0..9);
    let named = any::<bool>();
    (parts, named).prop_map(|(parts, named)| {
        let name = if named { "<name>net</name>" } else { "" };
        let inner: String = parts
            .into_iter()
            .flat_map(|(space, part)| [space, part])
            .collect();
        format!("<network connections='1'>{name}{inner}\n</network>\n")
    })
}

/// A document with some bytes cut out, doubled or replaced.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..6);
    (document(), edits).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (at, how, byte) in edits {
            let at = at.index(bytes.len());
            match how {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, byte),
                2 => bytes.truncate(at.max(1)),
                _ => bytes.splice(at..=at, [byte]).for_each(drop),
            }
            if bytes.is_empty() {
                break;
            }
        }
        bytes
    })
}

fn read(text: &str) -> ncf::Result<Definition> {
    Definition::read(&Source::new("net.xml", text), &generate(|_| false).unwrap())
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    match read(text) {
        Err(error) => prop_assert!(error.to_string().starts_with("net.xml:"), "{error}: {text}"),
        Ok(definition) => {
            // Whatever is generated the next time is not needed.
            let again = read(definition.text());
            prop_assert!(again.is_ok(), "{:?}: {}", again, definition.text());
            prop_assert_eq!(&again.unwrap(), &definition);
            // Only lines and attributes came to it, and the numbers of connections went.
            let mut rest = definition.text();
            for part in text
                .replace(" connections='1'", "")
                .replace(" connections='3'", "")
                .split(['<', ' ', '>', '/'])
            {
                let found = rest.find(part).or_else(|| definition.text().find(part));
                let generated = part == "name='virbr%d'";
                prop_assert!(
                    found.is_some() || generated,
                    "{part:?} is lost: {}",
                    definition.text()
                );
                rest = found.and_then(|at| rest.get(at..)).unwrap_or(rest);
            }
            let _ = PortSettings::of(definition.network(), &PortRequest::default());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_definition_is_refused_or_kept(text in document()) {
        holds(&text)?;
    }

    #[test]
    fn damaged_ones_too(bytes in damaged()) {
        if let Ok(source) = Source::read("net.xml", bytes.as_slice()) {
            holds(source.text())?;
        }
    }

    #[test]
    fn what_was_added_can_be_taken_away_again(text in document(), first in any::<bool>()) {
        let Ok(before) = read(&text) else { return Ok(()) };
        let part = Source::new("part", "<portgroup name='new'><bandwidth><inbound average='9'/></bandwidth></portgroup>");
        let update = |action| Update { action, section: Section::Portgroup, part: &part };
        let add = if first { Action::AddFirst } else { Action::AddLast };
        let added = update(add).apply(&before).unwrap();
        prop_assert!(added.network().portgroups.iter().any(|group| group.name == "new"));
        let after = update(Action::Delete).apply(&added).unwrap();
        prop_assert_eq!(after.text(), before.text());
    }
}
