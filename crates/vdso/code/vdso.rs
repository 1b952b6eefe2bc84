//! The functions of the vDSO. The build script compiles this file for ring 3 of x86-64, without
//! libraries, and links it with `vdso.ld`; the crate embeds the result.
//!
//! Every function answers as its system call, negative errno included, and hands to the real
//! system call what it cannot compute.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

#[path = "../src/clock_page.rs"]
mod clock_page;

use clock_page::{CLOCK_FROM_TSC, CPU_FROM_TSC_AUX, ClockPage};
use core::arch::asm;
use core::ptr::{null_mut, read_volatile};
use core::sync::atomic::{Ordering, compiler_fence};

const NANOSECONDS: u64 = 1_000_000_000;

// asm/unistd_64.h
const NR_GETTIMEOFDAY: u64 = 96;
const NR_TIME: u64 = 201;
const NR_CLOCK_GETTIME: u64 = 228;
const NR_CLOCK_GETRES: u64 = 229;
const NR_GETCPU: u64 = 309;

/// `struct timespec`; as `struct timeval` the second word counts microseconds.
#[repr(C)]
pub struct Time {
    seconds: i64,
    fraction: i64,
}

/// `struct timezone`.
#[repr(C)]
pub struct TimeZone {
    minutes_west: i32,
    dst_time: i32,
}

/// The base of a clock that the page gives.
#[derive(Clone, Copy)]
enum Clock {
    Monotonic,
    Realtime,
}

impl Clock {
    /// Numbers from linux/time.h. The coarse clocks are as exact as the others; boot time does
    /// not stop because there is no suspend; TAI is never set apart from UTC.
    fn from_id(id: i32) -> Option<Self> {
        match id {
            0 | 5 | 11 => Some(Self::Realtime),
            1 | 4 | 6 | 7 => Some(Self::Monotonic),
            _ => None,
        }
    }
}

/// See clock_gettime(2).
///
/// # Safety
/// `to` is valid for writing a `struct timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_clock_gettime(id: i32, to: *mut Time) -> i32 {
    match Clock::from_id(id).and_then(now) {
        Some(time) => {
            // SAFETY: the caller owes a valid pointer.
            unsafe { to.write(split(time)) };
            0
        }
        None => system_call(NR_CLOCK_GETTIME, id as u64, to as u64, 0) as i32,
    }
}

/// See gettimeofday(2).
///
/// # Safety
/// `to` and `zone` are each null or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_gettimeofday(to: *mut Time, zone: *mut TimeZone) -> i32 {
    let Some(time) = now(Clock::Realtime) else {
        return system_call(NR_GETTIMEOFDAY, to as u64, zone as u64, 0) as i32;
    };
    if !to.is_null() {
        let Time { seconds, fraction } = split(time);
        // SAFETY: not null, so the caller owes a valid pointer.
        unsafe {
            to.write(Time {
                seconds,
                fraction: fraction / 1000,
            })
        };
    }
    if !zone.is_null() {
        // SAFETY: as above.
        unsafe {
            zone.write(TimeZone {
                minutes_west: 0,
                dst_time: 0,
            })
        };
    }
    0
}

/// See time(2).
///
/// # Safety
/// `to` is null or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_time(to: *mut i64) -> i64 {
    let Some(time) = now(Clock::Realtime) else {
        return system_call(NR_TIME, to as u64, 0, 0);
    };
    let seconds = split(time).seconds;
    if !to.is_null() {
        // SAFETY: not null, so the caller owes a valid pointer.
        unsafe { to.write(seconds) };
    }
    seconds
}

/// See clock_getres(2).
///
/// # Safety
/// `to` is null or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_clock_getres(id: i32, to: *mut Time) -> i32 {
    if Clock::from_id(id).and_then(now).is_none() {
        return system_call(NR_CLOCK_GETRES, id as u64, to as u64, 0) as i32;
    }
    if !to.is_null() {
        // SAFETY: not null, so the caller owes a valid pointer.
        unsafe {
            to.write(Time {
                seconds: 0,
                fraction: 1,
            })
        };
    }
    0
}

