//! Reading an archive, entry by entry, from anything one can seek in.

use std::io::{Read, Seek, SeekFrom};

use super::{CpioError, FIELDS, Field, HEADER, MAGIC, PAGE, PATH_MAX, TRAILER};

/// Reads entries in their order; file content is skipped until asked for.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// Offset of the next header.
    next: u64,
    /// Size of the input in bytes.
    size: u64,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path as it is in the archive, without its NULs.
    pub path: Vec<u8>,
    /// Inode number.
    pub ino: u32,
    /// Type and permissions.
    pub mode: u32,
    /// Modification time in seconds since 1970.
    pub mtime: u32,
    /// Offset of the data in the archive.
    pub data_offset: u64,
    /// Size of the data in bytes; lies within the archive.
    pub size: u64,
}

impl<R: Read + Seek> Reader<R> {
    /// A reader over the whole input.
    ///
    /// # Errors
    /// The input's size cannot be found.
    pub fn new(mut input: R) -> Result<Self, CpioError> {
        let size = input.seek(SeekFrom::End(0))?;
        Ok(Self {
            input,
            next: 0,
            size,
        })
    }

    /// The next entry, `None` at the trailer.
    ///
    /// # Errors
    /// What is wrong with the archive, and at which offset. Reading on gives the same error.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, CpioError> {
        let at = self.next;
        let mut header = [0; HEADER as usize];
        self.read_at(at, at, &mut header)?;
        let fields = fields(&header, at)?;
        let field = |field: Field| fields[field as usize];
        let path = self.read_path(at, field(Field::NameSize))?;
        if path == TRAILER {
            return Ok(None);
        }
        let name_end = at + HEADER + u64::from(field(Field::NameSize));
        let entry = Entry {
            path,
            ino: field(Field::Ino),
            mode: field(Field::Mode),
            mtime: field(Field::Mtime),
            data_offset: name_end.next_multiple_of(4),
            size: u64::from(field(Field::FileSize)),
        };
        let end = entry.data_offset + entry.size;
        if end > self.size {
            return Err(CpioError::Truncated { at });
        }
        self.next = end.next_multiple_of(4);
        Ok(Some(entry))
    }

    /// The data of an entry of this archive.
    ///
    /// # Errors
    /// The data cannot be read.
    pub fn data(&mut self, entry: &Entry) -> Result<Vec<u8>, CpioError> {
        let mut data = Vec::new();
        self.input.seek(SeekFrom::Start(entry.data_offset))?;
        (&mut self.input).take(entry.size).read_to_end(&mut data)?;
        Ok(data)
    }

    fn read_path(&mut self, at: u64, size: u32) -> Result<Vec<u8>, CpioError> {
        let bad = CpioError::Name {
            at,
            found: u64::from(size),
        };
        if u64::from(size) > PATH_MAX as u64 + PAGE {
            return Err(bad);
        }
        let mut name = vec![0; size as usize];
        self.read_at(at, at + HEADER, &mut name)?;
        let end = name.iter().position(|&byte| byte == 0);
        match end {
            Some(end) if end > 0 && end < PATH_MAX => {
                name.truncate(end);
                Ok(name)
            }
            _ => Err(bad),
        }
    }

    /// Fills `bytes` from `offset`; `at` is the entry to blame.
    fn read_at(&mut self, at: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CpioError> {
        if self.size.saturating_sub(offset) < bytes.len() as u64 {
            return Err(CpioError::Truncated { at });
        }
        self.input.seek(SeekFrom::Start(offset))?;
        Ok(self.input.read_exact(bytes)?)
    }
}

fn fields(header: &[u8; HEADER as usize], at: u64) -> Result<[u32; FIELDS], CpioError> {
    let (magic, digits) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(CpioError::Magic { at });
    }
    let mut values = [0; FIELDS];
    for (value, digits) in values.iter_mut().zip(digits.chunks_exact(8)) {
        *value = number(digits).ok_or(CpioError::Number { at })?;
    }
    Ok(values)
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value: u32, &digit| {
        Some(value << 4 | char::from(digit).to_digit(16)?)
    })
}
