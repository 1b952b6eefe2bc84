//! `unibeam image`: from a release to a disk image.

use super::recipe::Recipe;
use crate::cli::ImageArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::output;
use crate::signals;
use image::{Plan, Progress};
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
    let recipe = Recipe::new(&args.content)?;
    if args.dry_run {
        plan(&recipe, args)?;
    } else {
        write(&recipe, args)?;
    }
    Ok(Exit::Success)
}

fn plan(recipe: &Recipe, args: &ImageArgs) -> Result<(), Error> {
    let plan = image::plan(&recipe.spec())?;
    if args.report.json {
        return output::json(&report(recipe, &plan, None));
    }
    notes(recipe, args);
    output::result(plan.to_string().trim_end())
}

fn write(recipe: &Recipe, args: &ImageArgs) -> Result<(), Error> {
    signals::survive_file_size_limit().map_err(Error::Signals)?;
    let bar = output::byte_progress(!args.report.json && !args.report.quiet, "writing");
    let made = image::assemble(
        &recipe.spec(),
        &args.output,
        &mut |Progress { done, total }| {
            bar.set_length(total);
            bar.set_position(done);
        },
    )?;
    bar.finish_and_clear();
    if args.report.json {
        return output::json(&report(
            recipe,
            &made.plan,
            Some((&made.path, &made.digest)),
        ));
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
        output::mib(made.plan.size)
    ))?;
    output::result(format!("next: unibeam run {output}"))
}

fn notes(recipe: &Recipe, args: &ImageArgs) {
    if !args.report.quiet {
        recipe
            .notes
            .iter()
            .for_each(|note| output::note(format!("note: {note}")));
    }
}

fn report<'a>(recipe: &'a Recipe, plan: &'a Plan, made: Option<(&'a Path, &'a str)>) -> Report<'a> {
    Report {
        release: recipe.release.name(),
        version: recipe.release.version(),
        erts: recipe.release.erts_version(),
        built_with: recipe.release.flavour().name(),
        image: made.map(|(path, _)| path),
        digest: made.map(|(_, digest)| digest),
        notes: &recipe.notes,
        libraries: &recipe.libraries,
        left_out: &recipe.left_out,
        plan,
    }
}
