//! What output becomes on its way to the terminal.

use alloc::vec::Vec;

use linux_abi::raw::general as raw;

use super::LineDiscipline;

/// Columns from one tab stop to the next.
pub(super) const TAB: usize = 8;

impl LineDiscipline {
    /// Appends to `out` what has to be sent for `bytes` (`OPOST` and the flags under it).
    pub fn process_output(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let flags = self.settings.c_oflag;
        if flags & raw::OPOST == 0 {
            out.extend(bytes);
            return;
        }
        let has = |flag| flags & flag != 0;
        for &byte in bytes {
            match byte {
                b'\n' if has(raw::ONLCR) => {
                    out.extend(b"\r\n");
                    self.column = 0;
                }
                b'\r' if has(raw::ONOCR) && self.column == 0 => {}
                b'\r' if has(raw::OCRNL) => out.push(b'\n'),
                b'\t' if flags & raw::XTABS == raw::XTABS => {
                    let spaces = TAB - self.column % TAB;
                    out.extend(core::iter::repeat_n(b' ', spaces));
                    self.column += spaces;
                }
                byte => {
                    out.push(byte);
                    self.advance(byte);
                }
            }
        }
    }

    fn advance(&mut self, byte: u8) {
        self.column = match byte {
            b'\r' => 0,
            b'\n' if self.settings.c_oflag & raw::ONLRET != 0 => 0,
            b'\t' => (self.column / TAB + 1) * TAB,
            8 => self.column.saturating_sub(1),
            byte if byte.is_ascii_control() || self.is_continuation(byte) => self.column,
            _ => self.column + 1,
        };
    }
}
