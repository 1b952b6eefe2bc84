//! Ending: QEMU's exit device, ACPI soft-off, reset.
//!
//! Nothing here takes a lock or allocates, so that a dying kernel can use it.

use core::arch::asm;

use boot_contract::status::EXIT_PORT;
use spin::Once;

use super::acpi::{Acpi, Fadt, GenericAddress, SpaceId};
use super::instructions::pause;
use super::io::Ports;
use super::mmio::Mmio;
use super::registers::{Registers, Window};

// SAFETY: nothing but QEMU's `isa-debug-exit` answers at this port, and it ends the machine.
const EXIT: Ports = unsafe { Ports::new(EXIT_PORT, 4) };
// SAFETY: the keyboard controller's command and status port; it has no access to memory.
const KEYBOARD: Ports = unsafe { Ports::new(0x64, 1) };
// SAFETY: the reset control register (Intel PIIX3, ICH9 datasheets); it can only reset.
const RESET_CONTROL: Ports = unsafe { Ports::new(0xcf9, 1) };

const KEYBOARD_BUSY: u8 = 0x02;
const KEYBOARD_RESET: u8 = 0xfe;
const FULL_RESET: u8 = 0x06;

/// PM1 control: SLP_TYP at bit 10, SLP_EN (ACPI 6.5 table 4.15).
const PM1_SLEEP_TYPE: u32 = 10;
const PM1_SLEEP: u16 = 1 << 13;
/// PM1 control: the registers are the operating system's.
const PM1_ACPI_ENABLED: u16 = 1;
/// Sleep control: SLP_TYP at bit 2, SLP_EN (ACPI 6.5 table 4.22).
const SLEEP_TYPE: u32 = 2;
const SLEEP: u8 = 1 << 5;
/// Reads of a register before giving up on firmware or a keyboard controller.
const PATIENCE: u32 = 100_000;

static POWER: Once<Power> = Once::new();

/// The registers that end the machine.
#[derive(Debug, Default)]
struct Power {
    off: Option<SoftOff>,
    reset: Option<(Window, u8)>,
}

#[derive(Debug)]
enum SoftOff {
    /// PM1a and perhaps PM1b control with their sleep types, and how to get them from firmware.
    Pm1 {
        controls: [Option<(Ports, u8)>; 2],
        enable: Option<(Ports, u8)>,
    },
    /// The sleep register of a hardware-reduced machine, and its sleep type.
    Sleep(Window, u8),
}

/// Remembers what the tables say.
pub(super) fn init(acpi: &Acpi) {
    POWER.call_once(|| {
        let Some(fadt) = &acpi.fadt else {
            return Power::default();
        };
        let reset = fadt
            .reset
            .and_then(|(register, value)| Some((window(register)?, value)));
        Power {
            off: acpi.soft_off.and_then(|types| SoftOff::find(fadt, types)),
            reset,
        }
    });
}

impl SoftOff {
    fn find(fadt: &Fadt, (type_a, type_b): (u8, u8)) -> Option<Self> {
        if fadt.hardware_reduced {
            return Some(Self::Sleep(window(fadt.sleep_control?)?, type_a));
        }
        // SAFETY: the FADT names the power-management registers; they have no access to memory.
        let ports = |port, count| unsafe { Ports::new(port, count) };
        let control = |port: Option<u16>, sleep| port.map(|port| (ports(port, 2), sleep));
        Some(Self::Pm1 {
            controls: [
                control(fadt.pm1a_control, type_a),
                control(fadt.pm1b_control, type_b),
            ],
            enable: fadt.enable.map(|(port, value)| (ports(port, 1), value)),
        })
    }

    fn enter(&self) {
        match self {
            Self::Sleep(register, kind) => register.write8(0, kind << SLEEP_TYPE | SLEEP),
            Self::Pm1 { controls, enable } => {
                if let (Some((control, _)), Some((port, value))) = (&controls[0], enable) {
                    take_over(control, port, *value);
                }
                for (control, kind) in controls.iter().flatten() {
                    let kept = control.read16(0) & PM1_ACPI_ENABLED;
                    control.write16(0, kept | u16::from(*kind) << PM1_SLEEP_TYPE | PM1_SLEEP);
                }
            }
        }
    }
}

/// Has firmware hand the PM1 registers over, if it has not yet.
pub(super) fn take_over(control: &impl Registers, port: &impl Registers, value: u8) {
    let mut patience = PATIENCE;
    if control.read16(0) & PM1_ACPI_ENABLED == 0 {
        port.write8(0, value);
        while control.read16(0) & PM1_ACPI_ENABLED == 0 && patience > 0 {
            pause();
            patience -= 1;
        }
    }
}

fn window(register: GenericAddress) -> Option<Window> {
    match register.space {
        SpaceId::Ports => {
            let port = u16::try_from(register.address).ok()?;
            // SAFETY: the FADT names the register for sleep or reset; it has no access to memory.
            Some(Window::Ports(unsafe { Ports::new(port, 1) }))
        }
        SpaceId::Memory => {
            // SAFETY: the FADT names the register for sleep or reset; it has no access to memory.
            unsafe { Mmio::map(register.address, 1) }.map(Window::Memory)
        }
    }
}

/// Ends the machine: QEMU's exit device with `code`, else [`power_off`].
pub fn exit(code: u8) -> ! {
    #[cfg(target_os = "none")]
    crate::cpu::stop_others();
    EXIT.write32(0, code.into());
    power_off()
}

/// Switches the machine off; where that does not work, resets it; where that does not work
/// either, halts this CPU for good.
pub fn power_off() -> ! {
    if let Some(off) = POWER.get().and_then(|power| power.off.as_ref()) {
        off.enter();
        wait();
    }
    by_reset_registers();
    halt()
}

/// Starts the machine anew.
pub fn reboot() -> ! {
    if let Some((register, value)) = POWER.get().and_then(|power| power.reset.as_ref()) {
        register.write8(0, *value);
        wait();
    }
    by_reset_registers();
    triple_fault()
}

/// Resets by the registers that PCs have had without any tables.
fn by_reset_registers() {
    let mut patience = PATIENCE;
    while KEYBOARD.read8(0) & KEYBOARD_BUSY != 0 && patience > 0 {
        patience -= 1;
    }
    KEYBOARD.write8(0, KEYBOARD_RESET);
    wait();
    RESET_CONTROL.write8(0, FULL_RESET);
    wait();
}

/// Gives a virtual machine's other threads the time to act on a write.
fn wait() {
    for _ in 0..PATIENCE {
        pause();
    }
}

/// An exception without a table of handlers resets the CPU.
fn triple_fault() -> ! {
    let empty = [0u16; 5];
    // SAFETY: the next instruction raises an exception that has no handler: the CPU resets, and
    // no code runs any more.
    unsafe { asm!("lidt [{}]", "int3", "2: hlt", "jmp 2b", in(reg) &empty, options(noreturn)) }
}

/// Halts this CPU for good.
pub fn halt() -> ! {
    // SAFETY: no code runs on this CPU any more.
    unsafe { asm!("2: cli", "hlt", "jmp 2b", options(noreturn)) }
}
