//! A mapping: a range of addresses with one protection and one origin of its pages.

use alloc::sync::Arc;

use bitflags::bitflags;
use machine::mem::PageFlags;
use vfs::File;

bitflags! {
    /// `PROT_*` (asm-generic/mman-common.h).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Protection: u32 {
        /// Pages can be read.
        const READ = 1;
        /// Pages can be written.
        const WRITE = 2;
        /// Pages can be executed.
        const EXEC = 4;
    }
}

impl Protection {
    /// What the page tables should say.
    pub(crate) fn page_flags(self) -> PageFlags {
        PageFlags {
            read: !self.is_empty(),
            write: self.contains(Self::WRITE),
            execute: self.contains(Self::EXEC),
        }
    }
}

/// Where the pages of a mapping come from.
#[derive(Clone)]
pub(crate) enum Backing {
    /// Zeros.
    Anonymous,
    /// A file, from `offset` (of the mapping's first page).
    File {
        /// The file.
        file: Arc<dyn File>,
        /// Offset in bytes, a multiple of the page size.
        offset: u64,
        /// The file was open for writing: a shared mapping may become writable.
        writable: bool,
    },
}

/// One mapping.
#[derive(Clone)]
pub(crate) struct Vma {
    /// First address.
    pub start: u64,
    /// First address behind.
    pub end: u64,
    /// What may be done with the pages.
    pub protection: Protection,
    /// Writes are seen by everyone who maps the same object.
    pub shared: bool,
    /// The mapping grows downwards when the page below it is touched (the main stack).
    pub grows_down: bool,
    /// Origin of the pages.
    pub backing: Backing,
}

impl Vma {
    /// The same mapping, cut to `start..end`.
    pub(crate) fn part(&self, start: u64, end: u64) -> Self {
        let mut part = self.clone();
        if let Backing::File { offset, .. } = &mut part.backing {
            *offset += start - self.start;
        }
        part.start = start;
        part.end = end;
        part
    }

    /// Whether the mapping may get `protection`: a shared one of a file that was opened for reading
    /// only may not become writable (mprotect(2)).
    pub(crate) fn allows(&self, protection: Protection) -> bool {
        let read_only = self.shared
            && matches!(
                self.backing,
                Backing::File {
                    writable: false,
                    ..
                }
            );
        !(read_only && protection.contains(Protection::WRITE))
    }

    /// Whether `next`, which starts where this ends, continues this mapping.
    pub(crate) fn continues_with(&self, next: &Self) -> bool {
        let same_origin = match (&self.backing, &next.backing) {
            (Backing::Anonymous, Backing::Anonymous) => !self.shared,
            (
                Backing::File {
                    file: a,
                    offset: at,
                    writable,
                },
                Backing::File {
                    file: b,
                    offset: next_at,
                    writable: next_writable,
                },
            ) => {
                Arc::ptr_eq(a, b)
                    && at + (self.end - self.start) == *next_at
                    && writable == next_writable
            }
            _ => false,
        };
        same_origin
            && self.end == next.start
            && self.protection == next.protection
            && self.shared == next.shared
            && self.grows_down == next.grows_down
    }
}
