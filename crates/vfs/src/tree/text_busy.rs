//! A file is either written to or executed (`ETXTBSY` of open(2), truncate(2) and execve(2)): the
//! code of a process must not change below it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicI32, Ordering};

use super::inode::Inode;
use crate::Errno;

/// Who uses a regular file's content: above 0 those that may write, below 0 those that execute
/// (`i_writecount` of Linux).
#[derive(Debug, Default)]
pub(crate) struct TextUse(AtomicI32);

impl TextUse {
    /// Counts one more by `step`, unless the file is in use by the other side.
    fn enter(&self, step: i32) -> Result<(), Errno> {
        let one_more = |count: i32| (count.signum() != -step).then_some(count + step);
        let entered = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more);
        entered.map(drop).map_err(|_| Errno::ETXTBSY)
    }

    fn leave(&self, step: i32) {
        self.0.fetch_sub(step, Ordering::AcqRel);
    }
}

const WRITES: i32 = 1;
const EXECUTES: i32 = -1;

/// The right to write to a file; nobody executes it meanwhile.
pub(crate) struct WriteAccess(Arc<Inode>);

/// A program that runs; nobody writes to its file meanwhile.
pub struct Executing(Arc<Inode>);

impl Inode {
    /// The right to write to the file.
    ///
    /// # Errors
    /// `ETXTBSY` while it is executed.
    pub(crate) fn write_access(self: &Arc<Self>) -> Result<WriteAccess, Errno> {
        self.text_use.enter(WRITES)?;
        Ok(WriteAccess(Arc::clone(self)))
    }

    /// Keeps others from writing to the file, for as long as it is executed.
    ///
    /// # Errors
    /// `ETXTBSY` while somebody has it open for writing.
    pub fn execute(self: &Arc<Self>) -> Result<Executing, Errno> {
        self.text_use.enter(EXECUTES)?;
        Ok(Executing(Arc::clone(self)))
    }
}

impl Drop for WriteAccess {
    fn drop(&mut self) {
        self.0.text_use.leave(WRITES);
    }
}

impl Drop for Executing {
    fn drop(&mut self) {
        self.0.text_use.leave(EXECUTES);
    }
}
