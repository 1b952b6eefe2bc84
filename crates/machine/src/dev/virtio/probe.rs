//! Finding the virtio devices of this machine and connecting their interrupts.

use alloc::vec::Vec;
use core::ptr::NonNull;

use boot_contract::cmdline;
use virtio_drivers::transport::DeviceType;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};

use super::super::acpi::Acpi;
use super::super::interrupt::{Irq, message_vector, route_input, route_isa};
use super::super::io::Ports;
use super::super::mmio::Mmio;
use super::super::pci::{self, Address, BaseAddress, ENTRY, Function, Msix, Ports1, base_address};
use super::super::registers::{Registers, Window};
use super::super::start::DeviceError;
use super::mmio_list::{Region, parse_region};
use super::pci_legacy::{self, LegacyPci};
use super::pci_modern::{ModernPci, Place, Places};
use super::transport::AnyTransport;

const VENDOR: u16 = 0x1af4;

// QEMU's microvm (hw/i386/microvm.c): transports at fixed addresses.
const MICROVM_BASE: u64 = 0xfeb0_0000;
const MICROVM_SIZE: u64 = 512;
const MICROVM_COUNT: u64 = 24;
/// First input of a second I/O APIC.
const SECOND_IO_APIC: u32 = 24;

// Registers of the memory transport (virtio 1.2 §4.2.2).
const MMIO_MAGIC: usize = 0x00;
const MMIO_DEVICE: usize = 0x08;
const MAGIC: u32 = u32::from_le_bytes(*b"virt");
/// Bytes of registers before device configuration.
const MMIO_REGISTERS: u64 = 0x100;

/// A device and how it interrupts.
pub(crate) struct Found {
    /// How to talk to it.
    pub(crate) transport: AnyTransport,
    /// What it is.
    pub(crate) kind: DeviceType,
    /// How it interrupts.
    pub(crate) wire: Wire,
}

/// How a device interrupts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wire {
    /// Messages, or the line that firmware named.
    Pci {
        messages: Option<Msix>,
        line: Option<u8>,
    },
    /// An input of the I/O APICs, level-triggered and active high.
    Input(u32),
}

/// How a device's interrupts arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// By messages, which need no acknowledgement at the device.
    Messages,
    /// By a level-triggered line, at this vector.
    Line(u8),
    /// Not at all: the device must be polled.
    Polled,
}

/// The network cards and entropy sources of this machine; an error for each whose registers are
/// out of reach.
pub(crate) fn devices(command_line: &str, acpi: Option<&Acpi>) -> Vec<Result<Found, DeviceError>> {
    match Ports1::find() {
        Some(space) => {
            let functions = pci::functions(&space);
            functions
                .iter()
                .filter_map(|function| on_pci(&space, function))
                .collect()
        }
        None => in_memory(command_line, acpi).into_iter().map(Ok).collect(),
    }
}

/// The type of a function: modern identifiers, and the transitional ones of the two we drive.
fn kind_of(function: &Function) -> Option<DeviceType> {
    match (function.vendor, function.device) {
        (VENDOR, 0x1000 | 0x1041) => Some(DeviceType::Network),
        (VENDOR, 0x1005 | 0x1044) => Some(DeviceType::EntropySource),
        _ => None,
    }
}

fn on_pci(space: &Ports1, function: &Function) -> Option<Result<Found, DeviceError>> {
    let address = function.address;
    let Some(kind) = kind_of(function) else {
        // Lines are shared: one that nobody serves would keep ours busy.
        pci::disable_line(space, address);
        return None;
    };
    pci::enable(space, address);
    let Address {
        bus,
        device,
        function,
    } = address;
    let unreachable = DeviceError::Unreachable {
        bus,
        device,
        function,
    };
    let transport = pci_transport(space, address, kind).ok_or(unreachable);
    Some(transport.map(|transport| {
        let line = pci::interrupt_line(space, address);
        let is_modern = matches!(transport, AnyTransport::ModernPci(_));
        let messages = if is_modern {
            Msix::find(space, address)
        } else {
            None
        };
        Found {
            transport,
            kind,
            wire: Wire::Pci { messages, line },
        }
    }))
}

fn pci_transport(space: &Ports1, address: Address, kind: DeviceType) -> Option<AnyTransport> {
    if let Some(places) = Places::find(space, address) {
        let transport = ModernPci::new(kind, &places, |place| open(space, address, place))?;
        return Some(AnyTransport::ModernPci(transport));
    }
    let whole = Place {
        bar: 0,
        offset: 0,
        length: pci_legacy::SIZE as u32,
    };
    let transport = LegacyPci::new(kind, open(space, address, whole)?);
    Some(AnyTransport::LegacyPci(transport))
}

