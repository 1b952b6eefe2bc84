//! eventfd(2).

use alloc::sync::Arc;
use core::any::Any;

use spin::Mutex;

use crate::{Errno, Events, File, FileKind, OpenFile, OpenFlags, Sink, Source, Stat, WaitQueue};

/// Largest value of the counter: adding up to it is the most that can be written.
const MAX_VALUE: u64 = u64::MAX - 1;
/// A read or write moves one number of this size.
const NUMBER_BYTES: usize = 8;

/// A counter that can be waited on.
pub struct EventFd {
    value: Mutex<u64>,
    semaphore: bool,
    queue: WaitQueue,
}

impl EventFd {
    /// eventfd2(2): a counter that starts at `value`; with `semaphore` (`EFD_SEMAPHORE`) a read
    /// takes one, else all. `flags` are the status flags to open it with.
    pub fn open(value: u32, semaphore: bool, flags: OpenFlags) -> Arc<OpenFile> {
        let file = Arc::new(Self {
            value: Mutex::new(value.into()),
            semaphore,
            queue: WaitQueue::new(),
        });
        OpenFile::new(file, flags | OpenFlags::RDWR)
    }

    fn taken(&self, value: u64) -> u64 {
        if self.semaphore { value.min(1) } else { value }
    }
}

impl File for EventFd {
    fn stat(&self) -> Stat {
        Stat::anonymous(FileKind::Anonymous)
    }

    fn read(&self, to: &mut dyn Sink) -> Result<usize, Errno> {
        if to.remaining() < NUMBER_BYTES {
            return Err(Errno::EINVAL);
        }
        let mut value = self.value.lock();
        let taken = self.taken(*value);
        if taken == 0 {
            return Err(Errno::EAGAIN);
        }
        to.put(&taken.to_le_bytes())?;
        *value -= taken;
        drop(value);
        self.queue.wake(Events::OUT);
        Ok(NUMBER_BYTES)
    }

    fn write(&self, from: &mut dyn Source) -> Result<usize, Errno> {
        let mut number = [0; NUMBER_BYTES];
        if from.remaining() < NUMBER_BYTES || from.take(&mut number)? < NUMBER_BYTES {
            return Err(Errno::EINVAL);
        }
        let added = u64::from_le_bytes(number);
        if added > MAX_VALUE {
            return Err(Errno::EINVAL);
        }
        let mut value = self.value.lock();
        if added > MAX_VALUE - *value {
            return Err(Errno::EAGAIN);
        }
        *value += added;
        drop(value);
        self.queue.wake(Events::IN);
        Ok(NUMBER_BYTES)
    }

    fn poll(&self) -> Events {
        let value = *self.value.lock();
        let mut events = Events::empty();
        events.set(Events::IN, value > 0);
        events.set(Events::OUT, value < MAX_VALUE);
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::EventFd;
    use crate::{Errno, Events, OpenFile, OpenFlags, SliceSource, VecSink};

    fn add(file: &OpenFile, number: u64) -> Result<usize, Errno> {
        file.write(&mut SliceSource(&number.to_le_bytes()))
    }

    fn take(file: &OpenFile) -> Result<u64, Errno> {
        let mut sink = VecSink::new(8);
        file.read(&mut sink)?;
        Ok(u64::from_le_bytes(sink.into_bytes().try_into().unwrap()))
    }

    #[test]
    fn counter_is_taken_whole() {
        let file = EventFd::open(2, false, OpenFlags::empty());
        add(&file, 3).unwrap();
        assert_eq!(take(&file), Ok(5));
        assert_eq!(take(&file), Err(Errno::EAGAIN));
        assert_eq!(file.file().poll(), Events::OUT);
    }

    #[test]
    fn semaphore_is_taken_by_one() {
        let file = EventFd::open(2, true, OpenFlags::empty());
        assert_eq!([take(&file), take(&file)], [Ok(1), Ok(1)]);
        assert_eq!(take(&file), Err(Errno::EAGAIN));
    }

    #[test]
    fn counter_has_a_limit() {
        let file = EventFd::open(0, false, OpenFlags::empty());
        assert_eq!(add(&file, u64::MAX), Err(Errno::EINVAL));
        add(&file, u64::MAX - 1).unwrap();
        assert_eq!(add(&file, 1), Err(Errno::EAGAIN));
        assert_eq!(file.file().poll(), Events::IN);
        assert_eq!(file.read(&mut VecSink::new(7)), Err(Errno::EINVAL));
    }
}
