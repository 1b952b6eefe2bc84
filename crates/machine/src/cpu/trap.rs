//! The interrupt descriptor table, and what happens to traps outside ring 3.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;

use super::descriptors::{FAULT_STACK, KERNEL_CODE, TablePointer};
use super::per_cpu::this_cpu;
use super::stop;
use super::symbols::CodeAddress;
use super::user::UserFrame;
use crate::dev::interrupt;

global_asm!(include_str!("trap.s"));

/// Number of vectors with an entry: 32 exceptions and 64 interrupts.
const VECTORS: usize = 96;

const NON_MASKABLE: u64 = 2;

struct Table(UnsafeCell<[[u64; 2]; VECTORS]>);

// SAFETY: written once before any CPU loads it, then only read by hardware.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([[0; 2]; VECTORS]));

unsafe extern "C" {
    static machine_trap_table: [u64; VECTORS];
}

/// Fills the table. Called once, before any CPU loads it.
pub(super) fn init() {
    // SAFETY: the assembly file defines one address for each vector, and never writes to them.
    let handlers = unsafe { &machine_trap_table };
    for (vector, address) in handlers.iter().copied().enumerate() {
        let stack = if matches!(vector, 2 | 8 | 18) {
            u64::from(FAULT_STACK)
        } else {
            0
        };
        // Interrupt gate, present; breakpoints and overflow may come from ring 3.
        let kind = if matches!(vector, 3 | 4) { 0xee } else { 0x8e };
        let low = address & 0xffff
            | u64::from(KERNEL_CODE) << 16
            | stack << 32
            | kind << 40
            | (address >> 16 & 0xffff) << 48;
        let entry = TABLE.0.get().cast::<[u64; 2]>().wrapping_add(vector);
        // SAFETY: in bounds; nobody has loaded the table yet.
        unsafe { entry.write([low, address >> 32]) };
    }
}

/// Loads the table on this CPU; interrupts stay off.
pub(super) fn load() {
    let pointer = TablePointer {
        limit: (VECTORS * 16 - 1) as u16,
        base: TABLE.0.get() as u64,
    };
    // SAFETY: the table is complete and static.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack)) };
}

/// Acknowledges an interrupt and notes it for [`take_pending`], unless it was spurious.
pub(super) fn note_interrupt(vector: u64) {
    if interrupt::acknowledge(vector as u8) {
        this_cpu().note(vector);
    }
}

/// Takes the vectors that arrived on this CPU since the last call: bit n is vector 32 + n.
pub fn take_pending() -> u64 {
    let pending = &this_cpu().pending;
    if pending.load(Ordering::Relaxed) == 0 {
        return 0;
    }
    pending.swap(0, Ordering::Relaxed)
}

pub(super) fn is_pending() -> bool {
    this_cpu().pending.load(Ordering::Relaxed) != 0
}

/// What an exception is called (Intel SDM volume 3, table 6-1).
fn name(vector: u64) -> &'static str {
    match vector {
        0 => "division",
        2 => "non-maskable interrupt",
        6 => "invalid opcode",
        8 => "double fault",
        12 => "stack",
        13 => "general protection",
        14 => "page fault",
        18 => "machine check",
        _ => "see the manual of the CPU",
    }
}

/// A trap while in the kernel: an interrupt during [`super::wait_for_interrupt`], or a bug.
///
/// # Safety
/// Called by the trap entry with the saved state.
#[unsafe(no_mangle)]
unsafe extern "C" fn machine_kernel_trap(frame: *const UserFrame) {
    // SAFETY: the entry code built the frame on the stack, and nobody else has it.
    let frame = unsafe { &*frame };
    if frame.vector >= 32 {
        note_interrupt(frame.vector);
        return;
    }
    if frame.vector == NON_MASKABLE {
        if !stop::is_asked() {
            stop::stop_here(frame);
        }
        panic!(
            "asked what it does by a non-maskable interrupt\n  at {}\n{frame}",
            CodeAddress(frame.rip)
        );
    }
    let fault_address: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr2", out(reg) fault_address, options(nomem, nostack)) };
    panic!(
        "CPU exception {} ({}), error {:#x}, address {fault_address:#x}\n  at {}\n{frame}",
        frame.vector,
        name(frame.vector),
        frame.error,
        CodeAddress(frame.rip),
    );
}
