//! Programs: loading an ELF file and its interpreter, and starting it (execve(2), elf(5)).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use linux_abi::Errno;
use linux_abi::raw::auxvec;
use machine::cpu::{FpuState, UserContext, features};
use machine::mem::USER_END;
use spin::Mutex;
use vfs::{Executing, FdTable, File, VecSink};

use super::exit::{FIRST_PROCESS, end_other_threads, release_thread_memory};
use super::process::{FileSystemContext, Inheritance, ProcessInfo, SharedFiles};
use super::signal::{ProcessSignals, TaskSignals};
use super::{AlternateStack, Process, Task, table};
use crate::elf::{self, ElfFile, SegmentKind};
use crate::memory::{
    Backing, MAPPING_RANDOM, Memory, PAGE, Placement, Protection, STACK_RANDOM, Vma, page_down,
    page_up, random_distance,
};
use crate::{clock_page, files, random};

/// Most bytes of arguments and environment together (ARG_MAX: a quarter of the stack limit).
pub(crate) const ARGUMENTS_MAX: usize = 2 << 20;
/// Initial size of the main stack; it grows on demand.
const STACK_INITIAL: u64 = 0x21000;
/// Where position-independent programs go (ELF_ET_DYN_BASE of Linux on x86-64).
const PROGRAM_BASE: u64 = 0x5555_5555_4000;
/// Pages by which the heap of brk(2) is moved at random (`arch_randomize_brk` of Linux: 32 MiB).
const BRK_RANDOM: u64 = 1 << 13;
/// Deepest nesting of `#!` interpreters (BINPRM_MAX_RECURSION of Linux is 4).
const MAX_SCRIPTS: usize = 4;
/// Longest first line of a script that is looked at (BINPRM_BUF_SIZE).
const SCRIPT_LINE: usize = 256;

/// What execve(2) is given.
pub(crate) struct Program {
    /// Path of the file, resolved against the caller's working directory.
    pub path: Vec<u8>,
    /// Arguments.
    pub args: Vec<Vec<u8>>,
    /// Environment, `NAME=VALUE`.
    pub env: Vec<Vec<u8>>,
}

/// A program in memory, ready to run.
struct Loaded {
    memory: Arc<Memory>,
    entry: u64,
    stack: u64,
    info: ProcessInfo,
}

/// Makes a process that is nobody's child; the first one is that of the machine. It runs when its
/// thread is put into a queue.
///
/// # Errors
/// As execve(2).
pub(crate) fn create_process(
    program: Program,
    files: FdTable,
    context: FileSystemContext,
) -> Result<Arc<Task>, Errno> {
    let loaded = load(program, &context)?;
    let pid = table::new_id().ok_or(Errno::EAGAIN)?;
    let inheritance = Inheritance {
        memory: loaded.memory,
        files: SharedFiles::new(files),
        context: Arc::new(Mutex::new(context)),
        signals: ProcessSignals::default(),
        info: loaded.info,
        group: pid,
        session: pid,
        exit_signal: 0,
    };
    let process = Process::create(pid, Weak::new(), inheritance);
    let user = UserContext::new(loaded.entry, loaded.stack);
    let task = Task::create(
        &process,
        pid,
        user,
        FpuState::default(),
        TaskSignals::default(),
    )?;
    if pid == FIRST_PROCESS {
        files::set_first_process(&process);
    }
    Ok(task)
}

impl Task {
    /// execve(2): replaces the program of the process. On success the caller continues in it.
    ///
    /// # Errors
    /// As execve(2); nothing has changed then. `EINTR` in a thread that ends.
    pub(crate) fn exec(
        self: &Arc<Self>,
        program: Program,
        context: &mut UserContext,
    ) -> Result<(), Errno> {
        let process = self.process();
        let directory = process.context().clone();
        let loaded = load(program, &directory)?;
        end_other_threads(self)?;
        self.become_first();
        release_thread_memory(self);
        self.thread.set_address_space(loaded.memory.root());
        process.set_memory(loaded.memory);
        process.set_program(loaded.info);
        let closed = process.files().close_for_exec();
        for file in closed {
            files::closed(process, file);
        }
        process.signals.lock().reset_handlers();
        self.set_alternate_stack(AlternateStack::default());
        self.set_robust_list(0);
        self.set_name(&process.name());
        self.thread.set_fs_base(0);
        self.thread.set_gs_base(0);
        FpuState::default().restore();
        *context = UserContext::new(loaded.entry, loaded.stack);
        process.release();
        Ok(())
    }
}

/// Loads a program, following `#!` lines.
fn load(mut program: Program, context: &FileSystemContext) -> Result<Loaded, Errno> {
    let path = program.path.clone();
    for _ in 0..=MAX_SCRIPTS {
        let (file, executing) = files::open_program(context, &program.path)?;
        let head = read_exact_or_less(file.as_ref(), 0, SCRIPT_LINE)?;
        match script_interpreter(&head) {
            Some(interpreter) => program = interpreted(program, interpreter)?,
            None => return load_elf(&path, program, (&file, executing), context),
        }
    }
    Err(Errno::ELOOP)
}

