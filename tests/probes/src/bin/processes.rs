//! Processes: fork, exec, wait, and what children share.
//!
//! Run with an argument this program is one of its own children.

#![allow(unsafe_code, reason = "calls that no safe library offers, on purpose")]

use probes::{Scratch, checked, step};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, getpgid, getpid, getppid, getsid,
    kill_process, setsid, waitid, waitpid,
};
use std::ffi::CString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(30);

fn main() -> io::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if let Some(role) = arguments.next() {
        return child(&role, arguments);
    }
    let _scratch = Scratch::new("processes")?;
    forks();
    endings();
    waits();
    programs();
    sharing();
    groups();
    Ok(ExitCode::SUCCESS)
}

/// What this program does as a child of itself.
#[allow(
    clippy::print_stdout,
    reason = "a child's output is what the parent prints"
)]
fn child(role: &str, arguments: impl Iterator<Item = String>) -> io::Result<ExitCode> {
    match role {
        "arguments" => println!("{:?}", arguments.collect::<Vec<_>>()),
        "environment" => println!(
            "{:?} {:?}",
            std::env::var("PROBE"),
            std::env::vars().count()
        ),
        "directory" => println!("{:?}", std::env::current_dir()?.file_name()),
        "copy" => drop(io::copy(&mut io::stdin(), &mut io::stdout())?),
        "descriptors" => println!("{}", kept_descriptors()),
        "signals" => println!("{}", mask_and_dispositions()),
        "threads" => exit_with_threads(),
        "sleep" => thread::sleep(Duration::from_secs(100)),
        other => return Ok(ExitCode::from(other.parse::<u8>().unwrap_or(255))),
    }
    Ok(ExitCode::SUCCESS)
}

fn exit_with_threads() {
    for _ in 0..3 {
        thread::spawn(|| thread::sleep(Duration::from_secs(100)));
    }
    // SAFETY: ends the process at once, threads included.
    thread::spawn(|| unsafe { libc::_exit(6) });
    thread::sleep(Duration::from_secs(100));
}

/// How many descriptors above 2 survive an exec.
fn kept_descriptors() -> usize {
    // SAFETY: only asks.
    let is_kept = |&fd: &i32| unsafe { libc::fcntl(fd, libc::F_GETFD) } == 0;
    (3..64).filter(is_kept).count()
}

/// Whether SIGUSR1 is blocked, SIGUSR2 ignored, SIGHUP at its default.
fn mask_and_dispositions() -> String {
    // SAFETY: all-zero is the empty set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is valid for writing.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) };
    // SAFETY: `set` is valid.
    let blocked = unsafe { libc::sigismember(&raw const set, libc::SIGUSR1) };
    let disposition = |signal| {
        // SAFETY: all-zero is a valid `sigaction`.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: `action` is valid for writing.
        unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
        action.sa_sigaction
    };
    let ignored = disposition(libc::SIGUSR2) == libc::SIG_IGN;
    let default = disposition(libc::SIGHUP) == libc::SIG_DFL;
    format!("{blocked} {ignored} {default}")
}

/// Runs `body` in a forked child, whose exit status it gives.
fn fork(body: impl FnOnce() -> u8) -> io::Result<Pid> {
    // SAFETY: the child only does what `body` does, without allocation where threads run.
    match checked(unsafe { libc::fork() })? {
        0 => {
            let status = body();
            // SAFETY: ends the child without running what belongs to the parent.
            unsafe { libc::_exit(status.into()) }
        }
        number => Pid::from_raw(number).ok_or_else(|| io::ErrorKind::InvalidData.into()),
    }
}

fn wait(pid: Pid) -> io::Result<WaitStatus> {
    let (_, status) = waitpid(Some(pid), WaitOptions::empty())?.ok_or(io::ErrorKind::NotFound)?;
    Ok(status)
}

fn describe(status: WaitStatus) -> (Option<i32>, Option<i32>) {
    (status.exit_status(), status.terminating_signal())
}

