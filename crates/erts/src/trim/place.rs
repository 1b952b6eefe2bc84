//! Where a file is in the release, as rules see it.

use release::{GuestPath, Source, TreeEntry};

/// A place in the release.
pub(super) struct Place<'a> {
    /// Names from the release's root, the last one included.
    parts: &'a [&'a str],
    /// The last of them.
    pub(super) name: &'a str,
    /// Whether a directory is there.
    pub(super) is_directory: bool,
}

impl Place<'_> {
    /// Whether it is a file of the run-time system's `bin`.
    pub(super) fn is_in_erts_bin(&self) -> bool {
        !self.is_directory && matches!(self.parts, [erts, "bin", _] if erts.starts_with("erts-"))
    }

    /// Whether it is one of these files of the run-time system's `bin`.
    pub(super) fn in_erts_bin(&self, names: &[&str]) -> bool {
        self.is_in_erts_bin() && names.contains(&self.name)
    }

    /// Whether it is a file of `releases/VERSION`.
    pub(super) fn in_version(&self) -> bool {
        !self.is_directory && matches!(self.parts, ["releases", _, _])
    }

    /// Whether it is a file of an application.
    pub(super) fn in_lib(&self) -> bool {
        !self.is_directory && matches!(self.parts, ["lib", _, _, ..])
    }

    /// As [`in_lib`](Self::in_lib), but not among the files that an application uses at run time.
    pub(super) fn in_lib_but_priv(&self) -> bool {
        self.in_lib() && self.parts[2] != "priv"
    }

    /// Whether it is one of these directories of an application (or a link of that name), or below
    /// one.
    pub(super) fn in_application(&self, directories: &[&str]) -> bool {
        matches!(self.parts, ["lib", _, directory, ..] if directories.contains(directory))
    }

    /// Whether it is a file with one of these extensions.
    pub(super) fn has_extension(&self, extensions: &[&str]) -> bool {
        let extension = self.name.rsplit_once('.').map(|(_, extension)| extension);
        !self.is_directory && extension.is_some_and(|extension| extensions.contains(&extension))
    }
}

/// What a function says about an entry's place; `None` outside of the release.
pub(super) fn at<T>(entry: &TreeEntry, ask: impl FnOnce(&Place<'_>) -> T) -> Option<T> {
    at_path(&entry.path, entry.source == Source::Directory, ask)
}

/// As [`at`], for a path.
pub(super) fn at_path<T>(
    path: &GuestPath,
    is_directory: bool,
    ask: impl FnOnce(&Place<'_>) -> T,
) -> Option<T> {
    let path = String::from_utf8_lossy(path.as_bytes());
    let below = path.strip_prefix(release::GUEST_ROOT)?.strip_prefix('/')?;
    let parts: Vec<&str> = below.split('/').collect();
    let place = Place {
        parts: &parts,
        name: parts.last()?,
        is_directory,
    };
    Some(ask(&place))
}
