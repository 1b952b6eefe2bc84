//! Several processors: threads that wake each other, change the memory the others use, and move
//! between processors. A lost wake-up or a stale translation hangs the probe or shows in a sum.

#![allow(unsafe_code, reason = "calls that no safe library offers, on purpose")]

use probes::{checked, step};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use rustix::thread::futex::{self, Flags};
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

const ROUNDS: u32 = 2000;
const PAIRS: usize = 4;
const PAGE: usize = 4096;

fn main() -> ExitCode {
    // As the program of one of its own children it only ends.
    if let Some(status) = std::env::args()
        .nth(1)
        .and_then(|text| text.parse::<u8>().ok())
    {
        return ExitCode::from(status);
    }
    step("futexes: pairs take turns", || pairs(futex_pair));
    step("pipes: pairs take turns", || pairs(pipe_pair));
    step("the same while threads move between processors", || {
        let moving = Moving::start();
        let sum = pairs(futex_pair)? + pairs(pipe_pair)?;
        moving.stop();
        Ok(sum)
    });
    step("a thread runs where it was told to", pinned);
    step("a mapping goes while others read memory", mappings);
    step(
        "what was made read-only is not written any more",
        protection,
    );
    step("a process ends while its threads start others", endings);
    step("threads that start programs at once", programs);
    ExitCode::SUCCESS
}

/// Runs several pairs at once; the sum of their rounds.
fn pairs(pair: fn() -> io::Result<u32>) -> io::Result<u32> {
    let threads: Vec<_> = (0..PAIRS).map(|_| thread::spawn(pair)).collect();
    threads
        .into_iter()
        .map(|pair| pair.join().map_err(|_| io::Error::other("a panic"))?)
        .sum()
}

fn wait_while(word: &AtomicU32, value: u32) {
    while word.load(SeqCst) == value {
        // Another value or a signal is a reason to look again.
        let _ = futex::wait(word, Flags::PRIVATE, value, None);
    }
}

fn change(word: &AtomicU32, value: u32) -> io::Result<()> {
    word.store(value, SeqCst);
    futex::wake(word, Flags::PRIVATE, 1)?;
    Ok(())
}

fn futex_pair() -> io::Result<u32> {
    let word = AtomicU32::new(0);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            (0..ROUNDS).try_for_each(|_| {
                wait_while(&word, 0);
                change(&word, 0)
            })
        });
        for _ in 0..ROUNDS {
            change(&word, 1)?;
            wait_while(&word, 1);
        }
        other.join().map_err(|_| io::Error::other("a panic"))??;
        Ok(ROUNDS)
    })
}

fn pipe_pair() -> io::Result<u32> {
    let (mut question_in, mut question_out) = io::pipe()?;
    let (mut answer_in, mut answer_out) = io::pipe()?;
    let other = thread::spawn(move || -> io::Result<()> {
        let mut bytes = [0; 4];
        for _ in 0..ROUNDS {
            question_in.read_exact(&mut bytes)?;
            answer_out.write_all(&bytes)?;
        }
        Ok(())
    });
    let mut right = 0;
    for round in 0..ROUNDS {
        let mut bytes = [0; 4];
        question_out.write_all(&round.to_le_bytes())?;
        answer_in.read_exact(&mut bytes)?;
        right += u32::from(bytes == round.to_le_bytes());
    }
    other.join().map_err(|_| io::Error::other("a panic"))??;
    Ok(right)
}

/// The processors this process may use.
fn processors() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&cpu| set.is_set(cpu))
        .collect())
}

