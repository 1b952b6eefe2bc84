//! Threads, futexes and scheduling.

#![allow(unsafe_code, reason = "calls that no safe library offers, on purpose")]

use probes::{checked, step, takes_about};
use rustix::thread::futex::{self, Flags};
use rustix::thread::{gettid, sched_yield};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroU32;
use std::os::unix::thread::JoinHandleExt as _;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Condvar, Mutex, RwLock};
use std::thread;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(30);
const PAUSE_TIME: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 30_000_000,
};

fn main() {
    life();
    locks();
    futexes();
    scheduling();
}

fn joined<T>(handle: thread::JoinHandle<T>) -> io::Result<T> {
    handle
        .join()
        .map_err(|_| io::Error::other("the thread panicked"))
}

fn life() {
    step("results come back", || {
        let threads: Vec<_> = (0..16_u64).map(|n| thread::spawn(move || n * n)).collect();
        threads.into_iter().map(joined).sum::<io::Result<u64>>()
    });
    step("500 threads one after another", || {
        (0..500_u64)
            .map(|n| joined(thread::spawn(move || n)))
            .sum::<io::Result<u64>>()
    });
    step("100 threads at once", || {
        let barrier = Arc::new(Barrier::new(100));
        let threads: Vec<_> = (0..100)
            .map(|_| {
                let barrier = barrier.clone();
                thread::spawn(move || usize::from(barrier.wait().is_leader()))
            })
            .collect();
        threads.into_iter().map(joined).sum::<io::Result<usize>>()
    });
    step("every thread has its own number", || {
        let own = gettid();
        let process = rustix::process::getpid();
        let other = joined(thread::spawn(gettid))?;
        Ok((own == process, other == own))
    });
    step("thread-local values", || {
        thread_local!(static VALUE: Cell<u32> = const { Cell::new(1) });
        VALUE.set(5);
        let other = joined(thread::spawn(|| VALUE.replace(9)))?;
        Ok((VALUE.get(), other))
    });
    step("a stack of 64 MiB", || {
        let builder = thread::Builder::new().stack_size(64 << 20);
        joined(builder.spawn(|| deep(200_000))?)
    });
    step("a name", || {
        let builder = thread::Builder::new().name("a-name".into());
        joined(builder.spawn(|| rustix::thread::name().map_err(io::Error::from))?)?
    });
    step("a panic ends one thread", || {
        std::panic::set_hook(Box::new(|_| ()));
        Ok(thread::spawn(|| panic!("on purpose")).join().is_err())
    });
    step("a signal for one thread", || {
        let handle = thread::spawn(|| thread::sleep(PAUSE));
        // SAFETY: the thread is not joined yet; signal 0 only checks.
        let result = unsafe { libc::pthread_kill(handle.as_pthread_t(), 0) };
        joined(handle)?;
        Ok(result)
    });
}

fn deep(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 16]);
    if depth == 0 {
        0
    } else {
        deep(depth - 1) + here[3] / depth
    }
}

