//! Which rules apply.

use std::collections::BTreeSet;

use release::{GuestPath, TreeEntry};

use super::place;
use super::table::{Action, RULES, Rule};

/// The rules that apply: those that do by default, unless changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet(BTreeSet<&'static str>);

impl Default for RuleSet {
    fn default() -> Self {
        let rules = RULES.iter().filter(|rule| rule.default);
        Self(rules.map(|rule| rule.name).collect())
    }
}

impl RuleSet {
    /// No rule at all.
    #[must_use]
    pub fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Applies a rule, too.
    pub fn trim(&mut self, rule: &'static Rule) {
        self.0.insert(rule.name);
    }

    /// Does not apply a rule.
    pub fn keep(&mut self, rule: &'static Rule) {
        self.0.remove(rule.name);
    }

    /// The rules, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &'static Rule> {
        RULES.iter().filter(|rule| self.0.contains(rule.name))
    }

    /// The rule that leaves out what is at a path of the release, a file or a link.
    pub fn leaves_out(&self, path: &GuestPath) -> Option<&'static Rule> {
        place::at_path(path, false, |place| self.first(place)).flatten()
    }

    /// The rule that leaves out an entry.
    pub(super) fn leaves_out_entry(&self, entry: &TreeEntry) -> Option<&'static Rule> {
        place::at(entry, |place| self.first(place)).flatten()
    }

    fn first(&self, place: &place::Place<'_>) -> Option<&'static Rule> {
        self.iter()
            .find(|rule| matches!(rule.action, Action::LeaveOut(matches) if matches(place)))
    }
}
