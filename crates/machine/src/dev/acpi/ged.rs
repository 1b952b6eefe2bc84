//! The generic event device of machines without PM1 registers (ACPI 6.5 §5.6.9), as QEMU makes
//! it (qemu: hw/acpi/generic_event_device.c), found by its bytes.
//!
//! ```text
//! "ACPI0013"                                            its identifier, _HID
//! 89  LENGTH LENGTH  FLAGS  01  IRQ IRQ IRQ IRQ         its interrupt, in _CRS
//! 5b 80  "EREG"  00  0c ADDRESS…  |  0e ADDRESS…        its register, in memory
//! ```
//! A read of the register tells which events have happened, and forgets them.

use super::{HEADER, read32, read64};

const IDENTIFIER: &[u8] = b"ACPI0013";
/// Extended interrupt descriptor with one number (ACPI 6.5 §6.4.3.6).
const INTERRUPT: [u8; 3] = [0x89, 6, 0];
/// `OperationRegion (EREG, SystemMemory, …)` (ACPI 6.5 §20.2.5.2).
const REGION: &[u8] = b"\x5b\x80EREG\x00";
const DWORD_PREFIX: u8 = 0x0c;
const QWORD_PREFIX: u8 = 0x0e;

/// The event device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventDevice {
    /// The ISA interrupt that events raise.
    pub(crate) interrupt: u8,
    /// Physical address of the 32-bit register with the events.
    pub(crate) register: u64,
}

impl EventDevice {
    /// The device, if this DSDT or SSDT defines one.
    pub(super) fn find(table: &[u8]) -> Option<Self> {
        let device = after(table.get(HEADER..)?, IDENTIFIER)?;
        // Behind the length: flags and the count of interrupts.
        let interrupt = read32(after(device, &INTERRUPT)?, 2)?;
        let address = after(device, REGION)?;
        let register = match *address.first()? {
            DWORD_PREFIX => read32(address, 1)?.into(),
            QWORD_PREFIX => read64(address, 1)?,
            _ => return None,
        };
        Some(Self {
            interrupt: u8::try_from(interrupt).ok()?,
            register,
        })
    }
}

fn after<'a>(code: &'a [u8], pattern: &[u8]) -> Option<&'a [u8]> {
    let at = code
        .windows(pattern.len())
        .position(|window| window == pattern)?;
    code.get(at + pattern.len()..)
}
