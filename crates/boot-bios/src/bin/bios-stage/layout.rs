//! The stage's use of low memory.
//!
//! ```text
//! 0x00000  interrupt vectors, BIOS data
//! 0x07c00  top of the real-mode stack
//! 0x08000  the stage
//! 0x20000  bounce buffer of disk reads, 127 sectors
//! 0x30000  hand-over block: start info or Multiboot information, module list, memory map
//! 0x38000  command line
//! 0x60000  top of the long-mode stack
//! 0x60000  page tables: 4 GiB, identity
//! 0x66000  free; firmware's own data may begin anywhere above
//! ```
//! The kernel must be done with the hand-over block before it uses this memory for itself.

/// Where the disk is read to; its offset in a real-mode segment is 0.
pub(crate) const BOUNCE: usize = 0x2_0000;
/// Where the hand-over block is built.
pub(crate) const HAND_OVER: usize = 0x3_0000;
/// Where the command line's text goes: at most `CMDLINE_MAX` bytes and the NUL.
pub(crate) const CMDLINE: usize = 0x3_8000;
/// Top of the long-mode stack.
pub(crate) const STACK_TOP: usize = 0x6_0000;
/// Page map, page directory pointers, four page directories.
pub(crate) const PAGE_TABLES: usize = 0x6_0000;
