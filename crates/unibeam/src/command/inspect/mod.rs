//! `unibeam inspect`: what is in an image or a release.

mod report;
mod show;

use super::guest::not_an_image;
use super::recipe::{self, Recipe};
use crate::cli::{ContentArgs, InspectArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::output;
use image::DiskImage;
use image::cpio::Archive;
use image::osv::{OsvImage, is_osv};
use inspect::{Diff, Entry, Inspected};
use manifest::sbom::Bom;
use std::path::Path;

/// Looks into an image or a release, or compares two.
///
/// # Errors
/// It cannot be read, or the result not be written.
pub(crate) fn run(args: &InspectArgs) -> Result<Exit, Error> {
    match &*args.subjects {
        [old, new] if args.diff => {
            with(old, args, |old| with(new, args, |new| diff(old, new, args)))
        }
        [subject] if !args.diff => with(subject, args, |subject| look(subject, args)),
        _ if args.diff => Err(Error::OneToCompare),
        _ => Err(Error::TwoToShow),
    }?;
    Ok(Exit::Success)
}

/// An opened subject with its path.
struct Subject<'a> {
    path: &'a Path,
    inspected: Inspected<'a>,
}

/// Opens a subject for as long as `then` works on it.
fn with<T>(
    path: &Path,
    args: &InspectArgs,
    then: impl FnOnce(&Subject<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    if !path.is_dir() && matches!(is_osv(path), Ok(true)) {
        let image = OsvImage::open(path).map_err(|source| not_an_image(path, source))?;
        let inspected = Inspected::of_osv(&image)?;
        return then(&Subject { path, inspected });
    }
    if let Some(image) = open(path)? {
        let inspected = Inspected::of_image(&image)?;
        return then(&Subject { path, inspected });
    }
    let recipe = Recipe::new(&ContentArgs::plain(path, &args.places)?)?;
    let archive = Archive::plan(recipe.root(), 0)?;
    let inspected = Inspected::of_plan(&archive, recipe.manifest.clone())?;
    then(&Subject { path, inspected })
}

/// The image, unless it is a release. An archive may be either: Google's images are archives.
fn open(path: &Path) -> Result<Option<DiskImage>, Error> {
    if path.is_dir() || path.extension().is_some_and(|extension| extension == "rel") {
        return Ok(None);
    }
    match DiskImage::open(path) {
        Ok(image) => Ok(Some(image)),
        Err(_) if release::archive::is_archive(path) => Ok(None),
        Err(source) => Err(not_an_image(path, source)),
    }
}

fn look(subject: &Subject<'_>, args: &InspectArgs) -> Result<(), Error> {
    let only = paths(&args.only, &subject.inspected)?;
    let wanted = |entry: &Entry| only.is_empty() || only.iter().any(|path| entry.is_within(path));
    if let Some(folder) = &args.extract {
        let contents = &subject.inspected.contents;
        let extracted = inspect::extract(contents, &wanted, folder)?;
        return output::result(show::extracted(extracted, folder));
    }
    if args.list {
        let entries = subject.inspected.contents.entries().iter();
        let entries: Vec<_> = entries.filter(|entry| wanted(entry)).collect();
        return if args.json {
            output::json(&report::list(&entries))
        } else {
            entries
                .into_iter()
                .try_for_each(|entry| output::result(show::entry(entry)))
        };
    }
    if args.sbom {
        let bom = Bom::new(&subject.inspected.manifest, recipe::source_date_epoch()?);
        return output::result(bom.emit().trim_end());
    }
    if args.json {
        return output::json(&report::Report::new(subject));
    }
    output::result(show::overview(
        subject,
        output::terminal().map(|(_, columns)| columns.into()),
    ))
}

/// The paths that are asked for, as they are in the archive.
fn paths(only: &[String], inspected: &Inspected<'_>) -> Result<Vec<Vec<u8>>, Error> {
    let entries = inspected.contents.entries();
    let found = only.iter().map(|path| {
        let inside = path.trim_matches('/').as_bytes().to_vec();
        if entries.iter().any(|entry| entry.is_within(&inside)) {
            Ok(inside)
        } else {
            Err(inspect::Error::NoSuchPath { path: path.clone() }.into())
        }
    });
    found.collect()
}

fn diff(old: &Subject<'_>, new: &Subject<'_>, args: &InspectArgs) -> Result<(), Error> {
    let diff = Diff::new(&old.inspected, &new.inspected)?;
    if args.json {
        output::json(&diff)
    } else {
        output::result(show::diff(&diff))
    }
}
