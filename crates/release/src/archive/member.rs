//! Members of a tar archive, with the extensions for long names applied, each of which is limited:
//! what comes before a member must not fill the memory.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use tar::{EntryType, Header, PaxExtensions};

use super::error::NameProblem;

/// Longest name of a member: no path can be longer (Linux: `PATH_MAX`, limits.h).
const NAME_LIMIT: usize = 4096;

/// Largest extension before a member. What is in real ones is a name, a few times and sizes;
/// extended attributes, which have at most 64 KiB each, are rare.
pub(super) const EXTENSION_LIMIT: u64 = 1 << 20;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File { executable: bool },
    Symlink,
    HardLink,
}

/// Extensions that describe the next member.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    /// A kind of file that is not taken.
    foreign: Option<&'static str>,
}

impl Extensions {
    /// Takes an entry that describes the next member; `false` if it is a member itself.
    pub(super) fn take(&mut self, kind: EntryType, entry: &mut impl Read) -> io::Result<bool> {
        match kind {
            EntryType::GNULongName => self.name = Some(text(read(entry)?)),
            EntryType::GNULongLink => self.target = Some(text(read(entry)?)),
            EntryType::XHeader => self.pax(&read(entry)?)?,
            // Defaults for all members; archives that git makes have a comment there.
            EntryType::XGlobalHeader => drop(read(entry)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// POSIX.1-2017, pax, "pax Extended Header".
    fn pax(&mut self, bytes: &[u8]) -> io::Result<()> {
        for record in PaxExtensions::new(bytes) {
            let record = record?;
            match record.key_bytes() {
                b"path" => self.name = Some(record.value_bytes().into()),
                b"linkpath" => self.target = Some(record.value_bytes().into()),
                b"size" => self.foreign = Some("a file of more than 8 GiB"),
                key if key.starts_with(b"GNU.sparse.") => self.foreign = Some("a sparse file"),
                _ => {}
            }
        }
        Ok(())
    }

    /// The member's name.
    pub(super) fn name(&mut self, header: &Header) -> Vec<u8> {
        self.name
            .take()
            .unwrap_or_else(|| header.path_bytes().into())
    }

    /// Where a link leads.
    pub(super) fn target(&mut self, header: &Header) -> Vec<u8> {
        let target = self.target.take();
        target.unwrap_or_else(|| {
            let name = header.link_name_bytes();
            name.map(Into::into).unwrap_or_default()
        })
    }

    /// What the member is, or the kind of file that is not taken.
    pub(super) fn kind(&self, header: &Header, name: &[u8]) -> Result<Kind, &'static str> {
        if let Some(foreign) = self.foreign {
            return Err(foreign);
        }
        match header.entry_type() {
            // Archives of the old kind tell folders by their names only (tar(5), "Old-Style").
            EntryType::Regular if name.ends_with(b"/") => Ok(Kind::Directory),
            EntryType::Regular | EntryType::Continuous => Ok(Kind::File {
                executable: header.mode().is_ok_and(|mode| mode & 0o111 != 0),
            }),
            EntryType::Directory => Ok(Kind::Directory),
            EntryType::Symlink => Ok(Kind::Symlink),
            EntryType::Link => Ok(Kind::HardLink),
            EntryType::Char | EntryType::Block => Err("a device"),
            EntryType::Fifo => Err("a FIFO"),
            EntryType::GNUSparse => Err("a sparse file"),
            _ => Err("of an unknown kind"),
        }
    }
}

fn read(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(EXTENSION_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > EXTENSION_LIMIT {
        let text = format!("an extension of more than {EXTENSION_LIMIT} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(bytes)
}

/// Names in extensions of GNU tar end with a zero byte.
fn text(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

/// The path below the release's folder that a name means; empty for the folder itself.
pub(super) fn relative(name: &[u8]) -> Result<PathBuf, NameProblem> {
    if name.is_empty() || name.contains(&0) {
        return Err(NameProblem::Improper);
    }
    if name.len() > NAME_LIMIT {
        return Err(NameProblem::TooLong);
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err(NameProblem::Parent),
            Component::RootDir | Component::Prefix(_) => return Err(NameProblem::Absolute),
        }
    }
    Ok(path)
}

/// Whether the target of a symbolic link at `link` (below the release's folder) stays inside, by its
/// letters.
pub(super) fn stays_inside(link: &Path, target: &[u8]) -> bool {
    if target.is_empty() || target.contains(&0) {
        return false;
    }
    let mut depth = link.components().count().saturating_sub(1);
    for component in Path::new(OsStr::from_bytes(target)).components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}
