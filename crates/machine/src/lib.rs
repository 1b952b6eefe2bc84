//! The unsafe half of the kernel: everything that needs `unsafe`, behind interfaces that do not.
//!
//! - [`boot`]: the entry point and what the boot stage handed over
//! - [`mem`]: frames, page tables, the kernel heap
//! - [`cpu`]: traps, ring 3, kernel threads and switching between them
//! - [`dev`]: interrupt controllers, timers, clocks, the console, power, PCI and virtio
//!
//! A function that is public here and not marked `unsafe` cannot be used by the kernel crate to
//! break memory safety. Only the parsers compile for other targets than bare metal, so that they
//! can be tested on a host.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

#[cfg(target_os = "none")]
pub mod boot;
#[cfg(target_os = "none")]
pub mod cpu;
pub mod dev;
#[cfg(target_os = "none")]
pub mod mem;
