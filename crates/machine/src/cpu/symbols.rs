//! Names for addresses of the kernel's code (`boot_contract::symbols`).

use core::fmt;

use boot_contract::symbols;

/// An address of kernel code, displayed with the name of its function where that is known.
#[derive(Clone, Copy, Debug)]
pub struct CodeAddress(pub u64);

unsafe extern "C" {
    static kernel_symbols: u8;
    static kernel_symbols_end: u8;
}

fn table() -> &'static [u8] {
    let start = &raw const kernel_symbols;
    let size = (&raw const kernel_symbols_end) as usize - start as usize;
    // SAFETY: the linker script puts the two around read-only data of the kernel image.
    unsafe { core::slice::from_raw_parts(start, size) }
}

impl fmt::Display for CodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)?;
        match symbols::find(table(), self.0) {
            Some((name, offset)) => write!(f, " {name}+{offset:#x}"),
            None => Ok(()),
        }
    }
}
