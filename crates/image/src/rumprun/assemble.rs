//! Writing a disk for rumprun.

use std::path::Path;

use boot_contract::disk::{BLOCK_LIST, BlockList, Extent, MAX_SEGMENTS, Protocol, SECTOR, Segment};
use manifest::Manifest;
use sha2::{Digest, Sha256};

use super::config::Configuration;
use super::multiboot::Program;
use super::{CONFIG_PATH, FOLDER, MANIFEST_PATH, PATH_MAX, PROGRAM_PATH, RumprunError, STAGE};
use crate::assemble::{Progress, Report, check_boot_sector, point_to_stage};
use crate::error::ImageError;
use crate::iso::{Iso, SYSTEM_AREA};
use crate::mbr;
use crate::output::Output;
use crate::plan::{MIB, Part, Plan, UNKNOWN_DIGEST, check_stage, manifest_file, whole_size};
use crate::spec::{DiskSpec, RootEntry};

/// Everything one disk is made of.
#[derive(Clone, Copy, Debug)]
pub struct RumprunSpec<'a> {
    /// The program, a Multiboot binary that `rumprun-bake` made.
    pub program: &'a [u8],
    /// The BIOS boot sector, 512 bytes (`boot_images::BOOT_SECTOR`).
    pub boot_sector: &'a [u8],
    /// The BIOS boot stage (`boot_images::BIOS_STAGE`).
    pub bios_stage: &'a [u8],
    /// What the program is told. For the files to be seen, it mounts them ([`Blk::own_disk`]).
    ///
    /// [`Blk::own_disk`]: super::config::Blk::own_disk
    pub configuration: &'a Configuration,
    /// The files, in any order; missing parent directories are added.
    pub root: &'a [RootEntry],
    /// What the image says about itself; its digest is filled in.
    pub manifest: Option<&'a Manifest>,
    /// Modification time of every file, in seconds since 1970 (`SOURCE_DATE_EPOCH`, else 0).
    pub mtime: u32,
    /// The disk that holds all this.
    pub disk: DiskSpec,
}

/// Plans a disk without writing anything.
///
/// # Errors
/// Everything that can be known to be wrong before writing.
pub fn plan(spec: &RumprunSpec<'_>) -> Result<Plan, ImageError> {
    Ok(Layout::new(spec, &entries(spec)?)?.plan)
}

/// Makes a disk, as [`crate::assemble()`] does.
///
/// # Errors
/// What is wrong with the input, or why the output cannot be written.
pub fn assemble(
    spec: &RumprunSpec<'_>,
    output: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, ImageError> {
    let entries = entries(spec)?;
    let layout = Layout::new(spec, &entries)?;
    let mut writer = Writer {
        output: Output::create(output, layout.plan.size)?,
        hash: Sha256::new(),
    };
    writer.content(&layout, progress)?;
    let digest: [u8; 32] = writer.hash.finalize().into();
    let digest_text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let place = layout.iso.find(MANIFEST_PATH.as_bytes());
    if let (Some(manifest), Some((offset, _))) = (spec.manifest, place) {
        let file = manifest_file(manifest, digest_text.clone());
        writer.output.write_at(offset, file.as_bytes())?;
    }
    let (path, file_size) = writer.output.finish(spec.disk.encoding, &digest)?;
    Ok(Report {
        path,
        file_size,
        digest: digest_text,
        plan: layout.plan,
    })
}

/// The files with what the disk boots from.
fn entries(spec: &RumprunSpec<'_>) -> Result<Vec<RootEntry>, RumprunError> {
    for entry in spec.root {
        check_path(&entry.path)?;
    }
    let configuration = spec.configuration.emit()?;
    let mut own = vec![
        RootEntry::bytes(PROGRAM_PATH, spec.program, 0o644),
        RootEntry::bytes(CONFIG_PATH, configuration, 0o644),
    ];
    own.extend(spec.manifest.map(|manifest| {
        let file = manifest_file(manifest, UNKNOWN_DIGEST.into());
        RootEntry::bytes(MANIFEST_PATH, file, 0o644)
    }));
    Ok(spec.root.iter().cloned().chain(own).collect())
}

fn check_path(path: &[u8]) -> Result<(), RumprunError> {
    let found = path.len();
    if found > PATH_MAX {
        let path = path.into();
        return Err(RumprunError::PathTooLong { path, found });
    }
    let mut parts = path.split(|&byte| byte == b'/');
    let first = parts.find(|part| !part.is_empty() && *part != b".");
    match first == Some(FOLDER.as_bytes()) {
        true => Err(RumprunError::Reserved { path: path.into() }),
        false => Ok(()),
    }
}

struct Layout<'a> {
    plan: Plan,
    boot_sector: [u8; SECTOR as usize],
    stage: Vec<u8>,
    iso: Iso<'a>,
}

