//! The probes in the guest: each answer is compared with that of Linux (tests/probes/expected).
//!
//! Answers that differ and why are listed in tests/probes/known-failures.txt; the list may only
//! shrink: a step that passes unexpectedly fails the test, too.

use boot_contract::init::Init;
use qemu::{End, Machine, Profile};
use std::fs;
use std::time::Duration;
use tests::{program, program_image, repository};

const LONG: Duration = Duration::from_secs(120);

/// On how many processors a family is run.
fn processors(family: &str) -> &'static [u32] {
    match family {
        "parallel" => &[4],
        "wakeups" => &[1, 2, 4],
        _ => &[1],
    }
}

fn check(family: &str) {
    for &count in processors(family) {
        check_on(family, count);
    }
}

fn check_on(family: &str, processors: u32) {
    // Absolute: some probes run themselves.
    let program_path = format!("/probe/{family}");
    let image = program_image(
        family,
        &Init {
            exec: program_path.clone(),
            args: vec![program_path],
            env: vec![("TMPDIR".into(), "/tmp".into())],
            ..Init::default()
        },
        &program(family),
    );
    let profile = Profile::named("microvm").unwrap();
    let (boot, folder) = tests::boot(&profile, &image);
    let mut guest = Machine::new(profile, boot)
        .cpus(processors)
        .hold(folder)
        .start()
        .unwrap();
    // A probe that hangs has answered some steps; the rest counts as missing.
    let end = guest.wait_end(LONG);
    let read =
        |file: &str| fs::read_to_string(repository().join("tests/probes").join(file)).unwrap();
    let expected = read(&format!("expected/{family}.txt"));
    let verdict = probes::judge(
        family,
        &guest.console(),
        &expected,
        &read("known-failures.txt"),
    );
    assert!(
        verdict.is_good(),
        "{verdict:#?}\n{end:?}\n{}",
        guest.console()
    );
    assert!(
        end.as_ref().is_ok_and(End::is_success),
        "{end:?}\n{}",
        guest.console()
    );
}

macro_rules! families {
    ($($family:ident)*) => {
        $(#[test] fn $family() { check(stringify!($family)); })*

        #[test]
        fn every_family_is_checked() {
            let folder = repository().join("tests/probes/expected");
            assert_eq!(fs::read_dir(folder).unwrap().count(), [$(stringify!($family)),*].len());
        }
    };
}

families!(
    epoll files inet jobs local memory parallel pipes processes signals sockets stores threads time wakeups
);
