//! Files with OSv: disk images of it, and kernels.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::assemble::Boot;
use super::{LOADER, LOADER_UNITS, MARK, MARK_AT, UNIT, UNITS_MAX, fastlz};
use crate::error::ImageError;
use crate::formats::Medium;
use crate::mbr;

/// Largest kernel that is read, in bytes; with debugging information, they have some 70 MiB.
const KERNEL_MAX: u64 = 1 << 30;

/// What a file with OSv is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseKind {
    /// A disk: `loader.img`, or an image with a root of its own (`usr.img`), which is not kept.
    Disk,
    /// A kernel: `loader.elf` or `loader-stripped.elf`.
    Kernel,
}

impl BaseKind {
    /// Its name, for people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Kernel => "kernel",
        }
    }
}

/// A file with OSv, read.
#[derive(Clone, Debug)]
pub struct BaseFile {
    sector: [u8; 512],
    loader: Vec<u8>,
    kernel: Vec<u8>,
    kind: BaseKind,
    digest: String,
}

/// Why a file is not usable as OSv.
#[derive(Debug, thiserror::Error)]
pub enum OsvBaseError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a damaged container.
    #[error("{} cannot be read as a disk: {source}", path.display())]
    Medium {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<ImageError>,
    },
    /// It is something else.
    #[error(
        "{} is not OSv: expected a disk image of it (loader.img or usr.img, raw or qcow2) or its kernel (loader.elf), found {found}", path.display()
    )]
    NotOsv {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// Its loader is cut off.
    #[error(
        "{} is cut off: its boot sector names {expected} bytes of loader, {found} are there; get it again", path.display()
    )]
    CutOff {
        /// The file.
        path: PathBuf,
        /// How many are expected.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// There is no kernel in its loader.
    #[error(
        "{} has no kernel in its loader, or a damaged one; name the kernel itself (loader.elf)", path.display()
    )]
    NoKernel {
        /// The file.
        path: PathBuf,
    },
}

impl BaseFile {
    /// Reads a file with OSv.
    ///
    /// # Errors
    /// It cannot be read, is something else, or is damaged.
    pub fn open(path: &Path) -> Result<Self, OsvBaseError> {
        let fail = |source| OsvBaseError::Read {
            path: path.into(),
            source,
        };
        let mut file = fs::File::open(path).map_err(fail)?;
        let size = file.metadata().map_err(fail)?.len();
        let mut head = Vec::new();
        (&mut file).take(4).read_to_end(&mut head).map_err(fail)?;
        if head == b"\x7fELF" && size <= KERNEL_MAX {
            return Self::kernel_file(path);
        }
        drop(file);
        let medium = Medium::open(path).map_err(|source| match source {
            ImageError::Input { source, .. } => fail(source),
            source => OsvBaseError::Medium {
                path: path.into(),
                source: Box::new(source),
            },
        })?;
        Self::disk(path, &medium)
    }

    fn kernel_file(path: &Path) -> Result<Self, OsvBaseError> {
        let kernel = fs::read(path).map_err(|source| OsvBaseError::Read {
            path: path.into(),
            source,
        })?;
        if let Some(found) = other_elf(&kernel) {
            return Err(OsvBaseError::NotOsv {
                path: path.into(),
                found: found.into(),
            });
        }
        Ok(Self {
            sector: [0; 512],
            loader: Vec::new(),
            digest: digest(&kernel),
            kernel,
            kind: BaseKind::Kernel,
        })
    }

