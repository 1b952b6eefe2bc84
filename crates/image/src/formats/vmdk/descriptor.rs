//! The descriptor: text that says what the file is.

use super::{DESCRIPTOR_SECTORS, SECTOR};

/// The name that the descriptor gives the file it lies in; readers know better, and images would
/// differ by name.
const NAME: &str = "disk.vmdk";

/// Heads and sectors per track of large disks behind a SCSI adapter.
const HEADS: u64 = 255;
const TRACK_SECTORS: u64 = 63;

/// The descriptor's sectors.
pub(super) fn emit(kind: &str, sectors: u64, digest: &[u8; 32]) -> Vec<u8> {
    // Any number but the one that means "no parent".
    let id = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3] & 0x7f]);
    let cylinders = sectors / (HEADS * TRACK_SECTORS);
    let mut text = format!(
        "# Disk DescriptorFile
version=1
CID={id:08x}
parentCID=ffffffff
createType=\"{kind}\"

# Extent description
RW {sectors} SPARSE \"{NAME}\"

# The Disk Data Base
#DDB

ddb.adapterType = \"lsilogic\"
ddb.geometry.cylinders = \"{cylinders}\"
ddb.geometry.heads = \"{HEADS}\"
ddb.geometry.sectors = \"{TRACK_SECTORS}\"
ddb.virtualHWVersion = \"4\"
"
    )
    .into_bytes();
    text.resize((DESCRIPTOR_SECTORS * SECTOR) as usize, 0);
    text
}
