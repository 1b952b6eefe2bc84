//! What was found, for programs.

use super::Subject;
use image::Format;
use inspect::{Entry, Kind, PartSize, printable};
use manifest::Manifest;
use serde::Serialize;
use std::fs;
use std::path::Path;

/// An image or a release.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    subject: &'a Path,
    /// Absent for a release.
    image: Option<ImageReport>,
    /// Whether the manifest was made out from the files, because the image has none.
    inferred: bool,
    manifest: &'a Manifest,
    sizes: &'a [PartSize],
    /// Number of regular files in the root.
    files: usize,
}

#[derive(Debug, Serialize)]
struct ImageReport {
    format: Format,
    /// Whether the file is compressed as a whole.
    packed: bool,
    file_size: u64,
    disk_size: u64,
    partitions: Vec<PartitionReport>,
}

#[derive(Debug, Serialize)]
struct PartitionReport {
    name: String,
    offset: u64,
    size: u64,
}

impl<'a> Report<'a> {
    pub(super) fn new(subject: &'a Subject<'_>) -> Self {
        let inspected = &subject.inspected;
        Self {
            subject: subject.path,
            image: inspected
                .image
                .map(|image| image_report(image, subject.path)),
            inferred: inspected.inferred,
            manifest: &inspected.manifest,
            sizes: &inspected.sizes,
            files: inspected.contents.files().count(),
        }
    }
}

fn image_report(image: &image::DiskImage, path: &Path) -> ImageReport {
    let sector = boot_contract::disk::SECTOR;
    let partitions = image
        .gpt
        .partitions
        .iter()
        .map(|partition| PartitionReport {
            name: printable(&partition.name),
            offset: partition.first * sector,
            size: (partition.last - partition.first + 1) * sector,
        });
    ImageReport {
        format: image.medium().format(),
        packed: image.medium().is_packed(),
        file_size: fs::metadata(path).map_or(0, |metadata| metadata.len()),
        disk_size: image.size(),
        partitions: partitions.collect(),
    }
}

/// An entry of the root.
#[derive(Debug, Serialize)]
pub(super) struct EntryReport {
    path: String,
    kind: &'static str,
    /// Permissions in octal, as chmod(1) takes them.
    mode: String,
    size: u64,
    /// Where a link leads.
    target: Option<String>,
}

pub(super) fn list(entries: &[&Entry]) -> Vec<EntryReport> {
    let report = |entry: &&Entry| EntryReport {
        path: format!("/{}", String::from_utf8_lossy(&entry.path)),
        kind: match entry.kind {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::Symlink(_) => "link",
            Kind::Special(_) => "special",
        },
        mode: format!("{:04o}", entry.mode),
        size: entry.size,
        target: match &entry.kind {
            Kind::Symlink(target) => Some(String::from_utf8_lossy(target).into_owned()),
            _ => None,
        },
    };
    entries.iter().map(report).collect()
}
