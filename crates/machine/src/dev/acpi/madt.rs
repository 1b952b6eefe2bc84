//! The multiple APIC description table (ACPI 6.5 §5.2.12).

use alloc::vec::Vec;

use super::{read16, read32, read64};

/// Where the list of structures starts.
const ENTRIES: usize = 44;

// Types of structures (ACPI 6.5 table 5.21).
const LOCAL_APIC: u8 = 0;
const IO_APIC: u8 = 1;
const SOURCE_OVERRIDE: u8 = 2;
const LOCAL_APIC_ADDRESS: u8 = 5;
const LOCAL_X2APIC: u8 = 9;

/// Flags of a processor: it is there, or it can come later.
const ENABLED: u32 = 1;
/// Flag of the table: the machine has two 8259 as well.
const PCAT_COMPATIBLE: u32 = 1;

/// Processors and interrupt controllers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Madt {
    /// Physical address of the local APIC's registers.
    pub(crate) local_apic: u64,
    /// The machine has two 8259 as well.
    pub(crate) has_pics: bool,
    /// APIC identifiers of the usable processors.
    pub(crate) processors: Vec<u32>,
    /// The I/O APICs.
    pub(crate) io_apics: Vec<IoApicEntry>,
    /// ISA interrupts that are not wired as usual.
    pub(crate) overrides: Vec<SourceOverride>,
}

/// One I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IoApicEntry {
    /// Physical address of its registers.
    pub(crate) address: u32,
    /// Number of its first input among all inputs of the system.
    pub(crate) first_gsi: u32,
}

/// How an ISA interrupt is really wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceOverride {
    /// ISA interrupt, 0 to 15.
    pub(crate) irq: u8,
    /// The input it arrives at.
    pub(crate) gsi: u32,
    /// Level-triggered rather than edge-triggered; `None`: as the bus has it.
    pub(crate) level: Option<bool>,
    /// Active low rather than high; `None`: as the bus has it.
    pub(crate) active_low: Option<bool>,
}

impl Madt {
    /// Reads the table; the list ends at the first structure that is wrong.
    pub(super) fn parse(table: &[u8]) -> Self {
        let flags = read32(table, 40).unwrap_or(0);
        let mut madt = Self {
            local_apic: read32(table, 36).unwrap_or(0).into(),
            has_pics: flags & PCAT_COMPATIBLE != 0,
            ..Self::default()
        };
        let mut rest = table.get(ENTRIES..).unwrap_or_default();
        while let [kind, length, ..] = *rest {
            let length = usize::from(length);
            if length < 2 || length > rest.len() {
                break;
            }
            let (entry, after) = rest.split_at(length);
            madt.add(kind, entry);
            rest = after;
        }
        madt
    }

    /// Takes in one structure; one that is too short counts for nothing.
    fn add(&mut self, kind: u8, entry: &[u8]) -> Option<()> {
        match kind {
            LOCAL_APIC if read32(entry, 4)? & ENABLED != 0 => self.processors.push(entry[3].into()),
            LOCAL_X2APIC if read32(entry, 8)? & ENABLED != 0 => {
                self.processors.push(read32(entry, 4)?);
            }
            IO_APIC => self.io_apics.push(IoApicEntry {
                address: read32(entry, 4)?,
                first_gsi: read32(entry, 8)?,
            }),
            SOURCE_OVERRIDE => self.overrides.push(source_override(entry)?),
            LOCAL_APIC_ADDRESS => self.local_apic = read64(entry, 4)?,
            _ => {}
        }
        Some(())
    }
}

fn source_override(entry: &[u8]) -> Option<SourceOverride> {
    let flags = read16(entry, 8)?;
    Some(SourceOverride {
        irq: entry[3],
        gsi: read32(entry, 4)?,
        // MPS INTI flags (ACPI 6.5 table 5.26): 0 as the bus has it, 1 and 3 the two choices.
        active_low: choice(flags & 3),
        level: choice(flags >> 2 & 3),
    })
}

fn choice(bits: u16) -> Option<bool> {
    match bits {
        1 => Some(false),
        3 => Some(true),
        _ => None,
    }
}
