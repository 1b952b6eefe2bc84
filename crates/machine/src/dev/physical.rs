//! Reading physical memory that firmware left tables in.

use super::acpi::Memory;
use crate::mem::phys_to_ptr;

/// End of the addresses that the direct map has on every machine.
const DIRECT: u64 = 1 << 32;

/// All memory below 4 GiB.
pub(super) struct LowMemory;

impl Memory for LowMemory {
    fn read(&self, paddr: u64, out: &mut [u8]) -> bool {
        let end = paddr.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > DIRECT) {
            return false;
        }
        let start = phys_to_ptr(paddr).cast_const();
        for (index, byte) in out.iter_mut().enumerate() {
            // SAFETY: below 4 GiB everything is in the direct map; any byte is a valid `u8`.
            *byte = unsafe { start.wrapping_add(index).read_volatile() };
        }
        true
    }
}
