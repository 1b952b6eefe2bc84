//! When modules are loaded.

use clap::ValueEnum;
use release::CodeLoading;

/// When modules are loaded: all at boot, or each when it is first used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoadingArg {
    Embedded,
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
