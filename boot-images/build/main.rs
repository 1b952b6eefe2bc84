//! Builds the guest half of the workspace for bare metal, so that `src/lib.rs` can embed it.

mod elf;
mod flags;
mod guest;
mod symbols;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use guest::Guest;

/// What the guest programs are made of.
const SOURCES: [&str; 13] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "crates/boot-bios",
    "crates/boot-contract",
    "crates/kernel",
    "crates/launch",
    "crates/linux-abi",
    "crates/machine",
    "crates/net",
    "crates/vdso",
    "crates/vfs",
    "boot-images/build",
];

fn main() -> Result<(), Box<dyn Error>> {
    let guest = Guest::from_environment()?;
    for source in SOURCES {
        say("rerun-if-changed", &guest.workspace.join(source));
    }
    let boot_sector = guest.build("boot-bios", "boot-sector", &flags::BOOT_STAGE)?;
    say("rustc-env=BOOT_SECTOR", &boot_sector);
    let stage = guest.build("boot-bios", "bios-stage", &flags::BOOT_STAGE)?;
    say("rustc-env=BIOS_STAGE", &stage);
    let (stripped, unstripped) = kernel(&guest)?;
    say("rustc-env=KERNEL_ELF", &stripped);
    say("rustc-env=KERNEL_UNSTRIPPED", &unstripped);
    Ok(())
}

/// The kernel as it is embedded, and with its symbols.
fn kernel(guest: &Guest) -> Result<(PathBuf, PathBuf), Box<dyn Error>> {
    let stripped = guest.out.join("kernel.elf");
    let unstripped = guest.build("kernel", "kernel", &flags::KERNEL)?;
    let mut kernel = fs::read(&unstripped)?;
    symbols::fill(&mut kernel)?;
    fs::write(&stripped, elf::strip(kernel)?)?;
    Ok((stripped, unstripped))
}

/// Tells cargo.
#[expect(clippy::print_stdout, reason = "how a build script talks to cargo")]
fn say(key: &str, path: &Path) {
    println!("cargo:{key}={}", path.display());
}
