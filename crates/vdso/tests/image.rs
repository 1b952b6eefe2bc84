//! The image, judged by others: the C library's loader finds its functions, `readelf` its shape,
//! and the functions run and tell the time of the host.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(
    unsafe_code,
    reason = "runs the machine code of the image as a process would"
)]

mod mapped;

use mapped::{Functions, Mapped};
use std::process::Command;
use std::thread;
use std::time::Duration;
use vdso::{CLOCK_FROM_TSC, ClockPage, IMAGE};

const SECOND: u64 = 1_000_000_000;

/// The clocks that the page serves, and whether they follow the wall.
const SERVED: [(i32, bool); 7] = [
    (libc::CLOCK_REALTIME, true),
    (libc::CLOCK_REALTIME_COARSE, true),
    (libc::CLOCK_TAI, true),
    (libc::CLOCK_MONOTONIC, false),
    (libc::CLOCK_MONOTONIC_RAW, false),
    (libc::CLOCK_MONOTONIC_COARSE, false),
    (libc::CLOCK_BOOTTIME, false),
];

fn host_clock(id: i32) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writing.
    assert_eq!(unsafe { libc::clock_gettime(id, &raw mut time) }, 0);
    time.tv_sec as u64 * SECOND + time.tv_nsec as u64
}

fn host_tsc() -> u64 {
    // SAFETY: every x86-64 CPU has RDTSC, and Linux leaves it open to programs.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// A page that follows the host's clocks: the rate comes from two samples.
fn page_of_host() -> ClockPage {
    let (tsc, start) = (host_tsc(), host_clock(libc::CLOCK_MONOTONIC));
    thread::sleep(Duration::from_millis(100));
    let (ticks, elapsed) = (host_tsc() - tsc, host_clock(libc::CLOCK_MONOTONIC) - start);
    let hertz = u128::from(ticks) * u128::from(SECOND) / u128::from(elapsed);
    let (mult, shift) = ClockPage::rate(u64::try_from(hertz).unwrap_or(0));
    ClockPage {
        flags: CLOCK_FROM_TSC,
        tsc_base: tsc,
        mult,
        shift,
        monotonic_base: start,
        wall_offset: host_clock(libc::CLOCK_REALTIME) as i64
            - host_clock(libc::CLOCK_MONOTONIC) as i64,
        ..ClockPage::default()
    }
}

#[test]
fn the_clocks_run_with_the_host() {
    let page = page_of_host();
    let functions = Functions::of(&Mapped::new(&page));
    thread::sleep(Duration::from_millis(200));
    for (id, wall) in SERVED {
        let reference = if wall {
            libc::CLOCK_REALTIME
        } else {
            libc::CLOCK_MONOTONIC
        };
        let (ours, host) = (functions.clock_gettime(id).unwrap(), host_clock(reference));
        let elapsed = host_clock(libc::CLOCK_MONOTONIC) - page.monotonic_base;
        let error = ours.abs_diff(host);
        assert!(
            error < elapsed / 100,
            "clock {id}: {error} ns in {elapsed} ns"
        );
    }
}

#[test]
fn the_other_functions_agree_with_clock_gettime() {
    let page = ClockPage {
        flags: CLOCK_FROM_TSC,
        monotonic_base: 12 * SECOND + 345_678_901,
        wall_offset: 100 * SECOND as i64,
        ..ClockPage::default()
    };
    let functions = Functions::of(&Mapped::new(&page));
    let wall = 112 * SECOND + 345_678_901;
    assert_eq!(functions.clock_gettime(libc::CLOCK_REALTIME), Ok(wall));
    assert_eq!(
        functions.clock_gettime(libc::CLOCK_MONOTONIC),
        Ok(12 * SECOND + 345_678_901)
    );
    assert_eq!(functions.gettimeofday(), Ok((112, 345_678)));
    assert_eq!(functions.time(), 112);
    assert_eq!(functions.clock_getres(libc::CLOCK_MONOTONIC), Ok(1));
}

#[test]
fn what_the_page_does_not_serve_comes_from_the_kernel() {
    let served = page_of_host();
    let functions = Functions::of(&Mapped::new(&served));
    let before = host_clock(libc::CLOCK_THREAD_CPUTIME_ID);
    let ours = functions
        .clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID)
        .unwrap();
    assert!((before..before + SECOND).contains(&ours));
    assert_eq!(functions.clock_gettime(99), Err(-libc::EINVAL));
    assert_eq!(functions.clock_getres(99), Err(-libc::EINVAL));
}

#[test]
fn an_empty_page_leaves_everything_to_the_kernel() {
    let functions = Functions::of(&Mapped::new(&ClockPage::default()));
    let before = host_clock(libc::CLOCK_REALTIME);
    let ours = functions.clock_gettime(libc::CLOCK_REALTIME).unwrap();
    let after = host_clock(libc::CLOCK_REALTIME);
    assert!((before..=after).contains(&ours));
    assert!(functions.time().abs_diff((after / SECOND) as i64) <= 1);
    // SAFETY: no preconditions.
    let cpus = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_CONF) };
    assert!(i64::from(functions.getcpu().unwrap()) < cpus);
}

#[test]
fn readers_never_see_half_a_change() {
    // Every state gives the same wall clock, through fields that all differ.
    let state = |n: u64| ClockPage {
        sequence: 2 * n as u32,
        flags: CLOCK_FROM_TSC,
        monotonic_base: n * SECOND,
        wall_offset: (1_000_000 - n as i64) * SECOND as i64,
        ..ClockPage::default()
    };
    let mapped = Mapped::new(&state(0));
    let functions = Functions::of(&mapped);
    thread::scope(|scope| {
        let writer = scope.spawn(|| (1..20_000).for_each(|n| mapped.change(&state(n))));
        let mut reads = 0_u64;
        while !writer.is_finished() {
            let wall = functions.clock_gettime(libc::CLOCK_REALTIME);
            assert_eq!(wall, Ok(1_000_000 * SECOND), "after {reads} reads");
            reads += 1;
        }
        assert!(reads > 0);
    });
}

#[test]
fn readelf_finds_one_read_execute_segment_and_no_relocation() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, IMAGE).unwrap();
    let output = Command::new("readelf")
        .arg("-aW")
        .arg(file.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let loads: Vec<_> = text
        .lines()
        .filter(|line| line.trim_start().starts_with("LOAD"))
        .collect();
    assert_eq!(loads.len(), 1, "{text}");
    assert!(loads[0].contains(" R E "), "{text}");
    assert!(text.contains("There are no relocations"), "{text}");
    assert!(text.contains("soname: [linux-vdso.so.1]"), "{text}");
    assert!(
        !text.contains("UND __") && !text.contains("TEXTREL"),
        "{text}"
    );
    assert!(output.stderr.is_empty(), "readelf warns");
}
