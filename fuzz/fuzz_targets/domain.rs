//! Any bytes as a guest's `<domain>`: refused with a place, or each of its interfaces rewritten for this host. What comes of
//! it is read again, names no network, and has everything else as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ncf::sys::netlink::macvtap::Mode;
use ncf::vnet::model::PortSettings;
use ncf::vnet::plug::Place;
use ncf::vnet::resolve::{Domain, render};
use ncf::xml::{Document, Edit, Source};

fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = Source::read("fuzz.xml", bytes) else {
        return;
    };
    let Ok(document) = source.parse() else {
        return;
    };
    let domain = match Domain::from_document(&document) {
        Ok(domain) => domain,
        Err(error) => {
            assert!(error.to_string().starts_with("fuzz.xml:"), "{error}");
            return;
        }
    };
    let places = [
        Place::Bridge("br0".parse().unwrap()),
        Place::Macvtap {
            lower: "eth0".parse().unwrap(),
            mode: Mode::Private,
            exclusive: false,
        },
        Place::Hostdev {
            address: "0000:03:10.1".parse().unwrap(),
            managed: true,
            driver: Some("vfio".to_owned()),
        },
    ];
    let mut edit = Edit::new(&source);
    for (interface, place) in domain.interfaces.iter().zip(places.iter().cycle()) {
        let settings = PortSettings {
            trust_guest_rx_filters: true,
            virtual_port: interface.request.virtual_port.clone(),
            vlan: interface.request.vlan.clone(),
            bandwidth: interface.request.bandwidth,
            ..PortSettings::default()
        };
        if let Err(error) = render::interface(&mut edit, interface, place, &settings) {
            assert!(error.to_string().starts_with("fuzz.xml:"), "{error}");
            return;
        }
    }
    let text = edit.finish();
    let written = Source::new("resolved.xml", text.clone());
    let again = written
        .parse()
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    let resolved = Domain::from_document(&again).unwrap();
    assert!(resolved.interfaces.is_empty(), "{text}");
    assert_eq!((&resolved.owner, resolved.uuid), (&domain.owner, domain.uuid));
    assert_eq!(others(&again), others(&document), "{text}");
});

/// The names of the elements that are directly in the domain, and in its devices but for interfaces.
fn others(document: &Document<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for child in document.root().children() {
        names.push(child.name().to_owned());
        if child.is("devices") {
            names.extend(child.children().map(|it| it.name().to_owned()));
        }
    }
    names
}
