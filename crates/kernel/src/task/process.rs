//! A process: what its threads share.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use spin::{Mutex, MutexGuard, Once};
use vfs::{FdTable, OpenFile, WaitQueue};

use super::exit::FIRST_PROCESS;
use super::signal::ProcessSignals;
use super::stop::Stop;
use super::usage::PastUsage;
use super::{Task, table};
use crate::files::Directory;
use crate::memory::Memory;

/// Working directory and file-creation mask.
#[derive(Clone)]
pub(crate) struct FileSystemContext {
    /// Working directory.
    pub cwd: Directory,
    /// Permission bits that new files do not get (umask(2)).
    pub umask: u32,
}

/// What a process runs, for /proc and error messages.
#[derive(Clone, Default)]
pub(crate) struct ProcessInfo {
    /// Path of the program.
    pub program: Vec<u8>,
    /// Arguments, each with its NUL.
    pub command_line: Vec<u8>,
}

/// The descriptors of a process, or of several that share them (`CLONE_FILES`).
pub(super) struct SharedFiles {
    table: Mutex<FdTable>,
    /// Processes that have not ended.
    users: AtomicUsize,
}

impl SharedFiles {
    /// The descriptors of one process.
    pub(super) fn new(table: FdTable) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::new(table),
            users: AtomicUsize::new(1),
        })
    }

    /// The same descriptors for one process more.
    pub(super) fn share(self: &Arc<Self>) -> Arc<Self> {
        self.users.fetch_add(1, Ordering::Relaxed);
        Arc::clone(self)
    }
}

/// How a process ended, as wait4(2) encodes it.
pub(super) type WaitStatus = u32;

/// A process.
pub(crate) struct Process {
    pid: u32,
    /// The signal its parent gets when it ends; 0 for none.
    pub(super) exit_signal: u32,
    parent: Mutex<Weak<Process>>,
    pub(super) children: Mutex<Vec<Arc<Process>>>,
    pub(super) threads: Mutex<Vec<Arc<Task>>>,
    memory: Mutex<Arc<Memory>>,
    files: Arc<SharedFiles>,
    context: Arc<Mutex<FileSystemContext>>,
    pub(super) signals: Mutex<ProcessSignals>,
    group: AtomicU32,
    session: AtomicU32,
    info: Mutex<ProcessInfo>,
    /// Set once the process is ending, to the status it will end with.
    pub(super) ending: Mutex<Option<WaitStatus>>,
    /// Set when all threads are gone and the status can be collected.
    pub(super) ended: AtomicBool,
    /// Woken when a child ends, and when a thread of this process is gone.
    pub(super) changed: WaitQueue,
    /// The process has its own memory, or is gone: its vfork(2) parent may go on.
    pub(super) released: AtomicBool,
    pub(super) stop: Stop,
    /// The process has started a program of its own since it was forked.
    has_exec: AtomicBool,
    /// Processor time of what has ended.
    pub(super) past: PastUsage,
}

/// What a new process inherits.
pub(super) struct Inheritance {
    pub(super) memory: Arc<Memory>,
    pub(super) files: Arc<SharedFiles>,
    pub(super) context: Arc<Mutex<FileSystemContext>>,
    pub(super) signals: ProcessSignals,
    pub(super) info: ProcessInfo,
    pub(super) group: u32,
    pub(super) session: u32,
    pub(super) exit_signal: u32,
}

impl Process {
    pub(super) fn create(pid: u32, parent: Weak<Process>, inheritance: Inheritance) -> Arc<Self> {
        let process = Arc::new(Self {
            pid,
            exit_signal: inheritance.exit_signal,
            parent: Mutex::new(parent),
            children: Mutex::new(Vec::new()),
            threads: Mutex::new(Vec::new()),
            memory: Mutex::new(inheritance.memory),
            files: inheritance.files,
            context: inheritance.context,
            signals: Mutex::new(inheritance.signals),
            group: AtomicU32::new(inheritance.group),
            session: AtomicU32::new(inheritance.session),
            info: Mutex::new(inheritance.info),
            ending: Mutex::new(None),
            ended: AtomicBool::new(false),
            changed: WaitQueue::new(),
            released: AtomicBool::new(false),
            stop: Stop::default(),
            has_exec: AtomicBool::new(false),
            past: PastUsage::default(),
        });
        table::add_process(&process);
        process
    }

