//! Any bytes are a file of shell variables. Read and written they are the same; an edit changes the one key and
//! leaves the others. What is told of it without parsing is what parsing finds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ncf::ifcfg::{File, plain};

fuzz_target!(|bytes: &[u8]| {
    let file = File::parse(bytes);
    assert_eq!(file.to_bytes(), bytes);
    let keys = file.keys();
    if let Some([told]) = plain::values(bytes, ["DEVICE"]) {
        let found = file.get("DEVICE");
        assert_eq!(told.map(Some), found.as_ref().map(|it| it.bytes()));
    }
    let mut edited = file.clone();
    if edited.set("MTU", b"1500 'x'").is_ok() {
        assert_eq!(
            edited.get("MTU").as_ref().and_then(|it| it.bytes()),
            Some(&b"1500 'x'"[..])
        );
        for key in keys.iter().filter(|key| *key != "MTU") {
            let content = |file: &File| file.get(key).map(|value| value.content);
            assert_eq!(content(&edited), content(&file), "{key}");
        }
    }
    let mut edited = file.clone();
    for key in &keys {
        if edited.remove(key).is_ok() {
            assert_eq!(edited.get(key), None, "{key}");
        }
    }
});
