//! What the kernel itself takes of the memory.

use super::{heap, stack};

/// The kernel's heap and stacks, in bytes. They grow to what was needed at most so far; what is
/// not in use is kept for next time.
#[derive(Clone, Copy, Debug)]
pub struct KernelUsage {
    /// Of the heap, in use.
    pub heap: u64,
    /// Of the stacks, in use.
    pub stacks: u64,
    /// Of both, not in use.
    pub spare: u64,
}

/// What the kernel's heap and stacks take now.
pub fn kernel_usage() -> KernelUsage {
    let ((heap_size, heap), (stacks_size, stacks)) = (heap::sizes(), stack::sizes());
    KernelUsage {
        heap: heap as u64,
        stacks: stacks as u64,
        spare: (heap_size - heap + stacks_size - stacks) as u64,
    }
}
