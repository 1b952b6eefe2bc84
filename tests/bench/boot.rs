//! What booting costs: time and memory.

use crate::table::Figure;
use boot_contract::events::{
    APPLICATION_STARTED, ERTS_STARTED, EXIT, KERNEL_UP, NETWORK_UP, ROOT_READY,
};
use qemu::{Guest, Machine, Profile, WaitError};
use std::path::Path;
use std::time::Duration;
use tests::{boot, image, make_image, release};

/// Of the host's time; only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(60);

/// Bounds and precision of the search for the smallest memory, in MiB.
const MEMORY_MOST: u32 = 256;
const MEMORY_STEP: u32 = 4;

fn machine(example: &str, profile: &str) -> Machine {
    machine_of(&image(example), profile)
}

fn machine_of(image: &Path, profile: &str) -> Machine {
    let profile = Profile::named(profile).unwrap();
    let (boot, folder) = boot(&profile, image);
    Machine::new(profile, boot)
        .hold(folder)
        .argument("-icount")
        .argument("shift=0,sleep=off")
}

fn start(machine: Machine) -> Result<Guest, WaitError> {
    let mut guest = machine.start().unwrap_or_else(|error| panic!("{error}"));
    guest.wait_event(APPLICATION_STARTED, LIMIT)?;
    Ok(guest)
}

/// Time of each milestone since power-on.
pub(crate) fn times(example: &str, profile: &str) -> Vec<Figure> {
    eprintln!("booting {example} on {profile}");
    let guest = start(machine(example, profile)).unwrap_or_else(|error| panic!("{error}"));
    [
        KERNEL_UP,
        ROOT_READY,
        NETWORK_UP,
        ERTS_STARTED,
        APPLICATION_STARTED,
    ]
    .into_iter()
    .filter_map(|name| guest.events().iter().find(|event| event.name == name))
    .map(|event| Figure::instructions(format!("{example}, {profile}: {}", event.name), event.ns))
    .collect()
}

/// Time until the application has started if modules are loaded when they are first used.
pub(crate) fn interactive(example: &str, profile: &str) -> Figure {
    eprintln!("booting {example} on {profile} with interactive code loading");
    let flags = ["--code-loading", "interactive"].map(String::from);
    let image = make_image("interactive", &release(example), &flags);
    let guest = start(machine_of(&image, profile)).unwrap_or_else(|error| panic!("{error}"));
    let mut events = guest.events().iter();
    let started = events.find(|event| event.name == APPLICATION_STARTED);
    let name = format!("{example}, {profile}, interactive: {APPLICATION_STARTED}");
    Figure::instructions(name, started.unwrap().ns)
}

/// Instructions from power-on to the end of the release that only prints a line.
pub(crate) fn halt(profile: &str) -> Figure {
    let example = "halt";
    eprintln!("booting {example} on {profile}");
    let mut guest = machine(example, profile)
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let exit = guest
        .wait_event(EXIT, LIMIT)
        .unwrap_or_else(|error| panic!("{error}"));
    Figure::instructions(format!("{example}, {profile}: power-on to halt"), exit.ns)
}

/// The least memory with which the application starts, by bisection.
pub(crate) fn smallest_memory(example: &str, profile: &str) -> Figure {
    let starts = |mib: u32| {
        eprintln!("booting {example} on {profile} with {mib} MiB");
        machine(example, profile)
            .memory_mib(mib)
            .start()
            .is_ok_and(|mut guest| guest.wait_event(APPLICATION_STARTED, LIMIT).is_ok())
    };
    let (mut fails, mut works) = (0, MEMORY_MOST);
    assert!(starts(works), "{example} does not start with {works} MiB");
    while works - fails > MEMORY_STEP {
        let middle = (fails + works) / 2;
        if starts(middle) {
            works = middle;
        } else {
            fails = middle;
        }
    }
    Figure::new(
        format!("{example}, {profile}: smallest memory"),
        f64::from(works),
        "MiB",
    )
}
