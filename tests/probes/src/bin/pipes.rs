//! Pipes and waiting on them.

use probes::{step, takes_about};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, ioctl_fionread, read, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::time::Timespec;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

type Pipe = (OwnedFd, OwnedFd);

fn main() {
    content();
    nonblocking();
    ends();
    readiness();
    waiting();
}

fn new_pipe() -> io::Result<Pipe> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

fn new_nonblocking() -> io::Result<Pipe> {
    Ok(pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?)
}

/// What poll(2) says of one descriptor at once.
fn ready(fd: &OwnedFd, events: PollFlags) -> io::Result<PollFlags> {
    let mut entries = [PollFd::new(fd, events)];
    poll(
        &mut entries,
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    )?;
    Ok(entries[0].revents())
}

fn fill(to: &OwnedFd) -> io::Result<usize> {
    let mut total = 0;
    loop {
        match write(to, &[7; 4096]) {
            Ok(count) => total += count,
            Err(Errno::AGAIN) => return Ok(total),
            Err(error) => return Err(error.into()),
        }
    }
}

fn content() {
    step("bytes come out as they went in", || {
        let (from, to) = new_pipe()?;
        write(&to, b"first ")?;
        write(&to, b"second")?;
        let mut bytes = [0; 20];
        let count = read(&from, &mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
    });
    step("a short read leaves the rest", || {
        let (from, to) = new_pipe()?;
        write(&to, b"abcdef")?;
        let mut bytes = [0; 4];
        read(&from, &mut bytes)?;
        Ok((ioctl_fionread(&from)?, read(&from, &mut bytes)?))
    });
    step("a pipe has no position", || {
        let (from, _to) = new_pipe()?;
        Ok(rustix::fs::seek(&from, rustix::fs::SeekFrom::Current(0))?)
    });
    step("pread on a pipe", || {
        let (from, _to) = new_pipe()?;
        Ok(rustix::io::pread(&from, &mut [0; 1], 0)?)
    });
    step("one MiB through a thread", || {
        let (from, to) = new_pipe()?;
        let writer = thread::spawn(move || {
            let bytes: Vec<u8> = (0..1 << 20).map(|n: u32| (n % 251) as u8).collect();
            File::from(to).write_all(&bytes)
        });
        let mut bytes = Vec::new();
        File::from(from).read_to_end(&mut bytes)?;
        writer
            .join()
            .map_err(|_| io::Error::other("writer panicked"))??;
        let right = bytes
            .iter()
            .enumerate()
            .all(|(n, &byte)| byte == (n % 251) as u8);
        Ok((bytes.len(), right))
    });
}

fn nonblocking() {
    step("an empty pipe", || {
        let (from, _to) = new_nonblocking()?;
        Ok(read(&from, &mut [0; 1])?)
    });
    step("a full pipe takes 64 KiB", || {
        let (_from, to) = new_nonblocking()?;
        fill(&to)
    });
    step("a full pipe takes again after a read of a page", || {
        let (from, to) = new_nonblocking()?;
        fill(&to)?;
        read(&from, &mut [0; 4096])?;
        fill(&to)
    });
    step("flags can be changed", || {
        let (from, _to) = new_pipe()?;
        let before = fcntl_getfl(&from)?.contains(OFlags::NONBLOCK);
        fcntl_setfl(&from, OFlags::NONBLOCK)?;
        let after = fcntl_getfl(&from)?.contains(OFlags::NONBLOCK);
        Ok((before, after, read(&from, &mut [0; 1]) == Err(Errno::AGAIN)))
    });
    step("each end has its own flags", || {
        let (from, to) = new_pipe()?;
        fcntl_setfl(&from, OFlags::NONBLOCK)?;
        Ok(fcntl_getfl(&to)?.contains(OFlags::NONBLOCK))
    });
}

fn ends() {
    step("no writer is the end", || {
        let (from, to) = new_pipe()?;
        write(&to, b"x")?;
        drop(to);
        Ok((read(&from, &mut [0; 4])?, read(&from, &mut [0; 4])?))
    });
    step("a duplicate keeps the pipe open", || {
        let (from, to) = new_nonblocking()?;
        let second = to.try_clone()?;
        drop(to);
        let open = read(&from, &mut [0; 1]) == Err(Errno::AGAIN);
        drop(second);
        Ok((open, read(&from, &mut [0; 1])?))
    });
    step("no reader", || {
        let (from, to) = new_pipe()?;
        drop(from);
        Ok(write(&to, b"x")?)
    });
    step("the wrong end", || {
        let (from, to) = new_pipe()?;
        let reading = read(&to, &mut [0; 1]) == Err(Errno::BADF);
        Ok((reading, write(&from, b"x") == Err(Errno::BADF)))
    });
}

fn readiness() {
    let all = PollFlags::IN | PollFlags::OUT;
    step("an empty pipe is ready for", || {
        let (from, to) = new_pipe()?;
        Ok((ready(&from, all)?, ready(&to, all)?))
    });
    step("a pipe with content is ready for", || {
        let (from, to) = new_pipe()?;
        write(&to, b"x")?;
        Ok((ready(&from, all)?, ready(&to, all)?))
    });
    step("a full pipe is ready for", || {
        let (from, to) = new_nonblocking()?;
        fill(&to)?;
        Ok((ready(&from, all)?, ready(&to, all)?))
    });
    step("without writer", || {
        let (from, to) = new_pipe()?;
        drop(to);
        ready(&from, all)
    });
    step("without writer, with content", || {
        let (from, to) = new_pipe()?;
        write(&to, b"x")?;
        drop(to);
        ready(&from, all)
    });
    step("without reader", || {
        let (from, to) = new_pipe()?;
        drop(from);
        ready(&to, all)
    });
}

fn waiting() {
    let pause = Duration::from_millis(30);
    step("a read waits for a write", || {
        let (from, to) = new_pipe()?;
        let writer = thread::spawn(move || {
            thread::sleep(pause);
            write(&to, b"late")
        });
        let mut count = 0;
        let waited = takes_about(pause / 2, || {
            count = read(&from, &mut [0; 8])?;
            Ok(())
        })?;
        drop(writer.join());
        Ok((waited, count))
    });
    step("a write waits for room", || {
        let (from, to) = new_nonblocking()?;
        fill(&to)?;
        fcntl_setfl(&to, OFlags::empty())?;
        let reader = thread::spawn(move || {
            thread::sleep(pause);
            read(&from, &mut [0; 65536]).map(|count| (count, from))
        });
        let waited = takes_about(pause / 2, || {
            write(&to, &[1; 100]).map(drop).map_err(Into::into)
        })?;
        drop(reader.join());
        Ok(waited)
    });
    step("poll waits for a time", || {
        let (from, _to) = new_pipe()?;
        takes_about(pause, || {
            let time = Timespec {
                tv_sec: 0,
                tv_nsec: 30_000_000,
            };
            poll(&mut [PollFd::new(&from, PollFlags::IN)], Some(&time))?;
            Ok(())
        })
    });
    step("poll waits for a write", || {
        let (from, to) = new_pipe()?;
        let writer = thread::spawn(move || {
            thread::sleep(pause);
            write(&to, b"late").map(|_| to)
        });
        let mut entries = [PollFd::new(&from, PollFlags::IN)];
        let count = poll(&mut entries, None)?;
        let events = entries[0].revents();
        drop(writer.join());
        Ok((count, events))
    });
}
