//! The Linux x86-64 user interface as data: system calls, errno values, flags and layouts.
//!
//! Numbers come from `linux-raw-sys` (generated from the kernel's own uapi headers) and are
//! re-exported as [`raw`]; this crate adds what those headers do not hold: a typed [`Errno`],
//! the one table of system calls with their support state, and every structure as explicit
//! bytes ([`layout`]).
#![no_std]

#[macro_use]
mod table;

mod errno;
pub mod layout;
mod syscall;

pub use errno::Errno;
/// The constants and structures of Linux's uapi headers.
pub use linux_raw_sys as raw;
pub use syscall::{SYSCALLS, Support, Syscall, describe, refusal};
