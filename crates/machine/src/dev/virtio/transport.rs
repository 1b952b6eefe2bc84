//! One type for all transports, because the trait cannot be an object.

use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::super::registers::{Registers, Window};
use super::pci_legacy::LegacyPci;
use super::pci_modern::ModernPci;

/// The transports we know.
pub(crate) enum AnyTransport {
    /// PCI, version 1.
    ModernPci(ModernPci<Window>),
    /// PCI, before version 1.
    LegacyPci(LegacyPci<Window>),
    /// Memory, both versions.
    Mmio(MmioTransport<'static>),
}

macro_rules! delegate {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self {
            Self::ModernPci(transport) => transport.$method($($argument),*),
            Self::LegacyPci(transport) => transport.$method($($argument),*),
            Self::Mmio(transport) => transport.$method($($argument),*),
        }
    };
}

impl Transport for AnyTransport {
    fn device_type(&self) -> DeviceType {
        delegate!(self.device_type())
    }

    fn read_device_features(&mut self) -> u64 {
        delegate!(self.read_device_features())
    }

    fn write_driver_features(&mut self, features: u64) {
        delegate!(self.write_driver_features(features));
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        delegate!(self.max_queue_size(queue))
    }

    fn notify(&mut self, queue: u16) {
        delegate!(self.notify(queue));
    }

    fn get_status(&self) -> DeviceStatus {
        delegate!(self.get_status())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        delegate!(self.set_status(status));
    }

    fn set_guest_page_size(&mut self, size: u32) {
        delegate!(self.set_guest_page_size(size));
    }

    fn requires_legacy_layout(&self) -> bool {
        delegate!(self.requires_legacy_layout())
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver: PhysAddr,
        device: PhysAddr,
    ) {
        delegate!(self.queue_set(queue, size, descriptors, driver, device));
    }

    fn queue_unset(&mut self, queue: u16) {
        delegate!(self.queue_unset(queue));
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        delegate!(self.queue_used(queue))
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        delegate!(self.ack_interrupt())
    }

    fn read_config_generation(&self) -> u32 {
        delegate!(self.read_config_generation())
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        delegate!(self.read_config_space(offset))
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> Result<()> {
        delegate!(self.write_config_space(offset, value))
    }
}

/// Reads a field of device configuration, which is `size` bytes, from `window` at `base`: by
/// accesses of the field's own width, as §4.1.3.1 wants it, byte by byte for longer fields.
pub(super) fn read_field<T: FromBytes + IntoBytes>(
    window: &impl Registers,
    base: usize,
    size: usize,
    offset: usize,
) -> Result<T> {
    if offset + size_of::<T>() > size {
        return Err(virtio_drivers::Error::ConfigSpaceTooSmall);
    }
    let mut value = T::new_zeroed();
    let at = base + offset;
    match value.as_mut_bytes() {
        [a, b] => [*a, *b] = window.read16(at).to_le_bytes(),
        [a, b, c, d] => [*a, *b, *c, *d] = window.read32(at).to_le_bytes(),
        bytes => {
            for (index, byte) in bytes.iter_mut().enumerate() {
                *byte = window.read8(at + index);
            }
        }
    }
    Ok(value)
}

/// Writes a field of device configuration; the twin of [`read_field`].
pub(super) fn write_field<T: IntoBytes + Immutable>(
    window: &impl Registers,
    base: usize,
    size: usize,
    offset: usize,
    value: &T,
) -> Result<()> {
    if offset + size_of::<T>() > size {
        return Err(virtio_drivers::Error::ConfigSpaceTooSmall);
    }
    let at = base + offset;
    match *value.as_bytes() {
        [a, b] => window.write16(at, u16::from_le_bytes([a, b])),
        [a, b, c, d] => window.write32(at, u32::from_le_bytes([a, b, c, d])),
        ref bytes => {
            for (index, &byte) in bytes.iter().enumerate() {
                window.write8(at + index, byte);
            }
        }
    }
    Ok(())
}
