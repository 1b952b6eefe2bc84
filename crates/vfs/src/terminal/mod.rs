//! A terminal's line discipline (termios(3)), without the terminal: bytes that arrive go in, what
//! they echo and the signals they stand for come out, and readers get lines or bytes.
//!
//! Flow control is not among it: `^S` and `^Q` are taken off the input as `IXON` demands, but
//! output never stops, because nobody may be there to start it again.

mod echo;
mod edit;
mod output;
mod read;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use linux_abi::layout::Termios;
use linux_abi::raw::general as raw;

pub use read::Readiness;

/// Most bytes that wait to be read (`N_TTY_BUF_SIZE` of Linux).
const BUFFER: usize = 4096;

/// The state of a terminal's input and output.
#[derive(Debug)]
pub struct LineDiscipline {
    settings: Termios,
    /// Bytes that can be read.
    ready: VecDeque<u8>,
    /// Lengths of the lines in `ready` (canonical mode); zero stands for an end of file.
    lines: VecDeque<usize>,
    /// The line being edited.
    line: Vec<u8>,
    /// The column at which it started.
    line_column: usize,
    /// The column that output has reached.
    column: usize,
    /// The next byte is taken as it is (`VLNEXT`).
    literal: bool,
    /// When the last byte arrived, and when somebody began to wait for one, for `VTIME`.
    last_byte: u64,
    waiting_since: Option<u64>,
}

impl Default for LineDiscipline {
    fn default() -> Self {
        Self {
            settings: Termios::STANDARD,
            ready: VecDeque::new(),
            lines: VecDeque::new(),
            line: Vec::new(),
            line_column: 0,
            column: 0,
            literal: false,
            last_byte: 0,
            waiting_since: None,
        }
    }
}

impl LineDiscipline {
    /// The settings.
    pub fn settings(&self) -> &Termios {
        &self.settings
    }

    /// Changes the settings. Input that has arrived stays, in the form of the new mode.
    pub fn set_settings(&mut self, settings: Termios) {
        let was_canonical = self.local(raw::ICANON);
        self.settings = settings;
        let is_canonical = self.local(raw::ICANON);
        if was_canonical && !is_canonical {
            self.lines.clear();
            self.ready.extend(self.line.drain(..));
        } else if !was_canonical && is_canonical && !self.ready.is_empty() {
            self.lines.push_back(self.ready.len());
        }
        self.waiting_since = None;
    }

    /// Forgets what has arrived and has not been read (`TCIFLUSH`).
    pub fn flush_input(&mut self) {
        self.ready.clear();
        self.lines.clear();
        self.line.clear();
        self.literal = false;
    }

    fn local(&self, flag: u32) -> bool {
        self.settings.c_lflag & flag != 0
    }

    fn input_flag(&self, flag: u32) -> bool {
        self.settings.c_iflag & flag != 0
    }

    /// Whether `byte` is the special character with this index; zero turns one off.
    fn is(&self, index: u32, byte: u8) -> bool {
        byte != 0 && self.settings.c_cc[index as usize] == byte
    }
}
