//! Directories of the release as entries of the guest's tree.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use crate::read;
use crate::tree::{GuestPath, TreeEntry};
use crate::{Error, GUEST_ROOT};

/// Where the release is on the host and in the guest.
pub(crate) struct Walk<'a> {
    /// Root directory on the host; canonical.
    root: &'a Path,
    /// Entries found so far.
    pub(crate) entries: Vec<TreeEntry>,
    /// What cannot be part of an image, and was left out.
    pub(crate) problems: Vec<Error>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(root: &'a Path) -> Self {
        Self {
            root,
            entries: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Adds a file, or a directory with everything below it that `wanted` accepts; nothing if it
    /// does not exist.
    pub(crate) fn add(&mut self, path: &Path, wanted: &dyn Fn(&Path) -> bool) {
        if let Err(error) = self.try_add(path, wanted) {
            self.problems.push(error);
        }
    }

    fn try_add(&mut self, path: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<(), Error> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => {
                return Err(Error::Read {
                    path: path.into(),
                    source,
                });
            }
        };
        let guest = self.guest_path(path)?;
        if metadata.is_dir() {
            self.entries.push(TreeEntry::directory(guest));
            for child in read::directory(path)? {
                if wanted(&child) {
                    self.add(&child, wanted);
                }
            }
        } else if metadata.is_symlink() {
            let target = self.check_symlink(path)?;
            self.entries.push(TreeEntry::symlink(guest, target));
        } else {
            self.add_file(path, guest, &metadata)?;
        }
        Ok(())
    }

    fn add_file(
        &mut self,
        path: &Path,
        guest: GuestPath,
        metadata: &Metadata,
    ) -> Result<(), Error> {
        if let Some(kind) = special_kind(metadata) {
            return Err(Error::SpecialFile {
                path: path.into(),
                kind,
            });
        }
        // Unreadable files are found now, not while the image is written.
        fs::File::open(path).map_err(|source| Error::Read {
            path: path.into(),
            source,
        })?;
        let executable = metadata.permissions().mode() & 0o111 != 0;
        self.entries
            .push(TreeEntry::host_file(guest, path, executable));
        Ok(())
    }

    fn guest_path(&self, path: &Path) -> Result<GuestPath, Error> {
        guest_path(self.root, path)
    }

    /// The target of a link that is relative and leads to something inside the release.
    fn check_symlink(&self, path: &Path) -> Result<PathBuf, Error> {
        let read_error = |source| Error::Read {
            path: path.into(),
            source,
        };
        let target = fs::read_link(path).map_err(read_error)?;
        let escaping = || Error::EscapingSymlink {
            path: path.into(),
            target: target.clone(),
        };
        let directory = path.parent().unwrap_or(self.root);
        if target.is_absolute() || !normalized(&directory.join(&target)).starts_with(self.root) {
            return Err(escaping());
        }
        match path.canonicalize() {
            Ok(real) if real.starts_with(self.root) => Ok(target),
            Ok(_) => Err(escaping()),
            Err(error) => Err(Error::BrokenSymlink {
                path: path.into(),
                target,
                problem: if error.kind() == std::io::ErrorKind::NotFound {
                    "does not exist"
                } else {
                    "leads back to itself"
                },
            }),
        }
    }
}

/// The guest's path of a file in the release.
pub(crate) fn guest_path(root: &Path, path: &Path) -> Result<GuestPath, Error> {
    path.strip_prefix(root)
        .ok()
        .and_then(|below| GuestPath::new(GUEST_ROOT)?.joined(below.as_os_str().as_bytes()))
        .ok_or_else(|| Error::Outside {
            path: path.into(),
            root: root.into(),
        })
}

/// The path with `.` and `..` resolved by their letters.
fn normalized(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

fn special_kind(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_fifo() {
        Some("FIFO")
    } else if kind.is_socket() {
        Some("socket")
    } else {
        Some("device")
    }
}
