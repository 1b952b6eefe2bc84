//! Laying out a fresh volume and writing everything but the files' content.

use boot_contract::disk::SECTOR;

use super::{
    ATTRIBUTE_ARCHIVE, ATTRIBUTE_DIRECTORY, ATTRIBUTE_LONG_NAME, ATTRIBUTE_VOLUME_LABEL,
    BACKUP_SECTOR, BYTES_PER_SECTOR, CLUSTER, CLUSTER_SECTORS, DIR_ENTRY, ENTRY_ACCESS_DATE,
    ENTRY_ATTRIBUTES, ENTRY_CLUSTER_HIGH, ENTRY_CLUSTER_LOW, ENTRY_CREATION_DATE, ENTRY_SIZE,
    ENTRY_WRITE_DATE, EXTENDED_16, EXTENDED_32, FAT_COUNT, FAT_SECTORS_16, FAT_SECTORS_32,
    FAT16_ROOT_ENTRIES, FIRST_CLUSTER, FS_INFO_SECTOR, FatError, FatType, Geometry, HEADS,
    HIDDEN_SECTORS, MEDIA, RESERVED_SECTORS, ROOT_CLUSTER, ROOT_ENTRIES, SECTORS_16, SECTORS_32,
    SECTORS_PER_CLUSTER, TRACK_SECTORS, needs_long_name, put, short_name,
};

/// Name of the volume, padded to 11 bytes.
const LABEL: &[u8; 11] = b"UNIBEAM    ";
/// Every date is 1980-01-01, the first that FAT knows.
const DATE: [u8; 2] = 0x0021_u16.to_le_bytes();
/// Free clusters left for people who change a file with mtools.
const SLACK_CLUSTERS: u64 = 256;
/// Largest file in bytes: whole clusters below 4 GiB. Checkers add up the chain in 32 bits.
const FILE_MAX: u64 = (1 << 32) - CLUSTER;
/// A cluster count this close to a limit between types is avoided, as the specification advises.
const TYPE_MARGIN: u64 = 16;

/// A planned volume.
#[derive(Clone, Debug)]
pub struct Volume {
    geometry: Geometry,
    directories: Vec<Directory>,
    files: Vec<PlannedFile>,
    used: u32,
}

/// One file and where its content goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFile {
    /// Path on the volume.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Offset of the content in the volume, a multiple of [`CLUSTER`].
    pub offset: u64,
    cluster: u32,
}

#[derive(Clone, Debug)]
struct Directory {
    /// Path without a slash at its ends; the root is empty.
    path: String,
    cluster: u32,
}

impl Volume {
    /// Plans a volume of `sectors` sectors that holds `files`, given as (path, size).
    ///
    /// # Errors
    /// [`FatError::TooLarge`] if the files do not fit or no volume can have this size;
    /// [`FatError::FileTooLarge`] if one does not fit any volume.
    pub fn plan(sectors: u64, files: &[(&str, u64)]) -> Result<Self, FatError> {
        let too_large = FatError::TooLarge {
            needed: files.iter().map(|(_, size)| size).sum(),
        };
        let Some(geometry) = geometry(sectors) else {
            return Err(too_large);
        };
        let mut volume = Self {
            geometry,
            directories: Vec::new(),
            files: Vec::new(),
            used: 0,
        };
        for path in directories_of(files) {
            volume.add_directory(path);
        }
        for &(path, size) in files {
            volume.add_file(path, size)?;
        }
        if u64::from(volume.used) + SLACK_CLUSTERS > geometry.clusters {
            return Err(too_large);
        }
        Ok(volume)
    }

    /// The files, in the order given.
    pub fn files(&self) -> &[PlannedFile] {
        &self.files
    }

    /// FAT16 or FAT32.
    pub fn fat_type(&self) -> FatType {
        self.geometry.fat_type
    }

    fn add_directory(&mut self, path: String) {
        // The root of FAT16 is no cluster; everything refers to it as 0.
        let is_fixed = path.is_empty() && self.geometry.fat_type == FatType::Fat16;
        let cluster = if is_fixed { 0 } else { self.take(1) };
        self.directories.push(Directory { path, cluster });
    }