/// The interpreter and optional argument of a `#!` line.
fn script_interpreter(head: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let line = head
        .strip_prefix(b"#!")?
        .split(|&byte| byte == b'\n')
        .next()?;
    let line = line.trim_ascii();
    let end = line
        .iter()
        .position(|byte| b" \t".contains(byte))
        .unwrap_or(line.len());
    let argument = line[end..].trim_ascii();
    let argument = (!argument.is_empty()).then(|| argument.to_vec());
    Some((line[..end].to_vec(), argument))
}

fn interpreted(
    script: Program,
    (interpreter, argument): (Vec<u8>, Option<Vec<u8>>),
) -> Result<Program, Errno> {
    if interpreter.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let mut args = alloc::vec![interpreter.clone()];
    args.extend(argument);
    args.push(script.path);
    args.extend(script.args.into_iter().skip(1));
    Ok(Program {
        path: interpreter,
        args,
        env: script.env,
    })
}

fn read_exact_or_less(file: &dyn File, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
    let mut sink = VecSink::new(size);
    file.read_at(offset, &mut sink)?;
    Ok(sink.into_bytes())
}

fn load_elf(
    path: &[u8],
    program: Program,
    (file, executing): (&Arc<dyn File>, Executing),
    context: &FileSystemContext,
) -> Result<Loaded, Errno> {
    let elf = ElfFile::read(file.as_ref())?;
    let memory = Memory::new()?;
    memory.lock().set_program(executing);
    let bias = if elf.position_independent {
        PROGRAM_BASE + random_distance(MAPPING_RANDOM)
    } else {
        0
    };
    let end = map_segments(&memory, &elf, file, bias)?;
    memory
        .lock()
        .set_brk_start(end + random_distance(BRK_RANDOM));

    let mut entry = bias.wrapping_add(elf.entry);
    let mut interpreter_base = 0;
    if let Some(interpreter) = &elf.interpreter {
        let (file, _loading) = files::open_program(context, interpreter)?;
        let elf = ElfFile::read(file.as_ref()).map_err(|_| Errno::ENOEXEC)?;
        let size = page_up(elf.end()).ok_or(Errno::ENOEXEC)?;
        let hole = memory.lock().map(
            Placement::Hint(0),
            size,
            Protection::empty(),
            false,
            Backing::Anonymous,
        )?;
        memory.lock().unmap(hole, size)?;
        interpreter_base = if elf.position_independent { hole } else { 0 };
        map_segments(&memory, &elf, &file, interpreter_base)?;
        entry = interpreter_base.wrapping_add(elf.entry);
    }
    let vdso = clock_page::map(&memory)?;
    let auxiliary = Auxiliary {
        program_headers: bias.wrapping_add(elf.program_headers_address()),
        header_count: elf.segments.len() as u64,
        interpreter_base,
        entry: bias.wrapping_add(elf.entry),
        vdso,
    };
    let stack = build_stack(&memory, path, &program, &auxiliary)?;
    let mut command_line = program.args.join(&0);
    command_line.push(0);
    let info = ProcessInfo {
        program: files::absolute_path(context, path),
        command_line,
    };
    Ok(Loaded {
        memory,
        entry,
        stack,
        info,
    })
}

/// Maps the loadable segments; returns the first address behind them.
fn map_segments(
    memory: &Memory,
    elf: &ElfFile,
    file: &Arc<dyn File>,
    bias: u64,
) -> Result<u64, Errno> {
    let mut highest = 0;
    for segment in elf.segments.iter().filter(|s| s.kind == SegmentKind::Load) {
        let start = bias.checked_add(segment.address).ok_or(Errno::ENOEXEC)?;
        let end = start
            .checked_add(segment.memory_size)
            .ok_or(Errno::ENOEXEC)?;
        if end > USER_END || segment.offset % PAGE != segment.address % PAGE {
            return Err(Errno::ENOEXEC);
        }
        map_segment(memory, segment, file, start, end)?;
        highest = highest.max(end);
    }
    page_up(highest)
        .filter(|&end| end > 0)
        .ok_or(Errno::ENOEXEC)
}

