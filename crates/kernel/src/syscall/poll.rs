//! poll(2), select(2) and their relatives.

use alloc::sync::{Arc, Weak};
use alloc::vec;
use alloc::vec::Vec;

use linux_abi::Errno;
use linux_abi::layout::{Layout, PollFd, TimeVal};
use vfs::{Events, OpenFile, Waiter};

use super::{Call, Result};
use crate::clock;
use crate::task::SignalSet;
use crate::wait::Interruption;

/// `POLLNVAL`: the descriptor is not open.
const NVAL: i16 = 0x20;
/// `POLLRDNORM` and `POLLWRNORM`, which mean the same as `POLLIN` and `POLLOUT` here.
const READ_NORMAL: u32 = 0x40;
const WRITE_NORMAL: u32 = 0x100;
/// Most descriptors of one call: the limit of open files.
const MAX_DESCRIPTORS: u64 = 65_536;
/// For as many, the list of what is watched need not grow.
const USUAL: u64 = 16;
/// `FD_SETSIZE`.
const MAX_SELECT: u64 = 1024;

/// What one descriptor is watched for, and how it is ready.
struct Watched {
    /// The file; what to answer where there is none.
    file: core::result::Result<Arc<OpenFile>, i16>,
    wanted: u32,
    ready: i16,
}

impl Watched {
    fn new(file: core::result::Result<Arc<OpenFile>, i16>, wanted: u32) -> Self {
        Self {
            file,
            wanted,
            ready: 0,
        }
    }

    /// Whether it is ready now.
    fn look(&mut self) -> bool {
        self.ready = match &self.file {
            Ok(file) => self.readiness(file),
            Err(answer) => *answer,
        };
        self.ready != 0
    }

    fn readiness(&self, file: &OpenFile) -> i16 {
        let mut bits = file.file().poll().bits();
        if bits & Events::IN.bits() != 0 {
            bits |= READ_NORMAL;
        }
        if bits & Events::OUT.bits() != 0 {
            bits |= WRITE_NORMAL;
        }
        let always = (Events::ERR | Events::HUP).bits();
        (bits & (self.wanted | always)) as i16
    }
}

/// Waits until one of `watched` is ready; returns how many are.
fn wait(c: &Call<'_>, watched: &mut [Watched], deadline: Option<u64>) -> Result<usize> {
    let look = |watched: &mut [Watched]| watched.iter_mut().map(|w| usize::from(w.look())).sum();
    let ready = look(watched);
    if ready > 0 {
        return Ok(ready);
    }
    let weak: Weak<dyn Waiter> = Arc::downgrade(c.task) as _;
    let files: Vec<_> = watched.iter().filter_map(|w| w.file.clone().ok()).collect();
    let queues = || files.iter().filter_map(|file| file.file().wait_queue());
    queues().for_each(|queue| queue.add(weak.clone()));
    let result = c.task.wait_for(deadline, || match look(watched) {
        0 => None,
        ready => Some(ready),
    });
    queues().for_each(|queue| queue.remove(&weak));
    match result {
        Ok(ready) => Ok(ready),
        Err(Interruption::TimedOut) => Ok(0),
        Err(Interruption::Signal) => Err(Errno::EINTR),
    }
}

fn poll_until(c: &Call<'_>, fds: u64, count: u64, deadline: Option<u64>) -> Result {
    if count > MAX_DESCRIPTORS {
        return Err(Errno::EINVAL);
    }
    let memory = c.memory();
    let entry = |index: u64| fds.wrapping_add(index * PollFd::SIZE as u64);
    let mut watched = Vec::with_capacity(count.min(USUAL) as usize);
    for index in 0..count {
        let asked = PollFd::decode(&memory.read_array(entry(index))?);
        // Negative descriptors are passed over.
        let file = match asked.fd {
            0.. => c.file(asked.fd as u64).map_err(|_| NVAL),
            _ => Err(0),
        };
        watched.push(Watched::new(file, (asked.events as u16).into()));
    }
    let ready = wait(c, &mut watched, deadline)?;
    let (_, revents, _) = PollFd::FIELDS[2];
    for (index, watched) in (0..).zip(&watched) {
        let place = entry(index).wrapping_add(revents as u64);
        memory.write(place, &watched.ready.to_le_bytes())?;
    }
    Ok(ready as u64)
}

