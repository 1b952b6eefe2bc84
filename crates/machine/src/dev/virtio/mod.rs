//! virtio (OASIS, version 1.2): devices over PCI, modern and legacy, and over memory.
//!
//! The queues and the memory transport are those of crate `virtio-drivers`; the PCI transports are
//! our own, because they must also take I/O ports, message-signalled interrupts and the legacy
//! layout.

mod buffers;
mod channel;
mod entropy;
#[cfg(test)]
mod fake;
#[cfg(target_os = "none")]
mod hal;
mod mmio_list;
mod net;
mod pci_legacy;
mod pci_modern;
#[cfg(target_os = "none")]
pub(super) mod probe;
#[cfg(test)]
mod tests;
mod transport;

pub(crate) use entropy::{Entropy, entropy};
#[cfg(target_os = "none")]
pub(crate) use hal::KernelHal;
pub(crate) use net::Net;
#[cfg(target_os = "none")]
pub(crate) use probe::Found;
pub(crate) use transport::AnyTransport;
