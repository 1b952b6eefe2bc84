//! Why the stage cannot start the kernel.

use core::fmt;

use boot_contract::disk::BlockListError;
use boot_contract::status::Ending;

/// Printed after `unibeam: `.
pub(crate) enum StageError {
    /// The assembler's list is not usable.
    BlockList(BlockListError),
    /// The BIOS could not read a sector.
    Disk { lba: u64, status: u8 },
    /// The BIOS reports no memory, or more ranges than there is place for.
    MemoryMap,
    /// Address line 20 is closed.
    A20,
    /// The kernel does not fit.
    KernelMemory { end: u64 },
    /// The root archive does not fit.
    RootMemory { size: u64 },
    /// The command line does not fit.
    Cmdline { size: u64 },
}

impl StageError {
    /// What the outside is told: is it the machine's memory, or the image?
    pub(crate) fn ending(&self) -> Ending {
        match self {
            Self::KernelMemory { .. } | Self::RootMemory { .. } => Ending::OutOfMemory,
            Self::BlockList(_)
            | Self::Disk { .. }
            | Self::MemoryMap
            | Self::A20
            | Self::Cmdline { .. } => Ending::BadImage,
        }
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockList(error) => write!(f, "{error}"),
            Self::Disk { lba, status } => {
                write!(f, "disk read error at sector {lba} (BIOS status {status})")
            }
            Self::MemoryMap => write!(f, "no usable memory map from the BIOS"),
            Self::A20 => write!(f, "address line 20 is closed"),
            Self::KernelMemory { end } => write!(
                f,
                "not enough memory: the kernel needs all up to {} MiB",
                end.div_ceil(MIB)
            ),
            Self::RootMemory { size } => write!(
                f,
                "not enough memory: the root archive needs {} MiB below 4 GiB in one piece; \
                 give the machine more memory",
                size.div_ceil(MIB)
            ),
            Self::Cmdline { size } => {
                write!(f, "the command line has {size} bytes, more than possible")
            }
        }
    }
}

const MIB: u64 = 1 << 20;
