//! The objects behind file descriptors ([`File`]) and open file descriptions ([`OpenFile`]).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bitflags::bitflags;
use spin::Mutex;

use crate::{Errno, Inode, LockOwner, PageMemory, Sink, Socket, Source, WaitQueue};

bitflags! {
    /// Readiness, in the bit values of poll(2) and epoll_ctl(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Events: u32 {
        /// Data can be read (`POLLIN`).
        const IN = 0x001;
        /// Urgent data (`POLLPRI`).
        const PRI = 0x002;
        /// Data can be written (`POLLOUT`).
        const OUT = 0x004;
        /// An error is pending (`POLLERR`).
        const ERR = 0x008;
        /// The other side is gone (`POLLHUP`).
        const HUP = 0x010;
        /// The other side will send no more (`POLLRDHUP`).
        const RDHUP = 0x2000;
    }
}

bitflags! {
    /// The flags of open(2) (asm-generic/fcntl.h). Those of [`CREATION`](Self::CREATION) act
    /// on the open only; the others stay with the open file description.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OpenFlags: u32 {
        /// Opened for writing only.
        const WRONLY = 0o1;
        /// Opened for reading and writing.
        const RDWR = 0o2;
        /// Create the file if it does not exist.
        const CREAT = 0o100;
        /// Fail if the file exists.
        const EXCL = 0o200;
        /// Do not make a terminal the controlling one.
        const NOCTTY = 0o400;
        /// Empty the file.
        const TRUNC = 0o1000;
        /// Writes go to the end.
        const APPEND = 0o2000;
        /// Operations return `EAGAIN` instead of blocking.
        const NONBLOCK = 0o4000;
        /// Fail unless the path names a directory.
        const DIRECTORY = 0o200_000;
        /// Fail if the last component is a symbolic link.
        const NOFOLLOW = 0o400_000;
        /// Close the descriptor on exec (a flag of the descriptor, not of the open file).
        const CLOEXEC = 0o2_000_000;
        /// A descriptor that names a file without access to it.
        const PATH = 0o10000000;
        /// Create a file without a name in the given directory (with `DIRECTORY`).
        const TMPFILE = 0o20_000_000;
        /// The flags that `F_GETFL` does not show.
        const CREATION = Self::CREAT.bits() | Self::EXCL.bits() | Self::NOCTTY.bits()
            | Self::TRUNC.bits() | Self::CLOEXEC.bits();
        /// Bits kept for `F_GETFL` but without effect (`O_LARGEFILE`, `O_SYNC`, …).
        const _ = !0;
    }
}

/// What kind of object a file is: the `S_IFMT` part of `st_mode` (inode(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A pipe.
    Fifo,
    /// A socket.
    Socket,
    /// An object without a type of its own (epoll, eventfd, timerfd); `st_mode` type 0.
    Anonymous,
}

impl FileKind {
    /// The `S_IFMT` bits of `st_mode`.
    pub const fn mode_bits(self) -> u32 {
        match self {
            Self::Regular => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Symlink => 0o120_000,
            Self::CharDevice => 0o020_000,
            Self::Fifo => 0o010_000,
            Self::Socket => 0o140_000,
            Self::Anonymous => 0,
        }
    }
}

/// A point in time: seconds since the epoch and nanoseconds below one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timespec {
    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds, below 1_000_000_000.
    pub nanoseconds: u32,
}

/// What stat(2) tells about a file.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// Type of the file.
    pub kind: FileKind,
    /// Permission bits, including set-id and sticky bits (12 bits).
    pub permissions: u32,
    /// Device number of the file system.
    pub device: u64,
    /// Inode number, unique within `device`.
    pub inode: u64,
    /// Number of hard links.
    pub links: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device node, else 0.
    pub rdev: u64,
    /// Size in bytes.
    pub size: u64,
    /// Allocated 512-byte blocks.
    pub blocks: u64,
    /// Last access.
    pub atime: Timespec,
    /// Last change of the content.
    pub mtime: Timespec,
    /// Last change of the inode.
    pub ctime: Timespec,
}

impl Stat {
    /// The stat of an object that has no inode in a tree (pipe, socket, epoll, …).
    pub const fn anonymous(kind: FileKind) -> Self {
        let never = Timespec {
            seconds: 0,
            nanoseconds: 0,
        };
        Self {
            kind,
            permissions: 0o600,
            device: 0xb,
            inode: 1,
            links: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            size: 0,
            blocks: 0,
            atime: never,
            mtime: never,
            ctime: never,
        }
    }
}

