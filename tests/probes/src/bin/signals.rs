//! Signals: handlers, masks, waiting, faults, and what a handler must not disturb.

#![allow(unsafe_code, reason = "calls that no safe library offers, on purpose")]

use probes::{checked, step};
use std::ffi::c_void;
use std::hint::black_box;
use std::io;
use std::mem::zeroed;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// What the last handler saw.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static SIGNAL: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static SENDER: AtomicI32 = AtomicI32::new(0);
static ADDRESS: AtomicU64 = AtomicU64::new(0);
static STACK: AtomicU64 = AtomicU64::new(0);
static DEPTH: AtomicUsize = AtomicUsize::new(0);
static DEEPEST: AtomicUsize = AtomicUsize::new(0);

const PAGE: usize = 4096;
const PAUSE: Duration = Duration::from_millis(30);

fn main() {
    handlers();
    masks();
    interrupted_calls();
    waiting();
    faults();
    registers();
    errors();
}

type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);

extern "C" fn record(signal: i32, info: *mut libc::siginfo_t, _: *mut c_void) {
    let local = 0_u8;
    STACK.store((&raw const local).addr() as u64, SeqCst);
    SIGNAL.store(signal, SeqCst);
    // SAFETY: the kernel gives a valid pointer to a handler with SA_SIGINFO.
    let info = unsafe { &*info };
    CODE.store(info.si_code, SeqCst);
    // SAFETY: a signal of a sender has this field; of others it is only printed as a relation.
    SENDER.store(unsafe { info.si_pid() }, SeqCst);
    COUNT.fetch_add(1, SeqCst);
}

extern "C" fn raise_again_once(signal: i32, _: *mut libc::siginfo_t, _: *mut c_void) {
    let depth = DEPTH.fetch_add(1, SeqCst) + 1;
    DEEPEST.fetch_max(depth, SeqCst);
    if COUNT.fetch_add(1, SeqCst) == 0 {
        send_self(signal);
    }
    DEPTH.fetch_sub(1, SeqCst);
}

/// Makes the page at the fault's address accessible, so that the instruction succeeds.
extern "C" fn repair(_: i32, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel gives a valid pointer to a handler with SA_SIGINFO.
    let info = unsafe { &*info };
    // SAFETY: a fault has an address.
    let address = unsafe { info.si_addr() };
    ADDRESS.store(address.addr() as u64, SeqCst);
    CODE.store(info.si_code, SeqCst);
    let page = address.map_addr(|address| address & !(PAGE - 1));
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the page is the step's own mapping.
    unsafe { libc::mprotect(page, PAGE, access) };
}

/// Skips the two bytes of `ud2` in the interrupted code.
extern "C" fn skip_instruction(signal: i32, _: *mut libc::siginfo_t, context: *mut c_void) {
    SIGNAL.store(signal, SeqCst);
    let context: *mut libc::ucontext_t = context.cast();
    // SAFETY: the kernel gives a valid pointer to a handler with SA_SIGINFO.
    let context = unsafe { &mut *context };
    context.uc_mcontext.gregs[libc::REG_RIP as usize] += 2;
}

/// Uses vector and other registers heavily.
extern "C" fn disturb(_: i32, _: *mut libc::siginfo_t, _: *mut c_void) {
    let values: [f64; 16] = std::array::from_fn(|n| black_box(n as f64 + 0.5));
    black_box(values.iter().map(|value| value.sqrt()).product::<f64>());
    COUNT.fetch_add(1, SeqCst);
}

fn install(signal: i32, handler: Handler, flags: i32) -> io::Result<()> {
    // SAFETY: all-zero is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = flags | libc::SA_SIGINFO;
    COUNT.store(0, SeqCst);
    // SAFETY: the handler only uses atomics and calls that are safe in handlers.
    checked(unsafe { libc::sigaction(signal, &raw const action, null_mut()) }).map(drop)
}

fn install_default(signal: i32, disposition: usize) -> io::Result<()> {
    // SAFETY: all-zero is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = disposition;
    // SAFETY: no handler.
    checked(unsafe { libc::sigaction(signal, &raw const action, null_mut()) }).map(drop)
}