    fn add_file(&mut self, path: &str, size: u64) -> Result<(), FatError> {
        let clusters = size.div_ceil(CLUSTER);
        if size > FILE_MAX {
            return Err(FatError::FileTooLarge {
                path: path.into(),
                size,
            });
        }
        let cluster = self.take(clusters as u32);
        self.files.push(PlannedFile {
            path: path.into(),
            size,
            offset: self.geometry.cluster_offset(cluster),
            cluster,
        });
        Ok(())
    }

    fn take(&mut self, clusters: u32) -> u32 {
        let first = FIRST_CLUSTER + self.used;
        self.used += clusters;
        first
    }

    /// Everything but the files' content, as (offset in the volume, bytes). `start` is the
    /// partition's first sector, `serial` the volume's serial number.
    ///
    /// # Errors
    /// A name that is not possible, or too many in one directory.
    pub fn emit(&self, start: u64, serial: u32) -> Result<Vec<(u64, Vec<u8>)>, FatError> {
        let g = &self.geometry;
        let boot = self.boot_sector(start, serial);
        let fat = self.fat();
        let mut parts = vec![(0, boot.clone())];
        if g.fat_type == FatType::Fat32 {
            let info = self.fs_info();
            parts.push((SECTOR, info.clone()));
            parts.push((6 * SECTOR, boot));
            parts.push((7 * SECTOR, info));
        }
        parts.push((g.reserved * SECTOR, fat.clone()));
        parts.push(((g.reserved + g.fat_sectors) * SECTOR, fat));
        for directory in &self.directories {
            let offset = match directory.cluster {
                0 => g.root_start() * SECTOR,
                cluster => g.cluster_offset(cluster),
            };
            parts.push((offset, self.directory(directory)?));
        }
        Ok(parts)
    }

    fn boot_sector(&self, start: u64, serial: u32) -> Vec<u8> {
        let g = &self.geometry;
        let mut bytes = vec![0; SECTOR as usize];
        // Not bootable: `jmp short $`, and the name MS-DOS readers like best.
        put(&mut bytes, 0, b"\xeb\xfe\x90MSWIN4.1");
        put(&mut bytes, BYTES_PER_SECTOR, &(SECTOR as u16).to_le_bytes());
        bytes[SECTORS_PER_CLUSTER] = CLUSTER_SECTORS as u8;
        put(
            &mut bytes,
            RESERVED_SECTORS,
            &(g.reserved as u16).to_le_bytes(),
        );
        bytes[FAT_COUNT] = 2;
        bytes[MEDIA] = 0xf8;
        put(&mut bytes, TRACK_SECTORS, &63u16.to_le_bytes());
        put(&mut bytes, HEADS, &255u16.to_le_bytes());
        put(&mut bytes, HIDDEN_SECTORS, &(start as u32).to_le_bytes());
        match u16::try_from(g.sectors) {
            Ok(sectors) => put(&mut bytes, SECTORS_16, &sectors.to_le_bytes()),
            Err(_) => put(&mut bytes, SECTORS_32, &(g.sectors as u32).to_le_bytes()),
        }
        match g.fat_type {
            FatType::Fat16 => self.fat16_fields(&mut bytes, serial),
            FatType::Fat32 => self.fat32_fields(&mut bytes, serial),
        }
        put(&mut bytes, 510, &[0x55, 0xaa]);
        bytes
    }

    fn fat16_fields(&self, bytes: &mut [u8], serial: u32) {
        let g = &self.geometry;
        put(
            bytes,
            ROOT_ENTRIES,
            &(FAT16_ROOT_ENTRIES as u16).to_le_bytes(),
        );
        put(bytes, FAT_SECTORS_16, &(g.fat_sectors as u16).to_le_bytes());
        extended(&mut bytes[EXTENDED_16..], serial, b"FAT16   ");
    }

