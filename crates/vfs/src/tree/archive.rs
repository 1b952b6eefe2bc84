//! Fills the tree from the root archive.

use alloc::string::String;
use alloc::sync::Arc;

use hashbrown::HashMap;
use spin::RwLock;
use thiserror::Error;

use super::directory::Directory;
use super::inode::{Attributes, Inode, Node, Target};
use super::special::device_number;
use super::walk::child;
use super::{Regular, Tree};
use crate::cpio::{CpioEntry, CpioError, cpio_entries};
use crate::{Errno, Timespec};

/// Why the root archive could not become the tree.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// The bytes are not an archive.
    #[error(transparent)]
    Archive(#[from] CpioError),
    /// An entry is of a kind that the tree does not have.
    #[error(
        "root archive entry `{path}` has mode {mode:#o}: expected a file, directory, symbolic link, character device, FIFO or socket; leave it out"
    )]
    UnknownKind {
        /// Its path.
        path: String,
        /// Its `st_mode`.
        mode: u32,
    },
    /// An entry cannot be where it says.
    #[error("root archive entry `{path}` cannot be placed: {error}; check the entries above it")]
    Placement {
        /// Its path.
        path: String,
        /// What is wrong.
        error: Errno,
    },
}

/// What loading remembers from entry to entry.
#[derive(Default)]
struct Loaded {
    /// Files with several names, by device and inode number.
    linked: HashMap<((u32, u32), u32), Arc<Inode>>,
    /// The path and directory of the entry before: most often that of the next as well.
    directory: Option<(&'static [u8], Arc<Inode>)>,
}

impl Tree {
    /// Adds the files of a cpio archive (format "newc"). Content stays in the archive until it
    /// is written to. Missing directories are made; a later entry replaces an earlier one.
    ///
    /// # Errors
    /// The first thing that is wrong; what came before it is in the tree.
    pub fn load_archive(&self, archive: &'static [u8]) -> Result<(), LoadError> {
        let mut loaded = Loaded::default();
        for entry in cpio_entries(archive) {
            let entry = entry?;
            self.load_entry(&entry, &mut loaded)?;
        }
        Ok(())
    }

    fn load_entry(&self, entry: &CpioEntry<'static>, loaded: &mut Loaded) -> Result<(), LoadError> {
        let placement = |error| LoadError::Placement {
            path: String::from_utf8_lossy(entry.name).into(),
            error,
        };
        let Some((above, name)) = split_name(entry.name).map_err(placement)? else {
            self.root.set_attributes(entry);
            return Ok(());
        };
        let parent = self.directory_of(above, loaded).map_err(placement)?;
        let inode = self.inode_of(entry, loaded)?;
        let replaced = self
            .place_loaded(&parent, name, inode, entry)
            .map_err(placement)?;
        if replaced {
            // What was replaced may have been a link on the way to the known directory.
            loaded.directory = None;
        }
        Ok(())
    }

    fn directory_of(&self, path: &'static [u8], loaded: &mut Loaded) -> Result<Arc<Inode>, Errno> {
        match &loaded.directory {
            Some((known, directory)) if *known == path => Ok(directory.clone()),
            _ => {
                let directory = self.mkdir_all(path, 0o755)?;
                loaded.directory = Some((path, directory.clone()));
                Ok(directory)
            }
        }
    }

    /// Puts `inode` into `parent`; whether it took the place of another file.
    fn place_loaded(
        &self,
        parent: &Arc<Inode>,
        name: &[u8],
        inode: Arc<Inode>,
        entry: &CpioEntry<'_>,
    ) -> Result<bool, Errno> {
        let replaced = match child(parent, name) {
            Ok(there) if there.is_directory() && inode.is_directory() => {
                there.set_attributes(entry);
                return Ok(false);
            }
            Ok(_) => {
                self.unlink(parent, name)?;
                true
            }
            Err(Errno::ENOENT) => false,
            Err(error) => return Err(error),
        };
        let _changing = self.changes.lock();
        self.insert(parent, name.into(), inode.clone())?;
        inode.set_attributes(entry);
        Ok(replaced)
    }

    fn inode_of(
        &self,
        entry: &CpioEntry<'static>,
        loaded: &mut Loaded,
    ) -> Result<Arc<Inode>, LoadError> {
        let key = (entry.device, entry.inode);
        let is_link = entry.links > 1 && entry.mode & S_IFMT != S_IFDIR;
        if let Some(inode) = loaded.linked.get(&key).filter(|_| is_link) {
            // GNU cpio writes the content with the last name only.
            if let Some(regular) = inode.regular().filter(|_| !entry.content.is_empty()) {
                regular.set_base(entry.content);
            }
            return Ok(inode.clone());
        }
        let inode = self.new_inode(self.node_of(entry)?, attributes_of(entry));
        if is_link {
            loaded.linked.insert(key, inode.clone());
        }
        Ok(inode)
    }

    fn node_of(&self, entry: &CpioEntry<'static>) -> Result<Node, LoadError> {
        Ok(match entry.mode & S_IFMT {
            S_IFREG => Node::Regular(Regular::new(entry.content, self.budget.clone())),
            S_IFDIR => Node::Directory(RwLock::new(Directory::new(None))),
            S_IFLNK => Node::Symlink(Target::Archive(entry.content)),
            S_IFCHR => Node::Device(device_number(entry.rdev.0, entry.rdev.1)),
            S_IFIFO => Node::new_fifo(),
            S_IFSOCK => Node::Socket,
            _ => {
                return Err(LoadError::UnknownKind {
                    path: String::from_utf8_lossy(entry.name).into(),
                    mode: entry.mode,
                });
            }
        })
    }
}

// The file types of `st_mode` (inode(7)).
const S_IFMT: u32 = 0o170_000;
const S_IFSOCK: u32 = 0o140_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFREG: u32 = 0o100_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFIFO: u32 = 0o010_000;

fn attributes_of(entry: &CpioEntry<'_>) -> Attributes {
    let time = Timespec {
        seconds: entry.mtime.into(),
        nanoseconds: 0,
    };
    let mut attributes = Attributes::new(entry.mode, time);
    attributes.uid = entry.uid;
    attributes.gid = entry.gid;
    attributes
}

impl Inode {
    fn set_attributes(&self, entry: &CpioEntry<'_>) {
        let new = attributes_of(entry);
        self.update(|attributes| {
            *attributes = Attributes {
                links: attributes.links,
                ..new
            };
        });
    }
}

/// The path of the directory an entry is in, and its name there.
type PathAndName<'a> = (&'a [u8], &'a [u8]);

/// Splits the name of an entry; `None` for the root itself. Names are relative to the root,
/// whether they start with `/`, `./` or neither.
fn split_name(name: &[u8]) -> Result<Option<PathAndName<'_>>, Errno> {
    let end = name.iter().rposition(|byte| *byte != b'/');
    let name = &name[..end.map_or(0, |end| end + 1)];
    let (above, last) = match name.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&name[..slash], &name[slash + 1..]),
        None => (&b""[..], name),
    };
    let climbs = name.split(|byte| *byte == b'/').any(|part| part == b"..");
    match last {
        b"" => Ok(None),
        b"." if above.is_empty() => Ok(None),
        b"." => Err(Errno::EINVAL),
        _ if climbs => Err(Errno::EINVAL),
        _ => Ok(Some((above, last))),
    }
}