    /// Number (getpid(2)).
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The parent, while it lives.
    pub(crate) fn parent(&self) -> Option<Arc<Self>> {
        self.parent.lock().upgrade()
    }

    /// Whether all threads are gone; the process is there until its parent has waited.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Number of the parent (getppid(2)): orphans count as children of the first process, whose
    /// own parent is 0. They are not: nobody has to wait for them.
    pub(crate) fn parent_pid(&self) -> u32 {
        match self.parent() {
            Some(parent) => parent.pid(),
            None if self.pid == FIRST_PROCESS => 0,
            None => FIRST_PROCESS,
        }
    }

    pub(super) fn orphan(&self) {
        *self.parent.lock() = Weak::new();
    }

    /// Whether the process has been told to end, or has ended.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.lock().is_some()
    }

    /// The memory.
    pub(crate) fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory.lock())
    }

    pub(super) fn set_memory(&self, memory: Arc<Memory>) {
        let before = core::mem::replace(&mut *self.memory.lock(), memory);
        // Taking an address space down takes other locks, and long.
        drop(before);
    }

    /// Gives the memory up when all threads are gone: a process that waits for its parent needs
    /// none.
    pub(super) fn release_memory(&self) {
        static NONE: Once<Arc<Memory>> = Once::new();
        // Without memory for an empty address space the old one stays until the parent comes.
        if let Ok(none) = NONE.try_call_once(Memory::new) {
            self.set_memory(Arc::clone(none));
        }
    }

    /// The open files, locked.
    pub(crate) fn files(&self) -> MutexGuard<'_, FdTable> {
        self.files.table.lock()
    }

    pub(super) fn shared_files(&self) -> &Arc<SharedFiles> {
        &self.files
    }

    /// The open files, closed unless another process shares them: this one has ended, or never
    /// began.
    pub(crate) fn leave_files(&self) -> Vec<Arc<OpenFile>> {
        let last = self.files.users.fetch_sub(1, Ordering::AcqRel) == 1;
        match last {
            true => self.files().close_range(0..=u32::MAX),
            false => self.files().iter().map(|(_, file)| file).cloned().collect(),
        }
    }

    /// Working directory and mask, locked.
    pub(crate) fn context(&self) -> MutexGuard<'_, FileSystemContext> {
        self.context.lock()
    }

    pub(super) fn shared_context(&self) -> &Arc<Mutex<FileSystemContext>> {
        &self.context
    }

    /// Process group.
    pub(crate) fn group(&self) -> u32 {
        self.group.load(Ordering::Relaxed)
    }

    /// Moves the process to a group.
    pub(crate) fn set_group(&self, group: u32) {
        self.group.store(group, Ordering::Relaxed);
    }

    /// Session.
    pub(crate) fn session(&self) -> u32 {
        self.session.load(Ordering::Relaxed)
    }

    /// Makes the process the leader of a new session and group.
    pub(crate) fn start_session(&self) {
        self.session.store(self.pid, Ordering::Relaxed);
        self.group.store(self.pid, Ordering::Relaxed);
    }

    /// What the process runs.
    pub(crate) fn info(&self) -> ProcessInfo {
        self.info.lock().clone()
    }

    /// The process runs another program now.
    pub(super) fn set_program(&self, info: ProcessInfo) {
        *self.info.lock() = info;
        self.has_exec.store(true, Ordering::Relaxed);
    }

    /// Whether the process has called execve(2) since it was forked.
    pub(crate) fn has_exec(&self) -> bool {
        self.has_exec.load(Ordering::Relaxed)
    }

    /// The last part of the program's path, at most 15 bytes.
    pub(crate) fn name(&self) -> Vec<u8> {
        let info = self.info.lock();
        let base = info
            .program
            .rsplit(|&byte| byte == b'/')
            .next()
            .unwrap_or_default();
        base[..base.len().min(15)].to_vec()
    }

    pub(super) fn add_thread(&self, task: &Arc<Task>) {
        self.threads.lock().push(Arc::clone(task));
    }

    /// The threads.
    pub(crate) fn threads(&self) -> Vec<Arc<Task>> {
        self.threads.lock().clone()
    }

    /// Lets a vfork(2) parent go on.
    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.changed.wake(vfs::Events::all());
    }
}
