//! How OSv loads the emulator.

use std::fmt;

/// Who loads the emulator and its libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchMode {
    /// The linker in the kernel, which lends programs its own C library.
    Kernel,
    /// Linux's dynamic linker with the release's own C library, as a program.
    LdLinux,
}

impl LaunchMode {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::LdLinux, Self::Kernel];

    /// Its name, as in `--osv-launch`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::LdLinux => "ld-linux",
        }
    }

    /// What loads the emulator, in words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Kernel => "the linker in its kernel",
            Self::LdLinux => "Linux's dynamic linker",
        }
    }
}

impl fmt::Display for LaunchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
