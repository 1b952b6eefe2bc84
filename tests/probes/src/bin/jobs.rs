//! Job control and the finer rules of processes: stopping, continuing, groups, exec.
//!
//! Run with an argument this program is one of its own children.

#![allow(unsafe_code, reason = "calls that no safe library offers, on purpose")]

use probes::{Scratch, checked, step};
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
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
    let _scratch = Scratch::new("jobs")?;
    stops();
    reports();
    groups();
    threads();
    programs();
    Ok(ExitCode::SUCCESS)
}

/// What this program does as a child of itself.
#[allow(
    clippy::print_stdout,
    reason = "a child's output is what the parent prints"
)]
fn child(role: &str, arguments: impl Iterator<Item = String>) -> io::Result<ExitCode> {
    match role {
        "count" => println!("{}", arguments.count()),
        "wait" => {
            println!();
            io::stdin().read_to_string(&mut String::new())?;
        }
        "numbers" => println!("{}", rustix::thread::gettid() == rustix::process::getpid()),
        _ => return Ok(ExitCode::FAILURE),
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `body` in a forked child, whose exit status it gives; returns its number.
fn fork(body: impl FnOnce() -> i32) -> io::Result<i32> {
    // SAFETY: this program has one thread when it forks.
    match checked(unsafe { libc::fork() })? {
        0 => {
            let status = body();
            // SAFETY: ends the child without running what belongs to the parent.
            unsafe { libc::_exit(status) }
        }
        pid => Ok(pid),
    }
}

fn sleeper() -> i32 {
    loop {
        thread::sleep(Duration::from_secs(100));
    }
}

fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: signals a child.
    checked(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// What waitpid(2) tells, in words; `None` if it has nothing to tell.
fn wait(pid: i32, options: i32) -> io::Result<Option<String>> {
    let mut status = 0;
    // SAFETY: `status` lives.
    if checked(unsafe { libc::waitpid(pid, &raw mut status, options) })? == 0 {
        return Ok(None);
    }
    Ok(Some(if libc::WIFEXITED(status) {
        format!("exited {}", libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        format!("killed {}", libc::WTERMSIG(status))
    } else if libc::WIFSTOPPED(status) {
        format!("stopped {}", libc::WSTOPSIG(status))
    } else if libc::WIFCONTINUED(status) {
        "continued".into()
    } else {
        format!("status {status:#x}")
    }))
}

/// Kills a child and takes its status.
fn end(pid: i32) -> io::Result<Option<String>> {
    kill(pid, libc::SIGKILL)?;
    wait(pid, 0)
}

fn stops() {
    step("a child stops, goes on and is killed", || {
        let child = fork(sleeper)?;
        kill(child, libc::SIGSTOP)?;
        let stopped = wait(child, libc::WUNTRACED)?;
        let once = wait(child, libc::WUNTRACED | libc::WNOHANG)?;
        kill(child, libc::SIGCONT)?;
        let continued = wait(child, libc::WCONTINUED)?;
        Ok((stopped, once, continued, end(child)?))
    });
    step("a stopped child does not run", || {
        let counter = shared_counter()?;
        let child = fork(|| {
            loop {
                counter.fetch_add(1, SeqCst);
                thread::sleep(Duration::from_millis(1));
            }
        })?;
        kill(child, libc::SIGSTOP)?;
        wait(child, libc::WUNTRACED)?;
        let before = counter.load(SeqCst);
        thread::sleep(PAUSE);
        let still = counter.load(SeqCst) == before;
        kill(child, libc::SIGCONT)?;
        while counter.load(SeqCst) == before {
            thread::sleep(Duration::from_millis(1));
        }
        Ok((still, end(child)?))
    });
    step("a stopped child is killed", || {
        let child = fork(sleeper)?;
        kill(child, libc::SIGSTOP)?;
        wait(child, libc::WUNTRACED)?;
        // Waits until the child is continued.
        kill(child, libc::SIGTERM)?;
        thread::sleep(PAUSE);
        let pending = wait(child, libc::WNOHANG)?;
        kill(child, libc::SIGCONT)?;
        Ok((pending, wait(child, 0)?))
    });
    step("a handler of SIGCONT", || {
        extern "C" fn leave(_: i32) {
            // SAFETY: allowed in handlers.
            unsafe { libc::_exit(5) }
        }
        let child = fork(|| {
            // SAFETY: installs a handler that only ends the process.
            unsafe { libc::signal(libc::SIGCONT, leave as *const () as usize) };
            // SAFETY: signals itself.
            unsafe { libc::raise(libc::SIGSTOP) };
            sleeper()
        })?;
        let stopped = wait(child, libc::WUNTRACED)?;
        kill(child, libc::SIGCONT)?;
        Ok((stopped, wait(child, 0)?))
    });
    step(
        "a terminal's stop in a group that someone can continue",
        || {
            let child = fork(|| tstp_in(|| rustix::process::setpgid(None, None).is_ok()))?;
            Ok((wait(child, libc::WUNTRACED)?, end(child)?))
        },
    );
    step("and in one that nobody can", || {
        let child = fork(|| tstp_in(|| rustix::process::setsid().is_ok()))?;
        wait(child, libc::WUNTRACED)
    });
}

/// Sends itself SIGTSTP after `place`.
fn tstp_in(place: impl FnOnce() -> bool) -> i32 {
    if !place() {
        return 1;
    }
    // SAFETY: signals itself.
    unsafe { libc::raise(libc::SIGTSTP) };
    3
}

/// A number that forked children share.
fn shared_counter() -> io::Result<&'static AtomicU32> {
    let (access, kind) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
    );
    // SAFETY: a new mapping, never taken away.
    let place = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, kind, -1, 0) };
    if place == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: aligned, zeroed, and mapped for good.
    Ok(unsafe { &*place.cast::<AtomicU32>() })
}

