//! Access to the memory of a process from system calls. An address from a process is a claim:
//! all access goes through the mappings and answers `EFAULT` where there is none.

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use linux_abi::Errno;
use machine::mem::{Frame, USER_END, UserPage};
use vfs::{Sink, Source};

use super::PAGE;
use super::fault::Access;
use super::map::Memory;

/// Longest string taken from a process: a path with its NUL (`PATH_MAX`).
const PATH_MAX: usize = 4096;
/// Most parts of a vectored read or write (`UIO_MAXIOV`).
const IOV_MAX: usize = 1024;

/// Linux transfers at most 2 GiB less a page at once (read(2), notes).
const TRANSFER_MAX: usize = 0x7fff_f000;

/// A claimed range of process memory.
#[derive(Clone, Copy, Debug)]
struct UserSlice {
    address: u64,
    size: usize,
}

/// Claimed ranges of process memory in order, used up from the front.
#[derive(Debug)]
pub(crate) struct UserSlices {
    current: UserSlice,
    rest: vec::IntoIter<UserSlice>,
    /// Bytes in all of them, as far as they may be transferred.
    total: usize,
    /// Bytes that may be used for now.
    open: usize,
}

impl Memory {
    /// Fills `to` from process memory.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Errno> {
        let mut done = 0;
        let mut map = self.lock();
        loop {
            done += map
                .table
                .copy_in(address.wrapping_add(done as u64), &mut to[done..]);
            if done == to.len() {
                return Ok(());
            }
            map.fault(address.wrapping_add(done as u64), Access::Read)
                .map_err(as_fault)?;
        }
    }

    /// Copies `from` to process memory.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn write(&self, address: u64, from: &[u8]) -> Result<(), Errno> {
        let mut done = 0;
        let mut map = self.lock();
        loop {
            done += map
                .table
                .copy_out(address.wrapping_add(done as u64), &from[done..]);
            if done == from.len() {
                return Ok(());
            }
            map.fault(address.wrapping_add(done as u64), Access::Write)
                .map_err(as_fault)?;
        }
    }

    /// `N` bytes.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn read_array<const N: usize>(&self, address: u64) -> Result<[u8; N], Errno> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// A 32-bit number.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn read_u32(&self, address: u64) -> Result<u32, Errno> {
        self.read_array(address).map(u32::from_le_bytes)
    }

    /// A 32-bit number that other threads change, whole; it must be aligned.
    ///
    /// # Errors
    /// `EINVAL` if it is not, `EFAULT`.
    pub(crate) fn load_u32(&self, address: u64) -> Result<u32, Errno> {
        let (frame, offset) = self.word(address, false)?;
        Ok(frame.atomic_u32(offset).load(Ordering::SeqCst))
    }

    /// A 64-bit number.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn read_u64(&self, address: u64) -> Result<u64, Errno> {
        self.read_array(address).map(u64::from_le_bytes)
    }

    /// Stores a 32-bit number.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn write_u32(&self, address: u64, value: u32) -> Result<(), Errno> {
        self.write(address, &value.to_le_bytes())
    }

    /// Stores a 64-bit number.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn write_u64(&self, address: u64, value: u64) -> Result<(), Errno> {
        self.write(address, &value.to_le_bytes())
    }

    /// `size` bytes, where `size` was checked to be reasonable by the caller.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn read_bytes(&self, address: u64, size: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; size];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// A NUL-terminated string, without the NUL, of less than `limit` bytes.
    ///
    /// # Errors
    /// `EFAULT`; `ENAMETOOLONG` if there is no NUL within `limit`.
    pub(crate) fn read_string(&self, address: u64, limit: usize) -> Result<Vec<u8>, Errno> {
        let mut string = Vec::new();
        while string.len() < limit {
            let at = address.wrapping_add(string.len() as u64);
            let in_page = (PAGE - at % PAGE) as usize;
            let size = in_page.min(limit - string.len()).min(256);
            let mut chunk = [0; 256];
            self.read(at, &mut chunk[..size])?;
            if let Some(nul) = chunk[..size].iter().position(|&byte| byte == 0) {
                string.extend_from_slice(&chunk[..nul]);
                return Ok(string);
            }
            string.extend_from_slice(&chunk[..size]);
        }
        Err(Errno::ENAMETOOLONG)
    }

    /// A path.
    ///
    /// # Errors
    /// As [`read_string`](Self::read_string).
    pub(crate) fn read_path(&self, address: u64) -> Result<Vec<u8>, Errno> {
        self.read_string(address, PATH_MAX)
    }

    /// An array of `struct iovec` (readv(2)).
    ///
    /// # Errors
    /// `EINVAL` for too many parts or a total beyond `SSIZE_MAX`, `EFAULT`.
    pub(crate) fn read_iovecs(&self, address: u64, count: u64) -> Result<UserSlices, Errno> {
        let count = usize::try_from(count)
            .ok()
            .filter(|&c| c <= IOV_MAX)
            .ok_or(Errno::EINVAL)?;
        let mut slices = Vec::with_capacity(count);
        let mut total = 0u64;
        for index in 0..count {
            let entry: [u8; 16] = self.read_array(address.wrapping_add(index as u64 * 16))?;
            let (base, size) = entry.split_at(8);
            let base = u64::from_le_bytes(base.try_into().unwrap_or_default());
            let size = u64::from_le_bytes(size.try_into().unwrap_or_default());
            total = total
                .checked_add(size)
                .filter(|&t| t <= i64::MAX as u64)
                .ok_or(Errno::EINVAL)?;
            slices.push(UserSlice {
                address: base,
                size: size as usize,
            });
        }
        Ok(UserSlices {
            current: UserSlice {
                address: 0,
                size: 0,
            },
            rest: slices.into_iter(),
            total: (total as usize).min(TRANSFER_MAX),
            open: usize::MAX,
        })
    }

    /// Brings all pages of a range in, as far as that is possible (`MAP_POPULATE`).
    pub(crate) fn populate(&self, start: u64, size: u64) {
        let mut map = self.lock();
        let mut at = start;
        while at < start.saturating_add(size) && map.fault(at, Access::Read).is_ok() {
            at += PAGE;
        }
    }

    /// The frame and offset of an aligned 32-bit word, made writable first if `write`.
    ///
    /// # Errors
    /// `EINVAL` if not aligned, `EFAULT`.
    pub(crate) fn word(&self, address: u64, write: bool) -> Result<(Frame, usize), Errno> {
        if !address.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        let page = UserPage::containing(address).ok_or(Errno::EFAULT)?;
        let mut map = self.lock();
        for _ in 0..2 {
            if let Some((frame, writable)) = map.table.frame_at(page)
                && (writable || !write)
            {
                return Ok((frame, (address % PAGE) as usize));
            }
            map.fault(address, if write { Access::Write } else { Access::Read })
                .map_err(as_fault)?;
        }
        Err(Errno::EFAULT)
    }
}

