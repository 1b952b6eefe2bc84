//! When modules are loaded.

use clap::ValueEnum;
use release::CodeLoading;

/// When modules are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoadingArg {
    /// All at boot
    Embedded,
    /// Each when it is first used
    Interactive,
}

impl From<LoadingArg> for CodeLoading {
    fn from(arg: LoadingArg) -> Self {
        match arg {
            LoadingArg::Embedded => Self::Embedded,
            LoadingArg::Interactive => Self::Interactive,
        }
    }
}
