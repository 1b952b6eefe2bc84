//! Signals: sending, masks, and running handlers (signal(7)).

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_abi::Errno;
use linux_abi::layout::{
    FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2, FpSwBytes, Layout, RtSigFrame, SW_BYTES_OFFSET, SigAction,
    SigContext, SigFramePlace, SigInfo, StackT, UC_FP_XSTATE, UC_SIGCONTEXT_SS,
    UC_STRICT_RESTORE_SS, UContext,
};
use linux_abi::raw::general as raw;
use machine::cpu::{FpuState, UserContext, features};
use vfs::Events;

use super::run::Interrupted;
use super::{Process, Task, exit};
use crate::console;
use crate::memory::Memory;

/// Signals 1 to 64, bit n-1 for signal n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SignalSet(pub u64);

/// Length of the instruction that makes a system call.
const SYSCALL_LENGTH: u64 = 2;
/// Most signals waiting for one target.
const MAX_QUEUED: usize = 1024;
/// First real-time signal; from here on each sent signal is queued.
const FIRST_REALTIME: i32 = 32;

const SA_NODEFER: u64 = raw::SA_NODEFER as u64;
const SA_ONSTACK: u64 = raw::SA_ONSTACK as u64;
const SA_RESETHAND: u64 = raw::SA_RESETHAND as u64;
const SA_RESTART: u64 = raw::SA_RESTART as u64;
const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;

impl SignalSet {
    /// The set of one signal.
    pub(crate) fn of(signal: i32) -> Self {
        Self(1 << ((signal - 1) & 63))
    }

    /// Whether the signal is in the set.
    pub(crate) fn contains(self, signal: i32) -> bool {
        self.0 & Self::of(signal).0 != 0
    }

    /// Without SIGKILL and SIGSTOP, which cannot be blocked.
    pub(crate) fn blockable(self) -> Self {
        let fixed = Self::of(raw::SIGKILL as i32).0 | Self::of(raw::SIGSTOP as i32).0;
        Self(self.0 & !fixed)
    }
}

/// The alternate signal stack of a thread (sigaltstack(2)).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AlternateStack {
    /// Lowest address.
    pub base: u64,
    /// Size in bytes; 0 if there is none.
    pub size: u64,
}

impl AlternateStack {
    /// Whether `stack` points into it.
    pub(crate) fn holds(&self, stack: u64) -> bool {
        stack > self.base && stack - self.base <= self.size
    }

    fn as_layout(&self, stack: u64) -> StackT {
        let flags = match (self.size, self.holds(stack)) {
            (0, _) => raw::SS_DISABLE,
            (_, true) => raw::SS_ONSTACK,
            _ => 0,
        };
        StackT {
            ss_sp: self.base,
            ss_flags: flags as i32,
            ss_size: self.size,
        }
    }
}

/// Signals that wait to be handled.
#[derive(Default)]
struct Pending {
    queue: Vec<SigInfo>,
}

impl Pending {
    fn set(&self) -> SignalSet {
        SignalSet(
            self.queue
                .iter()
                .fold(0, |set, info| set | SignalSet::of(info.si_signo).0),
        )
    }

    fn push(&mut self, info: SigInfo) {
        let known = info.si_signo < FIRST_REALTIME && self.set().contains(info.si_signo);
        if !known && self.queue.len() < MAX_QUEUED {
            self.queue.push(info);
        }
    }

    fn forget(&mut self, which: impl Fn(i32) -> bool) {
        self.queue.retain(|info| !which(info.si_signo));
    }

    /// Takes the waiting signal with the lowest number in `wanted`.
    fn take(&mut self, wanted: SignalSet) -> Option<SigInfo> {
        let candidates = self
            .queue
            .iter()
            .enumerate()
            .filter(|(_, i)| wanted.contains(i.si_signo));
        let (index, _) = candidates.min_by_key(|(_, info)| info.si_signo)?;
        Some(self.queue.remove(index))
    }
}

/// The signal state of a thread.
#[derive(Default)]
pub(super) struct TaskSignals {
    pub(super) blocked: SignalSet,
    /// What to go back to after a call that changed the mask while it waited (sigsuspend(2)).
    saved: Option<SignalSet>,
    pending: Pending,
    pub(super) stack: AlternateStack,
}