    fn fat32_fields(&self, bytes: &mut [u8], serial: u32) {
        put(
            bytes,
            FAT_SECTORS_32,
            &(self.geometry.fat_sectors as u32).to_le_bytes(),
        );
        put(bytes, ROOT_CLUSTER, &FIRST_CLUSTER.to_le_bytes());
        put(bytes, FS_INFO_SECTOR, &1u16.to_le_bytes());
        put(bytes, BACKUP_SECTOR, &6u16.to_le_bytes());
        extended(&mut bytes[EXTENDED_32..], serial, b"FAT32   ");
    }

    fn fs_info(&self) -> Vec<u8> {
        let mut bytes = vec![0; SECTOR as usize];
        let free = self.geometry.clusters as u32 - self.used;
        put(&mut bytes, 0, b"RRaA");
        put(&mut bytes, 484, b"rrAa");
        put(&mut bytes, 488, &free.to_le_bytes());
        put(&mut bytes, 492, &(FIRST_CLUSTER + self.used).to_le_bytes());
        put(&mut bytes, 510, &[0x55, 0xaa]);
        bytes
    }

    fn fat(&self) -> Vec<u8> {
        let end = self.geometry.fat_type.end_of_chain();
        // Entry 0 repeats the media byte, entry 1 says "clean".
        let mut entries = vec![end & !0xff | 0xf8, end];
        let directories = self.directories.iter().filter(|d| d.cluster != 0);
        entries.extend(directories.map(|_| end));
        for file in &self.files {
            let clusters = file.size.div_ceil(CLUSTER) as u32;
            let last = (file.cluster + clusters).saturating_sub(1);
            entries.extend((file.cluster..last).map(|cluster| cluster + 1));
            entries.extend((clusters > 0).then_some(end));
        }
        let width = self.geometry.fat_type.width() as usize;
        let mut bytes = vec![0; (self.geometry.fat_sectors * SECTOR) as usize];
        for (slot, entry) in bytes.chunks_exact_mut(width).zip(entries) {
            slot.copy_from_slice(&entry.to_le_bytes()[..width]);
        }
        bytes
    }

    fn directory(&self, directory: &Directory) -> Result<Vec<u8>, FatError> {
        let mut bytes = Vec::new();
        if directory.path.is_empty() {
            bytes.extend(dir_entry(*LABEL, ATTRIBUTE_VOLUME_LABEL, 0, 0));
        } else {
            let parent = self.reference(split(&directory.path).0);
            bytes.extend(dir_entry(
                *b".          ",
                ATTRIBUTE_DIRECTORY,
                directory.cluster,
                0,
            ));
            bytes.extend(dir_entry(*b"..         ", ATTRIBUTE_DIRECTORY, parent, 0));
        }
        let here = |path: &&str| !path.is_empty() && split(path).0 == directory.path;
        for child in self.directories.iter().filter(|d| here(&d.path.as_str())) {
            bytes.extend(named(&child.path, ATTRIBUTE_DIRECTORY, child.cluster, 0)?);
        }
        for file in self.files.iter().filter(|f| here(&f.path.as_str())) {
            let cluster = if file.size == 0 { 0 } else { file.cluster };
            bytes.extend(named(
                &file.path,
                ATTRIBUTE_ARCHIVE,
                cluster,
                file.size as u32,
            )?);
        }
        if bytes.len() > CLUSTER as usize {
            return Err(FatError::DirectoryFull {
                path: directory.path.clone(),
            });
        }
        bytes.resize(CLUSTER as usize, 0);
        Ok(bytes)
    }

    /// How a `..` entry names a directory: the root is always 0.
    fn reference(&self, path: &str) -> u32 {
        let found = self.directories.iter().find(|d| d.path == path);
        found
            .filter(|d| !d.path.is_empty())
            .map_or(0, |d| d.cluster)
    }
}