pub(super) fn poll(c: &mut Call<'_>, fds: u64, count: u64, milliseconds: u64) -> Result {
    let timeout = milliseconds as i32;
    let deadline = (timeout >= 0).then(|| clock::now().saturating_add(timeout as u64 * 1_000_000));
    poll_until(c, fds, count, deadline)
}

/// Sets the mask for the time of the call, if one is given.
pub(super) fn set_mask(c: &Call<'_>, mask: u64, size: u64) -> Result<()> {
    if mask == 0 {
        return Ok(());
    }
    if size != 8 {
        return Err(Errno::EINVAL);
    }
    let mask = c.memory().read_u64(mask)?;
    c.task.set_blocked_for_call(SignalSet(mask));
    Ok(())
}

pub(super) fn ppoll(
    c: &mut Call<'_>,
    fds: u64,
    count: u64,
    timeout: u64,
    mask: u64,
    size: u64,
) -> Result {
    let deadline = c.deadline(timeout)?;
    set_mask(c, mask, size)?;
    let result = poll_until(c, fds, count, deadline);
    if mask != 0 {
        c.task.restore_blocked_after_call(&result);
    }
    result
}

/// One `fd_set`: a bit for each descriptor.
fn read_set(c: &Call<'_>, address: u64, count: u64) -> Result<Vec<u8>> {
    let size = count.div_ceil(64) as usize * 8;
    if address == 0 {
        Ok(vec![0; size])
    } else {
        c.memory().read_bytes(address, size)
    }
}

fn select_until(c: &Call<'_>, count: u64, sets: [u64; 3], deadline: Option<u64>) -> Result {
    if count > MAX_SELECT {
        return Err(Errno::EINVAL);
    }
    // What each set asks for, and which readiness sets its bit (select(2), notes).
    let kinds = [
        (Events::IN, Events::IN | Events::HUP | Events::ERR),
        (Events::OUT, Events::OUT | Events::ERR),
        (Events::PRI, Events::PRI),
    ];
    let given = [
        read_set(c, sets[0], count)?,
        read_set(c, sets[1], count)?,
        read_set(c, sets[2], count)?,
    ];
    let has = |set: &[u8], fd: u64| set[fd as usize / 8] >> (fd % 8) & 1 == 1;
    let mut watched = Vec::new();
    let mut numbers = Vec::new();
    for fd in 0..count {
        let wanted = (0..3).filter(|&kind| has(&given[kind], fd));
        let wanted = wanted.fold(0, |bits, kind| bits | kinds[kind].0.bits());
        if wanted != 0 {
            watched.push(Watched::new(Ok(c.file(fd)?), wanted));
            numbers.push(fd);
        }
    }
    wait(c, &mut watched, deadline)?;
    let mut total = 0;
    for (kind, (given, address)) in given.iter().zip(sets).enumerate() {
        if address == 0 {
            continue;
        }
        let mut result = vec![0u8; given.len()];
        for (&fd, watched) in numbers.iter().zip(&watched) {
            if has(given, fd) && u32::from(watched.ready as u16) & kinds[kind].1.bits() != 0 {
                result[fd as usize / 8] |= 1 << (fd % 8);
                total += 1;
            }
        }
        c.memory().write(address, &result)?;
    }
    Ok(total)
}

pub(super) fn select(
    c: &mut Call<'_>,
    count: u64,
    read: u64,
    write: u64,
    except: u64,
    timeout: u64,
) -> Result {
    let deadline = match timeout {
        0 => None,
        address => {
            let time = c
                .read::<TimeVal>(address)?
                .nanoseconds()
                .ok_or(Errno::EINVAL)?;
            Some(clock::now().saturating_add(time))
        }
    };
    let result = select_until(c, count, [read, write, except], deadline);
    if let Some(deadline) = deadline {
        // Linux stores the time that was left.
        let left = deadline.saturating_sub(clock::now());
        c.write(timeout, &TimeVal::from_nanoseconds(left))?;
    }
    result
}

pub(super) fn pselect6(
    c: &mut Call<'_>,
    count: u64,
    read: u64,
    write: u64,
    except: u64,
    timeout: u64,
    mask: u64,
) -> Result {
    let deadline = c.deadline(timeout)?;
    if mask != 0 {
        // The sixth argument points to the mask's address and size.
        let (set, size) = (c.memory().read_u64(mask)?, c.memory().read_u64(mask + 8)?);
        set_mask(c, set, size)?;
    }
    let result = select_until(c, count, [read, write, except], deadline);
    c.task.restore_blocked_after_call(&result);
    result
}
