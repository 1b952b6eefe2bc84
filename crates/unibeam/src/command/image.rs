//! `unibeam image`: from a release to a disk image.

use super::outputs;
use super::recipe::{self, Recipe};
use super::sign::Signing;
use crate::cli::ImageArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::output;
use crate::signals;
use crate::signature::place;
use erts::{Saving, Savings};
use image::{DiskSpec, Encoding, Plan, Progress, WholeFile};
use manifest::Manifest;
use manifest::sbom::Bom;
use serde::Serialize;

/// What was made or planned, for programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    release: &'a str,
    version: &'a str,
    erts: &'a str,
    built_with: &'static str,
    /// The image; absent after a dry run.
    image: Option<String>,
    /// SHA-256 of the content; absent after a dry run.
    digest: Option<&'a str>,
    #[serde(flatten)]
    encoding: Encoding,
    /// Bytes of the image's file; absent after a dry run.
    file_size: Option<u64>,
    notes: &'a [String],
    libraries: &'a [String],
    left_out: &'a [String],
    trimmed: Vec<SavingReport>,
    plan: &'a Plan,
}

/// What a rule left out.
#[derive(Debug, Serialize)]
struct SavingReport {
    rule: &'static str,
    what: &'static str,
    files: usize,
    /// Bytes saved.
    saved: i64,
}

/// Makes or plans an image.
///
/// # Errors
/// The release is not usable, or the image cannot be written.
pub(crate) fn run(args: &ImageArgs) -> Result<Exit, Error> {
    let disk = args.disk.spec(&args.output)?;
    outputs::check(args)?;
    let recipe = Recipe::new(&args.content)?;
    let beside = Beside::new(args)?;
    if args.dry_run {
        plan(&recipe, disk, args)?;
    } else {
        write(&recipe, disk, args, beside)?;
    }
    Ok(Exit::Success)
}

/// What is written beside the image. That it can be is known before the image is made.
struct Beside {
    signing: Option<Signing>,
    sbom: Option<WholeFile>,
}

impl Beside {
    fn new(args: &ImageArgs) -> Result<Self, Error> {
        Ok(Self {
            signing: Signing::new(&args.sign, &args.output)?,
            sbom: args.sbom.as_deref().map(WholeFile::create).transpose()?,
        })
    }

    fn finish(self, recipe: &Recipe, made: &image::Report) -> Result<(), Error> {
        let time = recipe::source_date_epoch()?;
        if let Some(file) = self.sbom {
            let manifest = Manifest {
                digest: made.digest.clone(),
                ..recipe.manifest.clone()
            };
            file.finish(Bom::new(&manifest, time).emit().as_bytes())?;
        }
        match self.signing {
            Some(signing) => signing.finish(&made.path, &made.digest, time),
            None => Ok(()),
        }
    }
}

fn plan(recipe: &Recipe, disk: DiskSpec, args: &ImageArgs) -> Result<(), Error> {
    let plan = recipe.plan(disk)?;
    if args.report.json {
        return output::json(&report(recipe, disk.encoding, &plan, None));
    }
    notes(recipe, args);
    output::result(plan.to_string().trim_end())?;
    output::result(format!("format: {}", disk.encoding))?;
    savings(recipe)
}

/// A table of what was left out; nothing if nothing was.
fn savings(recipe: &Recipe) -> Result<(), Error> {
    let row = |name: &str, files: String, bytes: String| {
        output::result(format!("{name:<32} {files:>12} {bytes:>12}"))
    };
    if recipe.savings.iter().next().is_some() {
        row("left out by rule", "files".into(), "bytes".into())?;
    }
    for Saving { rule, files, bytes } in recipe.savings.iter() {
        row(rule.name, files.to_string(), bytes.to_string())?;
    }
    Ok(())
}

fn write(recipe: &Recipe, disk: DiskSpec, args: &ImageArgs, beside: Beside) -> Result<(), Error> {
    signals::survive_file_size_limit().map_err(Error::Signals)?;
    let bar = output::byte_progress(!args.report.json && !args.report.quiet, "writing");
    let made = recipe.assemble(disk, &args.output, &mut |Progress { done, total }| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    beside.finish(recipe, &made)?;
    if args.report.json {
        return output::json(&report(recipe, disk.encoding, &made.plan, Some(&made)));
    }
    if args.report.quiet {
        return Ok(());
    }
    notes(recipe, args);
    stale_signature(args);
    summary(recipe, args, &made)
}

/// A signature of an earlier image of this name is not one of the new image.
fn stale_signature(args: &ImageArgs) {
    let signature = place(&args.output);
    if args.sign.sign.is_none() && signature.exists() {
        let signature = signature.display();
        output::note(format!(
            "note: {signature} is the signature of an earlier image; sign this one with --sign, or remove it"
        ));
    }
}

fn summary(recipe: &Recipe, args: &ImageArgs, made: &image::Report) -> Result<(), Error> {
    let output = args.output.display();
    let release = &recipe.release;
    output::result(format!(
        "{output}: {} {} on ERTS {}, {}",
        release.name(),
        release.version(),
        release.erts_version(),
        size(made)
    ))?;
    if let Some(line) = savings_line(&recipe.savings) {
        output::result(line)?;
    }
    output::result(format!("next: unibeam run {output}"))
}

/// What was left out, in a line; nothing if nothing was.
fn savings_line(savings: &Savings) -> Option<String> {
    let names = savings.iter().map(|saving| saving.rule.name);
    let names = names.collect::<Vec<_>>().join(", ");
    let saved = output::mib(savings.bytes().unsigned_abs());
    match savings.bytes() {
        _ if names.is_empty() => None,
        0.. => Some(format!("left out: {saved} ({names})")),
        _ => Some(format!("added: {saved} ({names})")),
    }
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

fn saving_report(saving: &Saving) -> SavingReport {
    SavingReport {
        rule: saving.rule.name,
        what: saving.rule.what,
        files: saving.files,
        saved: saving.bytes,
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
        image: made.map(|made| made.path.display().to_string()),
        digest: made.map(|made| made.digest.as_str()),
        encoding,
        file_size: made.map(|made| made.file_size),
        notes: &recipe.notes,
        libraries: &recipe.libraries,
        left_out: &recipe.left_out,
        trimmed: recipe.savings.iter().map(saving_report).collect(),
        plan,
    }
}
