//! What goes where in the guest's root file system.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::Error;

/// Permission bits of a directory and of an executable file.
pub const MODE_EXECUTABLE: u32 = 0o755;
/// Permission bits of a plain file.
pub const MODE_PLAIN: u32 = 0o644;
/// Permission bits shown for a symbolic link (Linux always reports these).
pub const MODE_SYMLINK: u32 = 0o777;

/// An absolute path inside the guest, as bytes: file names need not be text.
///
/// Always starts with `/`, has no empty, `.` or `..` component and no trailing `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPath(Vec<u8>);

impl GuestPath {
    /// The guest path that `path` means, with `.` and `..` resolved lexically.
    ///
    /// Returns `None` if `path` is not absolute or leads above `/`.
    pub fn new(path: impl AsRef<[u8]>) -> Option<Self> {
        let path = path.as_ref();
        path.starts_with(b"/")
            .then(|| Self(Vec::new()))
            .and_then(|root| root.joined(path))
    }

    /// The path below this one, or beside it if `relative` has `..` components; `None` if it
    /// leads above `/`.
    pub fn joined(&self, relative: impl AsRef<[u8]>) -> Option<Self> {
        let mut bytes = self.0.clone();
        for part in relative.as_ref().split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => bytes.truncate(bytes.iter().rposition(|&byte| byte == b'/')?),
                name => {
                    bytes.push(b'/');
                    bytes.extend_from_slice(name);
                }
            }
        }
        Some(Self(bytes))
    }

    /// The directory that holds this path (`/` for itself).
    #[must_use]
    pub fn parent(&self) -> Self {
        let end = self.0.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        Self(self.0[..end].to_vec())
    }

    /// Last component, empty for `/`.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|&byte| byte == b'/').next().unwrap_or(&[])
    }

    /// The path's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        if self.0.is_empty() { b"/" } else { &self.0 }
    }

    /// Whether this path is `ancestor` or lies below it.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        self.0
            .strip_prefix(ancestor.0.as_slice())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

/// Where the content of an entry comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A regular file on the host.
    HostFile(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
    /// A symbolic link with this target.
    Symlink(Vec<u8>),
    /// A directory.
    Directory,
}

/// One file, directory or symbolic link of the guest's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Where it is in the guest.
    pub path: GuestPath,
    /// What it is.
    pub source: Source,
    /// Permission bits, without the file type.
    pub mode: u32,
}

impl TreeEntry {
    /// A directory.
    pub fn directory(path: GuestPath) -> Self {
        Self {
            path,
            source: Source::Directory,
            mode: MODE_EXECUTABLE,
        }
    }

    /// A file with the content of a file on the host.
    pub fn host_file(path: GuestPath, host: &Path, executable: bool) -> Self {
        let mode = if executable {
            MODE_EXECUTABLE
        } else {
            MODE_PLAIN
        };
        Self {
            path,
            source: Source::HostFile(host.to_path_buf()),
            mode,
        }
    }

    /// A plain file with the given content.
    pub fn bytes(path: GuestPath, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path,
            source: Source::Bytes(content.into()),
            mode: MODE_PLAIN,
        }
    }

    /// A symbolic link.
    pub fn symlink(path: GuestPath, target: impl AsRef<Path>) -> Self {
        Self {
            path,
            source: Source::Symlink(target.as_ref().as_os_str().as_bytes().to_vec()),
            mode: MODE_SYMLINK,
        }
    }

    /// The first bytes of a regular file, at most `count`; none of other entries.
    ///
    /// # Errors
    /// [`Error::Read`] names the file.
    pub fn head(&self, count: usize) -> Result<Vec<u8>, Error> {
        match &self.source {
            Source::Bytes(bytes) => Ok(bytes.iter().copied().take(count).collect()),
            Source::HostFile(path) => crate::read::head(path, count),
            Source::Symlink(_) | Source::Directory => Ok(Vec::new()),
        }
    }

    /// Bytes of a regular file; none of other entries.
    ///
    /// # Errors
    /// [`Error::Read`] names the file.
    pub fn size(&self) -> Result<u64, Error> {
        match &self.source {
            Source::Bytes(bytes) => Ok(bytes.len() as u64),
            Source::HostFile(path) => crate::read::size(path),
            Source::Symlink(_) | Source::Directory => Ok(0),
        }
    }

    /// Content of a regular file, read from the host if need be; `None` for other entries.
    ///
    /// # Errors
    /// [`Error::Read`] names the file.
    pub fn content(&self) -> Result<Option<Vec<u8>>, Error> {
        match &self.source {
            Source::Bytes(bytes) => Ok(Some(bytes.clone())),
            Source::HostFile(path) => crate::read::file(path).map(Some),
            Source::Symlink(_) | Source::Directory => Ok(None),
        }
    }
}

/// Sorts entries by path; of several for one path the last wins. Missing parent directories are
/// added, so that every entry's parent comes before it.
pub fn merge(entries: impl IntoIterator<Item = TreeEntry>) -> Vec<TreeEntry> {
    let mut tree = BTreeMap::new();
    for entry in entries {
        tree.insert(entry.path.clone(), entry);
    }
    let mut parents = BTreeMap::new();
    for path in tree.keys() {
        let mut parent = path.parent();
        while parent.as_bytes() != b"/" && !tree.contains_key(&parent) {
            parents.insert(parent.clone(), TreeEntry::directory(parent.clone()));
            parent = parent.parent();
        }
    }
    tree.extend(parents);
    tree.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::{GuestPath, Source, TreeEntry, merge};

    fn path(text: &str) -> GuestPath {
        GuestPath::new(text).unwrap()
    }

    #[test]
    fn paths_are_normal() {
        assert_eq!(path("/a//b/./c/").as_bytes(), b"/a/b/c");
        assert_eq!(path("/a/b/../c").as_bytes(), b"/a/c");
        assert_eq!(path("/").as_bytes(), b"/");
        assert_eq!(GuestPath::new("/a/../.."), None);
        assert_eq!(GuestPath::new("a"), None);
        assert_eq!(path("/a").joined("../b"), Some(path("/b")));
        assert_eq!(path("/a").parent(), path("/"));
        assert_eq!(path("/a/b").file_name(), b"b");
        assert!(path("/a/b").is_within(&path("/a")));
        assert!(path("/a").is_within(&path("/")));
        assert!(!path("/ab").is_within(&path("/a")));
    }

    #[test]
    fn merge_sorts_adds_parents_and_lets_the_last_win() {
        let entries = merge([
            TreeEntry::bytes(path("/b/c/d"), "1"),
            TreeEntry::bytes(path("/a"), "2"),
            TreeEntry::bytes(path("/b/c/d"), "3"),
        ]);
        let paths: Vec<_> = entries.iter().map(|e| e.path.to_string()).collect();
        assert_eq!(paths, ["/a", "/b", "/b/c", "/b/c/d"]);
        assert_eq!(entries[3].source, Source::Bytes(b"3".to_vec()));
    }
}
