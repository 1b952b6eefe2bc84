//! What each part of an image weighs.

use image::DiskImage;
use manifest::Manifest;
use serde::Serialize;

use crate::contents::Contents;

/// A part and its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartSize {
    /// What it is.
    pub part: &'static str,
    /// Its size in bytes.
    pub size: u64,
}

/// Where the release lies, without the leading slash.
const RELEASE: &str = "release";

/// The sizes of the parts of an image, largest concerns first. Those of an image that is there sum
/// up to the size of the disk; one that is not yet there has files only.
pub fn sizes(
    manifest: &Manifest,
    contents: &Contents<'_>,
    image: Option<&DiskImage>,
) -> Vec<PartSize> {
    let files = Files::of(manifest, contents);
    let mut parts = vec![
        ("applications", files.applications),
        ("run-time system", files.runtime),
        ("rest of the release", files.release),
        ("libraries", files.libraries),
        ("other files", files.others),
    ];
    if let Some(image) = image {
        let headers = image.root.size.saturating_sub(files.total());
        let manifest = image.manifest.map_or(0, |range| range.size);
        let used = image.root.size + image.kernel.size + manifest;
        parts.extend([
            ("archive's headers and padding", headers),
            ("kernel", image.kernel.size),
            ("manifest", manifest),
            (
                "boot code, tables and free space",
                image.size().saturating_sub(used),
            ),
        ]);
    }
    let part = |(part, size)| PartSize { part, size };
    parts.into_iter().map(part).collect()
}

/// Bytes of files by what they belong to.
#[derive(Default)]
struct Files {
    applications: u64,
    runtime: u64,
    release: u64,
    libraries: u64,
    others: u64,
}

impl Files {
    fn of(manifest: &Manifest, contents: &Contents<'_>) -> Self {
        let inside = |path: &str| path.trim_start_matches('/').as_bytes().to_vec();
        let applications: Vec<_> = manifest
            .applications
            .iter()
            .map(|app| inside(&app.path))
            .collect();
        let runtime = inside(&manifest.runtime.path);
        let libraries: std::collections::BTreeSet<_> = manifest
            .libraries
            .iter()
            .map(|library| inside(&library.path))
            .collect();
        let mut sizes = Self::default();
        for entry in contents.files() {
            let part = if applications.iter().any(|path| entry.is_within(path)) {
                &mut sizes.applications
            } else if !runtime.is_empty() && entry.is_within(&runtime) {
                &mut sizes.runtime
            } else if entry.is_within(RELEASE.as_bytes()) {
                &mut sizes.release
            } else if libraries.contains(&entry.path) {
                &mut sizes.libraries
            } else {
                &mut sizes.others
            };
            *part += entry.size;
        }
        sizes
    }

    fn total(&self) -> u64 {
        self.applications + self.runtime + self.release + self.libraries + self.others
    }
}