impl TaskSignals {
    /// What a new thread or process starts with.
    pub(super) fn inherit(blocked: SignalSet, stack: AlternateStack) -> Self {
        Self {
            blocked,
            stack,
            ..Self::default()
        }
    }
}

/// The signal state that the threads of a process share.
pub(super) struct ProcessSignals {
    actions: [SigAction; 64],
    pending: Pending,
}

impl Default for ProcessSignals {
    fn default() -> Self {
        Self {
            actions: [SigAction::default(); 64],
            pending: Pending::default(),
        }
    }
}

impl ProcessSignals {
    /// For a forked process: the same actions, nothing pending.
    pub(super) fn fork(&self) -> Self {
        Self {
            actions: self.actions,
            pending: Pending::default(),
        }
    }

    /// For a new program: handlers are gone, ignored signals stay ignored.
    pub(super) fn reset_handlers(&mut self) {
        for action in &mut self.actions {
            if action.sa_handler_kernel != SIG_IGN {
                *action = SigAction::default();
            }
        }
    }

    fn action(&self, signal: i32) -> SigAction {
        self.actions[((signal - 1) & 63) as usize]
    }

    fn ignores(&self, signal: i32) -> bool {
        match self.action(signal).sa_handler_kernel {
            SIG_IGN => true,
            SIG_DFL => default_action(signal) == DefaultAction::Ignore,
            _ => false,
        }
    }
}

#[derive(PartialEq, Eq)]
enum DefaultAction {
    Ignore,
    Terminate,
    Stop,
}

/// The default action of a signal (signal(7)). Nothing dumps core, as with `RLIMIT_CORE` 0.
fn default_action(signal: i32) -> DefaultAction {
    match signal as u32 {
        raw::SIGCHLD | raw::SIGURG | raw::SIGWINCH | raw::SIGCONT => DefaultAction::Ignore,
        raw::SIGSTOP | raw::SIGTSTP | raw::SIGTTIN | raw::SIGTTOU => DefaultAction::Stop,
        _ => DefaultAction::Terminate,
    }
}

