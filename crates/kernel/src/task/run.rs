//! The loop of a task: run ring 3, serve what stopped it, again.

use alloc::sync::Arc;

use linux_abi::Errno;
use linux_abi::layout::SigInfo;
use linux_abi::raw::general as raw;
use machine::cpu::{ExceptionInfo, Trap, UserContext};

use super::{Task, exit, signal};
use crate::memory::Access;
use crate::{interrupts, sched, shortage, syscall};

/// A system call that a signal cut short, to be restarted where its rules say so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupted {
    /// Number of the call.
    pub number: u64,
    /// `SA_RESTART` makes it start again; otherwise it fails with `EINTR` if a handler ran.
    pub restartable: bool,
}

/// Runs a task to its end.
pub(super) fn run(task: Arc<Task>, mut context: UserContext) {
    sched::started(&task);
    let mut interrupted = None;
    loop {
        // Last: a signal that comes later finds the task running, and interrupts it.
        if task.has_signal() || interrupted.is_some() {
            signal::deliver(&task, &mut context, interrupted);
        }
        if task.is_ending() {
            break;
        }
        interrupted = step(&task, &mut context);
        sched::give_way_if_due(&task);
    }
    exit::finish(task);
}

fn step(task: &Arc<Task>, context: &mut UserContext) -> Option<Interrupted> {
    match task.in_ring_3.count(|| context.run()) {
        Trap::SystemCall => return syscall::serve(task, context),
        Trap::Interrupt => interrupts::service(),
        Trap::PageFault {
            address,
            write,
            execute,
        } => {
            let access = match (write, execute) {
                (true, _) => Access::Write,
                (_, true) => Access::Execute,
                _ => Access::Read,
            };
            page_fault(task, context, address, access);
        }
        Trap::Exception(exception) => fault(task, context, exception),
    }
    None
}

fn page_fault(task: &Arc<Task>, context: &UserContext, address: u64, access: Access) {
    let result = task.memory().lock().fault(address, access);
    let signal = match result {
        Ok(()) => return,
        Err(Errno::ENOMEM) => return shortage::out_of_memory(task),
        Err(Errno::EIO) => SigInfo::of_fault(raw::SIGBUS as i32, raw::BUS_ADRERR as i32, address),
        Err(Errno::EACCES) => {
            SigInfo::of_fault(raw::SIGSEGV as i32, raw::SEGV_ACCERR as i32, address)
        }
        Err(_) => SigInfo::of_fault(raw::SIGSEGV as i32, raw::SEGV_MAPERR as i32, address),
    };
    signal::force(task, context, signal);
}

/// Turns a CPU exception into its signal (Linux: arch/x86/kernel/traps.c).
fn fault(task: &Arc<Task>, context: &UserContext, exception: ExceptionInfo) {
    let (number, code) = match exception.vector {
        0 => (raw::SIGFPE, raw::FPE_INTDIV),
        1 | 3 => (raw::SIGTRAP, raw::TRAP_BRKPT),
        6 => (raw::SIGILL, raw::ILL_ILLOPN),
        16 | 19 => (raw::SIGFPE, raw::FPE_FLTINV),
        17 => (raw::SIGBUS, raw::BUS_ADRALN),
        _ => (raw::SIGSEGV, raw::SI_KERNEL),
    };
    let info = SigInfo::of_fault(number as i32, code as i32, context.instruction());
    signal::force(task, context, info);
}
