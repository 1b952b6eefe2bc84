//! The file tree of the machine, and how processes use it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_abi::Errno;
use spin::Once;
use vfs::{
    Clock, Executing, File, FileKind, Follow, Inode, LoadError, LockOwner, OpenFile, OpenFlags,
    Timespec, Tree,
};

use crate::clock;
use crate::memory::FramePages;
use crate::task::{FileSystemContext, Process};

/// A directory that paths are relative to.
pub(crate) type Directory = Arc<Inode>;

/// The part of memory that files may take.
const SHARE: u64 = 2;

static TREE: Once<Arc<Tree>> = Once::new();
static FIRST_PROCESS: Once<Arc<Process>> = Once::new();

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timespec {
        let now = clock::wall();
        Timespec {
            seconds: (now / clock::SECOND) as i64,
            nanoseconds: (now % clock::SECOND) as u32,
        }
    }
}

/// Makes the tree over the root archive.
///
/// # Errors
/// What is wrong with the archive.
pub(crate) fn init(archive: &'static [u8]) -> Result<(), LoadError> {
    let limit = machine::mem::statistics().free / SHARE;
    let tree = Tree::new(Arc::new(WallClock), Arc::new(FramePages), limit as usize);
    tree.load_archive(archive)?;
    TREE.call_once(|| tree);
    Ok(())
}

/// The tree.
///
/// # Panics
/// Before [`init`].
pub(crate) fn tree() -> &'static Arc<Tree> {
    TREE.get().expect("files::init was called")
}

/// Tells which process the terminal's signals go to.
pub(crate) fn set_first_process(process: &Arc<Process>) {
    FIRST_PROCESS.call_once(|| Arc::clone(process));
}

/// The process that the machine was started for, once it runs.
pub(crate) fn first_process() -> Option<&'static Arc<Process>> {
    FIRST_PROCESS.get()
}

/// Opens a file to run it; nobody can write to it meanwhile.
///
/// # Errors
/// `ENOENT` and others of the lookup; `EACCES` for anything that is not an executable file,
/// `ETXTBSY` for one that is open for writing.
pub(crate) fn open_program(
    context: &FileSystemContext,
    path: &[u8],
) -> Result<(Arc<dyn File>, Executing), Errno> {
    let inode = tree().lookup(&context.cwd, path, Follow::Yes)?;
    if inode.kind() != FileKind::Regular {
        return Err(Errno::EACCES);
    }
    inode.check_access(true)?;
    let executing = inode.execute()?;
    let file = tree().open_inode(&inode, OpenFlags::empty())?;
    Ok((Arc::clone(file.file()), executing))
}

/// The whole of a file, for the kernel's own use.
///
/// # Errors
/// As opening and reading it.
pub(crate) fn read_file(path: &[u8]) -> Result<Vec<u8>, Errno> {
    let file = tree().open(tree().root(), path, OpenFlags::empty(), 0)?;
    let mut sink = vfs::VecSink::new(file.file().stat().size as usize);
    file.read(&mut sink)?;
    Ok(sink.into_bytes())
}

/// Writes a whole file, for the kernel's own use.
///
/// # Errors
/// As opening and writing it.
pub(crate) fn write_file(path: &[u8], content: &[u8]) -> Result<(), Errno> {
    let flags = OpenFlags::WRONLY | OpenFlags::CREAT | OpenFlags::TRUNC;
    let file = tree().open(tree().root(), path, flags, 0o644)?;
    file.write(&mut vfs::SliceSource(content)).map(drop)
}

/// `path` as seen from the root.
pub(crate) fn absolute_path(context: &FileSystemContext, path: &[u8]) -> Vec<u8> {
    if path.starts_with(b"/") {
        return path.to_vec();
    }
    let mut absolute = context.cwd.directory_path().unwrap_or_default();
    if !absolute.ends_with(b"/") {
        absolute.push(b'/');
    }
    absolute.extend_from_slice(path);
    absolute
}

/// What close(2) does besides freeing the descriptor: a process loses its record locks on a file
/// with any descriptor of it (fcntl(2)).
pub(crate) fn closed(process: &Process, file: Arc<OpenFile>) {
    if let Some(inode) = file.file().inode() {
        inode.release_locks(LockOwner::Process(process.pid().into()));
    }
}

/// Closes everything, when a process ends; what another process shares stays open there.
pub(crate) fn close_all(process: &Process) {
    for file in process.leave_files() {
        closed(process, file);
    }
}