fn locks() {
    step("a mutex keeps order", || {
        let sum = Arc::new(Mutex::new(0_u64));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let sum = sum.clone();
                thread::spawn(move || {
                    for _ in 0..20_000 {
                        if let Ok(mut sum) = sum.lock() {
                            *sum += 1;
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().try_for_each(joined)?;
        Ok(sum.lock().map(|sum| *sum).unwrap_or(0))
    });
    step("ping-pong over a condition", || {
        let pair = Arc::new((Mutex::new(0_u32), Condvar::new()));
        let other = pair.clone();
        let partner = thread::spawn(move || turns(&other, 1));
        turns(&pair, 0);
        joined(partner)?;
        Ok(pair.0.lock().map(|turn| *turn).unwrap_or(0))
    });
    step("a condition waits no longer than asked", || {
        let (mutex, condition) = (Mutex::new(()), Condvar::new());
        takes_about(PAUSE, || {
            let guard = mutex.lock().map_err(|_| io::Error::other("poisoned"))?;
            drop(condition.wait_timeout_while(guard, PAUSE, |()| true));
            Ok(())
        })
    });
    step("readers share", || {
        let lock = Arc::new(RwLock::new(7));
        let barrier = Arc::new(Barrier::new(4));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (lock, barrier) = (lock.clone(), barrier.clone());
                thread::spawn(move || {
                    let value = lock.read();
                    barrier.wait();
                    value.map(|value| *value).unwrap_or(0)
                })
            })
            .collect();
        threads.into_iter().map(joined).sum::<io::Result<i32>>()
    });
}

/// Adds one whenever the count's lowest bit is `own`, until 2000.
fn turns(pair: &(Mutex<u32>, Condvar), own: u32) {
    let Ok(mut count) = pair.0.lock() else { return };
    while *count < 2000 {
        if *count % 2 == own {
            *count += 1;
            pair.1.notify_one();
        } else {
            let Ok(next) = pair.1.wait(count) else { return };
            count = next;
        }
    }
    pair.1.notify_one();
}

fn futexes() {
    let word = AtomicU32::new(5);
    step("wait for a value that is not there", || {
        Ok(futex::wait(&word, Flags::PRIVATE, 4, None)?)
    });
    step("wait for a time", || {
        Ok(futex::wait(&word, Flags::PRIVATE, 5, Some(&PAUSE_TIME))?)
    });
    step("the time is waited", || {
        takes_about(PAUSE, || {
            let _ = futex::wait(&word, Flags::PRIVATE, 5, Some(&PAUSE_TIME));
            Ok(())
        })
    });
    step("wait until a time that has passed", || {
        let past = clock_gettime(ClockId::Monotonic);
        wait_bitset(&word, Flags::PRIVATE, &past, 1)
    });
    step("wait until a wall-clock time that has passed", || {
        let past = clock_gettime(ClockId::Realtime);
        wait_bitset(&word, Flags::PRIVATE | Flags::CLOCK_REALTIME, &past, 1)
    });
    step("wake nobody", || {
        Ok(futex::wake(&word, Flags::PRIVATE, 10)?)
    });
    step("wake one, then the rest", || {
        let (woken, all) = wake_waiters(|word| {
            let first = futex::wake(word, Flags::PRIVATE, 1)?;
            Ok((first, futex::wake(word, Flags::PRIVATE, 100)?))
        })?;
        Ok((woken, all))
    });
    step("wake by bits", || {
        let bits = NonZeroU32::new(2).ok_or(io::ErrorKind::InvalidInput)?;
        let (woken, all) = wake_waiters(|word| {
            let others = futex::wake_bitset(word, Flags::PRIVATE, 100, bits)?;
            Ok((others, futex::wake(word, Flags::PRIVATE, 100)?))
        })?;
        Ok((woken, all))
    });
    step("requeue to another word", || {
        let target = AtomicU32::new(0);
        let (moved, all) = wake_waiters(|word| {
            let moved = futex::cmp_requeue(word, Flags::PRIVATE, 1, 100, &target, 5)?;
            Ok((moved, futex::wake(&target, Flags::PRIVATE, 100)?))
        })?;
        Ok((moved, all))
    });
    step("requeue with a wrong value", || {
        let target = AtomicU32::new(0);
        Ok(futex::cmp_requeue(&word, Flags::PRIVATE, 1, 1, &target, 6)?)
    });
}

fn wait_bitset(word: &AtomicU32, flags: Flags, until: &Timespec, bits: u32) -> io::Result<()> {
    let bits = NonZeroU32::new(bits).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(futex::wait_bitset(word, flags, 5, Some(until), bits)?)
}

/// Has three threads wait for bit 1, wakes them with `wake`, and counts those that return.
fn wake_waiters(
    wake: impl FnOnce(&AtomicU32) -> io::Result<(usize, usize)>,
) -> io::Result<((usize, usize), usize)> {
    let (word, returned) = (AtomicU32::new(5), AtomicUsize::new(0));
    let mut until = clock_gettime(ClockId::Monotonic);
    until.tv_sec += 10;
    let woken = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                if wait_bitset(&word, Flags::PRIVATE, &until, 1).is_ok() {
                    returned.fetch_add(1, SeqCst);
                }
            });
        }
        // There is no way to see that a thread waits; this is long enough to start waiting.
        thread::sleep(PAUSE * 5);
        wake(&word)
    })?;
    Ok((woken, returned.load(SeqCst)))
}

fn scheduling() {
    step("yielding threads all advance", || {
        let turns = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let turns = turns.clone();
                thread::spawn(move || {
                    for _ in 0..1000 {
                        turns.fetch_add(1, SeqCst);
                        sched_yield();
                    }
                })
            })
            .collect();
        threads.into_iter().try_for_each(joined)?;
        Ok(turns.load(SeqCst))
    });
    step("a spinning thread does not stop another", || {
        let flag = Arc::new(AtomicU32::new(0));
        let other = flag.clone();
        let spinner = thread::spawn(move || {
            while other.load(SeqCst) == 0 {
                std::hint::spin_loop();
            }
        });
        thread::sleep(PAUSE);
        flag.store(1, SeqCst);
        joined(spinner)
    });
    step("there is a processor, and we run on one", || {
        let set = rustix::thread::sched_getaffinity(None)?;
        let here = rustix::thread::sched_getcpu();
        let known: BTreeSet<_> = (0..rustix::thread::CpuSet::MAX_CPU)
            .filter(|&cpu| set.is_set(cpu))
            .collect();
        Ok((known.is_empty(), known.contains(&here)))
    });
    step("the scheduling class is the ordinary one", || {
        // SAFETY: no preconditions.
        checked(unsafe { libc::sched_getscheduler(0) })
    });
}
