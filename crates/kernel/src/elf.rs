//! ELF files as far as loading needs them (elf(5)).

use alloc::vec::Vec;

use linux_abi::Errno;
use vfs::{File, VecSink};

use crate::memory::Protection;

/// Bytes of a program header.
pub(crate) const PROGRAM_HEADER_SIZE: usize = 56;
const HEADER_SIZE: usize = 64;
/// Most program headers that are accepted (Linux: one page of them).
const MAX_SEGMENTS: usize = 4096 / PROGRAM_HEADER_SIZE;
/// Longest interpreter path (`PATH_MAX`).
const MAX_INTERPRETER: u64 = 4096;

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_PHDR: u32 = 6;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;

/// What a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentKind {
    /// Part of the program's memory.
    Load,
    /// The path of the interpreter.
    Interpreter,
    /// The program headers themselves.
    Headers,
    /// Anything else.
    Other,
}

/// One program header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// What it is for.
    pub kind: SegmentKind,
    /// Offset in the file.
    pub offset: u64,
    /// Address, relative to the bias if position-independent.
    pub address: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// Access to the pages.
    pub protection: Protection,
}

/// The headers of an ELF file.
#[derive(Debug)]
pub(crate) struct ElfFile {
    /// Can be loaded anywhere (`ET_DYN`).
    pub position_independent: bool,
    /// Address of the first instruction.
    pub entry: u64,
    /// The program headers.
    pub segments: Vec<Segment>,
    /// Path of the interpreter (the dynamic linker).
    pub interpreter: Option<Vec<u8>>,
    headers_offset: u64,
}

impl ElfFile {
    /// Reads the headers.
    ///
    /// # Errors
    /// `ENOEXEC` for anything that is not an x86-64 ELF program.
    pub(crate) fn read(file: &dyn File) -> Result<Self, Errno> {
        let header = read(file, 0, HEADER_SIZE)?;
        let kind = u16_at(&header, 16);
        let valid = header.starts_with(b"\x7fELF\x02\x01")
            && matches!(kind, ET_EXEC | ET_DYN)
            && u16_at(&header, 18) == EM_X86_64
            && usize::from(u16_at(&header, 54)) == PROGRAM_HEADER_SIZE;
        let count = usize::from(u16_at(&header, 56));
        if !valid || count == 0 || count > MAX_SEGMENTS {
            return Err(Errno::ENOEXEC);
        }
        let headers_offset = u64_at(&header, 32);
        let table = read(file, headers_offset, count * PROGRAM_HEADER_SIZE)?;
        let segments: Vec<Segment> = table.chunks(PROGRAM_HEADER_SIZE).map(segment).collect();
        if segments
            .iter()
            .any(|s| s.kind == SegmentKind::Load && s.file_size > s.memory_size)
        {
            return Err(Errno::ENOEXEC);
        }
        let interpreter = segments
            .iter()
            .find(|segment| segment.kind == SegmentKind::Interpreter)
            .map(|segment| interpreter(file, segment))
            .transpose()?;
        Ok(Self {
            position_independent: kind == ET_DYN,
            entry: u64_at(&header, 24),
            segments,
            interpreter,
            headers_offset,
        })
    }

    /// First address behind all segments.
    pub(crate) fn end(&self) -> u64 {
        let loaded = self
            .segments
            .iter()
            .filter(|segment| segment.kind == SegmentKind::Load);
        loaded
            .map(|s| s.address.saturating_add(s.memory_size))
            .max()
            .unwrap_or(0)
    }

    /// Address of the program headers (`AT_PHDR`).
    pub(crate) fn program_headers_address(&self) -> u64 {
        let own = self
            .segments
            .iter()
            .find(|segment| segment.kind == SegmentKind::Headers);
        let holds = |s: &&Segment| {
            s.kind == SegmentKind::Load
                && s.offset <= self.headers_offset
                && self.headers_offset - s.offset < s.file_size
        };
        own.map(|segment| segment.address)
            .or_else(|| {
                let segment = self.segments.iter().find(holds)?;
                Some(segment.address + (self.headers_offset - segment.offset))
            })
            .unwrap_or(0)
    }
}

fn segment(header: &[u8]) -> Segment {
    let kind = match u32_at(header, 0) {
        PT_LOAD => SegmentKind::Load,
        PT_INTERP => SegmentKind::Interpreter,
        PT_PHDR => SegmentKind::Headers,
        _ => SegmentKind::Other,
    };
    // ELF has the bits the other way round: 1 execute, 2 write, 4 read.
    let flags = u32_at(header, 4);
    let mut protection = Protection::empty();
    protection.set(Protection::EXEC, flags & 1 != 0);
    protection.set(Protection::WRITE, flags & 2 != 0);
    protection.set(Protection::READ, flags & 4 != 0);
    Segment {
        kind,
        offset: u64_at(header, 8),
        address: u64_at(header, 16),
        file_size: u64_at(header, 32),
        memory_size: u64_at(header, 40),
        protection,
    }
}

fn interpreter(file: &dyn File, segment: &Segment) -> Result<Vec<u8>, Errno> {
    if segment.file_size < 2 || segment.file_size > MAX_INTERPRETER {
        return Err(Errno::ENOEXEC);
    }
    let mut path = read(file, segment.offset, segment.file_size as usize)?;
    if path.pop() != Some(0) {
        return Err(Errno::ENOEXEC);
    }
    Ok(path)
}

/// Exactly `size` bytes of a file.
fn read(file: &dyn File, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
    let mut sink = VecSink::new(size);
    file.read_at(offset, &mut sink)?;
    let bytes = sink.into_bytes();
    if bytes.len() == size {
        Ok(bytes)
    } else {
        Err(Errno::ENOEXEC)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
