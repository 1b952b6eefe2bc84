//! Releases in archives: `.tar`, and `.tar.gz` as `rebar3 tar`, `mix release` with `:tar` and
//! `systools:make_tar` make them.
//!
//! [`unpack`] reads an archive once, from its beginning to its end, and needs little memory however
//! large it is. What it makes has the content, the names and the "executable" bits that the release's
//! folder had; everything else (owners, times, other permissions) does not reach an image.
//!
//! An archive may come from anywhere, so nothing is written outside the folder, nothing but files,
//! folders and links that stay inside is made, and [`Limits`] bound what a small archive can grow to.

mod error;
mod folder;
mod member;
mod stream;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry};

pub use error::{ArchiveError, NameProblem};
use folder::{Folder, write_error};
use member::{Extensions, Kind, relative, stays_inside};
use stream::{Stream, Tally};

/// How large the content of an archive may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many members it may have.
    pub members: u64,
    /// How many bytes the unpacked archive may have for each of its own.
    pub ratio: u64,
    /// How many bytes it may have in any case.
    pub floor: u64,
}

impl Default for Limits {
    /// Far above what releases have: those with Elixir and a web framework have some 3,000 files,
    /// and gzip makes a third of a release's size. Deflate itself reaches 1032:1 (zlib, "Technical
    /// Details").
    fn default() -> Self {
        Self {
            members: 200_000,
            ratio: 100,
            floor: 256 << 20,
        }
    }
}

impl Limits {
    fn bytes(&self, size: u64) -> u64 {
        size.saturating_mul(self.ratio).max(self.floor)
    }
}

/// First bytes of gzip's format (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Bytes of a tar header, and of each of the two blocks of zeros at the end (tar(5)).
const BLOCK: usize = 512;
/// Where a header of the POSIX or GNU kind says that it is one (tar(5)).
const MAGIC: std::ops::Range<usize> = 257..262;

/// Whether a path means an archive: by its content, or by its name if the content is none.
pub fn is_archive(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let name = path.file_name().map(|name| name.to_string_lossy());
    let named = name.is_some_and(|name| {
        [".tar", ".tar.gz", ".tgz"]
            .iter()
            .any(|end| name.ends_with(end))
    });
    named || crate::read::head(path, BLOCK).is_ok_and(|head| looks_like_one(&head))
}

fn looks_like_one(head: &[u8]) -> bool {
    head.starts_with(&GZIP) || head.get(MAGIC) == Some(b"ustar")
}

/// Unpacks an archive into a folder, which has to be empty.
///
/// # Errors
/// [`ArchiveError`] says why not; the folder may then hold a part.
pub fn unpack(archive: &Path, folder: &Path, limits: Limits) -> Result<(), crate::Error> {
    let read_error = |source| crate::Error::Read {
        path: archive.into(),
        source,
    };
    let file = File::open(archive).map_err(read_error)?;
    let size = file.metadata().map_err(read_error)?.len();
    unpack_bytes(file, size, folder, limits).map_err(|error| crate::Error::Archive {
        path: archive.into(),
        error: Box::new(error),
    })
}

/// As [`unpack`], for an archive of `size` bytes that is read from anywhere.
///
/// # Errors
/// [`ArchiveError`] says why not.
pub fn unpack_bytes(
    archive: impl Read,
    size: u64,
    folder: &Path,
    limits: Limits,
) -> Result<(), ArchiveError> {
    let mut reader = BufReader::new(archive);
    let compressed = reader.fill_buf().is_ok_and(|head| head.starts_with(&GZIP));
    let bytes: Box<dyn Read> = if compressed {
        Box::new(MultiGzDecoder::new(reader))
    } else {
        Box::new(reader)
    };
    let stream = Stream::new(bytes, limits.bytes(size));
    let mut unpacking = Unpacking {
        tally: stream.tally(),
        folder: Folder::new(folder),
        limits,
        size,
        members: 0,
        last: None,
    };
    let mut archive = Archive::new(stream);
    unpacking.members(&mut archive)?;
    unpacking.end(archive.into_inner())?;
    unpacking.folder.check_links()
}

/// The state between two members.
struct Unpacking {
    tally: Rc<Tally>,
    folder: Folder,
    limits: Limits,
    /// Bytes of the archive.
    size: u64,
    members: u64,
    /// Name of the last member that begins.
    last: Option<Vec<u8>>,
}

