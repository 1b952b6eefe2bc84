//! Files that `unibeam image` writes: none of them over another, or over what it reads.

use crate::cli::ImageArgs;
use crate::error::Error;
use crate::signature::place;
use std::path::{Path, PathBuf};

/// # Errors
/// A file would be written over another one that is named, or into the release.
pub(super) fn check(args: &ImageArgs) -> Result<(), Error> {
    let signature = args.sign.sign.as_ref().map(|_| place(&args.output));
    let outputs = [Some(&args.output), args.sbom.as_ref(), signature.as_ref()];
    let outputs: Vec<&PathBuf> = outputs.into_iter().flatten().collect();
    for (index, path) in outputs.iter().enumerate() {
        let inputs = inputs(args);
        let mut others = outputs[..index].iter().copied().chain(inputs);
        if let Some(other) = others.find(|other| real(other) == real(path)) {
            return Err(Error::SameFile {
                path: path.to_path_buf(),
                other: other.clone(),
            });
        }
        outside_of_release(path, &args.content.release)?;
    }
    Ok(())
}

/// Files that are read, as far as they are named.
fn inputs(args: &ImageArgs) -> impl Iterator<Item = &PathBuf> {
    let named = [
        Some(&args.content.release),
        args.sign.sign.as_ref(),
        args.sign.key_password_file.as_ref(),
        args.config.config.as_ref(),
    ];
    let added = args.content.add.iter().map(|added| &added.host);
    named.into_iter().flatten().chain(added)
}

fn outside_of_release(path: &Path, release: &Path) -> Result<(), Error> {
    if release.is_dir() && real(path).starts_with(real(release)) {
        return Err(Error::InRelease {
            path: path.into(),
            release: release.into(),
        });
    }
    Ok(())
}

/// The path without links, as far as it is there: an output's last part need not be.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.into(),
    }
}
