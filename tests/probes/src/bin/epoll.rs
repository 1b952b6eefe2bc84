//! epoll, eventfd and timerfd.

use probes::{Scratch, step, takes_about};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, read, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_gettime, timerfd_settime,
};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(30);
const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

fn main() -> io::Result<()> {
    let _scratch = Scratch::new("epoll")?;
    triggers();
    registration();
    waiting();
    event_counters();
    timers();
    Ok(())
}

fn new_epoll() -> io::Result<OwnedFd> {
    Ok(epoll::create(CreateFlags::CLOEXEC)?)
}

fn new_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?)
}

fn add(epoll: &OwnedFd, fd: &OwnedFd, data: u64, events: EventFlags) -> io::Result<()> {
    Ok(epoll::add(epoll, fd, EventData::new_u64(data), events)?)
}

/// What is ready at once, as (data, events), sorted by data.
fn ready(epoll: &OwnedFd) -> io::Result<Vec<(u64, EventFlags)>> {
    wait(epoll, Some(&AT_ONCE))
}

fn wait(epoll: &OwnedFd, time: Option<&Timespec>) -> io::Result<Vec<(u64, EventFlags)>> {
    let nothing = Event {
        flags: EventFlags::empty(),
        data: EventData::new_u64(0),
    };
    let mut events = [nothing; 8];
    let count = epoll::wait(epoll, &mut events, time)?;
    let mut found: Vec<_> = events[..count]
        .iter()
        .map(|event| {
            let Event { flags, data } = *event;
            (data.u64(), flags)
        })
        .collect();
    found.sort_by_key(|&(data, _)| data);
    Ok(found)
}

fn triggers() {
    step("level: ready until read", || {
        let (epoll, (from, to)) = (new_epoll()?, new_pipe()?);
        add(&epoll, &from, 1, EventFlags::IN)?;
        let before = ready(&epoll)?;
        write(&to, b"ab")?;
        let (first, second) = (ready(&epoll)?, ready(&epoll)?);
        read(&from, &mut [0; 2])?;
        Ok((before, first, second, ready(&epoll)?))
    });
    step("edge: ready once for each write", || {
        let (epoll, (from, to)) = (new_epoll()?, new_pipe()?);
        add(&epoll, &from, 1, EventFlags::IN | EventFlags::ET)?;
        write(&to, b"a")?;
        let (first, second) = (ready(&epoll)?, ready(&epoll)?);
        write(&to, b"b")?;
        Ok((first, second, ready(&epoll)?))
    });
    step("one shot: ready once until set again", || {
        let (epoll, (from, to)) = (new_epoll()?, new_pipe()?);
        let events = EventFlags::IN | EventFlags::ONESHOT;
        add(&epoll, &from, 1, events)?;
        write(&to, b"a")?;
        let (first, second) = (ready(&epoll)?, ready(&epoll)?);
        epoll::modify(&epoll, &from, EventData::new_u64(2), events)?;
        Ok((first, second, ready(&epoll)?))
    });
    step("both ends of a pipe", || {
        let (epoll, (from, to)) = (new_epoll()?, new_pipe()?);
        add(&epoll, &from, 1, EventFlags::IN | EventFlags::OUT)?;
        add(&epoll, &to, 2, EventFlags::IN | EventFlags::OUT)?;
        let empty = ready(&epoll)?;
        write(&to, b"a")?;
        Ok((empty, ready(&epoll)?))
    });
    step("a hang-up needs no asking", || {
        let (epoll, (from, to)) = (new_epoll()?, new_pipe()?);
        add(&epoll, &from, 1, EventFlags::empty())?;
        drop(to);
        ready(&epoll)
    });
    step("an error at the writing end", || {
        let (epoll, (from, to)) = (new_epoll()?, new_pipe()?);
        add(&epoll, &to, 1, EventFlags::OUT)?;
        drop(from);
        ready(&epoll)
    });
    step("an epoll in an epoll", || {
        let (outer, inner, (from, to)) = (new_epoll()?, new_epoll()?, new_pipe()?);
        add(&outer, &inner, 9, EventFlags::IN)?;
        add(&inner, &from, 1, EventFlags::IN)?;
        let before = ready(&outer)?;
        write(&to, b"a")?;
        Ok((before, ready(&outer)?))
    });
}

