//! Writing a disk for OSv.

use std::path::Path;

use manifest::Manifest;
use sha2::{Digest, Sha256};

use super::{
    CMDLINE, CMDLINE_PATH, CMDLINE_SIZE, DATA_PLACE, LOADER, LOADER_UNITS, MANIFEST_PATH,
    ROOT_PLACE, SECTOR, UNIT, UNITS_MAX,
};
use crate::assemble::{Progress, Report};
use crate::error::ImageError;
use crate::mbr::{self, Partition};
use crate::output::Output;
use crate::plan::{MIB, Part, Plan, SIZE_MAX, UNKNOWN_DIGEST, manifest_file, whole_size};
use crate::rofs::Rofs;
use crate::spec::{DiskSpec, RootEntry};

/// The root starts at a multiple of this, as in images of OSv's own build.
const ROOT_ALIGNMENT: u64 = 2 * MIB;

/// What a disk boots by itself.
#[derive(Clone, Copy, Debug)]
pub enum Boot<'a> {
    /// The loader on it.
    Disk {
        /// OSv's boot sector.
        sector: &'a [u8; 512],
        /// Its loader.
        loader: &'a [u8],
    },
    /// Nothing: the machine is given a kernel.
    Given,
}

/// Everything one disk is made of.
#[derive(Clone, Copy, Debug)]
pub struct OsvSpec<'a> {
    /// What it boots.
    pub boot: Boot<'a>,
    /// The kernel's command line.
    pub cmdline: &'a str,
    /// The root's entries, in any order; missing parent directories are added.
    pub root: &'a [RootEntry],
    /// What the image says about itself; its digest is filled in.
    pub manifest: Option<&'a Manifest>,
    /// The disk that holds all this.
    pub disk: DiskSpec,
}

/// Plans a disk without writing anything.
///
/// # Errors
/// Everything that can be known to be wrong before writing.
pub fn plan(spec: &OsvSpec<'_>) -> Result<Plan, ImageError> {
    Ok(Layout::new(spec, &entries(spec))?.plan)
}

/// Makes a disk, as [`crate::assemble()`] does.
///
/// # Errors
/// What is wrong with the input, or why the output cannot be written.
pub fn assemble(
    spec: &OsvSpec<'_>,
    output: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, ImageError> {
    let entries = entries(spec);
    let layout = Layout::new(spec, &entries)?;
    let mut writer = Writer {
        output: Output::create(output, layout.plan.size)?,
        hash: Sha256::new(),
    };
    writer.content(&layout, spec, progress)?;
    let digest: [u8; 32] = writer.hash.finalize().into();
    let digest_text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let place = layout.rofs.find(MANIFEST_PATH.as_bytes());
    if let (Some(manifest), Some((offset, _))) = (spec.manifest, place) {
        let file = manifest_file(manifest, digest_text.clone());
        writer
            .output
            .write_at(layout.root + offset, file.as_bytes())?;
    }
    let (path, file_size) = writer.output.finish(spec.disk.encoding, &digest)?;
    Ok(Report {
        path,
        file_size,
        digest: digest_text,
        plan: layout.plan,
    })
}

/// The root's entries with what is known of the image.
fn entries(spec: &OsvSpec<'_>) -> Vec<RootEntry> {
    let manifest = spec.manifest.map(|manifest| {
        let file = manifest_file(manifest, UNKNOWN_DIGEST.into());
        RootEntry::bytes(MANIFEST_PATH, file, 0o644)
    });
    let cmdline = RootEntry::bytes(CMDLINE_PATH, format!("{}\n", spec.cmdline), 0o644);
    let own = manifest.into_iter().chain([cmdline]);
    spec.root.iter().cloned().chain(own).collect()
}

struct Layout<'a> {
    plan: Plan,
    rofs: Rofs<'a>,
    /// Where the root starts, in bytes.
    root: u64,
    sector: [u8; 512],
}

