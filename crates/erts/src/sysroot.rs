//! The system that libraries are taken from, as its own dynamic loader sees it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::Error;

/// Directories that dynamic loaders search by themselves: Debian's multiarch ones, then the
/// plain ones of others (ld.so(8)).
pub(crate) const DEFAULT_DIRECTORIES: [&str; 6] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

/// Longest chain of symbolic links that Linux follows (path_resolution(7)).
const SYMLINK_LIMIT: usize = 40;

/// Deepest nesting of `include` in `ld.so.conf`.
const INCLUDE_LIMIT: usize = 8;

/// A root directory with libraries below it. Symbolic links in it are followed as if it were `/`.
#[derive(Clone, Debug)]
pub struct Sysroot {
    root: PathBuf,
    /// Directories to search, absolute inside the root, in order.
    directories: Vec<PathBuf>,
}

impl Sysroot {
    /// The system below `root` (`/` for the host's own): reads its `/etc/ld.so.conf`.
    ///
    /// # Errors
    /// A configuration file exists and cannot be read.
    pub fn new(root: &Path) -> Result<Self, Error> {
        let root = root.canonicalize().map_err(|source| Error::Read {
            path: root.into(),
            source,
        })?;
        let mut sysroot = Self {
            root,
            directories: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        let mut directories = Vec::new();
        sysroot.read_conf(Path::new("/etc/ld.so.conf"), 0, &mut directories)?;
        directories.extend(DEFAULT_DIRECTORIES.map(PathBuf::from));
        directories.retain(|directory| seen.insert(directory.clone()));
        sysroot.directories = directories;
        Ok(sysroot)
    }

    /// Its root directory on the host.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Directories that are searched, in order, as paths inside the root.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// The regular file on the host that the path inside the root means; `None` if there is none.
    pub fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let mut links = 0;
        let mut resolved = PathBuf::new();
        let mut rest: Vec<OsString> = reversed(path);
        while let Some(part) = rest.pop() {
            if part == ".." {
                resolved.pop();
                continue;
            }
            let next = resolved.join(&part);
            match fs::read_link(self.root.join(&next)) {
                Ok(target) => {
                    links += 1;
                    if links > SYMLINK_LIMIT {
                        return None;
                    }
                    if target.is_absolute() {
                        resolved = PathBuf::new();
                    }
                    rest.extend(reversed(&target));
                }
                Err(_) => resolved = next,
            }
        }
        let host = self.root.join(resolved);
        host.is_file().then_some(host)
    }

    fn read_conf(
        &self,
        path: &Path,
        depth: usize,
        directories: &mut Vec<PathBuf>,
    ) -> Result<(), Error> {
        let Some(host) = self.resolve(path) else {
            return Ok(());
        };
        let text =
            fs::read_to_string(&host).map_err(|source| Error::Read { path: host, source })?;
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line
                .split([' ', '\t', ',', ':'])
                .filter(|word| !word.is_empty());
            match words.next() {
                Some("include") if depth < INCLUDE_LIMIT => {
                    for pattern in words {
                        for file in self.glob(path, pattern) {
                            self.read_conf(&file, depth + 1, directories)?;
                        }
                    }
                }
                Some("hwcap" | "include") | None => {}
                Some(first) => {
                    directories.extend([first].into_iter().chain(words).map(PathBuf::from));
                }
            }
        }
        Ok(())
    }

    /// Files for a pattern whose last component may have one `*`; sorted.
    fn glob(&self, from: &Path, pattern: &str) -> Vec<PathBuf> {
        let pattern = from.parent().unwrap_or(Path::new("/")).join(pattern);
        let (Some(directory), Some(name)) = (pattern.parent(), pattern.file_name()) else {
            return Vec::new();
        };
        let name = name.to_string_lossy();
        let Some((before, after)) = name.split_once('*') else {
            return vec![pattern];
        };
        let mut found = self.list(directory).unwrap_or_default();
        found.retain(|file| {
            file.len() >= before.len() + after.len()
                && file.starts_with(before)
                && file.ends_with(after)
        });
        found.sort();
        found.iter().map(|file| directory.join(file)).collect()
    }

    /// Names of a directory's entries.
    pub(crate) fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let inside = directory.strip_prefix("/").unwrap_or(directory);
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(inside))? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }
}

/// The path's components, last one first, without `/` and `.`.
fn reversed(path: &Path) -> Vec<OsString> {
    let mut parts: Vec<_> = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_DIRECTORIES, Sysroot};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    #[test]
    fn links_stay_inside_and_conf_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for path in ["etc/ld.so.conf.d", "usr/lib", "opt"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        fs::write(
            root.join("etc/ld.so.conf"),
            "include ld.so.conf.d/*.conf\n/opt # x\n",
        )
        .unwrap();
        fs::write(root.join("etc/ld.so.conf.d/b.conf"), "/b\n").unwrap();
        fs::write(
            root.join("etc/ld.so.conf.d/a.conf"),
            "/a, /c\ninclude /etc/ld.so.conf\n",
        )
        .unwrap();
        fs::write(root.join("etc/ld.so.conf.d/a.txt"), "/no\n").unwrap();
        fs::write(root.join("usr/lib/libx.so.1.2"), "").unwrap();
        symlink("/usr/lib", root.join("lib")).unwrap();
        symlink("libx.so.1.2", root.join("usr/lib/libx.so.1")).unwrap();
        symlink(
            "../../../../../../lib/libx.so.1",
            root.join("usr/lib/libup.so"),
        )
        .unwrap();
        symlink("loop", root.join("usr/lib/loop")).unwrap();

        let sysroot = Sysroot::new(root).unwrap();
        let expected: Vec<PathBuf> = ["/a", "/c", "/opt", "/b"]
            .into_iter()
            .chain(DEFAULT_DIRECTORIES)
            .map(Into::into)
            .collect();
        let directories: std::collections::BTreeSet<_> = sysroot.directories().iter().collect();
        assert_eq!(directories, expected.iter().collect());
        assert_eq!(sysroot.directories()[0], Path::new("/a"));
        let real = root.canonicalize().unwrap().join("usr/lib/libx.so.1.2");
        for path in ["/lib/libx.so.1", "/usr/lib/libup.so"] {
            assert_eq!(sysroot.resolve(Path::new(path)), Some(real.clone()));
        }
        assert_eq!(sysroot.resolve(Path::new("/lib/loop")), None);
        assert_eq!(sysroot.resolve(Path::new("/lib")), None);
    }
}