/// An object that a file descriptor can refer to.
///
/// Streams (pipes, sockets, terminals) implement [`read`](Self::read) and
/// [`write`](Self::write); seekable files say so and implement [`read_at`](Self::read_at) and
/// [`write_at`](Self::write_at). The defaults answer what Linux answers for an object that does
/// not support the operation. No method blocks.
pub trait File: Any + Send + Sync {
    /// Attributes of the object.
    fn stat(&self) -> Stat;

    /// Whether the object has a position and serves `read_at` and `write_at`.
    fn is_seekable(&self) -> bool {
        false
    }

    /// Reads from a stream. `Ok(0)` is end of file.
    ///
    /// # Errors
    /// `EAGAIN` when there is nothing to read yet; `EINVAL` when the object cannot be read.
    fn read(&self, _to: &mut dyn Sink) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Writes to a stream; may take fewer bytes than offered.
    ///
    /// # Errors
    /// `EAGAIN` when nothing can be taken yet; `EINVAL` when the object cannot be written.
    fn write(&self, _from: &mut dyn Source) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Reads at `offset` bytes from the start of a seekable file. `Ok(0)` is end of file.
    ///
    /// # Errors
    /// `ESPIPE` for streams, `EISDIR` for directories.
    fn read_at(&self, _offset: u64, _to: &mut dyn Sink) -> Result<usize, Errno> {
        Err(Errno::ESPIPE)
    }

    /// Writes at `offset` bytes from the start of a seekable file.
    ///
    /// # Errors
    /// `ESPIPE` for streams; `ENOSPC`, `EFBIG` as for write(2).
    fn write_at(&self, _offset: u64, _from: &mut dyn Source) -> Result<usize, Errno> {
        Err(Errno::ESPIPE)
    }

    /// Writes at the end of a seekable file in one step (`O_APPEND`); returns the new end of the
    /// written range as the position to continue at, and the number of bytes written.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    fn append(&self, from: &mut dyn Source) -> Result<(u64, usize), Errno> {
        let offset = self.stat().size;
        let count = self.write_at(offset, from)?;
        Ok((offset + count as u64, count))
    }

    /// What would not block right now. Files that never block are always readable and writable.
    fn poll(&self) -> Events {
        Events::IN | Events::OUT
    }

    /// Where to wait for a change of [`poll`](Self::poll); `None` if it never changes.
    fn wait_queue(&self) -> Option<&WaitQueue> {
        None
    }

    /// Changes the size.
    ///
    /// # Errors
    /// `EINVAL` for anything that is not a writable regular file (ftruncate(2)).
    fn truncate(&self, _size: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// Gives a range of bytes memory of its own, so that writing there cannot run out of it, and
    /// makes the size at least its end unless `keep_size` (fallocate(2), modes 0 and
    /// `FALLOC_FL_KEEP_SIZE`).
    ///
    /// # Errors
    /// `ENODEV` for anything that is not a regular file, `ESPIPE` for streams, `EFBIG`, `ENOSPC`.
    fn allocate(&self, _range: Range<u64>, _keep_size: bool) -> Result<(), Errno> {
        Err(match self.stat().kind {
            FileKind::Fifo => Errno::ESPIPE,
            _ => Errno::ENODEV,
        })
    }

    /// Where the next data (or hole) at or after `offset` starts (`SEEK_DATA`, `SEEK_HOLE`).
    ///
    /// # Errors
    /// `ENXIO` at or beyond the end, or when only a hole is left.
    fn seek_data(&self, offset: u64, sought: Extent) -> Result<u64, Errno> {
        let size = self.stat().size;
        match sought {
            _ if offset >= size => Err(Errno::ENXIO),
            Extent::Data => Ok(offset),
            Extent::Hole => Ok(size),
        }
    }

    /// Page `index` of a file whose content lives in pages, to be shared by a mapping. With
    /// `allocate` a hole (or a page still in the root archive) gets a page of its own first.
    /// `None` if there is no such page or the file has no pages.
    fn page(&self, _index: u64, _allocate: bool) -> Option<Arc<dyn PageMemory>> {
        None
    }

    /// The whole content of a file that is unchanged in the root archive, in place.
    fn archive_range(&self) -> Option<&'static [u8]> {
        None
    }

    /// The node of the file tree behind the object, if there is one.
    fn inode(&self) -> Option<&Arc<Inode>> {
        None
    }

    /// The absolute path the object was opened by, where it is now; ends in ` (deleted)` if it
    /// is there no more, as `/proc/self/fd` shows it. `None` without a name in the tree.
    fn path(&self) -> Option<Vec<u8>> {
        None
    }

    /// The socket interface, if the object is a socket.
    fn as_socket(&self) -> Option<&dyn Socket> {
        None
    }

    /// The object itself, for the few callers that need its concrete type.
    fn as_any(&self) -> &dyn Any;
}

