//! What is left out of an image, and what is not.

use erts::{RULES, Rule, RuleSet};
use std::str::FromStr;

/// The rules that apply. What is to be kept is kept, whatever else is said.
pub(crate) fn rules(keep: &[KeepArg], trim: &[TrimArg], strip: bool) -> RuleSet {
    let mut rules = RuleSet::default();
    let all = RULES.iter().filter(|_| strip);
    let named = trim.iter().map(|TrimArg(rule)| *rule);
    all.chain(named).for_each(|rule| rules.trim(rule));
    for keep in keep {
        match keep {
            KeepArg::All => rules = RuleSet::none(),
            KeepArg::Rule(rule) => rules.keep(rule),
        }
    }
    rules
}

/// A rule, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TrimArg(&'static Rule);

/// A rule that is not to apply, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepArg {
    All,
    Rule(&'static Rule),
}

/// Why a name is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such rule; the rules are {}", names())]
pub(crate) struct NoSuchRule;

fn names() -> String {
    RULES.each_ref().map(|rule| rule.name).join(", ")
}

impl FromStr for TrimArg {
    type Err = NoSuchRule;

    fn from_str(text: &str) -> Result<Self, NoSuchRule> {
        Rule::named(text).map(Self).ok_or(NoSuchRule)
    }
}

impl FromStr for KeepArg {
    type Err = NoSuchRule;

    fn from_str(text: &str) -> Result<Self, NoSuchRule> {
        match text {
            "all" => Ok(Self::All),
            name => Rule::named(name).map(Self::Rule).ok_or(NoSuchRule),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KeepArg, NoSuchRule, TrimArg, rules};
    use erts::{RULES, RuleSet};

    fn names(keep: &[&str], trim: &[&str], strip: bool) -> Vec<&'static str> {
        let keep: Vec<KeepArg> = keep.iter().map(|name| name.parse().unwrap()).collect();
        let trim: Vec<TrimArg> = trim.iter().map(|name| name.parse().unwrap()).collect();
        let rules = rules(&keep, &trim, strip);
        rules.iter().map(|rule| rule.name).collect()
    }

    #[test]
    fn keeping_wins() {
        let default: Vec<_> = RuleSet::default().iter().map(|rule| rule.name).collect();
        assert_eq!(names(&[], &[], false), default);
        assert!(names(&[], &["debug-info"], false).contains(&"debug-info"));
        assert_eq!(names(&[], &[], true).len(), RULES.len());
        let kept = names(&["debug-info", "sources"], &["debug-info"], true);
        assert_eq!(kept.len(), RULES.len() - 2);
        assert_eq!(names(&["all"], &["debug-info"], true), [""; 0]);
        assert_eq!("everything".parse::<KeepArg>(), Err(NoSuchRule));
    }
}
