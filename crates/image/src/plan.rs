//! The layout of an image, before any byte is written.

use std::fmt;

use boot_contract::disk::{
    BlockList, CMDLINE_MAX, CMDLINE_PATH, Extent, KERNEL_PATH, MANIFEST_PATH, MAX_SEGMENTS,
    Protocol, ROOT_PATH, SECTOR, STAGE_MAX, Segment,
};
use manifest::Manifest;
use serde::{Deserialize, Serialize};

use crate::cpio::Archive;
use crate::elf::Kernel;
use crate::error::ImageError;
use crate::fat::{FatError, PlannedFile, Volume};
use crate::gpt::COPY_SECTORS;
use crate::spec::{DiskSpec, ImageSpec};

pub(crate) const MIB: u64 = 1 << 20;
/// Largest disk in bytes: what the narrowest of the formats, VHD, can hold.
pub const SIZE_MAX: u64 = 2040 << 30;
/// First sector of the BIOS boot partition: the first after the table that is a multiple of 8,
/// as disks with sectors of 4096 bytes like it.
pub(crate) const STAGE_LBA: u64 = 40;
/// First sector of the EFI system partition: 1 MiB.
pub(crate) const ESP_LBA: u64 = MIB / SECTOR;
/// Sectors after the EFI system partition: the copy of the table, rounded up to a multiple of 8.
pub(crate) const TAIL_SECTORS: u64 = COPY_SECTORS.next_multiple_of(8);

/// What goes where in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Size of the image in bytes.
    pub size: u64,
    /// Its parts, first to last.
    pub parts: Vec<Part>,
}

/// One part of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is.
    pub name: String,
    /// Offset in the image in bytes.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// What lies in it, first to last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// A contradiction in a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Two parts share bytes, or are out of order.
    #[error("`{second}` starts at byte {offset}, before the end of `{first}`")]
    Overlap {
        /// The part before.
        first: String,
        /// The part that overlaps it.
        second: String,
        /// Where the second starts.
        offset: u64,
    },
    /// A part leaves what it lies in.
    #[error("`{part}` ends at byte {end}, outside of `{whole}`")]
    Outside {
        /// The part.
        part: String,
        /// Its end.
        end: u64,
        /// What it should lie in.
        whole: String,
    },
    /// A part does not start with a sector.
    #[error("`{part}` starts at byte {offset}, which is not a multiple of {SECTOR}")]
    Unaligned {
        /// The part.
        part: String,
        /// Its offset.
        offset: u64,
    },
}

impl Plan {
    /// Checks that parts are aligned, in order, apart, and inside what they lie in.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn validate(&self) -> Result<(), PlanError> {
        Part {
            name: "the image".into(),
            offset: 0,
            size: self.size,
            parts: self.parts.clone(),
        }
        .validate()
    }
}

impl Part {
    pub(crate) fn new(name: impl Into<String>, offset: u64, size: u64) -> Self {
        Self {
            name: name.into(),
            offset,
            size,
            parts: Vec::new(),
        }
    }

    fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }

    fn validate(&self) -> Result<(), PlanError> {
        if !self.offset.is_multiple_of(SECTOR) {
            return Err(PlanError::Unaligned {
                part: self.name.clone(),
                offset: self.offset,
            });
        }
        for pair in self.parts.windows(2) {
            if pair[1].offset < pair[0].end() {
                return Err(PlanError::Overlap {
                    first: pair[0].name.clone(),
                    second: pair[1].name.clone(),
                    offset: pair[1].offset,
                });
            }
        }
        for part in &self.parts {
            if part.offset < self.offset || part.end() > self.end() {
                return Err(PlanError::Outside {
                    part: part.name.clone(),
                    end: part.end(),
                    whole: self.name.clone(),
                });
            }
            part.validate()?;
        }
        Ok(())
    }

    fn print(&self, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{:indent$}{}", "", self.name, indent = 2 * depth);
        writeln!(f, "{name:<32} {:>12} {:>12}", self.offset, self.size)?;
        self.parts
            .iter()
            .try_for_each(|part| part.print(depth + 1, f))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<32} {:>12} {:>12}", "part", "offset", "size")?;
        self.parts.iter().try_for_each(|part| part.print(0, f))?;
        writeln!(f, "{:<32} {:>12} {:>12}", "whole image", 0, self.size)
    }
}