fn forks() {
    step("a child returns a status", || {
        Ok(describe(wait(fork(|| 7)?)?))
    });
    step("a child knows its parent and itself", || {
        let parent = getpid();
        let status = wait(fork(|| {
            u8::from(getppid() == Some(parent)) * 2 + u8::from(getpid() != parent)
        })?)?;
        Ok(describe(status))
    });
    step("a child's memory is its own", || {
        let mut values = vec![1_u8; 100_000];
        let child = fork(|| {
            values.fill(2);
            values[5]
        })?;
        let status = wait(child)?;
        Ok((describe(status), values.iter().all(|&value| value == 1)))
    });
    step("the parent's changes do not reach the child", || {
        let mut values = vec![1_u8; 100_000];
        let (from, to) = rustix::pipe::pipe()?;
        let child = fork(|| {
            let _ = rustix::io::read(&from, &mut [0; 1]);
            u8::from(values.iter().all(|&value| value == 1))
        })?;
        values.fill(2);
        rustix::io::write(&to, b"x")?;
        Ok((describe(wait(child)?), values[99_999]))
    });
    step("grandchildren", || {
        let status = wait(fork(|| {
            let inner = fork(|| 3).and_then(wait);
            inner.ok().and_then(WaitStatus::exit_status).unwrap_or(99) as u8 + 1
        })?)?;
        Ok(describe(status))
    });
    step("100 children one after another", || {
        let mut sum = 0;
        for number in 0..100 {
            sum += wait(fork(|| number)?)?.exit_status().unwrap_or(1000);
        }
        Ok(sum)
    });
    step("20 children at once", || {
        let children: Vec<_> = (0..20)
            .map(|number| fork(move || number))
            .collect::<io::Result<_>>()?;
        let mut sum = 0;
        for child in children.into_iter().rev() {
            sum += wait(child)?.exit_status().unwrap_or(1000);
        }
        Ok(sum)
    });
    step("a fork among threads", || {
        let threads: Vec<_> = (0..4)
            .map(|_| thread::spawn(|| thread::sleep(PAUSE)))
            .collect();
        let status = wait(fork(|| 11)?)?;
        threads.into_iter().for_each(|handle| drop(handle.join()));
        Ok(describe(status))
    });
}

fn endings() {
    step("killed by a signal", || {
        let child = fork(|| {
            loop {
                rustix::event::pause();
            }
        })?;
        kill_process(child, Signal::TERM)?;
        Ok(describe(wait(child)?))
    });
    step("killed for good", || {
        let child = fork(|| {
            loop {
                std::hint::spin_loop();
            }
        })?;
        kill_process(child, Signal::KILL)?;
        Ok(describe(wait(child)?))
    });
    step("a write to address 8", || {
        let child = fork(|| {
            // SAFETY: faults, which is the point; the child ends there.
            unsafe { (8 as *mut u8).write_volatile(1) };
            0
        })?;
        Ok(describe(wait(child)?))
    });
    step("code that may not run", || {
        let child = fork(|| {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let flags = MapFlags::PRIVATE;
            // SAFETY: a new mapping at an address of the kernel's choice.
            let Ok(page) = (unsafe { mmap_anonymous(std::ptr::null_mut(), 4096, access, flags) })
            else {
                return 1;
            };
            // SAFETY: faults on the first instruction, which is the point.
            let function = unsafe { std::mem::transmute::<*mut _, extern "C" fn()>(page) };
            function();
            0
        })?;
        Ok(describe(wait(child)?))
    });
    step("abort", || {
        // SAFETY: ends the child.
        let child = fork(|| unsafe { libc::abort() })?;
        Ok(describe(wait(child)?))
    });
    step("exit ends all threads", || {
        Ok(own("threads").status()?.code())
    });
    step("a status is one byte", || {
        // SAFETY: ends the child.
        let child = fork(|| unsafe { libc::_exit(0x1234) })?;
        Ok(describe(wait(child)?))
    });
}

fn waits() {
    step("no child", || {
        Ok(waitpid(None, WaitOptions::empty())?.is_some())
    });
    step("a child that still runs", || {
        let child = fork(|| {
            loop {
                rustix::event::pause();
            }
        })?;
        let found = waitpid(Some(child), WaitOptions::NOHANG)?.is_some();
        kill_process(child, Signal::KILL)?;
        Ok((found, describe(wait(child)?)))
    });
    step("any child", || {
        let child = fork(|| 5)?;
        let (pid, status) = waitpid(None, WaitOptions::empty())?.ok_or(io::ErrorKind::NotFound)?;
        Ok((pid == child, describe(status)))
    });
    step("waitid looks without taking", || {
        let child = fork(|| 4)?;
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let seen = waitid(WaitId::Pid(child), look)?.and_then(|status| status.exit_status());
        Ok((seen, describe(wait(child)?)))
    });
    step("a child is there until it is waited for", || {
        let child = fork(|| 0)?;
        thread::sleep(PAUSE);
        let there = rustix::process::test_kill_process(child).is_ok();
        wait(child)?;
        Ok((there, rustix::process::test_kill_process(child).is_ok()))
    });
    step("a child that has ended has no memory", || {
        let child = fork(|| 0)?;
        waitid(
            WaitId::Pid(child),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        )?;
        let pages = fs::read_to_string(format!("/proc/{}/statm", child.as_raw_nonzero()))?;
        wait(child)?;
        Ok(pages.split(' ').next().map(str::to_owned))
    });
    step("with SIGCHLD ignored children are not kept", || {
        // SAFETY: no handler.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        let child = fork(|| 0)?;
        let result = wait(child).map(describe);
        // SAFETY: no handler.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        result
    });
}

