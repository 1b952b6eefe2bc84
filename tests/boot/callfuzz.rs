//! Hostile system calls do not bring the kernel down (tests/probes/src/bin/callfuzz.rs).

use boot_contract::init::Init;
use qemu::{End, Machine, Profile};
use std::time::Duration;
use tests::{program, program_image};

/// How long calls are made, in seconds of the guest.
const SECONDS: &str = "20";
const LONG: Duration = Duration::from_secs(180);

#[test]
fn hostile_calls_are_survived() {
    let seed = std::env::var("UNIBEAM_SEED").unwrap_or_else(|_| "2".into());
    let init = Init {
        exec: "/probe/callfuzz".into(),
        args: vec!["callfuzz".into(), seed, SECONDS.into()],
        ..Init::default()
    };
    let image = program_image("callfuzz", &init, &program("callfuzz"));
    let profile = Profile::named("microvm").unwrap();
    let (boot, folder) = tests::boot(&profile, &image);
    let mut guest = Machine::new(profile, boot).hold(folder).start().unwrap();
    let end = guest.wait_end(LONG);
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
