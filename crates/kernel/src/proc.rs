//! The parts of /proc and /sys that the C library and ERTS read.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use vfs::{DynamicDirectory, DynamicEntry, Errno, FileKind, Producer, Tree};

use crate::memory::{Backing, PAGE, Protection, Vma};
use crate::sched::busy_time;
use crate::task::{CpuTime, Process, all_processes, find_process, find_task};
use crate::{clock, files, host, load};

/// Nanoseconds in a tick of the times in /proc, of which 100 make a second.
const TICK: u64 = clock::SECOND / 100;

/// Adds the files to the tree.
///
/// # Errors
/// If the image has files where directories are needed.
pub(crate) fn add(tree: &Tree) -> Result<(), Errno> {
    tree.add_dynamic_directory(b"/proc", Arc::new(ProcRoot))?;
    for (path, content) in [
        ("/sys/devices/system/node/online", "0\n"),
        (
            "/sys/kernel/mm/transparent_hugepage/enabled",
            "always madvise [never]\n",
        ),
    ] {
        tree.add_generated(path.as_bytes(), fixed(content))?;
    }
    tree.add_generated(
        b"/sys/fs/cgroup/cpu.stat",
        Arc::new(|| group_statistics().into_bytes()),
    )?;
    add_processors(tree, machine::cpu::count())
}

/// What sysfs says about processors: one package, one core each.
fn add_processors(tree: &Tree, count: usize) -> Result<(), Errno> {
    let list = match count - 1 {
        0 => "0\n".into(),
        last => format!("0-{last}\n"),
    };
    let mut files: Vec<(String, String)> = Vec::new();
    for name in ["online", "possible", "present"] {
        files.push((name.into(), list.clone()));
    }
    for number in 0..count {
        let topology = format!("cpu{number}/topology");
        for (name, content) in [
            ("physical_package_id", "0\n".into()),
            ("core_id", format!("{number}\n")),
            ("thread_siblings", format!("{:x}\n", 1u64 << number)),
        ] {
            files.push((format!("{topology}/{name}"), content));
        }
        // ERTS finds the processors of a node by these (erts/lib_src/common/erl_misc_utils.c).
        let link = format!("/sys/devices/system/node/node0/cpu{number}");
        let target = format!("../../cpu/cpu{number}");
        tree.add_generated_symlink(link.as_bytes(), fixed(target))?;
    }
    for (name, content) in files {
        let path = format!("/sys/devices/system/cpu/{name}");
        tree.add_generated(path.as_bytes(), fixed(content))?;
    }
    let node = format!("{:x}\n", crate::sched::online());
    tree.add_generated(b"/sys/devices/system/node/node0/cpumap", fixed(node))?;
    Ok(())
}

fn fixed(content: impl Into<String>) -> Producer {
    let content = content.into();
    Arc::new(move || content.as_bytes().to_vec())
}

fn text(producer: impl Fn() -> String + Send + Sync + 'static) -> DynamicEntry {
    DynamicEntry::File(Arc::new(move || producer().into_bytes()))
}