/// This program in a role.
fn own(role: &str) -> Command {
    let mut command = Command::new(std::env::args_os().next().unwrap_or_default());
    command.arg(role);
    command
}

fn output(command: &mut Command) -> io::Result<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

fn programs() {
    step("arguments arrive", || {
        output(own("arguments").args(["", "a b", "\"é\n"]))
    });
    step("many arguments arrive", || {
        let long: Vec<_> = (0..2000).map(|n| format!("argument-{n}")).collect();
        Ok(output(own("arguments").args(long))?.len())
    });
    step("the environment is what was given", || {
        output(own("environment").env_clear().env("PROBE", "value"))
    });
    step("the directory is what was given", || {
        fs::create_dir("below")?;
        output(own("directory").current_dir("below"))
    });
    step("a status comes back", || Ok(own("42").status()?.code()));
    step("input and output through pipes", || {
        let mut child = own("copy")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let bytes = vec![b'x'; 300_000];
        let mut input = child.stdin.take().ok_or(io::ErrorKind::NotFound)?;
        let writer = thread::spawn(move || input.write_all(&bytes));
        let mut received = Vec::new();
        child
            .stdout
            .take()
            .ok_or(io::ErrorKind::NotFound)?
            .read_to_end(&mut received)?;
        drop(writer.join());
        Ok((received.len(), child.wait()?.code()))
    });
    step("output into a file", || {
        let file = fs::File::create("output")?;
        own("arguments").arg("x").stdout(file).status()?;
        fs::read_to_string("output")
    });
    step("descriptors with FD_CLOEXEC are not inherited", || {
        let kept = kept_descriptors();
        let _file = fs::File::open("/dev/null")?;
        let _pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        Ok(output(&mut own("descriptors"))? == kept.to_string())
    });
    step("a descriptor without it is", || {
        let kept = kept_descriptors();
        let _pipe = rustix::pipe::pipe()?;
        Ok(output(&mut own("descriptors"))? == (kept + 2).to_string())
    });
    step("a program that is not there", || {
        Command::new("/no/such/program").status().map(|s| s.code())
    });
    step("a file that may not be run", || {
        fs::write("not-executable", "text")?;
        Command::new("./not-executable").status().map(|s| s.code())
    });
    step("a directory is not a program", || {
        Command::new("./below").status().map(|s| s.code())
    });
    step("a program that runs cannot be written to", || {
        let program = std::env::current_exe()?;
        fs::OpenOptions::new().write(true).open(&program).map(drop)
    });
    step("a program that runs cannot be cut", || {
        let program = CString::new(std::env::current_exe()?.into_os_string().into_vec())?;
        // SAFETY: the path is a string.
        checked(unsafe { libc::truncate(program.as_ptr(), 100) })
    });
    step("a program that is being written cannot be run", || {
        fs::copy(std::env::current_exe()?, "copy")?;
        let _writes = fs::OpenOptions::new().write(true).open("copy")?;
        Command::new("./copy").arg("1").status().map(|s| s.code())
    });
    step("a child that is killed", || {
        let mut child = own("sleep").spawn()?;
        let running = child.try_wait()?.is_none();
        child.kill()?;
        Ok((running, child.wait()?.signal()))
    });
    step("what exec does to signals", signals_over_exec);
}