fn send_self(signal: i32) {
    // SAFETY: the signal goes to this thread; its handler is installed.
    unsafe { libc::raise(signal) };
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: all-zero is the empty set.
    let mut set: libc::sigset_t = unsafe { zeroed() };
    for &signal in signals {
        // SAFETY: `set` is valid for writing.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    set
}

fn change_mask(how: i32, signals: &[i32]) -> io::Result<()> {
    let set = set_of(signals);
    // SAFETY: `set` is valid; the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(how, &raw const set, null_mut()) } {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

fn is_pending(signal: i32) -> io::Result<bool> {
    let mut set = set_of(&[]);
    // SAFETY: `set` is valid for writing.
    checked(unsafe { libc::sigpending(&raw mut set) })?;
    // SAFETY: `set` is valid.
    Ok(unsafe { libc::sigismember(&raw const set, signal) } == 1)
}

fn own_pid() -> i32 {
    std::process::id().cast_signed()
}

fn handlers() {
    step("a handler sees signal, code and sender", || {
        install(libc::SIGUSR1, record, 0)?;
        // SAFETY: the signal goes to this process; its handler is installed.
        checked(unsafe { libc::kill(own_pid(), libc::SIGUSR1) })?;
        let sender = SENDER.load(SeqCst) == own_pid();
        Ok((
            COUNT.load(SeqCst),
            SIGNAL.load(SeqCst),
            CODE.load(SeqCst),
            sender,
        ))
    });
    step("a signal to a thread has its own code", || {
        send_self(libc::SIGUSR1);
        Ok((COUNT.load(SeqCst), CODE.load(SeqCst)))
    });
    step("a handler is not interrupted by its own signal", || {
        install(libc::SIGUSR1, raise_again_once, 0)?;
        DEEPEST.store(0, SeqCst);
        send_self(libc::SIGUSR1);
        Ok((COUNT.load(SeqCst), DEEPEST.load(SeqCst)))
    });
    step("with SA_NODEFER it is", || {
        install(libc::SIGUSR1, raise_again_once, libc::SA_NODEFER)?;
        DEEPEST.store(0, SeqCst);
        send_self(libc::SIGUSR1);
        Ok((COUNT.load(SeqCst), DEEPEST.load(SeqCst)))
    });
    step("with SA_RESETHAND it runs once", || {
        install(libc::SIGURG, record, libc::SA_RESETHAND)?;
        send_self(libc::SIGURG);
        send_self(libc::SIGURG);
        Ok(COUNT.load(SeqCst))
    });
    step("an ignored signal does nothing", || {
        install(libc::SIGUSR2, record, 0)?;
        install_default(libc::SIGUSR2, libc::SIG_IGN)?;
        send_self(libc::SIGUSR2);
        Ok(COUNT.load(SeqCst))
    });
    step("an alternate stack is used", alternate_stack);
}

fn alternate_stack() -> io::Result<(bool, bool)> {
    let memory = vec![0_u8; 64 << 10].leak();
    // SAFETY: all-zero is a valid `stack_t`.
    let (mut stack, mut old): (libc::stack_t, libc::stack_t) = unsafe { zeroed() };
    stack.ss_sp = memory.as_mut_ptr().cast();
    stack.ss_size = memory.len();
    // SAFETY: the memory is leaked, so it stays; `old` is valid for writing.
    checked(unsafe { libc::sigaltstack(&raw const stack, &raw mut old) })?;
    let range = memory.as_ptr().addr() as u64..memory.as_ptr_range().end.addr() as u64;
    install(libc::SIGUSR1, record, libc::SA_ONSTACK)?;
    send_self(libc::SIGUSR1);
    let with = range.contains(&STACK.load(SeqCst));
    install(libc::SIGUSR1, record, 0)?;
    send_self(libc::SIGUSR1);
    let without = range.contains(&STACK.load(SeqCst));
    // SAFETY: the stack before.
    checked(unsafe { libc::sigaltstack(&raw const old, null_mut()) })?;
    Ok((with, without))
}

fn masks() {
    step("a blocked signal waits", || {
        install(libc::SIGUSR1, record, 0)?;
        change_mask(libc::SIG_BLOCK, &[libc::SIGUSR1])?;
        send_self(libc::SIGUSR1);
        let (count, pending) = (COUNT.load(SeqCst), is_pending(libc::SIGUSR1)?);
        change_mask(libc::SIG_UNBLOCK, &[libc::SIGUSR1])?;
        Ok((
            count,
            pending,
            COUNT.load(SeqCst),
            is_pending(libc::SIGUSR1)?,
        ))
    });
    step("a blocked signal is kept once", || {
        install(libc::SIGUSR1, record, 0)?;
        change_mask(libc::SIG_BLOCK, &[libc::SIGUSR1])?;
        (0..5).for_each(|_| send_self(libc::SIGUSR1));
        change_mask(libc::SIG_UNBLOCK, &[libc::SIGUSR1])?;
        Ok(COUNT.load(SeqCst))
    });
    step("a blocked real-time signal is kept each time", || {
        let signal = libc::SIGRTMIN() + 3;
        install(signal, record, 0)?;
        change_mask(libc::SIG_BLOCK, &[signal])?;
        (0..5).for_each(|_| send_self(signal));
        change_mask(libc::SIG_UNBLOCK, &[signal])?;
        Ok(COUNT.load(SeqCst))
    });
    step("a thread that does not block gets the signal", || {
        install(libc::SIGUSR1, record, 0)?;
        let other = thread::spawn(|| {
            let start = std::time::Instant::now();
            while COUNT.load(SeqCst) == 0 && start.elapsed() < Duration::from_secs(5) {
                thread::sleep(Duration::from_millis(1));
            }
        });
        change_mask(libc::SIG_BLOCK, &[libc::SIGUSR1])?;
        // SAFETY: the signal goes to this process; its handler is installed.
        checked(unsafe { libc::kill(own_pid(), libc::SIGUSR1) })?;
        drop(other.join());
        change_mask(libc::SIG_UNBLOCK, &[libc::SIGUSR1])?;
        Ok(COUNT.load(SeqCst))
    });
    step("a new thread inherits the mask", || {
        change_mask(libc::SIG_BLOCK, &[libc::SIGUSR2])?;
        let inherited = thread::spawn(|| {
            let mut set = set_of(&[]);
            // SAFETY: `set` is valid for writing.
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, null(), &raw mut set) };
            // SAFETY: `set` is valid.
            unsafe { libc::sigismember(&raw const set, libc::SIGUSR2) }
        });
        change_mask(libc::SIG_UNBLOCK, &[libc::SIGUSR2])?;
        inherited
            .join()
            .map_err(|_| io::Error::other("the thread panicked"))
    });
}