fn open(space: &Ports1, address: Address, place: Place) -> Option<Window> {
    let size = place.length as usize;
    match base_address(space, address, place.bar)? {
        BaseAddress::Ports(base) => {
            let first = u16::try_from(u32::from(base).checked_add(place.offset)?).ok()?;
            let count = u16::try_from(size)
                .unwrap_or(u16::MAX)
                .min(u16::MAX - first);
            // SAFETY: firmware gave these ports to this virtio function; it uses memory only
            // through the queues that its driver sets up.
            Some(Window::Ports(unsafe { Ports::new(first, count) }))
        }
        BaseAddress::Memory(base) => {
            let first = base.checked_add(place.offset.into())?;
            // SAFETY: firmware gave this range to this virtio function; it uses memory only
            // through the queues that its driver sets up.
            unsafe { Mmio::map(first, size) }.map(Window::Memory)
        }
    }
}

/// Devices that the command line names, else those of a microvm.
fn in_memory(command_line: &str, acpi: Option<&Acpi>) -> Vec<Found> {
    let words = cmdline::words(command_line);
    let named = words.filter(|&(key, _)| key == "virtio_mmio.device");
    let named: Vec<_> = named.filter_map(|(_, value)| parse_region(value)).collect();
    if !named.is_empty() {
        return named.into_iter().filter_map(at_region).collect();
    }
    let first = first_microvm_input(acpi);
    let regions = (0..MICROVM_COUNT).map(|index| Region {
        base: MICROVM_BASE + index * MICROVM_SIZE,
        size: MICROVM_SIZE,
        input: first + index as u32,
    });
    regions.filter_map(at_region).collect()
}

/// The input of a microvm's first transport: on the second I/O APIC if there is one; else high
/// on the first, if there is ACPI; else ISA interrupts from 5.
fn first_microvm_input(acpi: Option<&Acpi>) -> u32 {
    let Some(madt) = acpi.and_then(|acpi| acpi.madt.as_ref()) else {
        return 5;
    };
    let has_second = madt
        .io_apics
        .iter()
        .any(|apic| apic.first_gsi == SECOND_IO_APIC);
    if has_second { SECOND_IO_APIC } else { 16 }
}

fn at_region(region: Region) -> Option<Found> {
    if region.size < MMIO_REGISTERS {
        return None;
    }
    // SAFETY: only reads, and on a machine without PCI, where nothing else is at the addresses
    // that the hypervisor named or that microvm uses.
    let registers = unsafe { Mmio::map(region.base, region.size as usize) }?;
    if registers.read32(MMIO_MAGIC) != MAGIC {
        return None;
    }
    let kind = match registers.read32(MMIO_DEVICE) {
        1 => DeviceType::Network,
        4 => DeviceType::EntropySource,
        _ => return None,
    };
    let header = NonNull::new(crate::mem::map_mmio(region.base, region.size as usize))?;
    // SAFETY: a virtio device is there, as its magic says; it is mapped for good, and `registers`
    // is not used any more.
    let transport =
        unsafe { MmioTransport::new(header.cast::<VirtIOHeader>(), region.size as usize) }.ok()?;
    let wire = Wire::Input(region.input);
    Some(Found {
        transport: AnyTransport::Mmio(transport),
        kind,
        wire,
    })
}

/// Connects queue 0 of a device to a vector of its own.
pub(crate) fn connect(transport: &mut AnyTransport, wire: Wire, irq: Irq) -> Signal {
    let vector = match wire {
        Wire::Pci { messages, line } => {
            let connected = messages.and_then(|found| use_messages(transport, found, irq));
            if connected.is_some() {
                return Signal::Messages;
            }
            line.and_then(|line| route_isa(line, true, irq))
        }
        Wire::Input(gsi) => route_input(gsi, irq),
    };
    vector.map_or(Signal::Polled, Signal::Line)
}

fn use_messages(transport: &mut AnyTransport, msix: Msix, irq: Irq) -> Option<()> {
    let AnyTransport::ModernPci(transport) = transport else {
        return None;
    };
    // SAFETY: the function's own message table, which its driver alone uses; the entry is set to
    // send a vector that this crate handles.
    let entry = unsafe { Mmio::map(msix.table, ENTRY) }?;
    let (vector, target) = message_vector(irq)?;
    msix.enable(&Ports1, &entry, vector, target);
    let accepted = transport.use_messages(0);
    if accepted.is_err() {
        msix.disable(&Ports1);
    }
    accepted.ok()
}
