//! The power button: a fixed event of the PM1 registers (ACPI 6.5 §4.8.2.2.1), or an event of
//! QEMU's event device on machines without them.
//!
//! The line is shared with all other events of ACPI; only the button's is ever enabled.

use spin::Once;

use super::acpi::{Acpi, EventBlocks, EventDevice, Fadt};
use super::interrupt::{self, Irq};
use super::io::Ports;
use super::mmio::Mmio;
use super::power::take_over;
use super::registers::Registers;

/// PWRBTN_STS and PWRBTN_EN (ACPI 6.5 tables 4.13 and 4.14).
const PM1_BUTTON: u16 = 1 << 8;
/// `ACPI_GED_PWR_DOWN_EVT` (qemu: include/hw/acpi/generic_event_device.h).
const GED_BUTTON: u32 = 2;

static BUTTON: Once<(Button, u8)> = Once::new();

enum Button {
    /// PM1a and perhaps PM1b.
    Pm1([Option<EventBlock>; 2]),
    /// The register of the event device.
    Ged(Mmio),
}

/// Status and enable bits.
struct EventBlock {
    registers: Ports,
    enable: usize,
}

/// Has the button raise [`Irq::PowerButton`], if there is one.
pub(super) fn init(acpi: &Acpi) {
    let fixed = acpi
        .fadt
        .as_ref()
        .filter(|fadt| !fadt.hardware_reduced)
        .and_then(|fadt| Some((Button::fixed(fadt)?, fadt.power_button?.interrupt, true)));
    let found = fixed.or_else(|| {
        let device = acpi.events?;
        Some((Button::event(device)?, device.interrupt, false))
    });
    let Some((button, line, level)) = found else {
        return;
    };
    if let Some(vector) = interrupt::route_isa(line, level, Irq::PowerButton) {
        BUTTON.call_once(|| (button, vector));
    }
}

/// Whether the button was pressed since the last call; to be called for each
/// [`Irq::PowerButton`]. When something else holds the line, it stays closed: nobody could quiet
/// it.
pub fn power_button_pressed() -> bool {
    let Some((button, vector)) = BUTTON.get() else {
        return false;
    };
    let pressed = button.take();
    if pressed {
        interrupt::unmask(*vector);
    }
    pressed
}

impl Button {
    /// The PM1 registers, taken over from firmware, with no other event enabled.
    fn fixed(fadt: &Fadt) -> Option<Self> {
        let EventBlocks { ports, length, .. } = fadt.power_button?;
        if let (Some(control), Some((port, value))) = (fadt.pm1a_control, fadt.enable) {
            // SAFETY: the FADT names the power-management registers; they cannot access memory.
            let control = unsafe { Ports::new(control, 2) };
            // SAFETY: as above.
            let port = unsafe { Ports::new(port, 1) };
            take_over(&control, &port, value);
        }
        let blocks = ports.map(|port| port.map(|port| EventBlock::new(port, length)));
        Some(Self::Pm1(blocks))
    }

    fn event(device: EventDevice) -> Option<Self> {
        // SAFETY: the tables name the register; reads of it have no effect on memory.
        unsafe { Mmio::map(device.register, 4) }.map(Self::Ged)
    }

    /// Whether it was pressed; forgets it.
    fn take(&self) -> bool {
        match self {
            Self::Pm1(blocks) => {
                // Both blocks are asked: a press left behind would raise the interrupt again.
                let taken: [bool; 2] = blocks
                    .each_ref()
                    .map(|b| b.as_ref().is_some_and(EventBlock::take));
                taken.contains(&true)
            }
            Self::Ged(register) => register.read32(0) & GED_BUTTON != 0,
        }
    }
}

impl EventBlock {
    fn new(port: u16, length: u16) -> Self {
        let block = Self {
            // SAFETY: the FADT names the power-management registers; they cannot access memory.
            registers: unsafe { Ports::new(port, length) },
            enable: usize::from(length / 2),
        };
        block.registers.write16(0, u16::MAX); // a one clears
        block.registers.write16(block.enable, PM1_BUTTON);
        block
    }

    fn take(&self) -> bool {
        let pressed = self.registers.read16(0) & PM1_BUTTON != 0;
        if pressed {
            self.registers.write16(0, PM1_BUTTON);
        }
        pressed
    }
}