/// Blocked stays blocked, ignored stays ignored, a handler becomes the default.
fn signals_over_exec() -> io::Result<String> {
    extern "C" fn nothing(_: i32) {}
    let mut command = own("signals");
    let prepare = || {
        // SAFETY: no handler.
        unsafe { libc::signal(libc::SIGUSR2, libc::SIG_IGN) };
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGHUP, nothing as *const () as usize) };
        // SAFETY: all-zero is the empty set.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: `set` is valid for writing.
        unsafe { libc::sigaddset(&raw mut set, libc::SIGUSR1) };
        // SAFETY: `set` is valid.
        checked(unsafe {
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())
        })?;
        Ok(())
    };
    // SAFETY: only calls that are safe between fork and exec.
    unsafe { command.pre_exec(prepare) };
    output(&mut command)
}

fn sharing() {
    step("a file's position is shared", || {
        fs::write("shared", "abcdef")?;
        let mut file = fs::File::open("shared")?;
        let child = fork(|| u8::from((&file).read_exact(&mut [0; 2]).is_ok()))?;
        wait(child)?;
        let mut rest = String::new();
        file.read_to_string(&mut rest)?;
        Ok(rest)
    });
    step(
        "descriptors shared with a child stay open when it ends",
        || {
            let (mut reader, mut writer) = io::pipe()?;
            let mut byte = [0];
            let flags = libc::CLONE_FILES | libc::SIGCHLD;
            // SAFETY: as fork(2), apart from the descriptors; the child ends at once.
            let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as i32;
            if child == 0 {
                // SAFETY: ends the child only.
                unsafe { libc::_exit(0) };
            }
            wait(Pid::from_raw(checked(child)?).ok_or(io::ErrorKind::InvalidData)?)?;
            writer.write_all(b"x")?;
            reader.read_exact(&mut byte)?;
            Ok(byte)
        },
    );
    step("a pipe from child to parent", || {
        let (from, to) = rustix::pipe::pipe()?;
        let child = fork(|| rustix::io::write(&to, b"from the child").unwrap_or(0) as u8)?;
        drop(to);
        let mut bytes = [0; 32];
        let count = rustix::io::read(&from, &mut bytes)?;
        let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
        Ok((
            text,
            describe(wait(child)?),
            rustix::io::read(&from, &mut bytes)?,
        ))
    });
    step("shared memory is shared", || {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; it stays for ever.
        let page = unsafe { mmap_anonymous(std::ptr::null_mut(), 4096, access, MapFlags::SHARED)? };
        let word: *const AtomicU32 = page.cast();
        // SAFETY: mapped, aligned, and zero is a valid value.
        let word = unsafe { &*word };
        let child = fork(|| {
            word.store(77, SeqCst);
            0
        })?;
        wait(child)?;
        Ok(word.load(SeqCst))
    });
    step("a child's directory is its own", || {
        let before = std::env::current_dir()?;
        let child = fork(|| u8::from(std::env::set_current_dir("/").is_ok()))?;
        let status = wait(child)?;
        Ok((describe(status), std::env::current_dir()? == before))
    });
}

fn groups() {
    // A session of our own: whoever started us may lie in another PID namespace, and Linux then says
    // that its session is 0 (pid_namespaces(7)). Fails where we lead one already, as in the guest.
    let _ = setsid();
    step("a child is in its parent's group and session", || {
        let (group, session) = (getpgid(None)?, getsid(None)?);
        let child = fork(|| u8::from(getpgid(None) == Ok(group) && getsid(None) == Ok(session)))?;
        Ok(describe(wait(child)?))
    });
    step("a new session makes its leader", || {
        let child = fork(|| {
            let made = setsid() == Ok(getpid());
            let leads = getpgid(None) == Ok(getpid()) && getsid(None) == Ok(getpid());
            u8::from(made) + 2 * u8::from(leads) + 4 * u8::from(setsid().is_err())
        })?;
        Ok(describe(wait(child)?))
    });
    step("a group is killed as one", || {
        let child = fork(|| {
            let _ = setsid();
            let _ = fork(|| {
                loop {
                    rustix::event::pause();
                }
            });
            let _ = rustix::process::kill_current_process_group(Signal::KILL);
            0
        })?;
        Ok(describe(wait(child)?))
    });
    step("an orphan gets another parent", || {
        let (from, to) = rustix::pipe::pipe()?;
        let child = fork(|| {
            let parent = getpid();
            let _ = fork(|| {
                while getppid() == Some(parent) {
                    thread::sleep(Duration::from_millis(1));
                }
                rustix::io::write(&to, b"adopted").unwrap_or(0) as u8
            });
            0
        })?;
        drop(to);
        wait(child)?;
        let mut bytes = [0; 16];
        Ok(rustix::io::read(&from, &mut bytes)?)
    });
}
