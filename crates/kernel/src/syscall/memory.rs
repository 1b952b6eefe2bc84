//! mmap(2) and relatives.

use alloc::sync::Arc;

use linux_abi::Errno;
use linux_abi::raw::general as raw;
use vfs::{FileKind, OpenFile};

use super::{Call, Result};
use crate::files;
use crate::memory::{Backing, PAGE, Placement, Protection, page_up};
use crate::shortage::afford;

const MAP_SHARED: u64 = raw::MAP_SHARED as u64;
const MAP_TYPE: u64 = raw::MAP_TYPE as u64;
const MAP_SHARED_VALIDATE: u64 = raw::MAP_SHARED_VALIDATE as u64;
const MAP_FIXED: u64 = raw::MAP_FIXED as u64;
const MAP_FIXED_NOREPLACE: u64 = raw::MAP_FIXED_NOREPLACE as u64;
const MAP_ANONYMOUS: u64 = raw::MAP_ANONYMOUS as u64;
const MAP_NORESERVE: u64 = raw::MAP_NORESERVE as u64;
const MAP_POPULATE: u64 = raw::MAP_POPULATE as u64;
const MREMAP_MAYMOVE: u64 = raw::MREMAP_MAYMOVE as u64;
const MREMAP_FIXED: u64 = raw::MREMAP_FIXED as u64;
/// `PROT_GROWSDOWN` and `PROT_GROWSUP`: accepted, and meaningless for ordinary mappings.
const PROT_GROWS: u64 = 0x0300_0000;

fn protection(bits: u64) -> Result<Protection> {
    let known = bits & !PROT_GROWS;
    u32::try_from(known)
        .ok()
        .and_then(Protection::from_bits)
        .ok_or(Errno::EINVAL)
}

pub(super) fn mmap(
    c: &mut Call<'_>,
    address: u64,
    size: u64,
    prot: u64,
    flags: u64,
    fd: u64,
    offset: u64,
) -> Result {
    let protection = protection(prot)?;
    let shared = matches!(flags & MAP_TYPE, MAP_SHARED | MAP_SHARED_VALIDATE);
    if flags & MAP_TYPE == 0 || !offset.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let backing = if flags & MAP_ANONYMOUS != 0 {
        if protection.contains(Protection::WRITE) && flags & MAP_NORESERVE == 0 {
            afford(c.task, size)?;
        }
        anonymous(shared, size)?
    } else {
        let file = c.file(fd)?;
        check_mappable(&file, shared, protection)?;
        offset.checked_add(size).ok_or(Errno::EOVERFLOW)?;
        Backing::File {
            file: Arc::clone(file.file()),
            offset,
            writable: file.is_writable(),
        }
    };
    let placement = match flags {
        f if f & MAP_FIXED_NOREPLACE != 0 => Placement::FixedNoReplace(address),
        f if f & MAP_FIXED != 0 => Placement::Fixed(address),
        _ => Placement::Hint(address),
    };
    let memory = c.memory();
    let start = memory
        .lock()
        .map(placement, size, protection, shared, backing)?;
    if flags & MAP_POPULATE != 0 {
        memory.populate(start, size);
    }
    Ok(start)
}

/// Anonymous shared memory is a file without a name, so that children share its pages.
fn anonymous(shared: bool, size: u64) -> Result<Backing> {
    if !shared {
        return Ok(Backing::Anonymous);
    }
    let file = files::tree().create_memory_file();
    let size = page_up(size)
        .and_then(|size| i64::try_from(size).ok())
        .ok_or(Errno::ENOMEM)?;
    file.truncate(size)?;
    Ok(Backing::File {
        file: Arc::clone(file.file()),
        offset: 0,
        writable: true,
    })
}

fn check_mappable(file: &OpenFile, shared: bool, protection: Protection) -> Result<()> {
    if !file.is_readable() {
        return Err(Errno::EACCES);
    }
    if shared && protection.contains(Protection::WRITE) && !file.is_writable() {
        return Err(Errno::EACCES);
    }
    if file.file().stat().kind != FileKind::Regular {
        return Err(Errno::ENODEV);
    }
    Ok(())
}

