//! The local APIC (Intel SDM volume 3, chapter 11), through memory (xAPIC) or, where firmware
//! chose so, through model-specific registers (x2APIC).

use super::super::instructions::cpuid;
use super::super::mmio::Mmio;
use super::super::registers::Registers;
use crate::cpu::{read_msr, write_msr};

/// Vector of interrupts that vanished before they were taken; they must not be acknowledged. Its
/// low four bits must be ones on old CPUs; it is the last with an entry in our table.
pub(crate) const SPURIOUS_VECTOR: u8 = 0x5f;

// Registers, as offsets in memory; as an MSR it is `X2APIC_BASE + offset / 16`.
const ID: usize = 0x20;
const TASK_PRIORITY: usize = 0x80;
const END_OF_INTERRUPT: usize = 0xb0;
const SPURIOUS: usize = 0xf0;
const COMMAND: usize = 0x300;
const COMMAND_TARGET: usize = 0x310;
const TIMER_ENTRY: usize = 0x320;
const LINT0_ENTRY: usize = 0x350;
const TIMER_INITIAL: usize = 0x380;
const TIMER_CURRENT: usize = 0x390;
const TIMER_DIVIDE: usize = 0x3e0;

/// Bytes of registers.
const SIZE: usize = 0x400;
const X2APIC_BASE: u32 = 0x800;

const MSR_APIC_BASE: u32 = 0x1b;
const BASE_ENABLED: u64 = 1 << 11;
const BASE_X2APIC: u64 = 1 << 10;
const BASE_ADDRESS: u64 = 0xf_ffff_ffff_f000;
const MSR_TSC_DEADLINE: u32 = 0x6e0;

// Interrupt commands (§11.6.1).
const COMMAND_NMI: u32 = 4 << 8;
const COMMAND_RESET: u32 = 5 << 8;
const COMMAND_START: u32 = 6 << 8;
const COMMAND_ASSERT: u32 = 1 << 14;
const COMMAND_TO_OTHERS: u32 = 3 << 18;
const COMMAND_PENDING: u32 = 1 << 12;
/// Reads of the command register before giving up on it.
const PATIENCE: u32 = 100_000;

const SOFTWARE_ENABLED: u32 = 1 << 8;
const ENTRY_MASKED: u32 = 1 << 16;
const TIMER_IS_DEADLINE: u32 = 2 << 17;
const DIVIDE_BY_1: u32 = 0b1011;

/// The registers; each CPU sees its own behind the same address.
pub(crate) enum LocalApic {
    /// Registers in memory.
    Memory(Mmio),
    /// Registers as MSRs.
    X2Apic,
}

impl LocalApic {
    /// The local APIC, if the CPU has one that firmware left on.
    pub(crate) fn find() -> Option<Self> {
        if cpuid(1)?.edx & 1 << 9 == 0 {
            return None;
        }
        // SAFETY: a CPU with a local APIC has this register.
        let base = unsafe { read_msr(MSR_APIC_BASE) };
        match (base & BASE_ENABLED != 0, base & BASE_X2APIC != 0) {
            (false, _) => None,
            (true, true) => Some(Self::X2Apic),
            // SAFETY: the CPU says that its local APIC is there; this type only ever sends
            // interrupts, to vectors and start-up code that this crate provides.
            (true, false) => unsafe { Mmio::map(base & BASE_ADDRESS, SIZE) }.map(Self::Memory),
        }
    }

    /// Turns the APIC of this CPU on. With `x2apic` the boot CPU runs in that mode, and so must
    /// every other.
    pub(crate) fn enable(&self) {
        if matches!(self, Self::X2Apic) {
            // SAFETY: a CPU with a local APIC has this register.
            let base = unsafe { read_msr(MSR_APIC_BASE) };
            // SAFETY: only turns on the mode that the boot CPU runs in.
            unsafe { write_msr(MSR_APIC_BASE, base | BASE_ENABLED | BASE_X2APIC) };
        }
        self.write(TASK_PRIORITY, 0);
        self.write(LINT0_ENTRY, ENTRY_MASKED); // the 8259s: silent where there is an APIC
        self.write(SPURIOUS, SOFTWARE_ENABLED | u32::from(SPURIOUS_VECTOR));
    }

