//! System calls. The table is in `linux-abi`; here each call has a function of its name in the
//! module of its family, which turns raw words into types, and then does the work.

mod event;
mod file;
mod futex;
mod io;
mod memory;
mod path;
mod poll;
mod process;
mod resource;
mod signal;
mod socket;
mod thread;
mod time;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use linux_abi::layout::{Layout, TimeSpec};
use linux_abi::{Errno, Support, describe, for_each_handled};
use machine::cpu::UserContext;
use spin::Mutex;
use vfs::OpenFile;

pub(crate) use resource::OPEN_FILES;

use crate::memory::Memory;
use crate::task::{Interrupted, Task};
use crate::{clock, console};

/// What a system call returns: the value for RAX, or an error.
type Result<T = u64> = core::result::Result<T, Errno>;

/// A system call in progress.
struct Call<'a> {
    task: &'a Arc<Task>,
    context: &'a mut UserContext,
}

impl Call<'_> {
    fn memory(&self) -> Arc<Memory> {
        self.task.memory()
    }

    /// The open file behind a descriptor.
    fn file(&self, fd: u64) -> Result<Arc<OpenFile>> {
        self.task.process().files().get(fd as i32).cloned()
    }

    /// A structure from process memory.
    fn read<T: Layout>(&self, address: u64) -> Result<T> {
        let mut bytes = T::ZEROED;
        self.memory().read(address, bytes.as_mut())?;
        Ok(T::decode(&bytes))
    }

    /// The deadline that a relative `struct timespec` means, or none for NULL.
    fn deadline(&self, timeout: u64) -> Result<Option<u64>> {
        if timeout == 0 {
            return Ok(None);
        }
        let time: TimeSpec = self.read(timeout)?;
        let time = time.nanoseconds().ok_or(Errno::EINVAL)?;
        Ok(Some(clock::now().saturating_add(time)))
    }

    /// Stores a structure in process memory.
    fn write<T: Layout>(&self, address: u64, value: &T) -> Result<()> {
        self.memory().write(address, value.encode().as_ref())
    }
}

static TRACE: AtomicBool = AtomicBool::new(false);

/// Turns logging of every call on the console on (`trace=syscalls`).
pub(crate) fn set_trace(on: bool) {
    TRACE.store(on, Ordering::Relaxed);
}

/// Serves the system call that stopped `context`.
pub(crate) fn serve(task: &Arc<Task>, context: &mut UserContext) -> Option<Interrupted> {
    let r = context.registers();
    let (number, args) = (r.rax, [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9]);
    task.set_call(number);
    let result = dispatch(&mut Call { task, context }, number, args);
    if TRACE.load(Ordering::Relaxed) {
        trace(task, number, &args, &result);
    }
    context.registers_mut().rax = match result {
        Ok(value) => value,
        Err(error) => error.as_return() as u64,
    };
    let interrupted = result == Err(Errno::EINTR);
    interrupted.then(|| Interrupted {
        number,
        restartable: is_restartable(number),
    })
}

/// Whether `SA_RESTART` restarts the call (signal(7), "Interruption of system calls").
fn is_restartable(number: u64) -> bool {
    let name = describe(number).map_or("", |call| call.name);
    matches!(
        name,
        "read"
            | "readv"
            | "write"
            | "writev"
            | "ioctl"
            | "wait4"
            | "waitid"
            | "accept"
            | "accept4"
            | "connect"
            | "recvfrom"
            | "recvmsg"
            | "sendto"
            | "sendmsg"
            | "futex"
            | "flock"
            | "fcntl"
            | "open"
            | "openat"
    )
}

macro_rules! dispatch {
    ([$call:ident, $number:ident, $args:ident] $(($id:literal, $name:ident, $count:tt, $state:ident))*) => {
        match $number {
            $($id => dispatch!(@call handlers::$name, $call, $args, $count),)*
            _ => unhandled($call, $number),
        }
    };
    (@call $f:path, $c:ident, $a:ident, 0) => { $f($c) };
    (@call $f:path, $c:ident, $a:ident, 1) => { $f($c, $a[0]) };
    (@call $f:path, $c:ident, $a:ident, 2) => { $f($c, $a[0], $a[1]) };
    (@call $f:path, $c:ident, $a:ident, 3) => { $f($c, $a[0], $a[1], $a[2]) };
    (@call $f:path, $c:ident, $a:ident, 4) => { $f($c, $a[0], $a[1], $a[2], $a[3]) };
    (@call $f:path, $c:ident, $a:ident, 5) => { $f($c, $a[0], $a[1], $a[2], $a[3], $a[4]) };
    (@call $f:path, $c:ident, $a:ident, 6) => { $f($c, $a[0], $a[1], $a[2], $a[3], $a[4], $a[5]) };
}

