//! Deadlines of sockets, earliest first.

use alloc::collections::BTreeSet;

use smoltcp::time::Instant;

use crate::slab::Id;

/// An ordered set of deadlines.
///
/// Timers are lazy: a deadline that moves to later keeps its entry, and the socket is looked at
/// once too early. That saves two tree operations per packet on busy connections.
#[derive(Default)]
pub(crate) struct Timers(BTreeSet<(Instant, Id)>);

impl Timers {
    /// Moves the entry of `id` (recorded in `armed`) so that it fires no later than `wanted`.
    pub(crate) fn arm(&mut self, id: Id, armed: &mut Option<Instant>, wanted: Option<Instant>) {
        let Some(wanted) = wanted else { return };
        match *armed {
            Some(at) if at <= wanted => {}
            before => {
                if let Some(at) = before {
                    self.0.remove(&(at, id));
                }
                self.0.insert((wanted, id));
                *armed = Some(wanted);
            }
        }
    }

    pub(crate) fn disarm(&mut self, id: Id, armed: &mut Option<Instant>) {
        if let Some(at) = armed.take() {
            self.0.remove(&(at, id));
        }
    }

    /// Removes and returns an entry that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Id> {
        let first = self.0.first().copied()?;
        if first.0 > now {
            return None;
        }
        self.0.remove(&first);
        Some(first.1)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }
}