/// Everything that is decided before the first byte is written.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    pub(crate) plan: Plan,
    pub(crate) disk: Disk,
    pub(crate) archive: Archive<'a>,
    pub(crate) volume: Volume,
    pub(crate) block_list: BlockList,
    /// Content of the command line file.
    pub(crate) cmdline: String,
}

/// The files on the EFI system partition, in the order of [`Volume::files`].
pub(crate) const KERNEL_FILE: usize = 0;
pub(crate) const CMDLINE_FILE: usize = 1;
pub(crate) const ROOT_FILE: usize = 2;
pub(crate) const MANIFEST_FILE: usize = 3;

/// A digest of which nothing is known yet: as many zeros as a SHA-256 has hexadecimal digits.
pub(crate) const UNKNOWN_DIGEST: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";

/// The manifest as a file, with the digest of the content; its size does not depend on that.
pub(crate) fn manifest_file(manifest: &Manifest, digest: String) -> String {
    Manifest {
        digest,
        ..manifest.clone()
    }
    .emit()
}

impl<'a> Layout<'a> {
    pub(crate) fn new(spec: &ImageSpec<'a>) -> Result<Self, ImageError> {
        check_stage(spec.bios_stage, STAGE_MAX)?;
        let kernel = Kernel::parse(spec.kernel)?;
        let cmdline = cmdline_file(spec.cmdline)?;
        let archive = Archive::plan(spec.root, spec.mtime)?;
        let mut files = vec![
            (KERNEL_PATH, spec.kernel.len() as u64),
            (CMDLINE_PATH, cmdline.len() as u64),
            (ROOT_PATH, archive.size()),
        ];
        files.extend(spec.manifest.map(|manifest| {
            let file = manifest_file(manifest, UNKNOWN_DIGEST.into());
            (MANIFEST_PATH, file.len() as u64)
        }));
        let (system, volume) = smallest_disk(&files)?;
        let disk = Disk::new(system, &spec.disk)?;
        let plan = plan_of(&disk, spec.bios_stage.len() as u64, volume.files());
        plan.validate()?;
        Ok(Self {
            plan,
            disk,
            archive,
            block_list: block_list(&kernel, spec.cmdline.len() as u64, volume.files()),
            volume,
            cmdline,
        })
    }
}

/// Offset in the image of a file on the EFI system partition.
pub(crate) fn file_offset(file: &PlannedFile) -> u64 {
    ESP_LBA * SECTOR + file.offset
}

/// The disk's partitions after the BIOS boot partition, in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Of the whole disk.
    pub(crate) sectors: u64,
    /// Last sector of the EFI system partition.
    pub(crate) esp_last: u64,
    /// First and last sector of the data partition.
    pub(crate) data: Option<(u64, u64)>,
}

impl Disk {
    /// From the sectors of the smallest disk without a data partition, and what is asked for.
    fn new(system: u64, spec: &DiskSpec) -> Result<Self, ImageError> {
        let whole_mib = |bytes: u64| bytes.min(SIZE_MAX).next_multiple_of(MIB) / SECTOR;
        let data = spec.data.map(whole_mib).filter(|&sectors| sectors > 0);
        // The table's copy follows in a MiB of its own.
        let needed = data.map_or(system, |data| system + data + MIB / SECTOR) * SECTOR;
        let size = whole_size(needed, spec)?;
        Ok(Self {
            sectors: size / SECTOR,
            esp_last: system - TAIL_SECTORS - 1,
            data: data.map(|sectors| (system, system + sectors - 1)),
        })
    }
}

/// Size in bytes of a disk that needs this many, as it is asked for or the smallest possible.
pub(crate) fn whole_size(needed: u64, spec: &DiskSpec) -> Result<u64, ImageError> {
    let granule = spec.encoding.format.granule();
    let size = spec
        .size
        .unwrap_or_else(|| needed.next_multiple_of(granule));
    if size < needed {
        return Err(ImageError::SizeTooSmall { size, needed });
    }
    if !size.is_multiple_of(granule) {
        return Err(ImageError::SizeUnit {
            size,
            granule,
            format: spec.encoding.format,
        });
    }
    if size > SIZE_MAX {
        return Err(ImageError::SizeTooLarge { size });
    }
    Ok(size)
}

