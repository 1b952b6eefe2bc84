//! Advisory locks of one file: flock(2) and the record locks of fcntl(2).

use alloc::vec::Vec;

use spin::Mutex;

use crate::{Errno, Events, WaitQueue};

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOwner {
    /// A process, by its identifier (`F_SETLK`).
    Process(u64),
    /// An open file description, by [`OpenFile::lock_owner`](crate::OpenFile::lock_owner)
    /// (`F_OFD_SETLK`, flock(2)).
    Description(u64),
}

/// A lock on a range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLock {
    /// Who holds it.
    pub owner: LockOwner,
    /// First byte.
    pub start: u64,
    /// Last byte; `u64::MAX` for "to the end, however far that is".
    pub last: u64,
    /// A write lock (`F_WRLCK`) rather than a read lock (`F_RDLCK`).
    pub exclusive: bool,
}

impl RecordLock {
    fn overlaps(&self, start: u64, last: u64) -> bool {
        self.start <= last && start <= self.last
    }

    fn conflicts_with(&self, other: &Self) -> bool {
        self.owner != other.owner
            && (self.exclusive || other.exclusive)
            && self.overlaps(other.start, other.last)
    }

    /// What is left of the lock outside `start..=last`.
    fn without(self, start: u64, last: u64) -> impl Iterator<Item = Self> {
        let before = (self.start < start).then(|| Self {
            last: self.last.min(start.wrapping_sub(1)),
            ..self
        });
        let after = (self.last > last).then(|| Self {
            start: self.start.max(last.wrapping_add(1)),
            ..self
        });
        before.into_iter().chain(after)
    }
}

/// The advisory locks of one file. Nothing blocks: after `EAGAIN`, wait on
/// [`wait_queue`](Self::wait_queue) and try again.
#[derive(Default)]
pub struct FileLocks {
    held: Mutex<Held>,
    queue: WaitQueue,
}

#[derive(Default)]
struct Held {
    records: Vec<RecordLock>,
    /// flock(2): owner and whether exclusively.
    whole: Vec<(LockOwner, bool)>,
}

impl FileLocks {
    /// Takes a record lock, replacing what the owner holds in that range.
    ///
    /// # Errors
    /// `EAGAIN` if another owner's lock is in the way.
    pub fn lock_record(&self, lock: RecordLock) -> Result<(), Errno> {
        let mut held = self.held.lock();
        if held.records.iter().any(|other| other.conflicts_with(&lock)) {
            return Err(Errno::EAGAIN);
        }
        held.cut(lock.owner, lock.start, lock.last);
        held.records.push(lock);
        drop(held);
        // A write lock may have become a read lock.
        self.queue.wake(Events::all());
        Ok(())
    }

    /// Gives up what `owner` holds of the bytes `start..=last`.
    pub fn unlock_record(&self, owner: LockOwner, start: u64, last: u64) {
        self.held.lock().cut(owner, start, last);
        self.queue.wake(Events::all());
    }

    /// A lock that is in the way of `lock` (`F_GETLK`).
    pub fn conflicting_record(&self, lock: &RecordLock) -> Option<RecordLock> {
        let held = self.held.lock();
        held.records
            .iter()
            .find(|other| other.conflicts_with(lock))
            .copied()
    }

    /// flock(2) with `LOCK_SH` or `LOCK_EX`; a lock held already is converted.
    ///
    /// # Errors
    /// `EAGAIN` (`EWOULDBLOCK`) if another owner's lock is in the way.
    pub fn lock_whole(&self, owner: LockOwner, exclusive: bool) -> Result<(), Errno> {
        let mut held = self.held.lock();
        let blocked =
            |(other, theirs): &(LockOwner, bool)| *other != owner && (exclusive || *theirs);
        if held.whole.iter().any(blocked) {
            return Err(Errno::EAGAIN);
        }
        held.whole.retain(|(other, _)| *other != owner);
        held.whole.push((owner, exclusive));
        drop(held);
        self.queue.wake(Events::all());
        Ok(())
    }

    /// flock(2) with `LOCK_UN`.
    pub fn unlock_whole(&self, owner: LockOwner) {
        self.held.lock().whole.retain(|(other, _)| *other != owner);
        self.queue.wake(Events::all());
    }

    /// Gives up everything `owner` holds: a process closed one of its descriptors of the file
    /// (fcntl_locking(2)), or an open file description ended.
    pub fn release(&self, owner: LockOwner) {
        let mut held = self.held.lock();
        held.records.retain(|lock| lock.owner != owner);
        held.whole.retain(|(other, _)| *other != owner);
        drop(held);
        self.queue.wake(Events::all());
    }

    /// Woken whenever a lock was given up or weakened.
    pub fn wait_queue(&self) -> &WaitQueue {
        &self.queue
    }
}

impl Held {
    fn cut(&mut self, owner: LockOwner, start: u64, last: u64) {
        let (own, mut kept): (Vec<_>, Vec<_>) = self
            .records
            .drain(..)
            .partition(|lock| lock.owner == owner && lock.overlaps(start, last));
        kept.extend(own.into_iter().flat_map(|lock| lock.without(start, last)));
        self.records = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::{FileLocks, LockOwner, RecordLock};
    use crate::Errno;

    const A: LockOwner = LockOwner::Process(1);
    const B: LockOwner = LockOwner::Process(2);

    fn record(owner: LockOwner, start: u64, last: u64, exclusive: bool) -> RecordLock {
        RecordLock {
            owner,
            start,
            last,
            exclusive,
        }
    }

    #[test]
    fn records_conflict_only_where_they_overlap() {
        let locks = FileLocks::default();
        locks.lock_record(record(A, 10, 19, true)).unwrap();
        locks.lock_record(record(B, 20, u64::MAX, true)).unwrap();
        assert_eq!(
            locks.lock_record(record(B, 0, 10, false)),
            Err(Errno::EAGAIN)
        );
        assert_eq!(
            locks.conflicting_record(&record(B, 0, 10, false)),
            Some(record(A, 10, 19, true))
        );
    }

    #[test]
    fn unlocking_the_middle_splits() {
        let locks = FileLocks::default();
        locks.lock_record(record(A, 0, u64::MAX, true)).unwrap();
        locks.unlock_record(A, 10, 19);
        assert!(locks.lock_record(record(B, 10, 19, true)).is_ok());
        assert!(locks.lock_record(record(B, 9, 9, false)).is_err());
        assert!(locks.lock_record(record(B, 20, 20, false)).is_err());
        locks.release(A);
        assert!(locks.lock_record(record(B, 0, u64::MAX, true)).is_ok());
    }

    #[test]
    fn own_lock_can_be_weakened() {
        let locks = FileLocks::default();
        locks.lock_record(record(A, 0, 9, true)).unwrap();
        locks.lock_record(record(A, 0, 9, false)).unwrap();
        assert!(locks.lock_record(record(B, 0, 9, false)).is_ok());
    }

    #[test]
    fn whole_file_locks_share_and_exclude() {
        let locks = FileLocks::default();
        locks.lock_whole(A, false).unwrap();
        locks.lock_whole(B, false).unwrap();
        assert_eq!(locks.lock_whole(A, true), Err(Errno::EAGAIN));
        locks.unlock_whole(B);
        assert!(locks.lock_whole(A, true).is_ok());
    }
}