/// Sends SIGUSR1 to this thread while `call` waits.
fn while_signalled<T>(call: impl FnOnce() -> T) -> T {
    // SAFETY: no preconditions.
    let target = unsafe { libc::pthread_self() };
    let sender = thread::spawn(move || {
        thread::sleep(PAUSE);
        // SAFETY: the target waits for this thread below.
        unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
        thread::sleep(PAUSE);
    });
    let result = call();
    drop(sender.join());
    result
}

fn read_late(flags: i32) -> io::Result<usize> {
    install(libc::SIGUSR1, record, flags)?;
    let (from, to) = rustix::pipe::pipe()?;
    let writer = thread::spawn(move || {
        thread::sleep(PAUSE * 4);
        rustix::io::write(&to, b"abc").map(|_| to)
    });
    let result = while_signalled(|| rustix::io::read(&from, &mut [0; 8]));
    drop(writer.join());
    Ok(result?)
}

/// Reads from /dev/zero into one place again and again, 2 GiB in all; whether a signal ended it.
fn long_read_ends_early() -> io::Result<bool> {
    const PART: usize = 2 << 20;
    let zero = std::fs::File::open("/dev/zero")?;
    let mut buffer = vec![0_u8; PART];
    let parts = [libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: PART,
    }; 1000];
    let fd = std::os::fd::AsRawFd::as_raw_fd(&zero);
    // SAFETY: all parts are the buffer, which is written to by this call only.
    let count = unsafe { libc::readv(fd, parts.as_ptr(), 1000) };
    Ok(count < 1000 * PART as isize)
}

