//! Hostile system calls: random numbers and arguments from many threads of short-lived processes.
//!
//! It runs as process 1 of a guest (`callfuzz SEED SECONDS`), starts one worker after another,
//! and kills each after a moment. What it looks for is a kernel that panics, hangs, keeps
//! processes alive, or loses memory; the answers of the calls do not matter. The same seed makes
//! the same calls, apart from timing.

#![allow(unsafe_code, reason = "hostile calls are what this program is for")]

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fmt::{Display, Formatter};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How long a worker may make calls.
const WORK: Duration = Duration::from_millis(600);
/// How long a killed worker may take to vanish.
const PATIENCE: Duration = Duration::from_secs(20);
/// Threads of a worker that make calls.
const THREADS: u64 = 4;
/// Size of the memory that pointers lead to.
const ARENA: usize = 64 * 4096;
/// One more than the highest call number that is tried on purpose.
const NUMBERS: usize = 480;
/// Rounds before memory is counted for the first time: the kernel's heap grows to its size.
const WARM_UP: u64 = 8;

/// KiB that may be held in the end: tables that grow with the highest number used, connections
/// that wait for their end.
const LEEWAY: u64 = 128;

/// Where the board is: away from everything that calls get as an address.
const BOARD: usize = 0x10_0000_0000;

/// Memory that all workers share with process 1: how often each call succeeded.
struct Board {
    succeeded: [AtomicU32; NUMBERS],
    calls: AtomicU32,
}

/// What an argument should be like.
#[derive(Clone, Copy)]
enum Kind {
    Fd,
    Pointer,
    Path,
    Size,
    Flags,
    Small,
    Any,
}

use Kind::{Any, Fd, Flags, Path, Pointer, Size, Small};

