//! open(2).

use alloc::sync::Arc;

use super::Tree;
use super::file::{Snapshot, TreeFile};
use super::inode::{Inode, Node};
use super::walk::{Creates, Follow, Found, Outcome, Site};
use crate::{Errno, File, OpenFile, OpenFlags};

impl Tree {
    /// openat(2): opens `path`, relative to the directory `base`, with the raw `flags` of
    /// open(2). A file made by `O_CREAT` or `O_TMPFILE` gets `permissions` (umask applied).
    /// `O_CLOEXEC` is for the caller, who has the descriptor.
    ///
    /// # Errors
    /// As open(2); also what the opener of a device says.
    pub fn open(
        &self,
        base: &Arc<Inode>,
        path: &[u8],
        flags: OpenFlags,
        permissions: u32,
    ) -> Result<Arc<OpenFile>, Errno> {
        if flags.contains(OpenFlags::PATH) {
            return self.open_path(base, path, flags);
        }
        if flags.contains(OpenFlags::TMPFILE) {
            return self.open_unnamed(base, path, flags, permissions);
        }
        let (found, created) = self.find_or_create(base, path, flags, permissions)?;
        if !created {
            check_open(&found.inode, flags)?;
            if flags.contains(OpenFlags::TRUNC) && found.inode.regular().is_some() {
                self.truncate(&found.inode, 0)?;
            }
        }
        self.open_found(found, flags)
    }

    /// Opens a node that is known already, as a new open file: the path behind `/proc/self/fd`.
    ///
    /// # Errors
    /// As open(2).
    pub fn open_inode(&self, inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<OpenFile>, Errno> {
        check_open(inode, flags)?;
        if flags.contains(OpenFlags::TRUNC) && inode.regular().is_some() {
            self.truncate(inode, 0)?;
        }
        let found = Found {
            inode: inode.clone(),
            site: None,
        };
        self.open_found(found, flags)
    }

    /// memfd_create(2): a regular file without a name in the tree, open for reading and writing.
    pub fn create_memory_file(&self) -> Arc<OpenFile> {
        let inode = self.new_regular(&[], 0o777);
        let file = self.file(inode, None, None, OpenFlags::RDWR);
        OpenFile::new(file.expect("nobody executes a new file"), OpenFlags::RDWR)
    }

    fn find_or_create(
        &self,
        base: &Arc<Inode>,
        path: &[u8],
        flags: OpenFlags,
        permissions: u32,
    ) -> Result<(Found, bool), Errno> {
        let creates = flags.contains(OpenFlags::CREAT);
        if creates && flags.contains(OpenFlags::DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        let exclusive = creates && flags.contains(OpenFlags::EXCL);
        let follow = match exclusive || flags.contains(OpenFlags::NOFOLLOW) {
            true => Follow::No,
            false => Follow::Yes,
        };
        let _changing = creates.then(|| self.changes.lock());
        let end = if creates { Creates::Yes } else { Creates::No };
        match self.resolve(base, path, follow, end)? {
            Outcome::Found(_) if exclusive => Err(Errno::EEXIST),
            Outcome::Found(found) => Ok((found, false)),
            Outcome::Missing(site) if creates => Ok((self.create_at(site, permissions)?, true)),
            Outcome::Missing(_) => Err(Errno::ENOENT),
        }
    }

    fn create_at(&self, site: Site, permissions: u32) -> Result<Found, Errno> {
        let inode = self.new_regular(&[], permissions);
        self.insert(&site.directory, site.name.clone(), inode.clone())?;
        let site = Some(site);
        Ok(Found { inode, site })
    }

    fn open_path(
        &self,
        base: &Arc<Inode>,
        path: &[u8],
        flags: OpenFlags,
    ) -> Result<Arc<OpenFile>, Errno> {
        let follow = match flags.contains(OpenFlags::NOFOLLOW) {
            true => Follow::No,
            false => Follow::Yes,
        };
        let Outcome::Found(found) = self.resolve(base, path, follow, Creates::No)? else {
            return Err(Errno::ENOENT);
        };
        if flags.contains(OpenFlags::DIRECTORY) && !found.inode.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        // open(2): O_PATH ignores all but these.
        let kept = OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW;
        let file = self.file(found.inode, found.site, None, kept)?;
        Ok(OpenFile::new(file, flags & kept))
    }

    fn open_unnamed(
        &self,
        base: &Arc<Inode>,
        path: &[u8],
        flags: OpenFlags,
        permissions: u32,
    ) -> Result<Arc<OpenFile>, Errno> {
        if !flags.contains(OpenFlags::DIRECTORY) || !wants_write(flags) {
            return Err(Errno::EINVAL);
        }
        self.lookup(base, path, Follow::Yes)?.directory()?;
        let inode = self.new_regular(&[], permissions);
        let linkable = !flags.contains(OpenFlags::EXCL);
        inode.update(|attributes| attributes.linkable = linkable);
        let file = self.file(inode, None, None, flags)?;
        Ok(OpenFile::new(file, flags))
    }

    fn open_found(&self, found: Found, flags: OpenFlags) -> Result<Arc<OpenFile>, Errno> {
        let object: Option<Arc<dyn File>> = match &found.inode.node {
            Node::Regular(_) | Node::Directory(_) | Node::Dynamic(_) => None,
            Node::Symlink(_) | Node::GeneratedSymlink(_) => return Err(Errno::ELOOP),
            Node::Socket => return Err(Errno::ENXIO),
            Node::Generated(_) if wants_write(flags) => return Err(Errno::EACCES),
            Node::Generated(producer) => Some(Arc::new(Snapshot(producer()))),
            Node::Device(number) => Some(self.open_device(*number, flags)?),
            Node::Fifo(pipe) => Some(crate::pipe::open_fifo(pipe, flags)?),
        };
        let file = self.file(found.inode, found.site, object, flags)?;
        Ok(OpenFile::new(file, flags))
    }

    /// # Errors
    /// `ETXTBSY` if it is to be written to and runs as a program.
    fn file(
        &self,
        inode: Arc<Inode>,
        site: Option<Site>,
        object: Option<Arc<dyn File>>,
        flags: OpenFlags,
    ) -> Result<Arc<TreeFile>, Errno> {
        let writes = wants_write(flags).then(|| inode.write_access());
        Ok(Arc::new(TreeFile {
            _writes: writes.transpose()?,
            inode,
            site,
            object,
            clock: self.clock.clone(),
        }))
    }
}

fn wants_write(flags: OpenFlags) -> bool {
    flags.intersects(OpenFlags::WRONLY | OpenFlags::RDWR)
}

/// Whether a file that exists may be opened with `flags`.
fn check_open(inode: &Inode, flags: OpenFlags) -> Result<(), Errno> {
    let directory = inode.is_directory();
    if flags.contains(OpenFlags::DIRECTORY) && !directory {
        return Err(Errno::ENOTDIR);
    }
    let changes = wants_write(flags) || flags.intersects(OpenFlags::CREAT | OpenFlags::TRUNC);
    if directory && changes {
        return Err(Errno::EISDIR);
    }
    Ok(())
}
