//! Where bytes of a read go to and bytes of a write come from.
//!
//! The kernel implements both traits over the caller's memory, so that a file can copy straight
//! from its own storage to the process without an intermediate buffer.

use alloc::vec::Vec;

use crate::Errno;

/// The destination of a read: the unfilled rest of the caller's buffer(s).
pub trait Sink {
    /// How many bytes still fit.
    fn remaining(&self) -> usize;

    /// Copies the front of `bytes` in and returns how many were taken: the smaller of
    /// `bytes.len()` and [`remaining`](Self::remaining).
    ///
    /// # Errors
    /// `EFAULT` if the caller's memory cannot be written; nothing counts as taken then.
    fn put(&mut self, bytes: &[u8]) -> Result<usize, Errno>;
}

/// The origin of a write: the unread rest of the caller's buffer(s).
pub trait Source {
    /// How many bytes are left.
    fn remaining(&self) -> usize;

    /// Fills the front of `buffer` and returns how many bytes were delivered: the smaller of
    /// `buffer.len()` and [`remaining`](Self::remaining).
    ///
    /// # Errors
    /// `EFAULT` if the caller's memory cannot be read; nothing counts as delivered then.
    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, Errno>;
}

/// A sink of bounded size in kernel memory.
#[derive(Debug)]
pub struct VecSink {
    bytes: Vec<u8>,
    limit: usize,
}

impl VecSink {
    /// An empty sink that takes up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }

    /// What was put so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Sink for VecSink {
    fn remaining(&self) -> usize {
        self.limit - self.bytes.len()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let taken = bytes.len().min(self.remaining());
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }
}

/// A source over bytes in kernel memory.
#[derive(Debug)]
pub struct SliceSource<'a>(pub &'a [u8]);

impl Source for SliceSource<'_> {
    fn remaining(&self) -> usize {
        self.0.len()
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let count = buffer.len().min(self.0.len());
        let (front, rest) = self.0.split_at(count);
        buffer[..count].copy_from_slice(front);
        self.0 = rest;
        Ok(count)
    }
}
