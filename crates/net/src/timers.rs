//! Deadlines of sockets, earliest first.

use alloc::collections::BTreeSet;

use smoltcp::time::Instant;

use crate::slab::Id;

/// An ordered set of deadlines.
///
/// Timers are lazy: a deadline that moves to later keeps its entry, and the socket is looked at
/// once too early. That saves two tree operations per packet on busy connections.
#[derive(Default)]
pub(crate) struct Timers {
    entries: BTreeSet<(Instant, Id)>,
    /// The first of them, which is asked for more often than it changes.
    first: Option<(Instant, Id)>,
}

impl Timers {
    /// Moves the entry of `id` (recorded in `armed`) so that it fires no later than `wanted`.
    pub(crate) fn arm(&mut self, id: Id, armed: &mut Option<Instant>, wanted: Option<Instant>) {
        let Some(wanted) = wanted else { return };
        if armed.is_some_and(|at| at <= wanted) {
            return;
        }
        self.disarm(id, armed);
        self.entries.insert((wanted, id));
        self.first = self.entries.first().copied();
        *armed = Some(wanted);
    }

    pub(crate) fn disarm(&mut self, id: Id, armed: &mut Option<Instant>) {
        if let Some(at) = armed.take() {
            self.remove((at, id));
        }
    }

    fn remove(&mut self, entry: (Instant, Id)) {
        self.entries.remove(&entry);
        self.first = self.entries.first().copied();
    }

    /// Removes and returns an entry that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Id> {
        let first = self.first.filter(|(at, _)| *at <= now)?;
        self.remove(first);
        Some(first.1)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.first.map(|(at, _)| at)
    }
}
