//! Keeping the CPUs' copies of page tables current.
//!
//! The kernel reaches process memory through the direct map only, so what a CPU knows about the
//! process half matters in ring 3 alone. Whoever takes rights away raises the root's generation
//! and then looks which CPUs are in ring 3 with that root: those get an interrupt, which ends ring
//! 3 at once, and are waited for. A CPU in the kernel is not waited for, whatever it does there
//! with whatever locks: on its way to ring 3 it compares generations and starts afresh.

use alloc::sync::Arc;
use core::arch::asm;
use core::hint::spin_loop;
use core::sync::atomic::Ordering;

use super::MAX_CPUS;
use super::per_cpu::{PerCpu, shared, this_cpu};
use super::start::interrupt;
use crate::mem::{PAGE_SIZE, Root};

/// Above this many pages, reloading everything is cheaper than page by page.
const FLUSH_ALL: u64 = 64;

/// Makes every CPU forget what it knew about `start..end` of an address space. When this returns,
/// no CPU can use a translation from before the call.
pub(crate) fn flush(root: &Arc<Root>, start: u64, end: u64) {
    let generation = root.generation.fetch_add(1, Ordering::SeqCst) + 1;
    let per_cpu = this_cpu();
    if flush_here(root, start, end) && per_cpu.generation.get() == generation - 1 {
        per_cpu.generation.set(generation);
    }
    synchronize(root);
}

/// As [`flush`], on this CPU only; returns whether the address space is loaded here.
pub(crate) fn flush_here(root: &Arc<Root>, start: u64, end: u64) -> bool {
    let per_cpu = this_cpu();
    let loaded = per_cpu.root.borrow();
    if !loaded
        .as_ref()
        .is_some_and(|loaded| Arc::ptr_eq(loaded, root))
    {
        return false;
    }
    if (end - start) / PAGE_SIZE as u64 > FLUSH_ALL {
        load(root.paddr());
        return true;
    }
    let mut page = start;
    while page < end {
        // SAFETY: only drops a cached translation.
        unsafe { asm!("invlpg [{}]", in(reg) page, options(nostack, preserves_flags)) };
        page += PAGE_SIZE as u64;
    }
    true
}

/// Interrupts ring 3 on all other CPUs that run it with `root`, and waits until it has ended.
pub(crate) fn synchronize(root: &Root) {
    let others = root.cpus.load(Ordering::SeqCst) & !(1 << this_cpu().number);
    if others == 0 {
        return;
    }
    let mut seen = [0; MAX_CPUS];
    for number in bits(others) {
        seen[number] = shared(number).ring_changes.load(Ordering::SeqCst);
        if in_ring_3(seen[number]) {
            interrupt(number);
        }
    }
    for number in bits(others).filter(|&number| in_ring_3(seen[number])) {
        while shared(number).ring_changes.load(Ordering::Acquire) == seen[number] {
            spin_loop();
        }
    }
}

const fn in_ring_3(changes: u64) -> bool {
    changes & 1 == 1
}

/// The numbers of the bits that are set.
fn bits(mask: u64) -> impl Iterator<Item = usize> {
    (0..MAX_CPUS).filter(move |number| mask >> number & 1 == 1)
}

/// Called right before this CPU enters ring 3: tells others, then catches up with them.
pub(super) fn enter_ring_3(per_cpu: &PerCpu) {
    // The locked instruction orders the announcement before the look at the generation.
    let changes = &shared(per_cpu.number).ring_changes;
    changes.fetch_add(1, Ordering::SeqCst);
    if let Some(root) = &*per_cpu.root.borrow() {
        let generation = root.generation.load(Ordering::SeqCst);
        if generation != per_cpu.generation.get() {
            load(root.paddr());
            per_cpu.generation.set(generation);
        }
    }
}

/// Called right after ring 3 has ended on this CPU, before anything that may wait.
pub(super) fn leave_ring_3(per_cpu: &PerCpu) {
    let changes = &shared(per_cpu.number).ring_changes;
    changes.store(changes.load(Ordering::Relaxed) + 1, Ordering::Release);
}

/// Loads an address space on this CPU and keeps it until another is loaded.
pub(crate) fn activate(root: &Arc<Root>) {
    let per_cpu = this_cpu();
    let mut loaded = per_cpu.root.borrow_mut();
    if loaded
        .as_ref()
        .is_some_and(|loaded| Arc::ptr_eq(loaded, root))
    {
        return;
    }
    let bit = 1 << per_cpu.number;
    root.cpus.fetch_or(bit, Ordering::SeqCst);
    per_cpu
        .generation
        .set(root.generation.load(Ordering::SeqCst));
    load(root.paddr());
    if let Some(before) = loaded.replace(Arc::clone(root)) {
        before.cpus.fetch_and(!bit, Ordering::SeqCst);
    }
}

fn load(paddr: u64) {
    // SAFETY: the table's kernel half is that of every table, so the kernel stays mapped.
    unsafe { asm!("mov cr3, {}", in(reg) paddr, options(nostack, preserves_flags)) };
}
