//! Hostile system calls do not bring the kernel down (tests/probes/src/bin/callfuzz.rs).
//!
//! `just callfuzz SECONDS CPUS SEED` makes calls for as long as one likes.

use boot_contract::init::Init;
use qemu::{End, Machine, Profile};
use std::time::Duration;
use tests::{program, program_image};

/// How long calls are made, in seconds of the guest.
const SECONDS: u32 = 20;
/// How long everything else may take.
const LONG: Duration = Duration::from_secs(180);

/// A number that whoever runs the test may choose.
fn chosen(variable: &str, default: u32) -> u32 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => default,
    }
}

#[test]
fn hostile_calls_are_survived() {
    let seed = chosen("UNIBEAM_SEED", 2).to_string();
    let seconds = chosen("UNIBEAM_SECONDS", SECONDS);
    let cpus = chosen("UNIBEAM_CPUS", 1);
    let init = Init {
        exec: "/probe/callfuzz".into(),
        args: vec!["callfuzz".into(), seed, seconds.to_string()],
        ..Init::default()
    };
    let image = program_image("callfuzz", &init, &program("callfuzz"));
    let profile = Profile::named("microvm").unwrap();
    let (boot, folder) = tests::boot(&profile, &image);
    let machine = Machine::new(profile, boot).hold(folder).cpus(cpus);
    let mut guest = machine.start().unwrap();
    // The guest's clock is this host's, or slower.
    let end = guest.wait_end(LONG + 3 * Duration::from_secs(seconds.into()));
    let console = guest.console();
    assert!(
        end.as_ref().is_ok_and(End::is_success),
        "{end:?}\n{console}"
    );
    // Calls that were made and answered, else nothing was tried.
    let answered = console.lines().find_map(|line| {
        line.split("calls, ")
            .nth(1)?
            .split(' ')
            .next()?
            .parse()
            .ok()
    });
    assert!(
        answered.is_some_and(|count: u32| count > 100),
        "{answered:?}\n{console}"
    );
}
