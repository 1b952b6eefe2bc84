//! A file without a name in the output's folder, which gets its name when it is whole.
//!
//! A file that has no name yet leaves nothing behind, however this program ends: `O_TMPFILE`,
//! open(2). File systems that have no such files get a temporary neighbour instead, removed on
//! failure.

use std::fs::File;
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

/// Errors of folders, and not of file systems without unnamed files.
const IS_FINAL: [ErrorKind; 3] = [
    ErrorKind::NotFound,
    ErrorKind::PermissionDenied,
    ErrorKind::ReadOnlyFilesystem,
];

#[derive(Debug)]
pub(crate) enum Temporary {
    /// Linked into the folder at the end.
    Unnamed(File),
    /// Renamed at the end.
    Neighbour(NamedTempFile),
}

impl Temporary {
    /// A new, empty file in the folder where `path` will be.
    pub(crate) fn beside(path: &Path) -> io::Result<Self> {
        let folder = folder(path);
        match unnamed(folder) {
            Ok(file) => Ok(Self::Unnamed(file)),
            // A neighbour would be no better off, and its error would name it.
            Err(error) if IS_FINAL.contains(&error.kind()) => Err(error),
            Err(_) => names().tempfile_in(folder).map(Self::Neighbour),
        }
    }

    /// Gives the file its name, in one step: an old file of this name is replaced.
    pub(crate) fn persist(self, path: &Path) -> io::Result<()> {
        match self {
            // link(2) replaces nothing, so a neighbour's name comes first.
            Self::Unnamed(file) => names()
                .make_in(folder(path), |name| link(&file, name))?
                .persist(path)
                .map(drop)
                .map_err(|failure| failure.error),
            Self::Neighbour(file) => file
                .persist(path)
                .map(drop)
                .map_err(|failure| failure.error),
        }
    }

    pub(crate) fn as_file(&mut self) -> &mut File {
        match self {
            Self::Unnamed(file) => file,
            Self::Neighbour(file) => file.as_file_mut(),
        }
    }
}

impl Write for Temporary {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.as_file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.as_file().flush()
    }
}

impl Seek for Temporary {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.as_file().seek(position)
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn names() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(".unibeam-").suffix(".img");
    // What `File::create` would give: the umask takes its part.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

/// A link to each open file of this process, proc_pid_fd(5).
#[cfg(target_os = "linux")]
const OPEN_FILES: &str = "/proc/self/fd";

#[cfg(target_os = "linux")]
fn unnamed(folder: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    if !Path::new(OPEN_FILES).is_dir() {
        return Err(ErrorKind::Unsupported.into());
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(open(folder, flags, Mode::from_raw_mode(0o666))?.into())
}

/// As open(2) says under `O_TMPFILE`: through `/proc`, which asks for no privilege.
#[cfg(target_os = "linux")]
fn link(file: &File, name: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    use std::os::fd::AsRawFd;
    let open = format!("{OPEN_FILES}/{}", file.as_raw_fd());
    Ok(linkat(CWD, open, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> io::Result<File> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn link(_: &File, _: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::Temporary;
    use std::fs;
    use std::io::Write;

    fn names(folder: &std::path::Path) -> Vec<std::ffi::OsString> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.img");
        fs::write(&path, "old").unwrap();
        let mut file = Temporary::beside(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        file.persist(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["new.img"]);
    }

    /// Whatever a killed program could leave behind would be visible here.
    #[test]
    #[cfg(target_os = "linux")]
    fn an_unfinished_file_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = super::unnamed(folder.path()).unwrap();
        file.write_all(b"half").unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_neighbour_serves_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.img");
        let neighbour = super::names().tempfile_in(folder.path()).unwrap();
        let mut file = Temporary::Neighbour(neighbour);
        file.write_all(b"new").unwrap();
        file.persist(&path).unwrap();
        assert_eq!(names(folder.path()), ["new.img"]);
    }
}
