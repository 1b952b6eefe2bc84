//! File tree, open files, pipes, local sockets and epoll: everything behind a file descriptor
//! that needs no hardware.
//!
//! Nothing in this crate blocks. An operation that cannot go on returns [`Errno::EAGAIN`], and
//! the object's [`WaitQueue`] tells when trying again makes sense; the kernel turns that into
//! blocking system calls, tests drive it directly.
//!
//! # Lock order
//!
//! All locks spin. From first to last:
//!
//! 1. [`OpenFile`]'s position;
//! 2. the tree's lock on changes of names, then a directory, then a directory in it;
//! 3. a regular file's lock on writing;
//! 4. the state of a stream (pipe, socket, eventfd) – never two streams at once;
//! 5. **the caller's memory**: [`Sink::put`] and [`Source::take`] may fault and take the locks of
//!    the address space, which may call [`File::page`], [`File::archive_range`] and (of regular
//!    files) [`File::read_at`];
//! 6. the content and the attributes of an inode, a page;
//! 7. a wait queue, an epoll's ready list, and what the kernel's [`Waiter`]s take.
//!
//! Objects release 1 to 6 before waking a queue, apart from the position and the writing lock.
//! Dropping the last reference to a file may take 4, 6 and 7, so descriptor tables hand closed
//! files out instead of dropping them.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod cpio;
mod devices;
mod epoll;
mod eventfd;
mod fd_table;
mod file;
mod iobuf;
mod locks;
mod page;
mod pipe;
mod ring;
mod socket;
mod terminal;
mod tree;
mod unix;
mod wait;

pub use cpio::{CpioEntries, CpioEntry, CpioError, cpio_entries};
pub use epoll::{Epoll, EpollOperation};
pub use eventfd::EventFd;
pub use fd_table::FdTable;
pub use file::{Events, Extent, File, FileKind, OpenFile, OpenFlags, Stat, Timespec, Whence};
pub use iobuf::{Sink, SliceSource, Source, VecSink};
pub use linux_abi::Errno;
pub use locks::{FileLocks, LockOwner, RecordLock};
pub use page::{HeapPages, PAGE_SIZE, PageMemory, PageSource};
pub use pipe::{PipeEnd, pipe};
pub use socket::{Received, RecvFlags, SendMessage, Shutdown, Socket, TimeLimits};
pub use terminal::{LineDiscipline, Readiness};
pub use tree::{
    Clock, DynamicDirectory, DynamicEntry, Executing, FileSystemSize, Follow, Inode, LoadError,
    Opener, Producer, RenameFlags, TimeChange, Tree, device_number,
};
pub use unix::{UnixDomain, UnixKind, UnixSocket};
pub use wait::{WaitQueue, Waiter};
