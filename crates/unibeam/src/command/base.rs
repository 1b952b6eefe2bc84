//! `unibeam base`: files of bases, kept under names; and from `--base` to a base.

use crate::cli::{BaseArg, BaseCommand};
use crate::error::Error;
use crate::exit::Exit;
use crate::output;
use bases::osv::{LaunchMode, Osv};
use bases::unibeam::Unibeam;
use bases::{Base, Family, Kept, Store, default_name};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// The base that is named.
///
/// # Errors
/// There is no such file or name, or the file is something else.
pub(super) fn open(arg: &BaseArg) -> Result<Box<dyn Base>, Error> {
    match arg {
        BaseArg::Unibeam => Ok(Box::new(Unibeam)),
        BaseArg::Osv(what) => Ok(Box::new(osv(what)?)),
    }
}

/// OSv in a file, or under a name if there is no such file.
fn osv(what: &Path) -> Result<Osv, Error> {
    Ok(Osv::open(&file(what)?)?)
}

fn file(what: &Path) -> Result<PathBuf, Error> {
    match what.to_str() {
        Some(name) if !what.exists() && !name.contains('/') => Ok(Store::of_user()?.find(name)?),
        _ => Ok(what.into()),
    }
}

/// Does what was asked for.
///
/// # Errors
/// A file or name is not there, or not what it should be.
pub(crate) fn run(command: &BaseCommand) -> Result<Exit, Error> {
    match command {
        BaseCommand::Add { file, name, .. } => add(file, name.as_deref()),
        BaseCommand::List { json } => list(*json),
        BaseCommand::Inspect { base, json } => inspect(base, *json),
        BaseCommand::Remove { name } => {
            Ok(Store::of_user()?.remove(name).map(|()| Exit::Success)?)
        }
    }
}

fn add(file: &Path, name: Option<&str>) -> Result<Exit, Error> {
    let osv = Osv::open(file)?;
    let source = fs::canonicalize(file).unwrap_or_else(|_| file.into());
    let kept = Kept {
        name: name.map_or_else(|| default_name(file), Into::into),
        family: Family::Osv.name().into(),
        version: osv.version(),
        kind: osv.file().kind().name().into(),
        digest: osv.file().digest().into(),
        size: fs::metadata(file).map_or(0, |metadata| metadata.len()),
        source,
    };
    Store::of_user()?.add(file, &kept)?;
    output::result(format!(
        "kept {} {} as {}",
        kept.family, kept.version, kept.name
    ))?;
    output::result(format!(
        "next: unibeam image RELEASE -o my_app.img --base {}:{}",
        kept.family, kept.name
    ))?;
    Ok(Exit::Success)
}

fn list(json: bool) -> Result<Exit, Error> {
    let kept = Store::of_user()?.list()?;
    if json {
        output::json(&kept)?;
        return Ok(Exit::Success);
    }
    if kept.is_empty() {
        output::note("no base is kept; `unibeam base add osv FILE` keeps one");
    }
    for base in kept {
        let Kept {
            name,
            family,
            version,
            kind,
            size,
            digest,
            ..
        } = base;
        let size = output::mib(size);
        let short = digest.get(..12).unwrap_or(&digest);
        output::result(format!(
            "{family}:{name:<16} {version:<28} {kind:<7} {size:>8} {short}"
        ))?;
    }
    Ok(Exit::Success)
}

/// What is known of a base, for programs.
#[derive(Debug, Serialize)]
struct Report {
    family: &'static str,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<OsvReport>,
}

#[derive(Debug, Serialize)]
struct OsvReport {
    path: PathBuf,
    kind: &'static str,
    digest: String,
    kernel_size: usize,
    exports: usize,
    lends_cxx: bool,
    launch_modes: Vec<&'static str>,
}

impl OsvReport {
    fn new(osv: &Osv) -> Self {
        let facts = osv.facts();
        Self {
            path: osv.path().into(),
            kind: osv.file().kind().name(),
            digest: osv.file().digest().into(),
            kernel_size: osv.file().kernel().len(),
            exports: facts.exports.len(),
            lends_cxx: facts.lends_cxx(),
            launch_modes: facts
                .launch_modes()
                .into_iter()
                .map(LaunchMode::name)
                .collect(),
        }
    }
}

fn inspect(base: &BaseArg, json: bool) -> Result<Exit, Error> {
    let report = match base {
        BaseArg::Unibeam => Report {
            family: Unibeam.family().name(),
            version: Unibeam.version(),
            file: None,
        },
        BaseArg::Osv(what) => {
            let osv = osv(what)?;
            Report {
                family: osv.family().name(),
                version: osv.version(),
                file: Some(OsvReport::new(&osv)),
            }
        }
    };
    if json {
        output::json(&report)?;
        return Ok(Exit::Success);
    }
    output::result(format!("{} {}", report.family, report.version))?;
    if let Some(file) = report.file {
        let kernel = output::mib(file.kernel_size as u64);
        let modes = file.launch_modes.join(", ");
        output::result(format!("file: {} ({})", file.path.display(), file.kind))?;
        output::result(format!("digest: {}", file.digest))?;
        output::result(format!(
            "kernel: {kernel}, {} symbols for programs",
            file.exports
        ))?;
        output::result(format!("loads the emulator with: {modes}"))?;
    }
    Ok(Exit::Success)
}