impl<'a> Layout<'a> {
    fn new(spec: &RumprunSpec<'_>, entries: &'a [RootEntry]) -> Result<Self, ImageError> {
        if spec.disk.data.is_some_and(|size| size > 0) {
            return Err(RumprunError::DataPartition.into());
        }
        check_stage(spec.bios_stage, (SYSTEM_AREA - STAGE) as usize)?;
        let program = Program::parse(spec.program).map_err(RumprunError::from)?;
        let iso = Iso::plan(entries, spec.mtime)?;
        let list = block_list(&program, &iso).encode();
        let mut stage = spec.bios_stage.to_vec();
        stage[BLOCK_LIST..][..list.len()].copy_from_slice(&list);
        let plan = plan_of(&iso, stage.len() as u64, &spec.disk)?;
        Ok(Self {
            plan,
            boot_sector: boot_sector(spec)?,
            stage,
            iso,
        })
    }
}

/// The boot sector, with a partition table that has no partition: so the file system's is the whole disk
/// for NetBSD.
fn boot_sector(spec: &RumprunSpec<'_>) -> Result<[u8; SECTOR as usize], ImageError> {
    let mut sector = check_boot_sector(spec.boot_sector)?;
    point_to_stage(&mut sector, spec.bios_stage, STAGE / SECTOR);
    for place in 0..mbr::ENTRIES {
        mbr::set(&mut sector, place, None);
    }
    Ok(sector)
}

fn plan_of(iso: &Iso<'_>, stage: u64, disk: &DiskSpec) -> Result<Plan, ImageError> {
    let size = whole_size(iso.size().next_multiple_of(MIB), disk)?;
    let mut files = Part::new("file system", SYSTEM_AREA, iso.size() - SYSTEM_AREA);
    let own = [PROGRAM_PATH, CONFIG_PATH, MANIFEST_PATH];
    let places = own.map(|path| Some((path, iso.find(path.as_bytes())?)));
    let parts = places.into_iter().flatten();
    files.parts = parts
        .map(|(path, (offset, size))| Part::new(path, offset, size))
        .collect();
    files.parts.sort_by_key(|part| part.offset);
    let parts = vec![
        Part::new("boot sector", 0, SECTOR),
        Part::new("BIOS stage", STAGE, stage),
        files,
    ];
    let plan = Plan { size, parts };
    plan.validate()?;
    Ok(plan)
}

fn block_list(program: &Program, iso: &Iso<'_>) -> BlockList {
    let place = |path: &str| iso.find(path.as_bytes()).unwrap_or_default();
    let (start, _) = place(PROGRAM_PATH);
    let mut segments = [Segment::default(); MAX_SEGMENTS];
    for (slot, segment) in segments.iter_mut().zip(&program.segments) {
        *slot = Segment {
            lba: (start + segment.offset) / SECTOR,
            skip: (segment.offset % SECTOR) as u32,
            file_size: segment.file_size,
            paddr: segment.paddr,
            mem_size: segment.mem_size,
        };
    }
    let (offset, size) = place(CONFIG_PATH);
    BlockList {
        protocol: Protocol::Multiboot,
        entry: program.entry,
        cmdline: Extent::default(),
        module: Extent {
            lba: offset / SECTOR,
            size,
        },
        segments,
        segment_count: program.segments.len(),
    }
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
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ImageError> {
        self.hashed(0, &layout.boot_sector)?;
        self.hashed(STAGE, &layout.stage)?;
        let total = layout.iso.size() - SYSTEM_AREA;
        let mut done = 0;
        layout.iso.write(&mut |bytes| {
            self.hashed(SYSTEM_AREA + done, bytes)?;
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
