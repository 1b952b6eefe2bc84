//! The kernel binary: the entry that `machine` calls, and the panic handler.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use machine::boot::BootInfo;

/// Called by `machine` once memory and the boot CPU are set up.
#[expect(
    unsafe_code,
    reason = "the symbol is how `machine` finds the kernel; defined only here"
)]
#[unsafe(no_mangle)]
fn kernel_main(info: BootInfo) -> ! {
    kernel::start::run(info)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    kernel::ending::panicked(info)
}
