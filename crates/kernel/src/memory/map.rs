//! The mappings of a process, and the calls that change them (mmap(2), munmap(2), mprotect(2),
//! mremap(2), brk(2)).
//!
//! Anonymous shared mappings are files without a name, so that forked children share the pages.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_abi::Errno;
use machine::mem::{OutOfMemory, PageTable, Root, USER_END};
use spin::Mutex;
use vfs::Executing;

use super::vma::{Backing, Protection, Vma};
use super::{PAGE, page_up};
use crate::random;

/// Lowest address that is handed out (vm.mmap_min_addr of Linux).
const LOWEST: u64 = 0x1_0000;
/// Gap kept between the main stack and the highest mapping below it, so that it can grow.
const STACK_GAP: u64 = 0x1000_0000;
/// Pages by which the main stack and the top of the other mappings are moved at random, as on Linux
/// (`STACK_RND_MASK`, and `vm.mmap_rnd_bits` by default, on x86-64).
pub(crate) const STACK_RANDOM: u64 = 1 << 22;
pub(crate) const MAPPING_RANDOM: u64 = 1 << 28;

/// Most mappings of a process (vm.max_map_count of Linux).
const MAX_MAPPINGS: usize = 65_530;

/// The memory of a process, shared by its threads.
pub(crate) struct Memory {
    map: Mutex<MemoryMap>,
}

/// The mappings and the page tables that follow them.
pub(crate) struct MemoryMap {
    pub(super) table: PageTable,
    pub(super) vmas: BTreeMap<u64, Vma>,
    /// Below this there may be free addresses for new mappings, above there are none: the search
    /// starts here, downwards.
    full_from: u64,
    /// Where new mappings end.
    top: u64,
    brk_start: u64,
    brk: u64,
    /// Keeps the program from being written to.
    program: Option<Arc<Executing>>,
}

/// Where a new mapping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Anywhere; near the address if it is free and not zero.
    Hint(u64),
    /// Exactly there, replacing what is there (`MAP_FIXED`).
    Fixed(u64),
    /// Exactly there, or `EEXIST` (`MAP_FIXED_NOREPLACE`).
    FixedNoReplace(u64),
}

impl Memory {
    /// An empty address space.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>, Errno> {
        Ok(Arc::new(Self {
            map: Mutex::new(MemoryMap::new()?),
        }))
    }

    /// The mappings, locked.
    pub(crate) fn lock(&self) -> spin::MutexGuard<'_, MemoryMap> {
        self.map.lock()
    }

    /// The top-level page table.
    pub(crate) fn root(&self) -> Arc<Root> {
        Arc::clone(self.map.lock().table.root())
    }

    /// Lets every CPU that runs the process pass a memory barrier.
    pub(crate) fn synchronize(&self) {
        self.map.lock().table.synchronize();
    }

    /// A copy for a forked process: private pages are shared until one side writes.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn fork(&self) -> Result<Arc<Self>, Errno> {
        let mut map = self.map.lock();
        let mut child = MemoryMap::new()?;
        let MemoryMap { table, vmas, .. } = &mut *map;
        for vma in vmas.values() {
            table
                .fork_range(&mut child.table, vma.start, vma.end, vma.shared)
                .map_err(|OutOfMemory| Errno::ENOMEM)?;
        }
        child.vmas = map.vmas.clone();
        (child.full_from, child.top) = (map.full_from, map.top);
        (child.brk_start, child.brk) = (map.brk_start, map.brk);
        child.program = map.program.clone();
        Ok(Arc::new(Self {
            map: Mutex::new(child),
        }))
    }
}

impl MemoryMap {
    fn new() -> Result<Self, Errno> {
        let table = PageTable::new().map_err(|OutOfMemory| Errno::ENOMEM)?;
        let top = USER_END - STACK_RANDOM * PAGE - STACK_GAP - random_distance(MAPPING_RANDOM);
        Ok(Self {
            table,
            vmas: BTreeMap::new(),
            full_from: top,
            top,
            brk_start: 0,
            brk: 0,
            program: None,
        })
    }

    /// Sets where the heap that brk(2) grows starts.
    pub(crate) fn set_brk_start(&mut self, address: u64) {
        self.brk_start = address;
        self.brk = address;
    }

    /// Notes the program that runs here.
    pub(crate) fn set_program(&mut self, program: Executing) {
        self.program = Some(Arc::new(program));
    }

    /// The mapping that holds `address`.
    pub(crate) fn find(&self, address: u64) -> Option<&Vma> {
        self.vmas
            .range(..=address)
            .next_back()
            .map(|(_, vma)| vma)
            .filter(|vma| address < vma.end)
    }

    /// The mappings that have a part in `start..end`.
    fn overlapping(&self, start: u64, end: u64) -> impl Iterator<Item = &Vma> {
        let before = self.find(start).filter(|vma| vma.start < start);
        before
            .into_iter()
            .chain(self.vmas.range(start..end).map(|(_, vma)| vma))
    }