fn go_to(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// A thread that goes from processor to processor, so that others have to make room.
struct Moving {
    stop: &'static AtomicBool,
    thread: thread::JoinHandle<io::Result<()>>,
}

impl Moving {
    fn start() -> Self {
        let stop: &'static AtomicBool = Box::leak(Box::default());
        let thread = thread::spawn(move || {
            let processors = processors()?;
            while !stop.load(SeqCst) {
                processors.iter().try_for_each(|&cpu| go_to(cpu))?;
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        });
        Self { stop, thread }
    }

    fn stop(self) {
        self.stop.store(true, SeqCst);
        // It ended either way.
        let _ = self.thread.join();
    }
}

fn pinned() -> io::Result<bool> {
    let threads: Vec<_> = processors()?
        .into_iter()
        .map(|cpu| {
            thread::spawn(move || -> io::Result<bool> {
                go_to(cpu)?;
                Ok((0..100).all(|_| {
                    thread::yield_now();
                    sched_getcpu() == cpu
                }))
            })
        })
        .collect();
    let mut all = true;
    for thread in threads {
        all &= thread.join().map_err(|_| io::Error::other("a panic"))??;
    }
    Ok(all)
}

/// Wait statuses of children that run `body`, those that are alike once.
fn statuses(children: u32, body: impl Fn()) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for _ in 0..children {
        // SAFETY: only threads that wait for nothing exist besides this one.
        let child = checked(unsafe { libc::fork() })?;
        if child == 0 {
            body();
            // SAFETY: ends the child, with a status that means that `body` came back.
            unsafe { libc::_exit(99) };
        }
        let mut status = 0;
        // SAFETY: the status is a place to write to.
        checked(unsafe { libc::waitpid(child, &raw mut status, 0) })?;
        found.push(libc::WEXITSTATUS(status));
    }
    found.dedup();
    Ok(found)
}

/// A thread that starts another one, which does the same.
fn start_another() {
    // Where there are too many, there is one less.
    drop(
        thread::Builder::new()
            .stack_size(64 << 10)
            .spawn(start_another),
    );
}

fn endings() -> io::Result<Vec<i32>> {
    statuses(30, || {
        for _ in 0..4 {
            start_another();
        }
        thread::sleep(Duration::from_millis(2));
        // SAFETY: ends the process, threads included.
        unsafe { libc::_exit(5) };
    })
}

fn programs() -> io::Result<Vec<i32>> {
    let own = std::env::current_exe()?;
    statuses(20, || {
        let start = |_| {
            let own = own.clone();
            thread::spawn(move || Command::new(own).arg("7").exec())
        };
        let threads: Vec<_> = (0..4).map(start).collect();
        for thread in threads {
            drop(thread.join());
        }
    })
}

fn map(pages: usize) -> io::Result<*mut u8> {
    let rights = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping; nothing refers to it yet.
    let start = unsafe { mmap_anonymous(null_mut(), pages * PAGE, rights, MapFlags::PRIVATE) }?;
    Ok(start.cast())
}

/// Each thread maps, fills, checks and unmaps; frames go from one to the other all the time.
fn mappings() -> io::Result<u32> {
    pairs(|| {
        let mut right = 0;
        for round in 0..300u32 {
            let pages = 1 + round as usize % 20;
            let start = map(pages)?;
            let words: Vec<*mut u32> = (0..pages)
                .map(|page| start.wrapping_add(page * PAGE).cast())
                .collect();
            for &word in &words {
                // SAFETY: inside the mapping, aligned.
                unsafe { word.write_volatile(round) };
            }
            thread::yield_now();
            // SAFETY: as above.
            let kept = |word: &*mut u32| unsafe { word.read_volatile() } == round;
            right += u32::from(words.iter().all(kept));
            // SAFETY: nothing refers to the mapping any more.
            unsafe { munmap(start.cast(), pages * PAGE) }?;
        }
        Ok(right)
    })
}

/// One thread counts in a page; once mprotect(2) has returned, the count stands still. The write
/// that then faults is let through by giving the right back.
fn protection() -> io::Result<bool> {
    static COUNTED: AtomicU64 = AtomicU64::new(0);
    extern "C" fn wait_for_the_right(_: libc::c_int) {
        thread::yield_now();
    }
    let start = map(1)?;
    // SAFETY: aligned, mapped, and zero is a valid counter; the mapping stays.
    let counter: &'static AtomicU64 = unsafe { AtomicU64::from_ptr(start.cast()) };
    // SAFETY: the handler only yields.
    unsafe { libc::signal(libc::SIGSEGV, wait_for_the_right as *const () as usize) };
    thread::spawn(move || {
        loop {
            counter.fetch_add(1, SeqCst);
            COUNTED.fetch_add(1, SeqCst);
        }
    });
    let mut still = true;
    for _ in 0..100 {
        let before = COUNTED.load(SeqCst);
        while COUNTED.load(SeqCst) == before {
            thread::yield_now();
        }
        // SAFETY: the mapping is only used through the counter.
        unsafe { mprotect(start.cast(), PAGE, MprotectFlags::READ) }?;
        let first = counter.load(SeqCst);
        for _ in 0..20 {
            thread::yield_now();
            still &= counter.load(SeqCst) == first;
        }
        let rights = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: as above.
        unsafe { mprotect(start.cast(), PAGE, rights) }?;
    }
    Ok(still)
}
