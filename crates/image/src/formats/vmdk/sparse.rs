//! Writing the variant "monolithicSparse".

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::{
    DESCRIPTOR_SECTORS, FLAG_NEWLINES, FLAG_REDUNDANT, GRAIN, GRAIN_SECTORS, SECTOR, TABLE_ENTRIES,
    TABLE_SECTORS, Variant, descriptor, entries, header,
};
use crate::formats::Raw;

/// Where everything is, in sectors.
struct Layout {
    tables: u64,
    directories: [u64; 2],
    first_grain: u64,
}

impl Layout {
    fn new(grains: u64) -> Self {
        let tables = grains.div_ceil(TABLE_ENTRIES);
        let directory = (tables * 4).div_ceil(SECTOR);
        let first = 1 + DESCRIPTOR_SECTORS;
        let second = first + directory + tables * TABLE_SECTORS;
        let end = second + directory + tables * TABLE_SECTORS;
        Self {
            tables,
            directories: [first, second],
            first_grain: end.next_multiple_of(GRAIN_SECTORS),
        }
    }

    /// First sector of a table of one of the two directories.
    fn table(&self, directory: u64, table: u64) -> u64 {
        directory + (self.tables * 4).div_ceil(SECTOR) + table * TABLE_SECTORS
    }
}

/// Writes the disk.
pub(in crate::formats) fn write<R: Read + Seek, W: Write + Seek>(
    raw: &mut Raw<R>,
    digest: &[u8; 32],
    out: &mut W,
) -> io::Result<()> {
    let grains = raw.blocks(GRAIN);
    let layout = Layout::new(grains);
    let sectors = raw.size() / SECTOR;
    let variant = Variant {
        version: 1,
        flags: FLAG_NEWLINES | FLAG_REDUNDANT,
        redundant_directory: layout.directories[0],
        directory: layout.directories[1],
        overhead: layout.first_grain,
        compression: 0,
    };
    out.write_all(&header(sectors, &variant))?;
    out.write_all(&descriptor::emit("monolithicSparse", sectors, digest))?;
    for directory in layout.directories {
        let tables = (0..layout.tables).map(|table| layout.table(directory, table) as u32);
        write_at(out, directory, &entries(tables))?;
    }
    // The tables lie before the grains, also if all are empty.
    write_at(out, layout.first_grain - 1, &[0; SECTOR as usize])?;
    let mut next = layout.first_grain;
    for table in 0..layout.tables {
        let grains = table * TABLE_ENTRIES..grains.min((table + 1) * TABLE_ENTRIES);
        let found = write_grains(raw, grains, &mut next, out)?;
        if found.iter().any(|&entry| entry != 0) {
            let bytes = entries(found);
            for directory in layout.directories {
                write_at(out, layout.table(directory, table), &bytes)?;
            }
        }
    }
    Ok(())
}

/// Writes the grains that are not 0 from sector `next`; gives their table.
fn write_grains<R: Read + Seek, W: Write + Seek>(
    raw: &mut Raw<R>,
    grains: std::ops::Range<u64>,
    next: &mut u64,
    out: &mut W,
) -> io::Result<Vec<u32>> {
    let mut buffer = vec![0; GRAIN as usize];
    let mut table = vec![0; TABLE_ENTRIES as usize];
    out.seek(SeekFrom::Start(*next * SECTOR))?;
    for (entry, grain) in table.iter_mut().zip(grains) {
        if raw.read(grain, &mut buffer)? {
            out.write_all(&buffer)?;
            *entry = *next as u32;
            *next += GRAIN_SECTORS;
        }
    }
    Ok(table)
}

fn write_at<W: Write + Seek>(out: &mut W, sector: u64, bytes: &[u8]) -> io::Result<()> {
    out.seek(SeekFrom::Start(sector * SECTOR))?;
    out.write_all(bytes)
}
