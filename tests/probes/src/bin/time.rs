//! Clocks and sleeps. Times cannot be printed; what is printed is how they relate.

#![allow(unsafe_code, reason = "calls that no safe library offers, on purpose")]

use probes::{checked, step, takes_about};
use rustix::thread::{NanosleepRelativeResult, clock_nanosleep_absolute, nanosleep};
use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};
use std::io;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_TIME: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

const CLOCKS: [(&str, ClockId); 6] = [
    ("realtime", ClockId::Realtime),
    ("monotonic", ClockId::Monotonic),
    ("monotonic raw", ClockId::MonotonicRaw),
    ("boot time", ClockId::Boottime),
    ("monotonic coarse", ClockId::MonotonicCoarse),
    ("realtime coarse", ClockId::RealtimeCoarse),
];

fn main() {
    for (name, id) in CLOCKS {
        step(&format!("{name} runs"), || Ok(runs(id)));
    }
    relations();
    resolutions();
    sleeps();
    processor_time();
}

fn nanoseconds(time: Timespec) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

fn now(id: ClockId) -> i128 {
    nanoseconds(clock_gettime(id))
}

/// The clock advances with a sleep, by about its length.
fn runs(id: ClockId) -> bool {
    let before = now(id);
    thread::sleep(PAUSE);
    let elapsed = now(id) - before;
    (15_000_000..5_000_000_000).contains(&elapsed)
}

fn relations() {
    step("monotonic never goes back in 100000 reads", || {
        let mut last = now(ClockId::Monotonic);
        Ok((0..100_000).all(|_| {
            let time = now(ClockId::Monotonic);
            let forward = time >= last;
            last = time;
            forward
        }))
    });
    step("monotonic agrees between threads", || {
        let before = Instant::now();
        let there = thread::spawn(Instant::now)
            .join()
            .map_err(|_| io::Error::other("thread panicked"))?;
        Ok(before <= there && there <= Instant::now())
    });
    step("the year is in this century", || {
        let seconds = now(ClockId::Realtime) / 1_000_000_000;
        Ok((1_700_000_000..4_102_444_800).contains(&seconds))
    });
    step("time, gettimeofday and clock_gettime agree", || {
        let mut time = libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        };
        // SAFETY: `time` is valid for writing; the second argument may be null.
        checked(unsafe { libc::gettimeofday(&raw mut time, std::ptr::null_mut()) })?;
        // SAFETY: the argument may be null.
        let seconds = unsafe { libc::time(std::ptr::null_mut()) };
        let clock = clock_gettime(ClockId::Realtime).tv_sec;
        Ok(clock - time.tv_sec <= 1 && clock - seconds <= 1 && seconds > 0)
    });
    step("the standard library agrees", || {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_err(io::Error::other)?;
        Ok((now(ClockId::Realtime) - since.as_nanos() as i128) < 1_000_000_000)
    });
    step("an unknown clock", || {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `time` is valid for writing.
        checked(unsafe { libc::clock_gettime(99, &raw mut time) })
    });
}

fn resolutions() {
    step("resolution of monotonic and realtime", || {
        Ok([ClockId::Monotonic, ClockId::Realtime].map(|id| clock_getres(id).tv_nsec))
    });
}

fn sleeps() {
    step("nanosleep", || {
        takes_about(PAUSE, || match nanosleep(&PAUSE_TIME) {
            NanosleepRelativeResult::Ok => Ok(()),
            other => Err(io::Error::other(format!("{other:?}"))),
        })
    });
    step("a sleep of too many nanoseconds", || {
        let wrong = Timespec {
            tv_sec: 0,
            tv_nsec: 1_000_000_000,
        };
        match nanosleep(&wrong) {
            NanosleepRelativeResult::Err(error) => Err::<(), _>(error.into()),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    });
    step("a sleep until a time", || {
        let mut until = clock_gettime(ClockId::Monotonic);
        until.tv_nsec += 20_000_000;
        if until.tv_nsec >= 1_000_000_000 {
            (until.tv_sec, until.tv_nsec) = (until.tv_sec + 1, until.tv_nsec - 1_000_000_000);
        }
        clock_nanosleep_absolute(ClockId::Monotonic, &until)?;
        Ok(now(ClockId::Monotonic) >= nanoseconds(until))
    });
    step("a sleep until the past", || {
        let start = Instant::now();
        clock_nanosleep_absolute(
            ClockId::Monotonic,
            &Timespec {
                tv_sec: 0,
                tv_nsec: 1,
            },
        )?;
        Ok(start.elapsed() < Duration::from_secs(1))
    });
    step("many sleepers wake in order", || {
        let (sender, receiver) = std::sync::mpsc::channel();
        for number in [3_u64, 1, 4, 2] {
            let sender = sender.clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(60 * number));
                sender.send(number)
            });
        }
        drop(sender);
        Ok(receiver.iter().collect::<Vec<_>>())
    });
}

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn processor_time() {
    step("work takes processor time, sleep does not", || {
        let clock = ClockId::ThreadCPUTime;
        let start = now(clock);
        spin(Duration::from_millis(50));
        let work = now(clock) - start;
        let start = now(clock);
        thread::sleep(Duration::from_millis(50));
        Ok((work > 1_000_000, now(clock) - start < work.max(40_000_000)))
    });
    step("the process has at least the time of a thread", || {
        let thread = now(ClockId::ThreadCPUTime);
        Ok(now(ClockId::ProcessCPUTime) >= thread)
    });
    step("getrusage counts work", || {
        spin(Duration::from_millis(20));
        // SAFETY: all-zero is a valid `rusage`.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: `usage` is valid for writing.
        checked(unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) })?;
        let spent = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
        Ok(spent(usage.ru_utime) + spent(usage.ru_stime) > 1000)
    });
}