/// Sectors of the EFI system partition of the smallest disk that has it.
fn esp_sectors(disk_sectors: u64) -> u64 {
    disk_sectors - TAIL_SECTORS - ESP_LBA
}

/// The smallest disk of whole MiB whose EFI system partition holds the files, and that partition.
fn smallest_disk(files: &[(&str, u64)]) -> Result<(u64, Volume), FatError> {
    let content: u64 = files.iter().map(|(_, size)| size).sum();
    let first = content / MIB + 2;
    // The tables take less than 1/256 of the volume; FAT16 needs 16 MiB.
    let last = first + first / 256 + 20;
    for mib in first..last {
        let sectors = mib * MIB / SECTOR;
        match Volume::plan(esp_sectors(sectors), files) {
            Ok(volume) => return Ok((sectors, volume)),
            Err(FatError::TooLarge { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(FatError::TooLarge { needed: content })
}

fn plan_of(disk: &Disk, stage_size: u64, files: &[PlannedFile]) -> Plan {
    let stage_offset = STAGE_LBA * SECTOR;
    let esp_offset = ESP_LBA * SECTOR;
    let mut stage = Part::new(
        "BIOS boot partition",
        stage_offset,
        esp_offset - stage_offset,
    );
    stage.parts = vec![Part::new("BIOS stage", stage_offset, stage_size)];
    let mut esp = Part::new(
        "EFI system partition",
        esp_offset,
        (disk.esp_last + 1 - ESP_LBA) * SECTOR,
    );
    esp.parts = files
        .iter()
        .map(|file| Part::new(&file.path, file_offset(file), file.size))
        .collect();
    let table_size = COPY_SECTORS * SECTOR;
    let size = disk.sectors * SECTOR;
    let mut parts = vec![
        Part::new("boot sector", 0, SECTOR),
        Part::new("partition table", SECTOR, table_size),
        stage,
        esp,
    ];
    parts.extend(disk.data.map(|(first, last)| {
        let size = (last + 1 - first) * SECTOR;
        Part::new("data partition", first * SECTOR, size)
    }));
    parts.push(Part::new(
        "partition table, copy",
        size - table_size,
        table_size,
    ));
    Plan { size, parts }
}

fn block_list(kernel: &Kernel, cmdline_size: u64, files: &[PlannedFile]) -> BlockList {
    let lba = |file: usize| file_offset(&files[file]) / SECTOR;
    let mut segments = [Segment::default(); MAX_SEGMENTS];
    for (slot, segment) in segments.iter_mut().zip(&kernel.segments) {
        *slot = Segment {
            lba: lba(KERNEL_FILE) + segment.offset / SECTOR,
            skip: (segment.offset % SECTOR) as u32,
            file_size: segment.file_size,
            paddr: segment.paddr,
            mem_size: segment.mem_size,
        };
    }
    BlockList {
        protocol: Protocol::Pvh,
        entry: kernel.entry,
        cmdline: Extent {
            lba: lba(CMDLINE_FILE),
            size: cmdline_size,
        },
        module: Extent {
            lba: lba(ROOT_FILE),
            size: files[ROOT_FILE].size,
        },
        segments,
        segment_count: kernel.segments.len(),
    }
}

/// Checks that a BIOS stage has its documented form, and at most `limit` bytes.
pub(crate) fn check_stage(stage: &[u8], limit: usize) -> Result<(), ImageError> {
    if stage.len() > limit {
        return Err(ImageError::BiosStageTooLarge {
            size: stage.len() as u64,
            limit: limit as u64,
        });
    }
    let list = stage
        .get(boot_contract::disk::BLOCK_LIST..)
        .unwrap_or_default();
    BlockList::check_head(list).map_err(|reason| ImageError::BiosStage { reason })
}

/// The command line as a file: one line of text.
fn cmdline_file(cmdline: &str) -> Result<String, ImageError> {
    if cmdline.len() > CMDLINE_MAX {
        return Err(ImageError::CmdlineTooLong {
            found: cmdline.len(),
            limit: CMDLINE_MAX,
        });
    }
    if let Some(at) = cmdline.find(char::is_control) {
        return Err(ImageError::CmdlineControl { at });
    }
    Ok(format!("{cmdline}\n"))
}
