//! The C library, as much as is needed of it, and its functions behind ours.

use core::ffi::{c_char, c_int, c_void};

// Numbers and layouts are those of Linux on x86-64, which OSv shares (asm-generic/errno.h,
// bits/socket.h, bits/fcntl-linux.h).
pub const ENOSYS: c_int = 38;
pub const ENOTSUP: c_int = 95;
pub const AF_UNIX: c_int = 1;
pub const SOCK_STREAM: c_int = 1;
pub const SOCK_CLOEXEC: c_int = 0o2_000_000;
pub const SOCK_NONBLOCK: c_int = 0o4000;
pub const SOL_SOCKET: c_int = 1;
pub const SCM_RIGHTS: c_int = 1;
pub const F_SETFD: c_int = 2;
pub const F_GETFL: c_int = 3;
pub const F_SETFL: c_int = 4;
pub const FD_CLOEXEC: c_int = 1;
pub const O_NONBLOCK: c_int = 0o4000;
pub const CLOCK_MONOTONIC: c_int = 1;

/// `struct timespec`.
#[repr(C)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: i64,
}

/// `struct iovec`.
#[repr(C)]
pub struct IoVec {
    pub base: *mut c_void,
    pub length: usize,
}

/// `struct msghdr`.
#[repr(C)]
pub struct Message {
    pub name: *mut c_void,
    pub name_length: u32,
    pub vectors: *mut IoVec,
    pub vector_count: usize,
    pub control: *mut c_void,
    pub control_length: usize,
    pub flags: c_int,
}

/// `struct cmsghdr`; its data follows.
#[repr(C)]
pub struct Control {
    pub length: usize,
    pub level: c_int,
    pub kind: c_int,
}

unsafe extern "C" {
    pub fn __errno_location() -> *mut c_int;
    pub fn clock_gettime(clock: c_int, time: *mut Time) -> c_int;
    pub fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    pub fn dup(descriptor: c_int) -> c_int;
    pub fn fcntl(descriptor: c_int, command: c_int, ...) -> c_int;
    pub fn close(descriptor: c_int) -> c_int;
    pub fn pthread_create(
        thread: *mut usize,
        attributes: *const c_void,
        start: extern "C" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> c_int;
    pub fn pthread_detach(thread: usize) -> c_int;
    pub fn read(descriptor: c_int, bytes: *mut c_void, count: usize) -> isize;
    pub fn write(descriptor: c_int, bytes: *const c_void, count: usize) -> isize;
}

/// `RTLD_NEXT`: in the libraries behind this one (dlsym(3)).
const NEXT: *mut c_void = -1_isize as *mut c_void;

/// The address of the function that ours stands before; null if there is none.
pub fn next(name: &core::ffi::CStr) -> *mut c_void {
    // SAFETY: `name` ends with a zero; the call has no other conditions.
    unsafe { dlsym(NEXT, name.as_ptr()) }
}

/// Sets `errno`.
pub fn set_errno(number: c_int) {
    // SAFETY: the address is that of the thread's own variable (errno(3)).
    unsafe { *__errno_location() = number };
}
