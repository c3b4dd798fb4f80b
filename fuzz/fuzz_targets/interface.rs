//! Any bytes as an interface's XML, and as its file. What is read as XML is defined and shown the same; what a file
//! is shown as is defined again and changes no byte.

#![no_main]

use std::ffi::{OsStr, OsString};

use libfuzzer_sys::fuzz_target;
use ncf::iface::backend::{Backend as _, Files};
use ncf::iface::model::interface_name;
use ncf::iface::network_scripts::NetworkScripts;
use ncf::iface::xml;
use ncf::xml::Source;

struct One<'a>(&'a [u8]);

impl Files for One<'_> {
    fn names(&self) -> ncf::Result<Vec<OsString>> {
        Ok(vec!["ifcfg-eth0".into(), "ifcfg-br0".into()])
    }

    fn read(&self, name: &OsStr) -> ncf::Result<Option<Vec<u8>>> {
        Ok(match name.to_str() {
            Some("ifcfg-eth0") => Some(self.0.to_vec()),
            Some("ifcfg-br0") => Some(b"TYPE=Bridge\n".to_vec()),
            _ => None,
        })
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(wanted) = Source::read("fuzz.xml", bytes).and_then(|source| xml::read(&source)) {
        let again = Source::new("again.xml", xml::write(&wanted).to_string());
        assert_eq!(xml::read(&again).unwrap(), wanted);
        // A VLAN's name may say otherwise than its elements.
        let _ = NetworkScripts.define(&wanted, &One(b""), &[]);
    }
    let files = One(bytes);
    for name in NetworkScripts.interfaces(&files, &[]).unwrap() {
        if interface_name(name.as_str()).is_err() {
            continue;
        }
        let shown = NetworkScripts.describe(&name, &files, &[]).unwrap().interface;
        let text = Source::new("shown.xml", xml::write(&shown).to_string());
        let edits = NetworkScripts.define(&xml::read(&text).unwrap(), &files, &[]).unwrap();
        assert!(edits.files.is_empty(), "{edits:?}");
    }
});
