//! The fixed ACPI description table (ACPI 6.5 §5.2.9): registers for power management.

use super::{read16, read32, read64};

// Flags (ACPI 6.5 table 5.10).
const RESET_REGISTER_SUPPORTED: u32 = 1 << 10;
const TIMER_IS_32_BIT: u32 = 1 << 8;
const POWER_BUTTON_IS_DEVICE: u32 = 1 << 4;
const HARDWARE_REDUCED: u32 = 1 << 20;

/// Registers for power management.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fadt {
    /// Physical address of the DSDT.
    pub(super) dsdt: u64,
    /// The machine has the sleep register instead of the PM1 registers.
    pub(crate) hardware_reduced: bool,
    /// I/O port and value by which firmware hands the PM1 registers over.
    pub(crate) enable: Option<(u16, u8)>,
    /// I/O port of the PM1a control register.
    pub(crate) pm1a_control: Option<u16>,
    /// I/O port of the PM1b control register.
    pub(crate) pm1b_control: Option<u16>,
    /// The power button among the PM1 events; `None` where it is a device of its own.
    pub(crate) power_button: Option<EventBlocks>,
    /// I/O port of the power-management timer, and whether it counts 32 bits rather than 24.
    pub(crate) timer: Option<(u16, bool)>,
    /// Index of the century in the CMOS memory.
    pub(crate) century: Option<u8>,
    /// Where and what to write for a reset.
    pub(crate) reset: Option<(GenericAddress, u8)>,
    /// The sleep register of a hardware-reduced machine.
    pub(crate) sleep_control: Option<GenericAddress>,
}

impl Fadt {
    /// Reads the table; `None` when it is shorter than its first version.
    pub(super) fn parse(table: &[u8]) -> Option<Self> {
        let flags = read32(table, 112)?;
        let port = |offset| read32(table, offset).and_then(|port| u16::try_from(port).ok());
        let some_port = |offset| port(offset).filter(|&port| port != 0);
        let extended = read64(table, 140).filter(|&address| address != 0);
        let reset = GenericAddress::parse(table, 116);
        let reset = reset.filter(|_| flags & RESET_REGISTER_SUPPORTED != 0);
        let enable = some_port(48).zip(table.get(52).copied());
        Some(Self {
            dsdt: extended.or_else(|| read32(table, 40).map(u64::from))?,
            hardware_reduced: flags & HARDWARE_REDUCED != 0,
            enable: enable.filter(|&(_, value)| value != 0),
            pm1a_control: some_port(64),
            pm1b_control: some_port(68),
            power_button: (flags & POWER_BUTTON_IS_DEVICE == 0)
                .then(|| EventBlocks::parse(table))
                .flatten(),
            timer: some_port(76).map(|port| (port, flags & TIMER_IS_32_BIT != 0)),
            century: table.get(108).copied().filter(|&index| index != 0),
            reset: reset.zip(table.get(128).copied()),
            sleep_control: GenericAddress::parse(table, 244),
        })
    }
}

/// The PM1 event registers (ACPI 6.5 §4.8.3.1): status, then as many bytes of enable bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventBlocks {
    /// The ISA interrupt that events raise.
    pub(crate) interrupt: u8,
    /// I/O ports of the blocks PM1a and PM1b.
    pub(crate) ports: [Option<u16>; 2],
    /// Bytes in one block.
    pub(crate) length: u16,
}

impl EventBlocks {
    fn parse(table: &[u8]) -> Option<Self> {
        let port = |offset| {
            let port = u16::try_from(read32(table, offset)?).ok()?;
            (port != 0).then_some(port)
        };
        let length = table.get(88).copied().filter(|&length| length >= 4)?;
        Some(Self {
            interrupt: u8::try_from(read16(table, 46)?).ok()?,
            ports: [Some(port(56)?), port(60)],
            length: length.into(),
        })
    }
}

/// A register somewhere (ACPI 6.5 §5.2.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GenericAddress {
    /// Which space the address is in.
    pub(crate) space: SpaceId,
    /// The address.
    pub(crate) address: u64,
}

/// The address spaces we can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpaceId {
    /// Physical memory.
    Memory,
    /// I/O ports.
    Ports,
}

impl GenericAddress {
    /// Reads the structure at `offset`; `None` when it is missing, empty, or in another space.
    pub(super) fn parse(table: &[u8], offset: usize) -> Option<Self> {
        let space = match table.get(offset)? {
            0 => SpaceId::Memory,
            1 => SpaceId::Ports,
            _ => return None,
        };
        let address = read64(table, offset + 4).filter(|&address| address != 0)?;
        Some(Self { space, address })
    }
}