/// See getcpu(2); the third argument is unused since Linux 2.6.24.
///
/// # Safety
/// `cpu` and `node` are each null or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_getcpu(cpu: *mut u32, node: *mut u32, _: *mut u8) -> i64 {
    let page = page();
    // SAFETY: the page is mapped next to this code for as long as the process lives.
    let flags = unsafe { read_volatile(&raw const (*page).flags) };
    if flags & CPU_FROM_TSC_AUX == 0 {
        return system_call(NR_GETCPU, cpu as u64, node as u64, null_mut::<u8>() as u64);
    }
    let number = tsc_aux();
    if !cpu.is_null() {
        // SAFETY: not null, so the caller owes a valid pointer.
        unsafe { cpu.write(number & 0xfff) };
    }
    if !node.is_null() {
        // SAFETY: as above.
        unsafe { node.write(number >> 12) };
    }
    0
}

fn split(time: u64) -> Time {
    Time {
        seconds: (time / NANOSECONDS) as i64,
        fraction: (time % NANOSECONDS) as i64,
    }
}

/// The time in nanoseconds, or `None` if the page leaves it to the kernel.
fn now(clock: Clock) -> Option<u64> {
    let (page, tsc) = consistent_sample();
    if page.flags & CLOCK_FROM_TSC == 0 {
        return None;
    }
    Some(match clock {
        Clock::Monotonic => page.monotonic(tsc),
        Clock::Realtime => page.realtime(tsc),
    })
}

/// The page as it was at one time between two changes, and the counter at that time.
fn consistent_sample() -> (ClockPage, u64) {
    loop {
        let sample = read_page();
        let tsc = tsc();
        compiler_fence(Ordering::Acquire);
        // SAFETY: the page is mapped next to this code for as long as the process lives.
        let sequence = unsafe { read_volatile(&raw const (*page()).sequence) };
        if sequence & 1 == 0 && sequence == sample.sequence {
            return (sample, tsc);
        }
        core::hint::spin_loop();
    }
}

/// Reads the fields one by one, the sequence number first (x86-64 keeps the order of loads).
fn read_page() -> ClockPage {
    let page = page();
    macro_rules! read {
        ($($field:ident)*) => {
            ClockPage {
                $(
                    // SAFETY: the page is mapped next to this code as long as the process lives.
                    $field: unsafe { read_volatile(&raw const (*page).$field) },
                )*
                reserved: 0,
            }
        };
    }
    read!(sequence flags tsc_base mult shift monotonic_base wall_offset)
}

/// The clock page: the page before the ELF header.
fn page() -> *const ClockPage {
    let page: *const ClockPage;
    // SAFETY: computes an address from that of the ELF header (defined by the linker).
    unsafe {
        asm!(
            ".hidden __ehdr_start",
            "lea {}, [rip + __ehdr_start - 4096]",
            out(reg) page,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    page
}

/// The time-stamp counter, not before earlier loads are done (Intel SDM, RDTSC).
fn tsc() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: the kernel leaves RDTSC open to programs when the page says so; if it does not
    // say so the value is unused, and RDTSC is open all the same (CR4.TSD is clear).
    unsafe {
        asm!("lfence", "rdtsc", out("rax") low, out("rdx") high, options(nostack, preserves_flags));
    }
    high << 32 | low
}

/// The register TSC_AUX.
fn tsc_aux() -> u32 {
    let aux: u32;
    // SAFETY: only called when the kernel says that the CPU has RDTSCP.
    unsafe {
        asm!("rdtscp", out("eax") _, out("edx") _, out("ecx") aux,
            options(nomem, nostack, preserves_flags));
    }
    aux
}

fn system_call(number: u64, first: u64, second: u64, third: u64) -> i64 {
    let result;
    // SAFETY: the arguments are the caller's own, handed on unchanged; the kernel checks them.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") first, in("rsi") second,
            in("rdx") third, out("rcx") _, out("r11") _, options(nostack));
    }
    result
}
