//! virtio over PCI, before version 1 (virtio 1.2 §4.1.4.10, "legacy interfaces"): one block of
//! registers in base address register 0.

use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{PAGE_SIZE, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::super::registers::Registers;
use super::transport::{read_field, write_field};

const DEVICE_FEATURES: usize = 0x00;
const DRIVER_FEATURES: usize = 0x04;
const QUEUE_PAGE: usize = 0x08;
const QUEUE_SIZE: usize = 0x0c;
const QUEUE_SELECT: usize = 0x0e;
const QUEUE_NOTIFY: usize = 0x10;
const STATUS: usize = 0x12;
const ISR: usize = 0x13;
/// Device configuration, as long as messages are off.
const DEVICE: usize = 0x14;
/// Bytes of device configuration that we look at.
const DEVICE_SIZE: usize = 12;

/// Bytes of registers that we use.
pub(crate) const SIZE: usize = DEVICE + DEVICE_SIZE;

/// The transport.
pub(crate) struct LegacyPci<R: Registers> {
    kind: DeviceType,
    registers: R,
}

impl<R: Registers> LegacyPci<R> {
    /// The transport of a device of type `kind` with its registers. Messages must be off.
    pub(crate) fn new(kind: DeviceType, registers: R) -> Self {
        Self { kind, registers }
    }

    fn select(&self, queue: u16) {
        self.registers.write16(QUEUE_SELECT, queue);
    }
}

impl<R: Registers> Transport for LegacyPci<R> {
    fn device_type(&self) -> DeviceType {
        self.kind
    }

    fn read_device_features(&mut self) -> u64 {
        self.registers.read32(DEVICE_FEATURES).into()
    }

    fn write_driver_features(&mut self, features: u64) {
        self.registers.write32(DRIVER_FEATURES, features as u32);
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.select(queue);
        self.registers.read16(QUEUE_SIZE).into()
    }

    fn notify(&mut self, queue: u16) {
        self.registers.write16(QUEUE_NOTIFY, queue);
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.registers.read8(STATUS).into())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        // FEATURES_OK came with version 1.
        let known = status & !DeviceStatus::FEATURES_OK;
        self.registers.write8(STATUS, known.bits() as u8);
    }

    // The unit of queue addresses is fixed (§4.1.5.1.3.1): it is our page size.
    fn set_guest_page_size(&mut self, size: u32) {
        debug_assert_eq!(size as usize, PAGE_SIZE);
    }

    fn requires_legacy_layout(&self) -> bool {
        true
    }

    // The size is the device's choice; a driver that asks for another has no queue.
    fn queue_set(&mut self, queue: u16, size: u32, table: PhysAddr, _: PhysAddr, _: PhysAddr) {
        let page = u32::try_from(table / PAGE_SIZE as u64);
        if let (Ok(page), true) = (page, self.max_queue_size(queue) == size) {
            self.registers.write32(QUEUE_PAGE, page);
        }
    }

    fn queue_unset(&mut self, queue: u16) {
        self.select(queue);
        self.registers.write32(QUEUE_PAGE, 0);
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.select(queue);
        self.registers.read32(QUEUE_PAGE) != 0
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::from_bits_retain(self.registers.read8(ISR).into())
    }

    fn read_config_generation(&self) -> u32 {
        0
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        read_field(&self.registers, DEVICE, DEVICE_SIZE, offset)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> Result<()> {
        write_field(&self.registers, DEVICE, DEVICE_SIZE, offset, &value)
    }
}

impl<R: Registers> Drop for LegacyPci<R> {
    fn drop(&mut self) {
        self.set_status(DeviceStatus::empty());
    }
}
