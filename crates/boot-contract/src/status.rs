//! How a guest ends and how that is told to the outside.
//!
//! Two channels say it: the `exit` event (kind and full status) and, where the machine has
//! QEMU's `isa-debug-exit`, QEMU's own exit status, `(code << 1) | 1`. Other machines are
//! powered off through ACPI.

/// I/O port of `isa-debug-exit`, given as `iobase=0xf4,iosize=0x04`.
pub const EXIT_PORT: u16 = 0xf4;

/// The ways a guest can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The release ended with status 0.
    Success,
    /// The release ended with another status, named in the event.
    Failure,
    /// The release was killed by a signal, named in the event.
    Signal,
    /// The kernel panicked; an epitaph is on the console.
    Panic,
    /// Memory ran out.
    OutOfMemory,
    /// The image cannot be started (no root archive, bad configuration, no program).
    BadImage,
    /// The release cannot be started with the variables and flags it was given.
    NotConfigured,
}

impl Ending {
    /// All endings, in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::Failure,
        Self::Signal,
        Self::Panic,
        Self::OutOfMemory,
        Self::BadImage,
        Self::NotConfigured,
    ];

    /// The value written to [`EXIT_PORT`]. 0x10 upward, so that no code of QEMU's own (0, 1) or
    /// of a shell collides with [`Self::qemu_status`].
    pub const fn code(self) -> u8 {
        0x10 + self as u8
    }

    /// The exit status of a QEMU with `isa-debug-exit` after this ending.
    pub const fn qemu_status(self) -> u8 {
        (self.code() << 1) | 1
    }

    /// The value of `kind=` in the `exit` event.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Signal => "signal",
            Self::Panic => "panic",
            Self::OutOfMemory => "out-of-memory",
            Self::BadImage => "bad-image",
            Self::NotConfigured => "not-configured",
        }
    }

    /// The ending with this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.name() == name)
    }
}

/// First line of the text a dying kernel leaves on the console.
pub const EPITAPH: &str = "unibeam: kernel panic:";