/// Any failure to bring a page in is an `EFAULT` to a system call, except that memory is out.
fn as_fault(error: Errno) -> Errno {
    if error == Errno::ENOMEM {
        error
    } else {
        Errno::EFAULT
    }
}

impl UserSlices {
    /// A single range.
    pub(crate) fn one(address: u64, size: u64) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Self {
            current: UserSlice { address, size },
            rest: Vec::new().into_iter(),
            total: size.min(TRANSFER_MAX),
            open: usize::MAX,
        }
    }

    fn remaining(&self) -> usize {
        self.total.min(self.open)
    }

    /// Calls `f(address, offset, count)` for pieces that together have at most `size` bytes.
    /// Stops at the first error; fails only if nothing was done.
    fn consume(
        &mut self,
        size: usize,
        mut f: impl FnMut(u64, usize, usize) -> Result<(), Errno>,
    ) -> Result<usize, Errno> {
        let size = size.min(self.remaining());
        let mut done = 0;
        while done < size {
            if self.current.size == 0 {
                let Some(next) = self.rest.next() else { break };
                self.current = next;
                continue;
            }
            let count = self.current.size.min(size - done);
            let end = self.current.address.checked_add(count as u64);
            let moved = match end {
                Some(end) if end <= USER_END => f(self.current.address, done, count),
                _ => Err(Errno::EFAULT),
            };
            match moved {
                Ok(()) => {}
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
            self.current.address += count as u64;
            self.current.size -= count;
            self.total -= count;
            self.open -= count;
            done += count;
        }
        Ok(done)
    }
}

/// Process memory as the destination of a read.
pub(crate) struct UserSink<'a> {
    memory: &'a Memory,
    slices: UserSlices,
}

impl<'a> UserSink<'a> {
    /// A sink over `slices` in order.
    pub(crate) fn new(memory: &'a Memory, slices: UserSlices) -> Self {
        Self { memory, slices }
    }
}

impl UserSink<'_> {
    /// Bytes that are left in all.
    pub(crate) fn total(&self) -> usize {
        self.slices.total
    }

    /// Takes no more than `most` bytes from now on.
    pub(crate) fn limit(&mut self, most: usize) {
        self.slices.open = most;
    }
}

impl Sink for UserSink<'_> {
    fn remaining(&self) -> usize {
        self.slices.remaining()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let memory = self.memory;
        self.slices.consume(bytes.len(), |address, offset, count| {
            memory.write(address, &bytes[offset..offset + count])
        })
    }
}

/// Process memory as the origin of a write.
pub(crate) struct UserSource<'a> {
    memory: &'a Memory,
    slices: UserSlices,
}

impl<'a> UserSource<'a> {
    /// A source over `slices` in order.
    pub(crate) fn new(memory: &'a Memory, slices: UserSlices) -> Self {
        Self { memory, slices }
    }
}

impl UserSource<'_> {
    /// Bytes that are left in all.
    pub(crate) fn total(&self) -> usize {
        self.slices.total
    }

    /// Gives no more than `most` bytes from now on.
    pub(crate) fn limit(&mut self, most: usize) {
        self.slices.open = most;
    }
}

impl Source for UserSource<'_> {
    fn remaining(&self) -> usize {
        self.slices.remaining()
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let memory = self.memory;
        self.slices.consume(buffer.len(), |address, offset, count| {
            memory.read(address, &mut buffer[offset..offset + count])
        })
    }
}
