//! Who pays when memory is short: any process before the first, which the machine is for.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use linux_abi::Errno;
use linux_abi::layout::SigInfo;
use linux_abi::raw::general::SIGKILL;
use machine::mem::statistics;

use crate::memory::PAGE;
use crate::task::{FIRST_PROCESS, Process, SignalTarget, Task, all_processes, send_signal};
use crate::{console, ending, sched};

/// The part of memory that a process must hold for the first one to live at its expense.
const WORTH_KILLING: u64 = 16;

/// A task needs memory and there is none. A process that is not the first is killed; the first
/// gets what the largest of the others has, or takes the machine with it.
pub(crate) fn out_of_memory(task: &Arc<Task>) {
    let wants = task.process();
    let victim = match wants.pid() {
        FIRST_PROCESS => largest_other(),
        _ => Some(Arc::clone(wants)),
    };
    let Some(victim) = victim else {
        log(task, "give the machine more memory");
        ending::out_of_memory();
    };
    if !victim.is_ending() {
        let name = victim.name();
        let name = String::from_utf8_lossy(&name);
        log(task, &format!("{name}[{}] is killed", victim.pid()));
    }
    let info = SigInfo::of_kernel(SIGKILL as i32);
    send_signal(SignalTarget::Process(&victim), info);
    // It gives its memory back when it runs; the task tries again after that.
    sched::yield_now(task);
}

fn log(task: &Task, outcome: &str) {
    let memory = statistics();
    console::log!(
        "out of memory: {} of {} KiB free, wanted by {}[{}]; {outcome}",
        memory.free / 1024,
        memory.total / 1024,
        String::from_utf8_lossy(&task.name()),
        task.tid(),
    );
}

/// Refuses memory that is not there, so that the BEAM can say what it wanted it for before it
/// ends, instead of the machine ending at the first touch. Small pieces are promised beyond what
/// is there, as by Linux (Documentation/mm/overcommit-accounting.rst, mode 0).
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn afford(task: &Task, size: u64) -> Result<(), Errno> {
    let free = statistics().free;
    if size <= free {
        return Ok(());
    }
    let others = match task.process().pid() {
        FIRST_PROCESS => largest_other().map_or(0, |process| held(&process) * PAGE),
        _ => 0,
    };
    if size > free + others {
        return Err(Errno::ENOMEM);
    }
    Ok(())
}

fn held(process: &Process) -> u64 {
    process.memory().lock().resident_pages() as u64
}

/// The process beside the first that holds most, if that is much.
fn largest_other() -> Option<Arc<Process>> {
    let worth = statistics().total / PAGE / WORTH_KILLING;
    all_processes()
        .into_iter()
        .filter(|process| process.pid() != FIRST_PROCESS)
        .map(|process| (held(&process), process))
        .filter(|(pages, _)| *pages >= worth)
        .max_by_key(|(pages, _)| *pages)
        .map(|(_, process)| process)
}
