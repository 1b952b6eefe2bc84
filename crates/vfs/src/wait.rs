//! Wait queues: how an object tells whoever waits that its readiness changed.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use spin::Mutex;

use crate::Events;

/// Something that wants to know about readiness: a blocked task or an epoll entry.
pub trait Waiter: Send + Sync {
    /// Called on every change with the events that may now be ready. Must not call back into the
    /// queue that is calling, and must not block.
    fn wake(&self, events: Events);
}

/// Waiters that are woken without allocating.
const FEW: usize = 4;
/// Room for waiters that a queue keeps although nobody waits.
const SPARE: usize = 64;

/// The waiters of one object.
///
/// The queue's own lock is not held while waiters are woken. Objects release their state lock
/// before calling [`wake`](Self::wake), so that a waiter may ask the object for its readiness.
#[derive(Default)]
pub struct WaitQueue {
    waiters: Mutex<Vec<Weak<dyn Waiter>>>,
}

impl WaitQueue {
    /// A queue nobody waits on.
    pub const fn new() -> Self {
        Self {
            waiters: Mutex::new(Vec::new()),
        }
    }

    /// Adds a waiter; it stays until [`remove`](Self::remove)d or dropped. Adding it before
    /// checking the condition closes the lost wake-up window.
    pub fn add(&self, waiter: Weak<dyn Waiter>) {
        let mut waiters = self.waiters.lock();
        // Only when it would grow: one poll(2) may add itself thousands of times.
        if waiters.len() == waiters.capacity() {
            waiters.retain(|known| known.strong_count() > 0);
        }
        waiters.push(waiter);
    }

    /// Removes a waiter added before; unknown waiters are ignored.
    pub fn remove(&self, waiter: &Weak<dyn Waiter>) {
        let mut waiters = self.waiters.lock();
        waiters.retain(|known| !Weak::ptr_eq(known, waiter));
        if waiters.capacity() > SPARE && waiters.len() < waiters.capacity() / 4 {
            let room = waiters.len() * 2;
            waiters.shrink_to(room.max(SPARE));
        }
    }

    /// Tells every waiter that `events` may be ready now.
    pub fn wake(&self, events: Events) {
        // Outside the lock, as dropping the last reference to a waiter may run any code. Few
        // wait at once as a rule, so that mostly nothing is allocated.
        let mut few: [Option<Arc<dyn Waiter>>; FEW] = [const { None }; FEW];
        let mut more = Vec::new();
        {
            let queue = self.waiters.lock();
            if queue.is_empty() {
                return;
            }
            let mut waiters = queue.iter().filter_map(Weak::upgrade);
            for (place, waiter) in few.iter_mut().zip(&mut waiters) {
                *place = Some(waiter);
            }
            more.extend(waiters);
        }
        for waiter in few.into_iter().flatten().chain(more) {
            waiter.wake(events);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{Events, SPARE, WaitQueue, Waiter, Weak};

    struct Count(AtomicUsize);

    impl Waiter for Count {
        fn wake(&self, _events: Events) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn room_for_many_waiters_is_given_back() {
        let queue = WaitQueue::new();
        let waiter = Arc::new(Count(AtomicUsize::new(0)));
        let weak: Weak<dyn Waiter> = Arc::downgrade(&waiter) as _;
        for _ in 0..1000 {
            queue.add(weak.clone());
        }
        queue.wake(Events::IN);
        assert_eq!(waiter.0.load(Ordering::Relaxed), 1000);
        queue.remove(&weak);
        assert!(queue.waiters.lock().capacity() <= SPARE);
        queue.wake(Events::IN);
        assert_eq!(waiter.0.load(Ordering::Relaxed), 1000);
    }

    #[test]
    fn waiters_that_are_gone_make_room_for_others() {
        let queue = WaitQueue::new();
        for _ in 0..1000 {
            let waiter = Arc::new(Count(AtomicUsize::new(0)));
            let weak: Weak<dyn Waiter> = Arc::downgrade(&waiter) as _;
            queue.add(weak);
        }
        assert!(queue.waiters.lock().len() <= SPARE);
    }
}
