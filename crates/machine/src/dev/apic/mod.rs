//! The advanced programmable interrupt controllers: one local to each CPU, and the I/O APICs that
//! devices are wired to.

mod io;
#[cfg(target_os = "none")]
mod local;

pub(super) use io::{Input, IoApic, REGISTERS as IO_REGISTERS};
#[cfg(target_os = "none")]
pub(super) use local::{LocalApic, SPURIOUS_VECTOR, has_deadline, set_deadline};
