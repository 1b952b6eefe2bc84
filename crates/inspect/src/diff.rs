//! How two images differ.

use std::collections::{BTreeMap, BTreeSet};

use boot_contract::cmdline;
use manifest::{Library, Manifest};
use serde::Serialize;

use crate::contents::{Contents, Entry, Kind};
use crate::disk::{PartitionChange, boot_code_changed, partitions};
use crate::error::Error;
use crate::hash::Hash;
use crate::inspected::Inspected;
use crate::text::printable;

/// What is different in the new image. Paths of files are compared without the versions in names
/// of directories, so that files of an application that was upgraded are not all new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The release's and the run-time system's versions, and the program's that made the image.
    pub versions: Vec<VersionChange>,
    /// Applications that came, went, or have another version.
    pub applications: Vec<VersionChange>,
    /// Libraries that came, went, or are from another version of their package.
    pub libraries: Vec<VersionChange>,
    /// What starts otherwise.
    pub boot: Vec<BootChange>,
    /// Whether the kernel is another one; not known (`null`) unless both are images.
    pub kernel_changed: Option<bool>,
    /// Whether the code that loads it with a BIOS is another one; not known unless both are images.
    pub boot_code_changed: Option<bool>,
    /// Whether the digest is another one; not known unless both have one.
    pub digest_changed: Option<bool>,
    /// The disk and its partitions that came, went, or lie elsewhere.
    pub partitions: Vec<PartitionChange>,
    /// All parts whose size is another one.
    pub sizes: Vec<SizeChange>,
    /// Files that came, went, or have other content or permissions.
    pub files: Vec<FileChange>,
}

/// A thing that has another version; one side is absent if it came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionChange {
    /// What it is.
    pub name: String,
    /// Version in the old image.
    pub old: Option<String>,
    /// Version in the new image.
    pub new: Option<String>,
}

/// A field of the boot configuration that is another one; of the environment, the names that went
/// and those that came. Of the command line, both are the same if it differs in what is not told:
/// in values that may be secret, in quotes or in spaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BootChange {
    /// The field, as in the manifest.
    pub field: &'static str,
    /// Old value.
    pub old: String,
    /// New value.
    pub new: String,
}

/// A file or link that differs; one size is absent if it came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Its path in the new image, or in the old one if it went.
    pub path: String,
    /// Size in the old image.
    pub old_size: Option<u64>,
    /// Size in the new image.
    pub new_size: Option<u64>,
}

/// A part of another size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SizeChange {
    /// What it is.
    pub part: &'static str,
    /// Old size in bytes.
    pub old: u64,
    /// New size in bytes.
    pub new: u64,
}

impl Diff {
    /// Compares two images.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn new(old: &Inspected<'_>, new: &Inspected<'_>) -> Result<Self, Error> {
        let (before, after) = (&old.manifest, &new.manifest);
        Ok(Self {
            versions: changes(versions(before), versions(after)),
            applications: changes(applications(before), applications(after)),
            libraries: changes(libraries(before), libraries(after)),
            boot: boot(old, new),
            files: files(old, new)?,
            kernel_changed: kernel_changed(old, new)?,
            boot_code_changed: boot_code_changed(old, new)?,
            digest_changed: digest_changed(before, after),
            partitions: partitions(old, new),
            sizes: sizes(old, new),
        })
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
            && self.applications.is_empty()
            && self.libraries.is_empty()
            && self.boot.is_empty()
            && self.files.is_empty()
            && self.partitions.is_empty()
            && ![
                self.kernel_changed,
                self.boot_code_changed,
                self.digest_changed,
            ]
            .contains(&Some(true))
    }
}

fn changes(mut old: BTreeMap<String, String>, new: BTreeMap<String, String>) -> Vec<VersionChange> {
    let mut changes = Vec::new();
    for (name, version) in new {
        let before = old.remove(&name);
        if before.as_ref() != Some(&version) {
            changes.push(VersionChange {
                name,
                old: before,
                new: Some(version),
            });
        }
    }
    changes.extend(old.into_iter().map(|(name, version)| VersionChange {
        name,
        old: Some(version),
        new: None,
    }));
    changes.sort_by(|a, b| a.name.cmp(&b.name));
    changes
}

fn versions(manifest: &Manifest) -> BTreeMap<String, String> {
    let versions = [
        (manifest.release.name.as_str(), &manifest.release.version),
        ("ERTS", &manifest.runtime.version),
        ("unibeam", &manifest.unibeam),
    ];
    let known = versions
        .into_iter()
        .filter(|(_, version)| !version.is_empty());
    known
        .map(|(name, version)| (name.into(), version.clone()))
        .collect()
}

fn applications(manifest: &Manifest) -> BTreeMap<String, String> {
    let applications = manifest.applications.iter();
    applications
        .map(|app| (app.name.clone(), app.version.clone()))
        .collect()
}

fn libraries(manifest: &Manifest) -> BTreeMap<String, String> {
    let version = |library: &Library| match &library.package {
        Some(package) => format!("{} {}", package.name, package.version),
        None => "of unknown origin".into(),
    };
    let libraries = manifest.libraries.iter();
    libraries
        .map(|library| (library.path.clone(), version(library)))
        .collect()
}

