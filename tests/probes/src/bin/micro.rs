//! What calls cost. Prints `name: cost` for each, counted with the time-stamp counter: under QEMU's
//! `-icount shift=0` that is the number of instructions, of ring 3 and the kernel together. Runs as
//! the only program of a guest of ours or of Linux: tests/bench/micro.rs. Expects its own absolute
//! path as its name. `ONLY=words` in the environment leaves out the figures without these words in
//! their names, to look at one with a profiler.

#![allow(unsafe_code, reason = "calls that no safe library offers, on purpose")]
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use probes::checked;
use rustix::event::{EventfdFlags, eventfd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open, stat};
use rustix::io::{pread, read, write};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use rustix::mm::{madvise, mmap, mmap_anonymous, mprotect, munmap};
use rustix::thread::futex::{self, Flags};
use rustix::thread::sched_yield;
use std::ffi::{CString, c_void};
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;

/// Measurements of each figure; the smallest counts, so that a timer's interrupt does not.
const ROUNDS: u32 = 5;

const PAGE: usize = 4096;
const MIB: usize = 1 << 20;

/// With this argument the program only ends: what fork and exec are measured with.
const EXIT: &str = "exit";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|word| word == EXIT) {
        return Ok(());
    }
    calls(&arguments[0])?;
    switches()?;
    memory(&arguments[0])?;
    processes(&arguments[0])?;
    println!("micro: done");
    Ok(())
}

/// Instructions since power-on.
fn now() -> u64 {
    // SAFETY: every x86-64 CPU has the instruction, and both kernels allow it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Prints what one of `count` calls of `body` costs.
fn cost(name: &str, count: u32, mut body: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    batch(name, u64::from(count), || {
        (0..count).try_for_each(|_| body())
    })
}

/// Prints what one of the `count` things that `body` does costs.
fn batch(name: &str, count: u64, mut body: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    if std::env::var("ONLY").is_ok_and(|only| !name.contains(&only)) {
        return Ok(());
    }
    body()?;
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        let before = now();
        body()?;
        least = least.min(now() - before);
    }
    println!("{name}: {}", least / count);
    Ok(())
}

fn calls(program: &str) -> io::Result<()> {
    cost("null system call (getppid)", 10_000, || {
        // SAFETY: has no arguments.
        checked(unsafe { libc::getppid() }).map(drop)
    })?;
    cost("clock_gettime (vDSO)", 10_000, || {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `time` is a place for the time. The C library calls the vDSO, as ERTS does.
        checked(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) }).map(drop)
    })?;
    cost("stat of a file", 2000, || Ok(stat(program).map(drop)?))?;
    let read_only = || open(program, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    cost("open and close of a file", 2000, || {
        Ok(read_only().map(drop)?)
    })?;
    let file = read_only()?;
    let mut buffer = [0; PAGE];
    cost("pread of 4 KiB from a file", 2000, || {
        Ok(pread(&file, &mut buffer, 0).map(drop)?)
    })?;
    let (reader, writer) = rustix::pipe::pipe()?;
    cost("write and read of a byte, pipe", 2000, || {
        write(&writer, b"x")?;
        Ok(read(&reader, &mut [0]).map(drop)?)
    })?;
    let event = eventfd(1, EventfdFlags::empty())?;
    cost("poll of a ready descriptor", 2000, || {
        let mut set = [PollFd::new(&event, PollFlags::IN)];
        Ok(poll(&mut set, None).map(drop)?)
    })?;
    signals()
}

fn signals() -> io::Result<()> {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: the handler does nothing.
    let before = unsafe { libc::signal(libc::SIGUSR1, nothing as *const () as usize) };
    if before == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    cost("signal to itself, handled", 2000, || {
        // SAFETY: the signal has a handler.
        checked(unsafe { libc::raise(libc::SIGUSR1) }).map(drop)
    })
}

fn switches() -> io::Result<()> {
    let word = AtomicU32::new(0);
    cost("futex wake, nobody waits", 10_000, || {
        Ok(futex::wake(&word, Flags::PRIVATE, 1).map(drop)?)
    })?;
    futex_ping_pong()?;
    yields()?;
    cost("thread, created and joined", 200, || {
        thread::spawn(|| ())
            .join()
            .map_err(|_| io::Error::other("the thread panicked"))
    })
}

/// Lets the thread on the other side go on.
fn pass(turn: &AtomicU32, to: u32) -> io::Result<()> {
    turn.store(to, SeqCst);
    Ok(futex::wake(turn, Flags::PRIVATE, 1).map(drop)?)
}

/// Waits until it is `own` turn; `QUIT` is everyone's.
fn await_turn(turn: &AtomicU32, own: u32) -> u32 {
    loop {
        let value = turn.load(SeqCst);
        if value == own || value == QUIT {
            return value;
        }
        // Woken without cause, or too late to wait: looks again.
        let _ = futex::wait(turn, Flags::PRIVATE, value, None);
    }
}

const QUIT: u32 = 2;

fn futex_ping_pong() -> io::Result<()> {
    let turn = Arc::new(AtomicU32::new(0));
    let other = Arc::clone(&turn);
    let thread = thread::spawn(move || -> io::Result<()> {
        while await_turn(&other, 1) != QUIT {
            pass(&other, 0)?;
        }
        Ok(())
    });
    // Each round trip is two of them.
    batch("futex wake, wait, and switch of threads", 4000, || {
        for _ in 0..2000 {
            pass(&turn, 1)?;
            await_turn(&turn, 0);
        }
        Ok(())
    })?;
    pass(&turn, QUIT)?;
    thread
        .join()
        .map_err(|_| io::Error::other("the thread panicked"))?
}

