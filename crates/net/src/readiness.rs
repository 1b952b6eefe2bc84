//! The readiness of one socket, readable without the stack's lock.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use vfs::{Events, WaitQueue};

/// What is ready, and who wants to know.
#[derive(Default)]
pub(crate) struct Readiness {
    queue: WaitQueue,
    events: AtomicU32,
}

impl Readiness {
    pub(crate) fn new(events: Events) -> Arc<Self> {
        Arc::new(Self {
            queue: WaitQueue::new(),
            events: AtomicU32::new(events.bits()),
        })
    }

    pub(crate) fn events(&self) -> Events {
        Events::from_bits_retain(self.events.load(Ordering::Acquire))
    }

    pub(crate) fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    /// Stores what is ready now and returns what was not before.
    fn replace(&self, events: Events) -> Events {
        let before = self.events.swap(events.bits(), Ordering::AcqRel);
        events.difference(Events::from_bits_retain(before))
    }
}

/// The wake-ups that are due once the stack's lock is released. There is rarely more than one,
/// and the first takes no allocation.
#[derive(Default)]
pub(crate) struct Wakes {
    first: Option<Wake>,
    more: Vec<Wake>,
}

type Wake = (Arc<Readiness>, Events);

impl Wakes {
    /// Stores the readiness of a socket; waiters hear of events that were not ready before.
    pub(crate) fn update(&mut self, readiness: &Arc<Readiness>, events: Events) {
        let risen = readiness.replace(events);
        if !risen.is_empty() {
            self.push((readiness.clone(), risen));
        }
    }

    /// Tells waiters of something that is an event rather than a state.
    pub(crate) fn announce(&mut self, readiness: &Arc<Readiness>) {
        self.push((readiness.clone(), Events::IN));
    }

    fn push(&mut self, wake: Wake) {
        match self.first {
            None => self.first = Some(wake),
            Some(_) => self.more.push(wake),
        }
    }

    pub(crate) fn take(&mut self) -> Self {
        core::mem::take(self)
    }

    pub(crate) fn deliver(self) {
        for (readiness, events) in self.first.into_iter().chain(self.more) {
            readiness.queue.wake(events);
        }
    }
}
