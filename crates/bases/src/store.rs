//! Files of bases that are kept under names, in the user's data directory.
//!
//! ```text
//! $XDG_DATA_HOME/unibeam/bases/NAME/file         the copy
//! $XDG_DATA_HOME/unibeam/bases/NAME/base.json    what is known of it
//! ```

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The copy.
const FILE: &str = "file";
/// What is known of it.
const FACTS: &str = "base.json";

/// Where bases are kept.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// What is known of a kept file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its base, such as `osv`.
    pub family: String,
    /// Version of its kernel.
    pub version: String,
    /// What it is, such as `disk`.
    pub kind: String,
    /// SHA-256 of what is used of it, in hexadecimal.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// Where it was copied from.
    pub source: PathBuf,
}

/// Why bases cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no home.
    #[error("neither XDG_DATA_HOME nor HOME is set, so there is no place to keep bases in")]
    NoHome,
    /// A name cannot be one.
    #[error(
        "`{name}` cannot be the name of a base: expected letters, digits, `.`, `_` and `-`, not starting with `.` or `-`"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A name is taken.
    #[error("there is a base `{name}` already; remove it first: unibeam base remove {name}")]
    Taken {
        /// The name.
        name: String,
    },
    /// There is nothing of this name.
    #[error("there is no base `{name}`, and no such file; kept are: {}", if .kept.is_empty() { "none" } else { .kept })]
    Unknown {
        /// The name.
        name: String,
        /// The names that there are.
        kept: String,
    },
    /// What is kept is damaged.
    #[error("{} is damaged; remove the base `{name}` and add it again", path.display())]
    Damaged {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Files cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn fail(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.into();
    |source| StoreError::Io { path, source }
}

impl Store {
    /// The user's (XDG Base Directory Specification 0.8, `XDG_DATA_HOME`).
    ///
    /// # Errors
    /// The user has no home.
    pub fn of_user() -> Result<Self, StoreError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let data = set("XDG_DATA_HOME").map(PathBuf::from);
        let data = data.filter(|path| path.is_absolute());
        let home = || Some(PathBuf::from(set("HOME")?).join(".local/share"));
        let data = data.or_else(home).ok_or(StoreError::NoHome)?;
        Ok(Self::at(&data.join("unibeam/bases")))
    }

    /// One in this folder, which need not exist.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Copies a file, with what is known of it.
    ///
    /// # Errors
    /// The name is taken or none, or the file cannot be copied.
    pub fn add(&self, file: &Path, facts: &Kept) -> Result<(), StoreError> {
        let place = self.place(&facts.name)?;
        if place.exists() {
            let name = facts.name.clone();
            return Err(StoreError::Taken { name });
        }
        fs::create_dir_all(&self.folder).map_err(fail(&self.folder))?;
        // Under another name until all of it is there.
        let draft = self.folder.join(format!(".{}", facts.name));
        let written = write(&draft, file, facts)
            .and_then(|()| fs::rename(&draft, &place).map_err(fail(&place)));
        if written.is_err() {
            // What is left of the attempt; the error that matters is the first.
            let _ = fs::remove_dir_all(&draft);
        }
        written
    }

    /// What is kept, by name.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn list(&self) -> Result<Vec<Kept>, StoreError> {
        let mut kept = Vec::new();
        for name in self.names()? {
            kept.push(self.facts(&name)?);
        }
        Ok(kept)
    }

    /// The file that a name stands for.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, name: &str) -> Result<PathBuf, StoreError> {
        let file = self.place(name).map(|place| place.join(FILE));
        match file {
            Ok(file) if file.is_file() => Ok(file),
            _ => Err(self.unknown(name)),
        }
    }

    /// Forgets a name and removes the copy.
    ///
    /// # Errors
    /// There is none, or it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let place = self.place(name)?;
        if !place.is_dir() {
            return Err(self.unknown(name));
        }
        fs::remove_dir_all(&place).map_err(fail(&place))
    }

    fn unknown(&self, name: &str) -> StoreError {
        StoreError::Unknown {
            name: name.into(),
            kept: self.names().unwrap_or_default().join(", "),
        }
    }

    /// All names, sorted.
    fn names(&self) -> Result<Vec<String>, StoreError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(fail(&self.folder))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| is_name(name)).collect();
        names.sort();
        Ok(names)
    }

    fn facts(&self, name: &str) -> Result<Kept, StoreError> {
        let path = self.place(name)?.join(FACTS);
        let text = fs::read(&path).map_err(fail(&path))?;
        serde_json::from_slice(&text).map_err(|source| StoreError::Damaged {
            name: name.into(),
            path,
            source,
        })
    }

    fn place(&self, name: &str) -> Result<PathBuf, StoreError> {
        match is_name(name) {
            true => Ok(self.folder.join(name)),
            false => Err(StoreError::Name { name: name.into() }),
        }
    }
}

fn write(folder: &Path, file: &Path, facts: &Kept) -> Result<(), StoreError> {
    fs::create_dir_all(folder).map_err(fail(folder))?;
    let copy = folder.join(FILE);
    fs::copy(file, &copy).map_err(fail(file))?;
    let path = folder.join(FACTS);
    let text = serde_json::to_vec_pretty(facts).map_err(io::Error::from);
    text.and_then(|text| fs::write(&path, text))
        .map_err(fail(&path))
}

/// Whether a text can be the name of a folder, and cannot be taken for a flag or a hidden one.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.len() <= 64 && text.chars().all(plain) && !text.starts_with(['.', '-'])
}

/// The name for a file, if the user gives none.
pub fn default_name(file: &Path) -> String {
    let stem = file.file_stem().map(OsStr::to_string_lossy);
    stem.unwrap_or_default().into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Kept, Store, StoreError, default_name};
    use std::fs;
    use std::path::Path;

    fn facts(name: &str) -> Kept {
        Kept {
            name: name.into(),
            family: "osv".into(),
            version: "v0.57.0".into(),
            kind: "disk".into(),
            digest: "0".into(),
            size: 3,
            source: "/x".into(),
        }
    }

    #[test]
    fn what_is_kept_is_found_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("loader.img");
        fs::write(&file, "osv").unwrap();
        let store = Store::at(&folder.path().join("data/bases"));
        assert_eq!(store.list().unwrap(), []);
        store.add(&file, &facts("b")).unwrap();
        store.add(&file, &facts("a")).unwrap();
        assert_eq!(store.list().unwrap(), [facts("a"), facts("b")]);
        assert_eq!(fs::read(store.find("a").unwrap()).unwrap(), b"osv");
        let taken = store.add(&file, &facts("a")).unwrap_err();
        assert!(matches!(taken, StoreError::Taken { .. }));
        store.remove("a").unwrap();
        let unknown = store.find("a").unwrap_err().to_string();
        assert!(unknown.contains("kept are: b"), "{unknown}");
        assert!(store.remove("a").is_err());
    }

    #[test]
    fn a_file_that_cannot_be_copied_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        store.add(Path::new("/nowhere"), &facts("a")).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_are_plain() {
        let store = Store::at(Path::new("/nowhere"));
        for name in ["", "..", "a/b", ".a", "-a", "a b", &"x".repeat(65)] {
            let error = store.remove(name).unwrap_err();
            assert!(matches!(error, StoreError::Name { .. }), "{name}");
        }
        assert_eq!(default_name(Path::new("/a/loader.img")), "loader");
    }
}
