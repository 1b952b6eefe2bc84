//! Messages for people: the BIOS's teletype and COM1.

use core::fmt;

use crate::bios::{Registers, input, interrupt, out};

/// Data register of COM1.
const COM1: u16 = 0x3f8;
/// Its line status register; bit 5 is "transmitter empty".
const COM1_STATUS: u16 = COM1 + 5;
const TRANSMITTER_EMPTY: u8 = 1 << 5;
/// How often the status is read before the byte is sent anyway.
const PATIENCE: u32 = 100_000;

/// Where messages go.
pub(crate) struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                put(b'\r');
            }
            put(byte);
        }
        Ok(())
    }
}

fn put(byte: u8) {
    let teletype = Registers {
        eax: 0x0e00 | u32::from(byte),
        ebx: 7,
        ..Registers::default()
    };
    interrupt(0x10, teletype);
    // A machine without COM1 reads all ones, which looks like an empty transmitter.
    for _ in 0..PATIENCE {
        if input(COM1_STATUS) & TRANSMITTER_EMPTY != 0 {
            break;
        }
    }
    out(COM1, byte);
}
