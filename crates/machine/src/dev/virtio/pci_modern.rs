//! virtio over PCI, version 1 (virtio 1.2 §4.1): structures somewhere in the function's memory or
//! I/O ports, found through vendor capabilities.

use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::super::pci::{Address, ConfigSpace, capabilities};
use super::super::registers::Registers;
use super::transport::{read_field, write_field};

/// Capability identifier of vendor capabilities.
const VENDOR: u8 = 0x09;
/// Bytes of a capability, and of the one for notifications.
const CAPABILITY: u8 = 16;
const NOTIFY_CAPABILITY: u8 = 20;

// Kinds of structures (§4.1.4).
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const ISR: u8 = 3;
const DEVICE: u8 = 4;

// Common configuration (§4.1.4.3).
const DEVICE_FEATURE_SELECT: usize = 0x00;
const DEVICE_FEATURE: usize = 0x04;
const DRIVER_FEATURE_SELECT: usize = 0x08;
const DRIVER_FEATURE: usize = 0x0c;
const CONFIG_VECTOR: usize = 0x10;
const STATUS: usize = 0x14;
const GENERATION: usize = 0x15;
const QUEUE_SELECT: usize = 0x16;
const QUEUE_SIZE: usize = 0x18;
const QUEUE_VECTOR: usize = 0x1a;
const QUEUE_ENABLE: usize = 0x1c;
const QUEUE_NOTIFY_OFFSET: usize = 0x1e;
const QUEUE_DESCRIPTORS: usize = 0x20;
const QUEUE_DRIVER: usize = 0x28;
const QUEUE_DEVICE: usize = 0x30;
const COMMON_SIZE: u32 = 0x38;

/// "No interrupt" in a vector register.
const NO_VECTOR: u16 = 0xffff;
/// Queues whose place for notifications is remembered.
const QUEUES: usize = 4;
/// Reads of the status before giving up on a reset.
const PATIENCE: u32 = 100_000;

/// Where a structure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the base address register.
    pub(crate) bar: u8,
    /// Offset from there.
    pub(crate) offset: u32,
    /// Size in bytes.
    pub(crate) length: u32,
}

/// Where the structures of one function are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    common: Place,
    notify: Place,
    isr: Place,
    device: Option<Place>,
    notify_multiplier: u32,
}

impl Places {
    /// Finds the structures; `None` when the function is not a (complete) modern device.
    pub(crate) fn find(space: &impl ConfigSpace, address: Address) -> Option<Self> {
        let mut multiplier = 0;
        let mut places: [Option<Place>; 5] = [None; 5];
        for capability in capabilities(space, address).filter(|found| found.id == VENDOR) {
            let [length, kind] = capability.header.to_le_bytes();
            let end = capability.offset.checked_add(length.max(CAPABILITY));
            let slot = places.get_mut(usize::from(kind));
            let Some(slot) = slot.filter(|slot| slot.is_none() && length >= CAPABILITY) else {
                continue;
            };
            if end.is_none() || kind == NOTIFY && length < NOTIFY_CAPABILITY {
                continue;
            }
            let word = |offset| space.read(address, capability.offset + offset);
            *slot = Some(Place {
                bar: word(4) as u8,
                offset: word(8),
                length: word(12),
            });
            if kind == NOTIFY {
                multiplier = word(16);
            }
        }
        Some(Self {
            common: places[usize::from(COMMON)].filter(|place| place.length >= COMMON_SIZE)?,
            notify: places[usize::from(NOTIFY)].filter(|place| place.length >= 2)?,
            isr: places[usize::from(ISR)].filter(|place| place.length >= 1)?,
            device: places[usize::from(DEVICE)],
            notify_multiplier: multiplier,
        })
    }
}

/// The transport.
pub(crate) struct ModernPci<R: Registers> {
    kind: DeviceType,
    common: R,
    notify: R,
    notify_length: usize,
    notify_multiplier: u32,
    notify_offsets: [usize; QUEUES],
    isr: R,
    device: Option<(R, usize)>,
}

