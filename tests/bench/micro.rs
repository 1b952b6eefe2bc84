//! What system calls, page faults, processes and switches cost, beside a Linux guest on the same
//! machine with the same program and the same root archive.

use crate::linux;
use crate::table::Figure;
use boot_contract::init::Init;
use qemu::{Boot, Machine, Profile};
use std::path::PathBuf;
use std::time::Duration;
use tests::{boot, program, program_image};

/// Of the host's time; only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(300);

const MACHINE: &str = "q35-direct";
const PROGRAM: &str = "/probe/micro";

/// The program's last line (tests/probes/src/bin/micro.rs).
const DONE: &str = "micro: done";

/// Without ERMS, Linux fills and copies memory by words, as our kernel always does. By bytes costs
/// a real CPU as much, but here eight times as many instructions.
const CPU: &str = "max,-erms";

/// Name and cost of a call, as the program prints them.
type Cost = (String, f64);

/// The cost of each call.
pub(crate) fn costs() -> Vec<Figure> {
    let init = Init {
        exec: PROGRAM.into(),
        args: vec![PROGRAM.into()],
        ..Init::default()
    };
    let image = program_image("micro", &init, &program("micro"));
    let profile = Profile::named(MACHINE).unwrap();
    let (ours, folder) = boot(&profile, &image);
    let own = measure(ours.clone());
    let other = linux::kernel().map(|kernel| measure(with_linux(ours, kernel)));
    drop(folder);
    match other {
        Ok(other) => own.iter().zip(&other).flat_map(row).collect(),
        Err(why) => {
            eprintln!("no Linux guest to compare with: {why}");
            let alone = |(name, cost): &Cost| Figure::new(name, *cost, "instructions");
            own.iter().map(alone).collect()
        }
    }
}

/// The same root archive under Linux.
fn with_linux(boot: Boot, kernel: PathBuf) -> Boot {
    let Boot::Direct { root, .. } = boot else {
        panic!("{MACHINE} starts from parts")
    };
    Boot::Direct {
        kernel,
        root,
        cmdline: linux::cmdline(PROGRAM),
    }
}

/// Runs the program as the only one of a guest.
fn measure(boot: Boot) -> Vec<Cost> {
    let Boot::Direct { kernel, .. } = &boot else {
        panic!("{MACHINE} starts from parts")
    };
    eprintln!("measuring calls under {}", kernel.display());
    let mut profile = Profile::named(MACHINE).unwrap();
    profile.cpu.tcg = CPU.into();
    let mut guest = Machine::new(profile, boot)
        .argument("-icount")
        .argument("shift=0,sleep=off")
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    guest
        .wait_console(DONE, LIMIT)
        .unwrap_or_else(|error| panic!("{error}"));
    let line = |line: &str| {
        let (name, cost) = line.trim().rsplit_once(": ")?;
        Some((name.to_owned(), cost.parse().ok()?))
    };
    guest.console().lines().filter_map(line).collect()
}

/// One call under both kernels.
fn row((ours, linux): (&Cost, &Cost)) -> [Figure; 3] {
    let ((name, own), (other_name, other)) = (ours, linux);
    assert_eq!(name, other_name, "the guests ran different programs");
    [
        Figure::new(format!("{name}: unibeam"), *own, "instructions"),
        Figure::new(format!("{name}: Linux"), *other, "instructions"),
        Figure::new(format!("{name}: Linux / unibeam"), other / own, "times"),
    ]
}
