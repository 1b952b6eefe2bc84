//! The library that goes into images for OSv, beside the emulator.
//!
//! OSv runs one process. Its C library (or Linux's, on OSv's system calls) fails where the emulator
//! does not expect it: a port is started by passing descriptors to a helper process, which ends the
//! whole machine there. [`LIBRARY`] is found before the C library and answers in its place, so that
//! `open_port/2` and `os:cmd/1` raise `enotsup`; and as OSv tells nobody how its program ended, it
//! reports that, and the application's start, on the debug port (`boot_contract::events`).
//!
//! The code is in `code/`; the build script compiles and links it. It needs a handful of functions
//! that both C libraries have, and nothing else.
#![no_std]

/// The shared object, an ELF file.
pub static LIBRARY: &[u8] = include_bytes!(env!("OSV_SHIM"));
