//! The identifiers of regions and metadata items (MS-VHDX 2.2.3.2 and 2.6.2).

use crate::gpt::Guid;

pub(super) const BAT: &str = "2DC27766-F623-4200-9D64-115E9BFD4A08";
pub(super) const METADATA: &str = "8B7CA206-4790-4B9A-B8FE-575F050F886E";
pub(super) const FILE_PARAMETERS: &str = "CAA16737-FA36-4D43-B3B6-33F0AA44E76B";
pub(super) const DISK_SIZE: &str = "2FA54224-CD1B-4876-B211-5DBED83BF4B8";
pub(super) const DISK_ID: &str = "BECA12AB-B2E6-4523-93EF-C309E000C746";
pub(super) const LOGICAL_SECTOR: &str = "8141BF1D-A96F-4709-BA47-F233A8FAAB5F";
pub(super) const PHYSICAL_SECTOR: &str = "CDA348C7-445D-4471-9CC9-E9885251C556";

/// The bytes of one of them on disk.
pub(super) fn bytes(text: &str) -> [u8; 16] {
    Guid::from_text(text).unwrap_or_default().0
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_are_identifiers() {
        use super::*;
        for text in [
            BAT,
            METADATA,
            FILE_PARAMETERS,
            DISK_SIZE,
            DISK_ID,
            LOGICAL_SECTOR,
            PHYSICAL_SECTOR,
        ] {
            assert_ne!(bytes(text), [0; 16], "{text}");
        }
    }
}
