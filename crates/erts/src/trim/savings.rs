//! What rules save.

use super::table::{RULES, Rule};

/// What one rule did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saving {
    /// The rule.
    pub rule: &'static Rule,
    /// How many files it left out or rewrote.
    pub files: usize,
    /// How many bytes fewer there are; negative if there are more.
    pub bytes: i64,
}

/// What all rules did, in the order of the table; those that did nothing are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Savings(Vec<Saving>);

impl Savings {
    /// Adds a file.
    pub(super) fn add(&mut self, rule: &'static Rule, bytes: i64) {
        self.merge(Saving {
            rule,
            files: 1,
            bytes,
        });
    }

    fn merge(&mut self, saving: Saving) {
        if let Some(known) = self.0.iter_mut().find(|known| known.rule == saving.rule) {
            known.files += saving.files;
            known.bytes += saving.bytes;
            return;
        }
        self.0.push(saving);
        self.0
            .sort_by_key(|saving| RULES.iter().position(|rule| rule == saving.rule));
    }

    /// Adds what others saved.
    pub fn extend(&mut self, others: &Self) {
        others.iter().for_each(|&saving| self.merge(saving));
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Saving> {
        self.0.iter()
    }

    /// Bytes saved in all.
    pub fn bytes(&self) -> i64 {
        self.iter().map(|saving| saving.bytes).sum()
    }
}
