//! What arriving bytes do.

use alloc::vec::Vec;

use linux_abi::raw::general as raw;

use super::{BUFFER, LineDiscipline};

const BELL: u8 = 7;

impl LineDiscipline {
    /// Takes one byte that arrived at time `now` (nanoseconds). Appends what has to be sent back
    /// to `echo`; returns the signal that the byte stands for, if any.
    pub fn input(&mut self, byte: u8, now: u64, echo: &mut Vec<u8>) -> Option<i32> {
        self.last_byte = now;
        if core::mem::take(&mut self.literal) {
            self.add(byte, echo);
            return None;
        }
        let byte = self.translate(byte)?;
        if self.local(raw::ISIG)
            && let Some(signal) = self.signal(byte)
        {
            self.interrupt(byte, echo);
            return Some(signal);
        }
        let flow = self.is(raw::VSTART, byte) || self.is(raw::VSTOP, byte);
        if self.input_flag(raw::IXON) && flow {
            return None;
        }
        if self.local(raw::ICANON) {
            self.edit(byte, echo);
        } else {
            self.add(byte, echo);
        }
        None
    }

    /// The input flags; `None` for a byte that is dropped.
    fn translate(&self, byte: u8) -> Option<u8> {
        let byte = if self.input_flag(raw::ISTRIP) {
            byte & 0x7f
        } else {
            byte
        };
        match byte {
            b'\r' if self.input_flag(raw::IGNCR) => None,
            b'\r' if self.input_flag(raw::ICRNL) => Some(b'\n'),
            b'\n' if self.input_flag(raw::INLCR) => Some(b'\r'),
            byte => Some(byte),
        }
    }

    fn signal(&self, byte: u8) -> Option<i32> {
        let signals = [
            (raw::VINTR, raw::SIGINT),
            (raw::VQUIT, raw::SIGQUIT),
            (raw::VSUSP, raw::SIGTSTP),
        ];
        let found = signals.iter().find(|(index, _)| self.is(*index, byte));
        found.map(|&(_, signal)| signal as i32)
    }

    fn interrupt(&mut self, byte: u8, echo: &mut Vec<u8>) {
        if !self.local(raw::NOFLSH) {
            self.flush_input();
        }
        self.echo(byte, echo);
    }

    /// A byte in canonical mode.
    fn edit(&mut self, byte: u8, echo: &mut Vec<u8>) {
        let extended = self.local(raw::IEXTEN);
        match byte {
            b if self.is(raw::VERASE, b) => self.erase_character(echo),
            b if self.is(raw::VKILL, b) => self.kill_line(echo),
            b if extended && self.is(raw::VWERASE, b) => self.erase_word(echo),
            b if extended && self.is(raw::VREPRINT, b) => self.reprint(echo),
            b if extended && self.is(raw::VLNEXT, b) => self.take_next(echo),
            b if self.is(raw::VEOF, b) => self.finish_line(),
            b if self.ends_line(b) => {
                self.add(b, echo);
                self.finish_line();
            }
            b => self.add(b, echo),
        }
    }

    fn ends_line(&self, byte: u8) -> bool {
        let second = self.local(raw::IEXTEN) && self.is(raw::VEOL2, byte);
        byte == b'\n' || self.is(raw::VEOL, byte) || second
    }

    /// Adds a byte to the input; rings when there is no room. The end of a line has a place kept.
    fn add(&mut self, byte: u8, echo: &mut Vec<u8>) {
        let canonical = self.local(raw::ICANON);
        let kept = usize::from(canonical && !self.ends_line(byte));
        if self.ready.len() + self.line.len() + kept >= BUFFER {
            if self.input_flag(raw::IMAXBEL) {
                echo.push(BELL);
            }
            return;
        }
        if self.line.is_empty() {
            self.line_column = self.column;
        }
        self.echo(byte, echo);
        if canonical {
            self.line.push(byte);
        } else {
            self.ready.push_back(byte);
        }
    }

    fn finish_line(&mut self) {
        self.lines.push_back(self.line.len());
        self.ready.extend(self.line.drain(..));
    }

    fn take_next(&mut self, echo: &mut Vec<u8>) {
        self.literal = true;
        if self.local(raw::ECHO) && self.local(raw::ECHOCTL) {
            echo.extend(b"^\x08");
        }
    }

    fn erase_character(&mut self, echo: &mut Vec<u8>) {
        let start = self.last_character();
        let erase = self.settings.c_cc[raw::VERASE as usize];
        self.erase_to(start, erase, echo);
    }

    /// As Linux: what is no word goes first, then the word.
    fn erase_word(&mut self, echo: &mut Vec<u8>) {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
        let word_end = self.line.iter().rposition(is_word).map_or(0, |at| at + 1);
        let before = self.line[..word_end].iter().rposition(|b| !is_word(b));
        let erase = self.settings.c_cc[raw::VWERASE as usize];
        self.erase_to(before.map_or(0, |at| at + 1), erase, echo);
    }

    fn kill_line(&mut self, echo: &mut Vec<u8>) {
        let kill = self.settings.c_cc[raw::VKILL as usize];
        if self.local(raw::ECHOE) && self.local(raw::ECHOKE) {
            self.erase_to(0, kill, echo);
            return;
        }
        self.line.clear();
        self.echo(kill, echo);
        if self.local(raw::ECHO) && self.local(raw::ECHOK) {
            self.process_output(b"\n", echo);
        }
    }

    /// Index of the line's last character, which with `IUTF8` may be several bytes.
    fn last_character(&self) -> usize {
        let is_start = |byte: &u8| !self.input_flag(raw::IUTF8) || byte & 0xc0 != 0x80;
        self.line.iter().rposition(is_start).unwrap_or(0)
    }

    /// Cuts the line to `length`, on the screen too; `erase` is what was typed.
    fn erase_to(&mut self, length: usize, erase: u8, echo: &mut Vec<u8>) {
        if length >= self.line.len() {
            return;
        }
        if self.local(raw::ECHO) && !self.local(raw::ECHOE) {
            self.line.truncate(length);
            self.echo(erase, echo);
            return;
        }
        let end = self.column_at(self.line.len());
        let start = self.column_at(length);
        self.line.truncate(length);
        if self.local(raw::ECHO) {
            for _ in start..end {
                echo.extend(b"\x08 \x08");
                self.column = self.column.saturating_sub(1);
            }
        }
    }
}
