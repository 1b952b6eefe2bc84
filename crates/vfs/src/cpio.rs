//! Reads a cpio archive of format "newc" (`070701`) in place: the root file system.
//!
//! ```text
//! entry:  110 bytes of header   magic "070701", then 13 fields of 8 hexadecimal digits
//!         name                  NUL-terminated, may be padded with more NULs
//!         0-3 bytes             up to a multiple of 4
//!         content
//!         0-3 bytes             up to a multiple of 4
//! ```
//! The entry named `TRAILER!!!` ends the archive. Format: cpio(5).

use thiserror::Error;

const MAGIC: &[u8] = b"070701";
const FIELD_DIGITS: usize = 8;
const FIELDS: usize = 13;
const HEADER_BYTES: usize = MAGIC.len() + FIELDS * FIELD_DIGITS;
const ALIGNMENT: usize = 4;
const TRAILER: &[u8] = b"TRAILER!!!";

/// Why bytes are not an archive.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CpioError {
    /// The archive ends before its trailer.
    #[error(
        "root archive ends at byte {length} inside the entry at byte {entry}: it was cut off; copy it again"
    )]
    Truncated {
        /// Where the unfinished entry starts.
        entry: usize,
        /// Length of the archive in bytes.
        length: usize,
    },
    /// An entry does not start with the magic number.
    #[error(
        "root archive has no cpio entry at byte {entry}: expected magic 070701; write it with `cpio -o -H newc`"
    )]
    BadMagic {
        /// Where the entry should start.
        entry: usize,
    },
    /// A header field is not a hexadecimal number.
    #[error(
        "root archive entry at byte {entry}: header field {field} is not 8 hexadecimal digits; the archive is damaged"
    )]
    BadNumber {
        /// Where the entry starts.
        entry: usize,
        /// Index of the field, from 0.
        field: usize,
    },
    /// An entry's name is empty or not NUL-terminated.
    #[error(
        "root archive entry at byte {entry}: its name is empty or not NUL-terminated; the archive is damaged"
    )]
    BadName {
        /// Where the entry starts.
        entry: usize,
    },
}

/// One file of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpioEntry<'a> {
    /// Inode number within `device`: equal numbers with `links > 1` are one file.
    pub inode: u32,
    /// `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of hard links.
    pub links: u32,
    /// Time of the last change, seconds since the epoch.
    pub mtime: u32,
    /// Major and minor number of the device the file was on.
    pub device: (u32, u32),
    /// Major and minor number of a device node.
    pub rdev: (u32, u32),
    /// Path, as written.
    pub name: &'a [u8],
    /// Content of a file, target of a symbolic link.
    pub content: &'a [u8],
}

/// The entries of `archive` up to its trailer; nothing follows an error.
pub fn cpio_entries(archive: &[u8]) -> CpioEntries<'_> {
    CpioEntries {
        archive,
        position: 0,
        ended: false,
    }
}

/// Iterator over the entries of an archive.
#[derive(Clone, Debug)]
pub struct CpioEntries<'a> {
    archive: &'a [u8],
    position: usize,
    ended: bool,
}

impl<'a> Iterator for CpioEntries<'a> {
    type Item = Result<CpioEntry<'a>, CpioError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.read_entry();
        self.ended = !matches!(&entry, Ok(entry) if entry.name != TRAILER);
        match entry {
            Ok(entry) if entry.name == TRAILER => None,
            entry => Some(entry),
        }
    }
}

impl<'a> CpioEntries<'a> {
    fn read_entry(&mut self) -> Result<CpioEntry<'a>, CpioError> {
        let start = self.position;
        let header = self.take(start, HEADER_BYTES)?;
        let fields = parse_header(header, start)?;
        let [
            inode,
            mode,
            uid,
            gid,
            links,
            mtime,
            size,
            major,
            minor,
            rmajor,
            rminor,
            name_size,
            _,
        ] = fields;
        let name = self.take(start, name_size as usize)?;
        self.align(start)?;
        let content = self.take(start, size as usize)?;
        // The padding after the last entry may be missing.
        let aligned = self.position.next_multiple_of(ALIGNMENT);
        self.position = aligned.min(self.archive.len());
        Ok(CpioEntry {
            inode,
            mode,
            uid,
            gid,
            links,
            mtime,
            device: (major, minor),
            rdev: (rmajor, rminor),
            name: until_nul(name).ok_or(CpioError::BadName { entry: start })?,
            content,
        })
    }

    fn take(&mut self, entry: usize, count: usize) -> Result<&'a [u8], CpioError> {
        let truncated = CpioError::Truncated {
            entry,
            length: self.archive.len(),
        };
        let end = self.position.checked_add(count).ok_or(truncated.clone())?;
        let bytes = self.archive.get(self.position..end).ok_or(truncated)?;
        self.position = end;
        Ok(bytes)
    }

    fn align(&mut self, entry: usize) -> Result<(), CpioError> {
        let padding = self.position.next_multiple_of(ALIGNMENT) - self.position;
        self.take(entry, padding).map(|_| ())
    }
}

fn parse_header(header: &[u8], entry: usize) -> Result<[u32; FIELDS], CpioError> {
    let digits = header
        .strip_prefix(MAGIC)
        .ok_or(CpioError::BadMagic { entry })?;
    let mut fields = [0; FIELDS];
    for (field, text) in digits.chunks_exact(FIELD_DIGITS).enumerate() {
        fields[field] = parse_hex(text).ok_or(CpioError::BadNumber { entry, field })?;
    }
    Ok(fields)
}

fn parse_hex(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |number, digit| {
        Some(number << 4 | char::from(*digit).to_digit(16)?)
    })
}

fn until_nul(padded: &[u8]) -> Option<&[u8]> {
    let end = padded.iter().position(|byte| *byte == 0)?;
    (end > 0).then(|| &padded[..end])
}
