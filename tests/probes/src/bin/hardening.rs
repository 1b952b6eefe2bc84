//! What a program must not be able to do or to know. It runs as process 1 of a guest (see
//! tests/boot/hardening.rs): the answers are those of our kernel, not of every Linux.

#![allow(
    unsafe_code,
    reason = "attempts that must fail are what this program is for"
)]

use std::arch::asm;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use probes::{checked, step};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where kernel memory is, for attempts to read it: direct map, heap, stacks, image.
const KERNEL_MEMORY: [u64; 4] = [
    0xffff_8000_0010_0000,
    0xffff_c000_0000_0000,
    0xffff_d000_0000_f000,
    0xffff_ffff_8010_0000,
];

/// Addresses of this process that differ at every start.
#[allow(clippy::print_stdout, reason = "a probe is a program that prints")]
fn print_bases(who: &str) {
    let local = 0_u8;
    // SAFETY: only asks.
    let heap = unsafe { libc::sbrk(0) }.addr();
    // SAFETY: only asks.
    let auxiliary = |key| unsafe { libc::getauxval(key) } as usize;
    let mapping = vec![0_u8; 1 << 20];
    for (name, address) in [
        ("program", (main as *const ()).addr()),
        ("heap", heap),
        ("mapping", mapping.as_ptr().addr()),
        ("interpreter", auxiliary(libc::AT_BASE)),
        ("vdso", auxiliary(libc::AT_SYSINFO_EHDR)),
        ("stack", (&raw const local).addr()),
    ] {
        println!("base {who} {name} {address:x}");
    }
}

/// How a child ends that does `attempt` on processor `cpu`: the signal, 0 for none.
fn signal_of(cpu: usize, attempt: impl FnOnce()) -> std::io::Result<i32> {
    // SAFETY: no other thread exists.
    let child = checked(unsafe { libc::fork() })?;
    if child == 0 {
        let mut set = CpuSet::new();
        set.set(cpu);
        if sched_setaffinity(None, &set).is_ok() {
            attempt();
        }
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the status is a place to write to.
    checked(unsafe { libc::waitpid(child, &raw mut status, 0) })?;
    Ok(libc::WTERMSIG(status))
}

/// The signals of `attempt` on each processor, those that are alike once.
fn on_each(attempt: impl Fn() + Copy) -> std::io::Result<Vec<i32>> {
    let allowed = sched_getaffinity(None)?;
    let cpus = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
    let mut signals = cpus
        .map(|cpu| signal_of(cpu, attempt))
        .collect::<std::io::Result<Vec<_>>>()?;
    signals.dedup();
    Ok(signals)
}

fn run_data() {
    // Return, as data.
    let code = Box::new(0xc3_u8);
    // SAFETY: none; it must fault, and would return if it did not.
    let function: extern "C" fn() = unsafe { std::mem::transmute(&raw const *code) };
    function();
}

fn read_tables() {
    let mut table = [0_u8; 10];
    // SAFETY: writes ten bytes, where it is allowed at all.
    unsafe { asm!("sgdt [{}]", in(reg) &raw mut table) };
}

fn read_kernel() {
    for address in KERNEL_MEMORY {
        let pointer = std::ptr::without_provenance::<u8>(address as usize);
        // SAFETY: none; it must fault.
        unsafe { pointer.read_volatile() };
    }
}

/// Whether a text has something like an address in the kernel's half.
fn names_kernel_memory(text: &str) -> bool {
    let words = text.split(|c: char| !c.is_ascii_hexdigit());
    words
        .filter(|word| word.len() == 16)
        .filter_map(|word| u64::from_str_radix(word, 16).ok())
        .any(|value| value >> 47 == 0x1_ffff)
}

/// Files below `folder` that tell an address of the kernel.
fn tell_tales(folder: &Path, depth: u32, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(data) = fs::symlink_metadata(&path) else {
            continue;
        };
        if data.is_dir() && depth > 0 {
            tell_tales(&path, depth - 1, found);
        } else if data.is_file() && fs::read_to_string(&path).is_ok_and(|t| names_kernel_memory(&t))
        {
            found.push(path);
        }
    }
}

fn main() {
    if std::env::args().nth(1).is_some() {
        print_bases("again");
        return;
    }
    print_bases("first");
    // What it prints is the answer; if it cannot run, that is missing.
    drop(Command::new("/probe/hardening").arg("again").status());
    step("data cannot be run", || on_each(run_data));
    step("the kernel's tables cannot be asked for", || {
        on_each(read_tables)
    });
    step("the kernel's memory cannot be read", || {
        on_each(read_kernel)
    });
    step("no file tells an address of the kernel", || {
        let mut found = Vec::new();
        for folder in ["/proc", "/sys"] {
            tell_tales(Path::new(folder), 6, &mut found);
        }
        Ok(found)
    });
    step("there is no list of the kernel's symbols", || {
        Ok(fs::exists("/proc/kallsyms")? || fs::exists("/proc/kcore")?)
    });
}
