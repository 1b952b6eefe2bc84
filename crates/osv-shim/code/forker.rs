//! The helper that starts ports, which cannot exist: it would be a process of its own.
//!
//! The emulator makes a pair of sockets and forks the helper, which fails unnoticed (otp:
//! erts/emulator/sys/unix/sys_drivers.c, `forker_start`). For each port, it then passes three
//! descriptors to the helper: what the port's program reads and writes, and where its errors go
//! (`spawn_start`).

use crate::helper;
use crate::libc::{
    AF_UNIX, Control, ENOTSUP, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, Message, O_NONBLOCK,
    SCM_RIGHTS, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, dup, fcntl, next, set_errno,
};
use core::ffi::{c_int, c_void};
use core::mem::transmute;
use core::ptr::read_unaligned;
use core::sync::atomic::{AtomicI32, Ordering};

/// The emulator's end of the first pair, which is that of the helper; -1 before.
static FORKER: AtomicI32 = AtomicI32::new(-1);

type SocketPair = unsafe extern "C" fn(c_int, c_int, c_int, *mut c_int) -> c_int;
type ReceiveMessage = unsafe extern "C" fn(c_int, *mut Message, c_int) -> isize;
type SendMessage = unsafe extern "C" fn(c_int, *const Message, c_int) -> isize;

/// See socketpair(2). Of the helper's pair, the other end stays open, as if the helper were there.
///
/// # Safety
/// `pair` is valid for writing two descriptors.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socketpair(domain: c_int, kind: c_int, protocol: c_int, pair: *mut c_int) -> c_int {
    // OSv ends the machine when asked for another pair of local sockets.
    let plain = kind & !(SOCK_CLOEXEC | SOCK_NONBLOCK);
    let is_local = domain == AF_UNIX;
    let address = next(c"socketpair");
    if address.is_null() || is_local && (plain != SOCK_STREAM || protocol != 0) {
        set_errno(ENOTSUP);
        return -1;
    }
    // SAFETY: this is the C library's function, of this type.
    let real: SocketPair = unsafe { transmute(address) };
    // OSv up to v0.57 fails on flags in the type. SAFETY: `pair` is what the caller vouches for.
    let status = unsafe { real(domain, plain, protocol, pair) };
    if status != 0 {
        return status;
    }
    // SAFETY: the call succeeded, so both descriptors are there.
    let (ours, theirs) = unsafe { (*pair, *pair.add(1)) };
    for descriptor in [ours, theirs] {
        // SAFETY: these commands have no conditions on an open descriptor.
        unsafe {
            if kind & SOCK_CLOEXEC != 0 {
                fcntl(descriptor, F_SETFD, FD_CLOEXEC);
            }
            if kind & SOCK_NONBLOCK != 0 {
                let flags = fcntl(descriptor, F_GETFL);
                fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
            }
        }
    }
    let none = -1;
    if is_local
        && FORKER
            .compare_exchange(none, ours, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    {
        // SAFETY: no conditions on an open descriptor.
        unsafe { dup(theirs) };
    }
    0
}

/// See sendmsg(2). What is meant for the helper is answered; other control data is refused, as OSv
/// would end the machine.
///
/// # Safety
/// `message` is valid as sendmsg(2) demands.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sendmsg(descriptor: c_int, message: *const Message, flags: c_int) -> isize {
    // SAFETY: `message` is what the caller vouches for.
    let (control, length) = unsafe { ((*message).control, (*message).control_length) };
    if !control.is_null() && length > 0 {
        let is_forker = descriptor == FORKER.load(Ordering::Acquire);
        // SAFETY: there are `length` bytes at `control`.
        let rights = unsafe { passed(control, length) }.filter(|_| is_forker);
        let Some(rights) = rights else {
            set_errno(ENOTSUP);
            return -1;
        };
        // SAFETY: three descriptors are at `rights`; `message` as above.
        return unsafe { answer(rights, message) };
    }
    let address = next(c"sendmsg");
    if address.is_null() {
        set_errno(ENOTSUP);
        return -1;
    }
    // SAFETY: this is the C library's function, of this type.
    let real: SendMessage = unsafe { transmute(address) };
    // SAFETY: the arguments are the caller's.
    unsafe { real(descriptor, message, flags) }
}

/// See recvmsg(2), without control data: OSv would end the machine, even if there is none.
///
/// # Safety
/// `message` is valid as recvmsg(2) demands.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn recvmsg(descriptor: c_int, message: *mut Message, flags: c_int) -> isize {
    let address = next(c"recvmsg");
    if address.is_null() {
        set_errno(ENOTSUP);
        return -1;
    }
    // SAFETY: this is the C library's function, of this type.
    let real: ReceiveMessage = unsafe { transmute(address) };
    // SAFETY: `message` is what the caller vouches for, also without control data.
    unsafe {
        let control = (*message).control;
        (*message).control = core::ptr::null_mut();
        (*message).control_length = 0;
        let count = real(descriptor, message, flags);
        (*message).control = control;
        count
    }
}

/// Where the three descriptors are that control data passes, if it does.
///
/// # Safety
/// There are `length` bytes at `control`.
unsafe fn passed(control: *const c_void, length: usize) -> Option<*const c_int> {
    const HEAD: usize = size_of::<Control>();
    if length < HEAD + 3 * size_of::<c_int>() {
        return None;
    }
    // SAFETY: there are enough bytes for a head.
    let head: Control = unsafe { read_unaligned(control.cast()) };
    let passes = head.level == SOL_SOCKET && head.kind == SCM_RIGHTS;
    let enough = head.length >= HEAD + 3 * size_of::<c_int>();
    (passes && enough).then(|| control.wrapping_byte_add(HEAD).cast())
}

/// Hands the port over to a thread, which tells the emulator its outcome; all of `message` counts as
/// sent.
///
/// # Safety
/// There are three descriptors at `rights`, and `message` is valid as sendmsg(2) demands.
unsafe fn answer(rights: *const c_int, message: *const Message) -> isize {
    // SAFETY: the first two descriptors are there, and open; the emulator closes its own when they
    // are sent.
    let (input, output) = unsafe { (dup(read_unaligned(rights)), dup(read_unaligned(rights.add(1)))) };
    helper::start(input, output);
    // SAFETY: the vectors are what the caller vouches for.
    unsafe {
        let vectors = (*message).vectors;
        let mut sent = 0;
        for index in 0..(*message).vector_count {
            sent += (*vectors.add(index)).length;
        }
        sent as isize
    }
}