/// Who gets a signal.
#[derive(Clone, Copy)]
pub(crate) enum SignalTarget<'a> {
    /// Any thread of a process that does not block it.
    Process(&'a Process),
    /// One thread.
    Task(&'a Task),
}

/// Sends a signal; ignored ones vanish unless they are blocked.
pub(crate) fn send_signal(target: SignalTarget<'_>, info: SigInfo) {
    let signal = info.si_signo;
    let process = match target {
        SignalTarget::Process(process) => process,
        SignalTarget::Task(task) => task.process(),
    };
    if signal as u32 == raw::SIGKILL {
        exit::end_process(process, raw::SIGKILL);
        return;
    }
    match default_action(signal) {
        DefaultAction::Stop => process.forget_pending(|other| other as u32 == raw::SIGCONT),
        // Continues even if it is blocked, ignored or handled.
        _ if signal as u32 == raw::SIGCONT => {
            process.forget_pending(|other| default_action(other) == DefaultAction::Stop);
            process.resume();
        }
        _ => {}
    }
    let takes = |task: &Arc<Task>| !task.signals.lock().blocked.contains(signal);
    let ignored = process.signals.lock().ignores(signal);
    if ignored && process.threads().iter().all(takes) {
        return;
    }
    match target {
        SignalTarget::Task(task) => {
            task.signals.lock().pending.push(info);
            task.interrupt();
        }
        SignalTarget::Process(_) => {
            process.signals.lock().pending.push(info);
            let threads = process.threads();
            let taker = threads.iter().find(|&task| takes(task));
            if let Some(task) = taker.or(threads.first()) {
                task.interrupt();
            }
        }
    }
    process.changed.wake(Events::IN);
}

/// Sends a signal that a fault caused: it cannot be blocked or ignored.
pub(super) fn force(task: &Arc<Task>, context: &UserContext, info: SigInfo) {
    let signal = info.si_signo;
    {
        let mut shared = task.process().signals.lock();
        let mut own = task.signals.lock();
        let blocked = own.blocked.contains(signal);
        if blocked || shared.action(signal).sa_handler_kernel == SIG_IGN {
            shared.actions[((signal - 1) & 63) as usize] = SigAction::default();
            own.blocked.0 &= !SignalSet::of(signal).0;
        }
        own.pending.push(info);
    }
    if task
        .process()
        .signals
        .lock()
        .action(signal)
        .sa_handler_kernel
        == SIG_DFL
    {
        let field: [u8; 8] = info.si_fields[..8].try_into().unwrap_or_default();
        console::log!(
            "{}[{}]: signal {signal} at {:#x}, address {:#x}, stack {:#x}",
            alloc::string::String::from_utf8_lossy(&task.name()),
            task.tid(),
            context.instruction(),
            u64::from_le_bytes(field),
            context.stack(),
        );
    }
}

impl Task {
    /// Whether there is a signal to handle, or the thread has to end.
    pub(crate) fn has_signal(&self) -> bool {
        if self.is_ending() || self.process.is_stopped() {
            return true;
        }
        let (own, blocked) = {
            let own = self.signals.lock();
            (own.pending.set(), own.blocked)
        };
        let waiting = own.0 | self.process.signals.lock().pending.set().0;
        waiting & !blocked.0 != 0
    }

    /// Takes a waiting signal out of `wanted` (sigtimedwait(2)).
    pub(crate) fn take_signal(&self, wanted: SignalSet) -> Option<SigInfo> {
        let own = self.signals.lock().pending.take(wanted);
        own.or_else(|| self.process.signals.lock().pending.take(wanted))
    }

    /// Signals that wait, blocked or not (sigpending(2)).
    pub(crate) fn pending_signals(&self) -> SignalSet {
        let own = self.signals.lock().pending.set();
        SignalSet(own.0 | self.process.signals.lock().pending.set().0)
    }

    /// The blocked signals.
    pub(crate) fn blocked(&self) -> SignalSet {
        self.signals.lock().blocked
    }

    /// Sets the blocked signals.
    pub(crate) fn set_blocked(&self, set: SignalSet) {
        let before = core::mem::replace(&mut self.signals.lock().blocked, set.blockable());
        self.process
            .retarget_signals(self, SignalSet(set.blockable().0 & !before.0));
    }

    /// Sets the blocked signals until the current call has returned and handlers have run.
    pub(crate) fn set_blocked_for_call(&self, set: SignalSet) {
        let before = self.blocked();
        self.set_blocked(set);
        self.signals.lock().saved = Some(before);
    }

    /// Ends the effect of [`set_blocked_for_call`](Self::set_blocked_for_call), unless a signal
    /// cut the call short: then the mask stays until its handler has been prepared.
    pub(crate) fn restore_blocked_after_call(&self, result: &Result<u64, Errno>) {
        if *result != Err(Errno::EINTR) {
            let mut own = self.signals.lock();
            if let Some(saved) = own.saved.take() {
                own.blocked = saved;
            }
        }
    }

    /// The alternate signal stack.
    pub(crate) fn alternate_stack(&self) -> AlternateStack {
        self.signals.lock().stack
    }

    /// Sets the alternate signal stack.
    pub(crate) fn set_alternate_stack(&self, stack: AlternateStack) {
        self.signals.lock().stack = stack;
    }

    /// What `sigaltstack` reports.
    pub(crate) fn alternate_stack_layout(&self, stack_pointer: u64) -> StackT {
        self.alternate_stack().as_layout(stack_pointer)
    }
}

impl Process {
    /// The action of a signal, and sets it if `new` is given (rt_sigaction(2)).
    pub(crate) fn signal_action(&self, signal: i32, new: Option<SigAction>) -> SigAction {
        let mut signals = self.signals.lock();
        let slot = &mut signals.actions[((signal - 1) & 63) as usize];
        let old = *slot;
        if let Some(mut new) = new {
            new.sa_mask = SignalSet(new.sa_mask).blockable().0;
            *slot = new;
            if signals.ignores(signal) {
                signals.pending.forget(|other| other == signal);
            }
        }
        old
    }

    /// Wakes other threads for signals of the process that `task` may have been woken for and
    /// will not take, because it blocks them now or ends (`retarget_shared_pending` of Linux).
    pub(super) fn retarget_signals(&self, task: &Task, which: SignalSet) {
        let left = match which.0 {
            0 => 0,
            which => self.signals.lock().pending.set().0 & which,
        };
        if left == 0 {
            return;
        }
        for other in self.threads() {
            if !core::ptr::eq(&*other, task) && left & !other.blocked().0 != 0 {
                other.interrupt();
            }
        }
    }

    /// Forgets waiting signals, of the process and its threads.
    fn forget_pending(&self, which: impl Fn(i32) -> bool) {
        for task in self.threads() {
            task.signals.lock().pending.forget(&which);
        }
        self.signals.lock().pending.forget(&which);
    }

    /// Whether the process wants SIGCHLD for children that stop and continue.
    pub(super) fn wants_stop_signals(&self) -> bool {
        let action = self.signals.lock().action(raw::SIGCHLD as i32);
        action.sa_flags & u64::from(raw::SA_NOCLDSTOP) == 0
    }

    /// Whether ended children vanish without being waited for.
    pub(super) fn ignores_children(&self) -> bool {
        let action = self.signals.lock().action(raw::SIGCHLD as i32);
        action.sa_handler_kernel == SIG_IGN || action.sa_flags & u64::from(raw::SA_NOCLDWAIT) != 0
    }
}

/// Handles waiting signals on the way to ring 3, and restarts a call that one cut short.
pub(super) fn deliver(
    task: &Arc<Task>,
    context: &mut UserContext,
    mut interrupted: Option<Interrupted>,
) {
    while !task.is_ending() {
        task.wait_while_stopped();
        let wanted = SignalSet(!task.blocked().0);
        let Some(info) = task.take_signal(wanted) else {
            break;
        };
        let signal = info.si_signo;
        let action = task.process().signals.lock().action(signal);
        match (action.sa_handler_kernel, default_action(signal)) {
            (SIG_IGN, _) | (SIG_DFL, DefaultAction::Ignore) => {}
            (SIG_DFL, DefaultAction::Terminate) => exit::end_process(task.process(), signal as u32),
            (SIG_DFL, DefaultAction::Stop) => task.process().stop(signal),
            _ => {
                let cut = interrupted.take();
                if cut.is_some_and(|c| c.restartable && action.sa_flags & SA_RESTART != 0) {
                    restart(context, cut);
                }
                run_handler(task, context, &info, &action);
            }
        }
    }
    // No handler ran: the call starts again as if nothing had happened.
    restart(context, interrupted);
    let saved = task.signals.lock().saved.take();
    if let Some(saved) = saved {
        task.set_blocked(saved);
    }
}

fn restart(context: &mut UserContext, interrupted: Option<Interrupted>) {
    if let Some(Interrupted { number, .. }) = interrupted {
        context.registers_mut().rax = number;
        context.set_instruction(context.instruction() - SYSCALL_LENGTH);
    }
}

/// Makes ring 3 continue in the handler; a stack that cannot be written ends the process.
fn run_handler(task: &Arc<Task>, context: &mut UserContext, info: &SigInfo, action: &SigAction) {
    let signal = info.si_signo;
    if push_frame(task, context, info, action).is_err() {
        exit::end_process(task.process(), raw::SIGSEGV);
        return;
    }
    if action.sa_flags & SA_RESETHAND != 0 {
        task.process()
            .signal_action(signal, Some(SigAction::default()));
    }
    let mut own = task.signals.lock();
    own.blocked.0 |= action.sa_mask;
    if action.sa_flags & SA_NODEFER == 0 {
        own.blocked.0 |= SignalSet::of(signal).0;
    }
}

/// Builds the frame that rt_sigreturn(2) takes down again (Linux: arch/x86/kernel/signal_64.c).
fn push_frame(
    task: &Arc<Task>,
    context: &mut UserContext,
    info: &SigInfo,
    action: &SigAction,
) -> Result<(), Errno> {
    let alternate = task.alternate_stack();
    let switch = action.sa_flags & SA_ONSTACK != 0
        && alternate.size > 0
        && !alternate.holds(context.stack());
    let top = if switch {
        alternate.base + alternate.size
    } else {
        context.stack().wrapping_sub(SigFramePlace::RED_ZONE)
    };
    let float = FpuState::current();
    let place = SigFramePlace::below(top, float_size(&float)).ok_or(Errno::EFAULT)?;
    let memory = task.memory();
    push_float(&memory, place.fpstate, &float)?;
    let extended = if FpuState::is_extended() {
        UC_FP_XSTATE
    } else {
        0
    };
    let frame = RtSigFrame {
        pretcode: action.sa_restorer,
        uc: UContext {
            uc_flags: extended | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
            uc_link: 0,
            uc_stack: alternate.as_layout(context.stack()),
            uc_mcontext: save_registers(context, place.fpstate),
            uc_sigmask: {
                let own = task.signals.lock();
                own.saved.unwrap_or(own.blocked).0
            },
        },
        info: *info,
    };
    memory.write(place.frame, &frame.encode())?;
    task.signals.lock().saved = None;
    context.set_stack(place.frame);
    context.set_instruction(action.sa_handler_kernel);
    context.set_flags(0);
    let registers = context.registers_mut();
    registers.rdi = info.si_signo as u64;
    registers.rsi = place.frame + RtSigFrame::FIELDS[2].1 as u64;
    registers.rdx = place.frame + RtSigFrame::FIELDS[1].1 as u64;
    registers.rax = 0;
    Ok(())
}

/// Bytes that the floating-point registers take in a signal frame.
fn float_size(float: &FpuState) -> u64 {
    let mark = if FpuState::is_extended() { 4 } else { 0 };
    float.as_bytes().len() as u64 + mark
}

/// Stores the floating-point registers as a signal frame holds them.
fn push_float(memory: &Memory, place: u64, float: &FpuState) -> Result<(), Errno> {
    let bytes = float.as_bytes();
    memory.write(place, bytes)?;
    if FpuState::is_extended() {
        let size = bytes.len() as u32;
        let head = FpSwBytes {
            magic1: FP_XSTATE_MAGIC1,
            extended_size: size + 4,
            xfeatures: features().xstate_mask,
            xstate_size: size,
        };
        memory.write(place + SW_BYTES_OFFSET as u64, &head.encode())?;
        memory.write_u32(place + u64::from(size), FP_XSTATE_MAGIC2)?;
    }
    Ok(())
}

fn save_registers(context: &UserContext, fpstate: u64) -> SigContext {
    let r = context.registers();
    SigContext {
        r8: r.r8,
        r9: r.r9,
        r10: r.r10,
        r11: r.r11,
        r12: r.r12,
        r13: r.r13,
        r14: r.r14,
        r15: r.r15,
        rdi: r.rdi,
        rsi: r.rsi,
        rbp: r.rbp,
        rbx: r.rbx,
        rdx: r.rdx,
        rax: r.rax,
        rcx: r.rcx,
        rsp: context.stack(),
        rip: context.instruction(),
        eflags: context.flags(),
        cs: 0x33,
        ss: 0x2b,
        fpstate,
        ..SigContext::default()
    }
}

/// rt_sigreturn(2): continues where the handler's frame says.
///
/// # Errors
/// `EFAULT` if the frame cannot be read.
pub(crate) fn restore_context(task: &Arc<Task>, context: &mut UserContext) -> Result<(), Errno> {
    let memory = task.memory();
    let address = context.stack().wrapping_sub(8);
    let frame = RtSigFrame::decode(&memory.read_array(address)?);
    let saved = frame.uc.uc_mcontext;
    if saved.fpstate != 0 {
        FpuState::from_process(|bytes| memory.read(saved.fpstate, bytes))?.restore();
    }
    let r = context.registers_mut();
    (r.r8, r.r9, r.r10, r.r11) = (saved.r8, saved.r9, saved.r10, saved.r11);
    (r.r12, r.r13, r.r14, r.r15) = (saved.r12, saved.r13, saved.r14, saved.r15);
    (r.rdi, r.rsi, r.rbp, r.rbx) = (saved.rdi, saved.rsi, saved.rbp, saved.rbx);
    (r.rdx, r.rax, r.rcx) = (saved.rdx, saved.rax, saved.rcx);
    context.set_stack(saved.rsp);
    context.set_instruction(saved.rip);
    context.set_flags(saved.eflags);
    task.set_blocked(SignalSet(frame.uc.uc_sigmask));
    Ok(())
}
