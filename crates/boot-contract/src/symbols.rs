//! Names of the kernel's functions, for its epitaph: written into the linked kernel by
//! `boot-images`, read by a dying kernel.
//!
//! ```text
//! u32 count                           0 in a kernel that nobody wrote names into
//! count × { u32 address, u32 end }    sorted; address past KERNEL_BASE, end of the name in names
//! names                               UTF-8, one behind the other
//! ```
//! All numbers are little-endian.

/// Name of the section that holds the table.
pub const SECTION: &str = ".symbols";
/// Where the kernel is linked; addresses in the table count from here.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

const COUNT: usize = 4;
const ENTRY: usize = 8;

/// Writes the table of `symbols`, which must be sorted by address, to the start of `out`; `None`
/// when it does not fit.
pub fn emit(symbols: &[(u32, &str)], out: &mut [u8]) -> Option<()> {
    let (head, names) = out.split_at_mut_checked(COUNT + symbols.len() * ENTRY)?;
    head[..COUNT].copy_from_slice(&u32::try_from(symbols.len()).ok()?.to_le_bytes());
    let mut end = 0;
    for ((address, name), entry) in symbols.iter().zip(head[COUNT..].chunks_exact_mut(ENTRY)) {
        let start = end;
        end += name.len();
        names.get_mut(start..end)?.copy_from_slice(name.as_bytes());
        entry[..4].copy_from_slice(&address.to_le_bytes());
        entry[4..].copy_from_slice(&u32::try_from(end).ok()?.to_le_bytes());
    }
    Some(())
}

/// The function that holds `address`, and how far into it the address is; `None` for addresses
/// outside the kernel's code and for tables that make no sense.
pub fn find(table: &[u8], address: u64) -> Option<(&str, u32)> {
    let address = u32::try_from(address.checked_sub(KERNEL_BASE)?).ok()?;
    let count = number(table, 0)? as usize;
    let entry = |index: usize| COUNT + index * ENTRY;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if number(table, entry(middle))? <= address {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let index = low.checked_sub(1)?;
    let start = match index.checked_sub(1) {
        Some(before) => number(table, entry(before) + 4)? as usize,
        None => 0,
    };
    let end = number(table, entry(index) + 4)? as usize;
    let name = table.get(entry(count)..)?.get(start..end)?;
    let name = core::str::from_utf8(name).ok()?;
    Some((name, address - number(table, entry(index))?))
}

fn number(table: &[u8], at: usize) -> Option<u32> {
    let bytes = table.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{KERNEL_BASE, emit, find};

    const SYMBOLS: [(u32, &str); 3] = [(16, "start"), (32, "kern::run"), (48, "é")];

    #[test]
    fn finds_what_was_written() {
        let mut table = [0xff; 64];
        emit(&SYMBOLS, &mut table).unwrap();
        let found = |offset| find(&table, KERNEL_BASE + offset);
        assert_eq!(found(15), None);
        assert_eq!(found(16), Some(("start", 0)));
        assert_eq!(found(47), Some(("kern::run", 15)));
        assert_eq!(found(1000), Some(("é", 952)));
        assert_eq!(find(&table, 16), None);
    }

    #[test]
    fn an_empty_or_damaged_table_names_nothing() {
        assert_eq!(find(&[0; 16], KERNEL_BASE + 16), None);
        assert_eq!(find(&[], KERNEL_BASE + 16), None);
        assert_eq!(find(&[0xff; 64], KERNEL_BASE + 16), None);
        let mut table = [0; 64];
        emit(&SYMBOLS, &mut table).unwrap();
        assert_eq!(find(&table[..30], KERNEL_BASE + 50), None);
    }

    #[test]
    fn a_table_that_does_not_fit_is_refused() {
        assert_eq!(emit(&SYMBOLS, &mut [0; 40]), None);
        assert_eq!(emit(&SYMBOLS, &mut [0; 10]), None);
    }
}
