//! Which routing rules have to change: a pure function of those that are and those that are wanted.
//!
//! A rule belongs to no device in the kernel. So only those are removed that a configuration names.

use crate::sys::netlink::rule::Rule;

/// One change to the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RuleOp {
    Add(Rule),
    Delete(Rule),
}

/// Adds what is missing, in order: of rules without priority the kernel asks the one added last first.
pub(super) fn plan(kernel: &[Rule], wanted: &[Rule]) -> Vec<RuleOp> {
    distinct(wanted)
        .filter(|want| !kernel.iter().any(|is| is.satisfies(want)))
        .map(|want| RuleOp::Add(want.clone()))
        .collect()
}

/// Removes what is there of those that are `named`; each once, as `ip rule del` does.
pub(super) fn plan_removal(kernel: &[Rule], named: &[Rule]) -> Vec<RuleOp> {
    distinct(named)
        .filter_map(|name| kernel.iter().find(|is| is.satisfies(name)))
        .map(|is| RuleOp::Delete(is.clone()))
        .collect()
}

fn distinct(rules: &[Rule]) -> impl Iterator<Item = &Rule> {
    let is_first = |at: usize, rule: &Rule| !rules.iter().take(at).any(|it| it == rule);
    rules
        .iter()
        .enumerate()
        .filter(move |(at, rule)| is_first(*at, rule))
        .map(|(_, rule)| rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink::rule::Action;

    fn rule(from: &str, priority: Option<u32>) -> Rule {
        Rule {
            from: Some(from.parse().unwrap()),
            priority,
            action: Action::Table(7),
            ..Rule::any(false)
        }
    }

    #[test]
    fn a_rule_without_priority_is_there_whatever_the_kernel_gave_it() {
        let kernel = [rule("192.0.2.0/24", Some(32_765))];
        assert!(plan(&kernel, &[rule("192.0.2.0/24", None)]).is_empty());
        let wanted = [rule("192.0.2.0/24", Some(5)), rule("192.0.2.0/24", Some(5))];
        assert_eq!(plan(&kernel, &wanted), [RuleOp::Add(wanted[0].clone())]);
    }

    #[test]
    fn only_what_is_named_is_removed() {
        let kernel = [
            rule("192.0.2.0/24", Some(5)),
            rule("198.51.100.0/24", Some(6)),
        ];
        let removed = plan_removal(&kernel, &[rule("198.51.100.0/24", None)]);
        assert_eq!(removed, [RuleOp::Delete(kernel[1].clone())]);
    }
}
