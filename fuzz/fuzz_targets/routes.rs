//! Any bytes as a file of routes, in both syntaxes and both families.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ncf::ifcfg::address::Family;
use ncf::ifcfg::routes;

fuzz_target!(|bytes: &[u8]| {
    for family in [Family::V4, Family::V6] {
        match routes::parse("route-eth0", bytes, family) {
            Ok(routes) => assert!(routes.len() <= bytes.len()),
            Err(error) => assert!(error.to_string().starts_with("route-eth0"), "{error}"),
        }
    }
});
