//! The descriptors of a process.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crate::{Errno, OpenFile};

/// A table of file descriptors. Cloning it is what fork(2) does.
///
/// Methods that take files out hand them back, so that the caller can drop them (which may run
/// the code of any file) after releasing the lock around the table.
#[derive(Clone)]
pub struct FdTable {
    slots: Vec<Option<Slot>>,
    /// No descriptor below is free.
    first_free: usize,
    limit: usize,
}

#[derive(Clone)]
struct Slot {
    file: Arc<OpenFile>,
    close_on_exec: bool,
}

impl FdTable {
    /// An empty table for descriptors below `limit` (`RLIMIT_NOFILE`).
    pub const fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            first_free: 0,
            limit,
        }
    }

    /// The number that descriptors stay below.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Changes the limit; descriptors above stay open.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The open file behind `fd`.
    ///
    /// # Errors
    /// `EBADF` if the descriptor is not open.
    pub fn get(&self, fd: i32) -> Result<&Arc<OpenFile>, Errno> {
        self.slot(fd).map(|slot| &slot.file)
    }

    fn slot(&self, fd: i32) -> Result<&Slot, Errno> {
        let slot = usize::try_from(fd).ok().and_then(|fd| self.slots.get(fd));
        slot.and_then(Option::as_ref).ok_or(Errno::EBADF)
    }

    fn slot_mut(&mut self, fd: i32) -> Result<&mut Option<Slot>, Errno> {
        let slot = usize::try_from(fd)
            .ok()
            .and_then(|fd| self.slots.get_mut(fd));
        slot.filter(|slot| slot.is_some()).ok_or(Errno::EBADF)
    }

    /// Opens the lowest free descriptor.
    ///
    /// # Errors
    /// `EMFILE` if there is none below the limit.
    pub fn add(&mut self, file: Arc<OpenFile>, close_on_exec: bool) -> Result<i32, Errno> {
        self.add_from(0, file, close_on_exec)
    }

    /// Opens the lowest free descriptor that is at least `minimum` (`F_DUPFD`).
    ///
    /// # Errors
    /// `EMFILE` if there is none below the limit, `EINVAL` if `minimum` is not below the limit.
    pub fn add_from(
        &mut self,
        minimum: i32,
        file: Arc<OpenFile>,
        close_on_exec: bool,
    ) -> Result<i32, Errno> {
        let minimum = usize::try_from(minimum).map_err(|_| Errno::EINVAL)?;
        if minimum > 0 && minimum >= self.limit {
            return Err(Errno::EINVAL);
        }
        let fd = self.lowest_free(minimum);
        if fd >= self.limit {
            return Err(Errno::EMFILE);
        }
        self.put(fd, file, close_on_exec);
        if minimum <= self.first_free {
            self.first_free = fd + 1;
        }
        i32::try_from(fd).map_err(|_| Errno::EMFILE)
    }

    fn lowest_free(&self, minimum: usize) -> usize {
        let from = minimum.max(self.first_free);
        let open = self.slots.iter().skip(from);
        from + open.take_while(|slot| slot.is_some()).count()
    }

    fn put(&mut self, fd: usize, file: Arc<OpenFile>, close_on_exec: bool) -> Option<Slot> {
        if fd >= self.slots.len() {
            self.slots.resize(fd + 1, None);
        }
        self.slots[fd].replace(Slot {
            file,
            close_on_exec,
        })
    }

    /// dup2(2), dup3(2): makes `new` refer to what `old` refers to. Returns the file that `new`
    /// referred to before. The case `old == new` is the caller's: dup2 allows it, dup3 does not.
    ///
    /// # Errors
    /// `EBADF` if `old` is not open or `new` is not below the limit.
    pub fn duplicate_to(
        &mut self,
        old: i32,
        new: i32,
        close_on_exec: bool,
    ) -> Result<Option<Arc<OpenFile>>, Errno> {
        let file = self.get(old)?.clone();
        let new = usize::try_from(new).map_err(|_| Errno::EBADF)?;
        if new >= self.limit {
            return Err(Errno::EBADF);
        }
        let replaced = self.put(new, file, close_on_exec);
        Ok(replaced.map(|slot| slot.file))
    }

    /// close(2): frees the descriptor and returns its file.
    ///
    /// # Errors
    /// `EBADF` if the descriptor is not open.
    pub fn close(&mut self, fd: i32) -> Result<Arc<OpenFile>, Errno> {
        let slot = self.slot_mut(fd)?.take().ok_or(Errno::EBADF)?;
        self.first_free = self.first_free.min(fd as usize);
        Ok(slot.file)
    }

    /// close_range(2): closes every descriptor in `range` and returns the files.
    pub fn close_range(&mut self, range: RangeInclusive<u32>) -> Vec<Arc<OpenFile>> {
        self.take_if(|fd, _| range.contains(&(fd as u32)))
    }

    /// close_range(2) with `CLOSE_RANGE_CLOEXEC`: marks every descriptor in `range`.
    pub fn mark_range_close_on_exec(&mut self, range: RangeInclusive<u32>) {
        for (fd, slot) in self.slots.iter_mut().enumerate() {
            if let Some(slot) = slot.as_mut().filter(|_| range.contains(&(fd as u32))) {
                slot.close_on_exec = true;
            }
        }
    }

    /// execve(2): closes the descriptors marked close-on-exec and returns their files.
    pub fn close_for_exec(&mut self) -> Vec<Arc<OpenFile>> {
        self.take_if(|_, slot| slot.close_on_exec)
    }

    fn take_if(&mut self, closes: impl Fn(usize, &Slot) -> bool) -> Vec<Arc<OpenFile>> {
        let mut files = Vec::new();
        for (fd, entry) in self.slots.iter_mut().enumerate() {
            if let Some(slot) = entry.take_if(|slot| closes(fd, slot)) {
                self.first_free = self.first_free.min(fd);
                files.push(slot.file);
            }
        }
        files
    }

    /// Whether the descriptor closes on exec (`F_GETFD`).
    ///
    /// # Errors
    /// `EBADF` if the descriptor is not open.
    pub fn is_close_on_exec(&self, fd: i32) -> Result<bool, Errno> {
        self.slot(fd).map(|slot| slot.close_on_exec)
    }

    /// Sets whether the descriptor closes on exec (`F_SETFD`).
    ///
    /// # Errors
    /// `EBADF` if the descriptor is not open.
    pub fn set_close_on_exec(&mut self, fd: i32, close_on_exec: bool) -> Result<(), Errno> {
        let slot = self.slot_mut(fd)?.as_mut().ok_or(Errno::EBADF)?;
        slot.close_on_exec = close_on_exec;
        Ok(())
    }

    /// The open descriptors in order.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &Arc<OpenFile>)> {
        let numbered = (0..).zip(&self.slots);
        numbered.filter_map(|(fd, slot)| Some((fd, &slot.as_ref()?.file)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::vec::Vec;

    use super::FdTable;
    use crate::{Errno, OpenFile, OpenFlags, pipe};

    fn file() -> Arc<OpenFile> {
        pipe(OpenFlags::empty()).0
    }

    fn open(table: &FdTable) -> Vec<i32> {
        table.iter().map(|(fd, _)| fd).collect()
    }

    #[test]
    fn lowest_free_descriptor_is_taken() {
        let mut table = FdTable::new(8);
        for expected in 0..4 {
            assert_eq!(table.add(file(), false), Ok(expected));
        }
        table.close(1).unwrap();
        table.close(2).unwrap();
        assert_eq!(table.add_from(2, file(), false), Ok(2));
        assert_eq!(table.add(file(), false), Ok(1));
        assert_eq!(table.add_from(6, file(), false), Ok(6));
        assert_eq!(table.add(file(), false), Ok(4));
        assert_eq!(open(&table), [0, 1, 2, 3, 4, 6]);
    }

    #[test]
    fn limit_is_kept() {
        let mut table = FdTable::new(2);
        table.add(file(), false).unwrap();
        table.add(file(), false).unwrap();
        assert_eq!(table.add(file(), false), Err(Errno::EMFILE));
        assert_eq!(table.add_from(2, file(), false), Err(Errno::EINVAL));
        assert_eq!(table.duplicate_to(0, 2, false).err(), Some(Errno::EBADF));
        assert_eq!(table.get(-1).err(), Some(Errno::EBADF));
    }

    #[test]
    fn duplicate_replaces() {
        let mut table = FdTable::new(9);
        let (first, second) = (file(), file());
        table.add(first.clone(), true).unwrap();
        table.add(second.clone(), true).unwrap();
        let replaced = table.duplicate_to(0, 1, false).unwrap().unwrap();
        assert!(Arc::ptr_eq(&replaced, &second));
        assert!(Arc::ptr_eq(table.get(1).unwrap(), &first));
        assert_eq!(table.is_close_on_exec(1), Ok(false));
        assert!(table.duplicate_to(0, 5, false).unwrap().is_none());
        assert_eq!(table.add(file(), false), Ok(2));
    }

    #[test]
    fn exec_and_ranges_close() {
        let mut table = FdTable::new(20);
        for fd in 0..10 {
            table.add(file(), fd % 2 == 1).unwrap();
        }
        let mut child = table.clone();
        assert_eq!(child.close_for_exec().len(), 5);
        assert_eq!(open(&child), [0, 2, 4, 6, 8]);
        assert_eq!(table.close_range(3..=u32::MAX).len(), 7);
        assert_eq!(open(&table), [0, 1, 2]);
        table.mark_range_close_on_exec(2..=2);
        table.set_close_on_exec(1, false).unwrap();
        assert_eq!(table.close_for_exec().len(), 1);
        assert_eq!(open(&table), [0, 1]);
    }
}
