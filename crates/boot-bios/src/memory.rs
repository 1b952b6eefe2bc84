//! The memory map and where the root archive goes.

use boot_contract::start_info::{MEMORY_RAM, MemoryRange};

/// Most ranges the stage can hold; real firmware reports 5 to 30.
pub const MAX_RANGES: usize = 64;
/// Alignment of the root archive, in bytes.
pub const PAGE: u64 = 4096;
/// The stage reaches memory below this only.
const REACH: u64 = 1 << 32;

/// What the firmware says about memory.
#[derive(Clone, Copy, Debug)]
pub struct MemoryMap {
    ranges: [MemoryRange; MAX_RANGES],
    len: usize,
}

const NO_RANGE: MemoryRange = MemoryRange {
    addr: 0,
    size: 0,
    kind: 0,
    reserved: 0,
};

impl Default for MemoryMap {
    fn default() -> Self {
        Self {
            ranges: [NO_RANGE; MAX_RANGES],
            len: 0,
        }
    }
}

impl MemoryMap {
    /// Adds a range; false if there is no place for it.
    #[must_use]
    pub fn push(&mut self, range: MemoryRange) -> bool {
        let Some(slot) = self.ranges.get_mut(self.len) else {
            return false;
        };
        *slot = range;
        self.len += 1;
        true
    }

    /// All places for ranges, used ones first.
    pub fn table(&self) -> [MemoryRange; MAX_RANGES] {
        self.ranges
    }

    /// The ranges in the firmware's order.
    pub fn ranges(&self) -> &[MemoryRange] {
        self.ranges.get(..self.len).unwrap_or_default()
    }

    /// Usable RAM as (start, end), below the stage's reach.
    fn ram(&self) -> impl Iterator<Item = (u64, u64)> {
        let ram = self.ranges().iter().filter(|r| r.kind == MEMORY_RAM);
        ram.map(|r| (r.addr, r.addr.saturating_add(r.size).min(REACH)))
    }

    /// Whether all of `size` bytes from `start` are usable RAM in the stage's reach.
    pub fn is_ram(&self, start: u64, size: u64) -> bool {
        let end = start.saturating_add(size);
        self.ram().any(|(from, to)| from <= start && end <= to)
    }

    /// Bytes of usable RAM from `start` on, in one range.
    pub fn ram_from(&self, start: u64) -> u64 {
        let inside = |&(from, to): &(u64, u64)| (from..to).contains(&start);
        self.ram().find(inside).map_or(0, |(_, to)| to - start)
    }

    /// The highest page from which `size` bytes are usable RAM, at `above` or higher.
    ///
    /// High is where QEMU's own loader puts modules, too, and leaves the memory behind the kernel
    /// in one piece.
    pub fn place(&self, size: u64, above: u64) -> Option<u64> {
        let start = |(from, to): (u64, u64)| {
            let start = to.checked_sub(size)? / PAGE * PAGE;
            (start >= from.max(above)).then_some(start)
        };
        self.ram().filter_map(start).max()
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_RANGES, MemoryMap, MemoryRange};

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    fn map(ranges: &[(u64, u64, u32)]) -> MemoryMap {
        let mut map = MemoryMap::default();
        for &(addr, end, kind) in ranges {
            let range = MemoryRange {
                addr,
                size: end - addr,
                kind,
                reserved: 0,
            };
            assert!(map.push(range));
        }
        map
    }

    /// What SeaBIOS reports on a machine with 64 MiB.
    fn small() -> MemoryMap {
        map(&[
            (0, 0x9fc00, 1),
            (0x9fc00, 0xa0000, 2),
            (0xf0000, MIB, 2),
            (MIB, 0x3fe_0000, 1),
            (0x3fe_0000, 64 * MIB, 2),
        ])
    }

    /// What SeaBIOS reports on `-M pc` with 8 GiB.
    fn large() -> MemoryMap {
        map(&[
            (0, 0x9fc00, 1),
            (MIB, 0xbffe_0000, 1),
            (0xbffe_0000, 3 * GIB, 2),
            (4 * GIB, 9 * GIB, 1),
        ])
    }

    #[test]
    fn the_archive_goes_to_the_top() {
        assert_eq!(
            small().place(40 * MIB, 4 * MIB),
            Some(0x3fe_0000 - 40 * MIB)
        );
        assert_eq!(large().place(5000, MIB), Some(0xbffe_0000 - 8192));
        assert_eq!(large().place(2 * GIB, MIB), Some(0xbffe_0000 - 2 * GIB));
    }

    #[test]
    fn it_stays_off_the_kernel_and_low_memory() {
        assert_eq!(small().place(60 * MIB, 4 * MIB), None);
        assert_eq!(small().place(10, 64 * MIB), None);
        assert_eq!(large().place(4 * GIB, MIB), None);
        assert_eq!(small().place(u64::MAX, MIB), None);
    }

    #[test]
    fn ram_above_four_gib_is_out_of_reach() {
        let map = map(&[(4 * GIB - MIB, 8 * GIB, 1)]);
        assert_eq!(map.place(MIB, 0), Some(4 * GIB - MIB));
        assert_eq!(map.place(MIB + 1, 0), None);
        assert!(!map.is_ram(5 * GIB, 1));
    }

    #[test]
    fn ranges_that_wrap_do_no_harm() {
        let mut map = MemoryMap::default();
        let range = MemoryRange {
            addr: MIB,
            size: u64::MAX,
            kind: 1,
            reserved: 0,
        };
        assert!(map.push(range));
        assert!(map.is_ram(MIB, GIB));
        assert!(!map.is_ram(MIB, u64::MAX));
    }

    #[test]
    fn only_whole_ram_counts() {
        assert!(small().is_ram(2 * MIB, 10 * MIB));
        assert!(!small().is_ram(2 * MIB, 63 * MIB));
        assert!(!small().is_ram(0xf0000, 10));
    }

    #[test]
    fn ram_is_counted_to_the_end_of_its_range() {
        assert_eq!(small().ram_from(0), 0x9fc00);
        assert_eq!(small().ram_from(MIB), 0x3fe_0000 - MIB);
        assert_eq!(small().ram_from(0xf0000), 0);
        assert_eq!(large().ram_from(9 * GIB), 0);
    }

    #[test]
    fn a_full_map_says_so() {
        let mut map = MemoryMap::default();
        let range = small().ranges()[0];
        assert!((0..MAX_RANGES).all(|_| map.push(range)));
        assert!(!map.push(range));
        assert_eq!(map.ranges().len(), MAX_RANGES);
    }
}