/// What `SEEK_DATA` and `SEEK_HOLE` look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Allocated content.
    Data,
    /// A hole; every file has one at its end.
    Hole,
}

/// What the offset of lseek(2) counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// The start (`SEEK_SET`).
    Start,
    /// The position (`SEEK_CUR`).
    Current,
    /// The end (`SEEK_END`).
    End,
    /// The next data at or after the offset (`SEEK_DATA`).
    Data,
    /// The next hole at or after the offset (`SEEK_HOLE`).
    Hole,
}

impl Whence {
    /// From the number lseek(2) takes (linux/fs.h).
    ///
    /// # Errors
    /// `EINVAL` for any other number.
    pub const fn from_raw(raw: u32) -> Result<Self, Errno> {
        Ok(match raw {
            0 => Self::Start,
            1 => Self::Current,
            2 => Self::End,
            3 => Self::Data,
            4 => Self::Hole,
            _ => return Err(Errno::EINVAL),
        })
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// An open file description: what open(2) creates and dup(2) and fork(2) share.
pub struct OpenFile {
    id: u64,
    file: Arc<dyn File>,
    flags: AtomicU32,
    position: Mutex<u64>,
}

impl OpenFile {
    /// Opens `file` with the access mode and status `flags` of open(2), at position 0.
    pub fn new(file: Arc<dyn File>, flags: OpenFlags) -> Arc<Self> {
        let flags = flags.difference(OpenFlags::CREATION);
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            file,
            flags: AtomicU32::new(flags.bits()),
            position: Mutex::new(0),
        })
    }

    /// The object that is open.
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Access mode and status flags (`F_GETFL`).
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Sets the changeable status flags, `O_APPEND` and `O_NONBLOCK` (`F_SETFL`).
    pub fn set_status_flags(&self, flags: OpenFlags) {
        let changeable = OpenFlags::APPEND | OpenFlags::NONBLOCK;
        let kept = self.flags().difference(changeable);
        self.flags.store(
            (kept | flags.intersection(changeable)).bits(),
            Ordering::Relaxed,
        );
    }

    /// Whether operations return `EAGAIN` instead of blocking.
    pub fn is_nonblocking(&self) -> bool {
        self.flags().contains(OpenFlags::NONBLOCK)
    }

    /// Whether the access mode allows reading.
    pub fn is_readable(&self) -> bool {
        !self.flags().intersects(OpenFlags::WRONLY | OpenFlags::PATH)
    }

    /// Whether the access mode allows writing.
    pub fn is_writable(&self) -> bool {
        self.flags().intersects(OpenFlags::WRONLY | OpenFlags::RDWR)
            && !self.flags().contains(OpenFlags::PATH)
    }

    /// read(2): from the position for seekable files, else from the stream.
    ///
    /// # Errors
    /// `EBADF` if not open for reading, else what the file says.
    pub fn read(&self, to: &mut dyn Sink) -> Result<usize, Errno> {
        if !self.is_readable() {
            return Err(Errno::EBADF);
        }
        if !self.file.is_seekable() {
            return self.file.read(to);
        }
        let mut position = self.position.lock();
        check_range(*position, to.remaining())?;
        let count = self.file.read_at(*position, to)?;
        *position += count as u64;
        Ok(count)
    }

    /// write(2): at the position (or end, with `O_APPEND`) for seekable files, else to the stream.
    ///
    /// # Errors
    /// `EBADF` if not open for writing, else what the file says.
    pub fn write(&self, from: &mut dyn Source) -> Result<usize, Errno> {
        if !self.is_writable() {
            return Err(Errno::EBADF);
        }
        if !self.file.is_seekable() {
            return self.file.write(from);
        }
        let mut position = self.position.lock();
        check_range(*position, from.remaining())?;
        if self.flags().contains(OpenFlags::APPEND) {
            let (end, count) = self.file.append(from)?;
            *position = end;
            return Ok(count);
        }
        let count = self.file.write_at(*position, from)?;
        *position += count as u64;
        Ok(count)
    }