    fn disk(path: &Path, mut medium: &Medium) -> Result<Self, OsvBaseError> {
        let fail = |source| OsvBaseError::Read {
            path: path.into(),
            source,
        };
        let mut sector = [0; 512];
        let count = fill(&mut medium, &mut sector).map_err(fail)?;
        if sector[MARK_AT..][..MARK.len()] != *MARK || sector[510..] != mbr::SIGNATURE {
            return Err(OsvBaseError::NotOsv {
                path: path.into(),
                found: describe(&sector[..count]),
            });
        }
        let loader = read_loader(medium, &sector).map_err(fail)?;
        let (expected, found) = (loader.expected, loader.bytes.len());
        if found < expected {
            return Err(OsvBaseError::CutOff {
                path: path.into(),
                expected,
                found,
            });
        }
        let loader = loader.used();
        let kernel = fastlz::kernel(&loader);
        let kernel = kernel.ok_or_else(|| OsvBaseError::NoKernel { path: path.into() })?;
        for place in 0..mbr::ENTRIES {
            mbr::set(&mut sector, place, None);
        }
        Ok(Self {
            digest: digest(&loader),
            sector,
            loader,
            kernel,
            kind: BaseKind::Disk,
        })
    }

    /// What the file is.
    pub fn kind(&self) -> BaseKind {
        self.kind
    }

    /// The kernel, an ELF file.
    pub fn kernel(&self) -> &[u8] {
        &self.kernel
    }

    /// What a disk made from it starts with.
    pub fn boot(&self) -> Boot<'_> {
        match self.kind {
            BaseKind::Kernel => Boot::Given,
            BaseKind::Disk => Boot::Disk {
                sector: &self.sector,
                loader: &self.loader,
            },
        }
    }

    /// SHA-256 of what is used of it, the loader or the kernel, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// Words that every kernel of OSv holds (osv: loader.cc, `usage`).
const USAGE: &[u8] = b"OSv options";

/// What an ELF file is that is no kernel of OSv (gABI, "ELF Header": class, type, machine).
fn other_elf(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4) == Some(&1) {
        return Some("an ELF file of 32 bits, as the loader that unpacks the kernel is");
    }
    if bytes.get(18..20) != Some(&[62, 0]) {
        return Some("an ELF file for another machine than x86-64");
    }
    if bytes.get(16) != Some(&2) || !bytes.windows(USAGE.len()).any(|part| part == USAGE) {
        return Some("another ELF file, or a part of a kernel");
    }
    None
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A loader as it was read.
pub(super) struct Loader {
    bytes: Vec<u8>,
    /// How many bytes there should be.
    expected: usize,
}

impl Loader {
    /// The units of it that hold anything.
    pub(super) fn used(mut self) -> Vec<u8> {
        let last = self.bytes.iter().rposition(|&byte| byte != 0);
        let used = last.map_or(0, |last| (last + 1).next_multiple_of(UNIT));
        self.bytes.truncate(used);
        self.bytes
    }
}

/// The loader, as long as the boot sector says, but not into the first partition. Where the number
/// was never set, it names more than there is, or nothing.
pub(super) fn read_loader(mut medium: &Medium, sector: &[u8; 512]) -> io::Result<Loader> {
    let units = [sector[LOADER_UNITS], sector[LOADER_UNITS + 1]];
    let units = usize::from(u16::from_le_bytes(units));
    let is_set = (1..UNITS_MAX).contains(&units);
    let units = if is_set { units } else { UNITS_MAX };
    let partitions = mbr::partitions(sector);
    let firsts = partitions
        .iter()
        .flatten()
        .map(|p| u64::from(p.first) * 512);
    let limit = firsts.min().unwrap_or(u64::MAX).max(LOADER) - LOADER;
    let size = limit.min((units * UNIT) as u64);
    medium.seek(SeekFrom::Start(LOADER))?;
    let mut bytes = Vec::new();
    medium.take(size).read_to_end(&mut bytes)?;
    let expected = if is_set { size as usize } else { 0 };
    Ok(Loader { bytes, expected })
}

fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

/// What a disk is, for those who expected OSv.
fn describe(sector: &[u8]) -> String {
    match sector {
        [] => "an empty file".into(),
        short if short.len() < 512 => format!("{} bytes", short.len()),
        disk if disk[510..] != mbr::SIGNATURE => {
            "something that is not a disk with a boot sector".into()
        }
        disk if disk[mbr::TABLE + 4] == 0xee => {
            "a disk with a GPT, which OSv cannot boot from".into()
        }
        _ => "a disk with another boot sector".into(),
    }
}