fn yields() -> io::Result<()> {
    const COUNT: u64 = 4000;
    let quit = Arc::new(AtomicU32::new(0));
    let stop = Arc::clone(&quit);
    let thread = thread::spawn(move || {
        while stop.load(Relaxed) == 0 {
            sched_yield();
        }
    });
    // Both threads yield in turn: `COUNT` calls of this one are twice as many.
    batch("sched_yield to another thread", 2 * COUNT, || {
        (0..COUNT).for_each(|_| sched_yield());
        Ok(())
    })?;
    quit.store(1, Relaxed);
    thread
        .join()
        .map_err(|_| io::Error::other("the thread panicked"))
}

/// Memory of its own, given back on drop.
struct Mapping {
    start: *mut c_void,
    size: usize,
}

impl Mapping {
    fn anonymous(size: usize, protection: ProtFlags) -> io::Result<Self> {
        // SAFETY: at an address the kernel chooses.
        let start = unsafe { mmap_anonymous(null_mut(), size, protection, MapFlags::PRIVATE)? };
        Ok(Self { start, size })
    }

    fn file(file: &OwnedFd, size: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: at an address the kernel chooses; nobody changes the file.
        let start = unsafe { mmap(null_mut(), size, protection, MapFlags::PRIVATE, file, 0)? };
        Ok(Self { start, size })
    }

    fn at(&self, offset: usize) -> *mut u8 {
        self.start.cast::<u8>().wrapping_add(offset)
    }

    /// Writes to a byte of every page in steps of `step` bytes.
    fn touch(&self, step: usize) {
        for offset in (0..self.size).step_by(step) {
            // SAFETY: inside the mapping, which is writable.
            unsafe { self.at(offset).write_volatile(1) };
        }
    }

    /// Reads a byte of every page.
    fn look(&self) {
        for offset in (0..self.size).step_by(PAGE) {
            // SAFETY: inside the mapping, which is readable.
            unsafe { self.at(offset).read_volatile() };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `anonymous` or `file`, and no reference points into it. A failure
        // would leave memory mapped, which harms nobody.
        let _ = unsafe { munmap(self.start, self.size) };
    }
}

const READ_WRITE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

fn memory(program: &str) -> io::Result<()> {
    cost("mmap and munmap, untouched", 2000, || {
        Mapping::anonymous(MIB, READ_WRITE).map(drop)
    })?;
    batch("anonymous page, touched in a row", 256, || {
        Mapping::anonymous(MIB, READ_WRITE)?.touch(PAGE);
        Ok(())
    })?;
    const APART: usize = 16 * PAGE;
    batch("anonymous page, touched alone", 128, || {
        let mapping = Mapping::anonymous(128 * APART, READ_WRITE)?;
        // SAFETY: no reference points into the mapping.
        unsafe { madvise(mapping.start, mapping.size, Advice::LinuxNoHugepage)? };
        mapping.touch(APART);
        Ok(())
    })?;
    batch("heap grown by mprotect and touched, 8 KiB", 128, || {
        let heap = Mapping::anonymous(MIB, ProtFlags::empty())?;
        let flags = MprotectFlags::READ | MprotectFlags::WRITE;
        for offset in (0..MIB).step_by(2 * PAGE) {
            // SAFETY: inside the mapping, into which no reference points.
            unsafe { mprotect(heap.at(offset).cast(), 2 * PAGE, flags)? };
            for page in [offset, offset + PAGE] {
                // SAFETY: just made writable.
                unsafe { heap.at(page).write_volatile(1) };
            }
        }
        Ok(())
    })?;
    let file = open(program, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let pages = 64;
    batch("file page, read", pages, || {
        Mapping::file(&file, pages as usize * PAGE)?.look();
        Ok(())
    })?;
    batch("file page, written privately", pages, || {
        Mapping::file(&file, pages as usize * PAGE)?.touch(PAGE);
        Ok(())
    })
}

fn processes(program: &str) -> io::Result<()> {
    cost("fork, exit and wait", 20, || fork_and_wait(|| 0))?;
    let large = Mapping::anonymous(16 * MIB, READ_WRITE)?;
    // SAFETY: no reference points into the mapping.
    unsafe { madvise(large.start, large.size, Advice::LinuxNoHugepage)? };
    large.touch(PAGE);
    cost("the same with 16 MiB", 5, || fork_and_wait(|| 0))?;
    drop(large);
    let path = CString::new(program)?;
    let arguments = [path.as_ptr(), c"exit".as_ptr(), std::ptr::null()];
    cost("fork, exec, exit and wait", 20, || {
        fork_and_wait(|| {
            // SAFETY: strings with their NUL, lists with a null at the end.
            unsafe {
                libc::execve(
                    path.as_ptr(),
                    arguments.as_ptr(),
                    [std::ptr::null()].as_ptr(),
                )
            };
            1
        })
    })
}

/// Forks; the child ends with what `child` says, which must be 0.
fn fork_and_wait(child: impl FnOnce() -> i32) -> io::Result<()> {
    // SAFETY: there is one thread, and the child only makes system calls.
    let pid = checked(unsafe { libc::fork() })?;
    if pid == 0 {
        let status = child();
        // SAFETY: ends the child without running what was set up for the parent's end.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: `status` is a place for an int.
    checked(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    if status == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!("the child ended with {status}")))
}