    /// The position, locked: for lseek(2) and getdents64(2).
    pub fn position(&self) -> spin::MutexGuard<'_, u64> {
        self.position.lock()
    }

    /// Who holds the locks that belong to this open file description (flock(2), `F_OFD_SETLK`).
    pub fn lock_owner(&self) -> LockOwner {
        LockOwner::Description(self.id)
    }

    /// pread(2): reads at `offset` and leaves the position.
    ///
    /// # Errors
    /// `EBADF` if not open for reading, `ESPIPE` for streams, else what the file says.
    pub fn read_at(&self, offset: u64, to: &mut dyn Sink) -> Result<usize, Errno> {
        if !self.is_readable() {
            return Err(Errno::EBADF);
        }
        check_range(offset, to.remaining())?;
        self.file.read_at(offset, to)
    }

    /// pwrite(2): writes at `offset` (with `O_APPEND` at the end, as Linux does) and leaves the
    /// position.
    ///
    /// # Errors
    /// `EBADF` if not open for writing, `ESPIPE` for streams, else what the file says.
    pub fn write_at(&self, offset: u64, from: &mut dyn Source) -> Result<usize, Errno> {
        if !self.is_writable() {
            return Err(Errno::EBADF);
        }
        check_range(offset, from.remaining())?;
        if self.flags().contains(OpenFlags::APPEND) && self.file.is_seekable() {
            return self.file.append(from).map(|(_, count)| count);
        }
        self.file.write_at(offset, from)
    }

    /// lseek(2): moves the position and returns it.
    ///
    /// # Errors
    /// `EBADF` for `O_PATH`, `ESPIPE` for streams, `EINVAL` for a position below zero or beyond
    /// the largest `off_t`, `ENXIO` for `SEEK_DATA` and `SEEK_HOLE` at the end.
    pub fn seek(&self, offset: i64, whence: Whence) -> Result<u64, Errno> {
        if self.flags().contains(OpenFlags::PATH) {
            return Err(Errno::EBADF);
        }
        if !self.file.is_seekable() {
            return Err(Errno::ESPIPE);
        }
        let relative_to_content = !matches!(whence, Whence::Start | Whence::Current);
        if relative_to_content && self.file.stat().kind == FileKind::Directory {
            return Err(Errno::EINVAL);
        }
        let mut position = self.position.lock();
        *position = match whence {
            Whence::Start => displace(0, offset)?,
            Whence::Current => displace(*position, offset)?,
            Whence::End => displace(self.file.stat().size, offset)?,
            Whence::Data => self.seek_extent(offset, Extent::Data)?,
            Whence::Hole => self.seek_extent(offset, Extent::Hole)?,
        };
        Ok(*position)
    }

    fn seek_extent(&self, offset: i64, sought: Extent) -> Result<u64, Errno> {
        let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        self.file.seek_data(offset, sought)
    }

    /// ftruncate(2).
    ///
    /// # Errors
    /// `EBADF` for `O_PATH`, `EINVAL` if not open for writing or `size` is below zero, else
    /// what the file says.
    pub fn truncate(&self, size: i64) -> Result<(), Errno> {
        if self.flags().contains(OpenFlags::PATH) {
            return Err(Errno::EBADF);
        }
        let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
        if !self.is_writable() {
            return Err(Errno::EINVAL);
        }
        self.file.truncate(size)
    }

    /// fallocate(2) of bytes from `offset` on.
    ///
    /// # Errors
    /// `EBADF` if not open for writing, `EINVAL` for an empty range or one below zero, else what
    /// the file says.
    pub fn allocate(&self, offset: i64, length: i64, keep_size: bool) -> Result<(), Errno> {
        let start = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        if length <= 0 {
            return Err(Errno::EINVAL);
        }
        if !self.is_writable() {
            return Err(Errno::EBADF);
        }
        let end = offset.checked_add(length).ok_or(Errno::EFBIG)?;
        self.file.allocate(start..end.unsigned_abs(), keep_size)
    }
}

/// Transfers end at the largest `off_t` at most (`rw_verify_area` of Linux).
fn check_range(offset: u64, count: usize) -> Result<(), Errno> {
    match offset.checked_add(count as u64) {
        Some(end) if i64::try_from(end).is_ok() => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

fn displace(base: u64, offset: i64) -> Result<u64, Errno> {
    let base = i64::try_from(base).map_err(|_| Errno::EOVERFLOW)?;
    // Linux answers EINVAL, not EOVERFLOW, for a sum beyond the largest `off_t`.
    let position = base.checked_add(offset).ok_or(Errno::EINVAL)?;
    u64::try_from(position).map_err(|_| Errno::EINVAL)
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if let Some(inode) = self.file.inode() {
            inode.release_locks(self.lock_owner());
        }
    }
}
