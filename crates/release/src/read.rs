//! Reading files of a release, with their names in every error.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::Error;

/// Largest metadata file that is read into memory. The largest real ones (boot scripts of big
/// releases) have less than 1 MiB.
pub(crate) const METADATA_LIMIT: u64 = 16 << 20;

/// Content of a file.
pub(crate) fn file(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read {
        path: path.into(),
        source,
    })
}

/// Bytes of a file.
pub(crate) fn size(path: &Path) -> Result<u64, Error> {
    let metadata = std::fs::metadata(path).map_err(|source| Error::Read {
        path: path.into(),
        source,
    })?;
    Ok(metadata.len())
}

/// Content of a file that is parsed as a whole: refuses one that is absurdly large.
pub(crate) fn metadata_file(path: &Path) -> Result<Vec<u8>, Error> {
    let size = size(path)?;
    if size > METADATA_LIMIT {
        return Err(Error::TooLarge {
            path: path.into(),
            size,
            limit: METADATA_LIMIT,
        });
    }
    file(path)
}

/// Paths of a directory's entries, sorted.
pub(crate) fn directory(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let read_error = |source| Error::Read {
        path: path.into(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path).map_err(read_error)? {
        paths.push(entry.map_err(read_error)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The first bytes of a file, at most `count`.
pub(crate) fn head(path: &Path, count: usize) -> Result<Vec<u8>, Error> {
    let read_error = |source| Error::Read {
        path: path.into(),
        source,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(count as u64).read_to_end(&mut bytes))
        .map_err(read_error)?;
    Ok(bytes)
}