impl Unpacking {
    fn members<R: Read>(&mut self, archive: &mut Archive<R>) -> Result<(), ArchiveError> {
        let entries = archive.entries().map_err(|error| self.read_error(error))?;
        let mut extensions = Extensions::default();
        for entry in entries.raw(true) {
            let mut entry = entry.map_err(|error| self.read_error(error))?;
            self.members += 1;
            if self.members > self.limits.members {
                return Err(ArchiveError::Members {
                    limit: self.limits.members,
                });
            }
            let kind = entry.header().entry_type();
            let taken = extensions.take(kind, &mut entry);
            if !taken.map_err(|error| self.read_error(error))? {
                self.member(&mut entry, std::mem::take(&mut extensions))?;
            }
        }
        Ok(())
    }

    fn member<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        mut extensions: Extensions,
    ) -> Result<(), ArchiveError> {
        let name = extensions.name(entry.header());
        let kind = extensions
            .kind(entry.header(), &name)
            .map_err(|kind| ArchiveError::Kind {
                member: name.clone(),
                kind,
            })?;
        let path = relative(&name).and_then(|path| match kind {
            Kind::Directory => Ok(path),
            _ if path.as_os_str().is_empty() => Err(NameProblem::Improper),
            _ => Ok(path),
        });
        let path = path.map_err(|problem| ArchiveError::Name {
            member: name.clone(),
            problem,
        })?;
        let target = extensions.target(entry.header());
        self.last = Some(name.clone());
        match kind {
            Kind::Directory => self.folder.directory(&name, &path),
            Kind::File { executable } => self.file(entry, &name, &path, executable),
            Kind::Symlink if stays_inside(&path, &target) => {
                self.folder.symlink(&name, &path, &target)
            }
            Kind::HardLink => self.hard_link(name, &path, target),
            Kind::Symlink => Err(ArchiveError::LinkOut {
                member: name,
                target,
            }),
        }
    }

    fn file<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        name: &[u8],
        path: &Path,
        executable: bool,
    ) -> Result<(), ArchiveError> {
        let (mut file, path) = self.folder.file(name, path, executable)?;
        let mut left = entry.size();
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            let count = match entry.read(&mut buffer) {
                Ok(0) => return Err(self.truncated()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.read_error(error)),
            };
            file.write_all(&buffer[..count])
                .map_err(write_error(&path))?;
            left = left.saturating_sub(count as u64);
        }
        Ok(())
    }

    fn hard_link(
        &mut self,
        member: Vec<u8>,
        path: &Path,
        target: Vec<u8>,
    ) -> Result<(), ArchiveError> {
        let Ok(inside) = relative(&target) else {
            return Err(ArchiveError::LinkOut { member, target });
        };
        let Some(size) = self.folder.hard_link(&member, path, &inside)? else {
            return Err(ArchiveError::HardLink { member, target });
        };
        // It will be one more file of the image.
        self.tally.charge(size);
        Ok(())
    }

    /// Demands the mark of the end, and that what comes behind it can be read: gzip's checksum does.
    fn end(&self, mut rest: impl Read) -> Result<(), ArchiveError> {
        let marked = self.tally.zeros() >= BLOCK as u64;
        let read = io::copy(&mut rest, &mut io::sink());
        read.map_err(|error| self.read_error(error))?;
        if marked {
            Ok(())
        } else {
            Err(self.truncated())
        }
    }

    fn truncated(&self) -> ArchiveError {
        ArchiveError::Truncated {
            member: self.last.clone(),
        }
    }

    /// Why the archive cannot be read on.
    fn read_error(&self, error: io::Error) -> ArchiveError {
        if self.tally.exceeded() {
            return ArchiveError::TooLarge {
                limit: self.limits.bytes(self.size),
                size: self.size,
            };
        }
        match self.tally.failure() {
            Some(failure) if failure.kind() == io::ErrorKind::UnexpectedEof => self.truncated(),
            Some(failure) => ArchiveError::Damaged(failure),
            None if self.members == 0 => ArchiveError::NotTar,
            None if self.tally.ended() => self.truncated(),
            None => ArchiveError::Damaged(error),
        }
    }
}