/// Calls with arguments that get past the first checks.
const CALLS: &[(i64, &[Kind])] = &[
    (libc::SYS_read, &[Fd, Pointer, Size]),
    (libc::SYS_write, &[Fd, Pointer, Size]),
    (libc::SYS_open, &[Path, Flags, Small]),
    (libc::SYS_close, &[Fd]),
    (libc::SYS_stat, &[Path, Pointer]),
    (libc::SYS_fstat, &[Fd, Pointer]),
    (libc::SYS_poll, &[Pointer, Small, Small]),
    (libc::SYS_lseek, &[Fd, Size, Small]),
    (libc::SYS_mmap, &[Any, Size, Small, Flags, Fd, Size]),
    (libc::SYS_mprotect, &[Pointer, Size, Small]),
    (libc::SYS_munmap, &[Pointer, Size]),
    (libc::SYS_brk, &[Any]),
    (libc::SYS_rt_sigaction, &[Small, Pointer, Pointer, Small]),
    (libc::SYS_rt_sigprocmask, &[Small, Pointer, Pointer, Small]),
    (libc::SYS_ioctl, &[Fd, Flags, Pointer]),
    (libc::SYS_pread64, &[Fd, Pointer, Size, Size]),
    (libc::SYS_pwrite64, &[Fd, Pointer, Size, Size]),
    (libc::SYS_readv, &[Fd, Pointer, Small]),
    (libc::SYS_writev, &[Fd, Pointer, Small]),
    (libc::SYS_pipe2, &[Pointer, Flags]),
    (
        libc::SYS_select,
        &[Small, Pointer, Pointer, Pointer, Pointer],
    ),
    (libc::SYS_mremap, &[Pointer, Size, Size, Small, Pointer]),
    (libc::SYS_msync, &[Pointer, Size, Small]),
    (libc::SYS_mincore, &[Pointer, Size, Pointer]),
    (libc::SYS_madvise, &[Pointer, Size, Small]),
    (libc::SYS_dup, &[Fd]),
    (libc::SYS_dup2, &[Fd, Fd]),
    (libc::SYS_nanosleep, &[Pointer, Pointer]),
    (libc::SYS_sendfile, &[Fd, Fd, Pointer, Size]),
    (libc::SYS_socket, &[Small, Small, Small]),
    (libc::SYS_connect, &[Fd, Pointer, Small]),
    (libc::SYS_accept4, &[Fd, Pointer, Pointer, Flags]),
    (
        libc::SYS_sendto,
        &[Fd, Pointer, Size, Flags, Pointer, Small],
    ),
    (
        libc::SYS_recvfrom,
        &[Fd, Pointer, Size, Flags, Pointer, Pointer],
    ),
    (libc::SYS_sendmsg, &[Fd, Pointer, Flags]),
    (libc::SYS_recvmsg, &[Fd, Pointer, Flags]),
    (libc::SYS_shutdown, &[Fd, Small]),
    (libc::SYS_bind, &[Fd, Pointer, Small]),
    (libc::SYS_listen, &[Fd, Size]),
    (libc::SYS_getsockname, &[Fd, Pointer, Pointer]),
    (libc::SYS_getpeername, &[Fd, Pointer, Pointer]),
    (libc::SYS_socketpair, &[Small, Small, Small, Pointer]),
    (libc::SYS_setsockopt, &[Fd, Small, Small, Pointer, Small]),
    (libc::SYS_getsockopt, &[Fd, Small, Small, Pointer, Pointer]),
    (libc::SYS_clone, &[Flags, Pointer, Pointer, Pointer, Any]),
    (libc::SYS_fork, &[]),
    (libc::SYS_execve, &[Path, Pointer, Pointer]),
    (libc::SYS_wait4, &[Small, Pointer, Small, Pointer]),
    (libc::SYS_fcntl, &[Fd, Small, Any]),
    (libc::SYS_flock, &[Fd, Small]),
    (libc::SYS_ftruncate, &[Fd, Size]),
    (libc::SYS_getcwd, &[Pointer, Size]),
    (libc::SYS_chdir, &[Path]),
    (libc::SYS_rename, &[Path, Path]),
    (libc::SYS_mkdir, &[Path, Small]),
    (libc::SYS_rmdir, &[Path]),
    (libc::SYS_link, &[Path, Path]),
    (libc::SYS_unlink, &[Path]),
    (libc::SYS_symlink, &[Path, Path]),
    (libc::SYS_readlink, &[Path, Pointer, Size]),
    (libc::SYS_chmod, &[Path, Small]),
    (libc::SYS_getrlimit, &[Small, Pointer]),
    (libc::SYS_sysinfo, &[Pointer]),
    (
        libc::SYS_rt_sigtimedwait,
        &[Pointer, Pointer, Pointer, Small],
    ),
    (libc::SYS_sigaltstack, &[Pointer, Pointer]),
    (libc::SYS_statfs, &[Path, Pointer]),
    (libc::SYS_prctl, &[Small, Pointer, Any, Any, Any]),
    (libc::SYS_arch_prctl, &[Flags, Any]),
    (
        libc::SYS_futex,
        &[Pointer, Small, Small, Pointer, Pointer, Any],
    ),
    (libc::SYS_sched_setaffinity, &[Small, Size, Pointer]),
    (libc::SYS_getdents64, &[Fd, Pointer, Size]),
    (libc::SYS_set_tid_address, &[Pointer]),
    (libc::SYS_timerfd_create, &[Small, Flags]),
    (libc::SYS_timerfd_settime, &[Fd, Small, Pointer, Pointer]),
    (libc::SYS_timerfd_gettime, &[Fd, Pointer]),
    (libc::SYS_clock_nanosleep, &[Small, Small, Pointer, Pointer]),
    (libc::SYS_epoll_create1, &[Flags]),
    (libc::SYS_epoll_ctl, &[Fd, Small, Fd, Pointer]),
    (libc::SYS_epoll_wait, &[Fd, Pointer, Small, Small]),
    (libc::SYS_openat, &[Fd, Path, Flags, Small]),
    (libc::SYS_unlinkat, &[Fd, Path, Small]),
    (libc::SYS_ppoll, &[Pointer, Small, Pointer, Pointer, Small]),
    (libc::SYS_set_robust_list, &[Pointer, Small]),
    (libc::SYS_utimensat, &[Fd, Path, Pointer, Flags]),
    (libc::SYS_fallocate, &[Fd, Small, Size, Size]),
    (libc::SYS_eventfd2, &[Any, Flags]),
    (libc::SYS_preadv, &[Fd, Pointer, Small, Size, Size]),
    (libc::SYS_pwritev, &[Fd, Pointer, Small, Size, Size]),
    (libc::SYS_prlimit64, &[Small, Small, Pointer, Pointer]),
    (libc::SYS_sendmmsg, &[Fd, Pointer, Small, Flags]),
    (libc::SYS_getrandom, &[Pointer, Size, Small]),
    (libc::SYS_memfd_create, &[Path, Small]),
    (libc::SYS_statx, &[Fd, Path, Flags, Flags, Pointer]),
    (libc::SYS_clone3, &[Pointer, Small]),
    (libc::SYS_close_range, &[Fd, Fd, Small]),
    (libc::SYS_getcpu, &[Pointer, Pointer, Pointer]),
    (libc::SYS_uname, &[Pointer]),
];

