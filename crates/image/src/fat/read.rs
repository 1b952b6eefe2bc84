//! Finding contiguous files on a volume.

use std::io::{Read, Seek, SeekFrom};

use boot_contract::disk::SECTOR;

use super::{
    ATTRIBUTE_DIRECTORY, ATTRIBUTE_VOLUME_LABEL, BYTES_PER_SECTOR, CLUSTER, CLUSTER_SECTORS,
    DIR_ENTRY, ENTRY_ATTRIBUTES, ENTRY_CLUSTER_HIGH, ENTRY_CLUSTER_LOW, ENTRY_SIZE, FAT_COUNT,
    FAT_SECTORS_16, FAT_SECTORS_32, FIRST_CLUSTER, FatError, FatType, Geometry, RESERVED_SECTORS,
    ROOT_CLUSTER, ROOT_ENTRIES, SECTORS_16, SECTORS_32, SECTORS_PER_CLUSTER, short_name, u16_at,
    u32_at,
};

/// Most clusters of a directory that are looked at: 65536 entries, what FAT allows.
const MAX_DIR_CLUSTERS: usize = 512;

/// A volume inside a larger input.
#[derive(Debug)]
pub struct Volume<R> {
    input: R,
    /// Offset of the volume in the input, in bytes.
    start: u64,
    geometry: Geometry,
    root_cluster: u32,
}

/// Where a file's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Offset in the input, in bytes.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
}

/// What a directory says about a name.
#[derive(Clone, Copy)]
struct Node {
    is_dir: bool,
    cluster: u32,
    size: u64,
}

impl<R: Read + Seek> Volume<R> {
    /// Opens the volume that starts at byte `start` and has at most `sectors` sectors.
    ///
    /// # Errors
    /// There is no volume of the kind the writer makes.
    pub fn open(mut input: R, start: u64, sectors: u64) -> Result<Self, FatError> {
        let mut boot = [0; SECTOR as usize];
        input.seek(SeekFrom::Start(start))?;
        input.read_exact(&mut boot)?;
        let geometry = geometry(&boot, sectors).map_err(|what| FatError::BootSector { what })?;
        let root_cluster = match geometry.fat_type {
            FatType::Fat16 => 0,
            FatType::Fat32 => u32_at(&boot, ROOT_CLUSTER),
        };
        Ok(Self {
            input,
            start,
            geometry,
            root_cluster,
        })
    }

    /// Finds a file and checks that it is contiguous.
    ///
    /// # Errors
    /// It is missing, damaged or in several pieces.
    pub fn find(&mut self, path: &str) -> Result<FoundFile, FatError> {
        let mut node = Node {
            is_dir: true,
            cluster: self.root_cluster,
            size: 0,
        };
        for name in path.split('/') {
            node = self.child(node, name, path)?;
        }
        if node.is_dir {
            return Err(FatError::NotFound { path: path.into() });
        }
        self.check_contiguous(node, path)?;
        let offset = match node.size {
            0 => 0,
            _ => self.geometry.cluster_offset(node.cluster),
        };
        Ok(FoundFile {
            offset: self.start + offset,
            size: node.size,
        })
    }

    fn child(&mut self, dir: Node, name: &str, path: &str) -> Result<Node, FatError> {
        let missing = || FatError::NotFound { path: path.into() };
        let short = short_name(name).ok_or_else(missing)?;
        if !dir.is_dir {
            return Err(missing());
        }
        let bytes = self.directory(dir.cluster, path)?;
        bytes
            .chunks_exact(DIR_ENTRY)
            .take_while(|entry| entry[0] != 0)
            // This bit is also set in the parts of long names.
            .filter(|entry| entry[ENTRY_ATTRIBUTES] & ATTRIBUTE_VOLUME_LABEL == 0)
            .find(|entry| entry.starts_with(&short))
            .map(node_of)
            .ok_or_else(missing)
    }

    fn directory(&mut self, cluster: u32, path: &str) -> Result<Vec<u8>, FatError> {
        let g = self.geometry;
        if cluster == 0 && g.fat_type == FatType::Fat16 {
            return self.bytes(g.root_start() * SECTOR, g.root_sectors * SECTOR);
        }
        let mut bytes = Vec::new();
        let mut next = cluster;
        for _ in 0..MAX_DIR_CLUSTERS {
            self.check_clusters(next, 1, path)?;
            bytes.extend(self.bytes(g.cluster_offset(next), CLUSTER)?);
            next = self.fat_entries(next, 1)?[0];
            if is_end(g.fat_type, next) {
                return Ok(bytes);
            }
        }
        Err(FatError::Chain { path: path.into() })
    }

