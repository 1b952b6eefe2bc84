//! The bytes of an archive, unpacked and counted.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;

/// What is known about the bytes that were read.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Bytes so far, and what else was charged.
    bytes: Cell<u64>,
    /// Zero bytes at the end.
    zeros: Cell<u64>,
    /// There are no more.
    ended: Cell<bool>,
    /// More than the limit were wanted.
    exceeded: Cell<bool>,
    /// Why they could not be read.
    failure: RefCell<Option<io::Error>>,
}

impl Tally {
    /// The number of zero bytes at the end of what was read.
    pub(super) fn zeros(&self) -> u64 {
        self.zeros.get()
    }

    /// Whether the end was reached.
    pub(super) fn ended(&self) -> bool {
        self.ended.get()
    }

    /// Whether the limit was reached.
    pub(super) fn exceeded(&self) -> bool {
        self.exceeded.get()
    }

    /// Why the bytes could not be read.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Counts bytes that are there without having been read.
    pub(super) fn charge(&self, bytes: u64) {
        self.bytes.set(self.bytes.get().saturating_add(bytes));
    }

    fn count(&self, bytes: &[u8]) {
        self.charge(bytes.len() as u64);
        let trailing = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        let before = if trailing == bytes.len() {
            self.zeros.get()
        } else {
            0
        };
        self.zeros.set(before + trailing as u64);
    }
}

/// A reader that counts, and ends with an error at a limit.
pub(super) struct Stream<R> {
    inner: R,
    limit: u64,
    tally: Rc<Tally>,
}

impl<R: Read> Stream<R> {
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self {
            inner,
            limit,
            tally: Rc::default(),
        }
    }

    pub(super) fn tally(&self) -> Rc<Tally> {
        Rc::clone(&self.tally)
    }
}

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let tally = &self.tally;
        if tally.bytes.get() > self.limit {
            tally.exceeded.set(true);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        match self.inner.read(buffer) {
            Ok(0) if !buffer.is_empty() => {
                tally.ended.set(true);
                Ok(0)
            }
            Ok(count) => {
                tally.count(&buffer[..count]);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                *tally.failure.borrow_mut() = Some(error);
                Err(kind.into())
            }
        }
    }
}
