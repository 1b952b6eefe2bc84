//! The folder that an archive is unpacked to.
//!
//! It is new and nobody else writes to it, so the file system itself remembers what is there already:
//! memory does not grow with the number of members. Nothing is ever written through a link, because
//! every parent of a member has to be a folder.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use super::error::ArchiveError;

/// Permission bits of folders and programs, and of plain files: only ours.
const MODE_EXECUTABLE: u32 = 0o700;
const MODE_PLAIN: u32 = 0o600;

/// A folder being filled.
pub(super) struct Folder {
    root: PathBuf,
    /// A folder that is known to be there: that of the last member.
    parent: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.into(),
            parent: root.into(),
        }
    }

    /// Makes a folder, unless it is there.
    pub(super) fn directory(&mut self, member: &[u8], path: &Path) -> Result<(), ArchiveError> {
        let path = self.place(member, path)?;
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => Err(duplicate(member)),
            Err(_) => make_directory(&path),
        }
    }

    /// Makes an empty file.
    pub(super) fn file(
        &mut self,
        member: &[u8],
        path: &Path,
        executable: bool,
    ) -> Result<(File, PathBuf), ArchiveError> {
        let path = self.place(member, path)?;
        let mode = if executable {
            MODE_EXECUTABLE
        } else {
            MODE_PLAIN
        };
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(mode).open(&path);
        match file {
            Ok(file) => Ok((file, path)),
            Err(error) => Err(new_error(member, &path, error)),
        }
    }

    /// Makes a symbolic link.
    pub(super) fn symlink(
        &mut self,
        member: &[u8],
        path: &Path,
        target: &[u8],
    ) -> Result<(), ArchiveError> {
        let path = self.place(member, path)?;
        symlink(OsStr::from_bytes(target), &path).map_err(|error| new_error(member, &path, error))
    }

    /// Makes another name of a file that is there, and gives its size.
    pub(super) fn hard_link(
        &mut self,
        member: &[u8],
        path: &Path,
        target: &Path,
    ) -> Result<Option<u64>, ArchiveError> {
        let path = self.place(member, path)?;
        let Some(size) = self.file_size(target) else {
            return Ok(None);
        };
        fs::hard_link(self.root.join(target), &path)
            .map_err(|error| new_error(member, &path, error))?;
        Ok(Some(size))
    }

    /// The size of a file that is reached without a link.
    fn file_size(&self, path: &Path) -> Option<u64> {
        let mut place = self.root.clone();
        let mut metadata = None;
        for part in path.components() {
            place.push(part);
            let found = fs::symlink_metadata(&place).ok()?;
            if found.is_symlink() {
                return None;
            }
            metadata = Some(found);
        }
        let metadata = metadata?;
        metadata.is_file().then_some(metadata.len())
    }

    /// The path on the host, after its parents were made.
    fn place(&mut self, member: &[u8], path: &Path) -> Result<PathBuf, ArchiveError> {
        let place = self.root.join(path);
        let parent = match place.parent() {
            Some(parent) if parent.starts_with(&self.root) => parent,
            _ => return Ok(place),
        };
        if parent != self.parent {
            self.make_parents(member, path)?;
            self.parent = parent.into();
        }
        Ok(place)
    }

    fn make_parents(&self, member: &[u8], path: &Path) -> Result<(), ArchiveError> {
        let mut place = self.root.clone();
        for part in path.parent().into_iter().flat_map(Path::components) {
            place.push(part);
            match fs::symlink_metadata(&place) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => {
                    return Err(ArchiveError::NotAFolder {
                        member: member.into(),
                    });
                }
                Err(_) => make_directory(&place)?,
            }
        }
        Ok(())
    }

    /// Demands that no symbolic link leads out, also not by way of another one; those that lead
    /// nowhere stay.
    pub(super) fn check_links(&self) -> Result<(), ArchiveError> {
        let root = self.root.canonicalize().map_err(write_error(&self.root))?;
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(write_error(&folder))? {
                let entry = entry.map_err(write_error(&folder))?;
                let kind = entry.file_type().map_err(write_error(&folder))?;
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_symlink() {
                    check_link(&root, &entry.path())?;
                }
            }
        }
        Ok(())
    }
}

fn check_link(root: &Path, link: &Path) -> Result<(), ArchiveError> {
    match link.canonicalize() {
        Ok(real) if !real.starts_with(root) => {
            let member = link.strip_prefix(root).unwrap_or(link);
            Err(ArchiveError::LinkOut {
                member: member.as_os_str().as_bytes().into(),
                target: fs::read_link(link)
                    .map(|target| target.as_os_str().as_bytes().into())
                    .unwrap_or_default(),
            })
        }
        _ => Ok(()),
    }
}

fn make_directory(path: &Path) -> Result<(), ArchiveError> {
    let mut builder = DirBuilder::new();
    builder
        .mode(MODE_EXECUTABLE)
        .create(path)
        .map_err(write_error(path))
}

fn duplicate(member: &[u8]) -> ArchiveError {
    ArchiveError::Duplicate {
        member: member.into(),
    }
}

/// Why something new could not be made.
fn new_error(member: &[u8], path: &Path, error: io::Error) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => duplicate(member),
        _ => write_error(path)(error),
    }
}

pub(super) fn write_error(path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.to_path_buf();
    |source| ArchiveError::Write { path, source }
}
