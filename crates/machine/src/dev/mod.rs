//! Devices: interrupt controllers, timers, clocks, the console, power, random numbers, PCI and
//! virtio.
//!
//! Drivers talk to their device through [`registers::Registers`], so that they run on the host
//! against a fake; the modules that find the real devices exist on bare metal only. [`init`]
//! finds everything and hands over what the safe kernel drives itself.
#![cfg_attr(
    not(target_os = "none"),
    allow(
        dead_code,
        unused_imports,
        reason = "on a host only tests use the drivers"
    )
)]

mod acpi;
mod apic;
mod calibration;
pub mod debug;
pub mod fw_cfg;
mod instructions;
mod io;
mod kvm_clock;
mod mmio;
mod pci;
mod pic;
mod pit;
mod registers;
mod rng;
mod rtc;
pub mod serial;
mod turns;
mod virtio;

#[cfg(target_os = "none")]
pub mod clock;
#[cfg(target_os = "none")]
pub mod interrupt;
#[cfg(target_os = "none")]
mod net_card;
#[cfg(target_os = "none")]
mod physical;
#[cfg(target_os = "none")]
pub mod power;
#[cfg(target_os = "none")]
mod power_button;
#[cfg(target_os = "none")]
mod start;
#[cfg(target_os = "none")]
pub mod timer;

pub use rng::EntropySources;
pub use virtio::{Abilities, Checksum, Offload, Segments};

#[cfg(target_os = "none")]
pub use interrupt::Irq;
#[cfg(target_os = "none")]
pub use net_card::NetCard;
#[cfg(target_os = "none")]
pub use power_button::power_button_pressed;
#[cfg(target_os = "none")]
pub use start::{DeviceError, Devices, init};