/// Blocks SIGCHLD, with a handler so that it is not ignored, and `flags`.
fn hold_child_signals(flags: i32) -> io::Result<()> {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: all-zero is a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    action.sa_flags = flags;
    // SAFETY: the action lives.
    checked(unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, std::ptr::null_mut()) })?;
    let set = child_signal();
    // SAFETY: the set lives.
    checked(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) })?;
    Ok(())
}

fn child_signal() -> libc::sigset_t {
    // SAFETY: all-zero is the empty set.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: the set lives.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGCHLD) };
    set
}

/// Code and status of the next SIGCHLD, if it comes within a while.
fn next_child_signal(patience: Duration) -> io::Result<(i32, i32)> {
    let set = child_signal();
    let time = libc::timespec {
        tv_sec: patience.as_secs().cast_signed(),
        tv_nsec: patience.subsec_nanos().into(),
    };
    // SAFETY: all-zero is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: all three live.
    checked(unsafe { libc::sigtimedwait(&raw const set, &raw mut info, &raw const time) })?;
    // SAFETY: SIGCHLD carries a status.
    Ok((info.si_code, unsafe { info.si_status() }))
}

fn reports() {
    const LONG: Duration = Duration::from_secs(10);
    step("SIGCHLD tells of stop, continuation and end", || {
        hold_child_signals(0)?;
        let child = fork(sleeper)?;
        let mut told = Vec::new();
        for signal in [libc::SIGSTOP, libc::SIGCONT, libc::SIGTERM] {
            kill(child, signal)?;
            told.push(next_child_signal(LONG)?);
        }
        wait(child, 0)?;
        Ok(told)
    });
    step("with SA_NOCLDSTOP of the end only", || {
        hold_child_signals(libc::SA_NOCLDSTOP)?;
        let child = fork(sleeper)?;
        kill(child, libc::SIGSTOP)?;
        wait(child, libc::WUNTRACED)?;
        let stop = next_child_signal(PAUSE).map_err(|error| probes::error_name(&error));
        end(child)?;
        Ok((stop, next_child_signal(LONG)?))
    });
    step("waitid for nothing", || {
        // SAFETY: all-zero is valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the information lives.
        checked(unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WNOHANG) })
    });
    step("waitpid with an unknown option", || wait(-1, 0x10));
    step(
        "the time of children counts when they are waited for",
        || {
            let before = children_time()?;
            let child = fork(|| {
                while own_time() < PAUSE {
                    std::hint::spin_loop();
                }
                0
            })?;
            wait(child, 0)?;
            Ok(children_time()? - before >= PAUSE / 2)
        },
    );
    step("a broken pipe kills", || {
        let child = fork(|| {
            let Ok((reader, writer)) = rustix::pipe::pipe() else {
                return 1;
            };
            drop(reader);
            // SAFETY: back to the default, which Rust changes.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            rustix::io::write(&writer, b"x").map_or(2, |_| 3)
        })?;
        wait(child, 0)
    });
}