fn link(producer: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> DynamicEntry {
    DynamicEntry::Symlink(Arc::new(producer))
}

/// The process of the running thread.
fn current() -> Option<Arc<Process>> {
    find_task(machine::cpu::current_tag()).map(|task| Arc::clone(task.process()))
}

/// /proc.
struct ProcRoot;

/// The fixed names in /proc, with their kinds.
const ROOT_FILES: [&str; 11] = [
    "cpuinfo",
    "filesystems",
    "loadavg",
    "meminfo",
    "mounts",
    "stat",
    "uptime",
    "version",
    "cmdline",
    "swaps",
    "vmstat",
];

impl DynamicDirectory for ProcRoot {
    fn entries(&self) -> Vec<(Vec<u8>, FileKind)> {
        let mut entries: Vec<(Vec<u8>, FileKind)> = ROOT_FILES
            .iter()
            .map(|name| (name.as_bytes().to_vec(), FileKind::Regular))
            .collect();
        entries.push((b"self".to_vec(), FileKind::Symlink));
        entries.push((b"sys".to_vec(), FileKind::Directory));
        let pids = all_processes();
        let pids = pids
            .iter()
            .map(|process| format!("{}", process.pid()).into_bytes());
        entries.extend(pids.map(|name| (name, FileKind::Directory)));
        entries
    }

    fn lookup(&self, name: &[u8]) -> Option<DynamicEntry> {
        Some(match name {
            b"self" => link(|| current().map_or(0, |p| p.pid()).to_string_bytes()),
            b"sys" => DynamicEntry::Directory(Arc::new(Sys(""))),
            b"cpuinfo" => text(cpu_info),
            b"meminfo" => text(memory_info),
            b"mounts" => text(|| "rootfs / rootfs rw 0 0\n".into()),
            b"filesystems" => text(|| "nodev\ttmpfs\n".into()),
            b"loadavg" => text(load_averages),
            b"uptime" => text(|| {
                let hundredths = clock::now() / 10_000_000;
                format!("{}.{:02} 0.00\n", hundredths / 100, hundredths % 100)
            }),
            b"version" => text(|| "Linux version 6.1.0-unibeam\n".into()),
            b"stat" => text(statistics),
            b"cmdline" => text(|| String::from("\n")),
            b"swaps" | b"vmstat" => text(String::new),
            pid => {
                let pid = core::str::from_utf8(pid).ok()?.parse().ok()?;
                DynamicEntry::Directory(Arc::new(ProcProcess(find_process(pid)?)))
            }
        })
    }
}

trait ToStringBytes {
    fn to_string_bytes(self) -> Vec<u8>;
}

impl ToStringBytes for u32 {
    fn to_string_bytes(self) -> Vec<u8> {
        format!("{self}").into_bytes()
    }
}

fn load_averages() -> String {
    let number = |average: u64| {
        let hundredths = (average * 100) >> load::FRACTION_BITS;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    };
    let [one, five, fifteen] = load::averages().map(number);
    format!("{one} {five} {fifteen} 1/{} 1\n", all_processes().len())
}

fn cpu_info() -> String {
    let (cpus, mhz) = (machine::cpu::count(), machine::dev::clock::tsc_khz() / 1000);
    let one = |number| {
        format!(
            "processor\t: {number}\nvendor_id\t: unibeam\ncpu MHz\t\t: {mhz}.000\n\
             physical id\t: 0\ncore id\t\t: {number}\ncpu cores\t: {cpus}\n\n"
        )
    };
    (0..cpus).map(one).collect()
}

fn memory_info() -> String {
    let memory = machine::mem::statistics();
    let (total, free) = (memory.total / 1024, memory.free / 1024);
    let files = files::tree().size();
    let files = (files.blocks - files.free_blocks) * files.block_size / 1024;
    let kernel = machine::mem::kernel_usage();
    let (heap, stacks, spare) = (
        kernel.heap / 1024,
        kernel.stacks / 1024,
        kernel.spare / 1024,
    );
    // What the kernel has to spare it keeps for itself, so it is not available.
    format!(
        "MemTotal:       {total:8} kB\nMemFree:        {free:8} kB\nMemAvailable:   {free:8} kB\n\
         Buffers:               0 kB\nCached:                0 kB\nSwapTotal:             0 kB\n\
         SwapFree:              0 kB\nShmem:          {files:8} kB\nSlab:           {:8} kB\n\
         SReclaimable:   {spare:8} kB\nSUnreclaim:     {heap:8} kB\nKernelStack:    {stacks:8} kB\n",
        heap + spare,
    )
}

/// The time of all processors since power-on: in ring 3 and in all, without that spent halted.
fn busy() -> CpuTime {
    let user = |process: &Arc<Process>| (process.cpu_time() + process.children_cpu_time()).user;
    CpuTime {
        total: (0..machine::cpu::count()).map(busy_time).sum(),
        user: all_processes().iter().map(user).sum(),
    }
}

fn statistics() -> String {
    let (now, all) = (clock::now(), busy());
    let line = |name: &str, user: u64, busy: u64, cpus: u64| {
        let idle = (now * cpus).saturating_sub(busy);
        let [user, system, idle] = [user, busy.saturating_sub(user), idle].map(|time| time / TICK);
        format!("{name} {user} 0 {system} {idle} 0 0 0 0 0 0\n")
    };
    // Time in ring 3 is not measured for each CPU: all are taken to have the same share of it.
    let share =
        |busy: u64| (u128::from(busy) * u128::from(all.user) / u128::from(all.total.max(1))) as u64;
    let each: String = (0..machine::cpu::count())
        .map(|number| (number, busy_time(number)))
        .map(|(number, busy)| line(&format!("cpu{number}"), share(busy), busy, 1))
        .collect();
    let sum = line("cpu ", all.user, all.total, machine::cpu::count() as u64);
    let boot = (clock::wall_offset().max(0) as u64) / clock::SECOND;
    format!(
        "{sum}{each}intr 0\nctxt 0\nbtime {boot}\nprocesses {}\nprocs_running 1\nprocs_blocked 0\n",
        all_processes().len()
    )
}

/// The root group's file of this name (Linux: Documentation/admin-guide/cgroup-v2.rst): the times
/// of /proc/stat, more precisely.
fn group_statistics() -> String {
    let busy = busy();
    format!(
        "usage_usec {}\nuser_usec {}\nsystem_usec {}\n",
        busy.total / 1000,
        busy.user / 1000,
        busy.system() / 1000
    )
}

/// /proc/sys and the directories in it; holds the path below /proc/sys.
struct Sys(&'static str);

/// The files below /proc/sys, with their content. The host name is special.
const SYS_FILES: [(&str, &str); 7] = [
    ("vm/overcommit_memory", "1\n"),
    ("vm/max_map_count", "65530\n"),
    ("kernel/pid_max", "32768\n"),
    ("kernel/osrelease", "6.1.0-unibeam\n"),
    ("kernel/ostype", "Linux\n"),
    ("kernel/hostname", ""),
    ("net/core/somaxconn", "4096\n"),
];
const SYS_DIRECTORIES: [&str; 4] = ["vm", "kernel", "net", "net/core"];

impl Sys {
    /// The part of `path` behind this directory, if it is in it.
    fn inside<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.0)?;
        let rest = if self.0.is_empty() {
            rest
        } else {
            rest.strip_prefix('/')?
        };
        (!rest.is_empty() && !rest.contains('/')).then_some(rest)
    }
}