fn map_segment(
    memory: &Memory,
    segment: &elf::Segment,
    file: &Arc<dyn File>,
    start: u64,
    end: u64,
) -> Result<(), Errno> {
    let first = page_down(start);
    let file_end = start + segment.file_size;
    if segment.file_size > 0 {
        let backing = Backing::File {
            file: Arc::clone(file),
            offset: page_down(segment.offset),
            writable: false,
        };
        let size = file_end - first;
        let mut map = memory.lock();
        map.map(
            Placement::Fixed(first),
            size,
            segment.protection,
            false,
            backing,
        )?;
    }
    // Behind the file's part: zeros to the end of the page, then fresh pages.
    let fresh = if segment.file_size > 0 {
        page_up(file_end)
    } else {
        Some(first)
    };
    let fresh = fresh.ok_or(Errno::ENOEXEC)?;
    if segment.file_size > 0 && segment.protection.contains(Protection::WRITE) {
        // To the end of the page, not of the segment: the dynamic linker's own allocator counts
        // on zeros there.
        let zeros = (fresh - file_end) as usize;
        memory.write(file_end, &alloc::vec![0; zeros])?;
    }
    if end > fresh {
        let mut map = memory.lock();
        let place = Placement::Fixed(fresh);
        map.map(
            place,
            end - fresh,
            segment.protection,
            false,
            Backing::Anonymous,
        )?;
    }
    Ok(())
}

/// What the auxiliary vector says about the program.
struct Auxiliary {
    program_headers: u64,
    header_count: u64,
    interpreter_base: u64,
    entry: u64,
    vdso: u64,
}

/// Builds the initial stack (System V ABI, AMD64 supplement, section 3.4.1); returns its top.
fn build_stack(
    memory: &Memory,
    path: &[u8],
    program: &Program,
    auxiliary: &Auxiliary,
) -> Result<u64, Errno> {
    let total: usize = program
        .args
        .iter()
        .chain(&program.env)
        .map(|s| s.len() + 9)
        .sum();
    if total > ARGUMENTS_MAX {
        return Err(Errno::E2BIG);
    }
    let top = USER_END - random_distance(STACK_RANDOM) - PAGE;
    let size = page_up(total as u64 + STACK_INITIAL).ok_or(Errno::E2BIG)?;
    if !memory.lock().is_free(top - size, top) {
        return Err(Errno::ENOMEM);
    }
    memory.lock().insert(Vma {
        start: top - size,
        end: top,
        protection: Protection::READ | Protection::WRITE,
        shared: false,
        grows_down: true,
        backing: Backing::Anonymous,
    });
    // Within two pages as well (`arch_align_stack` of Linux).
    let within = u64::from(random::next_u32()) % (2 * PAGE);
    let mut stack = StackBuilder {
        memory,
        pointer: top - within,
    };
    let platform = stack.push_string(b"x86_64")?;
    let random = stack.push(&random::bytes::<16>())?;
    let name = stack.push_string(path)?;
    let env = program
        .env
        .iter()
        .map(|s| stack.push_string(s))
        .collect::<Result<Vec<_>, _>>()?;
    let args = program
        .args
        .iter()
        .map(|s| stack.push_string(s))
        .collect::<Result<Vec<_>, _>>()?;

    let mut words = alloc::vec![args.len() as u64];
    words.extend(args);
    words.push(0);
    words.extend(env);
    words.push(0);
    for (key, value) in [
        (auxvec::AT_SYSINFO_EHDR, auxiliary.vdso),
        (auxvec::AT_HWCAP, features().hwcap.into()),
        (auxvec::AT_PAGESZ, PAGE),
        (auxvec::AT_CLKTCK, 100),
        (auxvec::AT_PHDR, auxiliary.program_headers),
        (auxvec::AT_PHENT, elf::PROGRAM_HEADER_SIZE as u64),
        (auxvec::AT_PHNUM, auxiliary.header_count),
        (auxvec::AT_BASE, auxiliary.interpreter_base),
        (auxvec::AT_FLAGS, 0),
        (auxvec::AT_ENTRY, auxiliary.entry),
        (auxvec::AT_UID, 0),
        (auxvec::AT_EUID, 0),
        (auxvec::AT_GID, 0),
        (auxvec::AT_EGID, 0),
        (auxvec::AT_SECURE, 0),
        (auxvec::AT_RANDOM, random),
        (auxvec::AT_HWCAP2, 0),
        (auxvec::AT_EXECFN, name),
        (auxvec::AT_PLATFORM, platform),
        (auxvec::AT_NULL, 0),
    ] {
        words.extend([u64::from(key), value]);
    }
    stack.push_words(&words)
}

/// Writes downwards from the top of a new stack.
struct StackBuilder<'a> {
    memory: &'a Memory,
    pointer: u64,
}

impl StackBuilder<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<u64, Errno> {
        self.pointer -= bytes.len() as u64;
        self.memory.write(self.pointer, bytes)?;
        Ok(self.pointer)
    }

    fn push_string(&mut self, string: &[u8]) -> Result<u64, Errno> {
        self.push(&[0])?;
        self.push(string)
    }

    /// Writes words so that the first one ends up 16-byte aligned.
    fn push_words(&mut self, words: &[u64]) -> Result<u64, Errno> {
        self.pointer = (self.pointer - words.len() as u64 * 8) & !15;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.memory.write(self.pointer, &bytes)?;
        Ok(self.pointer)
    }
}