    /// All mappings in order of address.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.vmas.values()
    }

    /// Number of pages that have memory behind them.
    pub(crate) fn resident_pages(&self) -> usize {
        self.table.resident_pages()
    }

    /// Number of bytes mapped.
    pub(crate) fn mapped_bytes(&self) -> u64 {
        self.vmas.values().map(|vma| vma.end - vma.start).sum()
    }

    /// Adds a mapping of `size` bytes and returns its address.
    ///
    /// # Errors
    /// `EINVAL` for impossible sizes and addresses, `ENOMEM` when there is no room, `EEXIST`.
    pub(crate) fn map(
        &mut self,
        placement: Placement,
        size: u64,
        protection: Protection,
        shared: bool,
        backing: Backing,
    ) -> Result<u64, Errno> {
        let size = page_up(size)
            .filter(|&size| size > 0)
            .ok_or(Errno::EINVAL)?;
        self.require_room()?;
        let start = self.place(placement, size)?;
        let vma = Vma {
            start,
            end: start + size,
            protection,
            shared,
            grows_down: false,
            backing,
        };
        self.insert(vma);
        Ok(start)
    }

    /// # Errors
    /// `ENOMEM` if there are too many mappings for one more, or for one to be split.
    fn require_room(&self) -> Result<(), Errno> {
        if self.vmas.len() < MAX_MAPPINGS {
            Ok(())
        } else {
            Err(Errno::ENOMEM)
        }
    }

    fn place(&mut self, placement: Placement, size: u64) -> Result<u64, Errno> {
        let fits = |start: u64| start.checked_add(size).is_some_and(|end| end <= USER_END);
        match placement {
            Placement::Hint(hint) => {
                let hint = hint / PAGE * PAGE;
                if hint >= LOWEST && fits(hint) && self.is_free(hint, hint + size) {
                    return Ok(hint);
                }
                self.find_free(size).ok_or(Errno::ENOMEM)
            }
            Placement::Fixed(start) | Placement::FixedNoReplace(start) => {
                if !start.is_multiple_of(PAGE) {
                    return Err(Errno::EINVAL);
                }
                if !fits(start) {
                    return Err(Errno::ENOMEM);
                }
                if start < LOWEST {
                    return Err(Errno::EPERM);
                }
                if placement == Placement::Fixed(start) {
                    self.unmap(start, size)?;
                } else if !self.is_free(start, start + size) {
                    return Err(Errno::EEXIST);
                }
                Ok(start)
            }
        }
    }

    /// Whether nothing is mapped in `start..end`.
    pub(crate) fn is_free(&self, start: u64, end: u64) -> bool {
        self.vmas
            .range(..end)
            .next_back()
            .is_none_or(|(_, vma)| vma.end <= start)
    }

    /// The highest free range of `size` bytes below the top.
    fn find_free(&mut self, size: u64) -> Option<u64> {
        let mut end = self.full_from;
        for vma in self.vmas.range(..end).rev().map(|(_, vma)| vma) {
            if vma.end <= end && end - vma.end >= size {
                break;
            }
            // Without a gap since the search started, and none here.
            if end == self.full_from && vma.end >= end {
                self.full_from = vma.start;
            }
            end = end.min(vma.start);
        }
        end.checked_sub(size).filter(|&start| start >= LOWEST)
    }

    /// Adds a mapping to free addresses, joined with its neighbours where they continue it.
    pub(crate) fn insert(&mut self, mut vma: Vma) {
        if let Some((_, before)) = self.vmas.range(..vma.start).next_back()
            && before.continues_with(&vma)
        {
            let before = before.start;
            if let Some(mut joined) = self.vmas.remove(&before) {
                joined.end = vma.end;
                vma = joined;
            }
        }
        if let Some(after) = self.vmas.get(&vma.end)
            && vma.continues_with(after)
        {
            let end = after.end;
            self.vmas.remove(&vma.end);
            vma.end = end;
        }
        self.vmas.insert(vma.start, vma);
    }

    /// Takes the mappings within `start..end` out, cut at the edges.
    fn take_range(&mut self, start: u64, end: u64) -> Vec<Vma> {
        self.split_at(start);
        self.split_at(end);
        let taken = self.vmas.extract_if(start..end, |_, _| true);
        taken.map(|(_, vma)| vma).collect()
    }

    fn split_at(&mut self, address: u64) {
        let Some(vma) = self.find(address).filter(|vma| vma.start < address) else {
            return;
        };
        let (low, high) = (vma.part(vma.start, address), vma.part(address, vma.end));
        self.vmas.insert(low.start, low);
        self.vmas.insert(high.start, high);
    }

    /// munmap(2).
    ///
    /// # Errors
    /// `EINVAL` for a range that is none.
    pub(crate) fn unmap(&mut self, start: u64, size: u64) -> Result<(), Errno> {
        let end = range_end(start, size)?;
        self.take_range(start, end);
        self.full_from = self.full_from.max(end.min(self.top));
        self.table.unmap_range(start, end);
        Ok(())
    }

    /// mprotect(2).
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM` if part of the range is not mapped, `EACCES` for shared files.
    pub(crate) fn protect(
        &mut self,
        start: u64,
        size: u64,
        protection: Protection,
    ) -> Result<(), Errno> {
        if size == 0 {
            return Ok(());
        }
        let end = range_end(start, size)?;
        self.require_mapped(start, end)?;
        self.require_room()?;
        if !self
            .overlapping(start, end)
            .all(|vma| vma.allows(protection))
        {
            return Err(Errno::EACCES);
        }
        for mut vma in self.take_range(start, end) {
            vma.protection = protection;
            let flags = protection.page_flags();
            self.table
                .protect_range(vma.start, vma.end, flags, vma.shared);
            self.insert(vma);
        }
        Ok(())
    }

    /// # Errors
    /// `ENOMEM` if part of `start..end` is not mapped.
    pub(crate) fn require_mapped(&self, start: u64, end: u64) -> Result<(), Errno> {
        let mut at = start;
        while at < end {
            at = self.find(at).ok_or(Errno::ENOMEM)?.end;
        }
        Ok(())
    }

    /// madvise(2) with `MADV_DONTNEED`: anonymous pages read as zeros afterwards, file pages come
    /// from the file again.
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM` if part of the range is not mapped.
    pub(crate) fn discard(&mut self, start: u64, size: u64) -> Result<(), Errno> {
        let end = range_end(start, size)?;
        self.require_mapped(start, end)?;
        self.table.unmap_range(start, end);
        Ok(())
    }

    /// mremap(2); `to` is the new address with `MREMAP_FIXED`.
    ///
    /// # Errors
    /// As mremap(2).
    pub(crate) fn remap(
        &mut self,
        start: u64,
        old_size: u64,
        new_size: u64,
        may_move: bool,
        to: Option<u64>,
    ) -> Result<u64, Errno> {
        let old_end = range_end(start, old_size)?;
        let new_size = page_up(new_size)
            .filter(|&size| size > 0)
            .ok_or(Errno::EINVAL)?;
        let old_size = old_end - start;
        let vma = self
            .find(start)
            .filter(|vma| old_end <= vma.end)
            .ok_or(Errno::EFAULT)?
            .clone();
        if to.is_none() && new_size <= old_size {
            if new_size < old_size {
                self.unmap(start + new_size, old_size - new_size)?;
            }
            return Ok(start);
        }
        let grown = start.checked_add(new_size).ok_or(Errno::ENOMEM)?;
        if to.is_none() && old_end == vma.end && grown <= USER_END && self.is_free(old_end, grown) {
            self.take_range(start, old_end);
            let mut vma = vma.part(start, old_end);
            vma.end = grown;
            self.insert(vma);
            return Ok(start);
        }
        if !may_move {
            return Err(Errno::ENOMEM);
        }
        let target = match to {
            Some(to) if to < old_end && start < to.saturating_add(new_size) => {
                return Err(Errno::EINVAL);
            }
            Some(to) => self.place(Placement::Fixed(to), new_size)?,
            None => self.find_free(new_size).ok_or(Errno::ENOMEM)?,
        };
        let kept = old_size.min(new_size);
        self.table
            .move_range(start, target, kept)
            .map_err(|OutOfMemory| Errno::ENOMEM)?;
        let mut moved = vma.part(start, start + kept);
        self.unmap(start, old_size)?;
        moved.start = target;
        moved.end = target + new_size;
        self.insert(moved);
        Ok(target)
    }

    /// brk(2): the end of the heap after trying to move it to `wanted`.
    pub(crate) fn set_brk(&mut self, wanted: u64) -> u64 {
        if wanted < self.brk_start || wanted >= USER_END {
            return self.brk;
        }
        let (Some(old), Some(new)) = (page_up(self.brk), page_up(wanted)) else {
            return self.brk;
        };
        if new > old {
            if !self.is_free(old, new) {
                return self.brk;
            }
            self.insert(Vma {
                start: old,
                end: new,
                protection: Protection::READ | Protection::WRITE,
                shared: false,
                grows_down: false,
                backing: Backing::Anonymous,
            });
        } else if new < old && self.unmap(new, old - new).is_err() {
            return self.brk;
        }
        self.brk = wanted;
        wanted
    }
}

/// A random number of bytes, a whole number of pages below `pages`, which is a power of two.
pub(crate) fn random_distance(pages: u64) -> u64 {
    (u64::from(random::next_u32()) & (pages - 1)) * PAGE
}

/// The page-aligned end of a range given by a system call.
fn range_end(start: u64, size: u64) -> Result<u64, Errno> {
    let end = page_up(size)
        .and_then(|size| start.checked_add(size))
        .ok_or(Errno::EINVAL)?;
    if !start.is_multiple_of(PAGE) || end > USER_END || end <= start {
        return Err(Errno::EINVAL);
    }
    Ok(end)
}
