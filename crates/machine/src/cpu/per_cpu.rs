//! Data of each CPU, found through the GS base while in the kernel.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::arch::asm;
use core::cell::{Cell, RefCell};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::descriptors::Descriptors;
use super::thread::Thread;
use super::user::UserFrame;
use super::{MAX_CPUS, write_msr};
use crate::mem::Root;

const MSR_GS_BASE: u32 = 0xc000_0101;
const MSR_KERNEL_GS_BASE: u32 = 0xc000_0102;

/// What other CPUs may look at.
#[repr(align(64))]
pub(super) struct Shared {
    /// Goes up with every entry to ring 3 and every exit from it: odd while ring 3 runs. Only its
    /// own CPU writes it.
    pub(super) ring_changes: AtomicU64,
    /// Identifier of the local APIC.
    pub(super) apic: AtomicU32,
}

static SHARED: [Shared; MAX_CPUS] = [const {
    Shared {
        ring_changes: AtomicU64::new(0),
        apic: AtomicU32::new(0),
    }
}; MAX_CPUS];

/// What CPU `number` lets others see.
pub(super) fn shared(number: usize) -> &'static Shared {
    &SHARED[number]
}

/// One CPU's data. Only that CPU uses it, and the kernel is not preempted, so cells suffice.
#[repr(C)]
pub(super) struct PerCpu {
    /// Address of this structure, so that one load finds it.
    this: *const Self,
    /// Where the entry code leaves the kernel's stack pointer while ring 3 runs.
    kernel_stack: Cell<u64>,
    /// Where the entry code saves the registers of ring 3.
    pub(super) user_frame: Cell<*mut UserFrame>,
    /// One register's worth of room for the system-call entry.
    scratch: Cell<u64>,
    /// Counts from 0, the boot CPU.
    pub(super) number: usize,
    pub(super) descriptors: Box<Descriptors>,
    /// The thread that runs here.
    pub(super) current: RefCell<Option<Arc<Thread>>>,
    /// The thread that ran before, until the next one has taken over.
    pub(super) previous: RefCell<Option<Arc<Thread>>>,
    /// The loaded top-level page table, kept alive while it is loaded.
    pub(super) root: RefCell<Option<Arc<Root>>>,
    /// The state of that table that this CPU's translations are from (see `tlb`).
    pub(super) generation: Cell<u64>,
    /// Vectors that arrived since the last look, one bit each, 32..96.
    pub(super) pending: AtomicU64,
}

const _: () = assert!(offset_of!(PerCpu, kernel_stack) == 8);
const _: () = assert!(offset_of!(PerCpu, user_frame) == 16);
const _: () = assert!(offset_of!(PerCpu, scratch) == 24);

/// Gives this CPU its data and descriptor tables.
///
/// # Safety
/// Called once on each CPU.
pub(super) unsafe fn init(number: usize) {
    let per_cpu = Box::leak(Box::new(PerCpu {
        this: core::ptr::null(),
        kernel_stack: Cell::new(0),
        user_frame: Cell::new(core::ptr::null_mut()),
        scratch: Cell::new(0),
        number,
        descriptors: Box::new(Descriptors::new()),
        current: RefCell::new(None),
        previous: RefCell::new(None),
        root: RefCell::new(None),
        generation: Cell::new(0),
        pending: AtomicU64::new(0),
    }));
    per_cpu.this = per_cpu;
    // SAFETY: the tables live as long as the CPU runs (leaked above).
    unsafe { per_cpu.descriptors.load() };
    // SAFETY: the register exists on every x86-64 CPU; the address is that of leaked data.
    unsafe { write_msr(MSR_GS_BASE, per_cpu.this as u64) };
    // SAFETY: the register exists; zero is what ring 3 starts with.
    unsafe { write_msr(MSR_KERNEL_GS_BASE, 0) };
}

/// The running CPU's data.
pub(super) fn this_cpu() -> &'static PerCpu {
    let this: *const PerCpu;
    // SAFETY: GS base holds the address of this CPU's data since `init`; offset 0 is `this`.
    unsafe { asm!("mov {}, gs:[0]", out(reg) this, options(nostack, preserves_flags, readonly)) };
    // SAFETY: leaked, so valid for good; other CPUs do not touch the cells in it.
    unsafe { &*this }
}

impl PerCpu {
    /// Notes that `vector` arrived.
    pub(super) fn note(&self, vector: u64) {
        self.pending
            .fetch_or(1 << ((vector - 32) & 63), Ordering::Relaxed);
    }
}
