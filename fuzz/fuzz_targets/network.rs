//! Any bytes as a `<network>`: refused with a place, or kept byte for byte from then on; what an update adds, an update
//! takes away again; numbers of connections come and go.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ncf::vnet::connections::counted;
use ncf::vnet::definition::Definition;
use ncf::vnet::model::{Devices, Fill, PortRequest, PortSettings};
use ncf::vnet::pool::Device;
use ncf::vnet::ports::{Connected, PortId};
use ncf::vnet::update::{Action, Section, Update};
use ncf::xml::Source;

fn read(name: &str, text: &str) -> ncf::Result<Definition> {
    let fill = Fill {
        uuid: uuid::Uuid::from_u128(1),
        bridge: "virbr0".parse().unwrap(),
        mac: "52:54:00:00:00:01".parse().unwrap(),
    };
    Definition::read(&Source::new(name, text), &fill)
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = Source::read("fuzz.xml", bytes) else {
        return;
    };
    let definition = match read("fuzz.xml", source.text()) {
        Ok(definition) => definition,
        Err(error) => {
            assert!(error.to_string().starts_with("fuzz.xml:"), "{error}");
            return;
        }
    };
    assert_eq!(read("again.xml", definition.text()).unwrap(), definition);
    let network = definition.network();
    for group in &network.portgroups {
        let request = PortRequest {
            portgroup: Some(group.name.clone()),
            ..PortRequest::default()
        };
        let _ = PortSettings::of(network, &request);
    }

    let devices: Vec<_> = match network.forward.devices() {
        Some(Devices::Interfaces(names)) => names.iter().cloned().map(Device::Link).collect(),
        Some(Devices::Addresses(all)) => all.iter().copied().map(Device::Pci).collect(),
        _ => Vec::new(),
    };
    let guests: Vec<_> = (0..)
        .zip(devices)
        .map(|(number, device)| Connected {
            owner: "guest".parse().unwrap(),
            port: Some(PortId(number)),
            device,
        })
        .collect();
    let live = counted(&definition, &guests).unwrap();
    assert_eq!(read("live.xml", &live).unwrap(), definition);

    let part = Source::new("part", "<portgroup name='of the fuzzer'/>");
    let update = |action| Update {
        action,
        section: Section::Portgroup,
        part: &part,
    };
    if let Ok(added) = update(Action::AddLast).apply(&definition) {
        let removed = update(Action::Delete).apply(&added).unwrap();
        assert_eq!(removed.text(), definition.text());
    }
});