    fn read(&self, register: usize) -> u32 {
        match self {
            Self::Memory(mmio) => mmio.read32(register),
            // SAFETY: in x2APIC mode the CPU has these registers; all used here can be read.
            Self::X2Apic => unsafe { read_msr(X2APIC_BASE + (register >> 4) as u32) as u32 },
        }
    }

    fn write(&self, register: usize, value: u32) {
        match self {
            Self::Memory(mmio) => mmio.write32(register, value),
            // SAFETY: in x2APIC mode the CPU has these registers; they only concern interrupts.
            Self::X2Apic => unsafe {
                write_msr(X2APIC_BASE + (register >> 4) as u32, value.into())
            },
        }
    }

    /// This CPU's identifier.
    pub(crate) fn id(&self) -> u32 {
        match self {
            Self::Memory(_) => self.read(ID) >> 24,
            Self::X2Apic => self.read(ID),
        }
    }

    /// Ends the interrupt in service.
    pub(crate) fn end_of_interrupt(&self) {
        self.write(END_OF_INTERRUPT, 0);
    }

    /// Interrupts the CPU with identifier `apic`.
    pub(crate) fn send(&self, apic: u32, vector: u8) {
        self.command(apic, COMMAND_ASSERT | u32::from(vector));
    }

    /// Resets the CPU with identifier `apic`; it waits to be started then.
    pub(crate) fn reset(&self, apic: u32) {
        self.command(apic, COMMAND_ASSERT | COMMAND_RESET);
    }

    /// Lets a CPU that was reset run the code in a page below 1 MiB, given by its number.
    pub(crate) fn start(&self, apic: u32, page: u8) {
        self.command(apic, COMMAND_ASSERT | COMMAND_START | u32::from(page));
    }

    /// Sends all other CPUs a non-maskable interrupt.
    pub(crate) fn stop_others(&self) {
        self.command(0, COMMAND_TO_OTHERS | COMMAND_ASSERT | COMMAND_NMI);
    }

    fn command(&self, apic: u32, command: u32) {
        match self {
            Self::Memory(mmio) => {
                mmio.write32(COMMAND_TARGET, apic << 24);
                mmio.write32(COMMAND, command);
                let mut patience = PATIENCE;
                while mmio.read32(COMMAND) & COMMAND_PENDING != 0 && patience > 0 {
                    patience -= 1;
                }
            }
            Self::X2Apic => {
                // What was written before must be seen by the CPU that is interrupted (§11.12.3).
                core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
                let value = u64::from(apic) << 32 | u64::from(command);
                // SAFETY: in x2APIC mode the CPU has this register; only this module's functions
                // get here, which send interrupts and start CPUs at code of this crate.
                unsafe { write_msr(X2APIC_BASE + (COMMAND >> 4) as u32, value) };
            }
        }
    }

    /// Lets the timer of this CPU interrupt with `vector`, by the TSC if `deadline`.
    pub(crate) fn set_timer_vector(&self, vector: u8, deadline: bool) {
        let mode = if deadline { TIMER_IS_DEADLINE } else { 0 };
        self.write(TIMER_DIVIDE, DIVIDE_BY_1);
        self.write(TIMER_ENTRY, u32::from(vector) | mode);
    }

    /// Starts the timer: one interrupt when `ticks` have passed. 0 stops it.
    pub(crate) fn start_timer(&self, ticks: u32) {
        self.write(TIMER_INITIAL, ticks);
    }

    /// Ticks until the timer interrupts.
    pub(crate) fn timer_left(&self) -> u32 {
        self.read(TIMER_CURRENT)
    }

    /// Runs the timer without an interrupt, for calibration.
    pub(crate) fn run_masked(&self) {
        self.write(TIMER_DIVIDE, DIVIDE_BY_1);
        self.write(TIMER_ENTRY, ENTRY_MASKED);
        self.write(TIMER_INITIAL, u32::MAX);
    }
}

/// Whether the timer can be armed with a value of the TSC (CPUID 1, ECX bit 24).
pub(crate) fn has_deadline() -> bool {
    cpuid(1).is_some_and(|leaf| leaf.ecx & 1 << 24 != 0)
}

/// Lets this CPU's timer interrupt when the TSC reaches `deadline`; 0 stops it.
pub(crate) fn set_deadline(deadline: u64) {
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
    // SAFETY: only used where `has_deadline` said so; the register only concerns the timer.
    unsafe { write_msr(MSR_TSC_DEADLINE, deadline) };
}