impl DynamicDirectory for Sys {
    fn entries(&self) -> Vec<(Vec<u8>, FileKind)> {
        let files = SYS_FILES.iter().map(|&(path, _)| (path, FileKind::Regular));
        let directories = SYS_DIRECTORIES
            .iter()
            .map(|&path| (path, FileKind::Directory));
        let all = directories.chain(files);
        all.filter_map(|(path, kind)| Some((self.inside(path)?.as_bytes().to_vec(), kind)))
            .collect()
    }

    fn lookup(&self, name: &[u8]) -> Option<DynamicEntry> {
        let named = |path: &str| {
            self.inside(path)
                .is_some_and(|inside| inside.as_bytes() == name)
        };
        if let Some(&path) = SYS_DIRECTORIES.iter().find(|path| named(path)) {
            return Some(DynamicEntry::Directory(Arc::new(Sys(path))));
        }
        let &(path, content) = SYS_FILES.iter().find(|(path, _)| named(path))?;
        Some(match path {
            "kernel/hostname" => text(|| format!("{}\n", host::name())),
            _ => DynamicEntry::File(fixed(content)),
        })
    }
}

/// /proc/PID.
struct ProcProcess(Arc<Process>);

const PROCESS_FILES: [(&str, FileKind); 10] = [
    ("cmdline", FileKind::Regular),
    ("comm", FileKind::Regular),
    ("cwd", FileKind::Symlink),
    ("exe", FileKind::Symlink),
    ("fd", FileKind::Directory),
    ("maps", FileKind::Regular),
    ("mountinfo", FileKind::Regular),
    ("stat", FileKind::Regular),
    ("statm", FileKind::Regular),
    ("status", FileKind::Regular),
];

impl DynamicDirectory for ProcProcess {
    fn entries(&self) -> Vec<(Vec<u8>, FileKind)> {
        PROCESS_FILES
            .iter()
            .map(|&(name, kind)| (name.as_bytes().to_vec(), kind))
            .collect()
    }