impl<'a> Layout<'a> {
    fn new(spec: &OsvSpec<'_>, entries: &'a [RootEntry]) -> Result<Self, ImageError> {
        let rofs = Rofs::plan(entries)?;
        let (mut sector, loader) = boot_sector(spec)?;
        let root = match spec.boot {
            Boot::Disk { .. } => (LOADER + loader).next_multiple_of(ROOT_ALIGNMENT),
            Boot::Given => SECTOR,
        };
        let root_end = root + rofs.size();
        let start = root_end.next_multiple_of(MIB);
        let data = spec.disk.data.filter(|&size| size > 0);
        let data = data.map(|size| (start, size.min(SIZE_MAX).next_multiple_of(MIB)));
        let needed = data.map_or(root_end, |(start, size)| start + size);
        let size = whole_size(needed.next_multiple_of(MIB), &spec.disk)?;
        mbr::set(&mut sector, ROOT_PLACE, Some(partition(root, rofs.size())?));
        if let Some((start, size)) = data {
            mbr::set(&mut sector, DATA_PLACE, Some(partition(start, size)?));
        }
        let mut parts = vec![Part::new("boot sector", 0, SECTOR)];
        if matches!(spec.boot, Boot::Disk { .. }) {
            parts.push(Part::new("command line", CMDLINE, CMDLINE_SIZE as u64));
            parts.push(Part::new("OSv loader", LOADER, loader));
        }
        parts.push(Part::new("root partition", root, rofs.size()));
        parts.extend(data.map(|(start, size)| Part::new("data partition", start, size)));
        let plan = Plan { size, parts };
        plan.validate()?;
        Ok(Self {
            plan,
            rofs,
            root,
            sector,
        })
    }
}

/// The boot sector without partitions, and the bytes that the loader takes.
fn boot_sector(spec: &OsvSpec<'_>) -> Result<([u8; 512], u64), ImageError> {
    // The command line ends with a zero, which has to be read, too.
    let limit = CMDLINE_SIZE - 1;
    if spec.cmdline.len() > limit {
        let found = spec.cmdline.len();
        return Err(ImageError::CmdlineTooLong { found, limit });
    }
    if let Some(at) = spec.cmdline.find(char::is_control) {
        return Err(ImageError::CmdlineControl { at });
    }
    let mut sector = [0; 512];
    let mut size = 0;
    if let Boot::Disk {
        sector: own,
        loader,
    } = spec.boot
    {
        let units = loader.len().div_ceil(UNIT);
        if units == 0 || units > UNITS_MAX {
            return Err(ImageError::LoaderSize { size: loader.len() });
        }
        sector = *own;
        size = (units * UNIT) as u64;
        sector[LOADER_UNITS..][..2].copy_from_slice(&(units as u16).to_le_bytes());
    }
    for place in 0..mbr::ENTRIES {
        mbr::set(&mut sector, place, None);
    }
    sector[510..].copy_from_slice(&mbr::SIGNATURE);
    Ok((sector, size))
}

fn partition(start: u64, size: u64) -> Result<Partition, ImageError> {
    let too_large = |_| ImageError::SizeTooLarge { size };
    Ok(Partition {
        kind: mbr::LINUX,
        first: u32::try_from(start / SECTOR).map_err(too_large)?,
        sectors: u32::try_from(size / SECTOR).map_err(too_large)?,
    })
}

struct Writer {
    output: Output,
    /// Of the content, in the order it is written.
    hash: Sha256,
}

impl Writer {
    fn content(
        &mut self,
        layout: &Layout<'_>,
        spec: &OsvSpec<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ImageError> {
        self.hashed(0, &layout.sector)?;
        if let Boot::Disk { loader, .. } = spec.boot {
            self.hashed(CMDLINE, spec.cmdline.as_bytes())?;
            self.hashed(LOADER, loader)?;
        }
        let total = layout.rofs.size();
        let mut done = 0;
        layout.rofs.write(&mut |bytes| {
            self.hashed(layout.root + done, bytes)?;
            done += bytes.len() as u64;
            progress(Progress { done, total });
            Ok(())
        })
    }

    fn hashed(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        self.hash.update(bytes);
        self.output.write_at(offset, bytes)
    }
}
