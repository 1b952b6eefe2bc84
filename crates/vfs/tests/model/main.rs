//! The host's file system as the oracle: random sequences of operations are done on the tree and
//! in a folder of a real Linux file system, and have to answer the same, error numbers included.

#![allow(clippy::unwrap_used, reason = "test support: a failure fails the test")]

#[path = "../common/mod.rs"]
mod common;
mod host;
mod operation;
mod ours;

use proptest::prelude::{ProptestConfig, Strategy, prop};
use proptest::test_runner::TestCaseResult;
use proptest::{prop_assert_eq, proptest};

use host::Host;
use operation::{Operation, operations};
use ours::Ours;

fn compare(sequence: &[Operation]) -> TestCaseResult {
    let (mut host, mut ours) = (Host::new(), Ours::new());
    for (index, operation) in sequence.iter().enumerate() {
        let (expected, found) = (host.run(operation), ours.run(operation));
        prop_assert_eq!(
            found,
            expected,
            "step {}, {:?} (left: ours, right: Linux)",
            index,
            operation
        );
    }
    prop_assert_eq!(ours.snapshot(), host.snapshot(), "final trees");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(1000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn answers_are_those_of_linux(
        sequence in prop::collection::vec(operations(), 1..60).prop_map(|mut sequence| {
            // Something to work on, so that fewer sequences only see ENOENT.
            sequence.splice(0..0, operation::preparation());
            sequence
        }),
    ) {
        compare(&sequence)?;
    }
}
