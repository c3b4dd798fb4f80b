use crate::iface::backend::Dependencies;
use crate::sys::name::InterfaceName;
use std::collections::BTreeSet;
pub fn up_order(n: &BTreeSet<InterfaceName>, _d: &Dependencies) -> Vec<InterfaceName> {
    n.iter().cloned().collect()
}
