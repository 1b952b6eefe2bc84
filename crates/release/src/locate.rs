//! Finding the release that a path means.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::read;
use crate::rel::RelFile;
use crate::term::{Term, text};

/// A release's place.
pub(crate) struct Located {
    /// Root directory (with `lib` and `releases`).
    pub(crate) root: PathBuf,
    /// The `.rel` file.
    pub(crate) rel_path: PathBuf,
    /// Its content.
    pub(crate) rel: RelFile,
}

/// Finds the release of a `.rel` file or root directory.
pub(crate) fn locate(path: &Path) -> Result<Located, Error> {
    let path = path.canonicalize().map_err(|source| Error::Read {
        path: path.into(),
        source,
    })?;
    if path.is_dir() {
        let rel_path = choose(&path)?;
        let rel = read_rel(&rel_path)?;
        return Ok(Located {
            root: path,
            rel_path,
            rel,
        });
    }
    let root = root_of(&path).ok_or_else(|| not_a_release(&path))?;
    Ok(Located {
        root: root.into(),
        rel: read_rel(&path)?,
        rel_path: path,
    })
}

/// The root directory of the release whose `releases` a file is in.
pub(crate) fn root_of(file: &Path) -> Option<&Path> {
    let mut above = file.ancestors().skip(1);
    above.find(|dir| is_root(dir) && file.starts_with(dir.join("releases")))
}

pub(crate) fn is_root(dir: &Path) -> bool {
    dir.join("releases").is_dir() && dir.join("lib").is_dir()
}

/// Looks for releases where rebar3 and mix build them: `_build/PROFILE/rel/NAME`.
fn not_a_release(path: &Path) -> Error {
    let below = |directory: &PathBuf| read::directory(directory).unwrap_or_default();
    let profiles = below(&path.join("_build"));
    let releases = profiles
        .iter()
        .flat_map(|profile| below(&profile.join("rel")));
    Error::NotARelease {
        path: path.into(),
        built: releases.filter(|release| is_root(release)).collect(),
    }
}

pub(crate) fn read_rel(path: &Path) -> Result<RelFile, Error> {
    let term = read_term(path)?;
    RelFile::from_term(&term).map_err(|error| Error::Rel {
        path: path.into(),
        error,
    })
}

/// The only term of a text file.
pub(crate) fn read_term(path: &Path) -> Result<Term, Error> {
    let bytes = read::metadata_file(path)?;
    text::parse_one(&bytes).map_err(|error| Error::Text {
        path: path.into(),
        error,
    })
}

/// The `.rel` file of the release that a start script would start: the one version that
/// `start_erl.data` or `RELEASES` names, else the only one there is.
fn choose(root: &Path) -> Result<PathBuf, Error> {
    if !is_root(root) {
        return Err(not_a_release(root));
    }
    let mut candidates = rel_files(&root.join("releases"))?;
    for version in [started_version(root), permanent_version(root)?]
        .iter()
        .flatten()
    {
        let of_version = |path: &PathBuf| read_rel(path).is_ok_and(|rel| rel.version == *version);
        let named: Vec<_> = candidates
            .iter()
            .filter(|path| of_version(path))
            .cloned()
            .collect();
        if !named.is_empty() {
            candidates = named;
            break;
        }
    }
    match candidates.as_slice() {
        [] => Err(not_a_release(root)),
        [only] => Ok(only.clone()),
        _ => Err(Error::Ambiguous {
            root: root.into(),
            candidates,
        }),
    }
}

/// `releases/VERSION/NAME.rel`, or `releases/NAME.rel` for a name that has no other; sorted.
fn rel_files(releases: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut outer = Vec::new();
    let mut inner = Vec::new();
    for path in read::directory(releases)? {
        if path.is_dir() {
            let files = read::directory(&path)?;
            inner.extend(files.into_iter().filter(|path| is_rel(path)));
        } else if is_rel(&path) {
            outer.push(path);
        }
    }
    outer.retain(|path| {
        inner
            .iter()
            .all(|other| other.file_name() != path.file_name())
    });
    inner.append(&mut outer);
    Ok(inner)
}

/// The boot scripts without applications have `.rel` files too.
fn is_rel(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    path.extension().is_some_and(|extension| extension == "rel")
        && !matches!(stem, Some("start_clean" | "no_dot_erlang" | "start_sasl"))
}

/// Version in `releases/start_erl.data`: "ERTS-VERSION RELEASE-VERSION".
fn started_version(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join("releases/start_erl.data")).ok()?;
    text.split_whitespace().nth(1).map(Into::into)
}

/// Version of the permanent (else only) release in `releases/RELEASES`.
fn permanent_version(root: &Path) -> Result<Option<String>, Error> {
    let path = root.join("releases/RELEASES");
    if !path.is_file() {
        return Ok(None);
    }
    let term = read_term(&path)?;
    let releases = term.as_list().unwrap_or_default();
    let version = |release: &Term| release.tagged("release")?.get(1)?.to_text();
    let is_permanent = |release: &&Term| {
        let status = release.as_tuple().and_then(<[Term]>::last);
        status.and_then(Term::as_atom) == Some("permanent")
    };
    let permanent = releases.iter().find(is_permanent);
    Ok(match (permanent, releases) {
        (Some(release), _) | (None, [release]) => version(release),
        _ => None,
    })
}
