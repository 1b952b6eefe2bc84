//! Pipes and FIFOs: pipe(7), fifo(7).

use alloc::sync::{Arc, Weak};
use core::any::Any;

use spin::Mutex;

use crate::ring::Ring;
use crate::tree::Node;
use crate::{Errno, Events, File, FileKind, OpenFile, OpenFlags, Sink, Source, Stat, WaitQueue};

/// Bytes a pipe holds unless told otherwise (pipe(7), "Pipe capacity").
const DEFAULT_CAPACITY: usize = 65_536;
/// Largest capacity that `F_SETPIPE_SZ` gives (`/proc/sys/fs/pipe-max-size`).
const MAX_CAPACITY: usize = 1 << 20;
/// Writes up to this size happen whole (`PIPE_BUF`); a pipe is writable when one fits.
const PIPE_BUF: usize = 4096;

/// A byte stream in kernel memory.
pub(crate) struct Pipe {
    state: Mutex<State>,
    queue: WaitQueue,
}

struct State {
    ring: Ring,
    readers: usize,
    writers: usize,
    /// Whether there ever was a reader, or a writer: until then a FIFO waits for it.
    had_reader: bool,
    had_writer: bool,
}

impl Pipe {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                ring: Ring::new(DEFAULT_CAPACITY),
                readers: 0,
                writers: 0,
                had_reader: false,
                had_writer: false,
            }),
            queue: WaitQueue::new(),
        })
    }

    fn end(self: &Arc<Self>, reads: bool, writes: bool) -> Arc<PipeEnd> {
        let mut state = self.state.lock();
        state.readers += usize::from(reads);
        state.writers += usize::from(writes);
        state.had_reader |= reads;
        state.had_writer |= writes;
        Arc::new(PipeEnd {
            pipe: self.clone(),
            reads,
            writes,
            waits_for_peer: false,
        })
    }
}

/// pipe2(2): the reading and the writing end, open with the status flags of `flags`.
pub fn pipe(flags: OpenFlags) -> (Arc<OpenFile>, Arc<OpenFile>) {
    let pipe = Pipe::new();
    let flags = flags.difference(OpenFlags::WRONLY | OpenFlags::RDWR);
    (
        OpenFile::new(pipe.end(true, false), flags),
        OpenFile::new(pipe.end(false, true), flags | OpenFlags::WRONLY),
    )
}

/// One end of a pipe, or both for a FIFO that is open for reading and writing.
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// A FIFO opened to block: instead of the open, the first transfer waits for the other end.
    waits_for_peer: bool,
}

impl PipeEnd {
    /// How many bytes the pipe can hold (`F_GETPIPE_SZ`).
    pub fn capacity(&self) -> usize {
        self.pipe.state.lock().ring.capacity()
    }

    /// Changes how many bytes the pipe can hold and returns what it became (`F_SETPIPE_SZ`).
    ///
    /// # Errors
    /// `EBUSY` if more bytes are in the pipe, `EPERM` above the system's limit.
    pub fn set_capacity(&self, bytes: usize) -> Result<usize, Errno> {
        if bytes > MAX_CAPACITY {
            return Err(Errno::EPERM);
        }
        let capacity = bytes.max(PIPE_BUF).next_power_of_two();
        let mut state = self.pipe.state.lock();
        if state.ring.len() > capacity {
            return Err(Errno::EBUSY);
        }
        state.ring.set_capacity(capacity);
        drop(state);
        self.pipe.queue.wake(Events::OUT);
        Ok(capacity)
    }

    /// How many bytes wait to be read (`FIONREAD`).
    pub fn queued(&self) -> usize {
        self.pipe.state.lock().ring.len()
    }
}

impl File for PipeEnd {
    fn stat(&self) -> Stat {
        Stat::anonymous(FileKind::Fifo)
    }

    fn read(&self, to: &mut dyn Sink) -> Result<usize, Errno> {
        if to.remaining() == 0 {
            return Ok(0);
        }
        let mut state = self.pipe.state.lock();
        if state.ring.len() == 0 {
            let may_still_come = state.writers > 0 || self.waits_for_peer && !state.had_writer;
            return match may_still_come {
                true => Err(Errno::EAGAIN),
                false => Ok(0),
            };
        }
        let was_writable = state.is_writable();
        let count = state.ring.drain(to)?;
        let became_writable = !was_writable && state.is_writable();
        drop(state);
        if became_writable {
            self.pipe.queue.wake(Events::OUT);
        }
        Ok(count)
    }

    fn write(&self, from: &mut dyn Source) -> Result<usize, Errno> {
        let wanted = from.remaining();
        if wanted == 0 {
            return Ok(0);
        }
        let mut state = self.pipe.state.lock();
        if state.readers == 0 {
            return Err(match self.waits_for_peer && !state.had_reader {
                true => Errno::EAGAIN,
                false => Errno::EPIPE,
            });
        }
        let free = state.ring.free();
        if free == 0 || wanted <= PIPE_BUF && wanted > free {
            return Err(Errno::EAGAIN);
        }
        let count = state.ring.fill(from)?;
        drop(state);
        self.pipe.queue.wake(Events::IN);
        Ok(count)
    }

    fn poll(&self) -> Events {
        let state = self.pipe.state.lock();
        let mut events = Events::empty();
        if self.reads {
            events.set(Events::IN, state.ring.len() > 0);
            events.set(Events::HUP, state.writers == 0 && state.had_writer);
        }
        if self.writes {
            events.set(Events::OUT, state.is_writable());
            events.set(Events::ERR, state.readers == 0 && state.had_reader);
        }
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.pipe.queue)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl State {
    fn is_writable(&self) -> bool {
        self.ring.free() >= PIPE_BUF
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let mut state = self.pipe.state.lock();
        state.readers -= usize::from(self.reads);
        state.writers -= usize::from(self.writes);
        drop(state);
        self.pipe
            .queue
            .wake(Events::IN | Events::OUT | Events::HUP | Events::ERR);
    }
}

impl Node {
    /// A FIFO that nobody has open.
    pub(crate) fn new_fifo() -> Self {
        Self::Fifo(Mutex::new(Weak::new()))
    }
}

/// Opens a FIFO. Never blocks: an open that would wait for the other end makes the first
/// transfer wait instead.
///
/// # Errors
/// `ENXIO` for `O_WRONLY | O_NONBLOCK` without a reader.
pub(crate) fn open_fifo(
    current: &Mutex<Weak<Pipe>>,
    flags: OpenFlags,
) -> Result<Arc<dyn File>, Errno> {
    let mut current = current.lock();
    let pipe = current.upgrade().unwrap_or_else(Pipe::new);
    *current = Arc::downgrade(&pipe);
    drop(current);
    let writes = flags.intersects(OpenFlags::WRONLY | OpenFlags::RDWR);
    let reads = !flags.contains(OpenFlags::WRONLY);
    let blocks = !flags.contains(OpenFlags::NONBLOCK);
    if !reads && !blocks && pipe.state.lock().readers == 0 {
        return Err(Errno::ENXIO);
    }
    let mut end = pipe.end(reads, writes);
    if let Some(end) = Arc::get_mut(&mut end) {
        end.waits_for_peer = blocks;
    }
    pipe.queue.wake(Events::IN | Events::OUT);
    Ok(end)
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
