//! The content of a regular file: archive bytes in place, covered by pages where written.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::Range;

use spin::{Mutex, RwLock};

use crate::page::{PAGE_SIZE, PageBudget};
use crate::{Errno, Extent, PageMemory, Sink, Source};

/// Bytes copied per step between a page and the caller. The buffer is on the stack, which is
/// small in a kernel; a divisor of [`PAGE_SIZE`], so that no step crosses pages.
const STEP: usize = 2048;

/// Largest file size in bytes: what `off_t` can hold.
const MAX_SIZE: u64 = i64::MAX as u64;

static ZEROS: [u8; PAGE_SIZE] = [0; PAGE_SIZE];

/// The content of a regular file.
pub(crate) struct Regular {
    content: RwLock<Content>,
    /// Held during a whole write or truncation, so that these happen one after the other.
    /// `content` is only held for a step: the caller's memory may itself be a mapping of the file.
    writing: Mutex<()>,
}

struct Content {
    /// What is in the archive, never longer than `size`.
    base: &'static [u8],
    size: u64,
    /// Pages that replace the base or a hole, by index.
    pages: BTreeMap<u64, Arc<dyn PageMemory>>,
    budget: Arc<PageBudget>,
}

/// A run of bytes that can be read without the lock.
enum Run {
    Archive(&'static [u8]),
    Page(Arc<dyn PageMemory>, usize, usize),
    Hole(usize),
}

impl Regular {
    /// A file with the content `base`.
    pub(crate) fn new(base: &'static [u8], budget: Arc<PageBudget>) -> Self {
        Self {
            content: RwLock::new(Content {
                base,
                size: base.len() as u64,
                pages: BTreeMap::new(),
                budget,
            }),
            writing: Mutex::new(()),
        }
    }

    /// Replaces the content by archive bytes.
    pub(crate) fn set_base(&self, base: &'static [u8]) {
        let mut content = self.content.write();
        content.shrink(0);
        content.base = base;
        content.size = base.len() as u64;
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.content.read().size
    }

    /// Allocated 512-byte blocks; archive content counts as allocated.
    pub(crate) fn blocks(&self) -> u64 {
        let content = self.content.read();
        let base_pages = content.base.len().div_ceil(PAGE_SIZE) as u64;
        let beyond = match base_pages {
            0 => content.pages.len() as u64,
            _ => content.pages.range(base_pages..).count() as u64,
        };
        (base_pages + beyond) * (PAGE_SIZE as u64 / 512)
    }

    /// The whole content in place, while it is unchanged in the archive.
    pub(crate) fn archive_range(&self) -> Option<&'static [u8]> {
        let content = self.content.read();
        let unchanged = content.pages.is_empty() && content.size == content.base.len() as u64;
        (unchanged && !content.base.is_empty()).then_some(content.base)
    }

    /// Page `index`, allocated if asked for; see [`File::page`](crate::File::page).
    pub(crate) fn page(&self, index: u64, allocate: bool) -> Option<Arc<dyn PageMemory>> {
        if !allocate {
            return self.content.read().pages.get(&index).cloned();
        }
        let mut content = self.content.write();
        if index >= content.size.div_ceil(PAGE_SIZE as u64) {
            return None;
        }
        content.page_to_write(index).ok()
    }

