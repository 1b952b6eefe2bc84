//! Finding and starting all devices.

use alloc::vec::Vec;

use thiserror::Error;
use virtio_drivers::transport::DeviceType;

use super::acpi::Acpi;
use super::physical::LowMemory;
use super::virtio::{self, Found, KernelHal};
use super::{EntropySources, NetCard, clock, interrupt, power, power_button, serial, timer};

/// The devices that the safe kernel drives itself.
pub struct Devices {
    /// The first network card.
    pub network: Option<NetCard>,
    /// Sources of random numbers.
    pub entropy: EntropySources,
    /// APIC identifiers of the usable processors; empty when no table lists them.
    pub processors: Vec<u32>,
    /// Devices that are there and could not be started.
    pub failures: Vec<DeviceError>,
}

/// Why a device could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// The network card.
    #[error("virtio network card: {0}; the machine has no network")]
    Network(virtio_drivers::Error),
    /// A virtio device on PCI whose registers cannot be reached.
    #[error(
        "virtio device {bus:02x}:{device:02x}.{function}: firmware put its registers nowhere, or \
         beyond the 1 TiB that this kernel maps; the device is not used"
    )]
    Unreachable {
        /// PCI bus.
        bus: u8,
        /// PCI device.
        device: u8,
        /// PCI function.
        function: u8,
    },
    /// The source of random numbers.
    #[error("virtio entropy source: {0}; random numbers come from the CPU alone")]
    Entropy(virtio_drivers::Error),
}

/// Takes the machine's devices over. To be called once, on the boot CPU, with interrupts off.
/// `rsdp` is the address of the ACPI root pointer, if the boot stage knows it.
///
/// Afterwards the clock and the timer run, and interrupts may be turned on.
pub fn init(command_line: &str, rsdp: Option<u64>) -> Devices {
    let acpi = Acpi::read(&LowMemory, rsdp);
    let acpi = acpi.as_ref();
    if let Some(acpi) = acpi {
        power::init(acpi);
    }
    clock::init(acpi);
    interrupt::init(acpi);
    timer::init();
    interrupt::route_isa(serial::ISA_INTERRUPT, false, interrupt::Irq::Serial);
    if let Some(acpi) = acpi {
        power_button::init(acpi);
    }
    let madt = acpi.and_then(|acpi| acpi.madt.as_ref());
    let mut devices = Devices {
        network: None,
        entropy: EntropySources::new(None),
        processors: madt.map(|madt| madt.processors.clone()).unwrap_or_default(),
        failures: Vec::new(),
    };
    devices.start_virtio(command_line, acpi);
    devices
}

impl Devices {
    /// Starts the first network card and the first entropy source.
    fn start_virtio(&mut self, command_line: &str, acpi: Option<&Acpi>) {
        let mut has_entropy = false;
        for found in virtio::probe::devices(command_line, acpi) {
            let started = found.and_then(|found| match found.kind {
                DeviceType::Network if self.network.is_none() => self.start_network(found),
                DeviceType::EntropySource if !has_entropy => {
                    has_entropy = true;
                    self.start_entropy(found)
                }
                _ => Ok(()),
            });
            self.failures.extend(started.err());
        }
    }

    fn start_network(&mut self, found: Found) -> Result<(), DeviceError> {
        self.network = Some(NetCard::start(found).map_err(DeviceError::Network)?);
        Ok(())
    }

    fn start_entropy(&mut self, found: Found) -> Result<(), DeviceError> {
        let device = virtio::entropy::<KernelHal, _>(found.transport);
        self.entropy = EntropySources::new(Some(device.map_err(DeviceError::Entropy)?));
        Ok(())
    }
}
