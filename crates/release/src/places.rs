//! Where the parts of a release are.

use std::path::PathBuf;

/// Where to look for what is not in the release itself, and where to put what is in the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The Erlang that the run-time system comes from, and the applications that the release was
    /// built without: its root directory, or its `erts-VERSION`. It wins over the release's own
    /// run-time system; the version has to be that of the `.rel` file.
    pub erts: Option<PathBuf>,
    /// Where the applications are of a `.rel` file that is not in a release: directories that hold
    /// applications' directories.
    pub lib_dirs: Vec<PathBuf>,
    /// More of them, from the environment: those that are not there are passed over, and a release
    /// that has its own is not concerned.
    pub erl_libs: Vec<PathBuf>,
    /// Where archives are unpacked, each into a folder that vanishes; the system's folder for
    /// temporary files (`TMPDIR`), if it is not given.
    pub scratch: Option<PathBuf>,
}