fn dispatch(call: &mut Call<'_>, number: u64, args: [u64; 6]) -> Result {
    for_each_handled!(dispatch, call, number, args)
}

/// Calls without a handler: refused, absent or unknown. Each is reported once, by name.
fn unhandled(call: &Call<'_>, number: u64) -> Result {
    static REPORTED: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());
    let known = describe(number);
    if REPORTED.lock().len() < 512 && REPORTED.lock().insert(number) {
        let name = known.map_or("unknown", |call| call.name);
        let program = call.task.process().name();
        let program = alloc::string::String::from_utf8_lossy(&program).into_owned();
        console::log!("{program}: system call {number} ({name}) is not supported");
    }
    match known.map(|call| call.support) {
        Some(Support::Refused(errno)) => Err(errno),
        _ => Err(Errno::ENOSYS),
    }
}

fn trace(task: &Task, number: u64, args: &[u64; 6], result: &Result) {
    let known = describe(number);
    let name = known.map_or("?", |call| call.name);
    let count = known.map_or(6, |call| usize::from(call.args));
    console::log!(
        "[{}] {name} {:x?} = {:x?}",
        task.tid(),
        &args[..count],
        result
    );
}

/// Every handler by its call's name.
mod handlers {
    pub(super) use super::event::{
        epoll_create, epoll_create1, epoll_ctl, epoll_pwait, epoll_pwait2, epoll_wait, eventfd,
        eventfd2, timerfd_create, timerfd_gettime, timerfd_settime,
    };
    pub(super) use super::file::{
        close, close_range, dup, dup2, dup3, fadvise64, fallocate, fcntl, fdatasync, flock, fsync,
        ftruncate, getdents64, ioctl, lseek, memfd_create, pipe, pipe2, sync,
    };
    pub(super) use super::futex::{futex, get_robust_list, set_robust_list};
    pub(super) use super::io::{
        pread64, preadv, preadv2, pwrite64, pwritev, pwritev2, read, readv, sendfile, write, writev,
    };
    pub(super) use super::memory::{
        brk, madvise, membarrier, mincore, mlock, mlockall, mmap, mprotect, mremap, msync, munlock,
        munlockall, munmap,
    };
    pub(super) use super::path::{
        access, chdir, chmod, chown, creat, faccessat, faccessat2, fchdir, fchmod, fchmodat,
        fchown, fchownat, fstat, fstatfs, getcwd, lchown, link, linkat, lstat, mkdir, mkdirat,
        newfstatat, open, openat, readlink, readlinkat, rename, renameat, renameat2, rmdir, stat,
        statfs, statx, symlink, symlinkat, truncate, umask, unlink, unlinkat, utime, utimensat,
        utimes,
    };
    pub(super) use super::poll::{poll, ppoll, pselect6, select};
    pub(super) use super::process::{
        execve, exit, exit_group, fork, getegid, geteuid, getgid, getgroups, getpgid, getpgrp,
        getpid, getppid, getpriority, getresgid, getresuid, getsid, getuid, setgid, setgroups,
        setpgid, setpriority, setregid, setresgid, setresuid, setreuid, setsid, setuid, vfork,
        wait4, waitid,
    };
    pub(super) use super::resource::{
        getrandom, getrlimit, getrusage, personality, prlimit64, sethostname, setrlimit, sysinfo,
        times, uname,
    };
    pub(super) use super::signal::{
        kill, pause, rt_sigaction, rt_sigpending, rt_sigprocmask, rt_sigqueueinfo, rt_sigreturn,
        rt_sigsuspend, rt_sigtimedwait, sigaltstack, tgkill, tkill,
    };
    pub(super) use super::socket::{
        accept, accept4, bind, connect, getpeername, getsockname, getsockopt, listen, recvfrom,
        recvmsg, sendmmsg, sendmsg, sendto, setsockopt, shutdown, socket, socketpair,
    };
    pub(super) use super::thread::{
        arch_prctl, clone, clone3, getcpu, gettid, prctl, rseq, sched_get_priority_max,
        sched_get_priority_min, sched_getaffinity, sched_getparam, sched_getscheduler,
        sched_setaffinity, sched_setparam, sched_setscheduler, sched_yield, set_tid_address,
    };
    pub(super) use super::time::{
        clock_getres, clock_gettime, clock_nanosleep, gettimeofday, nanosleep, time,
    };
}
