//! Reading a container as the disk it holds.

use std::io::{self, Read, Seek, SeekFrom};

use super::packing::{Packing, unpack};
use super::{Format, FormatError, qcow2, vhd, vhdx, vmdk};

/// Where a block of the disk is in its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: it is all 0.
    Zero,
    /// At this offset, as it is.
    Bare(u64),
    /// In at most this many bytes at this offset, packed.
    Packed {
        offset: u64,
        size: u64,
        packing: Packing,
    },
}

/// Largest block that is packed, in bytes: the largest cluster of qcow2.
pub(super) const PACKED_MAX: u64 = 2 << 20;

#[derive(Debug)]
enum Map {
    /// The disk's bytes are the container's first ones.
    Bare {
        size: u64,
        footer: bool,
    },
    Qcow2(qcow2::Map),
    Vhdx(vhdx::Map),
    Vmdk(vmdk::Map),
}

/// A disk in a container, as something to read and seek in.
#[derive(Debug)]
pub(crate) struct Container<R> {
    input: R,
    map: Map,
    position: u64,
    /// The last block that was unpacked, and its number.
    unpacked: Option<(u64, Vec<u8>)>,
}

impl<R: Read + Seek> Container<R> {
    /// Finds out what the input is.
    ///
    /// # Errors
    /// It is a container, and damaged or of a kind that is not supported.
    pub(crate) fn open(mut input: R) -> Result<Self, FormatError> {
        Ok(Self {
            map: map(&mut input)?,
            input,
            position: 0,
            unpacked: None,
        })
    }

    /// The format of the disk.
    pub(crate) fn format(&self) -> Format {
        match self.map {
            Map::Bare { footer: false, .. } => Format::Raw,
            Map::Bare { footer: true, .. } => Format::Vhd,
            Map::Qcow2(_) => Format::Qcow2,
            Map::Vhdx(_) => Format::Vhdx,
            Map::Vmdk(_) => Format::Vmdk,
        }
    }

    /// QEMU's name of the format.
    pub(crate) fn qemu_format(&self) -> &'static str {
        match self.map {
            Map::Bare { footer: false, .. } => "raw",
            Map::Bare { footer: true, .. } => "vpc",
            Map::Qcow2(_) => "qcow2",
            Map::Vhdx(_) => "vhdx",
            Map::Vmdk(_) => "vmdk",
        }
    }

    fn size(&self) -> u64 {
        match &self.map {
            Map::Bare { size, .. } => *size,
            Map::Qcow2(map) => map.size(),
            Map::Vhdx(map) => map.size(),
            Map::Vmdk(map) => map.size(),
        }
    }

    fn block_size(&self) -> u64 {
        match &self.map {
            // One block: what is read at a time is the caller's choice.
            Map::Bare { size, .. } => (*size).max(1),
            Map::Qcow2(map) => map.block_size(),
            Map::Vhdx(map) => map.block_size(),
            Map::Vmdk(map) => map.block_size(),
        }
    }

    fn place(&mut self, block: u64) -> Result<Place, FormatError> {
        match &self.map {
            Map::Bare { .. } => Ok(Place::Bare(0)),
            Map::Qcow2(map) => map.place(&mut self.input, block),
            Map::Vhdx(map) => map.place(&mut self.input, block),
            Map::Vmdk(map) => map.place(&mut self.input, block),
        }
    }

    /// Unpacks a block, unless it is the one unpacked last.
    fn unpacked(
        &mut self,
        block: u64,
        (offset, size): (u64, u64),
        packing: Packing,
    ) -> io::Result<&[u8]> {
        let known = self.unpacked.take().filter(|(number, _)| *number == block);
        let bytes = match known {
            Some((_, bytes)) => bytes,
            None => {
                let mut packed = Vec::new();
                self.input.seek(SeekFrom::Start(offset))?;
                (&mut self.input)
                    .take(size.min(2 * PACKED_MAX))
                    .read_to_end(&mut packed)?;
                let mut bytes = vec![0; self.block_size().min(PACKED_MAX) as usize];
                unpack(packing, &packed, &mut bytes)?;
                bytes
            }
        };
        Ok(&self.unpacked.insert((block, bytes)).1)
    }
}

fn map<R: Read + Seek>(input: &mut R) -> Result<Map, FormatError> {
    let mut magic = [0; 8];
    input.seek(SeekFrom::Start(0))?;
    let count = fill(input, &mut magic)?;
    match &magic[..count] {
        bytes if bytes.starts_with(&qcow2::MAGIC) => qcow2::Map::open(input).map(Map::Qcow2),
        bytes if bytes.starts_with(&vmdk::MAGIC) => vmdk::Map::open(input).map(Map::Vmdk),
        bytes if bytes.starts_with(&vhdx::MAGIC) => vhdx::Map::open(input).map(Map::Vhdx),
        _ => bare(input),
    }
}

/// A raw disk, or one with a footer.
fn bare<R: Read + Seek>(input: &mut R) -> Result<Map, FormatError> {
    let end = input.seek(SeekFrom::End(0))?;
    let mut footer = [0; vhd::FOOTER];
    if let Some(at) = end.checked_sub(footer.len() as u64) {
        input.seek(SeekFrom::Start(at))?;
        input.read_exact(&mut footer)?;
    }
    let size = vhd::size(&footer, end)?;
    Ok(Map::Bare {
        size: size.unwrap_or(end),
        footer: size.is_some(),
    })
}

/// Reads until the buffer is full or the input ends; gives the number of bytes.
pub(super) fn fill(input: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match input.read(&mut buffer[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

impl<R: Read + Seek> Read for Container<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let block_size = self.block_size();
        let (block, within) = (self.position / block_size, self.position % block_size);
        let left = self.size().saturating_sub(self.position);
        let count = left.min(block_size - within).min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..count];
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.place(block)? {
            Place::Zero => buffer.fill(0),
            Place::Bare(offset) => {
                self.input
                    .seek(SeekFrom::Start(offset.saturating_add(within)))?;
                self.input.read_exact(buffer)?;
            }
            Place::Packed {
                offset,
                size,
                packing,
            } => {
                let bytes = self.unpacked(block, (offset, size), packing)?;
                buffer.copy_from_slice(&bytes[within as usize..][..count]);
            }
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for Container<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