/// The geometry of a volume with this many sectors, if one is legal.
fn geometry(sectors: u64) -> Option<Geometry> {
    [FatType::Fat16, FatType::Fat32]
        .into_iter()
        .find_map(|fat_type| {
            let (reserved, root_sectors) = match fat_type {
                FatType::Fat16 => (1, FAT16_ROOT_ENTRIES * DIR_ENTRY as u64 / SECTOR),
                FatType::Fat32 => (32, 0),
            };
            let most = sectors.checked_sub(reserved + root_sectors)? / CLUSTER_SECTORS;
            let fat_sectors =
                ((most + u64::from(FIRST_CLUSTER)) * fat_type.width()).div_ceil(SECTOR);
            let data_start =
                (reserved + 2 * fat_sectors + root_sectors).next_multiple_of(CLUSTER_SECTORS);
            let clusters = sectors.checked_sub(data_start)? / CLUSTER_SECTORS;
            let is_clear = |count| FatType::of(count) == Some(fat_type);
            let legal =
                is_clear(clusters.saturating_sub(TYPE_MARGIN)) && is_clear(clusters + TYPE_MARGIN);
            legal.then_some(Geometry {
                fat_type,
                sectors,
                reserved: data_start - root_sectors - 2 * fat_sectors,
                fat_sectors,
                root_sectors,
                clusters,
            })
        })
}

/// The root and every directory above a file, parents first.
fn directories_of(files: &[(&str, u64)]) -> Vec<String> {
    let mut directories = vec![String::new()];
    for (path, _) in files {
        for (end, _) in path.match_indices('/') {
            if !directories.iter().any(|d| d == &path[..end]) {
                directories.push(path[..end].into());
            }
        }
    }
    directories
}

/// A path as (directory, name).
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The extended boot record: drive, flags, signature, serial, label, type.
fn extended(bytes: &mut [u8], serial: u32, fat_type: &[u8; 8]) {
    put(bytes, 0, &[0x80, 0, 0x29]);
    put(bytes, 3, &serial.to_le_bytes());
    put(bytes, 7, LABEL);
    put(bytes, 18, fat_type);
}

/// The entries of one file or directory: long name if it needs one, then the short.
fn named(path: &str, attributes: u8, cluster: u32, size: u32) -> Result<Vec<u8>, FatError> {
    let name = split(path).1;
    let short = short_name(name).ok_or(FatError::Name { path: path.into() })?;
    let mut entries = Vec::new();
    if needs_long_name(name) {
        entries.extend(long_name(name, &short));
    }
    entries.extend(dir_entry(short, attributes, cluster, size));
    Ok(entries)
}

fn dir_entry(name: [u8; 11], attributes: u8, cluster: u32, size: u32) -> [u8; DIR_ENTRY] {
    let mut entry = [0; DIR_ENTRY];
    put(&mut entry, 0, &name);
    entry[ENTRY_ATTRIBUTES] = attributes;
    for date in [ENTRY_CREATION_DATE, ENTRY_ACCESS_DATE, ENTRY_WRITE_DATE] {
        put(&mut entry, date, &DATE);
    }
    put(&mut entry, ENTRY_CLUSTER_HIGH, &cluster.to_le_bytes()[2..]);
    put(&mut entry, ENTRY_CLUSTER_LOW, &cluster.to_le_bytes()[..2]);
    put(&mut entry, ENTRY_SIZE, &size.to_le_bytes());
    entry
}

/// Positions of a long name's 13 UTF-16 units in its entry.
const LONG_UNITS: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// The one entry of a long name of at most 13 ASCII characters.
fn long_name(name: &str, short: &[u8; 11]) -> [u8; DIR_ENTRY] {
    let mut entry = [0; DIR_ENTRY];
    // First and last part.
    entry[0] = 0x41;
    entry[ENTRY_ATTRIBUTES] = ATTRIBUTE_LONG_NAME;
    entry[13] = short
        .iter()
        .fold(0, |sum: u8, &byte| sum.rotate_right(1).wrapping_add(byte));
    let end = std::iter::once(0).chain(std::iter::repeat(0xffff));
    for (at, unit) in LONG_UNITS.into_iter().zip(name.encode_utf16().chain(end)) {
        put(&mut entry, at, &unit.to_le_bytes());
    }
    entry
}
