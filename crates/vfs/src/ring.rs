//! A byte queue of bounded size that takes memory only as it fills.

use alloc::vec::Vec;

use crate::{Errno, Sink, Source};

/// The first allocation in bytes.
const FIRST_ALLOCATION: usize = 4096;

/// A first-in first-out queue of bytes.
pub(crate) struct Ring {
    /// The memory; its length is the number of bytes it can hold.
    bytes: Vec<u8>,
    start: usize,
    length: usize,
    capacity: usize,
}

impl Ring {
    /// An empty queue for up to `capacity` bytes.
    pub(crate) const fn new(capacity: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            length: 0,
            capacity,
        }
    }

    /// Bytes in the queue.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Bytes that still fit.
    pub(crate) fn free(&self) -> usize {
        self.capacity - self.length
    }

    /// Bytes that fit in all.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Changes how many bytes fit; never below what is queued.
    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(self.length);
    }

    /// Moves bytes from `from` in, as many as there are and fit.
    ///
    /// # Errors
    /// What the source says if nothing was moved; `ENOMEM`.
    pub(crate) fn fill(&mut self, from: &mut dyn Source) -> Result<usize, Errno> {
        self.reserve(from.remaining().min(self.free()))?;
        let mut done = 0;
        while from.remaining() > 0 && self.free() > 0 {
            let end = (self.start + self.length) % self.bytes.len();
            let run = self.free().min(match end < self.start {
                true => self.start - end,
                false => self.bytes.len() - end,
            });
            match from.take(&mut self.bytes[end..end + run]) {
                Ok(0) => break,
                Ok(count) => {
                    self.length += count;
                    done += count;
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Moves bytes out to `to`, as many as there are and fit.
    ///
    /// # Errors
    /// What the sink says if nothing was moved.
    pub(crate) fn drain(&mut self, to: &mut dyn Sink) -> Result<usize, Errno> {
        let mut done = 0;
        while self.length > 0 && to.remaining() > 0 {
            let run = self.length.min(self.bytes.len() - self.start);
            match to.put(&self.bytes[self.start..self.start + run]) {
                Ok(0) => break,
                Ok(count) => {
                    self.start = (self.start + count) % self.bytes.len();
                    self.length -= count;
                    done += count;
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        if self.length == 0 {
            self.start = 0;
        }
        Ok(done)
    }

    /// Makes room for `more` bytes.
    fn reserve(&mut self, more: usize) -> Result<(), Errno> {
        let needed = self.length + more;
        if needed <= self.bytes.len() {
            return Ok(());
        }
        let size = needed.next_power_of_two().max(FIRST_ALLOCATION);
        let mut grown = Vec::new();
        grown.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
        let front = self.length.min(self.bytes.len() - self.start);
        grown.extend_from_slice(&self.bytes[self.start..self.start + front]);
        grown.extend_from_slice(&self.bytes[..self.length - front]);
        grown.resize(size, 0);
        self.bytes = grown;
        self.start = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::vec::Vec;

    use proptest::prelude::{any, prop};
    use proptest::{prop_assert_eq, proptest};

    use super::Ring;
    use crate::{SliceSource, VecSink};

    proptest! {
        #[test]
        fn behaves_like_a_queue(
            steps in prop::collection::vec((any::<bool>(), 0..6000_usize), 1..60),
        ) {
            let (mut ring, mut model) = (Ring::new(10_000), VecDeque::new());
            let mut next = 0_u8;
            for (writes, count) in steps {
                if writes {
                    let bytes: Vec<u8> = (0..count).map(|_| { next = next.wrapping_mul(31).wrapping_add(7); next }).collect();
                    let taken = ring.fill(&mut SliceSource(&bytes)).unwrap();
                    prop_assert_eq!(taken, count.min(10_000 - model.len()));
                    model.extend(&bytes[..taken]);
                } else {
                    let mut sink = VecSink::new(count);
                    ring.drain(&mut sink).unwrap();
                    let expected: Vec<u8> = model.drain(..count.min(model.len())).collect();
                    prop_assert_eq!(sink.into_bytes(), expected);
                }
                prop_assert_eq!(ring.len(), model.len());
            }
        }
    }
}
