//! Where the parts of a release are.

use std::path::PathBuf;

/// Where to look for what is not in the release itself, and where to put what is in the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Where archives are unpacked, each into a folder that vanishes; the system's folder for
    /// temporary files (`TMPDIR`), if it is not given.
    pub scratch: Option<PathBuf>,
}
