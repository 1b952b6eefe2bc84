//! Linux socket behaviour over smoltcp.
//!
//! smoltcp speaks TCP, ARP, ICMP and DHCP; this crate owns everything around it: which socket a
//! packet belongs to, when a connection is looked at, and what Linux answers to a system call.
//!
//! - [`NetStack`] is the whole network of one machine: an Ethernet interface (if there is a
//!   [`NetDevice`]) and the loopback interface.
//! - `demux` reads a frame's addresses; hash maps find the one connection it is for, so the cost of
//!   a packet does not grow with the number of sockets. Each connection owns a smoltcp socket set
//!   with a single socket.
//! - `tcp`, `udp` and `netlink` hold the sockets; `inet` is what the first two have in common.
//!   Every socket implements [`vfs::File`] and [`vfs::Socket`].
//! - `addressing` keeps the Ethernet interface's configuration, which comes from `dhcp` and from
//!   `ipv6`; `control` answers the interface ioctls.
//! - `neighbour` finds hardware addresses; `fragment` joins packets that came in parts.
//!
//! # Lock order
//! One lock guards the whole stack state. It is taken after locks of the system-call layer (file
//! tables, open files) and before nothing but the device's and the platform's own locks and the
//! caller's memory (copying to and from a [`vfs::Sink`] or [`vfs::Source`] happens under it).
//! Wait queues are woken after it is released, so a [`vfs::Waiter`] may call back into any socket.
//! [`vfs::File::poll`] takes no lock at all. [`NetStack::poll`] never waits for the lock: if it is
//! taken, its holder does the work before leaving, so an interrupt handler may call it.
#![no_std]

extern crate alloc;

mod address;
mod addressing;
mod config;
mod control;

mod core;
mod demux;
mod dhcp;
mod fragment;
mod icmp;
mod inet;
mod ipv6;

mod link;
mod neighbour;
mod netlink;

mod offload;
mod options;
mod phy;
mod platform;
mod ports;
mod readiness;
mod slab;
mod stack;
mod tcp;
mod timers;
mod udp;

pub use address::{AddressError, Family, emit_address, parse_address};
pub use config::{Addressing, Addressing6, Config, NetworkStatus};
pub use control::{Interface, readable_bytes};

pub use platform::{Abilities, Checksum, NetDevice, Offload, Platform, Segments};
pub use stack::{Counters, NetStack};
