//! When modules are loaded (`-mode`, init(3)).

use std::fmt;

/// When the emulator loads the modules of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeLoading {
    /// All of them at boot, as the boot script lists them.
    Embedded,
    /// Those without which the code server cannot start at boot (up to `kernel_load_completed` in
    /// the boot script; otp: erts/preloaded/src/init.erl), each other one when it is first called.
    Interactive,
}

impl CodeLoading {
    /// The value of `-mode`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Interactive => "interactive",
        }
    }
}

impl fmt::Display for CodeLoading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
