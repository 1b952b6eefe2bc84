//! What the image assembler, the boot stages and the kernel agree on.
//!
//! Every boot path (BIOS disk, UEFI, `-kernel`) ends the same way: the boot stage builds a PVH
//! [`start_info`] block in memory and enters the kernel's one 32-bit entry point. The first
//! module is the root archive (cpio "newc"). Foreign kernels are entered by [`multiboot`] instead.
//! Nothing else repeats a number from this crate.
#![no_std]

extern crate alloc;

pub mod cmdline;
pub mod disk;
pub mod events;
pub mod forker;
pub mod init;
pub mod multiboot;
pub mod release;
pub mod start_info;
pub mod status;
pub mod symbols;

/// Version of the contract as a whole; boot stages and kernels of different versions do not mix.
pub const VERSION: u32 = 1;
