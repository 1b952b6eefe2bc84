//! Milestones that the guest reports to the harness, one line each, on the debug port.
//!
//! A line is `@unibeam <ns> <name>[ key=value]…\n`: nanoseconds since power-on (from the TSC),
//! then the event. The plain console stays for people.

/// I/O port of QEMU's `isa-debugcon` (its default); reading it returns [`DEBUG_PORT_PRESENT`].
pub const DEBUG_PORT: u16 = 0xe9;

/// What a read of [`DEBUG_PORT`] returns when the device is there.
pub const DEBUG_PORT_PRESENT: u8 = 0xe9;

/// First word of every event line.
pub const PREFIX: &str = "@unibeam";

/// Path of the device file to which the edited boot script writes [`APPLICATION_STARTED`]: the
/// kernel turns a line written there into an event of that name.
pub const READY_DEVICE: &str = "/dev/unibeam";

/// The kernel runs on its own stack with memory set up.
pub const KERNEL_UP: &str = "kernel-up";
/// The root archive is indexed.
pub const ROOT_READY: &str = "root-ready";
/// An address is configured; `ip=ADDR/PREFIX`.
pub const NETWORK_UP: &str = "network-up";
/// The first instruction of the program is about to run; `path=…`.
pub const ERTS_STARTED: &str = "erts-started";
/// The boot script's last instruction ran.
pub const APPLICATION_STARTED: &str = "application-started";
/// The guest ends; `kind=` one of the names in [`crate::status`], `status=` a decimal number.
pub const EXIT: &str = "exit";