pub(super) fn munmap(c: &mut Call<'_>, address: u64, size: u64) -> Result {
    c.memory().lock().unmap(address, size)?;
    Ok(0)
}

pub(super) fn mprotect(c: &mut Call<'_>, address: u64, size: u64, prot: u64) -> Result {
    let protection = protection(prot)?;
    c.memory().lock().protect(address, size, protection)?;
    Ok(0)
}

pub(super) fn mremap(
    c: &mut Call<'_>,
    address: u64,
    old_size: u64,
    new_size: u64,
    flags: u64,
    new_address: u64,
) -> Result {
    let may_move = flags & MREMAP_MAYMOVE != 0;
    let fixed = flags & MREMAP_FIXED != 0;
    if flags & !(MREMAP_MAYMOVE | MREMAP_FIXED) != 0 || fixed && !may_move {
        return Err(Errno::EINVAL);
    }
    afford(c.task, new_size.saturating_sub(old_size))?;
    let target = fixed.then_some(new_address);
    c.memory()
        .lock()
        .remap(address, old_size, new_size, may_move, target)
}

pub(super) fn brk(c: &mut Call<'_>, address: u64) -> Result {
    let memory = c.memory();
    let mut map = memory.lock();
    let now = map.set_brk(0);
    match afford(c.task, address.saturating_sub(now)) {
        Ok(()) => Ok(map.set_brk(address)),
        Err(_) => Ok(now),
    }
}

pub(super) fn madvise(c: &mut Call<'_>, address: u64, size: u64, advice: u64) -> Result {
    if !address.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    if size == 0 {
        return Ok(0);
    }
    match advice as u32 {
        raw::MADV_DONTNEED | raw::MADV_FREE => c.memory().lock().discard(address, size)?,
        // Advice about paging, huge pages and dumps: nothing to do.
        raw::MADV_NORMAL..=raw::MADV_WILLNEED | 10..=21 | 25 => {}
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

pub(super) fn msync(c: &mut Call<'_>, address: u64, size: u64, _flags: u64) -> Result {
    let end = page_up(size)
        .and_then(|size| address.checked_add(size))
        .ok_or(Errno::ENOMEM)?;
    if !address.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    c.memory().lock().require_mapped(address, end)?;
    Ok(0)
}

pub(super) fn mincore(c: &mut Call<'_>, address: u64, size: u64, vector: u64) -> Result {
    let end = page_up(size)
        .and_then(|size| address.checked_add(size))
        .ok_or(Errno::ENOMEM)?;
    if !address.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let memory = c.memory();
    memory.lock().require_mapped(address, end)?;
    // In steps: a reservation may be far larger than what the kernel can answer in one piece.
    let resident = [1; 512];
    let pages = (end - address) / PAGE;
    let mut done = 0;
    while done < pages {
        let count = (pages - done).min(resident.len() as u64);
        memory.write(vector.wrapping_add(done), &resident[..count as usize])?;
        done += count;
    }
    Ok(0)
}

pub(super) fn mlock(_: &mut Call<'_>, _address: u64, _size: u64) -> Result {
    Ok(0)
}

pub(super) fn munlock(_: &mut Call<'_>, _address: u64, _size: u64) -> Result {
    Ok(0)
}

pub(super) fn mlockall(_: &mut Call<'_>, _flags: u64) -> Result {
    Ok(0)
}

pub(super) fn munlockall(_: &mut Call<'_>) -> Result {
    Ok(0)
}

/// membarrier(2): a CPU that is not in ring 3 passes a barrier before it gets there.
pub(super) fn membarrier(c: &mut Call<'_>, command: u64, _flags: u64, _cpu: u64) -> Result {
    // Values of linux/membarrier.h.
    const PRIVATE_EXPEDITED: u64 = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: u64 = 1 << 4;
    const SUPPORTED: u64 = PRIVATE_EXPEDITED | REGISTER_PRIVATE_EXPEDITED;
    match command {
        0 => Ok(SUPPORTED),
        PRIVATE_EXPEDITED => {
            c.memory().synchronize();
            Ok(0)
        }
        REGISTER_PRIVATE_EXPEDITED => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}