fn registration() {
    step("the same file twice", || {
        let (epoll, (from, _to)) = (new_epoll()?, new_pipe()?);
        add(&epoll, &from, 1, EventFlags::IN)?;
        add(&epoll, &from, 1, EventFlags::IN)
    });
    step("a duplicate is another file", || {
        let (epoll, (from, to)) = (new_epoll()?, new_pipe()?);
        let second = from.try_clone()?;
        add(&epoll, &from, 1, EventFlags::IN)?;
        add(&epoll, &second, 2, EventFlags::IN)?;
        write(&to, b"a")?;
        ready(&epoll)
    });
    step("change what is not there", || {
        let (epoll, (from, _to)) = (new_epoll()?, new_pipe()?);
        Ok(epoll::modify(
            &epoll,
            &from,
            EventData::new_u64(1),
            EventFlags::IN,
        )?)
    });
    step("delete what is not there", || {
        let (epoll, (from, _to)) = (new_epoll()?, new_pipe()?);
        Ok(epoll::delete(&epoll, &from)?)
    });
    step("deleted is not reported", || {
        let (epoll, (from, to)) = (new_epoll()?, new_pipe()?);
        add(&epoll, &from, 1, EventFlags::IN)?;
        write(&to, b"a")?;
        epoll::delete(&epoll, &from)?;
        ready(&epoll)
    });
    step("closed is not reported", || {
        let (epoll, (from, to)) = (new_epoll()?, new_pipe()?);
        add(&epoll, &from, 1, EventFlags::IN)?;
        write(&to, b"a")?;
        drop(from);
        ready(&epoll)
    });
    step("a regular file", || {
        let file = std::fs::File::create("file")?;
        add(&new_epoll()?, &file.into(), 1, EventFlags::IN)
    });
    step("itself", || {
        let epoll = new_epoll()?;
        add(&epoll, &epoll, 1, EventFlags::IN)
    });
    step("not an epoll", || {
        let (from, to) = new_pipe()?;
        add(&from, &to, 1, EventFlags::IN)
    });
}

fn waiting() {
    step("a wait ends with its time", || {
        let epoll = new_epoll()?;
        takes_about(PAUSE, || {
            wait(
                &epoll,
                Some(&Timespec {
                    tv_sec: 0,
                    tv_nsec: 30_000_000,
                }),
            )
            .map(drop)
        })
    });
    step("a wait ends with an event", || {
        let (epoll, (from, to)) = (new_epoll()?, new_pipe()?);
        add(&epoll, &from, 5, EventFlags::IN)?;
        let writer = thread::spawn(move || {
            thread::sleep(PAUSE);
            write(&to, b"x").map(|_| to)
        });
        let found = wait(&epoll, None)?;
        drop(writer.join());
        Ok(found)
    });
    step("a wait sees what is added meanwhile", || {
        let (epoll, (from, to)) = (new_epoll()?, new_pipe()?);
        write(&to, b"x")?;
        thread::scope(|scope| {
            let adder = scope.spawn(|| {
                thread::sleep(PAUSE);
                add(&epoll, &from, 6, EventFlags::IN)
            });
            let found = wait(&epoll, None)?;
            drop(adder.join());
            Ok(found)
        })
    });
    step("no room for events", || {
        let epoll = new_epoll()?;
        let mut none: [Event; 0] = [];
        Ok(epoll::wait(&epoll, &mut none, Some(&AT_ONCE))?)
    });
}

