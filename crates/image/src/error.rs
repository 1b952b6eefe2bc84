//! What can go wrong while an image is made or read.

use std::io;
use std::path::{Path, PathBuf};

use crate::cpio::CpioError;
use crate::elf::KernelError;
use crate::fat::FatError;
use crate::formats::{Format, FormatError};
use crate::gpt::GptError;
use crate::iso::IsoError;
use crate::plan::SIZE_MAX;
use crate::rofs::RofsError;
use crate::rumprun::RumprunError;

/// Why an image could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The output is a directory.
    #[error("cannot write to {path}: it is a directory; name a file, for example {path}/app.img")]
    OutputIsDirectory {
        /// The output.
        path: PathBuf,
    },
    /// The output is a device, a pipe or a socket.
    #[error(
        "cannot write to {path}: it is not a regular file; write a file and copy it there, for example with dd"
    )]
    OutputIsDevice {
        /// The output.
        path: PathBuf,
    },
    /// The output cannot be created or written.
    #[error("cannot write the image {path}: {}; {}", reason(.source), remedy(.source))]
    Output {
        /// The output.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file beside the image cannot be created or written.
    #[error("cannot write {path}: {}; {}", reason(.source), remedy(.source))]
    Beside {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The output's disk is full.
    #[error(
        "no space left for the image {path}: it needs up to {needed} bytes; free some space or choose another folder"
    )]
    DiskFull {
        /// The output.
        path: PathBuf,
        /// Size of the whole image in bytes.
        needed: u64,
    },
    /// A file that belongs into the image cannot be read.
    #[error("cannot read {path} for the image: {source}")]
    Input {
        /// The host file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A host file is not a regular file.
    #[error(
        "{path} is not a regular file; only regular files, directories and symbolic links go into an image"
    )]
    InputKind {
        /// The host file.
        path: PathBuf,
    },
    /// A host file changed its size while the image was written.
    #[error(
        "{path} changed while the image was written: expected {expected} bytes, found {found}; build again"
    )]
    InputChanged {
        /// The host file.
        path: PathBuf,
        /// Size when the image was planned.
        expected: u64,
        /// Bytes read, at least.
        found: u64,
    },
    /// The root archive cannot be made or read.
    #[error("root archive: {0}")]
    Archive(#[from] CpioError),
    /// The root file system of OSv cannot be made or read.
    #[error("root file system: {0}")]
    Rofs(#[from] RofsError),
    /// An ISO 9660 file system cannot be made or read.
    #[error("root file system: {0}")]
    Iso(#[from] IsoError),
    /// A disk for rumprun cannot be made or read.
    #[error(transparent)]
    Rumprun(#[from] RumprunError),
    /// A loader of OSv has a size that its boot sector cannot tell.
    #[error("OSv's loader has {size} bytes; expected 1 byte to 128 MiB")]
    LoaderSize {
        /// Its size.
        size: usize,
    },
    /// A disk for OSv has no root.
    #[error("it has no second partition, where OSv's root is")]
    NoRoot,
    /// The root of a disk for OSv is not all there.
    #[error("it is cut off: its root ends at byte {end}, the disk at {size}")]
    RootOutside {
        /// Where the root ends.
        end: u64,
        /// Size of the disk.
        size: u64,
    },
    /// A disk for OSv has no kernel in its loader.
    #[error("its loader holds no OSv kernel, or a damaged one")]
    NoOsvKernel,
    /// The kernel is not a bootable ELF file.
    #[error("kernel: {0}")]
    Kernel(#[from] KernelError),
    /// The EFI system partition cannot be made or read.
    #[error("EFI system partition: {0}")]
    Fat(#[from] FatError),
    /// What the image says about itself cannot be understood.
    #[error("manifest: {0}")]
    Manifest(#[from] manifest::ManifestError),
    /// What the image says about itself is larger than any manifest.
    #[error(
        "manifest: it has {size} bytes, at most {} are read; the image is damaged",
        manifest::SIZE_MAX
    )]
    ManifestTooLarge {
        /// Its size.
        size: u64,
    },
    /// The partition table is not valid.
    #[error("partition table: {0}")]
    Gpt(#[from] GptError),
    /// The boot sector does not have its documented form.
    #[error(
        "the boot sector is not usable: expected 512 bytes ending in 55 AA with a disk address packet at byte 424, found {found}"
    )]
    BootSector {
        /// What was found.
        found: String,
    },
    /// The BIOS stage does not have its documented form.
    #[error("the BIOS stage is not usable: {reason}")]
    BiosStage {
        /// What is wrong.
        reason: boot_contract::disk::BlockListError,
    },
    /// The BIOS stage does not fit.
    #[error("the BIOS stage has {size} bytes, more than the {limit} bytes that there is place for")]
    BiosStageTooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The command line is too long or not one line.
    #[error("the kernel command line has {found} bytes; at most {limit} are possible")]
    CmdlineTooLong {
        /// Its size.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The command line has a control character.
    #[error(
        "the kernel command line has a control character at byte {at}; it must be one line of text"
    )]
    CmdlineControl {
        /// Its position.
        at: usize,
    },
    /// The disk is smaller than what it has to hold.
    #[error(
        "a disk of {size} bytes is too small: this one needs {needed} bytes ({} MiB); leave out --size for the smallest, or ask for more", needed >> 20
    )]
    SizeTooSmall {
        /// What was asked for.
        size: u64,
        /// What is needed.
        needed: u64,
    },
    /// The disk is larger than all formats can hold.
    #[error("a disk of {size} bytes is too large: at most {} GiB are possible", SIZE_MAX >> 30)]
    SizeTooLarge {
        /// What was asked for.
        size: u64,
    },
    /// The disk's size is not a multiple of what the format demands.
    #[error("a disk of {size} bytes is not possible in the format {format}: it takes multiples of {} MiB", granule >> 20)]
    SizeUnit {
        /// What was asked for.
        size: u64,
        /// The unit in bytes.
        granule: u64,
        /// The format.
        format: Format,
    },
    /// An image is a damaged container, or one of a kind that is not supported.
    #[error("{0}")]
    Format(FormatError),
    /// An image cannot be unpacked.
    #[error("cannot unpack the image into {}: {source}; set TMPDIR to a folder with space", std::env::temp_dir().display())]
    Unpack {
        /// The operating system's reason.
        source: io::Error,
    },
    /// The planned layout contradicts itself.
    #[error("the planned layout is not possible: {0}")]
    Plan(#[from] crate::plan::PlanError),
}

impl ImageError {
    /// The right variant for a failure to write `path`.
    pub(crate) fn output(path: &Path, needed: u64, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, needed }
            }
            io::ErrorKind::IsADirectory => Self::OutputIsDirectory { path },
            _ => Self::Output { path, source },
        }
    }

    /// The right variant for a container that cannot be read.
    pub(crate) fn format(path: &Path, source: FormatError) -> Self {
        match source {
            FormatError::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Format(FormatError::CutOff)
            }
            FormatError::Read(error) => Self::input(path, error),
            source => Self::Format(source),
        }
    }

    /// The right variant for a failure to unpack an image.
    pub(crate) fn unpack(source: io::Error) -> Self {
        Self::Unpack { source }
    }

    /// The right variant for a failure to read `path`.
    pub(crate) fn input(path: &Path, source: io::Error) -> Self {
        Self::Input {
            path: path.to_path_buf(),
            source,
        }
    }
}

/// The operating system's words, without the name of the temporary file.
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number).to_string(),
        None => io::Error::from(error.kind()).to_string(),
    }
}

/// What to do about an output that cannot be written.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "create the folder first",
        io::ErrorKind::FileTooLarge => "raise the limit of file sizes (ulimit -f)",
        _ => "choose a folder that you may write to",
    }
}
