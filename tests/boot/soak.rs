//! A short version of `just soak`.

use std::time::Duration;
use tests::soak::{Plan, run};

fn survives(machine: &str, cpus: u32) {
    let plan = Plan {
        requests: 4000,
        connections: 32,
        ports: 20,
        mixed: Duration::from_secs(5),
        cpus,
    };
    let mut log = Vec::new();
    run(machine, &plan, &mut |line| log.push(line))
        .unwrap_or_else(|failure| panic!("{failure}\nbefore: {log:#?}"));
}

#[test]
fn one_processor_survives_load() {
    survives("kvm-q35", 1);
}

#[test]
fn two_processors_survive_load() {
    survives("microvm", 2);
}