impl<R: Registers> ModernPci<R> {
    /// The transport of a device of type `kind`; `open` gives access to a structure.
    pub(crate) fn new(
        kind: DeviceType,
        places: &Places,
        open: impl Fn(Place) -> Option<R>,
    ) -> Option<Self> {
        let device = places
            .device
            .and_then(|place| Some((open(place)?, place.length as usize)));
        Some(Self {
            kind,
            common: open(places.common)?,
            notify: open(places.notify)?,
            notify_length: places.notify.length as usize,
            notify_multiplier: places.notify_multiplier,
            notify_offsets: [0; QUEUES],
            isr: open(places.isr)?,
            device,
        })
    }

    /// Has queue `queue` signal by entry 0 of the function's message table, and changes of
    /// configuration not at all.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn use_messages(&mut self, queue: u16) -> Result<()> {
        self.common.write16(CONFIG_VECTOR, NO_VECTOR);
        self.select(queue);
        self.common.write16(QUEUE_VECTOR, 0);
        let accepted = self.common.read16(QUEUE_VECTOR) == 0;
        if accepted {
            Ok(())
        } else {
            Err(Error::Unsupported)
        }
    }

    fn select(&self, queue: u16) {
        self.common.write16(QUEUE_SELECT, queue);
    }

    fn write_address(&self, register: usize, address: PhysAddr) {
        self.common.write32(register, address as u32);
        self.common.write32(register + 4, (address >> 32) as u32);
    }

    /// Where the selected queue is notified; offset 0 for one that is out of range.
    fn notify_offset(&self) -> usize {
        let index = usize::from(self.common.read16(QUEUE_NOTIFY_OFFSET));
        let offset = index.saturating_mul(self.notify_multiplier as usize);
        if offset.saturating_add(2) <= self.notify_length {
            offset & !1
        } else {
            0
        }
    }
}

impl<R: Registers> Transport for ModernPci<R> {
    fn device_type(&self) -> DeviceType {
        self.kind
    }

    fn read_device_features(&mut self) -> u64 {
        let half = |select| {
            self.common.write32(DEVICE_FEATURE_SELECT, select);
            u64::from(self.common.read32(DEVICE_FEATURE))
        };
        half(0) | half(1) << 32
    }

    fn write_driver_features(&mut self, features: u64) {
        for (select, half) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.common.write32(DRIVER_FEATURE_SELECT, select);
            self.common.write32(DRIVER_FEATURE, half);
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.select(queue);
        self.common.read16(QUEUE_SIZE).into()
    }

    fn notify(&mut self, queue: u16) {
        let offset = self
            .notify_offsets
            .get(usize::from(queue))
            .copied()
            .unwrap_or(0);
        self.notify.write16(offset, queue);
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.common.read8(STATUS).into())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.common.write8(STATUS, status.bits() as u8);
        // A reset is complete when the status reads as 0 (§4.1.4.3.1).
        let resetting = status.is_empty();
        let mut patience = if resetting { PATIENCE } else { 0 };
        while patience > 0 && self.common.read8(STATUS) != 0 {
            patience -= 1;
        }
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver: PhysAddr,
        device: PhysAddr,
    ) {
        self.select(queue);
        self.common.write16(QUEUE_SIZE, size as u16);
        self.write_address(QUEUE_DESCRIPTORS, descriptors);
        self.write_address(QUEUE_DRIVER, driver);
        self.write_address(QUEUE_DEVICE, device);
        let offset = self.notify_offset();
        if let Some(slot) = self.notify_offsets.get_mut(usize::from(queue)) {
            *slot = offset;
        }
        self.common.write16(QUEUE_ENABLE, 1);
    }

    // Once enabled, a queue ends with a reset of the device only (§4.1.4.3.2).
    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.select(queue);
        self.common.read16(QUEUE_ENABLE) == 1
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::from_bits_retain(self.isr.read8(0).into())
    }

    fn read_config_generation(&self) -> u32 {
        self.common.read8(GENERATION).into()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let (window, size) = self.device.as_ref().ok_or(Error::ConfigSpaceMissing)?;
        read_field(window, 0, *size, offset)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> Result<()> {
        let (window, size) = self.device.as_ref().ok_or(Error::ConfigSpaceMissing)?;
        write_field(window, 0, *size, offset, &value)
    }
}

impl<R: Registers> Drop for ModernPci<R> {
    fn drop(&mut self) {
        self.set_status(DeviceStatus::empty());
    }
}