    fn check_contiguous(&mut self, node: Node, path: &str) -> Result<(), FatError> {
        let count = node.size.div_ceil(CLUSTER) as u32;
        if count == 0 {
            return Ok(());
        }
        self.check_clusters(node.cluster, count, path)?;
        let entries = self.fat_entries(node.cluster, count)?;
        let (last, chain) = entries.split_last().unwrap_or((&0, &[]));
        let mut following = node.cluster + 1..;
        let in_order = chain.iter().all(|&entry| following.next() == Some(entry));
        if in_order && is_end(self.geometry.fat_type, *last) {
            Ok(())
        } else {
            Err(FatError::Chain { path: path.into() })
        }
    }

    /// Checks that `count` clusters from `first` exist.
    fn check_clusters(&self, first: u32, count: u32, path: &str) -> Result<(), FatError> {
        let end = u64::from(first) + u64::from(count);
        if first < FIRST_CLUSTER || end > self.geometry.clusters + u64::from(FIRST_CLUSTER) {
            return Err(FatError::Chain { path: path.into() });
        }
        Ok(())
    }

    fn fat_entries(&mut self, first: u32, count: u32) -> Result<Vec<u32>, FatError> {
        let g = self.geometry;
        let width = g.fat_type.width();
        let offset = g.reserved * SECTOR + u64::from(first) * width;
        let bytes = self.bytes(offset, u64::from(count) * width)?;
        let entry = |bytes: &[u8]| match g.fat_type {
            FatType::Fat16 => u32::from(u16_at(bytes, 0)),
            FatType::Fat32 => u32_at(bytes, 0) & 0x0fff_ffff,
        };
        Ok(bytes.chunks_exact(width as usize).map(entry).collect())
    }

    /// Bytes of the volume; the caller checked the range against the geometry.
    fn bytes(&mut self, offset: u64, size: u64) -> Result<Vec<u8>, FatError> {
        let mut bytes = vec![0; size as usize];
        self.input.seek(SeekFrom::Start(self.start + offset))?;
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn is_end(fat_type: FatType, entry: u32) -> bool {
    entry >= fat_type.end_of_chain() & !7
}

fn node_of(entry: &[u8]) -> Node {
    let high = u32::from(u16_at(entry, ENTRY_CLUSTER_HIGH));
    let low = u32::from(u16_at(entry, ENTRY_CLUSTER_LOW));
    Node {
        is_dir: entry[ENTRY_ATTRIBUTES] & ATTRIBUTE_DIRECTORY != 0,
        cluster: high << 16 | low,
        size: u64::from(u32_at(entry, ENTRY_SIZE)),
    }
}

/// Reads the geometry of a boot sector; it is consistent and within `limit` sectors.
fn geometry(boot: &[u8; SECTOR as usize], limit: u64) -> Result<Geometry, &'static str> {
    let small = |at| u64::from(u16_at(boot, at));
    let either = |small: u64, at| match small {
        0 => u64::from(u32_at(boot, at)),
        small => small,
    };
    let sectors = either(small(SECTORS_16), SECTORS_32);
    let fat_sectors = either(small(FAT_SECTORS_16), FAT_SECTORS_32);
    let root_sectors = (small(ROOT_ENTRIES) * DIR_ENTRY as u64).div_ceil(SECTOR);
    let mut geometry = Geometry {
        fat_type: FatType::Fat16,
        sectors,
        reserved: small(RESERVED_SECTORS),
        fat_sectors,
        root_sectors,
        clusters: 0,
    };
    let data = sectors.checked_sub(geometry.data_start());
    geometry.clusters = data.ok_or("its parts do not fit")? / CLUSTER_SECTORS;
    geometry.fat_type = FatType::of(geometry.clusters).ok_or("it is neither FAT16 nor FAT32")?;
    let fat_bytes = (geometry.clusters + u64::from(FIRST_CLUSTER)) * geometry.fat_type.width();
    let checks = [
        (boot[510..] == [0x55, 0xaa], "no boot sector signature"),
        (
            small(BYTES_PER_SECTOR) == SECTOR,
            "its sectors do not have 512 bytes",
        ),
        (
            u64::from(boot[SECTORS_PER_CLUSTER]) == CLUSTER_SECTORS,
            "its clusters do not have 4096 bytes",
        ),
        (boot[FAT_COUNT] == 2, "it does not have two FATs"),
        (sectors <= limit, "it is larger than its partition"),
        (fat_bytes <= fat_sectors * SECTOR, "its FAT is too small"),
        (
            (geometry.fat_type == FatType::Fat16) == (root_sectors > 0),
            "its root directory does not belong to its type",
        ),
    ];
    match checks.into_iter().find(|(holds, _)| !holds) {
        Some((_, what)) => Err(what),
        None => Ok(geometry),
    }
}
