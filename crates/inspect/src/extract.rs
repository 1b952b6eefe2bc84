//! Writing files of an image to a folder of the host.
//!
//! The folder is new or empty, and everything is written to a temporary one first. A folder that
//! is there stays the one it is, with its permissions: only what was written moves into it. So it
//! may be the current one, a link to one, or where a disk is mounted. Before all of that, all paths are checked: each leads into the folder, comes once, and lies below directories
//! only. So no link of the image can be followed on the way; links are made last all the same.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::contents::{Contents, Entry, Kind};
use crate::error::Error;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Regular files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Writes the entries that are `wanted` to the folder `target`, which must be new or empty. On
/// failure it stays as it was.
///
/// # Errors
/// The image is not sound, or something cannot be read or written.
pub fn extract(
    contents: &Contents<'_>,
    wanted: &dyn Fn(&Entry) -> bool,
    target: &Path,
) -> Result<Extracted, Error> {
    check(contents.entries())?;
    let fail = |error| Error::write(target, error);
    let is_there = check_target(target)?;
    let around = if is_there { target } else { parent(target) };
    fs::metadata(around).map_err(fail)?;
    let scratch = tempfile::Builder::new()
        .prefix(".unibeam-")
        .tempdir_in(around)
        .map_err(fail)?;
    let root = scratch.path().join("root");
    fs::create_dir(&root).map_err(fail)?;
    let extracted = write_all(contents, wanted, &root, target)?;
    let moved = if is_there {
        move_entries(&root, target)
    } else {
        fs::rename(&root, target)
    };
    moved.map_err(fail)?;
    Ok(extracted)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Moves everything in a folder to another one, or nothing.
fn move_entries(from: &Path, to: &Path) -> io::Result<()> {
    let names = fs::read_dir(from)?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<io::Result<Vec<OsString>>>()?;
    for (count, name) in names.iter().enumerate() {
        if let Err(error) = fs::rename(from.join(name), to.join(name)) {
            for name in &names[..count] {
                fs::rename(to.join(name), from.join(name))?;
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Writes the wanted entries below `root`, links last.
fn write_all(
    contents: &Contents<'_>,
    wanted: &dyn Fn(&Entry) -> bool,
    root: &Path,
    target: &Path,
) -> Result<Extracted, Error> {
    let entries = contents.entries().iter().filter(|entry| wanted(entry));
    let (links, others): (Vec<_>, Vec<_>) =
        entries.partition(|entry| matches!(entry.kind, Kind::Symlink(_)));
    let mut extracted = Extracted::default();
    for entry in others.into_iter().chain(links) {
        write(contents, entry, root, target)?;
        if entry.kind == Kind::File {
            extracted.files += 1;
            extracted.bytes += entry.size;
        }
    }
    Ok(extracted)
}

/// Checks that all entries can be written without leaving the folder.
fn check(entries: &[Entry]) -> Result<(), Error> {
    let mut kinds = BTreeMap::new();
    for entry in entries {
        check_entry(entry)?;
        let is_directory = entry.kind == Kind::Directory;
        if kinds.insert(&*entry.path, is_directory).is_some() {
            return Err(Error::Twice {
                path: entry.path.clone(),
            });
        }
    }
    for path in kinds.keys() {
        if let Some(parent) = parents(path).find(|parent| kinds.get(parent) == Some(&false)) {
            return Err(Error::BelowFile {
                path: path.to_vec(),
                parent: parent.to_vec(),
            });
        }
    }
    Ok(())
}

fn check_entry(entry: &Entry) -> Result<(), Error> {
    let path = entry.path.clone();
    if let Kind::Special(mode) = entry.kind {
        return Err(Error::SpecialFile { path, mode });
    }
    let mut parts = path.split(|&byte| byte == b'/');
    if parts.any(|part| matches!(part, b"" | b"." | b"..")) {
        return Err(Error::UnsafePath { path });
    }
    Ok(())
}

/// The directories that a path lies in.
fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
    slashes.map(|(at, _)| &path[..at])
}

/// Whether the folder is there; then it is empty.
fn check_target(target: &Path) -> Result<bool, Error> {
    let unfit = || Error::TargetNotEmpty {
        path: target.into(),
    };
    match fs::read_dir(target).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(true),
        Ok(false) => Err(unfit()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(unfit()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match target.is_symlink() {
            true => Err(Error::TargetIsDanglingLink {
                path: target.into(),
            }),
            false => Ok(false),
        },
        Err(error) => Err(Error::write(target, error)),
    }
}

fn write(contents: &Contents<'_>, entry: &Entry, root: &Path, target: &Path) -> Result<(), Error> {
    let relative = Path::new(OsStr::from_bytes(&entry.path));
    let path = root.join(relative);
    let fail = |error| Error::write(&target.join(relative), error);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(fail)?;
    }
    match &entry.kind {
        Kind::Directory => fs::create_dir_all(&path).map_err(fail),
        Kind::Symlink(to) => symlink(OsStr::from_bytes(to), &path).map_err(fail),
        Kind::File => write_file(contents, entry, path, &fail),
        Kind::Special(_) => Ok(()),
    }
}

/// Permissions are those of the image, without set-user-ID and its like.
fn write_file(
    contents: &Contents<'_>,
    entry: &Entry,
    path: PathBuf,
    fail: &dyn Fn(io::Error) -> Error,
) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(entry.mode & 0o777);
    let mut out = Output {
        file: options.open(path).map_err(fail)?,
        failure: None,
    };
    contents
        .copy(entry, &mut out)
        .map_err(|error| out.failure.map_or(error, fail))
}

/// A file that remembers why it could not be written, to tell that from an image that cannot be
/// read.
struct Output {
    file: File,
    failure: Option<io::Error>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| {
            let kind = error.kind();
            self.failure = Some(error);
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