/// Processor time of this process.
fn own_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

fn children_time() -> io::Result<Duration> {
    // SAFETY: all-zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives.
    checked(unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) })?;
    let of = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.cast_unsigned())
            + Duration::from_micros(time.tv_usec.cast_unsigned())
    };
    Ok(of(usage.ru_utime) + of(usage.ru_stime))
}

fn groups() {
    // SAFETY: changes groups only.
    let setpgid = |pid, group| checked(unsafe { libc::setpgid(pid, group) });
    step("a child gets a group of its own", || {
        let child = fork(sleeper)?;
        setpgid(child, 0)?;
        // SAFETY: only asks.
        let group = unsafe { libc::getpgid(child) };
        kill(-child, libc::SIGTERM)?;
        Ok((group == child, wait(-child, 0)?))
    });
    step("no group of nobody", || {
        let child = fork(sleeper)?;
        let result = setpgid(child, child + 10_000);
        end(child)?;
        result
    });
    step("no other group for a session's leader", || {
        let child = fork(|| {
            // SAFETY: makes a session.
            unsafe { libc::setsid() };
            i32::from(setpgid(0, 0).is_err_and(|e| e.raw_os_error() == Some(libc::EPERM)))
        })?;
        wait(child, 0)
    });
    step("no group for a stranger", || {
        let child = fork(|| {
            // SAFETY: only asks.
            let parent = unsafe { libc::getppid() };
            i32::from(setpgid(parent, 0).is_err_and(|e| e.raw_os_error() == Some(libc::ESRCH)))
        })?;
        wait(child, 0)
    });
    step("nor for a child that runs another program", || {
        let mut child = own("wait")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut String::new())?;
        }
        let result = setpgid(child.id().cast_signed(), 0);
        child.wait()?;
        result
    });
    step("a signal to a group of nobody", || kill(-(1 << 22), 0));
}

fn threads() {
    step("the first thread ends before the others", || {
        let child = fork(|| {
            thread::spawn(|| {
                thread::sleep(PAUSE);
                // SAFETY: ends the process.
                unsafe { libc::_exit(9) }
            });
            // SAFETY: ends this thread only.
            unsafe { libc::syscall(libc::SYS_exit, 4) };
            0
        })?;
        wait(child, 0)
    });
    step("a program started by another thread has one number", || {
        let program = std::env::current_exe()?;
        let (reader, writer) = io::pipe()?;
        let child = fork(|| {
            let starter = thread::spawn(move || {
                use std::os::unix::process::CommandExt as _;
                Command::new(program).arg("numbers").stdout(writer).exec()
            });
            let _ = starter.join();
            1
        })?;
        let mut said = String::new();
        // The parent's copy of the pipe's end went with the closure.
        BufReader::new(reader).read_line(&mut said)?;
        Ok((said, wait(child, 0)?))
    });
}

/// This program, for a role.
fn own(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_default());
    command.arg(role);
    command
}

/// An executable file of this content; returns how it runs.
fn run_file(name: &str, content: &str) -> io::Result<String> {
    fs::write(name, content)?;
    fs::set_permissions(name, fs::Permissions::from_mode(0o755))?;
    let output = Command::new(format!("./{name}")).arg("one").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn programs() {
    step(
        "a script's interpreter gets argument, path and the rest",
        || {
            // Short, as a script's first line has a limit.
            std::os::unix::fs::symlink(std::env::current_exe()?, "/tmp/probe-jobs")?;
            let result = run_file("script", "#! /tmp/probe-jobs  count \n");
            fs::remove_file("/tmp/probe-jobs")?;
            result
        },
    );
    step("a script without an interpreter", || {
        run_file("lost", "#!/nonexistent\n")
    });
    step("a script that is its own interpreter", || {
        run_file("loop", "#!./loop\n")
    });
    step("a file that is no program", || {
        run_file("text", "no program")
    });
    step("an empty file", || run_file("empty", ""));
    step("too many arguments", || {
        let long = "x".repeat(100_000);
        own("count")
            .args(std::iter::repeat_n(long, 100))
            .output()
            .map(drop)
    });
    step("an argument that is too long", || {
        own("count").arg("x".repeat(200_000)).output().map(drop)
    });
}
