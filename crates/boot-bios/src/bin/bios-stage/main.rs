//! The BIOS stage: loads what the block list says and enters the kernel, by PVH or Multiboot.
//!
//! `entry.s` switches between real mode, for calls to the BIOS, and long mode, where everything
//! in Rust runs on the identity-mapped first 4 GiB. There is no interrupt table: an exception
//! resets the machine.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "a boot stage fills memory and calls the BIOS")]

mod bios;
mod console;
mod disk;
mod layout;
mod load;
mod multiboot;
mod pvh;
mod stage_error;

use core::fmt::Write;

use boot_bios::no_heap::NoHeap;
use boot_contract::status::Ending;

use crate::console::Console;

/// First Rust code, called by `entry.s`.
#[unsafe(no_mangle)]
extern "sysv64" fn stage_main() -> ! {
    match load::load() {
        Ok(kernel) => bios::enter(kernel.entry, kernel.ebx, kernel.eax),
        Err(error) => stop(error.ending(), format_args!("unibeam: {error}\n")),
    }
}

fn stop(ending: Ending, message: core::fmt::Arguments<'_>) -> ! {
    // The console accepts everything.
    let _ = Console.write_fmt(message);
    bios::end(ending)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, core::panic::Location::line);
    stop(
        Ending::Panic,
        format_args!("unibeam: the boot stage failed in line {line}\n"),
    )
}

#[global_allocator]
static HEAP: NoHeap = NoHeap;