    /// Reads at `offset`; the lock is not held while bytes go to the caller.
    pub(crate) fn read_at(&self, offset: u64, to: &mut dyn Sink) -> Result<usize, Errno> {
        let mut done = 0;
        while to.remaining() > 0 {
            let run = self.content.read().run(offset + done as u64);
            let Some(run) = run else { break };
            match run.copy(to) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Writes at `offset`; what was written before an error counts.
    pub(crate) fn write_at(&self, offset: u64, from: &mut dyn Source) -> Result<usize, Errno> {
        let _writing = self.writing.lock();
        self.write_steps(offset, from)
    }

    /// Writes at the end; returns the new end and the number of bytes.
    pub(crate) fn append(&self, from: &mut dyn Source) -> Result<(u64, usize), Errno> {
        let _writing = self.writing.lock();
        let end = self.size();
        let count = self.write_steps(end, from)?;
        Ok((end + count as u64, count))
    }

    fn write_steps(&self, offset: u64, from: &mut dyn Source) -> Result<usize, Errno> {
        let mut done = 0;
        while from.remaining() > 0 {
            match self.write_step(offset.saturating_add(done as u64), from) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn write_step(&self, offset: u64, from: &mut dyn Source) -> Result<usize, Errno> {
        if offset >= MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let in_step = (offset % STEP as u64) as usize;
        let room = (MAX_SIZE - offset).min((STEP - in_step) as u64) as usize;
        let mut buffer = [0; STEP];
        let count = from.take(&mut buffer[..room])?;
        if count > 0 {
            self.content.write().write(offset, &buffer[..count])?;
        }
        Ok(count)
    }

    /// Changes the size; bytes beyond a smaller size are gone for good.
    pub(crate) fn truncate(&self, size: u64) -> Result<(), Errno> {
        if size > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let _writing = self.writing.lock();
        let mut content = self.content.write();
        if size < content.size {
            content.shrink(size);
        }
        content.size = size;
        Ok(())
    }

    /// fallocate(2): gives all pages of the range memory, and makes the size at least its end
    /// unless `keep_size`. What cannot be had is refused before it is tried, where that is known.
    pub(crate) fn allocate(&self, range: Range<u64>, keep_size: bool) -> Result<(), Errno> {
        if range.end > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let pages = range.start / PAGE_SIZE as u64..range.end.div_ceil(PAGE_SIZE as u64);
        let _writing = self.writing.lock();
        self.content.read().check_room(&pages)?;
        for index in pages {
            self.content.write().page_to_write(index)?;
        }
        if !keep_size {
            let mut content = self.content.write();
            content.size = content.size.max(range.end);
        }
        Ok(())
    }

    /// `SEEK_DATA` and `SEEK_HOLE`, page by page.
    pub(crate) fn seek_data(&self, offset: u64, sought: Extent) -> Result<u64, Errno> {
        let content = self.content.read();
        if offset >= content.size {
            return Err(Errno::ENXIO);
        }
        match sought {
            Extent::Data => content.next_data(offset).ok_or(Errno::ENXIO),
            Extent::Hole => Ok(content.next_hole(offset)),
        }
    }
}

impl Content {
    fn run(&self, offset: u64) -> Option<Run> {
        let left = self.size.checked_sub(offset).filter(|left| *left > 0)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if self.pages.is_empty() && start < self.base.len() {
            return Some(Run::Archive(&self.base[start..]));
        }
        let in_page = (offset % PAGE_SIZE as u64) as usize;
        let length = left.min((PAGE_SIZE - in_page) as u64) as usize;
        if let Some(page) = self.pages.get(&(offset / PAGE_SIZE as u64)) {
            return Some(Run::Page(page.clone(), in_page, length));
        }
        if start >= self.base.len() {
            return Some(Run::Hole(length));
        }
        let end = self.base.len().min(start + length);
        Some(Run::Archive(&self.base[start..end]))
    }

    /// Bytes that do not cross a page.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let page = self.page_to_write(offset / PAGE_SIZE as u64)?;
        page.write((offset % PAGE_SIZE as u64) as usize, bytes);
        self.size = self.size.max(offset + bytes.len() as u64);
        Ok(())
    }

    fn page_to_write(&mut self, index: u64) -> Result<Arc<dyn PageMemory>, Errno> {
        if let Some(page) = self.pages.get(&index) {
            return Ok(page.clone());
        }
        let page = self.budget.allocate()?;
        page.write(0, self.base_of_page(index));
        self.pages.insert(index, page.clone());
        Ok(page)
    }

    /// Whether as many pages are left as `pages` still needs.
    fn check_room(&self, pages: &Range<u64>) -> Result<(), Errno> {
        let there = self.pages.range(pages.clone()).count() as u64;
        let missing = pages.end - pages.start - there;
        let left = self.budget.limit().saturating_sub(self.budget.used());
        match missing <= left as u64 {
            true => Ok(()),
            false => Err(Errno::ENOSPC),
        }
    }

    fn base_of_page(&self, index: u64) -> &'static [u8] {
        let start = usize::try_from(index.saturating_mul(PAGE_SIZE as u64)).unwrap_or(usize::MAX);
        let start = start.min(self.base.len());
        &self.base[start..self.base.len().min(start.saturating_add(PAGE_SIZE))]
    }

    /// Drops everything from `size` on, so that it reads as zeros if the file grows again.
    fn shrink(&mut self, size: u64) {
        let base = usize::try_from(size).unwrap_or(usize::MAX);
        self.base = &self.base[..self.base.len().min(base)];
        let beyond = self.pages.split_off(&size.div_ceil(PAGE_SIZE as u64));
        self.budget.release(beyond.len());
        let in_page = (size % PAGE_SIZE as u64) as usize;
        if let Some(page) = self.pages.get(&(size / PAGE_SIZE as u64)) {
            page.write(in_page, &ZEROS[in_page..]);
        }
        self.size = size;
    }

    fn is_hole(&self, index: u64) -> bool {
        !self.pages.contains_key(&index) && self.base_of_page(index).is_empty()
    }

    fn next_data(&self, offset: u64) -> Option<u64> {
        let index = offset / PAGE_SIZE as u64;
        if !self.is_hole(index) {
            return Some(offset);
        }
        let (next, _) = self.pages.range(index..).next()?;
        let start = next * PAGE_SIZE as u64;
        (start < self.size).then_some(start)
    }

    fn next_hole(&self, offset: u64) -> u64 {
        let mut index = offset / PAGE_SIZE as u64;
        while !self.is_hole(index) {
            index += 1;
        }
        (index * PAGE_SIZE as u64).max(offset).min(self.size)
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.budget.release(self.pages.len());
    }
}

impl Run {
    fn copy(self, to: &mut dyn Sink) -> Result<usize, Errno> {
        match self {
            Self::Archive(bytes) => to.put(bytes),
            Self::Hole(length) => to.put(&ZEROS[..length]),
            Self::Page(page, offset, length) => {
                let mut buffer = [0; STEP];
                let count = length.min(STEP).min(to.remaining());
                page.read(offset, &mut buffer[..count]);
                to.put(&buffer[..count])
            }
        }
    }
}