fn boot(old: &Inspected<'_>, new: &Inspected<'_>) -> Vec<BootChange> {
    let command_line = command_line(old, new);
    let (old, new) = (&old.manifest, &new.manifest);
    let fields = |manifest: &Manifest| {
        let boot = &manifest.boot;
        [
            ("program", boot.program.clone()),
            ("beside", boot.beside.join(" ")),
            ("directory", boot.directory.clone()),
            ("host_name", boot.host_name.clone()),
        ]
    };
    let environment = BootChange {
        field: "environment",
        old: without(&old.boot.environment, &new.boot.environment),
        new: without(&new.boot.environment, &old.boot.environment),
    };
    let pairs = fields(old).into_iter().zip(fields(new));
    let changed = pairs.filter(|((_, old), (_, new))| old != new);
    let changed = changed.map(|((field, old), (_, new))| BootChange { field, old, new });
    command_line
        .into_iter()
        .chain(changed)
        .chain(Some(environment).filter(|change| change.old != change.new))
        .collect()
}

/// Images are compared by the command line that boots them, not by what they say of it.
fn command_line(old: &Inspected<'_>, new: &Inspected<'_>) -> Option<BootChange> {
    let shown = |inspected: &Inspected<'_>| match inspected.image {
        Some(image) => manifest::command_line(cmdline::words(&image.cmdline)),
        None => inspected.manifest.boot.command_line.clone(),
    };
    let change = BootChange {
        field: "command_line",
        old: shown(old),
        new: shown(new),
    };
    let differs = match (old.image, new.image) {
        (Some(old), Some(new)) => old.cmdline != new.cmdline,
        _ => change.old != change.new,
    };
    differs.then_some(change)
}

fn digest_changed(old: &Manifest, new: &Manifest) -> Option<bool> {
    let known = !old.digest.is_empty() && !new.digest.is_empty();
    known.then(|| old.digest != new.digest)
}

/// The names that the others are not among.
fn without(names: &[String], others: &[String]) -> String {
    let own = names.iter().filter(|name| !others.contains(name));
    own.cloned().collect::<Vec<_>>().join(" ")
}

fn sizes(old: &Inspected<'_>, new: &Inspected<'_>) -> Vec<SizeChange> {
    let old: BTreeMap<_, _> = old
        .sizes
        .iter()
        .map(|part| (part.part, part.size))
        .collect();
    let sizes = new.sizes.iter().filter_map(|part| {
        let before = *old.get(part.part)?;
        (before != part.size).then_some(SizeChange {
            part: part.part,
            old: before,
            new: part.size,
        })
    });
    sizes.collect()
}

fn kernel_changed(old: &Inspected<'_>, new: &Inspected<'_>) -> Result<Option<bool>, Error> {
    let (Some(old), Some(new)) = (old.image, new.image) else {
        return Ok(None);
    };
    let (mut before, mut after) = (Hash::default(), Hash::default());
    old.copy(old.kernel, &mut before)?;
    new.copy(new.kernel, &mut after)?;
    Ok(Some(before.finish() != after.finish()))
}

fn files(old: &Inspected<'_>, new: &Inspected<'_>) -> Result<Vec<FileChange>, Error> {
    let (before, after) = (by_name(old), by_name(new));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for name in names {
        let (was, is) = (before.get(name), after.get(name));
        let same = match (was, is) {
            (Some(was), Some(is)) => same(&old.contents, was, &new.contents, is)?,
            _ => false,
        };
        let Some(shown) = is.or(was).filter(|_| !same) else {
            continue;
        };
        changes.push(FileChange {
            path: format!("/{}", printable(&shown.path)),
            old_size: was.map(|entry| entry.size),
            new_size: is.map(|entry| entry.size),
        });
    }
    Ok(changes)
}

/// Files and links by their paths without versions.
fn by_name<'a>(inspected: &'a Inspected<'_>) -> BTreeMap<Vec<u8>, &'a Entry> {
    let versions = versioned(&inspected.manifest);
    let entries = inspected.contents.entries().iter();
    entries
        .filter(|entry| entry.kind != Kind::Directory)
        .map(|entry| (without_version(&entry.path, &versions), entry))
        .collect()
}

/// Directories with a version in their name, and how they are called without.
fn versioned(manifest: &Manifest) -> Vec<(String, String)> {
    let mut found: Vec<_> = manifest
        .applications
        .iter()
        .map(|app| (app.path.clone(), format!("release/lib/{}", app.name)))
        .collect();
    let releases = format!("/release/releases/{}", manifest.release.version);
    found.push((releases, "release/releases".into()));
    found.push((manifest.runtime.path.clone(), "release/erts".into()));
    for (path, _) in &mut found {
        *path = path.trim_start_matches('/').into();
    }
    found.retain(|(path, _)| !path.is_empty());
    found
}

fn without_version(path: &[u8], versioned: &[(String, String)]) -> Vec<u8> {
    let renamed = versioned.iter().find_map(|(directory, name)| {
        let rest = path.strip_prefix(directory.as_bytes())?;
        let below = rest.is_empty() || rest.starts_with(b"/");
        below.then(|| [name.as_bytes(), b"\0", rest].concat())
    });
    renamed.unwrap_or_else(|| path.to_vec())
}

fn same(old: &Contents<'_>, was: &Entry, new: &Contents<'_>, is: &Entry) -> Result<bool, Error> {
    if (&was.kind, was.mode, was.size) != (&is.kind, is.mode, is.size) {
        return Ok(false);
    }
    if was.kind != Kind::File {
        return Ok(true);
    }
    let (mut before, mut after) = (Hash::default(), Hash::default());
    old.copy(was, &mut before)?;
    new.copy(is, &mut after)?;
    Ok(before.finish() == after.finish())
}
