//! Reading from the boot drive.

use boot_contract::disk::{MAX_READ_SECTORS, SECTOR};

use crate::bios::{DiskPacket, copy_to, low_memory, read_disk};
use crate::layout::BOUNCE;
use crate::stage_error::StageError;

/// How often a read is tried.
const TRIES: u32 = 3;

/// Reads `sectors` sectors, at most [`MAX_READ_SECTORS`]; the bytes stay valid until the next
/// read.
fn read(lba: u64, sectors: u16) -> Result<&'static [u8], StageError> {
    let mut status = 0;
    for _ in 0..TRIES {
        let answer = read_disk(DiskPacket {
            size: size_of::<DiskPacket>() as u16,
            sectors,
            offset: 0,
            segment: (BOUNCE >> 4) as u16,
            lba,
        });
        if !answer.carry() {
            let size = usize::from(sectors) * SECTOR as usize;
            // SAFETY: the bounce buffer lies in low memory; only reads of the disk write there,
            // and callers are done with the bytes before the next.
            return Ok(unsafe { low_memory(BOUNCE, size) });
        }
        status = (answer.eax >> 8) as u8;
    }
    Err(StageError::Disk { lba, status })
}

/// Copies `size` bytes, which start `skip` bytes after the start of sector `lba`, to memory.
///
/// # Safety
/// The destination is RAM below 4 GiB that the stage does not use otherwise.
pub(crate) unsafe fn load(lba: u64, skip: u64, size: u64, to: u64) -> Result<(), StageError> {
    let (mut lba, mut skip, mut done) = (lba, skip, 0);
    while done < size {
        let wanted = (skip + size - done).div_ceil(SECTOR);
        let sectors = wanted.min(u64::from(MAX_READ_SECTORS));
        let bytes = read(lba, sectors as u16)?;
        let end = (sectors * SECTOR).min(skip + size - done);
        let part = bytes.get(skip as usize..end as usize).unwrap_or_default();
        // SAFETY: within the destination; the caller vouches for it.
        unsafe { copy_to(to + done, part) };
        done += end - skip;
        lba += sectors;
        skip = 0;
    }
    Ok(())
}
