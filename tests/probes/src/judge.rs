//! Compares a probe's output with that of Linux, line by line.

use std::collections::{BTreeMap, BTreeSet};

/// A step that answered other than on Linux.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The step's name.
    pub step: String,
    /// What Linux answers.
    pub expected: String,
    /// What was printed; `None` if the probe ended or hung before.
    pub found: Option<String>,
}

/// The outcome of one probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Steps that answered as on Linux.
    pub passed: usize,
    /// Steps that differ as the list of known failures says.
    pub known: usize,
    /// Steps that differ and are not in the list.
    pub failures: Vec<Difference>,
    /// Steps in the list that do not fail, or do not exist: the list must shrink.
    pub unexpected_passes: Vec<String>,
}

impl Verdict {
    /// Whether everything is as expected, known failures included.
    pub fn is_good(&self) -> bool {
        self.failures.is_empty() && self.unexpected_passes.is_empty()
    }
}

/// Judges the output of the probe `family`.
///
/// `known_failures` has one `family: step` on each line; empty lines and those that start with
/// `#`, which give the reasons, are skipped.
pub fn judge(family: &str, found: &str, expected: &str, known_failures: &str) -> Verdict {
    let (found, expected) = (steps(found), steps(expected));
    let mut known = known_steps(family, known_failures);
    let mut verdict = Verdict::default();
    for (step, answer) in expected {
        let found = found.get(step).copied();
        if found == Some(answer) {
            verdict.passed += 1;
        } else if known.remove(step) {
            verdict.known += 1;
        } else {
            verdict.failures.push(Difference {
                step: step.to_owned(),
                expected: answer.to_owned(),
                found: found.map(ToOwned::to_owned),
            });
        }
    }
    verdict.unexpected_passes = known.into_iter().map(ToOwned::to_owned).collect();
    verdict
}

/// The answers by step. Lines that are none (messages of a kernel on the same console) do no harm:
/// only steps that Linux has are looked up.
fn steps(output: &str) -> BTreeMap<&str, &str> {
    output
        .lines()
        .filter_map(|line| line.trim_end().split_once(": "))
        .collect()
}

fn known_steps<'a>(family: &str, list: &'a str) -> BTreeSet<&'a str> {
    list.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .filter(|&(of, _)| of == family)
        .map(|(_, step)| step.trim())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Difference, judge};

    const EXPECTED: &str = "one: 1\ntwo: ENOENT(2)\nthree: ()\n";

    #[test]
    fn the_same_output_is_good() {
        let verdict = judge(
            "files",
            "one: 1\r\ntwo: ENOENT(2)\r\nthree: ()\r\n",
            EXPECTED,
            "",
        );
        assert!(verdict.is_good());
        assert_eq!(verdict.passed, 3);
    }

    #[test]
    fn another_answer_and_a_missing_one_are_failures() {
        let verdict = judge("files", "one: 1\ntwo: 7", EXPECTED, "");
        let difference = |step: &str, expected: &str, found: Option<&str>| Difference {
            step: step.into(),
            expected: expected.into(),
            found: found.map(Into::into),
        };
        let expected = [
            difference("three", "()", None),
            difference("two", "ENOENT(2)", Some("7")),
        ];
        assert_eq!(verdict.failures, expected);
        assert!(!verdict.is_good());
    }

    #[test]
    fn a_known_failure_is_good_until_it_passes() {
        let known = "# not yet\nfiles: two\npipes: one\n";
        assert!(judge("files", "one: 1\ntwo: 7\nthree: ()", EXPECTED, known).is_good());
        let verdict = judge("files", EXPECTED, EXPECTED, known);
        assert_eq!(verdict.unexpected_passes, ["two"]);
        assert!(!verdict.is_good());
    }

    #[test]
    fn messages_of_the_kernel_do_no_harm() {
        let found = "unibeam: first use of flock: ignored\none: 1\ntwo: ENOENT(2)\nthree: ()\n";
        assert!(judge("files", found, EXPECTED, "").is_good());
    }
}
