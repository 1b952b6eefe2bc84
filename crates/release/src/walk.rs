//! Directories of the release as entries of the guest's tree.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use crate::read;
use crate::tree::{GuestPath, TreeEntry};
use crate::{Error, GUEST_ROOT};

/// A directory on the host and its place in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// On the host; canonical.
    pub(crate) host: PathBuf,
    /// In the guest.
    pub(crate) guest: GuestPath,
}

impl Mount {
    /// A directory that is `below` the release's root in the guest.
    pub(crate) fn new(host: &Path, below: &str) -> Result<Self, Error> {
        let guest = GuestPath::new(GUEST_ROOT).and_then(|root| root.joined(below));
        Ok(Self {
            host: host.into(),
            guest: guest.ok_or_else(|| Error::OutsideRelease(below.into()))?,
        })
    }

    /// The guest's path of a file in it.
    pub(crate) fn guest_path(&self, path: &Path) -> Result<GuestPath, Error> {
        path.strip_prefix(&self.host)
            .ok()
            .and_then(|below| self.guest.joined(below.as_os_str().as_bytes()))
            .ok_or_else(|| Error::Outside {
                path: path.into(),
                root: self.host.clone(),
            })
    }
}

/// Collects entries.
#[derive(Default)]
pub(crate) struct Walk {
    /// Entries found so far.
    pub(crate) entries: Vec<TreeEntry>,
    /// What cannot be part of an image, and was left out.
    pub(crate) problems: Vec<Unfit>,
}

/// Something that cannot be part of an image.
#[derive(Debug)]
pub struct Unfit {
    /// Where it would be; `None` for a problem of the release as a whole.
    pub path: Option<GuestPath>,
    /// Why it cannot be there.
    pub error: Error,
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Self {
        Self { path: None, error }
    }
}

impl Walk {
    /// Adds a file in a directory, or a directory with everything below it; nothing if it does not
    /// exist.
    pub(crate) fn add(&mut self, mount: &Mount, path: &Path) {
        if let Err(error) = self.try_add(mount, path) {
            let path = mount.guest_path(path).ok();
            self.problems.push(Unfit { path, error });
        }
    }

    fn try_add(&mut self, mount: &Mount, path: &Path) -> Result<(), Error> {
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
        let guest = mount.guest_path(path)?;
        if metadata.is_dir() {
            self.entries.push(TreeEntry::directory(guest));
            for child in read::directory(path)? {
                self.add(mount, &child);
            }
        } else if metadata.is_symlink() {
            let target = check_symlink(&mount.host, path)?;
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
}

/// The target of a link that is relative and leads to something inside the release.
fn check_symlink(root: &Path, path: &Path) -> Result<PathBuf, Error> {
    let read_error = |source| Error::Read {
        path: path.into(),
        source,
    };
    let target = fs::read_link(path).map_err(read_error)?;
    let escaping = || Error::EscapingSymlink {
        path: path.into(),
        target: target.clone(),
    };
    let directory = path.parent().unwrap_or(root);
    if target.is_absolute() || !normalized(&directory.join(&target)).starts_with(root) {
        return Err(escaping());
    }
    match path.canonicalize() {
        Ok(real) if real.starts_with(root) => Ok(target),
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
