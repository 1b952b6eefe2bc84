//! virtio (OASIS, version 1.2): devices over PCI, modern and legacy, and over memory.
//!
//! The memory transport is that of crate `virtio-drivers`; the PCI transports are our own, because
//! they must also take I/O ports, message-signalled interrupts and the legacy layout, and so are the
//! queues (docs/adr/0007-own-virtqueue.md).

mod dma;
mod entropy;
#[cfg(test)]
mod fake;
#[cfg(target_os = "none")]
mod hal;
mod header;
mod mmio_list;
mod net;
#[cfg(test)]
mod net_tests;
mod pci_legacy;
mod pci_modern;
#[cfg(target_os = "none")]
pub(super) mod probe;
mod ring;
mod slots;
#[cfg(test)]
mod tests;
mod transport;

pub(crate) use entropy::{Entropy, entropy};
#[cfg(target_os = "none")]
pub(crate) use hal::KernelHal;
pub use header::{Checksum, Offload, Segments};
pub use net::Abilities;
pub(crate) use net::Net;
#[cfg(target_os = "none")]
pub(crate) use probe::Found;
pub(crate) use transport::AnyTransport;
