//! An Erlang that is installed on this machine, for what a release was built without.

use std::path::{Path, PathBuf};

use crate::{Error, Places, read};

/// Where packages and `make install` put Erlang's root directory (Debian, Fedora; the default of
/// `configure`).
const USUAL: [&str; 3] = [
    "/usr/lib/erlang",
    "/usr/lib64/erlang",
    "/usr/local/lib/erlang",
];

/// A run-time system with its applications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    /// `erts-VERSION`.
    pub(crate) erts: PathBuf,
    /// The directory of its applications, if they are beside it.
    pub(crate) lib: Option<PathBuf>,
}

impl Installed {
    /// What the user names, if anything; see [`find`](Self::find).
    pub(crate) fn named(places: &Places, version: &str) -> Result<Option<Self>, Error> {
        let erts = places.erts.as_deref();
        erts.map(|path| Self::find(path, version)).transpose()
    }

    /// The run-time system of this version that a path means: an installed Erlang's root directory,
    /// or its `erts-VERSION`.
    pub(crate) fn find(path: &Path, version: &str) -> Result<Self, Error> {
        let path = path.canonicalize().map_err(|source| Error::Read {
            path: path.into(),
            source,
        })?;
        let wanted = format!("erts-{version}");
        let found = versions(&path);
        if found.contains(&wanted) {
            return Ok(Self::in_root(&path, &wanted));
        }
        if !found.is_empty() {
            return Err(Error::OtherErts {
                path,
                expected: wanted,
                found,
            });
        }
        match (
            path.file_name().and_then(|name| name.to_str()),
            path.parent(),
        ) {
            (Some(name), Some(root)) if name == wanted => Ok(Self::in_root(root, &wanted)),
            (Some(name), _) if name.starts_with("erts-") && path.join("bin").is_dir() => {
                Err(Error::OtherErts {
                    expected: wanted,
                    found: vec![name.into()],
                    path,
                })
            }
            _ => Err(Error::NotErts { path }),
        }
    }

    fn in_root(root: &Path, erts: &str) -> Self {
        let lib = root.join("lib");
        Self {
            erts: root.join(erts),
            lib: lib.is_dir().then_some(lib),
        }
    }

    /// The directory of an application of this version.
    pub(crate) fn application(&self, name: &str, version: &str) -> Option<PathBuf> {
        let directory = self.lib.as_ref()?.join(format!("{name}-{version}"));
        let directory = directory.canonicalize().ok()?;
        directory.is_dir().then_some(directory)
    }
}

/// Names of a root directory's `erts-VERSION`, sorted.
pub(crate) fn versions(root: &Path) -> Vec<String> {
    let paths = read::directory(root).unwrap_or_default();
    let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
    let versions = names.filter(|name| name.starts_with("erts-"));
    versions.map(Into::into).collect()
}

/// The root directory of an installed Erlang with a run-time system of this version. It is only ever
/// proposed: what goes into an image must not depend on what happens to be installed.
pub(crate) fn proposal(version: &str) -> Option<PathBuf> {
    let wanted = format!("erts-{version}/bin/beam.smp");
    let usual = USUAL.iter().map(PathBuf::from);
    on_path()
        .into_iter()
        .chain(usual)
        .find(|root| root.join(&wanted).is_file())
}

/// The root directory of the `erl` that a shell would start, which is its `bin/erl`.
fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut programs = std::env::split_paths(&path).map(|directory| directory.join("erl"));
    let program = programs.find(|program| program.is_file())?;
    let root = program.canonicalize().ok()?;
    Some(root.parent()?.parent()?.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Installed;
    use crate::Error;

    #[test]
    fn a_root_and_its_erts_mean_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for path in ["erts-13.1.5/bin", "erts-14.0/bin", "lib/kernel-8"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        let found = Installed::find(&root, "13.1.5").unwrap();
        assert_eq!(found.erts, root.join("erts-13.1.5"));
        assert_eq!(
            found.application("kernel", "8"),
            Some(root.join("lib/kernel-8"))
        );
        assert_eq!(found.application("kernel", "9"), None);
        let same = Installed::find(&root.join("erts-13.1.5"), "13.1.5").unwrap();
        assert_eq!(same, found);
        let error = Installed::find(&root, "15.0").unwrap_err();
        assert!(
            matches!(&error, Error::OtherErts { found, .. } if found.len() == 2),
            "{error}"
        );
        let error = Installed::find(&root.join("erts-14.0"), "13.1.5").unwrap_err();
        assert!(error.to_string().contains("erts-14.0"), "{error}");
        let error = Installed::find(&root.join("lib"), "13.1.5").unwrap_err();
        assert!(matches!(error, Error::NotErts { .. }), "{error}");
        let error = Installed::find(&root.join("nothing"), "13.1.5").unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error}");
    }
}