/// Calls left out: ends by themselves, and signals that would reach process 1.
const LEFT_OUT: &[i64] = &[
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
    libc::SYS_reboot,
];

const PATHS: &[&CStr] = &[
    c"/tmp/a",
    c"/tmp/b",
    c"a",
    c"b/c",
    c"..",
    c".",
    c"",
    c"/",
    c"/proc/self/maps",
    c"/proc/self/exe",
    c"/proc/self/fd/3",
    c"/proc/meminfo",
    c"/dev/zero",
    c"/dev/null",
    c"/dev/urandom",
    c"/probe/callfuzz",
    c"/nonexistent/file",
    c"link",
    c"a/../a/./../b",
];

const SIZES: &[u64] = &[
    0,
    1,
    7,
    8,
    16,
    64,
    511,
    4095,
    4096,
    4097,
    65_536,
    1 << 20,
    1 << 30,
    i32::MAX as u64,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    1 << 46,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 4095,
    u64::MAX,
];

/// Addresses that are nobody's: the first page, the ends of the halves, and the kernel.
const BAD_ADDRESSES: &[u64] = &[
    0,
    1,
    4096,
    0x7fff_ffff_f000,
    0x7fff_ffff_efff,
    0x7fff_ffff_ffff,
    0x8000_0000_0000,
    0xffff_7fff_ffff_ffff,
    0xffff_8000_0000_0000,
    0xffff_c000_0000_0000,
    0xffff_ffff_8010_0000,
    u64::MAX - 7,
    u64::MAX,
];

/// Numbers from a seed (xorshift64*).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// One source of hostile calls.
struct Fuzzer<'a> {
    random: Random,
    arena: u64,
    board: &'a Board,
}

impl Fuzzer<'_> {
    fn run(&mut self, until: Instant) {
        while Instant::now() < until {
            if self.random.one_in(8) {
                self.fill();
            }
            let (number, args) = self.call();
            self.board.calls.fetch_add(1, Relaxed);
            let [a, b, c, d, e, f] = args;
            // SAFETY: none; whatever the call does to this process is welcome.
            let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
            let count = usize::try_from(number).ok();
            if let Some(count) = count.and_then(|n| self.board.succeeded.get(n))
                && result >= 0
            {
                count.fetch_add(1, Relaxed);
            }
        }
    }

    fn call(&mut self) -> (i64, [u64; 6]) {
        loop {
            let mut args = [0; 6];
            let number = if self.random.one_in(6) {
                args = core::array::from_fn(|_| self.argument(Any));
                match self.random.below(16) {
                    0 => self.random.next() as i64,
                    _ => self.random.below(NUMBERS as u64) as i64,
                }
            } else {
                let (number, kinds) = self.random.pick(CALLS);
                for (arg, &kind) in args.iter_mut().zip(kinds) {
                    *arg = self.argument(kind);
                }
                number
            };
            if !LEFT_OUT.contains(&number) && !self.is_too_deadly(number) {
                return (number, args);
            }
        }
    }

    /// Calls that end most workers early are tried now and then only.
    fn is_too_deadly(&mut self, number: i64) -> bool {
        let deadly = [
            libc::SYS_execve,
            libc::SYS_rt_sigreturn,
            libc::SYS_clone,
            libc::SYS_vfork,
            libc::SYS_fork,
            libc::SYS_munmap,
            libc::SYS_close_range,
            libc::SYS_arch_prctl,
        ];
        deadly.contains(&number) && !self.random.one_in(12)
    }

    fn argument(&mut self, kind: Kind) -> u64 {
        if self.random.one_in(24) {
            return self.random.next();
        }
        match kind {
            Fd if self.random.one_in(16) => self.random.pick(&[u64::MAX, 0xffff_ff9c, 1 << 31]),
            Fd => self.random.below(24),
            Pointer => self.pointer(),
            Path if self.random.one_in(8) => self.pointer(),
            Path => self.random.pick(PATHS).as_ptr() as u64,
            Size if self.random.one_in(2) => self.random.below(4096),
            Size => self.random.pick(SIZES),
            Flags => self.random.next() & self.random.next() & self.random.next() & 0xffff_ffff,
            Small if self.random.one_in(16) => self.random.below(0x1_0000),
            Small => self.random.below(20),
            Any => match self.random.below(5) {
                0 => self.argument(Fd),
                1 => self.argument(Path),
                2 => self.random.pick(SIZES),
                3 => self.argument(Flags),
                _ => self.pointer(),
            },
        }
    }

    fn pointer(&mut self) -> u64 {
        match self.random.below(16) {
            0 => self.random.pick(BAD_ADDRESSES),
            // The last page of the arena cannot be accessed, the one before not be written.
            1 => self.arena + ARENA as u64 - 4096 - self.random.below(4096 + 16),
            2 => self.arena + ARENA as u64 - 8192 - self.random.below(16),
            3 => self.arena + self.random.below(ARENA as u64),
            4..=6 => self.arena + self.random.below(60) * 4096,
            _ => self.arena + self.random.below(ARENA as u64 / 8) * 8,
        }
    }

    /// Writes words into the arena that mean something as part of a structure.
    fn fill(&mut self) {
        let start = self.random.below(ARENA as u64 / 8 - 1024 - 64) as usize;
        for index in start..start + 64 {
            let word = match self.random.below(6) {
                0 => self.pointer(),
                1 => self.random.pick(SIZES),
                2 => self.random.next(),
                // A port and 127.0.0.1, for `struct sockaddr_in`.
                3 => 0x0100_007f_901f_0002,
                _ => self.random.below(32),
            };
            let at = (self.arena as *mut u64).wrapping_add(index);
            // SAFETY: inside the arena; a call that took it away ends the worker.
            unsafe { at.write_volatile(word) };
        }
    }
}

