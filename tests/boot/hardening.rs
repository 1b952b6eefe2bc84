//! What keeps a program from the kernel and its addresses from being guessed
//! (tests/probes/src/bin/hardening.rs).

use boot_contract::init::Init;
use qemu::{End, Machine, Profile};
use std::collections::HashSet;
use std::time::Duration;
use tests::{program, program_image};

const LONG: Duration = Duration::from_secs(120);

/// Starts the program on a machine with two processors; its console.
fn run() -> String {
    let init = Init {
        exec: "/probe/hardening".into(),
        args: vec!["hardening".into()],
        ..Init::default()
    };
    let image = program_image("hardening", &init, &program("hardening"));
    let profile = Profile::named("q35-direct").unwrap();
    let (boot, folder) = tests::boot(&profile, &image);
    let machine = Machine::new(profile, boot).cpus(2).hold(folder);
    let mut guest = machine.start().unwrap();
    let end = guest.wait_end(LONG);
    let console = guest.console();
    assert!(
        end.as_ref().is_ok_and(End::is_success),
        "{end:?}\n{console}"
    );
    console
}

#[test]
fn what_is_forbidden_fails_on_every_processor() {
    let console = run();
    for line in [
        "data cannot be run: [11]",
        "the kernel's tables cannot be asked for: [11]",
        "the kernel's memory cannot be read: [11]",
        "no file tells an address of the kernel: []",
        "there is no list of the kernel's symbols: false",
    ] {
        assert!(console.contains(line), "{line}\n{console}");
    }
}

#[test]
fn addresses_differ_at_every_boot_and_every_start_of_a_program() {
    let (one, other) = (run(), run());
    let bases = |console: &str| -> Vec<(String, String)> {
        let lines = console
            .lines()
            .filter_map(|line| line.strip_prefix("base "));
        lines
            .filter_map(|line| {
                let (name, address) = line.trim_end().rsplit_once(' ')?;
                let (_, name) = name.split_once(' ')?;
                Some((name.into(), address.into()))
            })
            .collect()
    };
    let all: Vec<_> = [bases(&one), bases(&other)].concat();
    // Six of each start of the program, of which there are two in each boot.
    assert_eq!(all.len(), 24, "{one}\n{other}");
    let different: HashSet<_> = all.iter().collect();
    assert_eq!(different.len(), 24, "{one}\n{other}");
}
