//! Wake-ups of every kind, across processors, with more threads than processors: tokens go round
//! in rings of threads, and each thread waits for the token in another way. A wake-up that is lost
//! stops its ring, which is seen and named.
//!
//! `wakeups SECONDS` goes on for that long.

#![allow(unsafe_code, reason = "calls that no safe library offers, on purpose")]

use probes::{checked, step};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::thread::futex::{self, Flags};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Rings that run at once.
const RINGS: usize = 3;
/// Times a token goes round where no time is given.
const ROUNDS: u32 = 300;
/// How long a token may stay away.
const PATIENCE: Duration = Duration::from_secs(40);
/// A wait with a time limit looks again after this.
const LIMIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 700_000,
};
/// How long the timer of a timer link runs.
const TIMER: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000,
};

/// A way to wait for a token, and to pass it on to whoever waits.
trait Link: Send + Sync {
    /// Lets one wait return. Called by the thread before in the ring.
    fn pass(&self) -> io::Result<()>;
    /// Waits for the token.
    fn wait(&self) -> io::Result<()>;
    /// Called by the waiting thread before anything else.
    fn begin(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The number of tokens in a word, and a futex on it; with `limit` the wait ends now and then.
struct Futex {
    word: AtomicU32,
    limit: Option<Timespec>,
}

impl Link for Futex {
    fn pass(&self) -> io::Result<()> {
        self.word.fetch_add(1, SeqCst);
        futex::wake(&self.word, Flags::PRIVATE, 1)?;
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        while self.word.load(SeqCst) == 0 {
            match futex::wait(&self.word, Flags::PRIVATE, 0, self.limit.as_ref()) {
                Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.word.fetch_sub(1, SeqCst);
        Ok(())
    }
}

struct Pipe(OwnedFd, OwnedFd);

impl Link for Pipe {
    fn pass(&self) -> io::Result<()> {
        write(&self.1, b"t")?;
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        read(&self.0, &mut [0u8; 1])?;
        Ok(())
    }
}

/// A local socket that the thread polls.
struct Socket(OwnedFd, OwnedFd);

impl Link for Socket {
    fn pass(&self) -> io::Result<()> {
        write(&self.1, b"t")?;
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None)?;
        read(&self.0, &mut [0u8; 1])?;
        Ok(())
    }
}

/// An eventfd in an epoll instance, edge-triggered: the edge must not be missed.
struct Edge {
    event: OwnedFd,
    epoll: OwnedFd,
}

impl Link for Edge {
    fn pass(&self) -> io::Result<()> {
        write(&self.event, &1u64.to_le_bytes())?;
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        loop {
            match read(&self.event, &mut [0u8; 8]) {
                Err(Errno::AGAIN) => {}
                result => return result.map(drop).map_err(io::Error::from),
            }
            let mut events = Vec::with_capacity(4);
            epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                None,
            )?;
        }
    }
}

/// A timer that is set by one thread while another one waits for it.
struct Timer(OwnedFd);

impl Link for Timer {
    fn pass(&self) -> io::Result<()> {
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: TIMER,
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        read(&self.0, &mut [0u8; 8])?;
        Ok(())
    }
}

/// A signal to the thread, which blocks it and waits for it.
struct Signal(AtomicU64);

fn token_signal() -> libc::sigset_t {
    // SAFETY: all zeros are a valid set.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: the set is valid.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGUSR1) };
    set
}

impl Link for Signal {
    fn pass(&self) -> io::Result<()> {
        while self.0.load(SeqCst) == 0 {
            thread::yield_now();
        }
        // SAFETY: the thread lives as long as the ring goes on.
        let error = unsafe { libc::pthread_kill(self.0.load(SeqCst), libc::SIGUSR1) };
        match error {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    fn wait(&self) -> io::Result<()> {
        let mut signal = 0;
        // SAFETY: both are valid.
        let error = unsafe { libc::sigwait(&raw const *Box::new(token_signal()), &raw mut signal) };
        match error {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    fn begin(&self) -> io::Result<()> {
        let set = token_signal();
        // SAFETY: the set is valid.
        checked(unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())
        })?;
        // SAFETY: only asks.
        self.0.store(unsafe { libc::pthread_self() }, SeqCst);
        Ok(())
    }
}

#[derive(Default)]
struct Condition(Mutex<u32>, Condvar);

impl Link for Condition {
    fn pass(&self) -> io::Result<()> {
        *self.0.lock().map_err(|_| io::ErrorKind::Other)? += 1;
        self.1.notify_all();
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        let tokens = self.0.lock().map_err(|_| io::ErrorKind::Other)?;
        let tokens = self.1.wait_while(tokens, |tokens| *tokens == 0);
        *tokens.map_err(|_| io::ErrorKind::Other)? -= 1;
        Ok(())
    }
}

fn links() -> io::Result<Vec<(&'static str, Box<dyn Link>)>> {
    let (read_end, write_end) = rustix::pipe::pipe()?;
    let (kind, flags) = (SocketType::STREAM, SocketFlags::CLOEXEC);
    let (one, other) = socketpair(AddressFamily::UNIX, kind, flags, None)?;
    let event = eventfd(0, EventfdFlags::NONBLOCK)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let interest = EventFlags::IN | EventFlags::ET;
    epoll::add(&epoll, &event, EventData::new_u64(0), interest)?;
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::empty())?;
    let futex = |limit| Futex {
        word: AtomicU32::new(0),
        limit,
    };
    Ok(vec![
        ("futex", Box::new(futex(None))),
        ("pipe", Box::new(Pipe(read_end, write_end))),
        ("edge-triggered epoll", Box::new(Edge { event, epoll })),
        ("futex with a limit", Box::new(futex(Some(LIMIT)))),
        ("signal", Box::new(Signal(AtomicU64::new(0)))),
        ("polled socket", Box::new(Socket(one, other))),
        ("timer", Box::new(Timer(timer))),
        ("condition", Box::<Condition>::default()),
    ])
}

/// Threads in a ring; the token's way is counted, so that it can be seen where it stopped.
struct Ring {
    links: Vec<(&'static str, Box<dyn Link>)>,
    hops: AtomicU64,
    ended: AtomicBool,
}

impl Ring {
    fn start(more: impl Fn(u32) -> bool + Send + Sync + Clone + 'static) -> io::Result<Arc<Self>> {
        let ring = Arc::new(Self {
            links: links()?,
            hops: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        for place in 0..ring.links.len() {
            let (ring, more) = (Arc::clone(&ring), more.clone());
            thread::spawn(move || ring.run(place, more));
        }
        ring.links[0].1.pass()?;
        Ok(ring)
    }

    /// The life of a thread. The first one decides whether the token goes round once more; the
    /// others stay behind, waiting.
    fn run(&self, place: usize, more: impl Fn(u32) -> bool) -> io::Result<()> {
        let (own, next) = (
            &self.links[place],
            &self.links[(place + 1) % self.links.len()],
        );
        own.1.begin()?;
        for round in 0.. {
            own.1.wait()?;
            self.hops.fetch_add(1, SeqCst);
            if place == 0 && !more(round) {
                self.ended.store(true, SeqCst);
                break;
            }
            next.1.pass()?;
        }
        Ok(())
    }

    /// Where the token is waited for.
    fn place(&self) -> &'static str {
        self.links[self.hops.load(SeqCst) as usize % self.links.len()].0
    }
}

/// Waits until all rings have ended; gives where a token stopped.
fn watch(rings: &[Arc<Ring>]) -> Result<(), String> {
    let mut seen: Vec<_> = rings.iter().map(|_| (0, Instant::now())).collect();
    while rings.iter().any(|ring| !ring.ended.load(SeqCst)) {
        thread::sleep(Duration::from_millis(5));
        for (ring, seen) in rings.iter().zip(&mut seen) {
            let hops = ring.hops.load(SeqCst);
            if hops != seen.0 || ring.ended.load(SeqCst) {
                *seen = (hops, Instant::now());
            }
            if seen.1.elapsed() > PATIENCE {
                return Err(format!("after {hops} hops at a {}", ring.place()));
            }
        }
    }
    Ok(())
}

/// A thread that computes and goes from processor to processor: others must make room.
fn disturb() -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let processors: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|&cpu| allowed.is_set(cpu))
        .collect();
    thread::spawn(move || -> io::Result<()> {
        for &processor in processors.iter().cycle() {
            let mut set = CpuSet::new();
            set.set(processor);
            sched_setaffinity(None, &set)?;
            let end = Instant::now() + Duration::from_millis(4);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        }
        Ok(())
    });
    Ok(())
}

fn main() {
    let seconds: Option<u64> = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let more = move |round: u32| end.map_or(round < ROUNDS, |end| Instant::now() < end);
    let rings = |count: usize| {
        (0..count)
            .map(|_| Ring::start(more))
            .collect::<io::Result<Vec<_>>>()
    };
    step("a token goes round", || Ok(watch(&rings(1)?)));
    step("tokens go round among busy threads", || {
        disturb()?;
        disturb()?;
        Ok(watch(&rings(RINGS)?))
    });
}
