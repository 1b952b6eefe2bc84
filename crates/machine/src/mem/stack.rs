//! Kernel stacks: fixed slots in a region of their own, each with an unmapped guard below it.

use alloc::vec::Vec;

use spin::Mutex;

use super::{PAGE_SIZE, STACKS_BASE, kernel_table};

/// Usable bytes of a kernel stack.
const STACK_SIZE: usize = 8 * PAGE_SIZE;
/// Distance between slots: the stack and as much unmapped guard.
const SLOT_SIZE: usize = 2 * STACK_SIZE;

struct Slots {
    /// Slots whose stacks are mapped and unused.
    unused: Vec<u32>,
    /// Number of slots ever mapped.
    mapped: u32,
}

static SLOTS: Mutex<Slots> = Mutex::new(Slots {
    unused: Vec::new(),
    mapped: 0,
});

/// Bytes of kernel stacks: all, and those in use.
pub(super) fn sizes() -> (usize, usize) {
    let slots = SLOTS.lock();
    let mapped = slots.mapped as usize;
    let used = mapped - slots.unused.len();
    (mapped * STACK_SIZE, used * STACK_SIZE)
}

/// A kernel stack, returned to the pool of stacks when dropped.
pub(crate) struct KernelStack {
    slot: u32,
}

impl KernelStack {
    /// A stack with undefined content; `None` when memory is out.
    pub(crate) fn new() -> Option<Self> {
        let mut slots = SLOTS.lock();
        if let Some(slot) = slots.unused.pop() {
            return Some(Self { slot });
        }
        let slot = slots.mapped;
        let bottom = top_of(slot) - STACK_SIZE as u64;
        if kernel_table::map_fresh(bottom, STACK_SIZE)? < STACK_SIZE {
            return None;
        }
        slots.mapped += 1;
        Some(Self { slot })
    }

    /// First address above the stack; aligned to a page.
    pub(crate) fn top(&self) -> u64 {
        top_of(self.slot)
    }
}

fn top_of(slot: u32) -> u64 {
    STACKS_BASE + (u64::from(slot) + 1) * SLOT_SIZE as u64
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        SLOTS.lock().unused.push(self.slot);
    }
}