fn interrupted_calls() {
    step("a long read ends early", || {
        install(libc::SIGUSR1, record, 0)?;
        // SAFETY: only asks.
        let reader = unsafe { libc::pthread_self() };
        let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let over = done.clone();
        let sender = thread::spawn(move || {
            while !over.load(SeqCst) {
                // SAFETY: the reader waits for this thread.
                unsafe { libc::pthread_kill(reader, libc::SIGUSR1) };
                thread::sleep(Duration::from_millis(1));
            }
        });
        let early = long_read_ends_early();
        done.store(true, SeqCst);
        sender.join().map_err(|_| io::ErrorKind::Other)?;
        early
    });
    step("a read without SA_RESTART", || read_late(0));
    step("a read with SA_RESTART", || read_late(libc::SA_RESTART));
    step("a poll is never restarted", || {
        install(libc::SIGUSR1, record, libc::SA_RESTART)?;
        let (from, _to) = rustix::pipe::pipe()?;
        let mut entries = [rustix::event::PollFd::new(
            &from,
            rustix::event::PollFlags::IN,
        )];
        Ok(while_signalled(|| rustix::event::poll(&mut entries, None))?)
    });
    step("a sleep tells what is left", || {
        install(libc::SIGUSR1, record, 0)?;
        let asked = rustix::time::Timespec {
            tv_sec: 5,
            tv_nsec: 0,
        };
        match while_signalled(|| rustix::thread::nanosleep(&asked)) {
            rustix::thread::NanosleepRelativeResult::Interrupted(left) => {
                Ok((3..5).contains(&left.tv_sec))
            }
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    });
    step("pause ends after a handler", || {
        install(libc::SIGUSR1, record, 0)?;
        while_signalled(rustix::event::pause);
        Ok(COUNT.load(SeqCst))
    });
}

fn waiting() {
    let signal = libc::SIGRTMIN() + 4;
    step("sigsuspend lets a signal in", || {
        install(libc::SIGUSR1, record, 0)?;
        change_mask(libc::SIG_BLOCK, &[libc::SIGUSR1])?;
        send_self(libc::SIGUSR1);
        let open = set_of(&[]);
        // SAFETY: `open` is valid.
        let result = checked(unsafe { libc::sigsuspend(&raw const open) });
        let blocked_again = {
            send_self(libc::SIGUSR1);
            is_pending(libc::SIGUSR1)?
        };
        change_mask(libc::SIG_UNBLOCK, &[libc::SIGUSR1])?;
        Ok((
            result.map_err(|error| probes::error_name(&error)),
            blocked_again,
            COUNT.load(SeqCst),
        ))
    });
    step("sigtimedwait takes a signal with its value", || {
        change_mask(libc::SIG_BLOCK, &[signal])?;
        let value = libc::sigval {
            sival_ptr: 1234 as *mut c_void,
        };
        // SAFETY: the signal goes to this process, which blocks it.
        checked(unsafe { libc::sigqueue(own_pid(), signal, value) })?;
        let (taken, info) = timed_wait(&[signal], Duration::from_secs(1))?;
        // SAFETY: a queued signal has a value.
        let value = unsafe { info.si_value() };
        Ok((taken == signal, info.si_code, value.sival_ptr.addr()))
    });
    step("sigtimedwait ends with its time", || {
        timed_wait(&[signal], PAUSE).map(|(taken, _)| taken)
    });
    step("signals come in the order of their numbers", || {
        let signals = [signal + 2, signal, signal + 1];
        change_mask(libc::SIG_BLOCK, &signals)?;
        signals.iter().for_each(|&number| send_self(number));
        let mut order = [0; 3];
        for place in &mut order {
            *place = timed_wait(&signals, Duration::from_secs(1))?.0 - signal;
        }
        Ok(order)
    });
}

fn timed_wait(signals: &[i32], time: Duration) -> io::Result<(i32, libc::siginfo_t)> {
    let set = set_of(signals);
    let time = libc::timespec {
        tv_sec: time.as_secs().cast_signed(),
        tv_nsec: time.subsec_nanos().into(),
    };
    // SAFETY: all-zero is a valid `siginfo_t`.
    let mut info: libc::siginfo_t = unsafe { zeroed() };
    // SAFETY: all three are valid.
    let taken =
        checked(unsafe { libc::sigtimedwait(&raw const set, &raw mut info, &raw const time) })?;
    Ok((taken, info))
}

fn faults() {
    step(
        "a write to protected memory is repaired and done again",
        || {
            install(libc::SIGSEGV, repair, 0)?;
            let access = rustix::mm::ProtFlags::READ;
            let page = protected_page(access)?;
            let place = page.wrapping_add(123);
            // SAFETY: the handler makes the page writable.
            unsafe { place.write_volatile(7) };
            // SAFETY: readable from the start.
            let value = unsafe { place.read_volatile() };
            Ok((
                value,
                ADDRESS.load(SeqCst) == place.addr() as u64,
                CODE.load(SeqCst),
            ))
        },
    );
    step("a read of memory without access likewise", || {
        let page = protected_page(rustix::mm::ProtFlags::empty())?;
        // SAFETY: the handler makes the page readable.
        let value = unsafe { page.wrapping_add(9).read_volatile() };
        Ok((
            value,
            ADDRESS.load(SeqCst) == page.addr() as u64 + 9,
            CODE.load(SeqCst),
        ))
    });
    step("an illegal instruction is skipped", || {
        install(libc::SIGILL, skip_instruction, 0)?;
        // SAFETY: the handler continues after the instruction.
        unsafe { std::arch::asm!("ud2", options(nostack)) };
        Ok(SIGNAL.load(SeqCst))
    });
    step("a breakpoint", || {
        install(libc::SIGTRAP, record, 0)?;
        // SAFETY: the handler returns to after the instruction.
        unsafe { std::arch::asm!("int3", options(nostack)) };
        Ok(SIGNAL.load(SeqCst))
    });
    step("a division by zero", || {
        install(libc::SIGFPE, skip_instruction, 0)?;
        // SAFETY: the handler continues after the two bytes of `div ecx`.
        unsafe {
            std::arch::asm!("xor edx, edx", "xor ecx, ecx", "div ecx",
                out("eax") _, out("ecx") _, out("edx") _, options(nostack));
        }
        Ok(SIGNAL.load(SeqCst))
    });
}

fn protected_page(access: rustix::mm::ProtFlags) -> io::Result<*mut u8> {
    // SAFETY: a new mapping at an address of the kernel's choice; it stays for ever.
    let page = unsafe {
        rustix::mm::mmap_anonymous(null_mut(), PAGE, access, rustix::mm::MapFlags::PRIVATE)?
    };
    Ok(page.cast())
}

fn registers() {
    step("handlers leave vector registers alone", || {
        install(libc::SIGUSR1, disturb, 0)?;
        // SAFETY: no preconditions.
        let target = unsafe { libc::pthread_self() };
        let sender = thread::spawn(move || {
            for _ in 0..200 {
                // SAFETY: the target waits for this thread below.
                unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
                thread::sleep(Duration::from_micros(200));
            }
        });
        let mut wrong = 0_u32;
        while !sender.is_finished() {
            wrong += u32::from(sums_differ());
        }
        drop(sender.join());
        Ok((wrong, COUNT.load(SeqCst) > 0))
    });
}

/// Computes the same sum twice in vector registers.
fn sums_differ() -> bool {
    let sum = || {
        (0..1000)
            .map(|n| f64::from(black_box(n)) * 1.25)
            .sum::<f64>()
    };
    sum().to_bits() != sum().to_bits()
}

fn errors() {
    step("signal 0 to oneself", || {
        // SAFETY: signal 0 only checks.
        checked(unsafe { libc::kill(own_pid(), 0) })
    });
    step("a signal to nobody", || {
        // SAFETY: there is no such process.
        checked(unsafe { libc::kill(0x3fff_fff0, libc::SIGTERM) })
    });
    step("a signal that does not exist", || {
        // SAFETY: refused before anything is sent.
        checked(unsafe { libc::kill(own_pid(), 65) })
    });
    step("a handler for SIGKILL", || {
        install(libc::SIGKILL, record, 0)
    });
    step("SIGKILL cannot be blocked", || {
        change_mask(libc::SIG_BLOCK, &[libc::SIGKILL])?;
        let mut set = set_of(&[]);
        // SAFETY: `set` is valid for writing.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, null(), &raw mut set) };
        // SAFETY: `set` is valid.
        Ok(unsafe { libc::sigismember(&raw const set, libc::SIGKILL) })
    });
    step("an alternate stack that is too small", || {
        let mut memory = [0_u8; 64];
        // SAFETY: all-zero is a valid `stack_t`.
        let mut stack: libc::stack_t = unsafe { zeroed() };
        stack.ss_sp = memory.as_mut_ptr().cast();
        stack.ss_size = memory.len();
        // SAFETY: refused before it is used.
        checked(unsafe { libc::sigaltstack(&raw const stack, null_mut()) })
    });
}