fn counter_value(fd: impl AsFd) -> io::Result<u64> {
    let mut bytes = [0; 8];
    read(fd, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn event_counters() {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    step("a counter adds up and resets", || {
        let counter = eventfd(3, flags)?;
        write(&counter, &4_u64.to_le_bytes())?;
        let value = counter_value(&counter)?;
        Ok((value, read(&counter, &mut [0; 8]) == Err(Errno::AGAIN)))
    });
    step("a semaphore counts down", || {
        let counter = eventfd(2, flags | EventfdFlags::SEMAPHORE)?;
        let values = (counter_value(&counter)?, counter_value(&counter)?);
        Ok((values, read(&counter, &mut [0; 8]) == Err(Errno::AGAIN)))
    });
    step("a counter in an epoll", || {
        let (epoll, counter) = (new_epoll()?, eventfd(0, flags)?);
        add(&epoll, &counter, 1, EventFlags::IN | EventFlags::OUT)?;
        let zero = ready(&epoll)?;
        write(&counter, &1_u64.to_le_bytes())?;
        Ok((zero, ready(&epoll)?))
    });
    step("a full counter", || {
        let counter = eventfd(0, flags)?;
        write(&counter, &(u64::MAX - 1).to_le_bytes())?;
        Ok(write(&counter, &1_u64.to_le_bytes())?)
    });
    step("too small a buffer", || {
        Ok(read(eventfd(1, flags)?, &mut [0; 4])?)
    });
}

fn new_timer() -> io::Result<OwnedFd> {
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    Ok(timerfd_create(TimerfdClockId::Monotonic, flags)?)
}

fn set(timer: &OwnedFd, first: Duration, again: Duration) -> io::Result<()> {
    let time = |duration: Duration| Timespec {
        tv_sec: 0,
        tv_nsec: duration.subsec_nanos().into(),
    };
    let times = Itimerspec {
        it_interval: time(again),
        it_value: time(first),
    };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &times)?;
    Ok(())
}

fn timers() {
    step("a timer that is not set", || {
        let timer = new_timer()?;
        let left = timerfd_gettime(&timer)?.it_value;
        Ok((
            left.tv_sec,
            left.tv_nsec,
            read(&timer, &mut [0; 8]) == Err(Errno::AGAIN),
        ))
    });
    step("a timer wakes an epoll once", || {
        let (epoll, timer) = (new_epoll()?, new_timer()?);
        add(&epoll, &timer, 1, EventFlags::IN)?;
        set(&timer, PAUSE, Duration::ZERO)?;
        let mut found = Vec::new();
        let in_time = takes_about(PAUSE, || {
            found = wait(&epoll, None)?;
            Ok(())
        })?;
        let expirations = counter_value(&timer)?;
        Ok((in_time, found, expirations, ready(&epoll)?))
    });
    step("a timer repeats", || {
        let (epoll, timer) = (new_epoll()?, new_timer()?);
        add(&epoll, &timer, 1, EventFlags::IN)?;
        set(&timer, PAUSE, PAUSE)?;
        wait(&epoll, None)?;
        counter_value(&timer)?;
        wait(&epoll, None)?;
        Ok(counter_value(&timer)? >= 1)
    });
    step("missed expirations are counted", || {
        let timer = new_timer()?;
        set(&timer, Duration::from_millis(1), Duration::from_millis(1))?;
        thread::sleep(PAUSE);
        Ok(counter_value(&timer)? >= 20)
    });
    step("a timer set back is not ready", || {
        let (epoll, timer) = (new_epoll()?, new_timer()?);
        add(&epoll, &timer, 1, EventFlags::IN)?;
        set(&timer, Duration::from_millis(1), Duration::ZERO)?;
        thread::sleep(PAUSE);
        let expired = ready(&epoll)?;
        set(&timer, Duration::from_millis(900), Duration::ZERO)?;
        let left = timerfd_gettime(&timer)?.it_value;
        Ok((expired, ready(&epoll)?, left.tv_nsec > 500_000_000))
    });
    step("an absolute time that has passed", || {
        let timer = new_timer()?;
        let past = Timespec {
            tv_sec: 0,
            tv_nsec: 1,
        };
        let times = Itimerspec {
            it_interval: AT_ONCE,
            it_value: past,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &times)?;
        counter_value(&timer)
    });
}
