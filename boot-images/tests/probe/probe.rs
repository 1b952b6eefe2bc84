//! A kernel for tests: prints on COM1 what the boot stage handed over, then ends through
//! `isa-debug-exit`.
#![no_std]
#![no_main]

core::arch::global_asm!(include_str!("probe.s"));

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
