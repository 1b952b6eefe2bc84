//! `unibeam image`: from a release to a disk image.

use super::recipe::Recipe;
use crate::cli::ImageArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::output;
use crate::signals;
use image::{DiskSpec, Encoding, Plan, Progress};
use serde::Serialize;
use std::path::Path;

/// What was made or planned, for programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    release: &'a str,
    version: &'a str,
    erts: &'a str,
    built_with: &'static str,
    /// The image; absent after a dry run.
    image: Option<&'a Path>,
    /// SHA-256 of the content; absent after a dry run.
    digest: Option<&'a str>,
    #[serde(flatten)]
    encoding: Encoding,
    /// Bytes of the image's file; absent after a dry run.
    file_size: Option<u64>,
    notes: &'a [String],
    libraries: &'a [String],
    left_out: &'a [String],
    plan: &'a Plan,
}

/// Makes or plans an image.
///
/// # Errors
/// The release is not usable, or the image cannot be written.
pub(crate) fn run(args: &ImageArgs) -> Result<Exit, Error> {
    let disk = args.disk.spec(&args.output)?;
    let recipe = Recipe::new(&args.content)?;
    if args.dry_run {
        plan(&recipe, disk, args)?;
    } else {
        write(&recipe, disk, args)?;
    }
    Ok(Exit::Success)
}

fn plan(recipe: &Recipe, disk: DiskSpec, args: &ImageArgs) -> Result<(), Error> {
    let plan = image::plan(&recipe.spec(disk))?;
    if args.report.json {
        return output::json(&report(recipe, disk.encoding, &plan, None));
    }
    notes(recipe, args);
    output::result(plan.to_string().trim_end())?;
    output::result(format!("format: {}", disk.encoding))
}

fn write(recipe: &Recipe, disk: DiskSpec, args: &ImageArgs) -> Result<(), Error> {
    signals::survive_file_size_limit().map_err(Error::Signals)?;
    let bar = output::byte_progress(!args.report.json && !args.report.quiet, "writing");
    let made = image::assemble(
        &recipe.spec(disk),
        &args.output,
        &mut |Progress { done, total }| {
            bar.set_length(total);
            bar.set_position(done);
        },
    )?;
    bar.finish_and_clear();
    if args.report.json {
        return output::json(&report(recipe, disk.encoding, &made.plan, Some(&made)));
    }
    notes(recipe, args);
    if args.report.quiet {
        return Ok(());
    }
    let output = args.output.display();
    let release = &recipe.release;
    output::result(format!(
        "{output}: {} {} on ERTS {}, {}",
        release.name(),
        release.version(),
        release.erts_version(),
        size(&made)
    ))?;
    output::result(format!("next: unibeam run {output}"))
}

/// The disk's size, and the file's if that is another one.
fn size(made: &image::Report) -> String {
    let disk = output::mib(made.plan.size);
    match made.file_size {
        same if same == made.plan.size => disk,
        file => format!("{} (a disk of {disk})", output::mib(file)),
    }
}

fn notes(recipe: &Recipe, args: &ImageArgs) {
    if !args.report.quiet {
        recipe
            .notes
            .iter()
            .for_each(|note| output::note(format!("note: {note}")));
    }
}

fn report<'a>(
    recipe: &'a Recipe,
    encoding: Encoding,
    plan: &'a Plan,
    made: Option<&'a image::Report>,
) -> Report<'a> {
    Report {
        release: recipe.release.name(),
        version: recipe.release.version(),
        erts: recipe.release.erts_version(),
        built_with: recipe.release.flavour().name(),
        image: made.map(|made| made.path.as_path()),
        digest: made.map(|made| made.digest.as_str()),
        encoding,
        file_size: made.map(|made| made.file_size),
        notes: &recipe.notes,
        libraries: &recipe.libraries,
        left_out: &recipe.left_out,
        plan,
    }
}