fn map(at: usize, size: usize, flags: i32) -> *mut libc::c_void {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping where nothing is.
    let memory = unsafe {
        libc::mmap(
            std::ptr::without_provenance_mut(at),
            size,
            access,
            flags | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(memory, libc::MAP_FAILED, "no memory");
    memory
}

fn arena() -> u64 {
    let memory = map(0, ARENA, libc::MAP_PRIVATE);
    for (page, access) in [(2, libc::PROT_READ), (1, libc::PROT_NONE)] {
        let at = memory.wrapping_byte_add(ARENA - page * 4096);
        // SAFETY: a page of the new mapping.
        let result = unsafe { libc::mprotect(at, 4096, access) };
        assert_eq!(result, 0);
    }
    memory as u64
}

/// Points the standard files to /dev/null: most workers leave the console alone.
fn silence() {
    // SAFETY: the path is a string.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
    for fd in 0..3 {
        // SAFETY: nobody counts on what the standard files are.
        unsafe { libc::dup2(null, fd) };
    }
}

extern "C" fn nothing(_: i32) {}

/// Life of a worker: some threads make calls, the first one interrupts those that block.
fn work(seed: u64, board: &'static Board) -> ! {
    // SAFETY: the handler does nothing.
    unsafe { libc::signal(libc::SIGUSR1, nothing as *const () as libc::sighandler_t) };
    let until = Instant::now() + WORK;
    let arena = arena();
    if !seed.is_multiple_of(8) {
        silence();
    }
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            thread::spawn(move || {
                Fuzzer {
                    random: Random::new(seed * THREADS + thread),
                    arena,
                    board,
                }
                .run(until);
            })
        })
        .collect();
    use std::os::unix::thread::JoinHandleExt as _;
    while Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
        for thread in &threads {
            // SAFETY: the thread is not joined, so its number is valid.
            unsafe { libc::pthread_kill(thread.as_pthread_t(), libc::SIGUSR1) };
        }
    }
    // SAFETY: ends the process without a look at what the calls left of it.
    unsafe { libc::_exit(0) }
}

