//! Writing an image as planned.

use std::path::{Path, PathBuf};

use boot_contract::disk::{
    BIOS_BOOT_TYPE, BLOCK_LIST, BOOT_PACKET, BOOT_PACKET_COUNT, BOOT_PACKET_LBA, DATA_TYPE,
    EFI_SYSTEM_TYPE, SECTOR,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::ImageError;
use crate::gpt::{Gpt, Guid, Partition, protect};
use crate::output::Output;
use crate::plan::{
    CMDLINE_FILE, Disk, ESP_LBA, KERNEL_FILE, Layout, MANIFEST_FILE, Plan, ROOT_FILE, STAGE_LBA,
    file_offset, manifest_file,
};
use crate::spec::ImageSpec;

/// How far an assembly is; the last report has `done == total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the root archive written.
    pub done: u64,
    /// Bytes of the root archive.
    pub total: u64,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The image.
    pub path: PathBuf,
    /// Its size in bytes, without its holes that of the disk unless the format says otherwise.
    pub file_size: u64,
    /// SHA-256 of the image's content (boot code, kernel, command line, root archive) in
    /// hexadecimal; the GUIDs derive from it.
    pub digest: String,
    /// What is where.
    pub plan: Plan,
}

/// Plans an image without writing anything.
///
/// # Errors
/// Everything that can be known to be wrong before writing.
pub fn plan(spec: &ImageSpec<'_>) -> Result<Plan, ImageError> {
    check_boot_sector(spec.boot_sector)?;
    Ok(Layout::new(spec)?.plan)
}

/// Makes an image: plans it, writes it next to `output`, and gives it that name when everything
/// is there. An existing file is replaced; on failure nothing changes.
///
/// # Errors
/// What is wrong with the input, or why the output cannot be written.
pub fn assemble(
    spec: &ImageSpec<'_>,
    output: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, ImageError> {
    let boot_sector = check_boot_sector(spec.boot_sector)?;
    let layout = Layout::new(spec)?;
    let mut writer = Writer {
        output: Output::create(output, layout.plan.size)?,
        hash: Sha256::new(),
    };
    writer.content(&layout, spec, boot_sector, progress)?;
    let digest: [u8; 32] = writer.hash.clone().finalize().into();
    let digest_text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if let Some(manifest) = spec.manifest {
        let file = manifest_file(manifest, digest_text.clone());
        let offset = file_offset(&layout.volume.files()[MANIFEST_FILE]);
        writer.output.write_at(offset, file.as_bytes())?;
    }
    writer.tables(&layout, &digest)?;
    let (path, file_size) = writer.output.finish(spec.disk.encoding, &digest)?;
    Ok(Report {
        path,
        file_size,
        digest: digest_text,
        plan: layout.plan,
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
        spec: &ImageSpec<'_>,
        boot_sector: [u8; SECTOR as usize],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ImageError> {
        let files = layout.volume.files();
        let boot_sector = patched_boot_sector(boot_sector, spec.bios_stage, layout.disk.sectors);
        self.hashed(0, &boot_sector)?;
        self.hashed(STAGE_LBA * SECTOR, &patched_stage(spec.bios_stage, layout))?;
        self.hashed(file_offset(&files[KERNEL_FILE]), spec.kernel)?;
        self.hashed(file_offset(&files[CMDLINE_FILE]), layout.cmdline.as_bytes())?;
        let start = file_offset(&files[ROOT_FILE]);
        let total = layout.archive.size();
        let mut done = 0;
        layout.archive.write(&mut |bytes| {
            self.hashed(start + done, bytes)?;
            done += bytes.len() as u64;
            progress(Progress { done, total });
            Ok(())
        })
    }

    fn hashed(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        self.hash.update(bytes);
        self.output.write_at(offset, bytes)
    }

    fn tables(&mut self, layout: &Layout<'_>, digest: &[u8; 32]) -> Result<(), ImageError> {
        let serial = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
        for (offset, bytes) in layout.volume.emit(ESP_LBA, serial)? {
            self.output.write_at(ESP_LBA * SECTOR + offset, &bytes)?;
        }
        let gpt = gpt(&layout.disk, digest);
        let backup = gpt.emit_backup();
        self.output.write_at(SECTOR, &gpt.emit_primary())?;
        self.output
            .write_at(layout.plan.size - backup.len() as u64, &backup)
    }
}

fn gpt(disk: &Disk, digest: &[u8; 32]) -> Gpt {
    let partition = |kind: &str, first, last, name: &str| Partition {
        kind: Guid::from_text(kind).unwrap_or_default(),
        id: derived_guid(digest, name),
        first,
        last,
        name: name.into(),
    };
    let mut partitions = vec![
        partition(BIOS_BOOT_TYPE, STAGE_LBA, ESP_LBA - 1, "BIOS boot"),
        partition(EFI_SYSTEM_TYPE, ESP_LBA, disk.esp_last, "EFI system"),
    ];
    partitions.extend(
        disk.data
            .map(|(first, last)| partition(DATA_TYPE, first, last, "data")),
    );
    Gpt {
        disk: derived_guid(digest, "disk"),
        sectors: disk.sectors,
        partitions,
    }
}

/// A GUID that depends on the image's content and on what it names.
fn derived_guid(digest: &[u8; 32], name: &str) -> Guid {
    Guid::from_hash(
        &Sha256::new()
            .chain_update(digest)
            .chain_update(name)
            .finalize()
            .into(),
    )
}

/// First bytes of a disk address packet: its own size.
const PACKET_HEAD: [u8; 2] = [16, 0];

/// Checks that a boot sector has its documented form.
pub(crate) fn check_boot_sector(bytes: &[u8]) -> Result<[u8; SECTOR as usize], ImageError> {
    let sector = <[u8; SECTOR as usize]>::try_from(bytes).map_err(|_| ImageError::BootSector {
        found: format!("{} bytes", bytes.len()),
    })?;
    if sector[510..] != [0x55, 0xaa] {
        return Err(ImageError::BootSector {
            found: "no 55 AA".into(),
        });
    }
    if !sector[BOOT_PACKET..].starts_with(&PACKET_HEAD) {
        return Err(ImageError::BootSector {
            found: "no disk address packet".into(),
        });
    }
    Ok(sector)
}

/// The boot sector that loads this stage, with the protective MBR of this disk.
fn patched_boot_sector(
    mut sector: [u8; SECTOR as usize],
    stage: &[u8],
    sectors: u64,
) -> [u8; SECTOR as usize] {
    point_to_stage(&mut sector, stage, STAGE_LBA);
    protect(&mut sector, sectors);
    sector
}

/// Tells a boot sector where its stage is.
pub(crate) fn point_to_stage(sector: &mut [u8; SECTOR as usize], stage: &[u8], lba: u64) {
    let count = (stage.len() as u64).div_ceil(SECTOR) as u16;
    sector[BOOT_PACKET_COUNT..][..2].copy_from_slice(&count.to_le_bytes());
    sector[BOOT_PACKET_LBA..][..8].copy_from_slice(&lba.to_le_bytes());
}

fn patched_stage(stage: &[u8], layout: &Layout<'_>) -> Vec<u8> {
    let list = layout.block_list.encode();
    let mut stage = stage.to_vec();
    stage[BLOCK_LIST..][..list.len()].copy_from_slice(&list);
    stage
}
