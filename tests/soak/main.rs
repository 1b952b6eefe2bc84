//! `just soak`: the example `load` under load, for as long as one likes.
//!
//! `soak [--requests N] [--connections N] [--ports N] [--minutes N] [--cpus N] [--machine NAME]`
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what it is for"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};
use tests::soak::{Plan, run};

const USAGE: &str = "usage: soak [--requests N] [--connections N] [--ports N] [--minutes N of \
                     everything at once] [--cpus N] [--machine NAME]";

fn main() -> ExitCode {
    let Some((machine, plan)) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    let mut say = |line| println!("{:7.1} s  {line}", start.elapsed().as_secs_f64());
    match run(&machine, &plan, &mut say) {
        Ok(()) => {
            say("passed".into());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            say(format!("FAILED\n{failure}"));
            ExitCode::FAILURE
        }
    }
}

/// The machine's name and what to do with it.
fn parse(mut words: impl Iterator<Item = String>) -> Option<(String, Plan)> {
    let mut machine = "kvm-q35".to_owned();
    let mut plan = Plan {
        requests: 500_000,
        connections: 32,
        ports: 1000,
        mixed: Duration::from_secs(60),
        cpus: 1,
    };
    while let Some(flag) = words.next() {
        let value = words.next()?;
        match flag.as_str() {
            "--requests" => plan.requests = value.parse().ok()?,
            "--connections" => plan.connections = value.parse().ok()?,
            "--ports" => plan.ports = value.parse().ok()?,
            "--minutes" => plan.mixed = Duration::from_secs(60 * value.parse::<u64>().ok()?),
            "--cpus" => plan.cpus = value.parse().ok()?,
            "--machine" => machine = value,
            _ => return None,
        }
    }
    Some((machine, plan))
}
