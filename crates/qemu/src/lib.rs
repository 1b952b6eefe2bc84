//! Running an image under QEMU and judging the outcome.
//!
//! A [`Machine`] is built from a [`Profile`] and what it starts from ([`Boot`]); [`Machine::start`]
//! gives a [`Guest`], on which one waits — for an [`Event`], for text on the console, for the
//! [`End`] — always with a deadline and never by sleeping. Dropping the guest kills QEMU.
//!
//! Three channels leave the machine: the serial console for people, the debug port for events
//! (`boot_contract::events`), and QMP, which tells a power-off from a reset. All three and QEMU's
//! standard error are read by threads that feed one queue.

mod accel;
mod cmdline;
mod end;
mod event;
mod guest;
pub mod http;
mod machine;
mod profile;
mod qmp;
mod streams;

pub use accel::{Accel, AccelChoice, ProbeReport, probe_kvm, probe_runs};
pub use cmdline::shell_line;
pub use end::{End, Verdict};
pub use event::Event;
pub use guest::{Guest, Interrupter, Tail, WaitError};
pub use machine::{Boot, Console, Forward, HostPort, Input, Machine, StartError, quote_word};
pub use profile::{Death, Profile, ProfileError, Start};
