//! How two images differ as disks: partitions, and the code that boots with a BIOS.

use boot_contract::disk::{
    BIOS_BOOT_TYPE, BLOCK_LIST, BLOCK_LIST_SIZE, BOOT_CODE_SIZE, SECTOR, STAGE_MAX,
};
use image::gpt::{Guid, Partition};
use image::{ByteRange, DiskImage};
use serde::Serialize;

use crate::error::Error;
use crate::inspected::Inspected;
use crate::text::printable;

/// A partition, or the whole disk, that lies elsewhere; one side is absent if it came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionChange {
    /// The partition's name, or `disk`.
    pub name: String,
    /// Where it was.
    pub old: Option<ByteRange>,
    /// Where it is.
    pub new: Option<ByteRange>,
}

/// The disk and the partitions that are others; none unless both are images.
pub(crate) fn partitions(old: &Inspected<'_>, new: &Inspected<'_>) -> Vec<PartitionChange> {
    let (Some(old), Some(new)) = (old.image, new.image) else {
        return Vec::new();
    };
    let (before, after) = (parts(old), parts(new));
    let change = |at: usize| {
        let (old, new) = (before.get(at), after.get(at));
        let (name, ..) = new.or(old).filter(|_| old != new)?;
        Some(PartitionChange {
            name: name.clone(),
            old: old.map(|part| part.1),
            new: new.map(|part| part.1),
        })
    };
    (0..before.len().max(after.len()))
        .filter_map(change)
        .collect()
}

/// Name, place and purpose of the disk and its partitions, in the table's order.
fn parts(image: &DiskImage) -> Vec<(String, ByteRange, Guid)> {
    let disk = ByteRange {
        offset: 0,
        size: image.size(),
    };
    let partitions = image.gpt.partitions.iter().map(|partition| {
        let name = printable(&partition.name);
        (name, range(partition), partition.kind)
    });
    let disk = ("disk".into(), disk, Guid::default());
    std::iter::once(disk).chain(partitions).collect()
}

fn range(partition: &Partition) -> ByteRange {
    ByteRange {
        offset: partition.first * SECTOR,
        size: (partition.last - partition.first + 1) * SECTOR,
    }
}

/// Whether boot sector or BIOS stage differ; not known unless both are images.
pub(crate) fn boot_code_changed(
    old: &Inspected<'_>,
    new: &Inspected<'_>,
) -> Result<Option<bool>, Error> {
    let (Some(old), Some(new)) = (old.image, new.image) else {
        return Ok(None);
    };
    let (mut before, mut after) = (boot_code(old)?, boot_code(new)?);
    let places = |image: &DiskImage| (image.kernel, image.root, image.cmdline.len());
    // The list of blocks says where kernel, root and command line lie: it follows them.
    if places(old) != places(new) {
        for code in [&mut before, &mut after] {
            let list = BOOT_CODE_SIZE + BLOCK_LIST;
            if let Some(list) = code.get_mut(list..list + BLOCK_LIST_SIZE) {
                list.fill(0);
            }
        }
    }
    Ok(Some(before != after))
}

/// The code of the boot sector, and the stage behind it.
fn boot_code(image: &DiskImage) -> Result<Vec<u8>, Error> {
    let mut code = Vec::new();
    let sector = ByteRange {
        offset: 0,
        size: BOOT_CODE_SIZE as u64,
    };
    image.copy(sector, &mut code)?;
    let kind = Guid::from_text(BIOS_BOOT_TYPE);
    let mut partitions = image.gpt.partitions.iter();
    if let Some(partition) = partitions.find(|partition| Some(partition.kind) == kind) {
        let whole = range(partition);
        let stage = ByteRange {
            size: whole.size.min(STAGE_MAX as u64),
            ..whole
        };
        image.copy(stage, &mut code)?;
    }
    Ok(code)
}
