//! Configuration mechanism 1 (PCI Local Bus Specification 3.0 §3.2.2.3.2): two ports that reach
//! the first 256 bytes of every function.
#![cfg(target_os = "none")]

use spin::Mutex;

use super::super::io::Ports;
use super::super::registers::Registers;
use super::{Address, ConfigSpace};

// SAFETY: the configuration ports of every PC; what is written to them is decided by this module's
// callers, which only touch functions that they drive.
const PORTS: Ports = unsafe { Ports::new(0xcf8, 8) };

const ADDRESS: usize = 0;
const DATA: usize = 4;
const ENABLE: u32 = 1 << 31;

/// One access takes two steps.
static STEPS: Mutex<()> = Mutex::new(());

/// The configuration space by ports.
pub(crate) struct Ports1;

impl Ports1 {
    /// The mechanism, if the machine has it.
    pub(crate) fn find() -> Option<Self> {
        let _guard = STEPS.lock();
        PORTS.write32(ADDRESS, ENABLE);
        (PORTS.read32(ADDRESS) == ENABLE).then_some(Self)
    }
}

fn select(address: Address, offset: u8) {
    let Address {
        bus,
        device,
        function,
    } = address;
    let word = u32::from(bus) << 16 | u32::from(device) << 11 | u32::from(function) << 8;
    PORTS.write32(ADDRESS, ENABLE | word | u32::from(offset & !3));
}

impl ConfigSpace for Ports1 {
    fn read(&self, address: Address, offset: u8) -> u32 {
        let _guard = STEPS.lock();
        select(address, offset);
        PORTS.read32(DATA)
    }

    fn write(&self, address: Address, offset: u8, value: u32) {
        let _guard = STEPS.lock();
        select(address, offset);
        PORTS.write32(DATA, value);
    }
}
