//! The library's functions. Each stands before one of the same name in the C library, or in OSv's
//! kernel, and hands on what is none of its business.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

// What the emulator expects, and milestones with their port, are contracts with others.
#[allow(dead_code)]
#[path = "../../boot-contract/src/forker.rs"]
mod contract;
#[allow(dead_code)]
#[path = "../../boot-contract/src/events.rs"]
mod events;
mod forker;
mod helper;
mod libc;
mod report;

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::transmute;
use events::{APPLICATION_STARTED, EXIT, READY_DEVICE};
use libc::{ENOSYS, next, set_errno};

type Open = unsafe extern "C" fn(*const c_char, c_int, c_int) -> c_int;
type SigAction = unsafe extern "C" fn(c_int, *const c_void, *mut c_void) -> c_int;
type Exit = unsafe extern "C" fn(c_int) -> !;

/// Status of a program that called abort(3), as shells tell it: 128 and the signal's number.
const ABORTED: c_int = 128 + SIGABRT as c_int;
const SIGABRT: u32 = 6;

/// See open(2); the mode, which is there in some calls only, is handed on in any case. Opening the
/// device for it reports that the application has started; what is written goes nowhere.
///
/// # Safety
/// `path` ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    let address = next(c"open");
    if address.is_null() {
        set_errno(ENOSYS);
        return -1;
    }
    // SAFETY: this is the C library's function; its further argument is passed like these.
    let real: Open = unsafe { transmute(address) };
    // SAFETY: `path` is what the caller vouches for.
    if unsafe { is(path, READY_DEVICE) } {
        report::event(&[APPLICATION_STARTED], None);
        // SAFETY: the path ends with a zero.
        return unsafe { real(c"/dev/null".as_ptr(), flags, mode) };
    }
    // SAFETY: the arguments are the caller's.
    unsafe { real(path, flags, mode) }
}

/// See [`open`].
///
/// # Safety
/// `path` ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: `path` is what the caller vouches for.
    unsafe { open(path, flags, mode) }
}

/// Whether a text that ends with a zero is this one.
///
/// # Safety
/// `text` ends with a zero.
unsafe fn is(text: *const c_char, expected: &str) -> bool {
    for (at, &byte) in expected.as_bytes().iter().enumerate() {
        // SAFETY: all bytes before were equal and so not zero: this one is still of the text.
        if unsafe { *text.add(at) } as u8 != byte {
            return false;
        }
    }
    // SAFETY: as above.
    unsafe { *text.add(expected.len()) == 0 }
}

/// See sigaction(2): the emulator wants it by the name that glibc has for it inside.
///
/// # Safety
/// As sigaction(2) demands.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __sigaction(signal: c_int, action: *const c_void, old: *mut c_void) -> c_int {
    let mut address = next(c"__sigaction");
    if address.is_null() {
        address = next(c"sigaction");
    }
    if address.is_null() {
        set_errno(ENOSYS);
        return -1;
    }
    // SAFETY: this is the C library's function, of this type.
    let real: SigAction = unsafe { transmute(address) };
    // SAFETY: the arguments are the caller's.
    unsafe { real(signal, action, old) }
}

/// See shm_open(3): there is no shared memory that could be executed, which the just-in-time compiler
/// would map twice. Without any it maps its memory once.
#[unsafe(no_mangle)]
pub extern "C" fn shm_open(_name: *const c_char, _flags: c_int, _mode: u32) -> c_int {
    set_errno(ENOSYS);
    -1
}

/// See exit(3).
#[unsafe(no_mangle)]
pub extern "C" fn exit(status: c_int) -> ! {
    report_exit(status);
    end(c"exit", status)
}

/// See _exit(2).
#[unsafe(no_mangle)]
pub extern "C" fn _exit(status: c_int) -> ! {
    report_exit(status);
    end(c"_exit", status)
}

/// See _exit(2).
#[unsafe(no_mangle)]
pub extern "C" fn _Exit(status: c_int) -> ! {
    _exit(status)
}

/// See abort(3). OSv would not end, but spin.
#[unsafe(no_mangle)]
pub extern "C" fn abort() -> ! {
    if !report::in_ring_0() {
        end(c"abort", 0);
    }
    report::event(&[EXIT, "kind=signal", "status="], Some(SIGABRT));
    end(c"_exit", ABORTED)
}

/// Reports the low eight bits of a status, as waitpid(2) would tell them.
fn report_exit(status: c_int) {
    let status = (status & 0xff) as u32;
    let kind = match status {
        0 => "kind=success",
        _ => "kind=failure",
    };
    report::event(&[EXIT, kind, "status="], Some(status));
}

/// Ends the program by a function of the C library.
fn end(function: &CStr, status: c_int) -> ! {
    let address = next(function);
    if !address.is_null() {
        // SAFETY: this is the C library's function, of this type.
        let real: Exit = unsafe { transmute(address) };
        // SAFETY: it may be called with any status.
        unsafe { real(status) }
    }
    loop {
        core::hint::spin_loop();
    }
}
