//! The debug port: where milestones go (see `boot_contract::events`).

use boot_contract::events::{DEBUG_PORT, DEBUG_PORT_PRESENT};

use super::io::Ports;
use super::registers::Registers;
use super::turns::Turns;

// SAFETY: on a PC nothing but QEMU's `isa-debugcon` answers at this port, and it only takes text.
const PORT: Ports = unsafe { Ports::new(DEBUG_PORT, 1) };

/// Whether somebody listens.
pub fn is_present() -> bool {
    PORT.read8(0) == DEBUG_PORT_PRESENT
}

/// Whose turn it is to send.
static TURNS: Turns = Turns::new();

/// Sends bytes, not mixed with those of other CPUs; without a listener they are lost.
pub fn write(bytes: &[u8]) {
    TURNS.take(|| {
        for &byte in bytes {
            PORT.write8(0, byte);
        }
    });
}