    fn lookup(&self, name: &[u8]) -> Option<DynamicEntry> {
        let process = Arc::clone(&self.0);
        Some(match name {
            b"cmdline" => DynamicEntry::File(Arc::new(move || process.info().command_line)),
            b"comm" => DynamicEntry::File(Arc::new(move || {
                let mut name = process.name();
                name.push(b'\n');
                name
            })),
            b"cwd" => link(move || process.context().cwd.directory_path().unwrap_or_default()),
            b"exe" => link(move || process.info().program),
            b"fd" => DynamicEntry::Directory(Arc::new(Descriptors(process))),
            b"maps" => text(move || process.memory().lock().iter().map(map_line).collect()),
            b"mountinfo" => text(|| "1 1 0:1 / / rw - rootfs rootfs rw\n".into()),
            b"stat" => text(move || stat_line(&process)),
            b"statm" => text(move || {
                let (size, resident) = sizes(&process);
                format!("{} {resident} 0 0 0 0 0\n", size / PAGE)
            }),
            b"status" => text(move || status(&process)),
            _ => return None,
        })
    }
}

/// Mapped bytes and resident pages.
fn sizes(process: &Process) -> (u64, usize) {
    let memory = process.memory();
    let map = memory.lock();
    (map.mapped_bytes(), map.resident_pages())
}

fn map_line(vma: &Vma) -> String {
    let flag = |protection, letter| {
        if vma.protection.contains(protection) {
            letter
        } else {
            '-'
        }
    };
    let (offset, inode) = match &vma.backing {
        Backing::Anonymous => (0, 0),
        Backing::File { file, offset, .. } => (*offset, file.stat().inode),
    };
    format!(
        "{:08x}-{:08x} {}{}{}{} {offset:08x} 00:00 {inode} {}\n",
        vma.start,
        vma.end,
        flag(Protection::READ, 'r'),
        flag(Protection::WRITE, 'w'),
        flag(Protection::EXEC, 'x'),
        if vma.shared { 's' } else { 'p' },
        if vma.grows_down { "[stack]" } else { "" },
    )
}

/// The state of a process, as a letter and a word. Whoever asks runs; others are taken to sleep.
fn state(process: &Process) -> (char, &'static str) {
    let runs = current().is_some_and(|current| current.pid() == process.pid());
    match (process.has_ended(), process.is_stopped()) {
        (true, _) => ('Z', "zombie"),
        (_, true) => ('T', "stopped"),
        _ if runs => ('R', "running"),
        _ => ('S', "sleeping"),
    }
}

/// The fields of proc_pid_stat(5) that are known; the rest is zero.
fn stat_line(process: &Process) -> String {
    let (size, resident) = sizes(process);
    let parent = process.parent_pid();
    let (name, time) = (process.name(), process.cpu_time());
    format!(
        "{} ({}) {} {parent} {} {} 0 -1 0 0 0 0 0 {} {} 0 0 20 0 {} 0 0 {size} {resident} \
         18446744073709551615{}\n",
        process.pid(),
        String::from_utf8_lossy(&name),
        state(process).0,
        process.group(),
        process.session(),
        time.user / TICK,
        time.system() / TICK,
        process.threads().len(),
        " 0".repeat(27),
    )
}

fn status(process: &Process) -> String {
    let (size, resident) = sizes(process);
    let name = process.name();
    format!(
        "Name:\t{}\nState:\t{} ({})\nTgid:\t{pid}\nPid:\t{pid}\nPPid:\t{}\nUid:\t0\t0\t0\t0\n\
         Gid:\t0\t0\t0\t0\nVmSize:\t{:8} kB\nVmRSS:\t{:8} kB\nThreads:\t{}\n",
        String::from_utf8_lossy(&name),
        state(process).0,
        state(process).1,
        process.parent_pid(),
        size / 1024,
        resident as u64 * PAGE / 1024,
        process.threads().len(),
        pid = process.pid(),
    )
}

/// /proc/PID/fd.
struct Descriptors(Arc<Process>);

impl DynamicDirectory for Descriptors {
    fn entries(&self) -> Vec<(Vec<u8>, FileKind)> {
        let files = self.0.files();
        files
            .iter()
            .map(|(fd, _)| (format!("{fd}").into_bytes(), FileKind::Symlink))
            .collect()
    }

    fn lookup(&self, name: &[u8]) -> Option<DynamicEntry> {
        let fd = core::str::from_utf8(name).ok()?.parse().ok()?;
        let file = self.0.files().get(fd).ok()?.clone();
        match file.file().inode() {
            Some(inode) => Some(DynamicEntry::Open(Arc::clone(inode))),
            None => {
                let inode = file.file().stat().inode;
                Some(link(move || format!("anon_inode:[{inode}]").into_bytes()))
            }
        }
    }
}
