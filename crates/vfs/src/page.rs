//! The memory that file content lives in.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Mutex;

use crate::Errno;

/// Bytes in a page of file content: the page size of x86-64.
pub const PAGE_SIZE: usize = 4096;

/// One page of file content. The kernel implements it over a physical frame, so that a mapping
/// of the file shows the same bytes.
pub trait PageMemory: Any + Send + Sync {
    /// Copies out the bytes from `offset`; `offset + to.len()` is at most [`PAGE_SIZE`].
    fn read(&self, offset: usize, to: &mut [u8]);

    /// Copies in bytes at `offset`; `offset + from.len()` is at most [`PAGE_SIZE`].
    fn write(&self, offset: usize, from: &[u8]);

    /// The page itself, for the implementor to find its concrete type again.
    fn as_any(&self) -> &dyn Any;
}

/// Where pages come from.
pub trait PageSource: Send + Sync {
    /// A page full of zeros. It goes back when the last reference is dropped.
    ///
    /// # Errors
    /// `ENOMEM` or `ENOSPC` when there is none left.
    fn allocate(&self) -> Result<Arc<dyn PageMemory>, Errno>;
}

/// Pages from the heap.
#[derive(Debug, Default)]
pub struct HeapPages;

struct HeapPage(Mutex<Box<[u8; PAGE_SIZE]>>);

impl PageMemory for HeapPage {
    fn read(&self, offset: usize, to: &mut [u8]) {
        to.copy_from_slice(&self.0.lock()[offset..offset + to.len()]);
    }

    fn write(&self, offset: usize, from: &[u8]) {
        self.0.lock()[offset..offset + from.len()].copy_from_slice(from);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl PageSource for HeapPages {
    fn allocate(&self) -> Result<Arc<dyn PageMemory>, Errno> {
        Ok(Arc::new(HeapPage(Mutex::new(Box::new([0; PAGE_SIZE])))))
    }
}

/// A page source with a limit on the pages that files hold at once.
pub(crate) struct PageBudget {
    source: Arc<dyn PageSource>,
    limit: usize,
    used: AtomicUsize,
}

impl PageBudget {
    /// At most `limit` pages from `source`.
    pub(crate) fn new(source: Arc<dyn PageSource>, limit: usize) -> Self {
        Self {
            source,
            limit,
            used: AtomicUsize::new(0),
        }
    }

    /// Pages that may be held in all.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Pages held now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// A zeroed page, counted until [`release`](Self::release).
    ///
    /// # Errors
    /// `ENOSPC` at the limit, else what the source says.
    pub(crate) fn allocate(&self) -> Result<Arc<dyn PageMemory>, Errno> {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                (used < self.limit).then_some(used + 1)
            })
            .map_err(|_| Errno::ENOSPC)?;
        self.source.allocate().inspect_err(|_| self.release(1))
    }

    /// Stops counting `count` pages.
    pub(crate) fn release(&self, count: usize) {
        self.used.fetch_sub(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use super::{HeapPages, PageBudget, PageSource};
    use crate::Errno;

    #[test]
    fn budget_ends_and_refills() {
        let budget = PageBudget::new(Arc::new(HeapPages), 2);
        assert!(budget.allocate().is_ok() && budget.allocate().is_ok());
        assert_eq!(budget.allocate().err(), Some(Errno::ENOSPC));
        budget.release(1);
        assert!(budget.allocate().is_ok());
        assert_eq!(budget.used(), 2);
    }

    #[test]
    fn heap_page_keeps_bytes() {
        let page = HeapPages.allocate().unwrap();
        page.write(4094, b"ab");
        let mut back = [1; 3];
        page.read(4093, &mut back);
        assert_eq!(&back, b"\0ab");
    }
}