/// Runs one worker and everything it starts; false if it cannot be got rid of.
fn round(seed: u64, board: &'static Board) -> bool {
    // SAFETY: the child calls `work` only; no other thread exists.
    let child = unsafe { libc::fork() };
    match child {
        0 => work(seed, board),
        -1 => return false,
        _ => {}
    }
    let end = Instant::now() + WORK * 3 / 2;
    while Instant::now() < end && !is_gone(child) {
        thread::sleep(Duration::from_millis(20));
    }
    let patience = Instant::now() + PATIENCE;
    loop {
        // SAFETY: everybody but this process, which is number 1 of a guest.
        let none_left = unsafe { libc::kill(-1, libc::SIGKILL) } == -1;
        // Reaped in any case: those that have ended count as left until then.
        if is_gone(child) && none_left {
            return true;
        }
        if Instant::now() > patience {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Directories that are made on use, where nothing can be left.
const MADE_ON_USE: [&str; 2] = ["/proc", "/sys"];

/// All files and directories, those in a directory before it.
fn all_files() -> Vec<PathBuf> {
    let (mut found, mut next) = (vec![PathBuf::from("/")], 0);
    while let Some(directory) = found.get(next).cloned() {
        next += 1;
        let is_real = std::fs::symlink_metadata(&directory).is_ok_and(|data| data.is_dir());
        if is_real && !MADE_ON_USE.iter().any(|own| directory.as_os_str() == *own) {
            let entries = std::fs::read_dir(&directory)
                .into_iter()
                .flatten()
                .flatten();
            found.extend(entries.map(|entry| entry.path()));
        }
    }
    found.reverse();
    found
}

/// Removes the files that workers left, which take memory.
fn clean_up(known: &BTreeSet<PathBuf>) {
    for path in all_files().iter().filter(|path| !known.contains(*path)) {
        // One of the two fits.
        let _ = std::fs::remove_file(path);
        let _ = std::fs::remove_dir(path);
    }
}

fn is_gone(child: i32) -> bool {
    let mut status = 0;
    // SAFETY: the status is a place to write to.
    unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) != 0 }
}

/// Prints who is left.
#[allow(clippy::print_stdout, reason = "a probe is a program that prints")]
fn show_processes() {
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Ok(stat) = std::fs::read(entry.path().join("stat")) {
            let task = std::fs::read_dir(entry.path().join("task"));
            let threads = task.map(|tasks| tasks.count()).unwrap_or(0);
            println!("{threads} threads: {}", stat.escape_ascii());
        }
    }
}

/// What takes memory in the guest, in KiB.
#[derive(Clone, Copy)]
struct Held {
    /// All together, without what the kernel keeps for the next time.
    all: u64,
    /// This process.
    own: u64,
    /// Files in memory.
    files: u64,
    /// The kernel's heap.
    heap: u64,
    /// Stacks of threads in the kernel.
    stacks: u64,
}

impl Display for Held {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self {
            all,
            own,
            files,
            heap,
            stacks,
        } = self;
        write!(
            f,
            "{all} KiB held: process 1 {own}, files {files}, kernel heap {heap}, kernel stacks {stacks}"
        )
    }
}

impl Held {
    fn now() -> Self {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let field = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            value.unwrap_or(0)
        };
        // Pages, the second field.
        let own = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let own = own.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        Self {
            all: field("MemTotal:") - field("MemFree:") - field("SReclaimable:"),
            own: own.unwrap_or(0) * 4,
            files: field("Shmem:"),
            heap: field("SUnreclaim:"),
            stacks: field("KernelStack:"),
        }
    }
}

#[allow(clippy::print_stdout, reason = "a probe is a program that prints")]
fn main() -> ExitCode {
    if std::process::id() != 1 {
        println!("callfuzz: only process 1 of a guest may do this");
        return ExitCode::FAILURE;
    }
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().unwrap_or(1));
    let (seed, seconds) = (args.next().unwrap_or(1), args.next().unwrap_or(10));
    let memory = map(BOARD, size_of::<Board>(), libc::MAP_SHARED);
    // SAFETY: zeros are a valid board, and the mapping is never removed in this process.
    let board: &'static Board = unsafe { &*memory.cast::<Board>() };
    let end = Instant::now() + Duration::from_secs(seconds);
    let known = all_files().into_iter().collect();
    let (mut rounds, mut before) = (0, Held::now());
    while Instant::now() < end {
        if !round(seed * 1000 + rounds, board) {
            println!("callfuzz: round {rounds} of seed {seed} cannot be ended");
            show_processes();
            return ExitCode::FAILURE;
        }
        clean_up(&known);
        rounds += 1;
        if rounds == WARM_UP {
            before = Held::now();
        }
    }
    let after = Held::now();
    let lost = (after.all + before.own).saturating_sub(before.all + after.own);
    let succeeded = board.succeeded.iter().filter(|n| n.load(Relaxed) > 0);
    println!(
        "callfuzz: seed {seed}: {rounds} rounds, {} calls, {} of them answered, {} KiB lost",
        board.calls.load(Relaxed),
        succeeded.count(),
        lost,
    );
    if lost > LEEWAY {
        println!("callfuzz: then {before}, now {after}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
