//! Routing rules: the files `rule-*` and `rule6-*`.

use super::config::{self, Config};
use super::naming::file_name;
use crate::Result;
use crate::apply::desired::Rule;
use crate::iface::backend::Files;
use crate::ifcfg::address::Family;
use crate::ifcfg::rules;
use crate::sys::name::InterfaceName;

/// The rules that come up with `name`, which has `config`, in the order in which the scripts add them.
pub(super) fn of(name: &InterfaceName, config: &Config, files: &dyn Files) -> Result<Vec<Rule>> {
    let with_ipv6 = config.yes("IPV6INIT")? != Some(false);
    let mut found = Vec::new();
    for part in config.parts(name) {
        for (prefix, family) in [("rule-", Family::V4), ("rule6-", Family::V6)] {
            let file = file_name(prefix, &part);
            let Some(bytes) = config::read(&file, files)? else {
                continue;
            };
            let rules = rules::parse(&config::path_of(&file), &bytes, family)?;
            if with_ipv6 || family == Family::V4 {
                found.extend(rules);
            }
        }
    }
    Ok(found)
}
