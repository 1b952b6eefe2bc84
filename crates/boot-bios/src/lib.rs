//! The BIOS boot stages (docs/boot-protocol.md).
//!
//! - `bin/boot-sector`: the 440 bytes of boot code in LBA 0; loads the stage.
//! - `bin/bios-stage`: loads kernel, command line and root archive as its block list says, and
//!   enters the kernel like a PVH loader.
//!
//! This library holds what the stage decides without touching the machine.
#![no_std]

pub mod memory;
pub mod no_heap;
pub mod rsdp;
