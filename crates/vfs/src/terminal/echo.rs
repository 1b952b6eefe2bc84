//! What the screen shows of the input.

use alloc::vec::Vec;

use linux_abi::raw::general as raw;

use super::LineDiscipline;
use super::output::TAB;

impl LineDiscipline {
    /// Shows a byte of the input: control characters as `^X`, newlines as output shows them.
    pub(super) fn echo(&mut self, byte: u8, echo: &mut Vec<u8>) {
        let newline = byte == b'\n' && self.local(raw::ICANON) && self.local(raw::ECHONL);
        if !self.local(raw::ECHO) && !newline {
            return;
        }
        if self.is_shown_as_two(byte) {
            echo.extend([b'^', byte ^ 0x40]);
            self.column += 2;
        } else {
            self.process_output(&[byte], echo);
        }
    }

    fn is_shown_as_two(&self, byte: u8) -> bool {
        let plain = matches!(byte, b'\n' | b'\t') || byte == b'\r' && !self.local(raw::ICANON);
        self.local(raw::ECHOCTL) && byte.is_ascii_control() && !plain
    }

    /// Shows the line anew, on a line of its own.
    pub(super) fn reprint(&mut self, echo: &mut Vec<u8>) {
        if !self.local(raw::ECHO) {
            return;
        }
        self.echo(self.settings.c_cc[raw::VREPRINT as usize], echo);
        self.process_output(b"\n", echo);
        self.line_column = self.column;
        for byte in core::mem::take(&mut self.line) {
            self.echo(byte, echo);
            self.line.push(byte);
        }
    }

    /// The column behind the first `length` bytes of the line.
    pub(super) fn column_at(&self, length: usize) -> usize {
        let advance = |column: usize, &byte: &u8| match byte {
            b'\t' => (column / TAB + 1) * TAB,
            byte if self.is_shown_as_two(byte) => column + 2,
            byte if self.is_continuation(byte) || byte.is_ascii_control() => column,
            _ => column + 1,
        };
        self.line[..length].iter().fold(self.line_column, advance)
    }

    /// Whether `byte` goes on with a character of UTF-8, in terminals that are told to know.
    pub(super) fn is_continuation(&self, byte: u8) -> bool {
        self.input_flag(raw::IUTF8) && byte & 0xc0 == 0x80
    }
}
