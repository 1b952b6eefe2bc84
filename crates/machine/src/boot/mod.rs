//! The entry point and what the boot stage handed over.

mod info;

use core::arch::global_asm;

pub use info::BootInfo;
pub(crate) use info::RawBoot;

global_asm!(include_str!("entry.s"));

unsafe extern "Rust" {
    /// The kernel proper; defined once, in the kernel binary.
    fn kernel_main(info: BootInfo) -> !;
}

/// First Rust code: sets up this crate and enters the kernel.
///
/// # Safety
/// Called once by the entry code, with the physical address of the start-info block.
#[unsafe(no_mangle)]
unsafe extern "C" fn machine_start(start_info: u64) -> ! {
    // SAFETY: the entry code mapped the first GiB and passes what the boot stage gave.
    let mut raw = unsafe { RawBoot::read(start_info) };
    // SAFETY: first and only call, on the boot CPU, with the memory map of this machine.
    unsafe { crate::mem::init(&mut raw) };
    // SAFETY: first and only call on the boot CPU; memory is set up.
    unsafe { crate::cpu::init_boot_cpu() };
    let info = raw.into_info();
    // SAFETY: defined in the kernel binary with this very signature.
    unsafe { kernel_main(info) }
}
