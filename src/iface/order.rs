use crate::iface::backend::Dependencies;
use crate::sys::name::InterfaceName;
use std::collections::BTreeSet;
pub fn up_order(
    n: &BTreeSet<InterfaceName>,
    _d: &Dependencies,
    _f: Option<&InterfaceName>,
) -> Vec<InterfaceName> {
    n.iter().cloned().collect()
}
pub fn down_order(
    n: &BTreeSet<InterfaceName>,
    d: &Dependencies,
    f: Option<&InterfaceName>,
) -> Vec<InterfaceName> {
    let mut v = up_order(n, d, f);
    v.reverse();
    v
}
