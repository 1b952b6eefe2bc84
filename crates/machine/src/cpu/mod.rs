//! The CPU: traps, ring 3, kernel threads and switching between them.
//!
//! The kernel runs with interrupts disabled. They can arrive in ring 3, where they end
//! [`UserContext::run`], and inside [`wait_for_interrupt`]; either way the handler only notes the
//! vector, and the kernel collects it with [`take_pending`].

mod backtrace;
mod descriptors;
mod features;
mod fpu;
mod hardening;
mod per_cpu;
mod start;
mod stop;
mod symbols;
mod thread;
pub(crate) mod tlb;
mod trap;
mod user;

use core::arch::asm;

pub use backtrace::backtrace;
pub use features::{CpuFeatures, features};
pub use fpu::FpuState;
pub use start::{count, interrupt, number, start_others};
pub use stop::{StoppedAt, each_stopped, stop_others};
pub use symbols::CodeAddress;
pub use thread::{
    Thread, adopt_boot_thread, current_tag, current_thread, exit_to, set_exit_hook, switch_to,
};
pub use trap::take_pending;
pub use user::{ExceptionInfo, Registers, Trap, UserContext};

/// Most CPUs a machine may have.
pub const MAX_CPUS: usize = 64;

/// Sets up the CPU that booted.
///
/// # Safety
/// Called once, after memory is set up.
pub(crate) unsafe fn init_boot_cpu() {
    // SAFETY: passed on from the caller; CPU number 0 is this one.
    unsafe { per_cpu::init(0) };
    trap::init();
    trap::load();
    user::init();
    fpu::init();
    hardening::init();
}

/// Waits with interrupts enabled until one has arrived. Returns at once if one is pending.
pub fn wait_for_interrupt() {
    if trap::is_pending() {
        return;
    }
    // SAFETY: `sti` takes effect after the next instruction, so no interrupt can slip in before
    // the halt; handlers only note the vector.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}

/// Lets interrupts arrive that came meanwhile; [`take_pending`] tells which. For the middle of long
/// work.
pub fn let_interrupts_in() {
    // SAFETY: handlers only note the vector. `sti` takes effect after the next instruction.
    unsafe { asm!("sti", "nop", "cli", options(nostack)) };
}

/// Stops this CPU for good.
pub fn halt_forever() -> ! {
    loop {
        // SAFETY: interrupts are off, so nothing runs any more.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Time-stamp counter: ticks since power-on on the machines we run on.
pub fn timestamp() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads a counter.
    unsafe {
        asm!("rdtsc", out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags))
    };
    u64::from(high) << 32 | u64::from(low)
}

/// Reads a model-specific register.
///
/// # Safety
/// The register must exist on this CPU.
pub(crate) unsafe fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller says that the register exists.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The register must exist, and the value must keep the kernel running.
pub(crate) unsafe fn write_msr(register: u32, value: u64) {
    let (low, high) = (value as u32, (value >> 32) as u32);
    // SAFETY: passed on from the caller.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") low, in("edx") high, options(nostack));
    }
}
